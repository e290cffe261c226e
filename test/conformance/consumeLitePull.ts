/** A consumer that is asked for messages. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { DefaultLitePullConsumer } from "../../src/consumer/lite/DefaultLitePullConsumer.ts"
import type { LitePullOptions } from "../../src/consumer/lite/LitePullOptions.ts"
import type { DefaultLitePullConsumerShape } from "../../src/consumer/lite/LitePullShape.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import type * as MessageQueue from "../../src/message/MessageQueue.ts"
import { committedOf, textOf } from "./consumers.ts"
import {
  createTopic,
  eventuallyThat,
  type Methods,
  PATIENCE_MILLIS,
  startProducer,
  uniqueName,
  withManager
} from "./support.ts"
import { Target } from "./Target.ts"

/** A member of a group, in a client of its own, which is shut down with the scope. */
const member = Effect.fnUntraced(function* (consumerGroup: string, options: Partial<LitePullOptions> = {}) {
  const { namesrvAddr } = yield* Target
  const consumer = yield* DefaultLitePullConsumer.make({
    consumerGroup,
    namesrvAddr,
    instanceName: uniqueName("lite"),
    consumeFromWhere: "first",
    startTimeoutMillis: PATIENCE_MILLIS,
    pollNameServerInterval: 1_000,
    pollTimeoutMillis: PATIENCE_MILLIS / 4,
    autoCommit: false,
    ...options
  })
  yield* Effect.addFinalizer(() => consumer.shutdown)
  yield* consumer.start
  return consumer
})

/** Sends so many messages, their numbers from 0 on, to the queues in turn. */
const send = Effect.fnUntraced(function* (queues: ReadonlyArray<MessageQueue.MessageQueue>, count: number) {
  const producer = yield* startProducer()
  for (let n = 0; n < count; n++) {
    const queue = queues[n % queues.length] ?? assert.fail("no queue")
    const tags = n % 2 === 0 ? "even" : "odd"
    yield* producer.send(Message.make({ topic: queue.topic, tags, body: `${n}` }), { queue })
  }
})

/** Polls until so many messages came, or none comes any more. */
const pollAll = Effect.fnUntraced(function* (consumer: DefaultLitePullConsumerShape, count: number) {
  const seen: Array<string> = []
  while (seen.length < count) {
    const messages = yield* consumer.poll({ max: count - seen.length })
    if (messages.length === 0) break
    for (const message of messages) seen.push(textOf(message))
  }
  return seen
})

const numbers = (count: number) => Array.from({ length: count }, (_, n) => `${n}`)

export const tests = (test: Methods): void => {
  test.effect("reads what it subscribes to, seeks, and the next one goes on where it committed", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("lite", { queues: 1 })
      const group = uniqueName("lite-pull")
      const queue = { topic, brokerName: "broker-a", queueId: 0 }
      yield* send([queue], 12)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const consumer = yield* member(group, { subscriptions: [Subscription.all(topic)] })
          assert.deepStrictEqual(yield* pollAll(consumer, 12), numbers(12))
          yield* consumer.seek(queue, 3)
          assert.deepStrictEqual(yield* pollAll(consumer, 2), ["3", "4"])
          assert.strictEqual((yield* Effect.flip(consumer.seek(queue, 13)))._tag, "SeekRefused")
          yield* consumer.seek(queue, "begin")
          yield* consumer.pause(queue)
          assert.deepStrictEqual(yield* consumer.poll({ timeout: 100 }), [])
          yield* consumer.resume(queue)
          assert.deepStrictEqual(yield* pollAll(consumer, 5), numbers(5))
          yield* consumer.commit()
          assert.strictEqual(yield* consumer.committed(queue), 5)
          yield* pollAll(consumer, 2)
          assert.deepStrictEqual((yield* consumer.state).problems, [])
        })
      )
      assert.strictEqual(yield* committedOf(group, topic, 1), 5)
      const next = yield* member(group, { subscriptions: [Subscription.all(topic)] })
      assert.deepStrictEqual(yield* pollAll(next, 7), numbers(12).slice(5))
    }).pipe(withManager)
  )

  test.effect("reads assigned queues, with their filter, and commits what is named", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("assigned", { queues: 2 })
      const group = uniqueName("assigned")
      const consumer = yield* member(group)
      const queues = (yield* consumer.queues(topic)).filter(({ brokerName }) => brokerName === "broker-a")
      assert.lengthOf(queues, 2)
      const [first] = queues
      assert(first !== undefined)
      // The even ones to the one queue, the odd ones to the other.
      yield* send(queues, 12)
      yield* consumer.setSubExpressionForAssign(Subscription.tags(topic, "even"))
      yield* consumer.assign(queues)
      assert.sameMembers(yield* pollAll(consumer, 6), ["0", "2", "4", "6", "8", "10"])
      yield* consumer.commit(new Map([[first, 2]]))
      assert.strictEqual(yield* consumer.committed(first), 2)
      assert.strictEqual(
        (yield* Effect.flip(consumer.commit(new Map([[{ ...first, queueId: 7 }, 1]]))))._tag,
        "CommitFailed"
      )
    }).pipe(withManager)
  )

  test.effect("two members share the queues, and who stays goes on where the other one committed", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("shared", { queues: 2 })
      const group = uniqueName("shared")
      const options = { subscriptions: [Subscription.all(topic)] as const, pollTimeoutMillis: 3_000 }
      const one = yield* member(group, options)
      const queues = yield* one.assignment
      yield* Effect.scoped(
        Effect.gen(function* () {
          const two = yield* member(group, options)
          yield* eventuallyThat(Effect.all([one.assignment, two.assignment]), (owned) => {
            const half = queues.length / 2
            assert.deepStrictEqual(
              owned.map((all) => all.length),
              [half, half]
            )
          })
          // Whoever owns a queue has taken it over: what is polled now is committed by the same member.
          yield* eventuallyThat(two.state, (state) =>
            assert.isTrue(state.queues.every(({ consumeOffset }) => consumeOffset !== undefined))
          )
          yield* send(queues, 16)
          const [mine, others] = [yield* pollAll(one, 16), yield* pollAll(two, 16)]
          assert.sameMembers([...new Set([...mine, ...others])], numbers(16))
          yield* one.commit()
          yield* two.commit()
        })
      )
      yield* eventuallyThat(one.assignment, (all) => assert.lengthOf(all, queues.length))
      yield* send(queues, 4)
      assert.sameMembers(yield* pollAll(one, 4), numbers(4))
    }).pipe(withManager)
  )
}
