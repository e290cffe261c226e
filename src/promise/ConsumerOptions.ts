import { Effect } from "effect"
import type { PushConsumerOptions } from "../consumer/ConsumerOptions.ts"
import type { StreamOptions } from "../consumer/MessageStream.ts"
import { type OffsetEntry, type OffsetStore, OffsetStoreError } from "../consumer/offset/OffsetStore.ts"
import type { RebalanceListener } from "../consumer/rebalance/RebalanceListener.ts"
import * as ForeignText from "../message/ForeignText.ts"
import * as MessageQueue from "../message/MessageQueue.ts"
import { type PlainParts, redact } from "./Options.ts"

/** An `OffsetStore` for code without Effect; what it throws is told in the consumer's problems, and tried again. */
export interface PlainOffsetStore {
  /** The offset that was written last for a queue of the group; undefined when none ever was. */
  readonly load: (group: string, queue: MessageQueue.MessageQueue) => Promise<number | undefined>
  /** Writes an offset; done when it is written. With `reset` it was not: `load` gives where the group is to read on. */
  readonly persist: (group: string, entry: OffsetEntry) => Promise<void | "reset">
}

/** A `RebalanceListener` for code without Effect; what it throws is told in the consumer's problems. */
export interface PlainRebalanceListener {
  /** Queues were taken, before their first pull. */
  readonly assigned?: ((queues: ReadonlyArray<MessageQueue.MessageQueue>) => Promise<unknown> | void) | undefined
  /** Queues are given up, when their last handler has ended, and before their offsets are written for the last time. */
  readonly revoked?: ((queues: ReadonlyArray<MessageQueue.MessageQueue>) => Promise<unknown> | void) | undefined
}

/** What stands for Effect's own types in the options of a consumer. */
export interface PlainConsumerParts extends PlainParts {
  /** Where the group's offsets are kept; by default on the brokers. */
  readonly offsetStore?: PlainOffsetStore | undefined
  /** Hears of queues that are taken and given up. */
  readonly rebalanceListener?: PlainRebalanceListener | undefined
}

/** The options of a push consumer for code without Effect: those of the other face, with plain secrets. */
export interface PlainConsumerOptions
  extends Omit<PushConsumerOptions, "credentials" | "offsetStore" | "rebalanceListener" | "tls">, PlainConsumerParts {}

/** The options of {@link messages} for code without Effect: those of `MessageStream.make`, with plain secrets. */
export interface PlainStreamOptions
  extends Omit<StreamOptions, "credentials" | "offsetStore" | "rebalanceListener" | "tls">, PlainConsumerParts {}

const failed = (operation: "load" | "persist", group: string, queue: MessageQueue.MessageQueue) => (cause: unknown) =>
  cause instanceof OffsetStoreError
    ? cause
    : new OffsetStoreError({
        operation,
        group,
        queue: MessageQueue.key(queue),
        detail: ForeignText.ofThrown(cause, 200),
        cause
      })

const storeOf = (store: PlainOffsetStore): OffsetStore => ({
  load: (group, queue) =>
    Effect.tryPromise({ try: async () => store.load(group, queue), catch: failed("load", group, queue) }),
  persist: (group, entry) =>
    Effect.tryPromise({ try: async () => store.persist(group, entry), catch: failed("persist", group, entry.queue) })
})

const heard = (call: PlainRebalanceListener["assigned"]): RebalanceListener["assigned"] =>
  call === undefined ? undefined : (queues) => Effect.promise(async () => call(queues))

const listenerOf = ({ assigned, revoked }: PlainRebalanceListener): RebalanceListener => ({
  assigned: heard(assigned),
  revoked: heard(revoked)
})

/** The options with their secrets redacted, and with stores as the other face has them. */
export const plain = <O extends PlainConsumerParts>({ offsetStore, rebalanceListener, ...options }: O) => ({
  ...redact(options),
  rebalanceListener: rebalanceListener === undefined ? undefined : listenerOf(rebalanceListener),
  offsetStore: offsetStore === undefined ? undefined : storeOf(offsetStore)
})
