import { Effect } from "effect"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import { isRetryTopic } from "../../message/MixAll.ts"
import * as StartOffset from "../offset/StartOffset.ts"
import type { OwnedQueue, RunOptions } from "./RunOptions.ts"
import * as Waiters from "../queue/Waiters.ts"

/** How many queues are asked at once where they end. */
const ASKED_AT_ONCE = 16

/** What is to be waited for besides what lies in the queues. */
export interface CaughtUpOptions {
  /**
   * Whether messages that this consumer has given back are waited for too, until each has come again and is finished, however
   * often; default false. Those that come again to another member of the group are not.
   */
  readonly redeliveries?: boolean | undefined
}

/** Waits until owned queues have been processed up to where they end; `askNow` has a queue pulled by one that is not held. */
export const make = (
  instance: MQClientInstanceShape,
  table: ReadonlyMap<string, OwnedQueue>,
  { redeliveries }: Pick<RunOptions, "redeliveries">,
  members: () => ReadonlyArray<string>,
  askNow: (queue: OwnedQueue) => Effect.Effect<void>
) => {
  const waiters = Waiters.make()

  /** Whether nothing that was given back is on its way here. */
  const isReturned = () => {
    const retry = [...table.values()].filter(({ messageQueue }) => isRetryTopic(messageQueue.topic))
    if (retry.some(({ cachedCount }) => cachedCount > 0)) return false
    return !redeliveries.some(
      (brokerName) =>
        members().length < 2 ||
        retry.some(({ messageQueue }) => (brokerName ?? messageQueue.brokerName) === messageQueue.brokerName)
    )
  }

  const wait = Effect.fnUntraced(function* (options: CaughtUpOptions = {}) {
    const ends = yield* Effect.forEach(
      [...table.values()],
      (queue) => Effect.map(StartOffset.maxOffset(instance, queue.messageQueue), (end) => ({ queue, end })),
      { concurrency: ASKED_AT_ONCE }
    )
    // A queue that was given up meanwhile is somebody else's to process.
    const isDone = () =>
      ends.every(({ end, queue }) => queue.dropped || (queue.consumeOffset ?? -1) >= end) &&
      (options.redeliveries !== true || isReturned())
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
