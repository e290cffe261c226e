import type { Effect } from "effect"
import { Schema } from "effect"
import type { MessageQueue } from "../../message/MessageQueue.ts"

/** A store that could not read or write an offset. The position stays in memory and is written again later. */
export class OffsetStoreError extends Schema.TaggedError<OffsetStoreError>()("OffsetStoreError", {
  /** What was tried. */
  operation: Schema.Literals(["load", "persist"]),
  /** The consumer group. */
  group: Schema.String,
  /** The queue, as `topic@broker@id`. */
  queue: Schema.String,
  /** What the store, or the broker, said. */
  detail: Schema.String,
  /** The failure behind it. */
  cause: Schema.Defect()
}) {
  override get message() {
    const what = this.operation === "load" ? "read the offset of" : "write the offset of"
    return `Could not ${what} queue ${this.queue} for group ${this.group}: ${this.detail}. It is tried again.`
  }
}

/** An offset to write: up to where a queue was processed. */
export interface OffsetEntry {
  /** The queue. */
  readonly queue: MessageQueue
  /** The next offset that is not finished. */
  readonly offset: number
}

/**
 * Where a group's offsets are kept. The default is the broker that has the queue; one's own lets a handler's result and the
 * offset be written in one transaction. `group` is the consumer group, names are without the namespace.
 *
 * Source: RocketMQ `OffsetStore`.
 */
export interface OffsetStore {
  /** The offset that was written last; undefined when none ever was. "Not known" is no number, so it never goes on the wire. */
  readonly load: (group: string, queue: MessageQueue) => Effect.Effect<number | undefined, OffsetStoreError>
  /**
   * Writes an offset and succeeds when it is written. With `reset` it was not: somebody has set where the group reads on
   * meanwhile, and `load` gives where that is; the queue is read on there.
   */
  readonly persist: (group: string, entry: OffsetEntry) => Effect.Effect<void | "reset", OffsetStoreError>
}
