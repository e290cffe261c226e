/**
 * effect-rocketmq: an Apache RocketMQ client written as an Effect program.
 *
 * What a program usually needs: `DefaultMQProducer`, `MQClientManager`, `Message`.
 *
 * @packageDocumentation
 */

export * as Message from "./message/Message.ts"
export * as MessageBatch from "./message/MessageBatch.ts"
export * as MessageDelay from "./message/MessageDelay.ts"
export type { MessageExt } from "./message/MessageExt.ts"
export * as MessageId from "./message/MessageId.ts"
export * as MessageQueue from "./message/MessageQueue.ts"
export {
  AUTO_CREATE_TOPIC_KEY_TOPIC,
  DLQ_GROUP_TOPIC_PREFIX,
  MASTER_ID,
  PermName,
  RETRY_GROUP_TOPIC_PREFIX,
  RMQ_SYS_TRACE_TOPIC
} from "./message/MixAll.ts"
export * as RecallHandle from "./message/RecallHandle.ts"
export type { SendResult, SendStatus } from "./message/SendResult.ts"
export { SysFlag } from "./message/SysFlag.ts"
export * as Topic from "./message/Topic.ts"

export { type CompressionType, CompressionUnavailable, Lz4Library } from "./protocol/Compression.ts"
export type { SubscriptionData } from "./protocol/HeartbeatData.ts"
export type { Lz4Codec } from "./protocol/Lz4.ts"
export type { ExtFields, RemotingCommand, Request } from "./protocol/RemotingCommand.ts"
export type { PullStatus } from "./protocol/request/PullMessage.ts"
export type { SubscriptionGroupConfig } from "./protocol/request/SubscriptionGroup.ts"
export type { TopicConfig } from "./protocol/TopicConfig.ts"
export type { BrokerData, QueueData, TopicQueueMappingInfo, TopicRouteData } from "./protocol/TopicRouteData.ts"

export { AddressError, type Address } from "./transport/Address.ts"
export type { ConnectionInfo, RemotingCounters } from "./transport/RemotingClient.ts"
export {
  AnswersNotRead,
  ClientClosed,
  ConnectFailed,
  ConnectionClosed,
  RemotingError,
  RequestTimeout,
  RpcHookFailed,
  TlsFailed,
  TooManyRequests
} from "./transport/RemotingError.ts"
export type { RpcHook } from "./transport/RpcHook.ts"
export { type TlsOptions, TlsReason } from "./transport/Tls.ts"
export * as TcpWire from "./transport/TcpWire.ts"
export { Wire, WireError, WireErrorKind } from "./transport/Wire.ts"

export { AddressTranslator, type BrokerEndpoint } from "./client/AddressTranslator.ts"
export type { ClientConfig, ClientOptions } from "./client/ClientConfig.ts"
export type { ConfigName } from "./client/options/ConfigNames.ts"
export type { BackoffOptions, RemotingOptions } from "./client/RemotingOptions.ts"
export {
  AccessDenied,
  AccessProblem,
  AddressProblem,
  AddressRefused,
  AddressServerFailed,
  ApiError,
  BrokerNotExist,
  BrokerNotRegistered,
  BrokerRejected,
  ConfigProblem,
  DuplicateConsumerGroup,
  FilterRefused,
  DuplicateProducerGroup,
  IllegalServiceState,
  InvalidConfig,
  InvalidGroup,
  NameServerResolveError,
  NameServerTry,
  NameServerUnavailable,
  NoNameServer,
  RouteProblem,
  RouteUnavailable,
  StartError,
  StartInterrupted,
  StartReason,
  StartTimeout,
  UnreadableAnswer
} from "./client/ClientError.ts"
export { HostInfo, type HostInfoShape } from "./client/ClientId.ts"
export type { Explanation } from "./explain/Explanation.ts"
export type { HeartbeatState } from "./client/Heartbeat.ts"
export type { InstanceState, RouteState } from "./client/InstanceState.ts"
export type { RouteWarning } from "./client/RouteBounds.ts"
export { MQClientInstance, type MQClientInstanceShape } from "./client/MQClientInstance.ts"
export { MQClientManager } from "./client/MQClientManager.ts"
export { NameServerResolver } from "./client/NameServerResolver.ts"
export type { ReplyCounters } from "./client/push/ReplyTable.ts"
export type { Readiness } from "./client/Readiness.ts"
export { RpcHooks } from "./client/RpcHooks.ts"
export {
  type Credentials,
  type CredentialsSource,
  CredentialsUnavailable,
  SessionCredentials
} from "./client/SessionCredentials.ts"
export { ServiceState } from "./client/ServiceState.ts"
export { StartObserver, type StartStep, type StepRecord } from "./client/StartStep.ts"
export type { TimerState } from "./client/Timers.ts"

