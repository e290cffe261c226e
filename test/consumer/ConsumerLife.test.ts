import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { ConsumerFailed } from "../../src/consumer/ConsumerFailed.ts"
import type { PushConsumerOptions } from "../../src/consumer/ConsumerOptions.ts"
import { DefaultMQPushConsumer } from "../../src/consumer/DefaultMQPushConsumer.ts"
import type { ReceivedMessage } from "../../src/consumer/ReceivedMessage.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { failureOf, onMemory, settle, startProducer, until } from "../support/rig.ts"

const cluster = onMemory({ topics: { orders: {}, refunds: {} } })

const optionsOf = (given: Partial<PushConsumerOptions> = {}) =>
  Effect.map(EmbeddedCluster, ({ namesrvAddr }): PushConsumerOptions => ({
    consumerGroup: "billing",
    subscriptions: [Subscription.all("orders")],
    namesrvAddr,
    ...given
  }))

/** A consumer that was not started, and what its handler has seen. */
const make = (given: Partial<PushConsumerOptions> = {}, handler: () => Effect.Effect<void> = () => Effect.void) =>
  Effect.gen(function* () {
    const seen: Array<string> = []
    const consumer = yield* DefaultMQPushConsumer.make(yield* optionsOf(given), (message: ReceivedMessage) =>
      Effect.suspend(() => {
        seen.push(new TextDecoder().decode(message.body))
        return handler()
      })
    )
    yield* Effect.addFinalizer(() => consumer.shutdown)
    return { consumer, seen }
  })

const send = Effect.fnUntraced(function* (topic: string, ...bodies: ReadonlyArray<string>) {
  const producer = yield* startProducer()
  for (const body of bodies) yield* producer.send(Message.make({ topic, body, tags: body }))
}, Effect.scoped)

describe("a program that is to end with its consumer", () => {
  it.effect("fails with the problem that onProblem says is one, and has shut the consumer down", () =>
    Effect.gen(function* () {
      const problems: Array<string> = []
      const exit = yield* Effect.exit(
        DefaultMQPushConsumer.run(
          yield* optionsOf({
            subscriptions: [Subscription.all("nowhere")],
            onProblem: ({ key }) => {
              problems.push(key)
              return key === "topic nowhere" ? "fail" : "continue"
            }
          }),
          () => Effect.void
        )
      )
      const error = failureOf(exit)
      assert.instanceOf(error, ConsumerFailed)
      assert.include(String(error), "Consumer group billing was given up: topic nowhere has no route")
      assert.deepStrictEqual(problems, ["topic nowhere"])
      assert.deepStrictEqual(yield* (yield* EmbeddedCluster).clients, [])
    }).pipe(cluster)
  )

  it.effect("goes on where nobody says so, and where onProblem throws", () =>
    Effect.gen(function* () {
      const { consumer } = yield* make({
        subscriptions: [Subscription.all("nowhere")],
        onProblem: () => {
          throw new Error("mine")
        }
      })
      yield* consumer.start
      const failed = yield* Effect.forkChild(consumer.failed, { startImmediately: true })
      yield* settle
      assert.strictEqual((yield* consumer.state).problems.length, 1)
      assert.isFalse(yield* consumer.healthy)
      assert.isUndefined(failed.pollUnsafe())
      yield* Fiber.interrupt(failed)
    }).pipe(Effect.scoped, cluster)
  )

  it.effect("a start that fails ends it as well", () =>
    Effect.gen(function* () {
      const options = yield* optionsOf({ pullBatchSize: 0 })
      const exit = yield* Effect.exit(DefaultMQPushConsumer.run(options, () => Effect.void))
      assert.include(String(failureOf(exit)), "pullBatchSize")
    }).pipe(cluster)
  )
})

class Billing extends DefaultMQPushConsumer.named<Billing>()("test/Billing") {}
class Search extends DefaultMQPushConsumer.named<Search>()("test/Search") {}

