import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { encode } from "../../../src/protocol/Frame.ts"
import type { RemotingCommand } from "../../../src/protocol/RemotingCommand.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { ResponseCode } from "../../../src/protocol/ResponseCode.ts"
import { EmbeddedCluster, type FaultProxy } from "../../../src/testing/index.ts"
import { text } from "../../support/rig.ts"
import { watchLog } from "../watch.ts"
import { answersOfSends, state } from "./client.ts"
import { eventually, type ProxiedOptions, proxiedRow, Proxies } from "./rig.ts"

/** One attempt, and time enough for it. */
const once: ProxiedOptions = { producer: { retryTimesWhenSendFailed: 0, sendMsgTimeout: 15_000 } }
const pair = ["broker-a", "broker-b"]

/** Lets a broker refuse sends with a code, after it has handled them; gives the sends that it was asked for. */
const refusing = (
  proxy: FaultProxy.FaultProxy,
  code: number,
  remark: string,
  times = Number.POSITIVE_INFINITY
): Effect.Effect<ReadonlyArray<RemotingCommand>> =>
  Effect.gen(function* () {
    let left = times
    const { install, sends } = answersOfSends(({ bytes, command }) =>
      left-- > 0 ? [encode({ ...command, code, remark })] : [bytes]
    )
    yield* install(proxy)
    return sends
  })

