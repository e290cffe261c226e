import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import type { DefaultMQProducerShape } from "../../src/producer/DefaultMQProducer.ts"
import * as MessageProperties from "../../src/protocol/MessageProperties.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import { MemoryNetwork } from "../../src/transport/MemoryWire.ts"
import { advance, failureOf, settle, sorted, text, timed, valueOf } from "../support/rig.ts"
import { row } from "./row.ts"

const SEND = RequestCode.SEND_MESSAGE_V2
const orders = { code: SEND, topic: "orders" }

/** The default of `sendMsgTimeout`, and one step of the test's clock. */
const BUDGET = 3_000 + 5

const addressOf = (name: string) =>
  Effect.map(EmbeddedCluster, ({ brokers }) => brokers.find((broker) => broker.name === name)?.address ?? "")

const times = (count: number) => Array.from({ length: count }, (_, i) => i)

describe("a broker that goes", () => {
  for (const [what, fault, storedAtTheDead] of [
    ["before it has stored the message", FaultScript.dropRequest, 0],
    ["after it has stored the message", FaultScript.dropResponse, 4]
  ] as const) {
    it.effect(`B1: killed in the middle of a send, ${what}: another one gets it, within the one budget`, () =>
      row({ brokers: ["broker-a", "broker-b"] }, (producer) =>
        Effect.gen(function* () {
          const { faults, messages, stopBroker } = yield* EmbeddedCluster
          yield* faults.add({ match: { ...orders, broker: "broker-a" }, actions: [fault] })
          const sending = yield* Effect.forkChild(
            timed(Effect.forEach(times(8), (i) => producer.send(text("orders", `${i}`)), { concurrency: 8 })),
            { startImmediately: true }
          )
          yield* advance(300)
          yield* stopBroker("broker-a", { unregister: "never" })
          const { exit, millis } = yield* Fiber.join(sending)
          const results = valueOf(exit)
          assert.isAtMost(millis, BUDGET)
          assert.isTrue(results.every((result) => result.queue.brokerName === "broker-b"))
          assert.deepStrictEqual(sorted(results.map((result) => result.attempts)), [1, 1, 1, 1, 2, 2, 2, 2])
          // What the dead one had stored is there twice, under one id, by which a consumer knows it.
          const stored = (yield* messages("orders")).map((message) => message.msgId)
          assert.strictEqual(stored.length, 8 + storedAtTheDead)
          assert.strictEqual(new Set(stored).size, 8)
        })
      )
    )
  }

  it.effect("B1: all of them killed in the middle of a send: the error says that nobody knows, within the budget", () =>
    row({ brokers: ["broker-a", "broker-b"] }, (producer) =>
      Effect.gen(function* () {
        const { faults, stopBroker } = yield* EmbeddedCluster
        yield* faults.add({ match: orders, actions: [FaultScript.dropResponse] })
        const sending = yield* Effect.forkChild(timed(Effect.exit(producer.send(text("orders")))), {
          startImmediately: true
        })
        yield* advance(100)
        for (const name of ["broker-a", "broker-b"]) yield* stopBroker(name, { unregister: "never" })
        const { exit, millis } = yield* Fiber.join(sending)
        const error = failureOf(valueOf(exit))
        assert.isAtMost(millis, BUDGET)
        assert.strictEqual(error.outcome, "unknown")
        const [first, ...others] = error.attempts
        assert.deepStrictEqual([first?.cause._tag, first?.outcome], ["ConnectionClosed", "unknown"])
        // The others were refused; what is not known stays so.
        assert.deepStrictEqual(
          others.map((attempt) => attempt.outcome),
          ["not-sent", "not-sent"]
        )
        assert.include(error.message, "may be stored")
        assert.include(error.message, error.msgId ?? "no id")
        assert.strictEqual((yield* producer.state).inFlight, 0)
      })
    )
  )

  it.effect("B2: restarted on its address: the next send connects, and nobody has to do anything", () =>
    row({}, (producer) =>
      Effect.gen(function* () {
        const { startBroker, stopBroker } = yield* EmbeddedCluster
        const network = yield* MemoryNetwork
        const address = yield* addressOf("broker-a")
        assert.strictEqual((yield* producer.send(text("orders"))).attempts, 1)
        yield* stopBroker("broker-a", { unregister: "never" })
        const down = yield* timed(Effect.exit(producer.send(text("orders"))))
        const error = failureOf(valueOf(down.exit))
        assert.deepStrictEqual([error.reason._tag, error.outcome, error.retryable], ["ConnectFailed", "not-sent", true])
        assert.isAtMost(down.millis, BUDGET)
        const before = yield* network.dials(address)
        yield* startBroker("broker-a")
        yield* advance(3_000)
        assert.strictEqual((yield* producer.send(text("orders"))).attempts, 1)
        assert.strictEqual(yield* network.dials(address), before + 1)
      })
    )
  )

  it.effect("B3: restarted elsewhere: the next poll finds it without a send, and the old address is forgotten", () =>
    row({ brokers: ["broker-a", "broker-b"] }, (producer) =>
      Effect.gen(function* () {
        const { startBroker, stopBroker } = yield* EmbeddedCluster
        const network = yield* MemoryNetwork
        const before = yield* addressOf("broker-a")
        yield* stopBroker("broker-a")
        yield* startBroker("broker-a", { newPort: true })
        const after = yield* addressOf("broker-a")
        assert.notStrictEqual(after, before)
        // One period of the route's poll, and one of the heartbeat, which cleans.
        yield* advance(60_000, 1_000)
        const { instance } = yield* producer.state
        const known = instance?.brokers.map((broker) => broker.address) ?? []
        assert.include(known, after)
        assert.notInclude(known, before)
        assert.notInclude(instance?.sockets.map((socket) => socket.address) ?? [], before)
        const dials = yield* network.dials(before)
        const { exit, millis } = yield* timed(Effect.forEach(times(8), () => producer.send(text("orders"))))
        assert.isTrue(valueOf(exit).every((result) => result.attempts === 1))
        assert.strictEqual(millis, 0)
        assert.strictEqual(new Set(valueOf(exit).map((result) => result.queue.brokerName)).size, 2)
        assert.strictEqual(yield* network.dials(before), dials, "nobody looks for it where it was")
      })
    )
  )
})

