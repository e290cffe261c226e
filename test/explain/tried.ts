/** How a remedy is tried. */
export type Tried =
  /** A test has the failure, does what the remedy says, and then it works: its file and its name. */
  | { readonly followed: readonly [file: string, name: string] }
  /** A test has the failure, and nothing is done about it there. */
  | { readonly met: string }
  /** Nobody has the failure: why. */
  | { readonly read: string }

/** Every remedy by what it is for. */
export const tried: Readonly<Record<string, Tried>> = {
  "route no-name-server-address": { followed: ["cli/followed.test.ts", "no name server: NAMESRV_ADDR"] },
  "route name-not-resolved": { met: "producer/ProducerStart.test.ts" },
  "route name-server-refused": {
    followed: ["cli/followed.test.ts", "refused: the printed doctor says so, and the right port"]
  },
  "route name-server-silent": {
    followed: ["cli/followed.test.ts", "no answer, and an answer of another protocol: the printed doctor says so"]
  },
  "route name-server-rejected": {
    followed: ["cli/followed.test.ts", "a broker as name server, of a send: the printed doctor says so"]
  },
  "route name-server-unreadable": {
    followed: ["cli/followed.test.ts", "no answer, and an answer of another protocol: the printed doctor says so"]
  },
  "route name-server-tls": { met: "producer/ProducerStart.test.ts" },
  "route request-not-signed": { met: "client/Credentials.test.ts" },
  "route client-exhausted": { met: "producer/ProducerStart.test.ts" },
  "route no-broker": { followed: ["cli/followed.test.ts", "no broker, and a master that is away: start it"] },
  "route topic-absent": { followed: ["cli/followed.test.ts", "topic-absent: the printed topic create"] },
  "route no-writable-queue": { followed: ["cli/followed.test.ts", "a topic that is closed: the printed topic update"] },
  "route no-master": { met: "client/RouteQueues.test.ts" },
  "route too-many-queues": { met: "admin/Addresses.test.ts" },
  "route address-not-allowed": { met: "admin/Addresses.test.ts" },
  "route address-unreadable": { met: "producer/ProducerStart.test.ts" },
  "tls expired": { met: "transport/Tls.test.ts" },
  "tls not-yet-valid": { met: "transport/Tls.test.ts" },
  "tls self-signed": { followed: ["rocketmq/tls.test.ts", "client and server know each other"] },
  "tls untrusted": { followed: ["cli/followed.test.ts", "untrusted and wrong-host: --tls-ca and --tls-servername"] },
  "tls wrong-host": { followed: ["cli/followed.test.ts", "untrusted and wrong-host: --tls-ca and --tls-servername"] },
  "tls plain-server": { followed: ["cli/followed.test.ts", "plain-server: --no-tls, whatever the variable says"] },
  "tls client-cert": { followed: ["rocketmq/tls.test.ts", "client and server know each other"] },
  "tls protocol": { met: "transport/Tls.test.ts" },
  "tls options": { followed: ["cli/followed.test.ts", "untrusted and wrong-host: --tls-ca and --tls-servername"] },
  "tls no-tls-here": { met: "transport/Tls.test.ts" },
  "tls other": { read: "what no other reason names; OpenSSL's own words stand beside it" },
  "wire refused": { followed: ["cli/followed.test.ts", "refused: the printed doctor says so, and the right port"] },
  "wire dns": { met: "transport/Leaks.test.ts" },
  "wire timeout": { met: "transport/Deadline.test.ts" },
  "wire reset": { met: "transport/TcpWire.test.ts" },
  "wire closed": { met: "transport/MemoryWire.test.ts" },
  "wire unreachable": { read: "a network without a route is not to be had in a test" },
  "wire address": { met: "transport/Dial.test.ts" },
  "wire in-use": { met: "transport/MemoryWire.test.ts" },
  "wire tls": { met: "transport/Tls.test.ts" },
  "wire exhausted": { met: "producer/ProducerStart.test.ts" },
  "wire not-allowed": { met: "transport/TcpWire.test.ts" },
  "wire unknown": { met: "transport/AnswerLimit.test.ts" },
  "access signature": { followed: ["cli/followed.test.ts", "signature: the right secret key"] },
  "access unknown-user": { followed: ["cli/followed.test.ts", "unknown-user: the right access key"] },
  "access user-disabled": { met: "client/Credentials.test.ts" },
  "access no-credentials": { followed: ["cli/followed.test.ts", "no-credentials: the two variables"] },
  "access permission": { followed: ["cli/followed.test.ts", "permission: another user"] },
  "access clock": { met: "client/Credentials.test.ts" },
  "access other": { met: "client/Credentials.test.ts" },
  "address unreadable": { met: "client/AddressPolicy.test.ts" },
  "address link-local": { met: "client/AddressPolicy.test.ts" },
  "address unspecified": { met: "client/AddressPolicy.test.ts" },
  "address multicast": { met: "client/AddressPolicy.test.ts" },
  "address broadcast": { met: "client/AddressPolicy.test.ts" },
  "address not-allowed": { met: "client/AllowAddress.test.ts" },
  "address rule-failed": { met: "client/AddressPolicy.test.ts" },
  "address not-translated": { met: "client/AddressPolicy.test.ts" },
  "tag TopicEncodeError": { met: "message/Topic.test.ts" },
  "tag TopicDecodeError": { met: "consumer/lite/DefaultLitePullConsumer.test.ts" },
  "tag CompressionUnavailable": { met: "protocol/Compression.test.ts" },
  "tag CompressionError": { met: "client/Inflater.test.ts" },
  "tag DecodeError": { met: "protocol/BodyCodec.test.ts" },
  "tag FrameError": { met: "protocol/Corpus.test.ts" },
  "tag ConnectFailed": {
    followed: ["cli/followed.test.ts", "refused: the printed doctor says so, and the right port"]
  },
  "tag TlsFailed": { followed: ["cli/followed.test.ts", "untrusted and wrong-host: --tls-ca and --tls-servername"] },
  "tag RpcHookFailed": { met: "client/Credentials.test.ts" },
  "tag ConnectionClosed": { met: "embedded/Faults.test.ts" },
  "tag AnswersNotRead": { met: "transport/AnswerLimit.test.ts" },
  "tag RequestTimeout": { followed: ["cli/followed.test.ts", "a send that takes longer than it may: --timeout"] },
  "tag TooManyRequests": { met: "transport/Deadline.test.ts" },
  "tag ClientClosed": { met: "producer/DefaultMQProducer.test.ts" },
  "tag WireError": { met: "transport/Tls.test.ts" },
  "tag AddressError": { followed: ["cli/followed.test.ts", "an address without a port: host:port"] },
  "tag AccessDenied": { followed: ["cli/followed.test.ts", "signature: the right secret key"] },
  "tag BrokerRejected": { followed: ["cli/followed.test.ts", "a broker that is busy: --timeout"] },
  "tag UnreadableAnswer": { met: "admin/QueueReader.test.ts" },
  "tag IllegalServiceState": { met: "client/ServiceLife.test.ts" },
  "tag InvalidGroup": { met: "producer/DefaultMQProducer.test.ts" },
  "tag InvalidConfig": { followed: ["cli/followed.test.ts", "an address without a port: host:port"] },
  "tag NoNameServer": { followed: ["cli/followed.test.ts", "no name server: NAMESRV_ADDR"] },
  "tag NameServerUnavailable": {
    followed: ["cli/followed.test.ts", "refused: the printed doctor says so, and the right port"]
  },
  "tag AddressServerFailed": { met: "client/NameServer.test.ts" },
  "tag NameServerResolveError": { met: "client/MQClientManager.test.ts" },
  "tag DuplicateProducerGroup": { met: "client/MQClientInstance.test.ts" },
  "tag DuplicateConsumerGroup": { met: "client/MQClientInstance.test.ts" },
  "tag FilterRefused": {
    followed: ["cli/followed.test.ts", "a broker that filters by tags only: the printed broker config update"]
  },
  "tag RouteUnavailable": { followed: ["cli/followed.test.ts", "topic-absent: the printed topic create"] },
  "tag BrokerNotRegistered": { met: "producer/ProducerStart.test.ts" },
  "tag StartTimeout": { met: "client/ServiceLife.test.ts" },
  "tag StartInterrupted": { met: "client/ServiceLifeModel.test.ts" },
  "tag BrokerNotExist": { met: "admin/MQAdmin.test.ts" },
  "tag CredentialsUnavailable": { met: "client/Credentials.test.ts" },
  "tag InvalidMessage": { followed: ["cli/followed.test.ts", "InvalidMessage: a smaller body"] },
  "tag SendForbidden": { met: "producer/telemetry/Hooks.test.ts" },
  "tag QueueSelectorFailed": { met: "producer/send/OrderedSend.test.ts" },
  "tag RequestReplyTimeout": { met: "promise/DefaultMQProducer.test.ts" },
  "tag RequestReplyClosed": { met: "producer/reply/RequestReply.test.ts" },
  "tag NotARequest": { met: "promise/Replier.test.ts" },
  "tag TransactionNotRun": { met: "producer/TransactionMQProducer.test.ts" },
  "tag LocalTransactionTimeout": { met: "producer/TransactionMQProducer.test.ts" },
  "tag InvalidRecallHandle": { met: "producer/Recall.test.ts" },
  "tag RecallTimeout": { met: "producer/Recall.test.ts" },
  "tag SendTimeout": { followed: ["cli/followed.test.ts", "a send that takes longer than it may: --timeout"] },
  "tag SubscriptionConflict": { met: "promise/DefaultLitePullConsumer.test.ts" },
  "tag SeekRefused": { met: "promise/DefaultLitePullConsumer.test.ts" },
  "tag CommitFailed": { met: "promise/DefaultLitePullConsumer.test.ts" },
  "tag PopUnsupported": { met: "consumer/simple/SimpleConsumer.test.ts" },
  "tag ConsumerFailed": { met: "consumer/ConsumerLife.test.ts" },
  "tag OffsetFileError": { met: "consumer/offset/LocalOffsetStore.test.ts" },
  "tag OffsetStoreError": { met: "consumer/Broadcasting.test.ts" },
  "tag UnknownCluster": { followed: ["cli/followed.test.ts", "UnknownCluster: one that is listed"] },
  "tag NoMaster": { followed: ["cli/followed.test.ts", "no broker, and a master that is away: start it"] },
  "tag InvalidMessageId": {
    followed: ["cli/followed.test.ts", "InvalidMessageId and an id that nobody has: the topic behind it"]
  },
  "tag InvalidText": { met: "admin/TextGuard.test.ts" },
  "tag UnknownBroker": { followed: ["cli/followed.test.ts", "UnknownBroker: the printed cluster list"] },
  "tag AddressRefused": { met: "admin/Addresses.test.ts" },
  "tag TooManyBrokers": { met: "admin/Addresses.test.ts" },
  "tag TooMuchAnswered": { met: "admin/Gather.test.ts" },
  "tag TopicNotFound": { followed: ["cli/followed.test.ts", "TopicNotFound: the printed topic create"] },
  "tag TopicAlreadyExists": { followed: ["cli/followed.test.ts", "TopicAlreadyExists: --replace"] },
  "tag GroupAlreadyExists": {
    followed: ["cli/followed.test.ts", "GroupAlreadyExists: the printed group list, --if-not-exists"]
  },
  "tag GroupNotFound": { followed: ["cli/followed.test.ts", "GroupNotFound: group list, group create"] },
  "tag UnknownSetting": { followed: ["cli/followed.test.ts", "UnknownSetting of a broker: the printed broker config"] },
  "tag NoAccessControl": { met: "admin/AccessCalls.test.ts" },
  "tag InvalidOrderConf": { followed: ["cli/followed.test.ts", "InvalidOrderConf: the printed topic config"] },
  "tag MessageNotFound": { met: "admin/MQAdmin.test.ts" },
  "tag ConsumerNotOnline": { followed: ["cli/followed.test.ts", "nobody online: start a member"] }
}
