import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as ConsumeResult from "../../src/consumer/ConsumeResult.ts"
import type { PushConsumerOptions } from "../../src/consumer/ConsumerOptions.ts"
import { DefaultMQPushConsumer, type DefaultMQPushConsumerShape } from "../../src/consumer/DefaultMQPushConsumer.ts"
import * as MessageListener from "../../src/consumer/MessageListener.ts"
import type { ReceivedMessage } from "../../src/consumer/ReceivedMessage.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { ResponseCode } from "../../src/protocol/ResponseCode.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import { watchLog } from "../reliability/watch.ts"

const namesrvAddr = "127.0.0.1:9876"
const cluster = EmbeddedCluster.layerMemory({
  topics: { orders: {} },
  listen: { namesrvPort: 9_876, brokerPort: 10_911 }
})
const producer = DefaultMQProducer.layer({ producerGroup: "orders-pg", namesrvAddr })
const rig = producer.pipe(Layer.provideMerge(MQClientManager.layer), Layer.provideMerge(cluster))

const text = (message: ReceivedMessage) => new TextDecoder().decode(message.body)

describe("DefaultMQPushConsumer", () => {
  it.effect("a member that is alone waits for nothing: layer, publish and caughtUp without turning the clock", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const { send } = yield* DefaultMQProducer
      yield* Effect.gen(function* () {
        const consumer = yield* DefaultMQPushConsumer
        assert.strictEqual((yield* consumer.assignment).length, 5)
        for (const body of ["1", "2", "3"]) yield* send(Message.make({ topic: "orders", body }))
        yield* consumer.caughtUp()
        assert.deepStrictEqual(seen.toSorted(), ["1", "2", "3"])
        const { counters, problems, queues } = yield* consumer.state
        assert.deepInclude(counters, { received: 3, succeeded: 3, failures: 0 })
        assert.deepStrictEqual(problems, [])
        assert.isTrue(queues.every(({ lag }) => lag === undefined || lag === 0))
      }).pipe(
        Effect.provide(
          DefaultMQPushConsumer.layer(
            { consumerGroup: "billing", subscriptions: [Subscription.all("orders")], namesrvAddr },
            (message) =>
              Effect.sync(() => {
                seen.push(text(message))
              })
          )
        )
      )
    }).pipe(Effect.provide(rig))
  )

  it.effect("what was given back is redelivered, and what was given up is with the dead letters", () =>
    Effect.gen(function* () {
      const { send } = yield* DefaultMQProducer
      const { messages } = yield* EmbeddedCluster
      yield* Effect.gen(function* () {
        const consumer = yield* DefaultMQPushConsumer
        for (const body of ["good", "poison"]) yield* send(Message.make({ topic: "orders", body }))
        yield* consumer.caughtUp()
        const { counters } = yield* consumer.state
        assert.deepInclude(counters, { succeeded: 1, deadLettered: 1 })
        assert.strictEqual((yield* messages("%DLQ%billing")).length, 1)
      }).pipe(
        Effect.provide(
          DefaultMQPushConsumer.layer(
            { consumerGroup: "billing", subscriptions: [Subscription.all("orders")], namesrvAddr },
            (message) =>
              Effect.succeed(text(message) === "poison" ? ConsumeResult.deadLetter("poison") : ConsumeResult.success)
          )
        )
      )
    }).pipe(Effect.provide(rig))
  )
})

const consume = (
  handler: (message: ReceivedMessage) => Effect.Effect<void>,
  options: Partial<PushConsumerOptions> = {}
) =>
  DefaultMQPushConsumer.make(
    { consumerGroup: "billing", subscriptions: [Subscription.all("orders")], namesrvAddr, ...options },
    handler
  ).pipe(Effect.tap((consumer) => Effect.acquireRelease(consumer.start, () => consumer.shutdown)))

const ownedOnce = (members: ReadonlyArray<DefaultMQPushConsumerShape>) =>
  Effect.gen(function* () {
    const owned = (yield* Effect.forEach(members, (member) => member.assignment)).map((queues) =>
      queues.filter(({ topic }) => topic === "orders").map(({ queueId }) => queueId)
    )
    assert.deepStrictEqual(
      owned.flat().toSorted((a, b) => a - b),
      [0, 1, 2, 3]
    )
    return owned
  })

