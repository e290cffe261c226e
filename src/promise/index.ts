/**
 * `effect-rocketmq/promise`: the same producer for code without Effect. Values, options and errors are those of
 * `effect-rocketmq`; what is an effect there is a promise here.
 */
export * from "../client/ClientError.ts"
export type { Explanation } from "../client/Explain.ts"
export { CredentialsUnavailable } from "../client/SessionCredentials.ts"
export { type AnyError, explain } from "../admin/Explain.ts"
export * as Message from "../message/Message.ts"
export * as MessageBatch from "../message/MessageBatch.ts"
export * as MessageDelay from "../message/MessageDelay.ts"
export type { MessageExt } from "../message/MessageExt.ts"
export * as MessageQueue from "../message/MessageQueue.ts"
export type { SendResult, SendStatus } from "../message/SendResult.ts"
export type { ProducerState } from "../producer/DefaultMQProducer.ts"
export { InvalidRecallHandle, RecallError, type RecallOptions, RecallTimeout } from "../producer/Recall.ts"
export { NotARequest, RequestReplyClosed, RequestReplyTimeout } from "../producer/ReplyError.ts"
export type { SendBatchResult } from "../producer/SendBatch.ts"
export * from "../producer/SendError.ts"
export type { SendOptions } from "../producer/SendOptions.ts"
export * from "../transport/RemotingError.ts"

export { DefaultMQProducer } from "./DefaultMQProducer.ts"
export type { PlainCredentials, PlainOptions, PlainTlsOptions, Secret } from "./Options.ts"
export type { CallOptions } from "./Run.ts"
