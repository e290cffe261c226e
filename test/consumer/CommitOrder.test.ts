import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { PushConsumerOptions } from "../../src/consumer/ConsumerOptions.ts"
import * as ConsumeResult from "../../src/consumer/ConsumeResult.ts"
import * as MessageListener from "../../src/consumer/MessageListener.ts"
import * as MessageStream from "../../src/consumer/MessageStream.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import * as QueryConsumerOffset from "../../src/protocol/request/QueryConsumerOffset.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import { brokerAddress, orThrow, rawClient } from "../embedded/support.ts"
import { commits, consume, namesrvAddr, rig } from "./support.ts"

const one = rig({ topics: { orders: { readQueueNums: 1, writeQueueNums: 1 } } })

const send = Effect.flatMap(DefaultMQProducer, (producer) =>
  producer.send(Message.make({ topic: "orders", body: "x" }))
)

/** Where the broker says that the group is. */
const stored = Effect.gen(function* () {
  const client = yield* rawClient()
  const query = QueryConsumerOffset.request({ consumerGroup: "billing", topic: "orders", queueId: 0 })
  return orThrow(QueryConsumerOffset.decodeResponse(yield* client.call(yield* brokerAddress(), query))).offset
})

describe("positions reach the broker in their order", () => {
  for (const [end, seconds] of [
    ["by timer 4", 12],
    ["when it is given up", 4]
  ] as const) {
    it.effect(`what is written of a queue ${end} is not put back by a pull that the broker takes later`, () =>
      Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        yield* send
        const first = yield* consume(() => Effect.sleep(100), { instanceName: "b", consumeFromWhere: "first" })
        yield* TestClock.adjust("1 second")
        yield* first.caughtUp()
        // The pull that follows an answer is sent while its message is being handled, and lies in the broker's queue.
        yield* faults.add({
          match: { code: RequestCode.PULL_MESSAGE, topic: "orders" },
          actions: [FaultScript.delay(seconds * 1_000 + 1_000)]
        })
        yield* send
        yield* TestClock.adjust("200 millis")
        if (end === "when it is given up") {
          // It is the only queue, and goes to the member whose id comes first.
          yield* Effect.forkScoped(
            consume(() => Effect.void, { instanceName: "a" }),
            { startImmediately: true }
          )
        }
        yield* TestClock.adjust(`${seconds} seconds`)
        assert.strictEqual(yield* stored, 2)
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* stored, 2)
      }).pipe(Effect.scoped, Effect.provide(one))
    )
  }

  const kinds: ReadonlyArray<
    readonly [string, Partial<PushConsumerOptions>, MessageListener.MessageListener<never, never>]
  > = [
    ["side by side", {}, MessageListener.concurrently(() => Effect.succeed(ConsumeResult.reconsumeLater()))],
    ["in order", {}, MessageListener.orderly(() => Effect.void)],
    ["by every member", { messageModel: "BROADCASTING" }, MessageListener.concurrently(() => Effect.void)]
  ]
  for (const [name, options, listener] of kinds) {
    it.effect(`no pull carries one: consumed ${name}, the retry topic too`, () =>
      Effect.gen(function* () {
        const consumer = yield* consume(listener, options)
        yield* send
        yield* consumer.caughtUp()
        yield* TestClock.adjust("1 minute")
        yield* carriesNone
      }).pipe(Effect.scoped, Effect.provide(one))
    )
  }

  it.effect("no pull carries one: a stream", () =>
    Effect.gen(function* () {
      yield* MessageStream.make({
        consumerGroup: "billing",
        subscriptions: [Subscription.all("orders")],
        consumeFromWhere: "first",
        namesrvAddr
      }).pipe(
        Stream.runForEach(({ ack }) => ack),
        Effect.forkScoped({ startImmediately: true })
      )
      yield* send
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* stored, 1)
      yield* carriesNone
    }).pipe(Effect.scoped, Effect.provide(one))
  )
})

const carriesNone = Effect.gen(function* () {
  const { traffic } = yield* EmbeddedCluster
  assert.isAbove((yield* traffic.matching({ code: RequestCode.PULL_MESSAGE, topic: "orders" })).length, 1)
  for (const topic of ["orders", "%RETRY%billing"])
    assert.deepStrictEqual(
      (yield* commits(topic)).filter(({ by }) => by === "pull"),
      []
    )
})
