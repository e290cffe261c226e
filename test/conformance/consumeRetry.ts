/** Redeliveries: who fails gets a message again after its delay, and in the end it lies with the dead letters. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as ConsumeResult from "../../src/consumer/ConsumeResult.ts"
import * as MessageListener from "../../src/consumer/MessageListener.ts"
import type { ReceivedMessage } from "../../src/consumer/ReceivedMessage.ts"
import * as ReconsumePolicy from "../../src/consumer/ReconsumePolicy.ts"
import * as Message from "../../src/message/Message.ts"
import { committedOf, startConsumer, textOf } from "./consumers.ts"
import { Observer } from "./Observer.ts"
import { createTopic, eventuallyThat, type Methods, startProducer, userProperties, withManager } from "./support.ts"

/** The dead letters of a group. */
const deadLetters = (group: string, count: number) =>
  Effect.flatMap(Observer, (observer) =>
    eventuallyThat(
      Effect.map(observer.readTopic(`%DLQ%${group}`), (queues) => [...queues.values()].flat()),
      (found) => assert.strictEqual(found.length, count)
    )
  )

export const tests = (test: Methods): void => {
  test.effect("a failure comes again after its delay, as what it was; so do a defect and an interruption", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("again", { queues: 1 })
      const producer = yield* startProducer()
      const seen: Array<ReceivedMessage & { readonly at: number }> = []
      const consumer = yield* startConsumer(
        topic,
        (message) =>
          Effect.suspend((): Effect.Effect<void, string> => {
            seen.push({ ...message, at: performance.now() })
            if (message.attempt > 1) return Effect.void
            switch (textOf(message)) {
              case "fails":
                return Effect.fail("not today")
              case "dies":
                return Effect.die(new Error("a bug"))
              default:
                return Effect.interrupt
            }
          }),
        { reconsumePolicy: ReconsumePolicy.fixed("1 second") }
      )
      const bodies = ["fails", "dies", "is interrupted"]
      const sent = yield* Effect.forEach(bodies, (body) =>
        producer.send(Message.make({ topic, body, tags: "t", keys: "k", properties: { a: "b" } }))
      )
      yield* eventuallyThat(consumer.state, ({ counters }) => assert.strictEqual(counters.succeeded, 3))
      for (const [index, body] of bodies.entries()) {
        const [first, second] = seen.filter((message) => textOf(message) === body)
        assert.isDefined(first)
        assert.isDefined(second)
        assert.isAtLeast(second.at - first.at, 950)
        assert.deepInclude(second, { topic, attempt: 2, tags: "t", keys: ["k"], msgId: sent[index]?.msgId ?? "none" })
        assert.strictEqual(second.queue.topic, `%RETRY%${consumer.consumerGroup}`)
        assert.deepStrictEqual(userProperties(second), { a: "b" })
        assert.strictEqual(second.bornTimestamp, first.bornTimestamp)
      }
      assert.strictEqual(seen.length, 6)
      const { counters } = yield* consumer.state
      assert.deepInclude(counters, { failures: 1, defects: 2, reconsumeLater: 3, sendBackFailures: 0, late: 0 })
      yield* consumer.shutdown
      assert.strictEqual(yield* committedOf(consumer.consumerGroup, topic, 1), 3)
    }).pipe(withManager)
  )

  test.effect("one more delivery than maxReconsumeTimes, then the dead letters", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("poison", { queues: 1 })
      const producer = yield* startProducer()
      const attempts: Array<number> = []
      const consumer = yield* startConsumer(
        topic,
        (message) =>
          Effect.suspend(() => {
            attempts.push(message.attempt)
            return Effect.fail("never")
          }),
        { maxReconsumeTimes: 2, reconsumePolicy: ReconsumePolicy.fixed("1 second") }
      )
      const { msgId } = yield* producer.send(Message.make({ topic, body: "poison", tags: "t", keys: "k" }))
      const [dead] = yield* deadLetters(consumer.consumerGroup, 1)
      assert.isDefined(dead)
      assert.deepStrictEqual(attempts, [1, 2, 3])
      assert.deepInclude(dead, { msgId, tags: "t", keys: ["k"] })
      assert.strictEqual(dead.properties["RETRY_TOPIC"], topic)
      assert.strictEqual(textOf(dead), "poison")
    }).pipe(withManager)
  )

  test.effect("what a handler gives up is with the dead letters after one delivery, onFailure's as well", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("given-up", { queues: 1 })
      const producer = yield* startProducer()
      const attempts: Array<number> = []
      const consumer = yield* startConsumer(
        topic,
        MessageListener.concurrently(
          (message) =>
            Effect.suspend(() => {
              attempts.push(message.attempt)
              return textOf(message) === "said"
                ? Effect.succeed(ConsumeResult.deadLetter("hopeless"))
                : Effect.fail("declined")
            }),
          { onFailure: (error) => ConsumeResult.deadLetter(error) }
        )
      )
      for (const body of ["said", "failed"]) yield* producer.send(Message.make({ topic, body }))
      const dead = yield* deadLetters(consumer.consumerGroup, 2)
      assert.sameMembers(dead.map(textOf), ["said", "failed"])
      assert.deepStrictEqual(attempts, [1, 1])
      yield* consumer.shutdown
      assert.strictEqual(yield* committedOf(consumer.consumerGroup, topic, 1), 2)
    }).pipe(withManager)
  )

  test.effect("the next member counts on: attempts outlive the one that failed", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("counts-on", { queues: 1 })
      const producer = yield* startProducer()
      const attempts: Array<string> = []
      const member = (name: string, consumerGroup?: string) =>
        startConsumer(
          topic,
          (message) =>
            Effect.suspend(() => {
              attempts.push(`${name} ${message.attempt}`)
              return name === "first" ? Effect.fail("no") : Effect.void
            }),
          {
            reconsumePolicy: ReconsumePolicy.fixed("1 second"),
            ...(consumerGroup === undefined ? {} : { consumerGroup })
          }
        )
      const first = yield* member("first")
      yield* producer.send(Message.make({ topic, body: "x" }))
      yield* eventuallyThat(first.state, ({ counters }) => assert.isAtLeast(counters.reconsumeLater, 1))
      yield* first.shutdown
      // It may have come again before the member was gone.
      const failures = attempts.map((_, index) => `first ${index + 1}`)
      assert.deepStrictEqual(attempts, failures)
      const second = yield* member("second", first.consumerGroup)
      yield* eventuallyThat(second.state, ({ counters }) => assert.strictEqual(counters.succeeded, 1))
      assert.deepStrictEqual(attempts, [...failures, `second ${failures.length + 1}`])
    }).pipe(withManager)
  )
}
