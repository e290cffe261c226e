import type { Effect, Scope } from "effect"
import type { MessageQueue } from "../message/MessageQueue.ts"
import type { Consumption, ConsumptionTools } from "./consume/Consumption.ts"
import type { Directly, DirectTools } from "./consume/Direct.ts"
import type { LitePull } from "./run/RunOptions.ts"

/** What makes a kind of consumer: what is done with messages that were pulled. */
export interface ConsumerKind<in out C extends Consumption> {
  /** Messages that a handler gets at most, for those who ask for the consumer's properties. */
  readonly batchSize: number
  /** Whether queues are consumed in order, under a broker's lock. */
  readonly isOrderly?: boolean
  /** Makes what takes messages over, in the scope of a start. */
  readonly consumption: (tools: ConsumptionTools) => Effect.Effect<C, never, Scope.Scope>
  /** Makes what hands single messages to the listener; undefined for a kind without one. */
  readonly directly: ((tools: DirectTools) => Effect.Effect<Directly, never, Scope.Scope>) | undefined
  /** For a kind that is asked for messages, and whose group has no retries; undefined for one that hands them out. */
  readonly active?: ActiveKind
}

/**
 * A consumer that is asked for messages: nothing of its group comes again by itself, and offsets are committed as far as
 * somebody says. Source: RocketMQ `CONSUME_ACTIVELY`.
 */
export interface ActiveKind extends LitePull {
  /** The queues that the program has chosen itself; undefined while they are shared out among the members of the group. */
  readonly assigned: () => ReadonlyArray<MessageQueue> | undefined
  /** Its properties beside those of every consumer, as Java's tools show them. */
  readonly properties: Readonly<Record<string, unknown>>
}
