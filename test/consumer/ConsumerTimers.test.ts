import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as Message from "../../src/message/Message.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { commits, consume, rig } from "./support.ts"

const send = Effect.fnUntraced(function* (count: number, queueId: number) {
  const producer = yield* DefaultMQProducer
  for (let n = 0; n < count; n++) {
    yield* producer.send(Message.make({ topic: "orders", body: "x" }), {
      queue: { topic: "orders", brokerName: "broker-a", queueId }
    })
  }
})

describe("timer 4", () => {
  it.effect("writes every 5 seconds what has moved, and only that", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const consumer = yield* consume(() => Effect.void)
      yield* TestClock.adjust("10 seconds")
      yield* traffic.clear
      yield* TestClock.adjust("1 minute")
      const updates = Effect.map(commits(), (all) => all.filter(({ by }) => by === "update"))
      assert.deepStrictEqual(yield* updates, [], "nothing has moved")
      yield* send(2, 1)
      yield* consumer.caughtUp()
      yield* TestClock.adjust("6 seconds")
      yield* send(1, 1)
      yield* send(1, 3)
      yield* consumer.caughtUp()
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(
        (yield* updates).map(({ offset, queue }) => [queue, offset]),
        [
          ["orders@1", 2],
          ["orders@1", 3],
          ["orders@3", 1]
        ]
      )
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )
})

describe("timer 5", () => {
  it.effect("adds a handler a minute while the backlog is large, up to the most, and takes them away after", () =>
    Effect.gen(function* () {
      let slow = true
      const consumer = yield* consume(() => Effect.suspend(() => (slow ? Effect.sleep("5 minutes") : Effect.void)), {
        consumeThreadMin: 2,
        consumeThreadMax: 4,
        adjustThreadPoolNumsThreshold: 50,
        drainTimeoutMillis: 0
      })
      const concurrency = Effect.map(consumer.state, (state) => [state.concurrency, state.running])
      assert.deepStrictEqual(yield* concurrency, [2, 0])
      for (const queueId of [0, 1, 2, 3]) yield* send(30, queueId)
      yield* TestClock.adjust("61 seconds")
      assert.deepStrictEqual(yield* concurrency, [3, 3])
      yield* TestClock.adjust("3 minutes")
      assert.deepStrictEqual(yield* concurrency, [4, 4])
      slow = false
      yield* TestClock.adjust("5 minutes")
      yield* consumer.caughtUp()
      yield* TestClock.adjust("3 minutes")
      assert.deepStrictEqual(yield* concurrency, [2, 0])
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )
})
