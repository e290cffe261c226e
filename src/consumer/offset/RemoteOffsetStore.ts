import { Effect } from "effect"
import * as ConsumerOffsets from "../../client/ConsumerOffsets.ts"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import * as MessageQueue from "../../message/MessageQueue.ts"
import { type OffsetStore, OffsetStoreError } from "./OffsetStore.ts"

/** Milliseconds that reading or writing an offset may take, as in Java. */
const TIMEOUT_MILLIS = 5_000

const failed = (operation: "load" | "persist", group: string, queue: MessageQueue.MessageQueue) => (cause: Error) =>
  new OffsetStoreError({ operation, group, queue: MessageQueue.key(queue), detail: cause.message, cause })

/**
 * The offsets of a group on the brokers, in clustering mode: QUERY_CONSUMER_OFFSET (14), UPDATE_CONSUMER_OFFSET (15).
 *
 * `setZeroIfNotFound: false` asks a broker of 5.x to say "not found" even for a queue so young that its first message is
 * still in memory; with true it answers 0 for those, as brokers of 4.x do in any case.
 *
 * Source: RocketMQ `RemoteBrokerOffsetStore`.
 */
export const make = (instance: MQClientInstanceShape, setZeroIfNotFound: boolean): OffsetStore => {
  const offsets = ConsumerOffsets.make(instance, TIMEOUT_MILLIS)
  return {
    load: (group, queue) =>
      offsets.query(group, queue, setZeroIfNotFound).pipe(
        // No queue is as long as that: what is beyond a safe integer was never written by a consumer.
        Effect.map((offset) => (typeof offset === "bigint" || (offset ?? -1) < 0 ? undefined : offset)),
        Effect.mapError(failed("load", group, queue))
      ),
    persist: (group, { offset, queue }) =>
      offsets.update(group, queue, offset).pipe(
        Effect.map(({ reset }) => (reset ? "reset" : undefined)),
        Effect.mapError(failed("persist", group, queue))
      )
  }
}
