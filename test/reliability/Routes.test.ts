import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import { advance, failureOf, onMemory, startProducer, text, timed } from "../support/rig.ts"
import { row } from "./row.ts"
import { leavesNothing, sentIn, uncounted } from "./watch.ts"

const ROUTE = RequestCode.GET_ROUTEINFO_BY_TOPIC

/** What a name server with another view answers: `queues` queues on the broker, which is at `address`. */
const viewOf = (queues: number, address: string, perm = 6) =>
  new TextEncoder().encode(
    JSON.stringify({
      brokerDatas:
        address === "" ? [] : [{ brokerAddrs: { "0": address }, brokerName: "broker-a", cluster: "DefaultCluster" }],
      queueDatas:
        queues === 0
          ? []
          : [{ brokerName: "broker-a", perm, readQueueNums: queues, writeQueueNums: queues, topicSysFlag: 0 }],
      filterServerTable: {}
    })
  )
/** That view, as a rule for the look-ups of one name server. */
const answering = (address: string, body: Uint8Array) => ({
  match: { code: ROUTE, address, topic: "orders" },
  actions: [{ _tag: "Answer" as const, response: { code: 0, body } }]
})

describe("routes of name servers that do not agree", () => {
  it.effect("N11: the route that differs is taken with the next poll, one that does not changes nothing", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { brokers, faults, nameServers } = yield* EmbeddedCluster
        const broker = brokers[0]?.address ?? ""
        const [one = "", two = ""] = nameServers.map(({ address }) => address)
        yield* faults.add(answering(one, viewOf(2, broker)), answering(two, viewOf(7, broker)))
        const producer = yield* startProducer({ readiness: "routes", topics: ["orders"] })
        const instance = Effect.map(producer.state, (state) => state.instance)
        const queues = Effect.map(instance, (view) => view?.routes.find(({ topic }) => topic === "orders")?.writeQueues)
        const serverOf = (address: string) => nameServers.find((server) => server.address === address)
        let current = (yield* instance)?.nameServers.chosen ?? ""
        for (let i = 0; i < 4; i++) {
          assert.strictEqual(yield* queues, current === one ? 2 : 7)
          // The round robin goes on where it was when the same route is read again.
          const first = (yield* producer.send(text("orders"))).queue.queueId
          yield* advance(31_000, 1_000)
          const next = (yield* producer.send(text("orders"))).queue.queueId
          assert.strictEqual(next, (first + 1) % (current === one ? 2 : 7))
          yield* serverOf(current)?.stop ?? Effect.void
          yield* advance(31_000, 1_000)
          yield* serverOf(current)?.start ?? Effect.void
          current = current === one ? two : one
          assert.strictEqual((yield* instance)?.nameServers.chosen, current)
        }
      })
    ).pipe(onMemory({ topics: { orders: { writeQueueNums: 8, readQueueNums: 8 } }, nameServers: 2 }))
  )

  const emptyViews = [
    ["no queue and no broker", viewOf(0, "")],
    ["no queue", viewOf(0, "127.0.0.1:10911")],
    ["no broker", viewOf(4, "")]
  ] as const

  it.effect.each(emptyViews)("N11: a view with %s never replaces a table that can be sent over", ([, body]) =>
    leavesNothing(
      Effect.gen(function* () {
        const { faults, namesrvAddr } = yield* EmbeddedCluster
        const producer = yield* startProducer({ readiness: "routes", topics: ["orders"] })
        yield* faults.add(answering(namesrvAddr, body))
        for (let i = 0; i < 9; i++) {
          yield* advance(10_000, 1_000)
          assert.strictEqual(yield* sentIn(producer), 0)
        }
        assert.strictEqual((yield* faults.fired).length, 3)
      })
    ).pipe(onMemory({ topics: { orders: {} } }))
  )

  it.effect("N11: nor does a server that does not know the topic yet, or answers what cannot be read", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { faults, namesrvAddr } = yield* EmbeddedCluster
        const producer = yield* startProducer({ readiness: "routes", topics: ["orders"] })
        for (const rule of [
          { match: { code: ROUTE, topic: "orders" }, actions: [FaultScript.answer(17, "No topic route info")] },
          answering(namesrvAddr, Buffer.from("{")),
          answering(namesrvAddr, Buffer.from('{"queueDatas":1,"brokerDatas":{}}')),
          answering(namesrvAddr, Buffer.from("[".repeat(100_000)))
        ]) {
          yield* faults.clear
          yield* faults.add(rule)
          yield* advance(31_000, 1_000)
          assert.strictEqual((yield* faults.fired).length > 0, true)
          assert.strictEqual(yield* sentIn(producer), 0)
        }
      })
    ).pipe(onMemory({ topics: { orders: {} } }))
  )
})

