import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { AdminError } from "../../src/admin/AdminError.ts"
import { MQAdmin } from "../../src/admin/MQAdmin.ts"
import * as ConsumeResult from "../../src/consumer/ConsumeResult.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { consume, namesrvAddr, rig, text } from "../consumer/support.ts"
import { MQVersion } from "../../src/protocol/MQVersion.ts"

const withAdmin = (version: number = MQVersion.V5_5_0, namespace?: string) => {
  const options = { namesrvAddr, ...(namespace === undefined ? {} : { namespace }) }
  return <A, E, R>(self: Effect.Effect<A, E, R>) =>
    self.pipe(
      Effect.provide(MQAdmin.layer({ ...options, instanceName: "admin" }), { local: true }),
      Effect.scoped,
      Effect.provide(rig({ version, topics: { orders: { readQueueNums: 1, writeQueueNums: 1 } } }))
    )
}

const reasonOf = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(self), (error) => {
    assert.instanceOf(error, AdminError)
    return error.reason
  })

for (const version of [MQVersion.V5_5_0, MQVersion.V4_9_7]) {
  describe(`the members of a group as ${version}`, () => {
    it.effect("process one message, by either id", () =>
      Effect.gen(function* () {
        const admin = yield* MQAdmin
        const producer = yield* DefaultMQProducer
        const seen: Array<string> = []
        const consumer = yield* consume((message) =>
          Effect.sync(() => {
            seen.push(text(message))
            return seen.length === 1 ? ConsumeResult.success : ConsumeResult.reconsumeLater()
          })
        )
        const { msgId, offsetMsgId } = yield* producer.send(Message.make({ topic: "orders", body: "one" }))
        yield* TestClock.adjust("1 second")
        const clientId = (yield* consumer.state).instance?.clientId ?? ""
        const request = { topic: "orders", group: "billing" }
        const made = { clientId, order: false, autoCommit: true }
        const { spentTimeMills, ...first } = yield* admin.consumeMessageDirectly({ ...request, msgId })
        assert.strictEqual(spentTimeMills, 0)
        assert.deepStrictEqual(first, { ...made, consumeResult: "CR_LATER" })
        assert.deepInclude(yield* admin.consumeMessageDirectly({ ...request, msgId: offsetMsgId, clientId }), {
          consumeResult: "CR_LATER"
        })
        assert.deepStrictEqual(seen, ["one", "one", "one"])
        assert.deepInclude((yield* consumer.state).counters, { succeeded: 1, reconsumeLater: 0 })
        assert.strictEqual(
          (yield* reasonOf(admin.consumeMessageDirectly({ ...request, msgId: "0".repeat(32) })))._tag,
          "MessageNotFound"
        )
        assert.deepInclude(yield* reasonOf(admin.consumeMessageDirectly({ ...request, msgId, clientId: "other" })), {
          _tag: "BrokerRejected",
          remark: "The Consumer <billing> <other> not online"
        })
      }).pipe(withAdmin(version))
    )

    it.effect("say what they do", () =>
      Effect.gen(function* () {
        const admin = yield* MQAdmin
        const producer = yield* DefaultMQProducer
        assert.strictEqual((yield* reasonOf(admin.getConsumerRunningInfo("billing")))._tag, "ConsumerNotOnline")
        const consumer = yield* consume(() => Effect.void)
        for (let n = 0; n < 3; n++) yield* producer.send(Message.make({ topic: "orders", body: "x" }))
        yield* consumer.caughtUp()
        const clientId = (yield* consumer.state).instance?.clientId ?? ""
        const [member = assert.fail("nobody"), ...others] = yield* admin.getConsumerRunningInfo("billing", {
          jstack: true
        })
        assert.deepStrictEqual([others.length, member.client.clientId], [0, clientId])
        const { jstack, mqTable, subscriptionSet } = member.info ?? assert.fail("no answer")
        // It is no JVM: fibers have no stacks.
        assert.match(jstack ?? "", /handlers run\. They are fibers/)
        assert.includeMembers(
          subscriptionSet.map(({ topic }) => topic),
          ["orders"]
        )
        const [, state] = mqTable.find(([{ topic }]) => topic === "orders") ?? assert.fail("no queue")
        assert.deepInclude(state, { commitOffset: 3, cachedMsgCount: 0 })
        assert.lengthOf(yield* admin.getConsumerRunningInfo("billing", { clientId }), 1)
        assert.strictEqual(
          (yield* reasonOf(admin.getConsumerRunningInfo("billing", { clientId: "other" })))._tag,
          "ConsumerNotOnline"
        )
      }).pipe(withAdmin(version))
    )

    it.effect("say how far they are", () =>
      Effect.gen(function* () {
        const admin = yield* MQAdmin
        const producer = yield* DefaultMQProducer
        assert.deepStrictEqual(yield* admin.getConsumeStatus("orders", "billing"), [])
        const consumer = yield* consume(() => Effect.void)
        for (let n = 0; n < 3; n++) yield* producer.send(Message.make({ topic: "orders", body: "x" }))
        yield* consumer.caughtUp()
        const clientId = (yield* consumer.state).instance?.clientId ?? ""
        const queue = { topic: "orders", brokerName: "broker-a", queueId: 0 }
        const status = [{ clientId, queues: [{ queue, offset: 3 }] }]
        assert.deepStrictEqual(yield* admin.getConsumeStatus("orders", "billing"), status)
        assert.deepStrictEqual(yield* admin.getConsumeStatus("orders", "billing", clientId), status)
        assert.deepStrictEqual(yield* admin.getConsumeStatus("orders", "billing", "other"), [])
      }).pipe(withAdmin(version))
    )
  })
}

describe("who can be asked", () => {
  it.effect("nobody where nobody is online, and not for longer than a broker waits", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      const producer = yield* DefaultMQProducer
      const { msgId } = yield* producer.send(Message.make({ topic: "orders", body: "x" }))
      yield* TestClock.adjust("1 second")
      const request = { topic: "orders", group: "billing", msgId }
      assert.deepInclude(yield* reasonOf(admin.consumeMessageDirectly(request)), {
        _tag: "ConsumerNotOnline",
        group: "billing"
      })
      yield* consume(() => Effect.uninterruptible(Effect.sleep("1 hour")), {
        drainTimeoutMillis: 0,
        subscriptions: [Subscription.tags("orders", "none")]
      })
      const fiber = yield* Effect.forkChild(reasonOf(admin.consumeMessageDirectly(request)), {
        startImmediately: true
      })
      yield* TestClock.adjust("10 seconds")
      assert.deepInclude(yield* Fiber.join(fiber), { _tag: "BrokerRejected", code: 207 })
      yield* TestClock.adjust("1 hour")
    }).pipe(withAdmin())
  )
})
