import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { MQAdmin } from "../../../src/admin/MQAdmin.ts"
import { DefaultLitePullConsumer } from "../../../src/consumer/lite/DefaultLitePullConsumer.ts"
import type { LitePullOptions } from "../../../src/consumer/lite/LitePullOptions.ts"
import type { DefaultLitePullConsumerShape } from "../../../src/consumer/lite/LitePullShape.ts"
import * as AllocateStrategy from "../../../src/consumer/rebalance/AllocateStrategy.ts"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../../src/message/Message.ts"
import * as MessageQueue from "../../../src/message/MessageQueue.ts"
import { DefaultMQProducer } from "../../../src/producer/DefaultMQProducer.ts"
import { MQVersion } from "../../../src/protocol/MQVersion.ts"
import { advance, settle, until } from "../../support/rig.ts"
import { commits, namesrvAddr, rig, text } from "../../consumer/support.ts"

const queue = MessageQueue.make("orders", "broker-a", 0)
const versions = [MQVersion.V5_5_0, MQVersion.V4_9_7]

const onRig =
  (version: number = MQVersion.V5_5_0, queues = 1) =>
  <A, E, R>(self: Effect.Effect<A, E, R>) =>
    // Nothing is stored at 0, which is the time of the beginning.
    Effect.andThen(TestClock.adjust("1 second"), self).pipe(
      Effect.provide(MQAdmin.layer({ namesrvAddr, instanceName: "admin" }), { local: true }),
      Effect.scoped,
      Effect.provide(rig({ version, topics: { orders: { readQueueNums: queues, writeQueueNums: queues } } }))
    )

const member = (given: Partial<LitePullOptions> = {}) =>
  Effect.tap(
    DefaultLitePullConsumer.make({
      consumerGroup: "billing",
      subscriptions: [Subscription.all("orders")],
      consumeFromWhere: "first",
      namesrvAddr,
      ...given
    }),
    (consumer) => Effect.acquireRelease(consumer.start, () => consumer.shutdown)
  )

const send = Effect.fnUntraced(function* (count: number, from = 0, queueId = 0) {
  const producer = yield* DefaultMQProducer
  for (let n = from; n < from + count; n++) {
    yield* producer.send(Message.make({ topic: "orders", body: String(n) }), { queue: { ...queue, queueId } })
  }
})

const poll = (consumer: DefaultLitePullConsumerShape, max = 10) =>
  Effect.map(consumer.poll({ max }), (messages) => messages.map(text))

/** What there is now. */
const pollNow = (consumer: DefaultLitePullConsumerShape) =>
  Effect.map(consumer.poll({ timeout: 0 }), (messages) => messages.map(text))

const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, n) => `${from + n}`)

const written = Effect.map(commits(), (all) => all.map(({ offset }) => offset))

const isCached = (consumer: DefaultLitePullConsumerShape, count: number) =>
  until(
    `${count} are cached`,
    Effect.map(consumer.state, ({ queues }) => queues.reduce((sum, one) => sum + one.cached, 0) === count)
  )