describe("several consumers of one program", () => {
  it.effect("have names of their own, so that none takes another's place", () =>
    Effect.gen(function* () {
      const options = yield* optionsOf()
      const seen: Array<string> = []
      const note = (who: string) => () =>
        Effect.sync(() => {
          seen.push(who)
        })
      yield* Effect.gen(function* () {
        yield* send("orders", "1")
        for (const consumer of [yield* Billing, yield* Search, yield* DefaultMQPushConsumer]) yield* consumer.caughtUp()
        assert.deepStrictEqual(
          seen.toSorted((a, b) => a.localeCompare(b)),
          ["billing", "default", "search"]
        )
        assert.strictEqual((yield* Billing).consumerGroup, "billing")
        assert.strictEqual((yield* Search).consumerGroup, "search")
      }).pipe(
        Effect.scoped,
        Effect.provide(
          Layer.mergeAll(
            Billing.layer(options, note("billing")),
            Search.layerConfig(note("search"), { ...options, consumerGroup: "search" }),
            DefaultMQPushConsumer.layer({ ...options, consumerGroup: "default" }, note("default"))
          )
        )
      )
    }).pipe(cluster)
  )

  it.effect("one group twice under one instance is refused, and starts once the other has ended", () =>
    Effect.gen(function* () {
      const { consumer: first } = yield* make({ instanceName: "one" })
      const { consumer: second } = yield* make({ instanceName: "one" })
      yield* first.start
      const error = failureOf(yield* Effect.exit(second.start))
      assert.strictEqual(error.reason._tag, "DuplicateConsumerGroup")
      assert.strictEqual(yield* second.serviceState, "CREATE_JUST")
      yield* first.shutdown
      yield* second.start
      assert.isAbove((yield* second.assignment).length, 0)
    }).pipe(Effect.scoped, cluster)
  )
})

describe("subscriptions at run time", () => {
  it.effect("a topic more is read from then on, and one less is given up", () =>
    Effect.gen(function* () {
      const { consumer, seen } = yield* make()
      yield* consumer.start
      const topics = () =>
        Effect.map(consumer.assignment, (queues) => [...new Set(queues.map(({ topic }) => topic))].toSorted(byText))
      assert.deepStrictEqual(yield* topics(), ["%RETRY%billing", "orders"])
      yield* consumer.subscribe(Subscription.tags("refunds", "b"))
      yield* until(
        "its queues are known",
        Effect.map(topics(), (known) => known.includes("refunds"))
      )
      yield* until(
        "they are pulled",
        Effect.map(consumer.state, ({ queues }) => queues.every(({ phase }) => phase === "pulling"))
      )
      yield* send("refunds", "a", "b")
      yield* send("orders", "c")
      yield* consumer.caughtUp()
      assert.deepStrictEqual(seen.toSorted(byText), ["b", "c"])
      yield* consumer.unsubscribe("orders")
      yield* until(
        "they are given up",
        Effect.map(topics(), (known) => !known.includes("orders"))
      )
      yield* send("orders", "d")
      yield* consumer.caughtUp()
      assert.notInclude(seen, "d")
      // It goes on where it was.
      yield* consumer.subscribe(Subscription.all("orders"))
      yield* until(
        "they are back",
        Effect.map(topics(), (known) => known.includes("orders"))
      )
      yield* until(
        "they are pulled",
        Effect.map(consumer.state, ({ queues }) => queues.every(({ phase }) => phase === "pulling"))
      )
      yield* consumer.caughtUp()
      assert.include(seen, "d")
    }).pipe(Effect.scoped, cluster)
  )

  it.effect("brokers take another filter of a topic at once", () =>
    Effect.gen(function* () {
      const { consumer, seen } = yield* make({ subscriptions: [Subscription.tags("orders", "a")] })
      yield* consumer.start
      yield* consumer.subscribe(Subscription.tags("orders", "b"))
      yield* settle
      yield* send("orders", "a", "b")
      yield* consumer.caughtUp()
      assert.deepStrictEqual(seen, ["b"])
    }).pipe(Effect.scoped, cluster)
  )

  it.effect(
    "before the start they count from the start on; what cannot be used is refused, and so it is after the end",
    () =>
      Effect.gen(function* () {
        const { consumer } = yield* make()
        yield* consumer.subscribe(Subscription.all("refunds"))
        yield* consumer.unsubscribe("orders")
        const refused = failureOf(yield* Effect.exit(consumer.subscribe(Subscription.all("no topic"))))
        assert.strictEqual(refused._tag, "InvalidConfig")
        yield* consumer.start
        assert.isTrue((yield* consumer.assignment).every(({ topic }) => topic !== "orders"))
        assert.isTrue((yield* consumer.assignment).some(({ topic }) => topic === "refunds"))
        yield* consumer.shutdown
        const late = failureOf(yield* Effect.exit(consumer.unsubscribe("refunds")))
        assert.strictEqual(late._tag, "IllegalServiceState")
      }).pipe(Effect.scoped, cluster)
  )
})

