import type { MessageQueue } from "../../message/MessageQueue.ts"
import * as Body from "../BodyCodec.ts"
import { type SubscriptionData, subscriptionData } from "../HeartbeatData.ts"

/** A queue that a consumer reads. Source: RocketMQ `ProcessQueueInfo`. */
export interface ProcessQueueInfo {
  readonly commitOffset: number
  readonly cachedMsgMinOffset: number
  readonly cachedMsgMaxOffset: number
  readonly cachedMsgCount: number
  readonly cachedMsgSizeInMiB: number
  readonly transactionMsgMinOffset: number
  readonly transactionMsgMaxOffset: number
  readonly transactionMsgCount: number
  readonly locked: boolean
  readonly tryUnlockTimes: number
  /** Milliseconds since the epoch, as all times here. */
  readonly lastLockTimestamp: number
  /** Java's spelling. */
  readonly droped: boolean
  readonly lastPullTimestamp: number
  readonly lastConsumeTimestamp: number
}

/** A queue that a consumer pops. Source: RocketMQ `PopProcessQueueInfo`. */
export interface PopProcessQueueInfo {
  readonly waitAckCount: number
  readonly droped: boolean
  readonly lastPopTimestamp: number
}

/** How fast a topic is consumed: milliseconds, and messages per second. Source: RocketMQ `ConsumeStatus`. */
export interface ConsumeStatus {
  readonly pullRT: number
  readonly pullTPS: number
  readonly consumeRT: number
  readonly consumeOKTPS: number
  readonly consumeFailedTPS: number
  readonly consumeFailedMsgs: number
}

/** Everything a consumer says of itself. Source: RocketMQ `ConsumerRunningInfo`. */
export interface ConsumerRunningInfo {
  /** The configuration, and `PROP_...` facts, as text. */
  readonly properties: ReadonlyMap<string, string>
  readonly subscriptionSet: ReadonlyArray<SubscriptionData>
  readonly mqTable: ReadonlyArray<readonly [queue: MessageQueue, info: ProcessQueueInfo]>
  readonly mqPopTable: ReadonlyArray<readonly [queue: MessageQueue, info: PopProcessQueueInfo]>
  /** Topic to status. */
  readonly statusTable: ReadonlyMap<string, ConsumeStatus>
  readonly userConsumerInfo: ReadonlyMap<string, string>
  /** Stacks, when they were asked for. */
  readonly jstack?: string | undefined
}

const long = Body.withDefault(Body.long, 0)
const double = Body.withDefault(Body.double, 0)
const flag = Body.withDefault(Body.boolean, false)

/** The codec of {@link ConsumerRunningInfo}. */
export const consumerRunningInfo: Body.RequiredBody<ConsumerRunningInfo> = Body.struct({
  jstack: Body.optional(Body.string),
  mqPopTable: Body.withDefault(
    Body.queueMap(Body.struct({ droped: flag, lastPopTimestamp: long, waitAckCount: long })),
    []
  ),
  mqTable: Body.withDefault(
    Body.queueMap(
      Body.struct({
        cachedMsgCount: long,
        cachedMsgMaxOffset: long,
        cachedMsgMinOffset: long,
        cachedMsgSizeInMiB: long,
        commitOffset: long,
        droped: flag,
        lastConsumeTimestamp: long,
        lastLockTimestamp: long,
        lastPullTimestamp: long,
        locked: flag,
        transactionMsgCount: long,
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