describe("a route that cannot be sent over", () => {
  /** Each: the cluster's brokers besides, how the route goes bad, how it becomes good again, and the reason. */
  const cases = [
    {
      what: "no writable queue: the topic may only be read",
      break: Effect.flatMap(EmbeddedCluster, ({ setPermission }) => setPermission("orders", 4)),
      mend: Effect.flatMap(EmbeddedCluster, ({ setPermission }) => setPermission("orders", 6)),
      problem: "no-writable-queue",
      remedy: "write permission"
    },
    {
      what: "no writable queue: the topic has none",
      break: Effect.flatMap(EmbeddedCluster, ({ createTopic }) =>
        createTopic("orders", { broker: "broker-a", writeQueueNums: 0, readQueueNums: 4 })
      ),
      mend: Effect.flatMap(EmbeddedCluster, ({ createTopic }) => createTopic("orders", { broker: "broker-a" })),
      problem: "no-writable-queue",
      remedy: "write permission"
    },
    {
      what: "no master: only its slave is left",
      break: Effect.flatMap(EmbeddedCluster, ({ stopBroker }) => stopBroker("broker-a", { id: 0 })),
      mend: Effect.flatMap(EmbeddedCluster, ({ startBroker }) => startBroker("broker-a", { id: 0 })),
      problem: "no-master",
      remedy: "fail-over"
    }
  ] as const
  const cluster = { brokers: [{ name: "broker-a" }, { name: "broker-a", id: 1 }, { name: "calm" }] }

  describe.each(cases)("$what", (given) => {
    const expectReason = (producer: Effect.Success<ReturnType<typeof startProducer>>) =>
      Effect.gen(function* () {
        const { exit, millis } = yield* timed(producer.send(text("orders")))
        const error = failureOf(exit)
        assert.deepStrictEqual([error.outcome, error.attempts.length, millis], ["not-sent", 0, 0])
        if (error.reason._tag !== "RouteUnavailable") throw new Error(error.reason._tag)
        assert.deepStrictEqual([error.reason.topic, error.reason.problem], ["orders", given.problem])
        assert.include(error.message, given.remedy)
      })

    it.effect("N12: from the start: the send fails at once and says so", () =>
      leavesNothing(
        Effect.gen(function* () {
          const { createTopic } = yield* EmbeddedCluster
          yield* createTopic("orders", { broker: "broker-a" })
          yield* createTopic("other", { broker: "calm" })
          yield* given.break
          const producer = yield* startProducer()
          for (let i = 0; i < 3; i++) yield* expectReason(producer)
          assert.strictEqual(yield* sentIn(producer, "other"), 0)
        })
      ).pipe(onMemory(cluster))
    )

    it.effect("N12: after it was good: with the next poll, and good again when the route is", () =>
      leavesNothing(
        Effect.gen(function* () {
          const { createTopic } = yield* EmbeddedCluster
          yield* createTopic("orders", { broker: "broker-a" })
          yield* createTopic("other", { broker: "calm" })
          const producer = yield* startProducer()
          assert.strictEqual(yield* sentIn(producer), 0)
          yield* given.break
          yield* advance(31_000, 1_000)
          yield* expectReason(producer)
          assert.strictEqual(yield* sentIn(producer, "other"), 0)
          yield* uncounted(given.mend)
          yield* advance(31_000, 1_000)
          assert.strictEqual(yield* sentIn(producer), 0)
        })
      ).pipe(onMemory(cluster))
    )
  })

  it.effect("N12: a bad route of one topic is nothing to another, nor to other brokers of the same topic", () =>
    row({ brokers: ["broker-a", "broker-b"] }, (producer) =>
      Effect.gen(function* () {
        const { setPermission } = yield* EmbeddedCluster
        yield* setPermission("orders", 4, "broker-a")
        yield* advance(31_000, 1_000)
        for (let i = 0; i < 8; i++) {
          const { attempts, queue } = yield* producer.send(text("orders"))
          assert.deepStrictEqual([queue.brokerName, attempts], ["broker-b", 1])
        }
      })
    )
  )
})
