import type { MessageQueue } from "../../message/MessageQueue.ts"
import * as Body from "../BodyCodec.ts"
import { type SubscriptionData, subscriptionData } from "../HeartbeatData.ts"
import type { Long } from "../Long.ts"

/** A queue that a consumer reads. Source: RocketMQ `ProcessQueueInfo`. */
export interface ProcessQueueInfo {
  /** The position that the client has for the queue, be it stored at the broker already or not. */
  readonly commitOffset: Long
  /** The smallest offset that was pulled and is not consumed; 0 when there is none. */
  readonly cachedMsgMinOffset: Long
  /** The largest offset that was pulled and is not consumed; 0 when there is none. */
  readonly cachedMsgMaxOffset: Long
  /** Messages that were pulled and are not consumed. */
  readonly cachedMsgCount: number
  /** Their bodies together in whole MiB, rounded down. */
  readonly cachedMsgSizeInMiB: number
  /** Orderly: the smallest offset that the listener has and did not commit; 0 when there is none. */
  readonly transactionMsgMinOffset: Long
  /** Orderly: the largest offset that the listener has and did not commit; 0 when there is none. */
  readonly transactionMsgMaxOffset: Long
  /** Orderly: messages that the listener has and did not commit. */
  readonly transactionMsgCount: number
  /** Orderly: whether the broker gave this client the queue's lock. */
  readonly locked: boolean
  /** Orderly: how often giving the lock back had to wait for the listener. */
  readonly tryUnlockTimes: Long
  /** Milliseconds since the epoch, as all times here. */
  readonly lastLockTimestamp: Long
  /** Java's spelling. */
  readonly droped: boolean
  /** When the queue was pulled last, in milliseconds since the epoch. */
  readonly lastPullTimestamp: Long
  /** When messages of the queue were handed to the listener last, in milliseconds since the epoch. */
  readonly lastConsumeTimestamp: Long
}

/** A queue that a consumer pops. Source: RocketMQ `PopProcessQueueInfo`. */
export interface PopProcessQueueInfo {
  /** Messages that were popped and not acknowledged. */
  readonly waitAckCount: number
  /** Whether the queue was taken away from this client; the word is Java's. */
  readonly droped: boolean
  /** When the queue was popped last, in milliseconds since the epoch. */
  readonly lastPopTimestamp: Long
}

/** How fast a topic is consumed: milliseconds, and messages per second. Source: RocketMQ `ConsumeStatus`. */
export interface ConsumeStatus {
  /** Milliseconds that a pull took, on average over the last minute. */
  readonly pullRT: number
  /** Messages pulled in a second, over the last minute. */
  readonly pullTPS: number
  /** Milliseconds that the listener took, on average over the last minute, or the last hour where that saw nothing. */
  readonly consumeRT: number
  /** Messages consumed in a second, over the last minute. */
  readonly consumeOKTPS: number
  /** Messages in a second on which the listener failed, over the last minute. */
  readonly consumeFailedTPS: number
  /** Messages on which the listener failed, in the last hour. */
  readonly consumeFailedMsgs: Long
}

/** Everything a consumer says of itself. Source: RocketMQ `ConsumerRunningInfo`. */
export interface ConsumerRunningInfo {
  /** The configuration, and `PROP_...` facts, as text. */
  readonly properties: ReadonlyMap<string, string>
  /** What the client itself subscribes to, whatever the other members of its group do. */
  readonly subscriptionSet: ReadonlyArray<SubscriptionData>
  /** The queues that the client pulls, each with its state. */
  readonly mqTable: ReadonlyArray<readonly [queue: MessageQueue, info: ProcessQueueInfo]>
  /** The queues that the client pops, each with its state; empty without pop. */
  readonly mqPopTable: ReadonlyArray<readonly [queue: MessageQueue, info: PopProcessQueueInfo]>
  /** Topic to status. */
  readonly statusTable: ReadonlyMap<string, ConsumeStatus>
  /** What the application added, by name; empty by default. */
  readonly userConsumerInfo: ReadonlyMap<string, string>
  /** Stacks, when they were asked for. */
  readonly jstack?: string | undefined
}

const int = Body.withDefault(Body.int, 0)
const long = Body.withDefault(Body.int64, 0)
const double = Body.withDefault(Body.double, 0)
const flag = Body.withDefault(Body.boolean, false)

/** The codec of {@link ConsumerRunningInfo}. */
export const consumerRunningInfo: Body.RequiredBody<ConsumerRunningInfo> = Body.struct({
  jstack: Body.optional(Body.string),
  mqPopTable: Body.withDefault(
    Body.queueMap(Body.struct({ droped: flag, lastPopTimestamp: long, waitAckCount: int })),
    []
  ),
  mqTable: Body.withDefault(
    Body.queueMap(
      Body.struct({
        cachedMsgCount: int,
        cachedMsgMaxOffset: long,
        cachedMsgMinOffset: long,
        cachedMsgSizeInMiB: int,
        commitOffset: long,
        droped: flag,
        lastConsumeTimestamp: long,
        lastLockTimestamp: long,
        lastPullTimestamp: long,
        locked: flag,
        transactionMsgCount: int,
        transactionMsgMaxOffset: long,
        transactionMsgMinOffset: long,
        tryUnlockTimes: long
      })
    ),
    []
  ),
  properties: Body.withDefault(Body.map(Body.string), new Map()),
  statusTable: Body.withDefault(
    Body.map(
      Body.struct({
        consumeFailedMsgs: long,
        consumeFailedTPS: double,
        consumeOKTPS: double,
        consumeRT: double,
        pullRT: double,
        pullTPS: double
      })
    ),
    new Map()
  ),
  subscriptionSet: Body.withDefault(Body.list(subscriptionData), []),
  userConsumerInfo: Body.withDefault(Body.map(Body.string), new Map())
})
