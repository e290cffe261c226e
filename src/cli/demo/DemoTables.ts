import { Clock, Effect } from "effect"
import type { TimerState } from "../../client/Timers.ts"
import type { QueueComparison } from "./DemoCompare.ts"
import { count, duration, number, table } from "../Text.ts"

/** The timers as a table, the first row being its head. */
export const timerRows = (timers: ReadonlyArray<TimerState>): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(Clock.currentTimeMillis, (now) =>
    table(
      [
        ["", "TIMER", "FIRST", "EVERY", "RUNS", "FAILED", "LAST RUN", "NEXT RUN"],
        ...timers.map((timer) => [
          String(timer.number),
          timer.name,
          duration(timer.initialDelayMillis),
          duration(timer.periodMillis),
          String(timer.runs),
          String(timer.failures),
          timer.lastEnd === undefined ? "-" : `${duration(now - timer.lastEnd)} ago`,
          timer.next === undefined ? "off: addresses are set" : `in ${duration(Math.max(0, timer.next - now))}`
        ])
      ],
      [2, 3, 4, 5]
    )
  )

/** What the queues held, a row each. */
export const queueRows = (queues: ReadonlyArray<QueueComparison>): ReadonlyArray<string> =>
  table(
    queues.map(({ equal, maxOffset, minOffset, queue, read }) => [
      `${queue.brokerName} queue ${queue.queueId}`,
      count(read, "message"),
      maxOffset === minOffset ? "empty" : `offsets ${number(minOffset)} to ${number(maxOffset - 1)}`,
      equal === read ? "all equal" : `${number(equal)} equal`
    ]),
    [1]
  )
