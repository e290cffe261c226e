import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import { uncounted } from "../watch.ts"
import { advance, consumerRow, numbers, problemsOf, settle, shared, timed, valueOf } from "./rig.ts"

const PULL = RequestCode.PULL_MESSAGE

/** A master, and its slave, which has everything that the master has. */
const rowOptions = { brokers: [{ name: "broker-a" }, { name: "broker-a", id: 1 }], queues: 1 }

const addresses = Effect.map(EmbeddedCluster, ({ brokers }) => ({
  master: brokers.find(({ id }) => id === 0)?.address ?? "",
  slave: brokers.find(({ id }) => id === 1)?.address ?? ""
}))

/** The requests of a code about `orders` that a broker got. */
const requestsAt = (code: number, server: string) =>
  Effect.flatMap(EmbeddedCluster, ({ traffic }) =>
    Effect.map(traffic.matching({ code, topic: "orders" }), (all) => all.filter(({ address }) => address === server))
  )

describe("queues that a slave has as well", () => {
  it.effect("C-23: reads are sent to the slave and kept there for a while: offsets go to the master meanwhile", () =>
    consumerRow(rowOptions, (rig) =>
      Effect.gen(function* () {
        const { faults, traffic } = yield* EmbeddedCluster
        const { master, slave } = yield* addresses
        yield* rig.join("first", () => Effect.void, {
          persistConsumerOffsetInterval: 1_000,
          persistConsumerOffsetInitialDelay: 1_000
        })
        yield* rig.send(numbers(5))
        yield* rig.waitFor("delivered", () => rig.delivered.length === 5)
        const toTheSlave = FaultScript.pull.noNewMessage({
          nextBeginOffset: 6,
          maxOffset: 6,
          suggestWhichBrokerId: 1
        })
        yield* faults.add(
          { match: { code: PULL, topic: "orders", address: master }, actions: [toTheSlave], times: 1 },
          { match: { code: PULL, topic: "orders", address: slave }, actions: [toTheSlave], times: 2 }
        )
        yield* traffic.clear
        // The pull that is held is answered by it, and the next one sent on.
        yield* rig.send(numbers(1, 5))
        yield* settle
        assert.strictEqual((yield* requestsAt(PULL, master)).length, 1)
        const there = yield* requestsAt(PULL, slave)
        assert.strictEqual(there.length, 3, "two were answered, one is held")
        assert.isTrue(
          there.every(({ extFields }) => (Number(extFields?.["sysFlag"]) & 1) === 0),
          "a slave takes no offsets"
        )
        yield* advance(3_000)
        const writes = yield* requestsAt(RequestCode.UPDATE_CONSUMER_OFFSET, master)
        assert.strictEqual(writes.at(-1)?.extFields?.["commitOffset"], "6")
        assert.deepStrictEqual(yield* requestsAt(RequestCode.UPDATE_CONSUMER_OFFSET, slave), [])
        yield* rig.send(numbers(1, 6))
        yield* advance(5_500)
        assert.strictEqual(rig.delivered.length, 7, "read from the slave")
        assert.strictEqual((yield* requestsAt(PULL, master)).length, 2, "and then back")
      })
    )
  )

  it.effect("C-23: the master is gone: what it has is read from its slave, and from the master when it is back", () =>
    consumerRow(rowOptions, (rig) =>
      Effect.gen(function* () {
        const { startBroker, stopBroker, traffic } = yield* EmbeddedCluster
        const first = yield* rig.join("first", () => Effect.void, {
          pollNameServerInterval: 5_000,
          persistConsumerOffsetInterval: 1_000
        })
        yield* rig.send(numbers(4))
        yield* rig.waitFor("delivered", () => rig.delivered.length === 4)
        yield* first.consumer.suspend
        // The pull that is held ends with one message; the others are there when the master goes.
        yield* rig.send(numbers(8, 4))
        yield* uncounted(Effect.orDie(stopBroker("broker-a", { id: 0 })))
        const { slave } = yield* addresses
        yield* first.consumer.resume
        yield* rig.waitFor("all is delivered", () => rig.delivered.length === 12, 15_000)
        assert.isAbove((yield* requestsAt(PULL, slave)).length, 0)
        assert.isTrue(yield* shared([first], 1))
        yield* advance(3_000)
        // As Java's do: who is there takes them.
        const writes = yield* requestsAt(RequestCode.UPDATE_CONSUMER_OFFSET, slave)
        assert.strictEqual(writes.at(-1)?.extFields?.["commitOffset"], "12")
        yield* uncounted(Effect.orDie(startBroker("broker-a", { id: 0 })))
        const { master } = yield* addresses
        yield* traffic.clear
        yield* advance(25_000, 500)
        assert.isAbove((yield* requestsAt(PULL, master)).length, 0, "back at the master")
        valueOf((yield* timed(rig.send(numbers(4, 12)))).exit)
        yield* rig.waitFor("all is delivered", () => rig.delivered.length === 16)
        assert.strictEqual(new Set(rig.delivered.map(({ text }) => text)).size, 16)
        yield* rig.waitFor(
          "well again",
          Effect.map(problemsOf(first), (problems) => problems.length === 0),
          60_000
        )
      })
    )
  )
})
