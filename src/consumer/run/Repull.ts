import { Effect } from "effect"
import { loopKey, type OwnedQueue, type RunOptions } from "./RunOptions.ts"

/** Ends the pulls of topics, does something, and pulls them anew; `loop` is a queue's pull loop. */
export const repull = Effect.fnUntraced(function* (
  { config: { group }, instance }: Pick<RunOptions, "config" | "instance">,
  table: ReadonlyMap<string, OwnedQueue>,
  topics: ReadonlySet<string>,
  meanwhile: Effect.Effect<void>,
  loop: (queue: OwnedQueue) => Effect.Effect<void>
) {
  const queues = [...table.values()].filter(
    ({ consumeOffset, messageQueue: { topic }, phase }) =>
      topics.has(topic) && consumeOffset !== undefined && phase !== "locating"
  )
  yield* Effect.forEach(queues, (queue) => instance.pullMessageService.stop(loopKey(group, queue)), { discard: true })
  yield* meanwhile
  yield* Effect.forEach(queues, (queue) => instance.pullMessageService.start(loopKey(group, queue), loop(queue)), {
    discard: true
  })
})
