/** Brokers that answer pulls with what cannot be meant, and messages that become large: what a consumer makes of them. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import * as Zlib from "node:zlib"
import type { PushConsumerOptions } from "../../src/consumer/ConsumerOptions.ts"
import { DefaultMQPushConsumer } from "../../src/consumer/DefaultMQPushConsumer.ts"
import type { ReceivedMessage } from "../../src/consumer/ReceivedMessage.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import { SysFlag } from "../../src/message/SysFlag.ts"
import * as PullMessage from "../../src/protocol/request/PullMessage.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { brokerAddress, rawClient, sendRequest } from "../embedded/support.ts"
import { memoryDuring } from "../support/memory.ts"
import { advance, onMemory } from "../support/rig.ts"
import { leavesNothing, watchLog } from "./watch.ts"

const MIB = 1024 * 1024
const ZSTD = SysFlag.COMPRESSED | SysFlag.COMPRESSION_ZSTD
const topics = { orders: { readQueueNums: 1, writeQueueNums: 1 } }

const consume = (
  handler: (message: ReceivedMessage) => Effect.Effect<void>,
  options: Partial<PushConsumerOptions> = {}
) =>
  Effect.gen(function* () {
    const { namesrvAddr } = yield* EmbeddedCluster
    const consumer = yield* DefaultMQPushConsumer.make(
      {
        consumerGroup: "billing",
        subscriptions: [Subscription.all("orders")],
        namesrvAddr,
        consumeFromWhere: "first",
        ...options
      },
      handler
    )
    yield* Effect.acquireRelease(consumer.start, () => consumer.shutdown)
    return consumer
  })

/** Answers every pull of topic `orders` at once. */
const answering = (answer: Parameters<typeof PullMessage.response>[0]) =>
  Effect.flatMap(EmbeddedCluster, ({ faults }) =>
    Effect.andThen(
      faults.clear,
      faults.add({
        match: { code: RequestCode.PULL_MESSAGE, topic: "orders" },
        actions: [{ _tag: "Answer", response: PullMessage.response(answer) }]
      })
    )
  )

const pulls = Effect.flatMap(EmbeddedCluster, ({ traffic }) =>
  Effect.map(traffic.matching({ code: RequestCode.PULL_MESSAGE, topic: "orders" }), (all) => all.length)
)

const position = { suggestWhichBrokerId: 0, minOffset: 0, maxOffset: 10 }

describe("a broker that leads a consumer nowhere", () => {
  const answers = [
    ["that its offset is not there", { ...position, status: "OFFSET_ILLEGAL", nextBeginOffset: 3 }],
    ["that it is elsewhere, below every queue", { ...position, status: "OFFSET_ILLEGAL", nextBeginOffset: -7 }],
    ["that there is nothing, at once", { ...position, status: "NO_NEW_MSG", nextBeginOffset: 0 }],
    ["that nothing matches, and to go back", { ...position, status: "NO_MATCHED_MSG", nextBeginOffset: -7 }],
    ["with success and without a message", { ...position, status: "FOUND", nextBeginOffset: 0 }]
  ] as const

  it.effect.each(answers)(
    "A24: %s: the consumer slows down, tells it in a few lines, and goes on after",
    ([, answer]) => {
      const log = watchLog()
      return leavesNothing(
        Effect.gen(function* () {
          const seen: Array<string> = []
          yield* answering(answer)
          const consumer = yield* consume((message) => Effect.sync(() => void seen.push(String(message.queueOffset))))
          yield* advance(60_000, 1_000)
          assert.isAtMost(yield* pulls, 100)
          assert.isAtMost(log.of("Warn", /orders/).length, 10)
          const { queues } = yield* consumer.state
          assert.isTrue(queues.every(({ committedOffset = 0 }) => committedOffset >= 0))

          yield* (yield* EmbeddedCluster).faults.clear
          const client = yield* rawClient()
          for (let n = 0; n < 5; n++) yield* client.call(yield* brokerAddress(), sendRequest())
          yield* advance(40_000, 1_000)
          assert.includeMembers(seen, ["3", "4"])
        })
      ).pipe(onMemory({ topics }), log.provide)
    }
  )
})

describe("a message that counts its redeliveries as it likes", () => {
  for (const [what, reconsumeTimes, most] of [
    ["far below nothing", -2_147_483_648, 8],
    ["beyond every limit", 2_147_483_647, 1]
  ] as const) {
    it.effect(`A31: ${what}: it comes again after the first delay at the soonest, or not at all`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { messages } = yield* EmbeddedCluster
          const attempts: Array<number> = []
          yield* consume(({ attempt }) =>
            Effect.suspend(() => {
              attempts.push(attempt)
              return Effect.die("it fails each time")
            })
          )
          const client = yield* rawClient()
          yield* client.call(yield* brokerAddress(), sendRequest({ reconsumeTimes }))
          yield* advance(60_000, 1_000)
          assert.isAtLeast(attempts.length, 1)
          assert.isAtMost(attempts.length, most)
          assert.isTrue(attempts.every((attempt) => attempt >= 1))
          assert.strictEqual((yield* messages("%DLQ%billing")).length, most === 1 ? 1 : 0)
        })
      ).pipe(onMemory({ topics }))
    )
  }
})

describe("a queue full of messages that become large", () => {
  it.live("A23: a consumer takes over what it has room for, and the rest of the answer when there is room again", () =>
    Effect.gen(function* () {
      const COUNT = 30
      const client = yield* rawClient()
      const bomb = Zlib.zstdCompressSync(Buffer.alloc(20 * MIB))
      for (let n = 0; n < COUNT; n++) yield* client.call(yield* brokerAddress(), sendRequest({ sysFlag: ZSTD }, bomb))
      const gate = yield* Deferred.make<void>()
      const seen: Array<number> = []
      const { peakBytes } = yield* memoryDuring(
        Effect.gen(function* () {
          const consumer = yield* consume(
            (message) =>
              Effect.andThen(
                Deferred.await(gate),
                Effect.sync(() => void seen.push(message.queueOffset * MIB + message.body.length / MIB))
              ),
            { pullThresholdSizeForQueue: 50, consumeThreadMin: 2, consumeThreadMax: 2 }
          )
          const cached = Effect.map(consumer.state, ({ queues }) =>
            queues.reduce((sum, { cachedBytes }) => sum + cachedBytes, 0)
          )
          while ((yield* cached) < 50 * MIB) yield* Effect.sleep(5)
          // Long enough to take over more, if that is what it does.
          yield* Effect.sleep(300)
          assert.strictEqual(yield* cached, 60 * MIB)
          yield* Deferred.succeed(gate, undefined)
          while (seen.length < COUNT) yield* Effect.sleep(5)
        })
      )
      assert.deepStrictEqual(
        seen.toSorted((a, b) => a - b),
        Array.from({ length: COUNT }, (_, n) => n * MIB + 20)
      )
      // Without the limit it is all of it, 600 MiB, at once.
      assert.isBelow(peakBytes, 400 * MIB)
    }).pipe(Effect.scoped, onMemory({ topics }))
  )
})
