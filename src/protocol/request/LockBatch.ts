import type { MessageQueue } from "../../message/MessageQueue.ts"
import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * LOCK_BATCH_MQ (41) and UNLOCK_BATCH_MQ (42), client to broker: an orderly consumer takes or gives back queues. A lock
 * lasts 60 s.
 *
 * ```text
 * header {}; body {"clientId":"...","consumerGroup":"...","mqSet":[{queue}],"onlyThisBroker":false}
 * answer body to 41: {"lockOKMQSet":[{queue}]}, to 42: none
 * ```
 *
 * Source: RocketMQ `LockBatchRequestBody`, `LockBatchResponseBody`, `UnlockBatchRequestBody`.
 */
export interface LockBatchHeader {
  /** The client that wants the locks. */
  readonly clientId: string
  /** The group: each has locks of its own. */
  readonly consumerGroup: string
  /** The queues to lock. One that the client has already is renewed: a lock lives 60 seconds. */
  readonly mqSet: ReadonlyArray<MessageQueue>
  /** Whether the lock is not to be told to the replicas of the broker; false when absent. */
  readonly onlyThisBroker?: boolean | undefined
}

/** What is asked of the queues. */
export type LockBatchOperation = "lock" | "unlock"

/** The queues that the asker holds now; those of others are missing. */
export interface LockBatchAnswer {
  /** Those that the client has now; the ones that another client has are missing. */
  readonly lockOKMQSet: ReadonlyArray<MessageQueue>
}

const body: Body.RequiredBody<LockBatchHeader> = Body.struct({
  clientId: Body.string,
  consumerGroup: Body.string,
  mqSet: Body.withDefault(Body.list(Body.messageQueue), []),
  onlyThisBroker: Body.withDefault(Body.boolean, false)
})

const answer: Body.RequiredBody<LockBatchAnswer> = Body.struct({
  lockOKMQSet: Body.withDefault(Body.list(Body.messageQueue), [])
})

/** What a client sends. */
export const request = (value: LockBatchHeader, operation: LockBatchOperation): Request => ({
  code: operation === "lock" ? RequestCode.LOCK_BATCH_MQ : RequestCode.UNLOCK_BATCH_MQ,
  extFields: {},
  body: Body.encode(body, { ...value, onlyThisBroker: value.onlyThisBroker ?? false })
})

/** What a broker reads, for both codes. */
export const decodeRequest = (cmd: RemotingCommand): LockBatchHeader | DecodeError => decodeBody(cmd.code, cmd.body)

/** The body of a request of either code. */
export const decodeBody = (code: number, bytes: Uint8Array): LockBatchHeader | DecodeError =>
  Body.decode(body, code, bytes)

/** What a broker answers: to a lock the queues that are held, to an unlock nothing. */
export const response = (value?: LockBatchAnswer): Response =>
  value === undefined
    ? { code: ResponseCode.SUCCESS }
    : { code: ResponseCode.SUCCESS, body: Body.encode(answer, value) }

/** What a client reads of an answer with code 0 to a lock. */
export const decodeResponse = (cmd: RemotingCommand): LockBatchAnswer | DecodeError =>
  Body.decode(answer, RequestCode.LOCK_BATCH_MQ, cmd.body)