const byText = (a: string, b: string) => a.localeCompare(b)

describe("what can be changed while it runs", () => {
  it.effect("a topic that was paused before the start stays so, and goes on after", () =>
    Effect.gen(function* () {
      const { consumer, seen } = yield* make()
      yield* consumer.pause("orders")
      yield* consumer.start
      yield* send("orders", "1")
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(seen, [])
      const { queues } = yield* consumer.state
      assert.isTrue(queues.every(({ phase, queue }) => queue.topic !== "orders" || phase === "suspended"))
      yield* consumer.unpause("orders")
      yield* consumer.caughtUp()
      assert.deepStrictEqual(seen, ["1"])
    }).pipe(Effect.scoped, cluster)
  )

  it.effect("one queue alone can be paused", () =>
    Effect.gen(function* () {
      const { consumer, seen } = yield* make({ consumeFromWhere: "first" })
      const producer = yield* startProducer()
      const [first, second] = yield* producer.fetchPublishMessageQueues("orders")
      assert.isDefined(first)
      assert.isDefined(second)
      yield* producer.send(Message.make({ topic: "orders", body: "first" }), { queue: first })
      yield* producer.send(Message.make({ topic: "orders", body: "second" }), { queue: second })
      yield* consumer.pause(first)
      yield* consumer.start
      yield* until(
        "the other is read",
        Effect.sync(() => seen.includes("second"))
      )
      yield* settle
      assert.deepStrictEqual(seen, ["second"])
      yield* consumer.unpause(first)
      yield* consumer.caughtUp()
      assert.deepStrictEqual(seen, ["second", "first"])
    }).pipe(Effect.scoped, cluster)
  )

  it.effect("one that is suspended before the start begins nothing until it is resumed", () =>
    Effect.gen(function* () {
      const { consumer, seen } = yield* make({ consumeFromWhere: "first" })
      yield* send("orders", "1")
      yield* consumer.suspend
      yield* consumer.start
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(seen, [])
      yield* consumer.resume
      yield* consumer.caughtUp()
      assert.deepStrictEqual(seen, ["1"])
    }).pipe(Effect.scoped, cluster)
  )

  it.effect("the number of handlers that run at once", () =>
    Effect.gen(function* () {
      const gate = Latch.makeUnsafe()
      const { consumer, seen } = yield* make({ concurrency: 2 }, () => gate.await)
      yield* consumer.start
      yield* send("orders", ...Array.from({ length: 12 }, (_, n) => `${n}`))
      yield* settle
      assert.strictEqual(seen.length, 2)
      yield* consumer.setConcurrency(7)
      yield* settle
      assert.strictEqual(seen.length, 7)
      assert.strictEqual((yield* consumer.state).concurrency, 7)
      yield* gate.open
      yield* consumer.caughtUp()
    }).pipe(Effect.scoped, cluster)
  )

  it.effect("assignments are told now and when they change", () =>
    Effect.gen(function* () {
      const { consumer } = yield* make()
      yield* consumer.start
      const told: Array<number> = []
      const watching = yield* consumer.assignments.pipe(
        Stream.runForEach((queues) => Effect.sync(() => told.push(queues.length))),
        Effect.forkChild({ startImmediately: true })
      )
      yield* settle
      yield* consumer.pause("orders")
      yield* consumer.subscribe(Subscription.all("refunds"))
      yield* settle
      yield* consumer.shutdown
      yield* Fiber.join(watching)
      assert.deepStrictEqual(told, [5, 9, 0])
    }).pipe(Effect.scoped, cluster)
  )
})

describe("ratePerSecond", () => {
  it.effect("lets so many handlers begin in a second, evenly, and saves nothing up", () =>
    Effect.gen(function* () {
      const { consumer, seen } = yield* make({ ratePerSecond: 10 })
      yield* consumer.start
      yield* TestClock.adjust("1 minute")
      yield* send("orders", ...Array.from({ length: 50 }, (_, n) => `${n}`))
      yield* settle
      // One, and what the timer's slack lets catch up.
      assert.isAtMost(seen.length, 2)
      for (let second = 1; second <= 4; second++) {
        yield* TestClock.adjust("1 second")
        assert.isAtLeast(seen.length, second * 10)
        assert.isAtMost(seen.length, second * 10 + 2)
      }
      yield* TestClock.adjust("1 second")
      yield* consumer.caughtUp()
      assert.strictEqual(seen.length, 50)
    }).pipe(Effect.scoped, cluster)
  )
})
