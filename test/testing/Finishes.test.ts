import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { check } from "../../src/client/ClientConfig.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as ConsumeResult from "../../src/consumer/ConsumeResult.ts"
import { DefaultMQPushConsumer } from "../../src/consumer/DefaultMQPushConsumer.ts"
import * as MessageListener from "../../src/consumer/MessageListener.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import * as HeartBeat from "../../src/protocol/request/HeartBeat.ts"
import * as QueryConsumerOffset from "../../src/protocol/request/QueryConsumerOffset.ts"
import * as UpdateConsumerOffset from "../../src/protocol/request/UpdateConsumerOffset.ts"
import { EmbeddedCluster, Finishes } from "../../src/testing/index.ts"
import { onMemory, startProducer } from "../support/rig.ts"

const cluster = { topics: { orders: { readQueueNums: 1, writeQueueNums: 1 } } }
const queue = MessageQueue.make("orders", "broker-a", 0)
const billing = { group: "billing", topics: ["orders"] }

/** What an audit finds, each as "check: detail". */
const audit = (finishes: Finishes.Finishes) =>
  Effect.map(finishes.audit, ({ violations }) => violations.map(({ check: name, detail }) => `${name}: ${detail}`))

const store = (count: number) =>
  Effect.gen(function* () {
    const { send } = yield* startProducer()
    for (let n = 0; n < count; n++) yield* send(Message.make({ topic: "orders", body: `order-${n}` }))
  })

/** What a consumer would send, sent by hand. */
const byHand = Effect.gen(function* () {
  const manager = yield* MQClientManager
  const { brokers, namesrvAddr } = yield* EmbeddedCluster
  const { api } = yield* manager.getOrCreateMQClientInstance(yield* check({ instanceName: "by-hand", namesrvAddr }))
  const address = brokers[0]?.address ?? ""
  const names = { consumerGroup: "billing", topic: "orders", queueId: 0 }
  // A broker takes offsets of groups that it knows.
  const data: Parameters<typeof HeartBeat.request>[0] = {
    clientID: "by-hand",
    producerDataSet: [],
    consumerDataSet: [
      {
        groupName: "billing",
        consumeType: "CONSUME_PASSIVELY",
        messageModel: "CLUSTERING",
        consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
        unitMode: false,
        subscriptionDataSet: []
      }
    ],
    heartbeatFingerprint: 0,
    withoutSub: false
  }
  yield* api.call(address, HeartBeat.request(data), 3_000, () => undefined)
  return {
    commit: (commitOffset: number) =>
      api.call(
        address,
        UpdateConsumerOffset.request({ ...names, commitOffset }),
        3_000,
        UpdateConsumerOffset.decodeResponse
      ),
    locate: api.call(address, QueryConsumerOffset.request(names), 3_000, QueryConsumerOffset.decodeResponse)
  }
})

const place = (queueOffset: number): Finishes.Consumed => ({ topic: "orders", msgId: "", queue, queueOffset })

