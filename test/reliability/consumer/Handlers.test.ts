import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Schema } from "effect"
import * as ConsumeResult from "../../../src/consumer/ConsumeResult.ts"
import * as MessageListener from "../../../src/consumer/MessageListener.ts"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../../src/message/Message.ts"
import * as Topic from "../../../src/message/Topic.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import { uncounted } from "../watch.ts"
import { advance, commitsOf, consumerRow, countersOf, GROUP, isIdle, joining, numbers, problemsOf } from "./rig.ts"

const { CONSUMER_SEND_MSG_BACK: SEND_BACK, SEND_MESSAGE_V2 } = RequestCode

/** Levels that a test can wait for. */
const soon = { reconsumePolicy: { delay: () => "1 second" as const } }

const dead = Effect.flatMap(EmbeddedCluster, ({ messages }) => messages(`%DLQ%${GROUP}`))
const retried = Effect.flatMap(EmbeddedCluster, ({ messages }) => messages(`%RETRY%${GROUP}`))

describe("handlers and what they give back", () => {
  it.effect(
    "C-29: a value that the schema refuses: a dead letter by default, or what the policy says; the others go on",
    () =>
      consumerRow({ queues: 1 }, (rig) =>
        Effect.gen(function* () {
          const orders = Topic.make("orders", { schema: Schema.Struct({ id: Schema.Number }) })
          const ids: Array<number> = []
          const note = ({ id }: { readonly id: number }) => Effect.sync(() => void ids.push(id))
          yield* rig.send(['{"id":1}', '{"id":"x"}', "no JSON", '{"id":2}'], 0)
          const first = yield* rig.join("first", MessageListener.decoded(orders, note))
          yield* rig.waitFor("both", () => ids.length === 2)
          yield* rig.waitFor("idle", isIdle(first))
          assert.deepStrictEqual(ids, [1, 2])
          assert.strictEqual((yield* dead).length, 2)
          yield* first.leave
          yield* rig.send(['{"id":"y"}', '{"id":3}'], 0)
          const second = yield* joining(
            rig,
            "second",
            MessageListener.decoded(orders, note, { onDecodeError: () => ConsumeResult.success })
          )
          yield* rig.waitFor(
            "idle",
            Effect.zipWith(
              isIdle(second),
              Effect.sync(() => ids.length === 3),
              (a, b) => a && b
            )
          )
          assert.deepStrictEqual(ids, [1, 2, 3])
          assert.strictEqual((yield* dead).length, 2)
        })
      )
  )

  it.effect(
    "C-30: handlers that fail, die, throw or interrupt themselves: one copy of each message, counted apart",
    () =>
      consumerRow({}, (rig) =>
        Effect.gen(function* () {
          const first = yield* rig.join(
            "first",
            (message): Effect.Effect<void, string> => {
              if (message.attempt > 1) return Effect.void
              switch (new TextDecoder().decode(message.body)) {
                case "fail":
                  return Effect.fail("no")
                case "die":
                  return Effect.die(new Error("bug"))
                case "throw":
                  throw new Error("thrown")
                default:
                  return Effect.interrupt
              }
            },
            soon
          )
          const texts = ["fail", "die", "throw", "interrupt"]
          yield* rig.send(texts)
          yield* rig.waitFor(
            "all are consumed",
            Effect.map(countersOf(first), ({ succeeded }) => succeeded === 4)
          )
          for (const text of texts) assert.strictEqual(rig.timesOf(text), 2)
          assert.strictEqual((yield* retried).length, 4)
          assert.deepInclude(yield* countersOf(first), { failures: 1, defects: 3, reconsumeLater: 4, late: 0 })
        })
      )
  )

  it.effect("C-31: a handler that never ends is interrupted in time, once, and its place is free again", () =>
    consumerRow({ queues: 1 }, (rig) =>
      Effect.gen(function* () {
        const first = yield* rig.join(
          "first",
          (message) => (message.attempt === 1 && message.queueOffset === 0 ? Effect.never : Effect.void),
          { ...soon, concurrency: 1 }
        )
        yield* rig.send(numbers(3), 0)
        yield* advance(15 * 60_000 - 2_000, 5_000)
        assert.strictEqual(rig.delivered.length, 1, "concurrency 1: the others wait")
        assert.strictEqual((yield* commitsOf(0)).filter(({ offset }) => offset > 0).length, 0)
        yield* rig.waitFor(
          "all are consumed",
          Effect.map(countersOf(first), ({ succeeded }) => succeeded === 3),
          8_000
        )
        assert.strictEqual(rig.timesOf("0"), 2)
        assert.deepInclude(yield* countersOf(first), { timeouts: 1, reconsumeLater: 1 })
      })
    )
  )

  for (const [name, action] of [
    ["1", FaultScript.sendBack.systemError()],
    ["26", FaultScript.sendBack.groupNotExist(GROUP)],
    ["16", FaultScript.sendBack.forbidden],
    ["no answer", FaultScript.dropRequest],
    ["the end of the connection", FaultScript.cut("before")]
  ] as const) {
    it.effect(
      `C-33: a message is given back, and so is its copy, and the answer is ${name}: it is kept until one is taken`,
      () =>
        consumerRow({ queues: 1, closeMillis: 12_000 }, (rig) =>
          Effect.gen(function* () {
            const { faults } = yield* EmbeddedCluster
            const gate = yield* Deferred.make<void>()
            const first = yield* rig.join(
              "first",
              (message) =>
                message.attempt === 1 && message.queueOffset === 1
                  ? Effect.andThen(Deferred.await(gate), Effect.fail("no"))
                  : Effect.void,
              soon
            )
            yield* rig.send(numbers(4), 0)
            yield* faults.add(
              { name: "back", match: { code: SEND_BACK }, actions: [action] },
              { name: "copy", match: { code: SEND_MESSAGE_V2, topic: `%RETRY%${GROUP}` }, actions: [action] }
            )
            yield* Deferred.succeed(gate, undefined)
            yield* advance(45_000, 500)
            assert.strictEqual(rig.delivered.length, 4, "the others were handled")
            const offsets = (yield* commitsOf(0)).map(({ offset }) => offset)
            assert.strictEqual(Math.max(...offsets), 1, "nothing is written above it")
            assert.strictEqual((yield* retried).length, 0)
            assert.match((yield* problemsOf(first)).join("\n"), /could not be given back/)
            yield* faults.remove("back")
            yield* faults.remove("copy")
            yield* rig.waitFor("it comes again", () => rig.timesOf("1") === 2, 180_000)
            yield* rig.waitFor("idle", isIdle(first))
            yield* advance(6_000, 500)
            assert.strictEqual((yield* commitsOf(0)).at(-1)?.offset, 4)
            assert.strictEqual((yield* retried).length, 1)
            yield* rig.waitFor(
              "well again",
              Effect.map(problemsOf(first), (problems) => problems.length === 0),
              60_000
            )
          })
        )
    )
  }

  it.effect("C-33: killed while a message cannot be given back: the next member gets it", () =>
    consumerRow({ queues: 1, closeMillis: 12_000 }, (rig) =>
      Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        yield* faults.add(
          { match: { code: SEND_BACK }, actions: [FaultScript.sendBack.systemError()] },
          { match: { code: SEND_MESSAGE_V2, topic: `%RETRY%${GROUP}` }, actions: [FaultScript.sendBack.systemError()] }
        )
        const first = yield* rig.join("first", (message) =>
          message.queueOffset === 1 ? Effect.fail("no") : Effect.void
        )
        yield* rig.send(numbers(4), 0)
        yield* advance(12_000, 500)
        yield* first.kill
        yield* faults.clear
        yield* joining(rig, "second")
        yield* rig.waitFor("it comes", () => rig.delivered.some((one) => one.member === "second" && one.text === "1"))
        assert.isFalse(rig.delivered.some((one) => one.member === "second" && one.text === "0"))
      })
    )
  )

  it.effect("C-34: a message is taken back and the answer is lost: it comes again, with one copy more at most", () =>
    consumerRow({ queues: 1, closeMillis: 12_000 }, (rig) =>
      Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        yield* faults.add({ match: { code: SEND_BACK }, actions: [FaultScript.dropResponse], times: 1 })
        const first = yield* rig.join(
          "first",
          (message) => (message.attempt === 1 ? Effect.fail("no") : Effect.void),
          soon
        )
        yield* rig.send(numbers(1), 0)
        yield* rig.waitFor(
          "consumed",
          Effect.map(countersOf(first), ({ succeeded }) => succeeded > 0),
          30_000
        )
        yield* advance(20_000, 500)
        assert.isAtMost((yield* retried).length, 2)
        assert.isAtMost(rig.timesOf("0"), 3)
        assert.deepInclude(yield* countersOf(first), { sendBackFailures: 1 })
        assert.isTrue(yield* isIdle(first))
      })
    )
  )

  it.effect("C-35: the broker of a message is gone for good: its copy goes to the other's retry topic", () =>
    consumerRow({ queues: 1, brokerNames: ["broker-a", "broker-b"], closeMillis: 30_000 }, (rig) =>
      Effect.gen(function* () {
        const { stopBroker } = yield* EmbeddedCluster
        const gate = yield* Deferred.make<void>()
        const first = yield* rig.join(
          "first",
          (message) => (message.attempt === 1 ? Effect.andThen(Deferred.await(gate), Effect.fail("no")) : Effect.void),
          { ...soon, pollNameServerInterval: 5_000 }
        )
        yield* rig.send(numbers(16), 0)
        yield* rig.waitFor("delivered", () => rig.delivered.length === 16)
        yield* uncounted(Effect.orDie(stopBroker("broker-a", { unregister: "expiry" })))
        yield* Deferred.succeed(gate, undefined)
        yield* rig.waitFor("all come again", () => rig.delivered.length === 32, 120_000)
        const again = rig.delivered.filter(({ attempt }) => attempt === 2)
        assert.sameDeepMembers(
          again.map(({ message, text }) => [text, message.brokerName, message.topic]),
          numbers(16).map((text) => [text, "broker-b", "orders"])
        )
        // Its own broker is in the route still, and no copy was tried there first.
        assert.strictEqual((yield* countersOf(first)).sendBackFailures, 16)
      })
    )
  )

  it.effect("C-36: sixteen redeliveries, each after the broker's delay, and then the dead letters", () =>
    consumerRow({ queues: 1 }, (rig) =>
      Effect.gen(function* () {
        const first = yield* rig.join("first", () => Effect.fail("never"))
        yield* rig.send(numbers(1), 0)
        yield* advance(5 * 3_600_000, 10_000)
        assert.deepStrictEqual(
          rig.delivered.map(({ attempt }) => attempt),
          Array.from({ length: 17 }, (_, n) => n + 1)
        )
        const minutes = [1 / 6, 1 / 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30, 60, 120]
        const gaps = rig.delivered.slice(1).map(({ at }, index) => at - (rig.delivered[index]?.at ?? 0))
        // Time goes on in steps of ten seconds here.
        for (const [index, gap] of gaps.entries()) {
          assert.isAtLeast(gap, (minutes[index] ?? 0) * 60_000)
          assert.isAtMost(gap, (minutes[index] ?? 0) * 60_000 + 10_000)
        }
        assert.strictEqual((yield* dead).length, 1)
        assert.deepInclude(yield* countersOf(first), { failures: 17, succeeded: 0 })
      })
    )
  )

  it.effect(
    "C-37: the dead letters cannot be written: the message is kept, that is a problem, and later it is there",
    () =>
      consumerRow({ queues: 1, closeMillis: 12_000 }, (rig) =>
        Effect.gen(function* () {
          const { faults } = yield* EmbeddedCluster
          yield* faults.add(
            { name: "back", match: { code: SEND_BACK }, actions: [FaultScript.sendBack.forbidden] },
            {
              name: "copy",
              match: { code: SEND_MESSAGE_V2, topic: `%RETRY%${GROUP}` },
              actions: [FaultScript.sendBack.forbidden]
            }
          )
          const first = yield* rig.join("first", () => Effect.succeed(ConsumeResult.deadLetter("poison")))
          yield* rig.send(numbers(2), 0)
          yield* advance(30_000, 500)
          assert.match((yield* problemsOf(first)).join("\n"), /could not be given back/)
          assert.strictEqual((yield* dead).length, 0)
          assert.isTrue((yield* commitsOf(0)).every(({ offset }) => offset === 0))
          yield* faults.remove("back")
          yield* faults.remove("copy")
          yield* rig.waitFor("idle", isIdle(first), 120_000)
          assert.strictEqual((yield* dead).length, 2)
          assert.strictEqual(rig.delivered.length, 2)
        })
      )
  )

  it.effect(
    "C-54: two tags with one hash, and no tag: only what was asked for is delivered, all of it counts as read",
    () =>
      consumerRow({ queues: 1 }, (rig) =>
        Effect.gen(function* () {
          const first = yield* rig.join("first", () => Effect.void, {
            subscriptions: [Subscription.tags("orders", "Aa")]
          })
          for (let n = 0; n < 100; n++) {
            yield* rig.producer.send(
              Message.make({ topic: "orders", body: "x", tags: n % 10 === 0 ? undefined : "BB" })
            )
          }
          yield* first.consumer.caughtUp()
          yield* advance(6_000)
          assert.strictEqual(rig.delivered.length, 0)
          assert.strictEqual((yield* commitsOf(0)).at(-1)?.offset, 100)
        })
      )
  )
})
