/** What brokers answer to a consumer, changed on its way. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit } from "effect"
import * as ConsumeResult from "../../../src/consumer/ConsumeResult.ts"
import type { ReceivedMessage } from "../../../src/consumer/ReceivedMessage.ts"
import * as Message from "../../../src/message/Message.ts"
import { encode } from "../../../src/protocol/Frame.ts"
import * as MessageCodec from "../../../src/protocol/MessageCodec.ts"
import { emptyBody } from "../../../src/protocol/RemotingCommand.ts"
import * as PullMessage from "../../../src/protocol/request/PullMessage.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { answersOf, isOf } from "./client.ts"
import { hasAll, isWell, join, numbers, row, type Seen, send, textOf } from "./consumers.ts"
import { elapsed, eventually, Proxies } from "./rig.ts"

const isPull = isOf(RequestCode.PULL_MESSAGE)

describe("answers to consumers, changed by a proxy", () => {
  for (const [code, name, most] of [
    [2, "SYSTEM_BUSY", 5],
    [215, "FLOW_CONTROL", 100],
    [1, "SYSTEM_ERROR", 5]
  ] as const) {
    it.live(`C-24: pulls of one broker are answered ${code} ${name}: they pause, the other broker's do not`, () =>
      row({ brokers: ["broker-a", "broker-b"] }, (producer) =>
        Effect.gen(function* () {
          const { broker } = yield* Proxies
          const busy = answersOf(isPull, ({ command }) => [
            encode({ ...command, code, remark: name, extFields: {}, body: emptyBody })
          ])
          const seen: Seen = []
          const { remove } = yield* busy.install(broker("broker-a"))
          const consumer = yield* join("first", seen)
          yield* send(producer, numbers(10))
          yield* eventually(
            "the other broker's half",
            Effect.sync(() => seen.length === 5)
          )
          yield* Effect.sleep(1_500)
          assert.isAtLeast(busy.asked.length, 2, "it is asked again")
          assert.isAtMost(busy.asked.length, most, "at the speed of a socket it is thousands")
          yield* remove
          yield* hasAll(seen, numbers(10))
          assert.strictEqual(seen.length, 10)
          yield* isWell(consumer)
        })
      )
    )
  }

  for (const [code, remark] of [
    [24, "the consumer's group info not exist"],
    [25, "the consumer's subscription not latest"]
  ] as const) {
    it.live(`C-25: a pull is answered ${code}: a heartbeat leaves at once, and then the pull`, () =>
      row({}, (producer) =>
        Effect.gen(function* () {
          const { broker } = yield* Proxies
          const { traffic } = yield* EmbeddedCluster
          yield* send(producer, numbers(3))
          let said = 0
          const unknown = answersOf(isPull, ({ bytes, command }) =>
            said++ > 0 ? [bytes] : [encode({ ...command, code, remark, extFields: {}, body: emptyBody })]
          )
          yield* unknown.install(broker("broker-a"))
          const seen: Seen = []
          // No other heartbeat is due, and nothing else asks for one.
          yield* join("first", seen, undefined, { heartbeatBrokerInterval: 600_000 })
          const { millis } = yield* elapsed(hasAll(seen, numbers(3)))
          assert.isBelow(millis, 10_000, "the next heartbeat is ten minutes away")
          const codes = (yield* traffic.all)
            .filter((request) => request.code === RequestCode.HEART_BEAT || isPullOfOrders(request))
            .filter(({ server }) => server === "broker-a")
            .map((request) => (request.code === RequestCode.HEART_BEAT ? "beat" : "pull"))
          const first = codes.indexOf("pull")
          assert.deepStrictEqual(codes.slice(first, first + 3), ["pull", "beat", "pull"])
        })
      )
    )
  }

  it.live("C-26: a pull's offset is said to be out of the queue: it goes on where the broker says, and tells it", () =>
    row({}, (producer) =>
      Effect.gen(function* () {
        const { broker } = yield* Proxies
        const seen: Seen = []
        const consumer = yield* join("first", seen)
        yield* send(producer, numbers(10))
        yield* hasAll(seen, numbers(10))
        let said = 0
        const moved = answersOf(isPull, ({ bytes, command }) => {
          if (said++ > 0) return [bytes]
          const { body: _, ...answer } = PullMessage.response({
            status: "OFFSET_ILLEGAL",
            nextBeginOffset: 6,
            suggestWhichBrokerId: 0,
            minOffset: 0,
            maxOffset: 6
          })
          return [encode({ ...command, ...answer, extFields: { ...answer.extFields }, body: emptyBody })]
        })
        yield* moved.install(broker("broker-a"))
        yield* send(producer, ["10"])
        yield* send(producer, ["11"])
        yield* hasAll(seen, ["11"])
        assert.deepStrictEqual(seen.slice(seen.indexOf("6", 10)), numbers(6, 6))
        assert.isTrue((yield* consumer.state).problems.some(({ text }) => text.includes("has lost messages")))
      })
    )
  )

  it.live("C-28: a packed body arrives spoilt: that message is given back, and comes again whole", () =>
    row({}, (producer) =>
      Effect.gen(function* () {
        const { broker } = yield* Proxies
        const long = "all work and no play ".repeat(1_000)
        yield* send(producer, ["before"])
        yield* producer.send(Message.make({ topic: "orders", body: long }))
        yield* send(producer, ["after"])
        let spoilt = 0
        const spoiling = answersOf(isPull, ({ bytes, command }) => {
          if (command.body.length === 0) return [bytes]
          const entries = MessageCodec.decodeAll(command.body).messages.map((message) => {
            if (message.body.length < 10 || spoilt > 0) return MessageCodec.encode(message)
            spoilt++
            return MessageCodec.encode({ ...message, body: new Uint8Array(message.body.length) })
          })
          return [encode({ ...command, body: Buffer.concat(entries) })]
        })
        yield* spoiling.install(broker("broker-a"))
        const seen: Seen = []
        const consumer = yield* join("first", seen)
        yield* hasAll(seen, ["before", "after", long])
        assert.deepStrictEqual(seen, ["before", "after", long], "the others do not wait for it")
        assert.deepInclude((yield* consumer.state).counters, { reconsumeLater: 1, succeeded: 3 })
      })
    )
  )

  it.live("C-35: the broker of a message refuses for good while it is handled: its copy goes to the other broker", () =>
    row({ brokers: ["broker-a", "broker-b"] }, (producer) =>
      Effect.gen(function* () {
        const { broker } = yield* Proxies
        const gate = yield* Deferred.make<void>()
        const got: Array<ReceivedMessage> = []
        yield* join(
          "first",
          [],
          (message) =>
            Effect.gen(function* () {
              got.push(message)
              if (message.attempt > 1) return ConsumeResult.success
              yield* Deferred.await(gate)
              return yield* Effect.fail("no")
            }),
          { drainTimeoutMillis: 0 }
        )
        const [onA] = (yield* producer.fetchPublishMessageQueues("orders")).filter(
          ({ brokerName }) => brokerName === "broker-a"
        )
        assert.isDefined(onA)
        yield* producer.send(Message.make({ topic: "orders", body: "0" }), { queue: onA })
        yield* eventually(
          "it is handled",
          Effect.sync(() => got.length === 1)
        )
        yield* broker("broker-a").down
        yield* Deferred.done(gate, Exit.void)
        yield* eventually(
          "it comes again",
          Effect.sync(() => got.length === 2)
        )
        assert.deepStrictEqual(
          got.map(({ attempt, brokerName, topic }) => [attempt, brokerName, topic]),
          [
            [1, "broker-a", "orders"],
            [2, "broker-b", "orders"]
          ]
        )
        assert.strictEqual(textOf(got[1] ?? assert.fail("one message")), "0")
      })
    )
  )
})

/** A pull of the topic that the tests are about. */
function isPullOfOrders({ code, topic }: { readonly code: number; readonly topic?: string | undefined }) {
  return code === RequestCode.PULL_MESSAGE && topic === "orders"
}
