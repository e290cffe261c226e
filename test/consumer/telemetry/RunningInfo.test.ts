import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Latch, Redacted } from "effect"
import { TestClock } from "effect/testing"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../../src/message/Message.ts"
import { DefaultMQProducer } from "../../../src/producer/DefaultMQProducer.ts"
import * as GetConsumerRunningInfo from "../../../src/protocol/push/GetConsumerRunningInfo.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { brokerAddress, consumerHeartbeat, orThrow, rawClient } from "../../embedded/support.ts"
import { until } from "../../support/rig.ts"
import { consume, rig } from "../support.ts"

const queue = { topic: "orders", brokerName: "broker-a", queueId: 1 }

/** Asks the broker for what it passes on to a client. */
const ask = Effect.fnUntraced(function* (code: number, extFields: Readonly<Record<string, string>>) {
  const client = yield* rawClient()
  return yield* client.call(yield* brokerAddress(), { code, extFields }, 30_000)
})

const clientIdOf = Effect.map(EmbeddedCluster, ({ clients }) =>
  Effect.map(clients, (all) => all.find(({ group }) => group === "billing")?.clientId ?? "")
).pipe(Effect.flatten)

describe("what a consumer says of itself", () => {
  it.effect("every field that mqadmin consumerStatus prints, and no secret", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 hour")
      const gate = yield* Latch.make()
      const { send } = yield* DefaultMQProducer
      const consumer = yield* consume((message) => (message.queueOffset === 0 ? Effect.fail("no") : gate.await), {
        concurrency: 2,
        consumeTimeout: "3 minutes",
        drainTimeoutMillis: 0,
        credentials: { accessKey: "the-access-key", secretKey: Redacted.make("the-secret-key") }
      })
      for (let n = 0; n < 5; n++) yield* send(Message.make({ topic: "orders", body: "x".repeat(1_000) }), { queue })
      yield* until(
        "two run",
        Effect.map(consumer.state, ({ running }) => running === 2)
      )
      yield* TestClock.adjust("2 seconds")
      const clientId = yield* clientIdOf
      const answer = yield* ask(RequestCode.GET_CONSUMER_RUNNING_INFO, {
        consumerGroup: "billing",
        clientId,
        jstackEnable: "true"
      })
      assert.strictEqual(answer.code, 0, answer.remark)
      const info = orThrow(GetConsumerRunningInfo.decodeResponse(answer))
      assert.notMatch(new TextDecoder().decode(answer.body), /the-(access|secret)-key/)
      const now = yield* Clock.currentTimeMillis

      const properties = Object.fromEntries(info.properties)
      assert.deepInclude(properties, {
        consumerGroup: "billing",
        messageModel: "CLUSTERING",
        consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
        consumeThreadMin: "2",
        consumeThreadMax: "2",
        consumeTimeout: "3",
        consumeMessageBatchMaxSize: "1",
        allocateMessageQueueStrategy: "AVG",
        PROP_CONSUMEORDERLY: "false",
        PROP_CONSUME_TYPE: "CONSUME_PASSIVELY",
        PROP_THREADPOOL_CORE_SIZE: "2",
        PROP_NAMESERVER_ADDR: "127.0.0.1:9876;",
        PROP_CLIENT_VERSION: "V5_5_0",
        PROP_CONSUMER_START_TIMESTAMP: String(now - 2_000)
      })
      assert.deepStrictEqual(
        info.subscriptionSet.map(({ subString, topic }) => [topic, subString]),
        [
          ["%RETRY%billing", "*"],
          ["orders", "*"]
        ]
      )
      assert.strictEqual(info.mqTable.length, 5)
      const busy = info.mqTable.find(([{ queueId, topic }]) => topic === "orders" && queueId === 1)?.[1]
      assert.deepStrictEqual(busy, {
        commitOffset: 1,
        cachedMsgMinOffset: 1,
        cachedMsgMaxOffset: 4,
        cachedMsgCount: 4,
        cachedMsgSizeInMiB: 0,
        transactionMsgMinOffset: 0,
        transactionMsgMaxOffset: 0,
        transactionMsgCount: 0,
        locked: false,
        tryUnlockTimes: 0,
        lastLockTimestamp: now - 2_000,
        droped: false,
        lastPullTimestamp: now - 2_000,
        lastConsumeTimestamp: now - 2_000
      })
      const status = info.statusTable.get("orders")
      assert.deepInclude(status, { consumeFailedMsgs: 1, consumeFailedTPS: 0.1, consumeOKTPS: 0, pullTPS: 0.5 })
      assert.isTrue(info.statusTable.has("%RETRY%billing"))
      const lines = (info.jstack ?? "").split("\n")
      assert.match(lines[0] ?? "", /^2 of 2 handlers run/)
      assert.match(
        lines[1] ?? "",
        /^running for 2000 ms: message [0-9A-F]{32} of orders@broker-a@1, offset [12], attempt 1$/
      )
      assert.strictEqual(lines.length, 4)
      yield* gate.open
      yield* consumer.caughtUp()
      const later = orThrow(
        GetConsumerRunningInfo.decodeResponse(
          yield* ask(RequestCode.GET_CONSUMER_RUNNING_INFO, { consumerGroup: "billing", clientId })
        )
      )
      assert.isUndefined(later.jstack)
      assert.deepInclude(later.mqTable.find(([{ queueId, topic }]) => topic === "orders" && queueId === 1)?.[1], {
        cachedMsgCount: 0,
        cachedMsgMinOffset: 0,
        cachedMsgMaxOffset: 0,
        commitOffset: 5,
        lastConsumeTimestamp: now
      })
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("names a stuck consumer's long handlers first, at most a hundred", () =>
    Effect.gen(function* () {
      const { send } = yield* DefaultMQProducer
      const consumer = yield* consume(() => Effect.never, { concurrency: 150, drainTimeoutMillis: 0 })
      for (let n = 0; n < 150; n++) yield* send(Message.make({ topic: "orders", body: "x" }), { queue })
      yield* until(
        "all run",
        Effect.map(consumer.state, ({ running }) => running === 150)
      )
      const info = orThrow(
        GetConsumerRunningInfo.decodeResponse(
          yield* ask(RequestCode.GET_CONSUMER_RUNNING_INFO, {
            consumerGroup: "billing",
            clientId: yield* clientIdOf,
            jstackEnable: "true"
          })
        )
      )
      const lines = (info.jstack ?? "").split("\n")
      assert.strictEqual(lines.length, 103)
      assert.strictEqual(lines[101], "and 50 more")
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )
})

describe("members that come and go", () => {
  it.effect("C-14: a flood of them is one round a second", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const consumer = yield* consume(() => Effect.void, { subscriptions: [Subscription.all("orders")] })
      const other = yield* rawClient()
      const address = yield* brokerAddress()
      yield* traffic.clear
      for (let n = 0; n < 1_000; n++) {
        yield* other.call(address, consumerHeartbeat("10.0.0.1@1", "billing", ["orders"]))
        yield* other.call(address, {
          code: RequestCode.UNREGISTER_CLIENT,
          extFields: { clientID: "10.0.0.1@1", consumerGroup: "billing" }
        })
        if (n % 100 === 99) yield* TestClock.adjust("300 millis")
      }
      yield* TestClock.adjust("1 second")
      const rounds = yield* traffic.matching({ code: RequestCode.GET_CONSUMER_LIST_BY_GROUP })
      // Two topics in a round, and each is asked twice where the member seems to be alone.
      assert.isAtMost(rounds.length, 4 * 5)
      assert.isAtLeast(rounds.length, 4)
      assert.strictEqual((yield* consumer.assignment).length, 5)
      assert.isTrue(yield* consumer.healthy)
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )
})
