import { Effect } from "effect"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import * as StartOffset from "../offset/StartOffset.ts"
import type { OwnedQueue } from "./RunOptions.ts"
import * as Waiters from "../queue/Waiters.ts"

/** How many queues are asked at once where they end. */
const ASKED_AT_ONCE = 16

/** Waits until owned queues have been processed up to where they end; `askNow` has a queue pulled by one that is not held. */
export const make = (
  instance: MQClientInstanceShape,
  table: ReadonlyMap<string, OwnedQueue>,
  askNow: (queue: OwnedQueue) => Effect.Effect<void>
) => {
  const waiters = Waiters.make()

  const wait = Effect.gen(function* () {
    const ends = yield* Effect.forEach(
      [...table.values()],
      (queue) => Effect.map(StartOffset.maxOffset(instance, queue.messageQueue), (end) => ({ queue, end })),
      { concurrency: ASKED_AT_ONCE }
    )
    // A queue that was given up meanwhile is somebody else's to process.
    const isDone = () => ends.every(({ end, queue }) => queue.dropped || (queue.consumeOffset ?? -1) >= end)
    const context = yield* Effect.context()
    /** By queue, the offset from which it was asked at once. */
    const asked = new Map<OwnedQueue, number>()
    yield* waiters.until(() => {
      if (isDone()) return true
      for (const { end, queue } of ends) {
        // A broker holds a pull for as long as nothing comes that the filter lets pass: it is asked once more, and answers.
        if (queue.dropped || queue.phase !== "pulling" || queue.cachedCount > 0 || queue.nextOffset >= end) continue
        if (asked.get(queue) === queue.nextOffset) continue
        asked.set(queue, queue.nextOffset)
        Effect.runForkWith(context)(askNow(queue))
      }
      return false
    })
  })

  return {
    /** Waits for the queues owned at the call, up to where they end then. */
    wait,
    /** A position has moved, or a queue has changed hands. */
    check: waiters.ask
  }
}
