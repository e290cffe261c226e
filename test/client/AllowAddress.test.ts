import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { TestClock } from "effect/testing"
import { AddressTranslator } from "../../src/client/AddressTranslator.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { MemoryNetwork } from "../../src/transport/MemoryWire.ts"
import { failureOf, makeProducer, onMemory, settle, startProducer, text, timed } from "../support/rig.ts"

const topics = { orders: { writeQueueNums: 2, readQueueNums: 2 } }

/** Keeps the warnings. */
const warnings = () => {
  const found: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    if (logLevel === "Warn") found.push(String(message))
  })
  return { found, layer: Logger.layer([logger]) }
}

const broken = (): boolean => {
  throw new Error("broken rule")
}

describe("allowAddress", () => {
  it.effect("a refused broker is never dialled, told once, and the others are used", () => {
    const { found, layer } = warnings()
    return Effect.gen(function* () {
      const { brokers } = yield* EmbeddedCluster
      const network = yield* MemoryNetwork
      const [good, bad] = brokers.map((broker) => broker.address)
      const producer = yield* startProducer({
        readiness: "registered",
        topics: ["orders"],
        allowAddress: (address) => address !== bad
      })
      for (let i = 0; i < 8; i++) {
        const { attempts, queue } = yield* producer.send(text("orders"))
        assert.deepStrictEqual([queue.brokerName, attempts], ["broker-a", 1])
      }
      yield* producer.sendOneway(text("orders"))
      yield* TestClock.adjust(125_000)
      yield* settle
      assert.strictEqual(yield* network.dials(bad ?? ""), 0)
      assert.isAbove(yield* network.dials(good ?? ""), 0)
      assert.deepStrictEqual(
        found.filter((line) => line.includes("not allowed")),
        [
          `The address "${bad}" of broker broker-b is not allowed by the option allowAddress, and is not dialled. Extend allowAddress, or check who answers as name server.`
        ]
      )
      const { instance } = yield* producer.state
      assert.isFalse(instance?.brokers.some(({ address }) => address === bad))
    }).pipe(onMemory({ topics, brokers: 2 }), Effect.provide(layer))
  })

  it.effect("all refused: the start and the send say which addresses, and that somebody has to act", () =>
    Effect.gen(function* () {
      const { brokers } = yield* EmbeddedCluster
      const network = yield* MemoryNetwork
      const addresses = brokers.map((broker) => broker.address)
      const producer = yield* makeProducer({ readiness: "routes", topics: ["orders"], allowAddress: () => false })
      const { reason, retryable } = failureOf((yield* timed(producer.start)).exit)
      assert.isFalse(retryable)
      if (reason._tag !== "RouteUnavailable") throw new Error(reason.message)
      assert.strictEqual(reason.problem, "address-not-allowed")
      assert.sameMembers(
        (reason.refused ?? []).map(({ address }) => address),
        addresses
      )
      const lazy = yield* startProducer({ readiness: "lazy", allowAddress: () => false })
      const error = failureOf((yield* timed(lazy.send(text("orders")))).exit)
      assert.strictEqual(error.outcome, "not-sent")
      for (const address of addresses) {
        assert.include(error.message, address)
        assert.strictEqual(yield* network.dials(address), 0)
      }
    }).pipe(onMemory({ topics, brokers: 2 }))
  )

  it.effect("a given queue of a refused broker: the error names the address", () =>
    Effect.gen(function* () {
      const { brokers } = yield* EmbeddedCluster
      const bad = brokers[1]?.address ?? ""
      const producer = yield* startProducer({ allowAddress: (address) => address !== bad })
      yield* producer.send(text("orders"))
      const queue = { topic: "orders", brokerName: "broker-b", queueId: 0 }
      const error = failureOf((yield* timed(producer.send(text("orders"), { queue }))).exit)
      assert.strictEqual(error.reason._tag, "BrokerNotExist")
      assert.include(error.message, bad)
      assert.include(error.message, "allowAddress")
    }).pipe(onMemory({ topics, brokers: 2 }))
  )

  it.effect("L11: a rule that throws allows nothing", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer({ readiness: "lazy", allowAddress: broken })
      const { reason } = failureOf((yield* timed(producer.send(text("orders")))).exit)
      assert.strictEqual(reason._tag === "RouteUnavailable" ? reason.problem : reason._tag, "address-not-allowed")
    }).pipe(onMemory({ topics }))
  )

  it.effect("the rule sees the address that would be dialled: the translated one", () =>
    Effect.gen(function* () {
      const { brokers } = yield* EmbeddedCluster
      const asked: Array<string> = []
      const translator = AddressTranslator.of({
        translate: ({ address }) => Effect.succeed(address.replace("127.0.0.1", "127.0.0.2"))
      })
      const producer = yield* startProducer({
        readiness: "lazy",
        allowAddress: (address) => {
          asked.push(address)
          return false
        }
      }).pipe(Effect.provideService(AddressTranslator, translator))
      yield* timed(producer.send(text("orders")))
      assert.deepStrictEqual(
        [...new Set(asked)],
        brokers.map(({ address }) => address.replace("127.0.0.1", "127.0.0.2"))
      )
    }).pipe(onMemory({ topics }))
  )

  it.effect("an address that is allowed again is used after the next poll", () =>
    Effect.gen(function* () {
      let open = false
      const producer = yield* startProducer({ readiness: "lazy", allowAddress: () => open })
      assert.strictEqual((yield* timed(producer.send(text("orders")))).exit._tag, "Failure")
      open = true
      yield* producer.send(text("orders"))
    }).pipe(onMemory({ topics }))
  )
})
