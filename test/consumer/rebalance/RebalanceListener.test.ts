import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import type { PushConsumerOptions } from "../../../src/consumer/ConsumerOptions.ts"
import { DefaultMQPushConsumer } from "../../../src/consumer/DefaultMQPushConsumer.ts"
import type { RebalanceListener } from "../../../src/consumer/rebalance/RebalanceListener.ts"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../../src/message/Message.ts"
import type { MessageQueue } from "../../../src/message/MessageQueue.ts"
import { isRetryTopic } from "../../../src/message/MixAll.ts"
import { DefaultMQProducer } from "../../../src/producer/DefaultMQProducer.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { settle } from "../../support/rig.ts"
import { commits, consume, make, namesrvAddr, rig } from "../support.ts"

const ids = (queues: ReadonlyArray<MessageQueue>) => queues.map(({ queueId }) => queueId).join()

/** Notes what it is told of the topic, and when. */
const noting = (events: Array<string>, after: Effect.Effect<void> = Effect.void): RebalanceListener => {
  const note = (what: string, then: Effect.Effect<void>) => (queues: ReadonlyArray<MessageQueue>) =>
    queues.some(({ topic }) => isRetryTopic(topic))
      ? Effect.void
      : Effect.flatMap(Clock.currentTimeMillis, (time) =>
          Effect.andThen(
            Effect.sync(() => {
              events.push(`${what} ${ids(queues)} at ${time}`)
            }),
            then
          )
        )
  return { assigned: note("assigned", after), revoked: note("revoked", Effect.void) }
}

/** When an event was. */
const at = (event: string | undefined) => Number(event?.split(" ").at(-1))

const send = Effect.fnUntraced(function* (count: number) {
  const producer = yield* DefaultMQProducer
  for (let n = 0; n < count; n++) {
    const queue = { topic: "orders", brokerName: "broker-a", queueId: n % 4 }
    yield* producer.send(Message.make({ topic: "orders", body: `${n}` }), { queue })
  }
})

const joins = (options: Partial<PushConsumerOptions>) =>
  Effect.forkScoped(
    consume(() => Effect.void, options),
    { startImmediately: true }
  )

describe("a rebalance listener", () => {
  it.effect(
    "hears of queues before their first pull, and of those that go between the last handler and the last write",
    () =>
      Effect.gen(function* () {
        const { traffic } = yield* EmbeddedCluster
        const events: Array<string> = []
        yield* send(4)
        yield* consume(() => Effect.sleep(250), {
          instanceName: "a",
          consumeFromWhere: "first",
          persistConsumerOffsetInterval: 3_600_000,
          rebalanceListener: noting(events, Effect.sleep(100))
        })
        yield* settle
        const pulls = yield* traffic.matching({ code: RequestCode.PULL_MESSAGE, topic: "orders" })
        assert.deepStrictEqual(pulls, [], "not before it has ended")
        assert.deepStrictEqual(events, ["assigned 0,1,2,3 at 0"])
        yield* TestClock.adjust("1 second")
        yield* send(4)
        yield* traffic.clear
        const others: Array<string> = []
        yield* joins({ instanceName: "b", rebalanceListener: noting(others) })
        yield* TestClock.adjust("6 seconds")
        const [, revoked] = events
        assert.match(revoked ?? "", /^revoked 2,3 at \d+$/)
        // No handler runs any more, and what they finished is written after it.
        assert.isAtLeast(at(revoked), 1_250)
        const written = (yield* commits()).filter(({ by, queue }) => by === "update" && /[23]$/.test(queue))
        for (const name of ["orders@2", "orders@3"]) {
          const last = written.filter(({ queue, time }) => queue === name && time < at(others[0])).at(-1)
          assert.strictEqual(last?.offset, 2)
        }
        // Behind the other's.
        assert.strictEqual(others.length, 1)
        assert.match(others[0] ?? "", /^assigned 2,3 at \d+$/)
        assert.isAbove(at(others[0]), at(revoked))
      }).pipe(Effect.scoped, Effect.provide(rig({ topics: { orders: { readQueueNums: 4, writeQueueNums: 4 } } })))
  )

  it.effect("hears of all at the close, with what it needs of the layer's context, before the last write", () =>
    Effect.gen(function* () {
      class Log extends Context.Service<Log, Array<string>>()("Log") {}
      const log: Array<string> = []
      yield* send(1)
      const said = (what: string) => (queues: ReadonlyArray<MessageQueue>) =>
        Effect.map(Log, (lines) => {
          for (const { topic } of queues) if (topic === "orders") lines.push(what)
        })
      const layer = DefaultMQPushConsumer.layer(
        {
          consumerGroup: "billing",
          subscriptions: [Subscription.all("orders")],
          namesrvAddr,
          consumeFromWhere: "first",
          rebalanceListener: { assigned: said("assigned"), revoked: said("revoked") }
        },
        () =>
          Effect.sync(() => {
            log.push("handled")
          })
      ).pipe(Layer.provide(Layer.succeed(Log, log)))
      yield* Effect.gen(function* () {
        yield* (yield* DefaultMQPushConsumer).caughtUp()
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(log, [
        ...Array.from({ length: 4 }, () => "assigned"),
        "handled",
        ...Array.from({ length: 4 }, () => "revoked")
      ])
    }).pipe(Effect.scoped, Effect.provide(rig({ topics: { orders: { readQueueNums: 4, writeQueueNums: 4 } } })))
  )

  it.effect("one that dies or never ends is a problem, and costs nothing else", () =>
    Effect.gen(function* () {
      yield* send(4)
      let handled = 0
      const consumer = yield* make(
        () =>
          Effect.sync(() => {
            handled++
          }),
        {
          consumeFromWhere: "first",
          rebalanceListener: {
            assigned: () => Effect.die(new Error("mine")),
            revoked: () => Effect.uninterruptible(Effect.never)
          }
        }
      )
      yield* consumer.start
      yield* consumer.caughtUp()
      assert.strictEqual(handled, 4)
      const problems = (yield* consumer.state).problems.map(({ text }) => text)
      assert.deepStrictEqual(problems, ["rebalanceListener.assigned of group billing died: mine"])
      const closing = yield* Effect.forkChild(consumer.shutdown, { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      assert.deepInclude(yield* consumer.lastDrain, { interrupted: 0, notPersisted: [] })
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("of one that hangs in assigned the queues are read all the same, half a minute later", () =>
    Effect.gen(function* () {
      yield* send(4)
      let handled = 0
      yield* consume(
        () =>
          Effect.sync(() => {
            handled++
          }),
        { consumeFromWhere: "first", rebalanceListener: { assigned: () => Effect.never } }
      )
      yield* TestClock.adjust("29 seconds")
      assert.strictEqual(handled, 0)
      // The retry topic's queue is one of another call.
      yield* TestClock.adjust("40 seconds")
      assert.strictEqual(handled, 4)
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("what is no listener is refused at the start", () =>
    Effect.gen(function* () {
      const options = Object.fromEntries([["rebalanceListener", { assigned: "nothing" }]])
      const consumer = yield* make(() => Effect.void, options)
      assert.include(String(yield* Effect.flip(consumer.start)), "rebalanceListener: must be a RebalanceListener")
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )
})