export { DefaultMQProducer, type DefaultMQProducerShape } from "./producer/DefaultMQProducer.ts"
export {
  type CheckForbiddenHook,
  CheckForbiddenHooks,
  type HookCounters,
  type SendMessageContext,
  type SendMessageHook,
  SendMessageHooks,
  type SendMessageOutcome
} from "./producer/telemetry/Hooks.ts"
export * as LocalTransactionState from "./producer/transaction/LocalTransactionState.ts"
export * as ProducerConfig from "./producer/ProducerConfig.ts"
export type { ProducerOptions } from "./producer/ProducerOptions.ts"
export type { ProducerState } from "./producer/ProducerState.ts"
export { NotARequest, ReplyFailure, RequestReplyClosed, RequestReplyTimeout } from "./producer/reply/ReplyError.ts"
export * as RequestReply from "./producer/reply/RequestReply.ts"
export type { ReplyInput, RequestOptions } from "./producer/reply/RequestReply.ts"
export * as KeyHash from "./producer/queue/KeyHash.ts"
export type { ProducerSends } from "./producer/ProducerSends.ts"
export * as QueueSelector from "./producer/queue/QueueSelector.ts"
export { InvalidRecallHandle, RecallError, type RecallOptions, RecallReason, RecallTimeout } from "./producer/Recall.ts"
export type { FaultState } from "./producer/queue/FaultStrategy.ts"
export type { SendBatchResult } from "./producer/bulk/SendBatch.ts"
export {
  InvalidMessage,
  QueueSelectorFailed,
  SendAttempt,
  SendError,
  SendForbidden,
  SendOutcome,
  SendReason,
  SendTimeout
} from "./producer/send/SendError.ts"
export type { SendOptions } from "./producer/send/SendOptions.ts"
export type { SendQueued } from "./producer/bulk/QueuedSend.ts"
export type { SendCounters } from "./producer/send/SendCounters.ts"
export type { SendAllOptions } from "./producer/bulk/SendStream.ts"
export type { SendAllToOptions, TypedSendOptions, TypedSends } from "./producer/TypedSends.ts"
export {
  LocalTransactionTimeout,
  TransactionFailure,
  TransactionNotRun
} from "./producer/transaction/TransactionError.ts"
export {
  type TransactionCounters,
  TransactionMQProducer,
  type TransactionMQProducerShape,
  type TransactionOptions,
  type TransactionProducerOptions,
  type TransactionResult
} from "./producer/TransactionMQProducer.ts"
export type { Overrides as TransactionOverrides } from "./producer/TransactionConfig.ts"
export type { TransactionSettings } from "./producer/TransactionSettings.ts"
export type { MessageType } from "./client/telemetry/MessageType.ts"
export type { TraceState } from "./client/telemetry/TraceDispatcher.ts"

