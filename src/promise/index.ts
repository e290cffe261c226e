/**
 * `effect-rocketmq/promise`: the same producer and consumer for code without Effect. Values, options and errors are those of
 * `effect-rocketmq`; what is an effect there is a promise here.
 *
 * @packageDocumentation
 */
export {
  AccessDenied,
  AccessProblem,
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
} from "../client/ClientError.ts"
export * as ConsumeResult from "../consumer/ConsumeResult.ts"
export type { ConsumerCounters } from "../consumer/ConsumerCounters.ts"
export { ConsumerFailed } from "../consumer/ConsumerFailed.ts"
export type { DrainReport } from "../consumer/run/RunOptions.ts"
export type { ConsumerProblem, ConsumerState, QueueState } from "../consumer/ConsumerState.ts"
export type { AckOutcome } from "../consumer/MessageStream.ts"
export { CommitFailed, CommitProblem, SeekRefused, SubscriptionConflict } from "../consumer/lite/LitePullError.ts"
export type { CommitOptions, PollOptions, SeekTo } from "../consumer/lite/LitePullShape.ts"
export { PopUnsupported, ReceiveError, SettleError } from "../consumer/simple/SimpleError.ts"
export type {
  ExtendOutcome,
  PopAckOutcome,
  ReceiveOptions,
  SimpleConsumerCounters,
  SimpleConsumerState
} from "../consumer/simple/SimpleShape.ts"
export type { LocalOffsetFileOptions } from "../consumer/offset/LocalOffsetStore.ts"
export { type OffsetEntry, OffsetStoreError } from "../consumer/offset/OffsetStore.ts"
export * as AllocateStrategy from "../consumer/rebalance/AllocateStrategy.ts"
export { BatchResult, OrderlyResult } from "../consumer/MessageListener.ts"
export { ReceivedMessage, type ReceivedMessageInput } from "../consumer/ReceivedMessage.ts"
export * as ReconsumePolicy from "../consumer/ReconsumePolicy.ts"
export * as Subscription from "../consumer/subscription/Subscription.ts"
export type { Explanation } from "../explain/Explanation.ts"
export { CredentialsUnavailable } from "../client/SessionCredentials.ts"
export { type AnyError, explain } from "../explain/Explain.ts"
export * as Message from "../message/Message.ts"
export * as MessageBatch from "../message/MessageBatch.ts"
export * as MessageDelay from "../message/MessageDelay.ts"
export type { MessageExt } from "../message/MessageExt.ts"
export * as MessageQueue from "../message/MessageQueue.ts"
export type { SendResult, SendStatus } from "../message/SendResult.ts"
export * as Topic from "../message/Topic.ts"
export type { ProducerState } from "../producer/ProducerState.ts"
export * as LocalTransactionState from "../producer/transaction/LocalTransactionState.ts"
export * as QueueSelector from "../producer/queue/QueueSelector.ts"
export { InvalidRecallHandle, RecallError, RecallTimeout } from "../producer/Recall.ts"
export { NotARequest, ReplyFailure, RequestReplyClosed, RequestReplyTimeout } from "../producer/reply/ReplyError.ts"
export type { SendBatchResult } from "../producer/bulk/SendBatch.ts"
export {
  InvalidMessage,
  QueueSelectorFailed,
  SendAttempt,
  SendError,
  SendForbidden,
  SendOutcome,
  SendReason,
  SendTimeout
} from "../producer/send/SendError.ts"
export type { SendOptions } from "../producer/send/SendOptions.ts"
export type { SendAllToOptions, TypedSendOptions } from "../producer/TypedSends.ts"
export {
  LocalTransactionTimeout,
  TransactionFailure,
  TransactionNotRun
} from "../producer/transaction/TransactionError.ts"
export type { TransactionCounters, TransactionResult } from "../producer/TransactionMQProducer.ts"
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
} from "../transport/RemotingError.ts"

export type {
  PlainConsumerOptions,
  PlainOffsetStore,
  PlainRebalanceListener,
  PlainStreamOptions
} from "./ConsumerOptions.ts"
export { DefaultLitePullConsumer, type PlainLitePullOptions } from "./DefaultLitePullConsumer.ts"
export { DefaultMQProducer, type Queued } from "./DefaultMQProducer.ts"
export {
  DefaultMQPushConsumer,
  type PlainBatchHandler,
  type PlainHandler,
  type StartBatchOptions,
  type StartConsumerOptions
} from "./DefaultMQPushConsumer.ts"
export { LocalOffsetStore } from "./LocalOffsetStore.ts"
export * as MessageListener from "./MessageListener.ts"
export {
  messages,
  messagesByQueue,
  type Messages,
  type MessagesByQueue,
  type PlainDelivery,
  type QueueMessages
} from "./Messages.ts"
export type { PlainCredentials, PlainOptions, PlainParts, PlainTlsOptions, Secret } from "./Options.ts"
export * as Replier from "./Replier.ts"
export type { CallOptions } from "./Run.ts"
export { type PlainSimpleConsumerOptions, type PoppedMessage, SimpleConsumer } from "./SimpleConsumer.ts"
export { type PlainTransactionOptions, TransactionMQProducer } from "./TransactionMQProducer.ts"