describe("a group", () => {
  it.effect("shares its queues, and hands over those of a member that leaves", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const handler = (message: ReceivedMessage) =>
        Effect.sync(() => {
          seen.push(text(message))
        })
      const { send } = yield* DefaultMQProducer
      const first = yield* consume(handler)
      const scope = yield* Scope.make()
      const second = yield* Scope.provide(
        Effect.forkChild(consume(handler, { instanceName: "second" }), { startImmediately: true }),
        scope
      )
      yield* TestClock.adjust("3 seconds")
      const members = [first, yield* Fiber.join(second)]
      assert.deepStrictEqual(
        (yield* ownedOnce(members)).map((queues) => queues.length),
        [2, 2]
      )
      for (let n = 0; n < 40; n++) yield* send(Message.make({ topic: "orders", body: `${n}` }))
      for (const member of members) yield* member.caughtUp()
      assert.strictEqual(new Set(seen).size, 40)
      assert.strictEqual(seen.length, 40)
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("3 seconds")
      yield* ownedOnce([first])
      yield* send(Message.make({ topic: "orders", body: "last" }))
      yield* first.caughtUp()
      assert.include(seen, "last")
      assert.strictEqual(seen.length, 41)
    }).pipe(Effect.scoped, Effect.provide(rig))
  )

  it.effect("goes on where it was, with a new member and the same group", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const handler = (message: ReceivedMessage) =>
        Effect.sync(() => {
          seen.push(text(message))
        })
      const { send } = yield* DefaultMQProducer
      for (const body of ["1", "2", "3"]) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const consumer = yield* consume(handler)
            yield* send(Message.make({ topic: "orders", body }))
            yield* consumer.caughtUp()
          })
        )
        yield* send(Message.make({ topic: "orders", body: `${body} meanwhile` }))
      }
      const last = yield* consume(handler)
      yield* last.caughtUp()
      assert.deepStrictEqual(seen.toSorted(), ["1", "1 meanwhile", "2", "2 meanwhile", "3", "3 meanwhile"])
    }).pipe(Effect.scoped, Effect.provide(rig))
  )

  it.effect("gets a message again that failed, after the broker's delay, with its topic and its attempt", () =>
    Effect.gen(function* () {
      const seen: Array<readonly [string, number, string]> = []
      const { send } = yield* DefaultMQProducer
      const consumer = yield* consume((message) =>
        Effect.suspend(() => {
          seen.push([message.topic, message.attempt, text(message)])
          return message.attempt < 3 ? Effect.die("not yet") : Effect.void
        })
      )
      const { msgId } = yield* send(Message.make({ topic: "orders", body: "stubborn" }))
      yield* consumer.caughtUp()
      yield* TestClock.adjust("11 seconds")
      yield* consumer.caughtUp()
      yield* TestClock.adjust("31 seconds")
      yield* consumer.caughtUp()
      assert.deepStrictEqual(seen, [
        ["orders", 1, "stubborn"],
        ["orders", 2, "stubborn"],
        ["orders", 3, "stubborn"]
      ])
      assert.isNotEmpty(msgId)
      assert.deepInclude((yield* consumer.state).counters, { defects: 2, reconsumeLater: 2, succeeded: 1 })
    }).pipe(Effect.scoped, Effect.provide(rig))
  )

  it.effect("a handler that closing interrupts is no failure: its message comes once more, to the next member", () =>
    Effect.gen(function* () {
      const { send } = yield* DefaultMQProducer
      const { messages } = yield* EmbeddedCluster
      let begun = 0
      for (let restart = 0; restart < 3; restart++) {
        const scope = yield* Scope.make()
        const consumer = yield* Scope.provide(
          consume(
            () =>
              Effect.suspend(() => {
                begun++
                return Effect.never
              }),
            { drainTimeoutMillis: 0 }
          ),
          scope
        )
        if (restart === 0) yield* send(Message.make({ topic: "orders", body: "slow" }))
        yield* Effect.repeat(Effect.yieldNow, { until: () => begun > restart })
        yield* Scope.close(scope, Exit.void)
        assert.deepInclude(yield* consumer.lastDrain, { finished: 0, interrupted: 1 })
      }
      assert.strictEqual((yield* messages("%RETRY%billing")).length, 0)
      const attempts: Array<number> = []
      const last = yield* consume((message) =>
        Effect.sync(() => {
          attempts.push(message.attempt)
        })
      )
      yield* last.caughtUp()
      assert.deepStrictEqual(attempts, [1])
    }).pipe(Effect.scoped, Effect.provide(rig))
  )

  it.effect("refuses a second consumer of the group in one client instance", () =>
    Effect.gen(function* () {
      yield* consume(() => Effect.void)
      const second = yield* DefaultMQPushConsumer.make(
        { consumerGroup: "billing", subscriptions: [Subscription.all("orders")], namesrvAddr },
        () => Effect.void
      )
      const error = yield* Effect.flip(second.start)
      assert.strictEqual(error.reason._tag, "DuplicateConsumerGroup")
      assert.strictEqual(yield* second.serviceState, "CREATE_JUST")
    }).pipe(Effect.scoped, Effect.provide(rig))
  )

  it.effect("tells everything about its options that cannot be used at once", () =>
    Effect.gen(function* () {
      const consumer = yield* DefaultMQPushConsumer.make(
        {
          consumerGroup: "billing",
          subscriptions: [Subscription.all("orders"), Subscription.tags("orders", "a")],
          namesrvAddr,
          consumeThreadMin: 3,
          consumeThreadMax: 2,
          pullBatchSize: 0
        },
        () => Effect.void
      )
      const { reason, step } = yield* Effect.flip(consumer.start)
      assert.strictEqual(step, "5.2")
      assert.strictEqual(reason._tag, "InvalidConfig")
      if (reason._tag !== "InvalidConfig") return
      assert.sameMembers(
        reason.problems.map(({ path }) => path),
        ["pullBatchSize", "consumeThreadMin", "subscriptions[1]"]
      )
    }).pipe(Effect.provide(rig))
  )

  it.effect("filters by tags at the broker, and again here where two tags have one hash", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const { send } = yield* DefaultMQProducer
      const consumer = yield* consume(
        (message) =>
          Effect.sync(() => {
            seen.push(message.tags ?? "none")
          }),
        { subscriptions: [Subscription.tags("orders", "Aa")] }
      )
      for (const tags of ["Aa", "BB", "Cc", undefined]) yield* send(Message.make({ topic: "orders", body: "x", tags }))
      yield* consumer.caughtUp()
      assert.deepStrictEqual(seen, ["Aa"])
    }).pipe(Effect.scoped, Effect.provide(rig))
  )

  it.effect("takes what waits as batches of one queue, and gives back what is behind the ackIndex", () =>
    Effect.gen(function* () {
      const sizes: Array<number> = []
      const { send } = yield* DefaultMQProducer
      const queue = { topic: "orders", brokerName: "broker-a", queueId: 0 }
      const consumer = yield* DefaultMQPushConsumer.make(
        {
          consumerGroup: "billing",
          subscriptions: [Subscription.all("orders")],
          namesrvAddr,
          consumeFromWhere: "first"
        },
        MessageListener.batch({ maxSize: 4 }, (batch) =>
          Effect.sync(() => {
            sizes.push(batch.length)
            return MessageListener.BatchResult.ackIndex(0)
          })
        )
      )
      for (let n = 0; n < 6; n++) yield* send(Message.make({ topic: "orders", body: `${n}` }), { queue })
      yield* Effect.acquireRelease(consumer.start, () => consumer.shutdown)
      yield* consumer.caughtUp()
      assert.deepStrictEqual(sizes, [4, 2])
      assert.deepInclude((yield* consumer.state).counters, { succeeded: 2, reconsumeLater: 4 })
    }).pipe(Effect.scoped, Effect.provide(rig))
  )

  it.effect("a first start of a group tells of nothing that was never wrong", () => {
    const log = watchLog()
    return Effect.gen(function* () {
      const { send } = yield* DefaultMQProducer
      const { faults } = yield* EmbeddedCluster
      // Its retry topic is made by the first heartbeat, a moment before the name server knows it.
      yield* faults.add({
        match: { code: RequestCode.GET_ROUTEINFO_BY_TOPIC, topic: "%RETRY%new" },
        actions: [FaultScript.answer(ResponseCode.TOPIC_NOT_EXIST, "not yet")],
        times: 1
      })
      const consumer = yield* DefaultMQPushConsumer.make(
        { consumerGroup: "new", subscriptions: [Subscription.all("orders")], namesrvAddr },
        () => Effect.void
      )
      yield* Effect.acquireRelease(consumer.start, () => consumer.shutdown)
      yield* send(Message.make({ topic: "orders", body: "7" }))
      yield* TestClock.adjust("1 minute")
      yield* consumer.caughtUp()
      assert.isAbove((yield* faults.fired).length, 0)
      assert.deepStrictEqual([...log.of("Info", /route/), ...log.of("Warn", /./)], [])
    }).pipe(Effect.scoped, Effect.provide(rig), log.provide)
  })
})