describe("a broker that says nothing", () => {
  for (const [what, brokers, attempts] of [
    ["alone", ["broker-a"], 1],
    ["like all the others", ["broker-a", "broker-b", "broker-c"], 3]
  ] as const) {
    it.effect(`B13: ${what}: RequestTimeout at the budget, outcome unknown, and its place is free`, () =>
      row({ brokers, client: { remoting: { maxInFlightRequests: 1 } } }, (producer) =>
        Effect.gen(function* () {
          const { faults } = yield* EmbeddedCluster
          yield* faults.add({ match: orders, actions: [FaultScript.dropRequest] })
          const { exit, millis } = yield* timed(Effect.exit(producer.send(text("orders"))))
          const error = failureOf(valueOf(exit))
          assert.isTrue(millis >= 3_000 && millis <= BUDGET, `${millis} ms`)
          assert.deepStrictEqual(
            error.attempts.map((attempt) => [attempt.cause._tag, attempt.outcome]),
            times(attempts).map(() => ["RequestTimeout", "unknown"])
          )
          assert.deepStrictEqual([error.reason._tag, error.outcome], ["RequestTimeout", "unknown"])
          const { inFlight, instance } = yield* producer.state
          assert.deepStrictEqual([inFlight, instance?.inFlight], [0, 0])
          // The only place of the connection can be taken again.
          yield* faults.clear
          assert.strictEqual((yield* producer.send(text("orders"))).attempts, 1)
        })
      )
    )
  }

  it.effect("B13: one that takes connections and never reads is given up, and reached again when it does", () =>
    row({ producer: { sendMsgTimeout: 1_000 } }, (producer) =>
      Effect.gen(function* () {
        const { faults, startBroker, stopBroker } = yield* EmbeddedCluster
        yield* stopBroker("broker-a", { unregister: "never" })
        yield* faults.add({ match: { broker: "broker-a" }, actions: [FaultScript.ignoreConnection] })
        yield* startBroker("broker-a")
        yield* advance(500)
        for (let i = 0; i < 3; i++) {
          const { exit, millis } = yield* timed(Effect.exit(producer.send(text("orders"))))
          assert.include(["RequestTimeout", "ConnectionClosed"], failureOf(valueOf(exit)).reason._tag)
          assert.isAtMost(millis, 1_005)
        }
        yield* faults.clear
        // Requests that time out on a silent connection have it closed: no send is lost on it for ever.
        const { exit } = yield* timed(Effect.exit(producer.send(text("orders"))))
        const last = Exit.isSuccess(valueOf(exit))
          ? exit
          : (yield* timed(Effect.exit(producer.send(text("orders"))))).exit
        assert.strictEqual(valueOf(valueOf(last)).status, "SEND_OK")
      })
    )
  )
})

