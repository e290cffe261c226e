import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import * as Message from "../../../src/message/Message.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultProxy } from "../../../src/testing/index.ts"
import { answersOf, isOf } from "./client.ts"
import { hasAll, isWell, join, numbers, row, type Seen, send, without } from "./consumers.ts"
import { elapsed, eventually, Proxies } from "./rig.ts"

describe("consumers behind a proxy", () => {
  it.live("C-01: the name server refuses at the start and comes later: a lazy consumer works then", () =>
    row({}, (producer) =>
      Effect.gen(function* () {
        const { nameServers } = yield* Proxies
        const seen: Seen = []
        yield* send(producer, numbers(3))
        for (const proxy of nameServers) yield* proxy.down
        const consumer = yield* join("first", seen, undefined, { readiness: "lazy" })
        assert.deepStrictEqual(yield* consumer.assignment, [])
        for (const proxy of nameServers) yield* proxy.up
        yield* hasAll(seen, numbers(3))
        yield* isWell(consumer)
      })
    )
  )

  it.live("C-07: two members on a slow and uneven network share, and nothing is lost", () =>
    row({ brokers: ["broker-a", "broker-b"] }, (producer) =>
      Effect.gen(function* () {
        const { broker } = yield* Proxies
        for (const name of ["broker-a", "broker-b"]) yield* broker(name).add(FaultProxy.latency(20, 30))
        const seen: Seen = []
        const slow = { mqClientApiTimeout: 5_000 }
        const first = yield* join("first", seen, undefined, slow)
        yield* send(producer, numbers(20))
        const second = yield* join("second", seen, undefined, slow)
        yield* send(producer, numbers(20, 20))
        yield* hasAll(seen, numbers(40))
        yield* eventually(
          "each has one queue",
          Effect.map(Effect.all([first.assignment, second.assignment]), (all) =>
            all.every((own) => own.filter(({ topic }) => topic === "orders").length === 1)
          )
        )
        assert.strictEqual(seen.length, 40)
      })
    )
  )

  it.live(
    "C-19: the connection dies without a sign while pulls are held: heartbeats notice, pulls go on over a new one",
    () =>
      row({ brokers: ["broker-a"] }, (producer) =>
        Effect.gen(function* () {
          const { broker } = yield* Proxies
          const seen: Seen = []
          const consumer = yield* join("first", seen)
          yield* send(producer, numbers(3))
          yield* hasAll(seen, numbers(3))
          const hole = yield* broker("broker-a").add(FaultProxy.blackHole)
          yield* Effect.sleep(2_500)
          yield* hole.remove
          // Whatever went into the hole is gone for good on those connections.
          yield* broker("broker-a").reset
          yield* eventually("a send arrives", Effect.map(Effect.exit(send(producer, ["3"])), Exit.isSuccess))
          yield* hasAll(seen, numbers(4))
          yield* isWell(consumer)
        })
      )
  )

  it.live("C-20: connections are reset again and again: every message is read, offsets only grow", () =>
    row({ brokers: ["broker-a"] }, (producer) =>
      Effect.gen(function* () {
        const { broker } = yield* Proxies
        const { traffic } = yield* EmbeddedCluster
        const seen: Seen = []
        const consumer = yield* join("first", seen)
        for (let n = 0; n < 10; n++) {
          yield* send(producer, numbers(5, n * 5))
          yield* broker("broker-a").reset
        }
        yield* hasAll(seen, numbers(50))
        yield* isWell(consumer)
        yield* consumer.shutdown
        const offsets = (yield* traffic.ofCode(RequestCode.UPDATE_CONSUMER_OFFSET))
          .filter(({ topic }) => topic === "orders")
          .map(({ extFields }) => Number(extFields?.["commitOffset"]))
        assert.deepStrictEqual(
          offsets,
          offsets.toSorted((a, b) => a - b)
        )
        assert.strictEqual(offsets.at(-1), 50)
        assert.strictEqual(seen.length, 50, "no connection that ends makes a message come twice")
      })
    )
  )

  it.live("C-21: the broker starts again on another port, behind another proxy", () =>
    row({ brokers: ["broker-a"], client: { pollNameServerInterval: 300 } }, (producer) =>
      Effect.gen(function* () {
        const { startBroker, stopBroker } = yield* EmbeddedCluster
        const { follow } = yield* Proxies
        const seen: Seen = []
        const consumer = yield* join("first", seen)
        yield* send(producer, numbers(3))
        yield* hasAll(seen, numbers(3))
        yield* Effect.orDie(stopBroker("broker-a"))
        yield* Effect.orDie(startBroker("broker-a", { newPort: true }))
        yield* follow("broker-a")
        yield* eventually("a send arrives", Effect.map(Effect.exit(send(producer, ["3"])), Exit.isSuccess))
        yield* hasAll(seen, numbers(4))
        yield* isWell(consumer)
      })
    )
  )

  it.live(
    "C-22: nothing comes back from one of two brokers: the other's messages are read at once, its offsets written",
    () =>
      row({ brokers: ["broker-a", "broker-b"] }, (producer) =>
        Effect.gen(function* () {
          const { broker } = yield* Proxies
          const { traffic } = yield* EmbeddedCluster
          const seen: Seen = []
          yield* join("first", seen, undefined, { drainTimeoutMillis: 0 })
          const [onA] = (yield* producer.fetchPublishMessageQueues("orders")).filter(
            ({ brokerName }) => brokerName === "broker-a"
          )
          assert.isDefined(onA)
          const hole = yield* broker("broker-b").add(FaultProxy.halfOpen, "downstream")
          for (let n = 0; n < 10; n++) {
            const begin = performance.now()
            yield* producer.send(Message.make({ topic: "orders", body: `${n}` }), { queue: onA })
            yield* hasAll(seen, numbers(n + 1))
            assert.isBelow(performance.now() - begin, 2_000)
          }
          yield* eventually(
            "its offset is written",
            Effect.map(traffic.ofCode(RequestCode.UPDATE_CONSUMER_OFFSET), (all) =>
              all.some(({ extFields, server }) => server === "broker-a" && extFields?.["commitOffset"] === "10")
            )
          )
          yield* hole.remove
        })
      )
  )

  it.live(
    "C-27: answers arrive with damaged entries: nothing is passed over, and all is read once they arrive whole",
    () =>
      row({ brokers: ["broker-a"] }, (producer) =>
        Effect.gen(function* () {
          const { broker } = yield* Proxies
          yield* send(producer, numbers(5))
          const damage = answersOf(isOf(RequestCode.PULL_MESSAGE), ({ bytes, command }) => {
            if (command.body.length === 0) return [bytes]
            const spoilt = Uint8Array.from(bytes)
            // The magic number of the first entry.
            spoilt[bytes.length - command.body.length + 4] = 0
            return [spoilt]
          })
          const { remove } = yield* damage.install(broker("broker-a"))
          const seen: Seen = []
          const consumer = yield* join("first", seen)
          yield* eventually(
            "it is told",
            Effect.map(consumer.healthy, (healthy) => !healthy)
          )
          assert.deepStrictEqual(seen, [])
          yield* remove
          yield* hasAll(seen, numbers(5))
          yield* isWell(consumer)
          assert.deepStrictEqual(seen, numbers(5))
        })
      )
  )

  it.live("C-33: no send-back gets through: copies go to the retry topic, and come again", () =>
    row({ brokers: ["broker-a"] }, (producer) =>
      Effect.gen(function* () {
        const { broker } = yield* Proxies
        yield* broker("broker-a").add(without(RequestCode.CONSUMER_SEND_MSG_BACK), "upstream")
        const seen: Seen = []
        const consumer = yield* join("first", seen, (message) =>
          message.attempt === 1 ? Effect.fail("no") : Effect.void
        )
        yield* send(producer, numbers(3))
        yield* eventually(
          "all are consumed",
          Effect.map(consumer.state, ({ counters }) => counters.succeeded === 3)
        )
        assert.deepInclude((yield* consumer.state).counters, { failures: 3, sendBackFailures: 3 })
        assert.strictEqual(seen.length, 6)
      })
    )
  )

  it.live("C-34: the answer to a send-back is lost: one copy more at most, and nothing stays behind", () =>
    row({ brokers: ["broker-a"] }, (producer) =>
      Effect.gen(function* () {
        const { broker } = yield* Proxies
        yield* answersOf(isOf(RequestCode.CONSUMER_SEND_MSG_BACK), () => []).install(broker("broker-a"))
        const seen: Seen = []
        const consumer = yield* join("first", seen, (message) =>
          message.attempt === 1 ? Effect.fail("no") : Effect.void
        )
        yield* send(producer, ["0"])
        yield* eventually(
          "it is consumed, and its copy",
          Effect.map(consumer.state, ({ counters }) => counters.succeeded === 2)
        )
        assert.strictEqual(seen.length, 3)
        assert.deepInclude((yield* consumer.state).counters, { sendBackFailures: 1 })
      })
    )
  )

  it.live("C-38: offsets that are written get lost: pulls carry them, and the newest is written when it can be", () =>
    row({ brokers: ["broker-a"] }, (producer) =>
      Effect.gen(function* () {
        const { broker } = yield* Proxies
        const { traffic } = yield* EmbeddedCluster
        const seen: Seen = []
        yield* join("first", seen)
        const loss = yield* broker("broker-a").add(without(RequestCode.UPDATE_CONSUMER_OFFSET), "upstream")
        yield* send(producer, numbers(5))
        yield* hasAll(seen, numbers(5))
        yield* Effect.sleep(300)
        yield* send(producer, numbers(5, 5))
        yield* hasAll(seen, numbers(10))
        yield* loss.remove
        yield* eventually(
          "the newest is written",
          Effect.map(traffic.ofCode(RequestCode.UPDATE_CONSUMER_OFFSET), (all) =>
            all.some(({ extFields, topic }) => topic === "orders" && extFields?.["commitOffset"] === "10")
          )
        )
      })
    )
  )

  it.live("C-47: closed while its broker is out of reach: the close is bounded and says what was not written", () =>
    row({ brokers: ["broker-a"] }, (producer) =>
      Effect.gen(function* () {
        const { broker } = yield* Proxies
        const seen: Seen = []
        const scope = yield* Scope.make()
        const consumer = yield* Scope.provide(
          join("first", seen, undefined, {
            persistConsumerOffsetInterval: 600_000,
            persistConsumerOffsetInitialDelay: 600_000
          }),
          scope
        )
        yield* send(producer, numbers(3))
        yield* hasAll(seen, numbers(3))
        const hole = yield* broker("broker-a").add(FaultProxy.blackHole)
        const { millis } = yield* elapsed(Scope.close(scope, Exit.void))
        assert.isBelow(millis, 15_000)
        assert.isNotEmpty((yield* consumer.lastDrain)?.notPersisted)
        yield* hole.remove
        yield* broker("broker-a").reset
        const next: Seen = []
        yield* join("second", next)
        yield* eventually("a send arrives", Effect.map(Effect.exit(send(producer, ["3"])), Exit.isSuccess))
        yield* hasAll(next, ["3"])
      })
    )
  )

  it.live("C-59: ten starts and closes with frames that arrive in pieces: every message once", () =>
    row({ brokers: ["broker-a"] }, (producer) =>
      Effect.gen(function* () {
        const { broker } = yield* Proxies
        yield* broker("broker-a").add(FaultProxy.slicer(7))
        const seen: Seen = []
        for (let n = 0; n < 10; n++) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const consumer = yield* join(`member-${n}`, seen, undefined, { mqClientApiTimeout: 5_000 })
              yield* send(producer, numbers(2, n * 2))
              yield* consumer.caughtUp()
            })
          )
        }
        assert.deepStrictEqual(
          seen.toSorted((a, b) => Number(a) - Number(b)),
          numbers(20)
        )
      })
    )
  )
})
