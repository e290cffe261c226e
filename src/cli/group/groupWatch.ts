import { Clock, Console, Effect } from "effect"
import type { ConsumeProgress } from "../../admin/Clients.ts"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { monotonicMillis } from "../../transport/Deadline.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { CommandFailed, ExitCode, reporting, tell } from "../Failure.ts"
import { knownGroup } from "../KnownGroup.ts"
import { fit, type Palette, palette, Screen } from "../Screen.ts"
import { duration, json, moment, number } from "../Text.ts"

/** What `group watch` is asked. */
export interface GroupWatchInput extends Connection {
  readonly group: string
  readonly topic: string | undefined
  /** Milliseconds between two looks. */
  readonly interval: number
  /** End after so many looks. */
  readonly count: number | undefined
  /** End once the group is no further behind. */
  readonly until: number | undefined
  readonly json: boolean
}

/** So many looks in a row may fail: a broker that restarts is back by then. */
const MAX_FAILURES = 15

/** One look at a group, and what happened since the one before. */
interface Look {
  readonly time: number
  readonly lag: number
  /** Messages a second since the look before; null at the first. */
  readonly readPerSecond: number | null
  readonly storedPerSecond: number | null
  /** Milliseconds until it has caught up at this pace; null where it does not. */
  readonly caughtUpInMillis: number | null
}

const sums = ({ queues }: ConsumeProgress) => ({
  read: queues.reduce((sum, { consumerOffset }) => sum + Number(consumerOffset), 0),
  stored: queues.reduce((sum, { brokerOffset }) => sum + brokerOffset, 0)
})

const round = (n: number): number => Math.round(n * 10) / 10

const lineOf = (look: Look, colors: Palette): string => {
  const { caughtUpInMillis, lag, readPerSecond, storedPerSecond } = look
  return [
    `${lag === 0 ? colors.good("0") : colors.accent(number(lag))} behind`,
    ...(readPerSecond === null || storedPerSecond === null
      ? []
      : [`${number(readPerSecond)} read/s`, `${number(storedPerSecond)} stored/s`]),
    ...(caughtUpInMillis === null ? [] : [`caught up in ${duration(caughtUpInMillis)}`])
  ].join(", ")
}

/** `effect-rocketmq group watch`: how far a group is behind, again and again. */
export const run = (input: GroupWatchInput) =>
  Effect.gen(function* () {
    const admin = yield* MQAdmin
    const { count = Infinity, group, interval, topic, until = -1 } = input
    const screen = yield* Screen
    const isLive = screen.stderr.isTerminal && !input.json
    const now = monotonicMillis(yield* Clock.Clock)
    let last: { readonly read: number; readonly stored: number; readonly at: number } | undefined
    let failures = 0
    let lag = Infinity

    const look = Effect.gen(function* () {
      const progress = yield* admin.examineConsumeStats(group, topic)
      if (last === undefined && progress.queues.length === 0) yield* knownGroup(group)
      const found = { ...sums(progress), at: now() }
      const seconds = last === undefined ? 0 : (found.at - last.at) / 1_000
      // A reset moves a group back: nothing was read then.
      const perSecond = (to: number, from: number) => (seconds > 0 ? round(Math.max(0, to - from) / seconds) : null)
      const readPerSecond = perSecond(found.read, last?.read ?? 0)
      const storedPerSecond = perSecond(found.stored, last?.stored ?? 0)
      const gain = (readPerSecond ?? 0) - (storedPerSecond ?? 0)
      last = found
      lag = progress.lag
      const shown: Look = {
        time: yield* Clock.currentTimeMillis,
        lag,
        readPerSecond,
        storedPerSecond,
        caughtUpInMillis: lag > 0 && gain > 0 ? Math.round((lag / gain) * 1_000) : null
      }
      if (isLive) {
        yield* screen.status(fit(lineOf(shown, palette(screen.stderr)), screen.columns))
      } else {
        yield* screen.line(
          input.json ? json({ group, ...shown }) : `${moment(shown.time)}  ${lineOf(shown, palette(screen.stdout))}`
        )
      }
    })

    const looks = Effect.gen(function* () {
      for (let looked = 1; ; looked++) {
        yield* look.pipe(
          Effect.tap(() => Effect.sync(() => (failures = 0))),
          Effect.catchIf(
            (error) => error._tag === "AdminError" && last !== undefined && ++failures <= MAX_FAILURES,
            () => Effect.void
          )
        )
        if (lag <= until || looked >= count) return
        yield* Effect.sleep(interval)
      }
    })
    // A reader that goes away ends it.
    yield* looks.pipe(
      Effect.catchTag("OutputClosed", () => Effect.void),
      Effect.ensuring(screen.status(undefined))
    )
    if (isLive) yield* Console.error(`group ${group}: ${number(lag)} behind`)
    if (input.until !== undefined && lag > until) {
      const message = `Group "${group}" is ${number(lag)} behind after ${number(count)} looks, and not ${number(until)}.`
      yield* tell({ tag: "StillBehind", message, remedy: "Look longer: raise --count.", exitCode: ExitCode.failed })
      yield* new CommandFailed({ exitCode: ExitCode.failed, summary: message })
    }
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