describe("a connection that breaks", () => {
  it.effect("B14: reset: what is pending fails at once, outcome unknown", () =>
    row({ producer: { retryTimesWhenSendFailed: 0 } }, (producer) =>
      Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        const network = yield* MemoryNetwork
        yield* faults.add({ match: orders, actions: [FaultScript.dropResponse] })
        const sends = yield* Effect.forkChild(
          timed(Effect.forEach(times(20), () => Effect.exit(producer.send(text("orders"))), { concurrency: 20 })),
          { startImmediately: true }
        )
        yield* settle
        assert.strictEqual((yield* producer.state).instance?.inFlight, 20)
        yield* network.cutAll(yield* addressOf("broker-a"))
        const { exit, millis } = yield* Fiber.join(sends)
        assert.isAtMost(millis, 5, "at once")
        for (const one of valueOf(exit)) {
          const { outcome, reason } = failureOf(one)
          assert.deepStrictEqual([reason._tag, outcome], ["ConnectionClosed", "unknown"])
          assert.include(reason.message, "reset")
        }
        const { counters, inFlight, instance } = yield* producer.state
        assert.deepInclude(counters, { failed: 20, unknown: 20 })
        assert.deepStrictEqual([inFlight, instance?.inFlight], [0, 0])
      })
    )
  )

  it.effect("B14: reset with attempts left: all arrive, under the ids they had", () =>
    row({ brokers: ["broker-a", "broker-b"] }, (producer) =>
      Effect.gen(function* () {
        const { faults, traffic } = yield* EmbeddedCluster
        const network = yield* MemoryNetwork
        yield* faults.add({ match: { ...orders, broker: "broker-a" }, actions: [FaultScript.delay(200)], times: 10 })
        yield* traffic.clear
        const sends = yield* Effect.forkChild(
          timed(Effect.forEach(times(20), () => producer.send(text("orders")), { concurrency: 20 })),
          { startImmediately: true }
        )
        yield* settle
        yield* network.cutAll(yield* addressOf("broker-a"))
        const { exit, millis } = yield* Fiber.join(sends)
        const ids = valueOf(exit).map((result) => result.msgId)
        assert.isAtMost(millis, BUDGET)
        assert.strictEqual(new Set(ids).size, 20)
        const seen = (yield* traffic.matching(orders)).map(
          (request) => MessageProperties.decode(request.extFields?.["i"] ?? "")["UNIQ_KEY"]
        )
        assert.deepStrictEqual(new Set(seen), new Set(ids))
      })
    )
  )
})

describe("a broker that reads slowly", () => {
  const MAX_REQUESTS = 16
  // Reached before the requests are: half of them are 100 kB.
  const MAX_BYTES = 512 * 1024

  it.effect("B15: writes wait for it, requests and bytes keep to their caps, and callers wait", () =>
    row(
      {
        client: { remoting: { maxInFlightRequests: MAX_REQUESTS, maxInFlightBytes: MAX_BYTES } },
        producer: { sendMsgTimeout: 25_000, compressMsgBodyOverHowmuch: Number.POSITIVE_INFINITY }
      },
      (producer) =>
        Effect.gen(function* () {
          const { messages } = yield* EmbeddedCluster
          const network = yield* MemoryNetwork
          const address = yield* addressOf("broker-a")
          const socket = Effect.map(producer.state, (state) =>
            state.instance?.sockets.find((one) => one.address === address)
          )
          yield* network.setReachable(address, "blackhole")
          const bodies = times(60).map((i) => "x".repeat(i % 2 === 0 ? 100_000 : 1_000))
          const sends = yield* Effect.forkChild(
            Effect.forEach(bodies, (body) => producer.send(text("orders", body)), { concurrency: "unbounded" }),
            { startImmediately: true }
          )
          yield* advance(1_000)
          const full = yield* socket
          assert.isAbove(full?.waiting ?? 0, 0, "callers wait")
          // And a heartbeat, if one is due.
          assert.isAtLeast((full?.waiting ?? 0) + (full?.inFlight ?? 0), 60, "in the client, and nowhere else")
          // It reads what the connection holds every 10 ms: nothing passes the caps, and everything arrives.
          let rounds = 0
          yield* network.setLatency(10, { address })
          yield* network.setReachable(address, "open")
          while (sends.pollUnsafe() === undefined) {
            rounds++
            yield* advance(10, 10)
            const now = yield* socket
            assert.isAtMost(now?.inFlight ?? 0, MAX_REQUESTS)
            assert.isAtMost(now?.inFlightBytes ?? 0, MAX_BYTES)
          }
          assert.isAbove(rounds, 2)
          assert.isTrue((yield* Fiber.join(sends)).every((result) => result.attempts === 1))
          assert.strictEqual((yield* messages("orders")).length, 60)
          const after = yield* socket
          assert.deepStrictEqual([after?.inFlight, after?.inFlightBytes, after?.waiting], [0, 0, 0])
        })
    )
  )

  it.effect("B15: whoever waits for a place in vain is told so in time, and that nothing was sent", () =>
    row({ client: { remoting: { maxInFlightRequests: MAX_REQUESTS } } }, (producer) =>
      Effect.gen(function* () {
        const network = yield* MemoryNetwork
        const address = yield* addressOf("broker-a")
        yield* network.setReachable(address, "blackhole")
        const { exit, millis } = yield* timed(
          Effect.forEach(times(40), () => Effect.exit(producer.send(text("orders"))), { concurrency: "unbounded" })
        )
        assert.isAtMost(millis, BUDGET)
        const told = valueOf(exit).map((one) => `${failureOf(one).reason._tag} ${failureOf(one).outcome}`)
        const count = (what: string) => told.filter((one) => one === what).length
        assert.deepStrictEqual(
          [count("RequestTimeout unknown"), count("TooManyRequests not-sent")],
          [MAX_REQUESTS, 40 - MAX_REQUESTS]
        )
        yield* network.setReachable(address, "open")
        yield* advance(1_000)
      })
    )
  )
})