export {
  AdminError,
  AdminReason,
  ConsumerNotOnline,
  GroupAlreadyExists,
  GroupNotFound,
  InvalidMessageId,
  InvalidOrderConf,
  InvalidText,
  MessageNotFound,
  NoAccessControl,
  NoMaster,
  TooManyBrokers,
  TooMuchAnswered,
  TopicAlreadyExists,
  TopicNotFound,
  UnknownBroker,
  UnknownCluster,
  UnknownSetting
} from "./admin/AdminError.ts"
export * as AllocateStrategy from "./consumer/rebalance/AllocateStrategy.ts"
export * as ConsumeResult from "./consumer/ConsumeResult.ts"
export { ConsumerFailed } from "./consumer/ConsumerFailed.ts"
export type { OnProblem } from "./consumer/ConsumerProblems.ts"
export {
  DefaultMQPushConsumer,
  type DefaultMQPushConsumerShape,
  type NamedConsumer
} from "./consumer/DefaultMQPushConsumer.ts"
export { DefaultLitePullConsumer, type NamedLitePullConsumer } from "./consumer/lite/DefaultLitePullConsumer.ts"
export * as LitePullConfig from "./consumer/lite/LitePullConfig.ts"
export { CommitFailed, CommitProblem, SeekRefused, SubscriptionConflict } from "./consumer/lite/LitePullError.ts"
export type { LitePullOnlyOptions, LitePullOptions } from "./consumer/lite/LitePullOptions.ts"
export type {
  CommitOptions,
  DefaultLitePullConsumerShape,
  PollOptions,
  SeekTo,
  TypedMessage
} from "./consumer/lite/LitePullShape.ts"
export * as MessageListener from "./consumer/MessageListener.ts"
export * as MessageStream from "./consumer/MessageStream.ts"
export type { RebalanceListener } from "./consumer/rebalance/RebalanceListener.ts"
export * as ReconsumePolicy from "./consumer/ReconsumePolicy.ts"
export * as Replier from "./consumer/reply/Replier.ts"
export { type NamedSimpleConsumer, SimpleConsumer } from "./consumer/simple/SimpleConsumer.ts"
export * as SimpleConsumerConfig from "./consumer/simple/SimpleConsumerConfig.ts"
export {
  PopUnsupported,
  ReceiveError,
  ReceiveReason,
  SettleError,
  SettleReason
} from "./consumer/simple/SimpleError.ts"
export type { SimpleConsumerOnlyOptions, SimpleConsumerOptions } from "./consumer/simple/SimpleOptions.ts"
export type {
  ExtendOutcome,
  PopAckOutcome,
  PoppedMessage,
  ReceiveOptions,
  SimpleConsumerCounters,
  SimpleConsumerShape,
  SimpleConsumerState,
  TypedPoppedMessage
} from "./consumer/simple/SimpleShape.ts"
export * as Subscription from "./consumer/subscription/Subscription.ts"
export * as ConsumerConfig from "./consumer/ConsumerConfig.ts"
export type { SubscriptionWords } from "./consumer/ConsumerOptionKinds.ts"
export type { ConsumerOnlyOptions, PushConsumerOptions } from "./consumer/ConsumerOptions.ts"
export type { ConsumerCounters } from "./consumer/ConsumerCounters.ts"
export type { CaughtUpOptions } from "./consumer/run/CaughtUp.ts"
export type { DrainReport } from "./consumer/run/RunOptions.ts"
export type { ConsumerProblem, ConsumerState, QueueState } from "./consumer/ConsumerState.ts"
export * as LocalOffsetStore from "./consumer/offset/LocalOffsetStore.ts"
export { type OffsetEntry, type OffsetStore, OffsetStoreError } from "./consumer/offset/OffsetStore.ts"
export type { ConsumeFromWhere, FromTimestamp } from "./consumer/offset/StartOffset.ts"
export type { QueueMove, QueuePhase } from "./consumer/queue/ProcessQueue.ts"
export { ReceivedMessage, type ReceivedMessageInput } from "./consumer/ReceivedMessage.ts"
export {
  type ConsumeHookCounters,
  type ConsumeMessageContext,
  type ConsumeMessageHook,
  ConsumeMessageHooks,
  type ConsumeMessageOutcome,
  type ConsumeStatus,
  type DeadLetterContext,
  type DeadLetterHook,
  DeadLetterHooks,
  type FilterMessageContext,
  type FilterMessageHook,
  FilterMessageHooks
} from "./consumer/telemetry/Hooks.ts"

export { type AnyError, explain } from "./explain/Explain.ts"
export type { BrokerAddress, IfExists } from "./admin/AdminContext.ts"
export type { ClientConnection, ConsumeProgress, ConsumerConnections, QueueProgress } from "./admin/Clients.ts"
export type { AclAction, AclOptions, AclRight } from "./admin/Acls.ts"
export type {
  BrokerGroupConfig,
  CreatedGroup,
  CreateGroupOptions,
  DeleteGroupOptions,
  GroupInfo,
  UpdateGroupOptions
} from "./admin/Groups.ts"
export type { NameServerChanges, NameServerConfig, OrderConf, WritePermission } from "./admin/NameServers.ts"
export type { ChangedSetting } from "./admin/Settings.ts"
export type { CreateUserOptions, UpdateUserOptions, User, UserStatus, UserType } from "./admin/Users.ts"
export type { ConsumeDirectlyOptions, DirectConsumption, MemberInfo, MemberStatus } from "./admin/Members.ts"
export type { ReplayOptions, ReplayOutcome } from "./admin/DeadLetters.ts"
export type { PullResult } from "./admin/Messages.ts"
export type { AdminConfig, AdminOptions, Overrides as AdminOverrides } from "./admin/AdminConfig.ts"
export { MQAdmin, type MQAdminShape } from "./admin/MQAdmin.ts"
export type { ResetOffsetOptions, ResetQueue } from "./admin/Offsets.ts"
export type { FoundMessage, QueryOptions } from "./admin/Queries.ts"
export type { TraceEntry, TraceQueryOptions, TraceStatus } from "./admin/Traces.ts"
export type {
  BrokerTopicConfig,
  CreatedTopic,
  CreateTopicOptions,
  QueueStats,
  UpdateTopicOptions
} from "./admin/Topics.ts"