describe("C-57: lite pull over what happens to its queues", () => {
  it.effect(
    "C-57, R36: a queue that is lost and regained between pull and poll loses nothing (apache/rocketmq#2732)",
    () =>
      Effect.gen(function* () {
        yield* send(6)
        let owns = true
        const strategy: AllocateStrategy.AllocateStrategy = {
          name: "SWITCHED",
          allocate: (asked) => (owns ? AllocateStrategy.averagely.allocate(asked) : [])
        }
        const consumer = yield* member({ allocateMessageQueueStrategy: strategy })
        /** Has the queues shared out anew. */
        const share = consumer.subscribe(Subscription.all("orders"))
        assert.deepStrictEqual(yield* poll(consumer, 2), ["0", "1"])
        yield* isCached(consumer, 4)
        owns = false
        yield* share
        assert.deepStrictEqual(yield* consumer.assignment, [])
        assert.deepStrictEqual(yield* pollNow(consumer), [], "what is cached of a queue that is lost never comes")
        owns = true
        yield* share
        yield* isCached(consumer, 6)
        // What the poll before the loss gave was noted by the one after it, which came too late.
        assert.deepStrictEqual(yield* written, [0, 0])
        assert.deepStrictEqual(yield* poll(consumer), numbers(6))
        yield* advance(5_000)
        assert.deepStrictEqual(yield* written, [0, 0], "the new generation has committed nothing yet")
        yield* pollNow(consumer)
        yield* settle
        assert.deepStrictEqual(yield* written, [0, 0, 6])
      }).pipe(onRig())
  )

  it.effect("C-57: a seek drops what is cached, and the answer to the pull under way", () =>
    Effect.gen(function* () {
      yield* send(3)
      const consumer = yield* member({ autoCommit: false })
      assert.deepStrictEqual(yield* poll(consumer, 1), ["0"])
      yield* isCached(consumer, 2)
      // The broker holds a pull at the end of the queue by now.
      yield* settle
      yield* consumer.seek(queue, 1)
      yield* send(2, 3)
      const seen = [...(yield* poll(consumer, 2)), ...(yield* poll(consumer, 2))]
      assert.deepStrictEqual(seen, numbers(4, 1))
      yield* settle
      assert.deepStrictEqual(yield* pollNow(consumer), [])
      assert.strictEqual(yield* consumer.position(queue), 5)
    }).pipe(onRig())
  )

  it.effect("what was noted before a seek is still written, and what polls after it gave goes back behind it", () =>
    Effect.gen(function* () {
      yield* send(6)
      const consumer = yield* member({ autoCommit: false })
      yield* poll(consumer, 4)
      yield* consumer.commit(undefined, { persist: false })
      yield* consumer.seek(queue, 1)
      yield* poll(consumer, 1)
      // Timer 4 begins after 10 seconds.
      yield* advance(10_000)
      assert.deepStrictEqual(yield* written, [0, 0, 4])
      yield* consumer.commit()
      assert.deepStrictEqual(yield* written, [0, 0, 4, 2])
      assert.strictEqual(yield* consumer.committed(queue), 2)
    }).pipe(onRig())
  )

  it.effect(
    "a member that joins gets what the other one has not committed; a listener may commit as its queues go",
    () =>
      Effect.gen(function* () {
        yield* send(4, 0, 0)
        yield* send(4, 10, 1)
        const first: DefaultLitePullConsumerShape = yield* member({
          instanceName: "first",
          autoCommit: false,
          rebalanceListener: { revoked: () => Effect.ignore(Effect.suspend(() => first.commit())) }
        })
        yield* isCached(first, 8)
        assert.lengthOf(yield* poll(first, 8), 8)
        const joining = yield* Effect.forkChild(member({ instanceName: "second", startTimeoutMillis: "1 minute" }), {
          startImmediately: true
        })
        yield* advance(5_000)
        const second = yield* Fiber.join(joining)
        assert.lengthOf(yield* first.assignment, 1)
        const [taken] = yield* second.assignment
        assert(taken !== undefined)
        assert.strictEqual(yield* second.position(taken), 4, "the listener has committed it")
        yield* send(1, 4, taken.queueId)
        assert.deepStrictEqual(yield* poll(second), ["4"])
      }).pipe(onRig(MQVersion.V5_5_0, 2))
  )

  for (const version of versions) {
    it.effect(`R33: a reset drops what is cached and is read on at once, as ${version}`, () =>
      Effect.gen(function* () {
        yield* send(20)
        const consumer = yield* member()
        assert.deepStrictEqual(yield* poll(consumer, 5), numbers(5))
        yield* isCached(consumer, 15)
        const admin = yield* MQAdmin
        yield* admin.resetOffsetByTimestamp({ group: "billing", topic: "orders", to: "earliest" })
        yield* advance(20_000)
        const seen: Array<string> = []
        while (seen.length < 20) for (const one of yield* poll(consumer)) seen.push(one)
        assert.deepStrictEqual(seen, numbers(20))
        assert.strictEqual((yield* consumer.state).counters.resets, 1)
      }).pipe(onRig(version))
    )
  }

  it.effect("members that broadcast each get all, and keep their offsets to themselves", () =>
    Effect.gen(function* () {
      yield* send(3)
      const [one, two] = yield* Effect.forEach(["one", "two"], (instanceName) =>
        member({ instanceName, messageModel: "BROADCASTING" })
      )
      assert(one !== undefined && two !== undefined)
      assert.deepStrictEqual([yield* poll(one), yield* poll(two)], [numbers(3), numbers(3)])
      yield* one.commit()
      assert.strictEqual(yield* one.committed(queue), 3)
      assert.strictEqual(yield* two.committed(queue), 0)
      assert.deepStrictEqual(yield* written, [])
    }).pipe(onRig())
  )
})
