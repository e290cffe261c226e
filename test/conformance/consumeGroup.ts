/** Groups: how queues are shared and handed over, and what a member leaves behind. */
import { assert } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import type { ReceivedMessage } from "../../src/consumer/ReceivedMessage.ts"
import * as Message from "../../src/message/Message.ts"
import type { SendResult } from "../../src/message/SendResult.ts"
import { committedOf, noting, ownedOnce, sendMany, startConsumer, textOf } from "./consumers.ts"
import { Observer } from "./Observer.ts"
import {
  createTopic,
  eventuallyThat,
  type Methods,
  PATIENCE_MILLIS,
  startProducer,
  uniqueName,
  untilReadable,
  withManager
} from "./support.ts"
import { Target } from "./Target.ts"

export const tests = (test: Methods): void => {
  test.effect("two members, three, and one again: each queue has one owner, and nothing is lost on the way", () =>
    Effect.gen(function* () {
      const observer = yield* Observer
      const { brokers } = yield* Target
      const topic = yield* createTopic("shared", { queues: 4 })
      const producer = yield* startProducer()
      const consumerGroup = uniqueName("members")
      const seen: Array<string> = []
      const handler = (message: ReceivedMessage) =>
        Effect.andThen(
          Effect.sleep(5),
          Effect.sync(() => {
            seen.push(textOf(message))
          })
        )
      // On a busy machine a member may see late that the group has changed; who takes a queue waits for so much longer.
      const member = () => startConsumer(topic, handler, { consumerGroup, revokeDrain: 1_500 })
      const leaving = Effect.map(Scope.make(), (scope) => ({ scope, start: Scope.provide(member(), scope) }))
      let running = true
      const sent: Array<SendResult> = []
      const load = yield* Effect.forkChild(
        Effect.whileLoop({
          while: () => running,
          body: () =>
            Effect.andThen(
              Effect.map(
                Effect.suspend(() => producer.send(Message.make({ topic, body: `${sent.length}` }))),
                (result) => void sent.push(result)
              ),
              Effect.sleep(5)
            ),
          step: () => undefined
        })
      )
      const first = yield* member()
      yield* ownedOnce([first], topic, [8])
      const left = yield* leaving
      const second = yield* left.start
      yield* ownedOnce([first, second], topic, [4, 4])
      const third = yield* member()
      yield* ownedOnce([first, second, third], topic, [3, 3, 2])
      for (const { address } of brokers) {
        const { consumerIdList } = yield* observer.members(address, consumerGroup)
        assert.sameMembers([...consumerIdList], [...(yield* third.state).members])
      }
      yield* Scope.close(left.scope, Exit.void)
      yield* ownedOnce([first, third], topic, [4, 4])
      yield* third.shutdown
      yield* ownedOnce([first], topic, [8])
      running = false
      yield* Fiber.join(load)
      yield* untilReadable(sent)
      yield* first.caughtUp()
      assert.strictEqual(new Set(seen).size, sent.length, "nothing is lost")
      // Nobody was interrupted: a handler of 5 ms ends before its queue goes to another.
      assert.strictEqual(seen.length, sent.length, "nothing came twice")
      yield* first.shutdown
      assert.strictEqual(yield* committedOf(consumerGroup, topic, 4), sent.length)
    }).pipe(withManager)
  )

  test.effect("two groups, each gets every message", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("groups", { queues: 1 })
      const producer = yield* startProducer()
      const seen: ReadonlyArray<Array<ReceivedMessage>> = [[], []]
      const consumers = yield* Effect.forEach(seen, (own) => startConsumer(topic, noting(own)))
      yield* sendMany(producer, topic, 10)
      for (const consumer of consumers) yield* consumer.caughtUp()
      for (const own of seen) assert.strictEqual(new Set(own.map(textOf)).size, 10)
      assert.strictEqual(seen.flat().length, 20)
    }).pipe(withManager)
  )

  test.effect("a close lets handlers end, and what they did counts", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("drained", { queues: 1 })
      const producer = yield* startProducer()
      const seen: Array<string> = []
      const mayEnd = yield* Deferred.make<void>()
      const consumer = yield* startConsumer(
        topic,
        (message) =>
          Effect.andThen(
            Deferred.await(mayEnd),
            Effect.sync(() => {
              seen.push(textOf(message))
            })
          ),
        { concurrency: 2, drainTimeoutMillis: PATIENCE_MILLIS }
      )
      const queue = { topic, brokerName: "broker-a", queueId: 0 }
      for (let n = 0; n < 6; n++) yield* producer.send(Message.make({ topic, body: `${n}` }), { queue })
      yield* eventuallyThat(consumer.state, (state) => assert.strictEqual(state.running, 2))
      const closing = yield* Effect.forkChild(consumer.shutdown, { startImmediately: true })
      yield* eventuallyThat(consumer.state, ({ queues }) =>
        assert.isTrue(queues.every(({ phase }) => phase === "revoking"))
      )
      yield* Deferred.succeed(mayEnd, undefined)
      yield* Fiber.join(closing)
      assert.deepInclude(yield* consumer.lastDrain, { finished: 2, interrupted: 0, notPersisted: [] })
      assert.sameMembers(seen, ["0", "1"])
      assert.strictEqual(yield* committedOf(consumer.consumerGroup, topic, 1), 2)
      const next: Array<ReceivedMessage> = []
      const other = yield* startConsumer(topic, noting(next), { consumerGroup: consumer.consumerGroup })
      yield* other.caughtUp()
      assert.sameMembers([...seen, ...next.map(textOf)], ["0", "1", "2", "3", "4", "5"])
    }).pipe(withManager)
  )

  test.effect("a handler that the close interrupts has not failed: its message comes to the next member as new", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("interrupted", { queues: 1 })
      const producer = yield* startProducer()
      const consumer = yield* startConsumer(topic, () => Effect.never, { drainTimeoutMillis: 0 })
      const { consumerGroup } = consumer
      yield* producer.send(Message.make({ topic, body: "slow" }))
      yield* eventuallyThat(consumer.state, ({ running }) => assert.strictEqual(running, 1))
      yield* consumer.shutdown
      assert.deepInclude(yield* consumer.lastDrain, { finished: 0, interrupted: 1 })
      const seen: Array<ReceivedMessage> = []
      const next = yield* startConsumer(topic, noting(seen), { consumerGroup })
      yield* next.caughtUp()
      assert.deepStrictEqual(
        seen.map(({ attempt, reconsumeTimes }) => [attempt, reconsumeTimes]),
        [[1, 0]]
      )
    }).pipe(withManager)
  )

  test.effect("a member that leaves is gone from every broker", () =>
    Effect.gen(function* () {
      const observer = yield* Observer
      const { brokers } = yield* Target
      const topic = yield* createTopic("leaves", { queues: 1 })
      const consumer = yield* startConsumer(topic, () => Effect.void)
      for (const { address } of brokers) {
        const { consumerIdList } = yield* observer.members(address, consumer.consumerGroup)
        assert.strictEqual(consumerIdList.length, 1)
      }
      yield* consumer.shutdown
      // A broker that is slow to answer a farewell is not waited for.
      for (const { address } of brokers) {
        yield* eventuallyThat(observer.members(address, consumer.consumerGroup), ({ consumerIdList }) =>
          assert.deepStrictEqual(consumerIdList, [])
        )
      }
    }).pipe(withManager)
  )
}
