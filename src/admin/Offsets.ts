import { Effect } from "effect"
import * as ConsumerOffsets from "../client/ConsumerOffsets.ts"
import { absentOn } from "../client/MQClientApi.ts"
import * as MessageQueues from "../message/MessageQueue.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import * as GetEarliestMsgStoretime from "../protocol/request/GetEarliestMsgStoretime.ts"
import * as ResetOffset from "../protocol/request/ResetOffset.ts"
import * as SearchOffsetByTimestamp from "../protocol/request/SearchOffsetByTimestamp.ts"
import { ResponseCode } from "../protocol/ResponseCode.ts"
import { type AdminContext, type BrokerAddress, failing } from "./AdminContext.ts"
import type { AdminError, AdminReason } from "./AdminError.ts"
import type { Messages } from "./Messages.ts"

/** Where a group is to read on. */
export interface ResetOffsetOptions {
  /** The consumer group. */
  readonly group: string
  /** The topic, all of whose queues are reset. */
  readonly topic: string
  /**
   * Milliseconds since the epoch: at the first message stored then or later; `earliest` and `latest` are the two ends.
   */
  readonly to: number | "earliest" | "latest"
  /**
   * Whether to move the group forward too, past messages that it has not read; default true (mqadmin's `-f`). Without it a
   * queue in which the group is behind the place keeps its offset. Brokers of 5.x know no such thing and move it whatever
   * they are told: only the queues that go back are asked for there.
   */
  readonly force?: boolean | undefined
}

/** A queue and where the group reads it on. */
export interface ResetQueue {
  /** The queue. */
  readonly queue: MessageQueue
  /** The offset of the message that the group reads next; a bigint where a number would not hold what a client committed. */
  readonly offset: number | bigint
}

/** The calls about offsets; the names are those of Java's `DefaultMQAdminExt`. */
export interface Offsets {
  /**
   * The offset of the first message that was stored at a time or later; the end of the queue when all are older. Brokers
   * before 5.0 give the message whose time is nearest.
   */
  readonly searchOffset: (queue: MessageQueue, timestamp: number) => Effect.Effect<number, AdminError>
  /** When the oldest message of a queue was stored, in milliseconds since the epoch; undefined for an empty queue. */
  readonly earliestMsgStoreTime: (queue: MessageQueue) => Effect.Effect<number | undefined, AdminError>
  /**
   * The offset that a group reads next; undefined when it has never committed one, where brokers before 5.0 may say 0. A
   * broker takes any 64-bit int from a client: it is a bigint where a number would not hold it.
   */
  readonly fetchConsumeOffset: (
    group: string,
    queue: MessageQueue
  ) => Effect.Effect<number | bigint | undefined, AdminError>
  /** Sets the offset that a group reads next; consumers that are online do not see it. */
  readonly updateConsumeOffset: (group: string, queue: MessageQueue, offset: number) => Effect.Effect<void, AdminError>
  /**
   * Sets where a group reads a topic on, by time. Brokers of 5.x do it themselves; consumers may be online. Before 5.0,
   * brokers tell the consumers that are online; where nobody is, the offsets are set for those to come.
   */
  readonly resetOffsetByTimestamp: (options: ResetOffsetOptions) => Effect.Effect<ReadonlyArray<ResetQueue>, AdminError>
}

