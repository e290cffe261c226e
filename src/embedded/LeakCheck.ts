import { type Duration, Effect, Schema } from "effect"
import type { Scope } from "effect"
import * as Millis from "../message/Millis.ts"
import { counters } from "./server/LiveCounters.ts"

/** What can be left behind. */
export const LeakKind = Schema.Literals([
  "TCPSocketWrap",
  "TCPServerWrap",
  "Timeout",
  "embedded server",
  "embedded channel",
  "held pull"
])

/** What can be left behind. */
export type LeakKind = typeof LeakKind.Type

/** Something that was opened inside a scope still exists after it closed. */
export class LeakDetected extends Schema.TaggedError<LeakDetected>()("LeakDetected", {
  /** Each kind of which there is more than before, with both counts. */
  leaks: Schema.Array(Schema.Struct({ kind: LeakKind, before: Schema.Number, after: Schema.Number }))
}) {
  override get message(): string {
    const list = this.leaks.map((leak) => `${leak.kind}: ${leak.before} before, ${leak.after} after`).join("; ")
    return `the scope closed and left something behind (${list}). Look for a resource that is not acquired in the scope.`
  }
}

/** Which kinds are compared; all by default. */
export interface LeakCheckOptions {
  /** Kinds that may be left over; none by default. */
  readonly ignore?: ReadonlyArray<LeakKind> | undefined
  /**
   * The real time for which something may go on existing after the scope has closed; default 500 millis. A closed socket
   * needs a few turns of the event loop, and a test runner's own timers come and go.
   */
  readonly graceMillis?: Duration.Input | undefined
}

type Snapshot = Readonly<Record<LeakKind, number>>

const snapshot = (): Snapshot => {
  const resources = process.getActiveResourcesInfo()
  const count = (name: string) => resources.filter((resource) => resource === name).length
  return {
    TCPSocketWrap: count("TCPSocketWrap"),
    TCPServerWrap: count("TCPServerWrap"),
    Timeout: count("Timeout"),
    "embedded server": counters.servers,
    "embedded channel": counters.channels,
    "held pull": counters.heldPulls
  }
}

const kinds = LeakKind.literals

const DEFAULT_GRACE_MILLIS = 500

/** Real time whatever clock the effect runs on: what it waits for happens in the process, not on a virtual clock. */
const elapsedMillis = (): number => Number(process.hrtime.bigint()) / 1e6

/** A turn of the event loop, which a closed handle needs to disappear from the process's list. */
const turn = Effect.callback<void>((resume) => {
  const handle = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(handle))
})

/**
 * Runs an effect in a scope of its own and fails with {@link LeakDetected} when sockets, servers, timers, or channels and
 * held pulls of an embedded cluster are more after the scope closed than before. A failure of the effect passes through.
 *
 * It compares the whole process, so run it while nothing else opens or closes sockets.
 */
export const check = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options?: LeakCheckOptions
): Effect.Effect<A, E | LeakDetected, Exclude<R, Scope.Scope>> =>
  Effect.gen(function* () {
    const ignored = new Set<LeakKind>(options?.ignore ?? [])
    const before = snapshot()
    const value = yield* Effect.scoped(effect)
    const leaked = () => {
      const after = snapshot()
      return kinds
        .filter((kind) => !ignored.has(kind) && after[kind] > before[kind])
        .map((kind) => ({ kind, before: before[kind], after: after[kind] }))
    }
    const closed = elapsedMillis()
    const grace = Millis.pause(options?.graceMillis ?? DEFAULT_GRACE_MILLIS)
    while (leaked().length > 0 && elapsedMillis() - closed < grace) yield* turn
    const leaks = leaked()
    if (leaks.length > 0) return yield* new LeakDetected({ leaks })
    return value
  })
