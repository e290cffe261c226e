import { Effect } from "effect"
import * as LogLimit from "../../client/LogLimit.ts"
import type { PullPosition } from "../../client/PullOutcome.ts"
import { keyOf, type OwnedQueue, type RunOptions } from "./RunOptions.ts"

/** The pause before an offset is believed that moved again within so many milliseconds; it doubles up to the third one. */
const MOVE_PAUSE_MILLIS = 1_000
const MOVED_AGAIN_MILLIS = 120_000
const MAX_MOVE_PAUSE_MILLIS = 30_000

/** What is done when a broker does not have the offset that was asked for, and names another. */
export const make = (
  options: Pick<RunOptions, "config" | "counters" | "happened">,
  now: () => number,
  retake: (queue: OwnedQueue, offset: number) => Effect.Effect<void>
) => {
  const { group } = options.config
  const { happened } = options
  /** By queue, how often in a row its broker had another offset, and when it last had. */
  const moves = new Map<string, { readonly count: number; readonly at: number }>()
  const moveLog = LogLimit.make()

  return {
    /** Tells of it, pauses where it happens time after time, and has the queue taken anew at that offset. */
    moved: (queue: OwnedQueue, position: PullPosition): Effect.Effect<void> =>
      Effect.suspend(() => {
        const from = queue.nextOffset
        const to = Math.max(0, position.nextBeginOffset)
        const key = keyOf(queue)
        const last = moves.get(key)
        const count = last !== undefined && now() - last.at < MOVED_AGAIN_MILLIS ? last.count + 1 : 0
        moves.set(key, { count, at: now() })
        options.counters.offsetsMoved++
        // A broker that moves an offset time after time must not decide how often it is asked.
        const pause = count === 0 ? 0 : Math.min(MAX_MOVE_PAUSE_MILLIS, MOVE_PAUSE_MILLIS * 2 ** Math.min(count - 1, 5))
        if (pause > 0) queue.phase = "waiting"
        const text = `offset ${from} of queue ${key} is not there; group ${group} reads on at ${to} (${position.minOffset} to ${position.maxOffset})`
        return moveLog
          .warn(text)
          .pipe(
            Effect.andThen(to < from ? happened(`moved ${key}`, `${text}: the broker has lost messages`) : Effect.void),
            Effect.andThen(Effect.sleep(pause)),
            Effect.andThen(retake(queue, to))
          )
      }),
    /** The queue is somebody else's. */
    forget: (queue: OwnedQueue) => {
      moves.delete(keyOf(queue))
    }
  }
}
