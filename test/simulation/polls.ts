import { Effect, Random } from "effect"
import { DefaultLitePullConsumer } from "../../src/consumer/lite/DefaultLitePullConsumer.ts"
import type { LitePullOptions } from "../../src/consumer/lite/LitePullOptions.ts"
import type { ReceivedMessage } from "../../src/consumer/ReceivedMessage.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import type { World } from "../../src/testing/Simulation.ts"

/** A member that polls: it handles what a poll gave before the next one, and now and then reads some of it once more. */

/** Where a queue is read on after a seek; what a broker says of the offset afterwards counts for more. */
interface Sought {
  readonly to: number
  readonly offsetsMoved: number
}

/** Rounds of ten in which something is sought. */
const SEEKS = 2

/**
 * Starts it in the current scope, with automatic commits or with its own. After a seek the next message of the queue must be
 * that of the offset, unless the queue has been somebody else's. `polled` hears of the queues of a poll before they are
 * handled.
 */
export const start = Effect.fnUntraced(function* (
  world: World,
  options: LitePullOptions,
  handle: (message: ReceivedMessage) => Effect.Effect<unknown>,
  polled: (queue: string) => void
) {
  const autoCommit = yield* Random.nextBoolean
  const sought = new Map<string, Sought>()
  const forget = (queues: ReadonlyArray<MessageQueue.MessageQueue>) =>
    Effect.sync(() => {
      for (const queue of queues) sought.delete(MessageQueue.key(queue))
    })
  const consumer = yield* DefaultLitePullConsumer.make({
    ...options,
    autoCommit,
    autoCommitIntervalMillis: 1_000,
    rebalanceListener: { assigned: forget, revoked: forget }
  })
  yield* Effect.acquireRelease(consumer.start, () => consumer.shutdown, { interruptible: true })

  const round = Effect.gen(function* () {
    const messages = yield* consumer.poll({ timeout: 500 })
    const { offsetsMoved } = (yield* consumer.state).counters
    const firsts = new Map<string, ReceivedMessage>()
    for (const message of messages) {
      const key = MessageQueue.key(message.queue)
      polled(key)
      if (firsts.has(key)) continue
      firsts.set(key, message)
      const expected = sought.get(key)
      sought.delete(key)
      if (expected?.offsetsMoved === offsetsMoved && message.queueOffset !== expected.to) {
        yield* world.violation(
          "seek",
          `${key} was to be read on at ${expected.to}, and ${message.queueOffset} came in ${options.consumerGroup}`
        )
      }
    }
    for (const message of messages) yield* handle(message)
    const [again] = firsts.values()
    // Back to what is not committed, so that no commit falls behind one.
    if (again !== undefined && (yield* Random.nextIntBetween(0, 10)) < SEEKS) {
      const seek = yield* Effect.exit(consumer.seek(again.queue, again.queueOffset))
      if (seek._tag === "Success") sought.set(MessageQueue.key(again.queue), { to: again.queueOffset, offsetsMoved })
    } else if (!autoCommit) yield* Effect.ignore(consumer.commit())
  })
  yield* Effect.forkScoped(Effect.forever(round))
  return consumer
})