describe("answers through a proxy", () => {
  it.live("B5: flow control: one wait and one more attempt, then the error", () =>
    proxiedRow({ brokers: pair, producer: { sendMsgTimeout: 15_000 } }, (producer) =>
      Effect.gen(function* () {
        const { broker } = yield* Proxies
        const asked = yield* Effect.forEach(pair, (name) =>
          refusing(broker(name), ResponseCode.FLOW_CONTROL, "too fast")
        )
        const { attempts, reason } = yield* Effect.flip(producer.send(text("orders")))
        assert.deepInclude(reason, { _tag: "BrokerRejected", code: ResponseCode.FLOW_CONTROL })
        assert.deepStrictEqual([attempts.length, asked.flat().length], [2, 2])
      })
    )
  )

  it.live("B6: no permission: another broker is tried and the route read again, then a typed error", () =>
    proxiedRow({ brokers: pair, producer: { sendMsgTimeout: 15_000 } }, (producer) =>
      Effect.gen(function* () {
        const { traffic } = yield* EmbeddedCluster
        const { broker } = yield* Proxies
        yield* refusing(broker("broker-a"), ResponseCode.NO_PERMISSION, "the broker is read only")
        // The turn comes to broker-a with the first or the second of them.
        for (let i = 0; i < 2; i++) {
          assert.strictEqual((yield* producer.send(text("orders"))).queue.brokerName, "broker-b")
        }
        yield* refusing(broker("broker-b"), ResponseCode.NO_PERMISSION, "the broker is read only")
        yield* traffic.clear
        const { outcome, reason } = yield* Effect.flip(producer.send(text("orders")))
        assert.deepInclude(reason, { _tag: "BrokerRejected", code: ResponseCode.NO_PERMISSION })
        assert.strictEqual(outcome, "rejected")
        const routes = { code: RequestCode.GET_ROUTEINFO_BY_TOPIC, topic: "orders" }
        assert.isAtLeast((yield* traffic.matching(routes)).length, 1)
      })
    )
  )

  for (const code of [ResponseCode.MESSAGE_ILLEGAL, ResponseCode.INVALID_PARAMETER]) {
    it.live(`B8: ${code} is never sent again, though there is another broker and the remark invites it`, () =>
      proxiedRow({ brokers: pair, producer: { sendMsgTimeout: 15_000 } }, (producer) =>
        Effect.gen(function* () {
          const { broker } = yield* Proxies
          const asked = yield* Effect.forEach(pair, (name) =>
            refusing(broker(name), code, "[TIMEOUT_CLEAN_QUEUE]broker busy, please retry")
          )
          const { attempts, outcome, reason, retryable } = yield* Effect.flip(producer.send(text("orders")))
          assert.deepStrictEqual(
            [reason._tag, outcome, retryable, attempts.length],
            ["BrokerRejected", "rejected", false, 1]
          )
          assert.strictEqual(asked.flat().length, 1)
        })
      )
    )
  }

  it.live("B9: 10, 11 and 12 are successes whose status says what is missing, and are not sent again", () =>
    proxiedRow({ brokers: pair, producer: { sendMsgTimeout: 15_000 } }, (producer) =>
      Effect.gen(function* () {
        const { messages } = yield* EmbeddedCluster
        const { broker } = yield* Proxies
        const codes = [10, 12, 11]
        let next = 0
        for (const name of pair) {
          const { install } = answersOfSends(({ bytes, command }) => {
            const code = codes[next++]
            return code === undefined ? [bytes] : [encode({ ...command, code })]
          })
          yield* install(broker(name))
        }
        const results = yield* Effect.forEach([...codes, 0], () => producer.send(text("orders")))
        assert.deepStrictEqual(
          results.map(({ attempts, status }) => [status, attempts]),
          [
            ["FLUSH_DISK_TIMEOUT", 1],
            ["FLUSH_SLAVE_TIMEOUT", 1],
            ["SLAVE_NOT_AVAILABLE", 1],
            ["SEND_OK", 1]
          ]
        )
        assert.strictEqual((yield* messages("orders")).length, 4)
      })
    )
  )

  it.live("B10, A27: 1 with a stack trace is sent again elsewhere, and the text is cut in errors and logs", () => {
    const log = watchLog()
    const trace = `java.lang.NullPointerException\u001b[31m\u202e\u009b\n${"\tat org.apache.rocketmq.Broker.run\r\n".repeat(500)}`
    return proxiedRow({ brokers: pair, producer: { sendMsgTimeout: 15_000 } }, (producer) =>
      Effect.gen(function* () {
        const { broker } = yield* Proxies
        yield* refusing(broker("broker-a"), ResponseCode.SYSTEM_ERROR, trace)
        // The turn comes to broker-a with the first or the second of them.
        const results = yield* Effect.forEach([1, 2], () => producer.send(text("orders")))
        assert.deepStrictEqual(
          results.map(({ queue }) => queue.brokerName),
          ["broker-b", "broker-b"]
        )
        assert.strictEqual(Math.max(...results.map(({ attempts }) => attempts)), 2)
        yield* refusing(broker("broker-b"), ResponseCode.SYSTEM_ERROR, trace)
        const error = yield* Effect.flip(producer.send(text("orders")))
        if (error.reason._tag !== "BrokerRejected") throw new Error(error.reason._tag)
        assert.deepStrictEqual([error.attempts.length, error.outcome], [3, "unknown"])
        assert.isAtMost(error.reason.remark.length, 203)
        yield* Effect.logWarning(error.message)
        for (const told of [error.message, ...log.of("Warn", /./), ...log.of("Info", /./)]) {
          assert.isAtMost(told.length, 2_000)
          assert.notMatch(told, /[\p{Cc}\p{Cf}]/u)
        }
      })
    ).pipe(log.provide)
  })

  it.live("B11: 1500 GO_AWAY: one new connection, one repetition, and the old one ends after its other answers", () =>
    proxiedRow(once, (producer) =>
      Effect.gen(function* () {
        const { messages } = yield* EmbeddedCluster
        const { broker } = yield* Proxies
        const proxy = broker("broker-a")
        let goneAway = false
        const kept: Array<Uint8Array> = []
        const { install, sends } = answersOfSends(({ bytes, command }) => {
          if (goneAway) return [bytes]
          // The first answer is held back until the second has been turned into a farewell.
          if (kept.push(bytes) === 1) return []
          goneAway = true
          return [encode({ ...command, code: ResponseCode.GO_AWAY, remark: "going away" }), ...kept.slice(0, 1)]
        })
        yield* install(proxy)
        const results = yield* Effect.forEach(["first", "second"], (body) => producer.send(text("orders", body)), {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(
          results.map(({ attempts, status }) => [attempts, status]),
          [
            [1, "SEND_OK"],
            [1, "SEND_OK"]
          ]
        )
        assert.strictEqual(sends.length, 3)
        // The one that was repeated had been stored: the farewell took the place of its answer.
        assert.strictEqual((yield* messages("orders")).length, 3)
        yield* proxy.until(({ dials, open }) => dials === 2 && open === 1)
        assert.strictEqual((yield* producer.send(text("orders"))).attempts, 1)
        assert.strictEqual((yield* proxy.counters).dials, 2)
      })
    )
  )

  it.live("B11: the old connection stays for as long as an answer is missing on it", () =>
    proxiedRow(once, (producer) =>
      Effect.gen(function* () {
        const { broker } = yield* Proxies
        const proxy = broker("broker-a")
        const kept: Array<Uint8Array> = []
        let farewells = 1
        const { install } = answersOfSends(({ bytes, command }) => {
          if (command.extFields?.["queueOffset"] === "0") {
            kept.push(bytes)
            return []
          }
          if (farewells-- > 0) return [encode({ ...command, code: ResponseCode.GO_AWAY })]
          return [bytes]
        })
        yield* install(proxy)
        const missing = yield* Effect.forkChild(Effect.exit(producer.send(text("orders"), { timeoutMillis: 1_500 })))
        yield* eventually(
          "the first answer is held back",
          Effect.sync(() => kept.length === 1)
        )
        assert.strictEqual((yield* producer.send(text("orders"))).attempts, 1)
        assert.isUndefined(missing.pollUnsafe())
        assert.deepInclude(yield* proxy.counters, { dials: 2, open: 2 })
        assert.strictEqual((yield* Fiber.join(missing))._tag, "Failure")
        yield* proxy.until(({ open }) => open === 1)
      })
    )
  )

  it.live("B12: every code that nobody has mapped is `BrokerRejected` with code and remark", () =>
    proxiedRow(once, (producer) =>
      Effect.gen(function* () {
        const { broker } = yield* Proxies
        const codes = [14, 501, 999, 30_000, 2 ** 31 - 1, -1]
        let next = 0
        const { install } = answersOfSends(({ command }) => {
          const code = codes[next++] ?? 0
          return [encode({ ...command, code, remark: `code ${code}` })]
        })
        yield* install(broker("broker-a"))
        for (const code of codes) {
          const { reason } = yield* Effect.flip(producer.send(text("orders")))
          assert.deepInclude(reason, { _tag: "BrokerRejected", code, remark: `code ${code}` })
        }
        assert.strictEqual((yield* state(producer)).counters.frameErrors, 0)
        assert.strictEqual((yield* broker("broker-a").counters).dials, 1)
      })
    )
  )
})