/** Five one-ways, one after the other. */
const oneways = (producer: DefaultMQProducerShape) =>
  timed(Effect.forEach(times(5), () => Effect.exit(producer.sendOneway(text("orders")))))

describe("a one-way on a connection that is dead", () => {
  it.effect("B16: without an end: it counts as sent, for all that this side can know", () =>
    row({}, (producer) =>
      Effect.gen(function* () {
        const { messages } = yield* EmbeddedCluster
        const network = yield* MemoryNetwork
        const address = yield* addressOf("broker-a")
        yield* network.setReachable(address, "blackhole")
        const { exit, millis } = yield* oneways(producer)
        assert.isTrue(valueOf(exit).every(Exit.isSuccess))
        assert.strictEqual(millis, 0)
        yield* network.cutAll(address)
        yield* network.setReachable(address, "open")
        yield* advance(1_000)
        assert.strictEqual((yield* messages("orders")).length, 0, "best effort")
        const { counters, inFlight } = yield* producer.state
        assert.deepInclude(counters, { sends: 5, failed: 0 })
        assert.strictEqual(inFlight, 0)
      })
    )
  )

  it.effect("B16: that has ended, and cannot be replaced: a typed error, counted, and no attempt more", () =>
    row({}, (producer) =>
      Effect.gen(function* () {
        const { stopBroker } = yield* EmbeddedCluster
        yield* stopBroker("broker-a", { unregister: "never" })
        const { exit, millis } = yield* timed(
          Effect.forEach(times(5), () => Effect.flip(producer.sendOneway(text("orders"))))
        )
        assert.isAtMost(millis, BUDGET)
        for (const error of valueOf(exit)) {
          assert.deepStrictEqual(
            [error._tag, error.reason._tag, error.outcome, error.attempts.length],
            ["SendError", "ConnectFailed", "not-sent", 1]
          )
        }
        assert.deepInclude((yield* producer.state).counters, { sends: 5, failed: 5, unknown: 0 })
      })
    )
  )

  it.effect("B16: that ends while bytes wait for it: what was not taken was not sent, and is counted", () =>
    row({ producer: { compressMsgBodyOverHowmuch: Number.POSITIVE_INFINITY } }, (producer) =>
      Effect.gen(function* () {
        const network = yield* MemoryNetwork
        const address = yield* addressOf("broker-a")
        yield* network.setReachable(address, "blackhole")
        // More than the connection takes: the write waits, and what comes behind it too.
        const first = yield* Effect.forkChild(Effect.exit(producer.sendOneway(text("orders", "x".repeat(300_000)))), {
          startImmediately: true
        })
        yield* settle
        const behind = yield* Effect.forkChild(Effect.exit(producer.sendOneway(text("orders"))), {
          startImmediately: true
        })
        yield* settle
        assert.deepStrictEqual([first.pollUnsafe(), behind.pollUnsafe()], [undefined, undefined])
        yield* network.cutAll(address)
        yield* network.setReachable(address, "open")
        yield* settle
        const errors = [failureOf(yield* Fiber.join(first)), failureOf(yield* Fiber.join(behind))]
        assert.deepStrictEqual(
          errors.map((error) => [error.reason._tag, error.outcome]),
          [
            ["ConnectionClosed", "unknown"],
            ["ConnectionClosed", "not-sent"]
          ]
        )
        assert.deepInclude((yield* producer.state).counters, { sends: 2, failed: 2, unknown: 1 })
      })
    )
  )
})
