import { type DateTime, Effect } from "effect"
import type { ApiError } from "../../client/ClientError.ts"
import { RouteUnavailable } from "../../client/ClientError.ts"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import { isRetryTopic, MASTER_ID } from "../../message/MixAll.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import * as GetMinOffset from "../../protocol/request/GetMinOffset.ts"
import * as GetMaxOffset from "../../protocol/request/GetMaxOffset.ts"
import * as SearchOffset from "../../protocol/request/SearchOffsetByTimestamp.ts"
import type { OffsetStore, OffsetStoreError } from "./OffsetStore.ts"

/** A time from which a group begins. */
export interface FromTimestamp {
  /**
   * Messages stored then or later, by the broker's clock: a `DateTime`, a `Date`, milliseconds since the epoch, or a text such
   * as `2024-02-29T12:00:00Z`, without a zone in UTC. In a `Config` also Java's `yyyyMMddHHmmss`, in the zone of this machine;
   * default there, where only `CONSUME_FROM_TIMESTAMP` is said, half an hour ago, as in Java.
   */
  readonly timestamp: DateTime.DateTime.Input
}

/**
 * Where a group begins that has no offset for a queue: at its first message, behind its last, or at the first message stored
 * at a time or later.
 *
 * Source: RocketMQ `ConsumeFromWhere`.
 */
export type ConsumeFromWhere = "first" | "last" | FromTimestamp

/** A {@link ConsumeFromWhere} that was checked. */
export type StartPlace = "first" | "last" | { readonly timestamp: DateTime.Utc }

/** Milliseconds that a broker may take to say an offset, as in Java. */
const TIMEOUT_MILLIS = 6_000

/** Where to begin, and whether that was decided now and is to be written at once. */
export interface StartOffset {
  /** The first offset to read. */
  readonly offset: number
  /** Whether the group had none. */
  readonly isNew: boolean
  /**
   * How many messages are read although the group begins at `last`, because a broker of before 5.0 says 0 for a queue that is
   * young, be there an offset or not; undefined where that is not so.
   */
  readonly young?: number | undefined
}

const ask = <A>(
  instance: MQClientInstanceShape,
  queue: MessageQueue,
  call: (address: string) => Effect.Effect<A, ApiError>
) =>
  Effect.suspend((): Effect.Effect<A, ApiError | RouteUnavailable> => {
    const address = instance.routes.findBrokerAddressInSubscribe(queue.brokerName, MASTER_ID, false)?.address
    return address === undefined
      ? Effect.fail(new RouteUnavailable({ topic: queue.topic, problem: "no-master", tries: [] }))
      : call(address)
  })

/** The offset that the queue's next message will get. */
export const maxOffset = (instance: MQClientInstanceShape, queue: MessageQueue) =>
  ask(instance, queue, (address) =>
    instance.api.call(
      address,
      GetMaxOffset.request({
        topic: queue.topic,
        queueId: queue.queueId,
        committed: true,
        brokerName: queue.brokerName
      }),
      TIMEOUT_MILLIS,
      GetMaxOffset.decodeResponse
    )
  ).pipe(Effect.map(({ offset }) => offset))

/** The offset of the oldest message that the queue still has. */
export const minOffset = (instance: MQClientInstanceShape, queue: MessageQueue) =>
  ask(instance, queue, (address) =>
    instance.api.call(
      address,
      GetMinOffset.request({ topic: queue.topic, queueId: queue.queueId, brokerName: queue.brokerName }),
      TIMEOUT_MILLIS,
      GetMinOffset.decodeResponse
    )
  ).pipe(Effect.map(({ offset }) => offset))

/** The offset of the first message that was stored at a time, in milliseconds since the epoch, or later. */
export const offsetAt = (instance: MQClientInstanceShape, queue: MessageQueue, timestamp: number) =>
  ask(instance, queue, (address) =>
    instance.api.call(
      address,
      SearchOffset.request({
        topic: queue.topic,
        queueId: queue.queueId,
        timestamp,
        brokerName: queue.brokerName
      }),
      TIMEOUT_MILLIS,
      SearchOffset.decodeResponse
    )
  ).pipe(Effect.map(({ offset }) => offset))

/** Whether the queue's broker is of a release before 5.0. */
const isOld = (instance: MQClientInstanceShape, queue: MessageQueue): boolean => {
  const address = instance.routes.findBrokerAddressInSubscribe(queue.brokerName, MASTER_ID, false)?.address
  const release = address === undefined ? undefined : instance.api.releaseOf(address)
  return release !== undefined && release < MQVersion.V5_0_0
}

/**
 * Where a queue begins that was just taken: what the group has stored, else as the option says. Retry topics begin at their
 * first message: what lies there was given back by the group itself.
 *
 * Source: RocketMQ `RebalancePushImpl.computePullFromWhereWithException`.
 */
export const resolve = Effect.fnUntraced(function* (
  instance: MQClientInstanceShape,
  store: OffsetStore,
  group: string,
  queue: MessageQueue,
  from: StartPlace,
  /** Whether the store is that of the brokers. */
  onBrokers: boolean
): Effect.fn.Return<StartOffset, OffsetStoreError | ApiError | RouteUnavailable> {
  const stored = yield* store.load(group, queue)
  if (stored !== undefined) {
    const isDoubtful = stored === 0 && from === "last" && onBrokers && !isRetryTopic(queue.topic)
    if (!isDoubtful || !isOld(instance, queue)) return { offset: stored, isNew: false }
    const end = yield* maxOffset(instance, queue)
    return { offset: stored, isNew: false, young: end > 0 ? end : undefined }
  }
  if (isRetryTopic(queue.topic) || from === "first") return { offset: 0, isNew: true }
  if (from === "last") return { offset: yield* maxOffset(instance, queue), isNew: true }
  return { offset: yield* offsetAt(instance, queue, from.timestamp.epochMilliseconds), isNew: true }
})