describe("Finishes", () => {
  it.effect("finds nothing with a consumer that works, and counts what became of each message", () =>
    Effect.gen(function* () {
      const finishes = Finishes.make()
      const { namesrvAddr } = yield* EmbeddedCluster
      yield* store(3)
      yield* Effect.gen(function* () {
        const consumer = yield* DefaultMQPushConsumer
        yield* consumer.caughtUp()
        assert.deepStrictEqual(yield* finishes.unfinished, [])
        yield* TestClock.adjust("11 seconds")
        yield* consumer.caughtUp()
      }).pipe(
        Effect.provide(
          DefaultMQPushConsumer.layer(
            {
              consumerGroup: "billing",
              subscriptions: [Subscription.all("orders")],
              namesrvAddr,
              consumeFromWhere: "first"
            },
            finishes.watch(billing, ({ attempt, body }) => {
              const text = new TextDecoder().decode(body)
              if (text === "order-2") return Effect.succeed(ConsumeResult.deadLetter("poison"))
              return attempt === 1 && text === "order-1" ? Effect.fail("busy") : Effect.succeed(ConsumeResult.success)
            })
          )
        )
      )
      const { counts, violations } = yield* finishes.audit
      assert.deepStrictEqual(violations, [])
      assert.deepStrictEqual(counts, { delivered: 4, finished: 2, twice: 0, givenBack: 2, deadLetters: 1 })
    }).pipe(Effect.scoped, onMemory(cluster))
  )

  it.effect("finds a position above a message that is not finished, and what nobody finishes", () =>
    Effect.gen(function* () {
      const finishes = Finishes.make()
      const handler = finishes.watch<Finishes.Consumed, void, never, never>(billing, () => Effect.void)
      yield* store(2)
      const { commit } = yield* byHand
      yield* handler(place(1))
      assert.deepStrictEqual(yield* finishes.unfinished, [
        "0 of queue orders@broker-a@0 is not finished in group billing"
      ])
      yield* commit(2)
      assert.deepStrictEqual(yield* audit(finishes), [
        "exhaustion: 0 of queue orders@broker-a@0 is not finished in group billing",
        "position: UPDATE_CONSUMER_OFFSET of group billing committed 2 of queue orders@broker-a@0 at 0, before all below it was finished"
      ])
      // Finished later is finished too late.
      yield* TestClock.adjust("1 second")
      yield* handler(place(0))
      assert.deepStrictEqual(
        (yield* audit(finishes)).map((text) => text.slice(0, 8)),
        ["position"]
      )
    }).pipe(Effect.scoped, onMemory(cluster))
  )

  it.effect("finds a position that falls, but after the offset was read anew; and one beyond the end", () =>
    Effect.gen(function* () {
      const finishes = Finishes.make()
      const handler = finishes.watch<Finishes.Consumed, void, never, never>(billing, () => Effect.void)
      yield* store(2)
      const { commit, locate } = yield* byHand
      yield* handler(place(0))
      yield* handler(place(1))
      yield* commit(2)
      yield* locate
      yield* commit(1)
      yield* commit(2)
      assert.deepStrictEqual(yield* audit(finishes), [])
      yield* commit(1)
      yield* commit(3)
      assert.deepStrictEqual(yield* audit(finishes), [
        "position: the position of group billing in queue orders@broker-a@0 fell from 2 to 1 at 0, in one generation",
        "position: UPDATE_CONSUMER_OFFSET of group billing committed 3 of queue orders@broker-a@0 at 0, before all below it was finished",
        "exhaustion: the last position of group billing in queue orders@broker-a@0 is 3, its end 2"
      ])
    }).pipe(Effect.scoped, onMemory(cluster))
  )

  it.effect("counts as finished what each way of ending says, and nothing of a member that is dead", () =>
    Effect.gen(function* () {
      const finishes = Finishes.make()
      let alive = true
      const group = { ...billing, alive: () => alive }
      const ends = (outcome: MessageListener.BatchResult | void) =>
        finishes.watchBatch<ReadonlyArray<Finishes.Consumed>, MessageListener.BatchResult | void, never, never>(
          group,
          () => Effect.succeed(outcome)
        )
      const finished = Effect.map(finishes.unfinished, (left) => left.map((text) => Number(text.split(" ")[0])))
      yield* store(6)
      yield* ends(MessageListener.BatchResult.ackIndex(0))([place(0), place(1)])
      assert.deepStrictEqual(yield* finished, [1, 2, 3, 4, 5])
      yield* ends(MessageListener.BatchResult.each([ConsumeResult.reconsumeLater(), ConsumeResult.success]))([
        place(1),
        place(2),
        place(3)
      ])
      assert.deepStrictEqual(yield* finished, [1, 3, 4, 5])
      yield* ends(MessageListener.BatchResult.all(ConsumeResult.deadLetter("no")))([place(1)])
      yield* ends(undefined)([place(1)])
      yield* Effect.exit(
        finishes.watch<Finishes.Consumed, void, string, never>(group, () => Effect.fail("busy"))(place(3))
      )
      assert.deepStrictEqual(yield* finished, [3, 4, 5])
      assert.deepStrictEqual(yield* finishes.twice, [])
      yield* ends(undefined)([place(0)])
      assert.deepStrictEqual(yield* finishes.twice, [
        { group: "billing", queue: "orders@broker-a@0", queueOffset: 0, at: 0, again: [0] }
      ])
      alive = false
      yield* ends(undefined)([place(3)])
      assert.deepStrictEqual(yield* finished, [3, 4, 5])
    }).pipe(Effect.scoped, onMemory(cluster))
  )
})
