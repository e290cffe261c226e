import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as ConsumeResult from "../../src/consumer/ConsumeResult.ts"
import type { ReceivedMessage } from "../../src/consumer/ReceivedMessage.ts"
import type { AllocateStrategy } from "../../src/consumer/rebalance/AllocateStrategy.ts"
import * as Message from "../../src/message/Message.ts"
import { isRetryTopic } from "../../src/message/MixAll.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import { settle } from "../support/rig.ts"
import { consume, rig, text } from "./support.ts"

const send = Effect.fnUntraced(function* (...bodies: ReadonlyArray<string>) {
  const { send: one } = yield* DefaultMQProducer
  for (const body of bodies) yield* one(Message.make({ topic: "orders", body }))
})

/** Fails so many deliveries of each message, each of which comes again after ten seconds. */
const failing = (deliveries: number, seen: Array<string>) => (message: ReceivedMessage) =>
  Effect.sync(() => {
    seen.push(`${text(message)} ${message.attempt}`)
    return message.attempt <= deliveries ? ConsumeResult.reconsumeLater("10 seconds") : ConsumeResult.success
  })

describe("caughtUp", () => {
  it.effect("waits for what comes again only where that is asked for", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const consumer = yield* consume(failing(2, seen))
      yield* send("a", "b")
      yield* consumer.caughtUp()
      assert.sameMembers(seen, ["a 1", "b 1"])
      const waiting = yield* Effect.forkChild(consumer.caughtUp({ redeliveries: true }), { startImmediately: true })
      yield* TestClock.adjust("12 seconds")
      assert.strictEqual(seen.length, 4)
      assert.isUndefined(waiting.pollUnsafe(), "the third delivery is to come")
      yield* TestClock.adjust("12 seconds")
      yield* Fiber.join(waiting)
      assert.sameMembers(seen.slice(4), ["a 3", "b 3"])
      // Nothing is left to be waited for.
      yield* consumer.caughtUp({ redeliveries: true })
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("not for dead letters, whoever said so; for a copy that was sent instead", () =>
    Effect.gen(function* () {
      const { faults, messages } = yield* EmbeddedCluster
      const seen: Array<string> = []
      const consumer = yield* consume(
        (message) =>
          text(message) === "poison" ? Effect.succeed(ConsumeResult.deadLetter()) : failing(9, seen)(message),
        { maxReconsumeTimes: 1 }
      )
      yield* faults.add({
        match: { code: RequestCode.CONSUMER_SEND_MSG_BACK },
        actions: [FaultScript.answer(1, "no")],
        times: 2
      })
      yield* send("a", "poison")
      const waiting = yield* Effect.forkChild(consumer.caughtUp({ redeliveries: true }), { startImmediately: true })
      yield* TestClock.adjust("9 seconds")
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(waiting)
      assert.deepStrictEqual(seen, ["a 1", "a 2"])
      assert.strictEqual((yield* messages("%DLQ%billing")).length, 2)
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("not for what comes again to another member", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const options = { allocateMessageQueueStrategy: retriesApart }
      const first = yield* consume(failing(1, seen), { ...options, instanceName: "a" })
      yield* Effect.forkScoped(consume(failing(1, seen), { ...options, instanceName: "b" }), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      yield* send("a")
      yield* settle
      yield* first.caughtUp({ redeliveries: true })
      assert.deepStrictEqual(seen, ["a 1"])
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )
})

/** The topic to the first member, what comes again to the last. */
const retriesApart: AllocateStrategy = {
  name: "APART",
  allocate: ({ cidAll, currentCID, mqAll }) =>
    mqAll.filter(({ topic }) => (isRetryTopic(topic) ? cidAll.at(-1) : cidAll[0]) === currentCID)
}
