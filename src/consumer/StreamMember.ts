import { Effect, Stream, type Tracer } from "effect"
import * as Kinds from "../client/options/OptionKinds.ts"
import * as OptionTable from "../client/options/OptionTable.ts"
import * as HandOut from "./consume/HandOut.ts"
import * as ConsumeResult from "./ConsumeResult.ts"
import type { ConsumerFailed } from "./ConsumerFailed.ts"
import * as ConsumerLife from "./ConsumerLife.ts"
import * as ConsumerOptions from "./ConsumerOptions.ts"
import type { ReceivedMessage } from "./ReceivedMessage.ts"

/**
 * A message, and what is to be said of it. Each of its effects succeeds with what that came to, never with an error. A
 * delivery that is not settled holds up the offset of its queue; it is given back after `consumeTimeout`.
 */
export interface Delivery<out A = ReceivedMessage> {
  /** What it carries: the message, or the value of a typed topic. */
  readonly value: A
  /** The message as it was received. */
  readonly message: ReceivedMessage
  /**
   * Its span `process {topic}`, from when it was handed out until it is settled: what belongs to it can be put below with
   * `Effect.withParentSpan`, as {@link settle} does. Undefined where no tracer is set.
   */
  readonly span: Tracer.Span | undefined
  /** It is consumed. */
  readonly ack: Effect.Effect<HandOut.AckOutcome>
  /** It is to come again, after that time; without one as `reconsumePolicy` says, with `broker` as the broker's table has it. */
  readonly nack: (after?: ConsumeResult.ReconsumeAfter) => Effect.Effect<HandOut.AckOutcome>
  /** It is given up, and goes to the group's dead letters at once. */
  readonly deadLetter: (reason?: string) => Effect.Effect<HandOut.AckOutcome>
}

/** The options of a stream: those of a push consumer that do not speak of handlers, and `prefetch`. */
export interface StreamOptions extends Omit<
  ConsumerOptions.PushConsumerOptions,
  "adjustThreadPoolNumsThreshold" | "concurrency" | "consumeThreadMax" | "consumeThreadMin" | "ratePerSecond"
> {
  /**
   * No pull of a queue begins while so many of its messages wait to be read; default 32. With 0, pulls begin only when
   * somebody waits for a message and there is none.
   */
  readonly prefetch?: number | undefined
}

const streamTable = {
  prefetch: Kinds.whole({ name: "prefetch", java: "none", default: 32, least: 0, most: 65_535 })
}

/** What the options of a push consumer and those of streams come to. */
const resolve = (options: StreamOptions) => {
  const consumer = ConsumerOptions.resolve(options)
  const own = OptionTable.resolve<{ readonly prefetch: number }>(streamTable, options)
  return {
    resolution: { config: consumer.config, problems: [...consumer.problems, ...own.problems] },
    prefetch: own.config.prefetch
  }
}

const deliveryOf = ({ message, settle: end, span }: HandOut.Handed): Delivery => ({
  value: message,
  message,
  span,
  ack: end(ConsumeResult.success),
  nack: (after) => end(ConsumeResult.reconsumeLater(after)),
  deadLetter: (reason) => end(ConsumeResult.deadLetter(reason))
})

/** A stream of what is taken: one at a time, what was handed out is in somebody's hands. */
export const deliveries = <E>(take: Effect.Effect<HandOut.Handed, E>) =>
  Stream.fromPull(Effect.succeed(Effect.map(take, (handed): readonly [Delivery] => [deliveryOf(handed)])))

/**
 * Starts a member of the group, which hands out what is asked for, in the current scope; undefined when it was ended
 * meanwhile.
 */
export const open = Effect.fnUntraced(function* (options: StreamOptions) {
  const { prefetch, resolution } = resolve(options)
  const life = yield* ConsumerLife.started<HandOut.HandOut<ConsumerFailed>>(resolution, {
    batchSize: 1,
    consumption: (tools) => HandOut.make<ConsumerFailed>(prefetch, tools),
    directly: undefined
  })
  const parts = life.running()
  if (parts === undefined) return undefined
  const { consumption: handOut, run } = parts
  handOut.onDemand(run.lookForRoom)
  // Before the shutdown, which then waits for nobody but what is being given back: what is not settled comes again.
  yield* Effect.addFinalizer(() => Effect.sync(() => handOut.interrupt()))
  yield* life.consumer.failed.pipe(
    Effect.catch((error) => Effect.sync(() => handOut.fail(error))),
    Effect.forkScoped({ startImmediately: true })
  )
  return { handOut, consumer: life.consumer }
})
