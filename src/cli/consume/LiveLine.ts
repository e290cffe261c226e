import { Clock, Effect } from "effect"
import type { ConsumerState } from "../../consumer/ConsumerState.ts"
import { isRetryTopic } from "../../message/MixAll.ts"
import { monotonicMillis } from "../../transport/Deadline.ts"
import { type Palette, Screen, withProgress } from "../Screen.ts"
import { count, number } from "../Text.ts"
import type { ConsumeStats } from "./ConsumeStats.ts"

/** What the live line tells of. */
export interface Live {
  readonly stats: ConsumeStats
  /** After how many messages the run ends, if after any. */
  readonly target: number | undefined
  readonly state: Effect.Effect<ConsumerState>
}

/** How often it looks at the consumer, in milliseconds. */
const LOOK_MILLIS = 250

const lagOf = ({ queues }: ConsumerState): number => queues.reduce((sum, { lag }) => sum + (lag ?? 0), 0)

/** How many, how fast, how far behind, how many came to nothing, and which share of the queues. */
const line = (
  colors: Palette,
  stats: ConsumeStats,
  rate: number,
  state: ConsumerState,
  target: number | undefined
): string => {
  const queues = state.queues.filter(({ queue }) => !isRetryTopic(queue.topic)).length
  return [
    `${number(stats.consumed)}${target === undefined ? "" : ` / ${number(target)}`} consumed`,
    `${colors.accent(number(rate))}/s`,
    `${number(lagOf(state))} behind`,
    ...(stats.failed === 0 ? [] : [colors.warn(`${number(stats.failed)} given back`)]),
    `${count(queues, "queue")}, ${count(state.members.length, "member")}`
  ].join(", ")
}

/** Shows the live line on a terminal while an effect runs. */
export const live = Effect.fnUntraced(function* <A, E, R>(of: Live, self: Effect.Effect<A, E, R>) {
  if (!(yield* Screen).stderr.isTerminal) return yield* self
  const { stats, target } = of
  let state = yield* of.state
  let rate = 0
  const now = monotonicMillis(yield* Clock.Clock)
  let last = { consumed: stats.consumed, at: now() }
  const look = Effect.sleep(LOOK_MILLIS).pipe(
    Effect.andThen(of.state),
    Effect.map((latest) => {
      state = latest
      const { consumed } = stats
      const at = now()
      // Smoothed, so that it can be read.
      rate = 0.7 * rate + (0.3 * (consumed - last.consumed) * 1_000) / Math.max(1, at - last.at)
      last = { consumed, at }
    }),
    Effect.forever
  )
  return yield* Effect.raceFirst(
    withProgress((colors) => line(colors, stats, rate, state, target), self),
    look
  )
})