/** Makes the calls about offsets. Source: RocketMQ `DefaultMQAdminExtImpl`, `ResetOffsetByTimeCommand`. */
export const make = (
  context: AdminContext,
  messages: Pick<Messages, "fetchSubscribeMessageQueues" | "minOffset" | "maxOffset">
): Offsets => {
  const { addressOf, instance, isModern, mastersOf, timeoutMillis, unwrapQueue } = context
  const { api } = instance
  const offsets = ConsumerOffsets.make(instance, timeoutMillis)

  const searchOffset: Offsets["searchOffset"] = (queue, timestamp) =>
    addressOf(queue).pipe(
      Effect.flatMap((address) =>
        api.call(
          address,
          SearchOffsetByTimestamp.request({ topic: queue.topic, queueId: queue.queueId, timestamp }),
          timeoutMillis,
          SearchOffsetByTimestamp.decodeResponse
        )
      ),
      Effect.map(({ offset }) => offset),
      failing(`search ${MessageQueues.key(queue)} for the offset at ${timestamp}`)
    )

  const offsetOf = (group: string, queue: MessageQueue) => offsets.query(group, queue, false)

  const targetOf = (to: ResetOffsetOptions["to"], queue: MessageQueue) =>
    to === "latest"
      ? messages.maxOffset(queue)
      : to === "earliest"
        ? messages.minOffset(queue)
        : searchOffset(queue, to)

  const queuesOn = (topic: string, { brokerName }: BrokerAddress) =>
    Effect.map(messages.fetchSubscribeMessageQueues(topic), (all) => all.filter((q) => q.brokerName === brokerName))

  /** What brokers of before 5.0 leave to the caller when no consumer is online. */
  const resetOffline = Effect.fnUntraced(function* (options: ResetOffsetOptions, broker: BrokerAddress) {
    const { force = true, group, to, topic } = options
    return yield* Effect.forEach(yield* queuesOn(topic, broker), (queue) =>
      Effect.gen(function* () {
        const target = yield* targetOf(to, queue)
        const current = yield* offsetOf(group, queue)
        const offset = !force && current !== undefined && current < target ? current : target
        // Also where it stands there: these brokers say 0 for a group that has committed nothing.
        yield* offsets.update(group, queue, offset)
        return { queue, offset } satisfies ResetQueue
      })
    )
  })

  /** The queues of a broker of 5.x in which the group goes back; the others stay where they are. */
  const resetBack = Effect.fnUntraced(function* (
    header: ResetOffset.ResetOffsetHeader,
    { group, to, topic }: ResetOffsetOptions,
    broker: BrokerAddress
  ) {
    return yield* Effect.forEach(yield* queuesOn(topic, broker), (queue) =>
      Effect.gen(function* () {
        const target = yield* targetOf(to, queue)
        const current = yield* offsetOf(group, queue)
        if (current !== undefined && current <= target) return { queue, offset: current } satisfies ResetQueue
        const request = ResetOffset.request({ ...header, queueId: queue.queueId })
        const { offsetTable } = yield* api.call(broker.address, request, timeoutMillis, ResetOffset.decodeResponse)
        const [, offset] = offsetTable.find(([{ queueId }]) => queueId === queue.queueId) ?? [queue, target]
        return { queue, offset } satisfies ResetQueue
      })
    )
  })

  const reset = Effect.fnUntraced(function* (
    options: ResetOffsetOptions
  ): Effect.fn.Return<ReadonlyArray<ResetQueue>, AdminError> {
    const { force = true, group, to, topic } = options
    const operation = `reset the offsets of group ${group} in topic ${topic}`
    const header = { topic, group, timestamp: to === "latest" ? -1 : to === "earliest" ? 0 : to, isForce: force }
    const request = ResetOffset.request(header)
    const done: Array<string> = []
    const result: Array<ResetQueue> = []
    for (const broker of yield* mastersOf(topic).pipe(failing(operation))) {
      const asked = api
        .call(broker.address, request, timeoutMillis, ResetOffset.decodeResponse)
        .pipe(absentOn(ResponseCode.CONSUMER_NOT_ONLINE))
      const answer: Effect.Effect<ReadonlyArray<ResetQueue>, AdminReason | AdminError> = asked.pipe(
        // Before 5.0 a group that has not committed an offset of every queue is refused before anybody asks who is online:
        // once it has, those who are online can be told.
        Effect.catchIf(
          (error) =>
            error._tag === "BrokerRejected" &&
            error.code === ResponseCode.SYSTEM_ERROR &&
            error.remark.startsWith("THe consumer group <"),
          () => Effect.andThen(resetOffline(options, broker), asked)
        ),
        Effect.flatMap((found) =>
          found === undefined
            ? resetOffline(options, broker)
            : Effect.succeed(found.offsetTable.map(([queue, offset]) => ({ queue: unwrapQueue(queue), offset })))
        )
      )
      const whole = force ? Effect.succeed(true) : Effect.map(isModern(broker.address), (modern) => !modern)
      const queues = yield* Effect.flatMap(whole, (isWhole): typeof answer =>
        isWhole ? answer : resetBack(header, options, broker)
      ).pipe(
        Effect.catchTag("AdminError", ({ reason }) => Effect.fail(reason)),
        failing(operation, done)
      )
      for (const queue of queues) result.push(queue)
      done.push(broker.brokerName)
    }
    return result.toSorted((a, b) => MessageQueues.compare(a.queue, b.queue))
  })

  return {
    searchOffset,
    earliestMsgStoreTime: (queue) =>
      addressOf(queue).pipe(
        Effect.flatMap((address) =>
          api.call(
            address,
            GetEarliestMsgStoretime.request({ topic: queue.topic, queueId: queue.queueId }),
            timeoutMillis,
            GetEarliestMsgStoretime.decodeResponse
          )
        ),
        Effect.map(({ timestamp }) => (timestamp < 0 ? undefined : timestamp)),
        failing(`read the time of the oldest message of ${MessageQueues.key(queue)}`)
      ),
    fetchConsumeOffset: (group, queue) =>
      offsetOf(group, queue).pipe(failing(`read the offset of group ${group} in ${MessageQueues.key(queue)}`)),
    updateConsumeOffset: (group, queue, offset) =>
      offsets
        .update(group, queue, offset)
        .pipe(Effect.asVoid, failing(`set the offset of group ${group} in ${MessageQueues.key(queue)}`)),
    resetOffsetByTimestamp: reset
  }
}
