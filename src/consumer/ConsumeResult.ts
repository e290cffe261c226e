import { Duration } from "effect"

/** After how long a message comes again: a span, or what the broker's own table of delays says. */
export type ReconsumeAfter = Duration.Input | "broker"

/**
 * What became of a message, as a handler says it. Opaque: made by {@link success}, {@link reconsumeLater} and
 * {@link deadLetter} only. A handler that ends without one has consumed its message.
 *
 * Source: RocketMQ `ConsumeConcurrentlyStatus`, `ConsumeConcurrentlyContext.setDelayLevelWhenNextConsume`.
 */
export type ConsumeResult =
  | {
      /** Consumed. */
      readonly _tag: "Success"
    }
  | {
      /** To come again. */
      readonly _tag: "ReconsumeLater"
      /** After how long; undefined leaves it to the consumer's `reconsumePolicy`. */
      readonly after: ReconsumeAfter | undefined
    }
  | {
      /** Given up. */
      readonly _tag: "DeadLetter"
      /** Why, for the log; undefined when nothing was said. */
      readonly reason: string | undefined
    }

/** The message is consumed (Java `CONSUME_SUCCESS`). */
export const success: ConsumeResult = { _tag: "Success" }

/**
 * The message is to come again (Java `RECONSUME_LATER`), after the given time or, without one, as the consumer's
 * `reconsumePolicy` says. Brokers know levels only: it comes after the smallest one that is not shorter.
 */
export const reconsumeLater = (after?: ReconsumeAfter): ConsumeResult => ({ _tag: "ReconsumeLater", after })

/** The message is given up and goes to the group's dead-letter topic at once (Java's delay level -1). */
export const deadLetter = (reason?: string): ConsumeResult => ({ _tag: "DeadLetter", reason })
