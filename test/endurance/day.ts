/** A virtual day of ten members of each kind; `npm test` has one of ten members in all. */
import { Effect, References } from "effect"
import { TestClock } from "effect/testing"
import { day } from "../consumer/virtualDay.ts"
import { type Outcome, say } from "./Report.ts"

/** What a day is run with. */
export interface RunOptions {
  /** Members of each kind. */
  readonly each: number
  readonly hours: number
}

/** Runs it. */
export const run = ({ each, hours }: RunOptions): Promise<Outcome> => {
  const began = performance.now()
  return day({
    members: {
      concurrent: each,
      orderly: each,
      batch: each,
      keyed: each,
      stream: each,
      lite: each,
      broadcast: each
    },
    queues: Math.max(2, each),
    hours,
    passed: (hour) => say(`hour ${hour + 1}: every count as it is to be`)
  }).pipe(
    Effect.map(({ held, members, messages, requests }) => ({
      summary: `${hours} virtual hours of ${members} members, ${each} of each kind: ${messages} messages, each to every group and once; ${requests} requests, exact hour by hour; ${held.fibers} fibers, ${held.queues} queues and ${held.connections} connections at the start and at the end; ${Math.round((performance.now() - began) / 1_000)} s, ${Math.round(process.cpuUsage().user / 1e6)} s of them CPU`,
      violations: []
    })),
    Effect.catchDefect((defect) =>
      Effect.succeed({ summary: "the day was not as it is to be", violations: [String(defect)] })
    ),
    Effect.provide(TestClock.layer()),
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.scoped,
    Effect.runPromise
  )
}
