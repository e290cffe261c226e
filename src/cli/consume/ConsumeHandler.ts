import { Deferred, Effect, Semaphore } from "effect"
import * as ConsumeResult from "../../consumer/ConsumeResult.ts"
import type { ReceivedMessage } from "../../consumer/ReceivedMessage.ts"
import type { Explained } from "../Failure.ts"
import type { OutputClosed } from "../Screen.ts"
import type { ConsumeInput } from "./ConsumeInput.ts"
import * as Stats from "./ConsumeStats.ts"
import type { Handle } from "./Exec.ts"

/** Why a run ended by itself: enough was consumed, nothing came any more, or nobody reads its output. */
export type End = "count" | "idle" | "closed"

/** How long messages that are being handled may take after a signal, in milliseconds. */
const DRAIN_MILLIS = 10_000

/** What a handler works with. */
export interface HandlerOptions {
  readonly input: Pick<ConsumeInput, "count" | "failFirst">
  readonly stats: Stats.ConsumeStats
  readonly now: () => number
  /** Whether a user's command has done its work; undefined where there is none. */
  readonly handle: Handle | undefined
  readonly print: (message: ReceivedMessage) => Effect.Effect<void, OutputClosed>
  readonly ended: Deferred.Deferred<End, Explained>
}

/**
 * Handles what comes: has a command handle it, prints it and acknowledges it then; gives it back; or holds it because enough
 * was consumed.
 */
export const makeHandler = ({ ended, handle, input, now, print, stats }: HandlerOptions) => {
  const target = input.count ?? Infinity
  /** Places for distinct messages, and those that have one; kept only where they are counted. */
  const places = target === Infinity ? undefined : Semaphore.makeUnsafe(target)
  const begun = new Set<string>()
  let distinct = 0
  let underWay = 0
  let stopped = false

  /** Whether the message takes a place of its own, which it waits for while others may still fail. */
  const place = (message: ReceivedMessage): Effect.Effect<boolean> => {
    if (places === undefined || begun.has(message.msgId)) return Effect.succeed(false)
    return Effect.flatMap(Semaphore.take(places, 1), () => {
      if (begun.has(message.msgId)) return Effect.as(Semaphore.release(places, 1), false)
      begun.add(message.msgId)
      return Effect.succeed(true)
    })
  }

  const giveBack = (message: ReceivedMessage, isNew: boolean) => {
    stats.failed++
    const back = ConsumeResult.reconsumeLater()
    if (!isNew || places === undefined) return Effect.succeed(back)
    begun.delete(message.msgId)
    return Effect.as(Semaphore.release(places, 1), back)
  }

  const accept = (message: ReceivedMessage, isNew: boolean) =>
    Effect.map(print(message), () => {
      Stats.acknowledged(stats, message, now())
      if (isNew && ++distinct >= target) Deferred.doneUnsafe(ended, Effect.succeed("count"))
      return ConsumeResult.success
    })

  /** Neither acknowledged nor given back: the next owner of its queue gets it. */
  const stop = (end: Effect.Effect<End, Explained>) => {
    stopped = true
    Deferred.doneUnsafe(ended, end)
    return Effect.never
  }

  const handler = (message: ReceivedMessage): Effect.Effect<ConsumeResult.ConsumeResult> =>
    Effect.suspend(() => {
      if (stopped) return Effect.never
      Stats.delivered(stats, now())
      if (message.reconsumeTimes < input.failFirst) return giveBack(message, false)
      return Effect.flatMap(place(message), (isNew) => {
        if (stopped) return Effect.never
        underWay++
        const handled = handle === undefined ? Effect.succeed(true) : handle(message)
        return handled.pipe(
          Effect.flatMap((done) => (done ? accept(message, isNew) : giveBack(message, isNew))),
          Effect.catch((error) => stop("_tag" in error ? Effect.succeed("closed") : Effect.fail(error))),
          Effect.ensuring(
            Effect.sync(() => {
              underWay--
            })
          )
        )
      })
    })

  /** No further message is acknowledged; waits for those that are being handled. */
  const drain = Effect.suspend(() => {
    const isOver = stopped
    stopped = true
    // What nobody reads any more, and a command that cannot be run, are not waited for.
    if (isOver || underWay === 0) return Effect.void
    return Effect.sleep(5).pipe(Effect.repeat({ until: () => underWay === 0 }), Effect.timeoutOption(DRAIN_MILLIS))
  })
  return { handler, drain }
}
