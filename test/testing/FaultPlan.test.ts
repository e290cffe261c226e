import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Queue, Random } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster, FaultPlan, FaultScript, MemoryWire, Simulation, Wire } from "../../src/testing/index.ts"
import type { ByteStream, EmbeddedClusterOptions } from "../../src/testing/index.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import { PermName } from "../../src/message/MixAll.ts"
import type { DefaultMQProducerShape } from "../../src/producer/DefaultMQProducer.ts"
import { advance, failureOf, memory, onMemory, settle, startProducer, text, timed, valueOf } from "../support/rig.ts"

const everything: FaultPlan.PlanOptions = {
  brokers: ["broker-a", "broker-b"],
  nameServers: ["namesrv-0", "namesrv-1"],
  topics: ["orders", "bills"]
}

const drawn = (seed: number, options: FaultPlan.PlanOptions = everything) =>
  Random.withSeed(FaultPlan.generate(options), seed)

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n)

const cluster: EmbeddedClusterOptions = {
  brokers: 2,
  nameServers: 2,
  topics: { orders: { readQueueNums: 2, writeQueueNums: 2 }, bills: { readQueueNums: 1, writeQueueNums: 1 } }
}

describe("FaultPlan.generate", () => {
  it.effect("is a function of the seed", () =>
    Effect.gen(function* () {
      const plans = new Set<string>()
      for (const seed of numbers(100)) {
        const plan = yield* drawn(seed)
        assert.deepStrictEqual(yield* drawn(seed), plan)
        plans.add(JSON.stringify(plan))
      }
      assert.isAbove(plans.size, 85)
    })
  )

  it.effect("lies within its limits, in the order of time, and every fault has an end", () =>
    Effect.gen(function* () {
      const counts = new Set<number>()
      const kinds = new Set<string>()
      for (const seed of numbers(300)) {
        const plan = yield* drawn(seed, { ...everything, withinMillis: 5_000, longestMillis: 700 })
        counts.add(plan.length)
        assert.deepStrictEqual(
          plan.map(({ at }) => at),
          plan.map(({ at }) => at).toSorted((a, b) => a - b)
        )
        for (const { at, fault, forMillis } of plan) {
          kinds.add(fault._tag)
          assert.isAtLeast(at, 0)
          assert.isAtMost(at, 5_000)
          assert.isAtLeast(forMillis, 1)
          assert.isAtMost(forMillis, 700)
          assert.isAtMost(at + forMillis, 5_001)
          assert.match(
            FaultPlan.describe({ at, fault, forMillis }),
            new RegExp(`^${at} ms, for ${forMillis} ms: \\w+ {`)
          )
        }
      }
      assert.deepStrictEqual(
        [...counts].toSorted((a, b) => a - b),
        numbers(13)
      )
      assert.deepStrictEqual(
        [...kinds].toSorted(),
        "Busy,Cut,Latency,Permission,Requests,Slice,StopBroker,StopNameServer,Unreachable".split(",")
      )
    })
  )

  it.effect("names no server and no topic that it was not given", () =>
    Effect.gen(function* () {
      for (const seed of numbers(100)) {
        const plan = yield* drawn(seed, { brokers: ["only"], count: { least: 4, most: 6 } })
        assert.isAtLeast(plan.length, 4)
        assert.isAtMost(plan.length, 6)
        assert.notMatch(JSON.stringify(plan), /namesrv|StopNameServer|Permission|"(?:server|broker)":"(?!only")/)
      }
      assert.deepStrictEqual(yield* drawn(1, { brokers: [] }), [])
    })
  )
})

/** Begins a fault for a second, and lets its begin happen. */
const during = (fault: FaultPlan.Fault) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(FaultPlan.inject([{ at: 0, forMillis: 1_000, fault }]))
    yield* advance(2, 1)
    return { end: Effect.andThen(advance(1_000), Fiber.join(fiber)) }
  })

const broker = (index = 0) =>
  Effect.map(EmbeddedCluster, ({ brokers }) => {
    const found = brokers[index]
    if (found === undefined) throw new Error(`no broker ${index}`)
    return found
  })

/** Dials a server: how that ended, and how long it took. */
const dial = (address: string) =>
  Effect.flatMap(Wire, (wire) => timed(Effect.scoped(wire.connect(address, { connectTimeoutMillis: 300 })), 1_000, 1))

/** A listener of the test's own on the same network, and a connection to it. */
const pair = Effect.gen(function* () {
  const wire = yield* Wire
  const accepted = yield* Queue.unbounded<ByteStream>()
  const { address } = yield* wire.listen("listener:0", (stream) =>
    Effect.andThen(Queue.offer(accepted, stream), Effect.never)
  )
  const client = yield* wire.connect(address, { connectTimeoutMillis: 300 })
  return { address, client, server: yield* Queue.take(accepted) }
})

const brokersOf = (queues: ReadonlyArray<MessageQueue.MessageQueue>) =>
  [...new Set(queues.map(({ brokerName }) => brokerName))].join()

const sendTo = (producer: DefaultMQProducerShape, topic: string, brokerName: string) =>
  timed(producer.send(text(topic), { queue: MessageQueue.make(topic, brokerName, 0), timeoutMillis: 500 }), 5_000)

describe("FaultPlan.inject", () => {
  it.effect("Cut: open connections are reset, and new ones are not", () =>
    Effect.gen(function* () {
      const { address, name } = yield* broker()
      const wire = yield* Wire
      const stream = yield* wire.connect(address, { connectTimeoutMillis: 300 })
      const other = yield* wire.connect((yield* broker(1)).address, { connectTimeoutMillis: 300 })
      const { end } = yield* during({ _tag: "Cut", server: name })
      assert.strictEqual((yield* Effect.flip(stream.pull)).kind, "reset")
      yield* other.write([new Uint8Array(1)])
      valueOf((yield* dial(address)).exit)
      yield* end
    }).pipe(onMemory(cluster))
  )

  it.effect("Unreachable: refused, or without an answer; then as before", () =>
    Effect.gen(function* () {
      const { address, name } = yield* broker(1)
      const refused = yield* during({ _tag: "Unreachable", server: name, how: "refuse" })
      assert.strictEqual(failureOf((yield* dial(address)).exit).kind, "refused")
      yield* refused.end
      valueOf((yield* dial(address)).exit)

      const silent = yield* during({ _tag: "Unreachable", server: "namesrv-1", how: "blackhole" })
      const nameServer = (yield* EmbeddedCluster).nameServers[1]?.address ?? ""
      const { exit, millis } = yield* dial(nameServer)
      assert.strictEqual(failureOf(exit).kind, "timeout")
      assert.strictEqual(millis, 300)
      valueOf((yield* dial(address)).exit)
      yield* silent.end
      valueOf((yield* dial(nameServer)).exit)
    }).pipe(onMemory(cluster))
  )

  it.effect("Latency: dials to the server take longer, those to others do not", () =>
    Effect.gen(function* () {
      const { address, name } = yield* broker()
      const { end } = yield* during({ _tag: "Latency", server: name, millis: 40, jitterMillis: 60 })
      const taken = []
      for (const _ of numbers(4)) taken.push((yield* dial(address)).millis)
      for (const millis of taken) {
        assert.isAtLeast(millis, 40)
        assert.isAtMost(millis, 101)
      }
      assert.isAbove(new Set(taken).size, 1)
      assert.strictEqual((yield* dial((yield* broker(1)).address)).millis, 0)
      yield* end
      assert.strictEqual((yield* dial(address)).millis, 0)
    }).pipe(onMemory(cluster))
  )

  it.effect("Slice: what is written arrives in pieces", () =>
    Effect.gen(function* () {
      const { client, server } = yield* pair
      const { end } = yield* during({ _tag: "Slice", bytes: 3 })
      yield* client.write([new Uint8Array(10)])
      assert.deepStrictEqual(
        (yield* server.pull).map((chunk) => chunk.length),
        [3, 3, 3, 1]
      )
      yield* end
      yield* client.write([new Uint8Array(10)])
      assert.deepStrictEqual(
        (yield* server.pull).map((chunk) => chunk.length),
        [10]
      )
    }).pipe(onMemory(cluster))
  )

  it.effect("StopBroker: gone, and back on its address or on a new port; its routes go, or stay", () =>
    Effect.gen(function* () {
      const node = yield* broker()
      const { address } = node
      const producer = yield* startProducer({ pollNameServerInterval: 100 })
      valueOf((yield* sendTo(producer, "orders", "broker-a")).exit)
      const routed = Effect.map(producer.fetchPublishMessageQueues("orders"), brokersOf)

      const first = yield* during({ _tag: "StopBroker", broker: "broker-a", unregister: "immediate", newPort: false })
      assert.isFalse(node.running)
      assert.strictEqual(failureOf((yield* dial(address)).exit).kind, "refused")
      yield* advance(200)
      assert.strictEqual(yield* routed, "broker-b")
      yield* first.end
      assert.isTrue(node.running)
      assert.strictEqual(node.address, address)
      yield* advance(200)
      assert.strictEqual(yield* routed, "broker-a,broker-b")

      const second = yield* during({ _tag: "StopBroker", broker: "broker-a", unregister: "never", newPort: true })
      yield* advance(200)
      assert.strictEqual(yield* routed, "broker-a,broker-b")
      yield* second.end
      assert.notStrictEqual(node.address, address)
      assert.strictEqual(failureOf((yield* dial(address)).exit).kind, "refused")
      yield* advance(200)
      valueOf((yield* sendTo(producer, "orders", "broker-a")).exit)
    }).pipe(onMemory(cluster))
  )

  it.effect("StopNameServer: that one is gone, and comes back", () =>
    Effect.gen(function* () {
      const { nameServers } = yield* EmbeddedCluster
      const { end } = yield* during({ _tag: "StopNameServer", server: "namesrv-1" })
      assert.deepStrictEqual(
        nameServers.map(({ running }) => running),
        [true, false]
      )
      yield* end
      assert.isTrue(nameServers.every(({ running }) => running))
      // A name that nobody has is no fault.
      yield* (yield* during({ _tag: "StopNameServer", server: "namesrv-9" })).end
    }).pipe(onMemory(cluster))
  )

  it.effect("Busy: the broker refuses sends, the other takes them", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer({ retryTimesWhenSendFailed: 0 })
      const { end } = yield* during({ _tag: "Busy", broker: "broker-b" })
      assert.strictEqual(failureOf((yield* sendTo(producer, "orders", "broker-b")).exit).outcome, "rejected")
      valueOf((yield* sendTo(producer, "orders", "broker-a")).exit)
      yield* end
      valueOf((yield* sendTo(producer, "orders", "broker-b")).exit)
    }).pipe(onMemory(cluster))
  )

  it.effect("Permission: the route offers no queue of that broker for the topic, and of others it does", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer({ pollNameServerInterval: 100, topics: ["orders", "bills"] })
      const offered = (topic: string) => Effect.map(producer.fetchPublishMessageQueues(topic), brokersOf)
      assert.strictEqual(yield* offered("orders"), "broker-a,broker-b")
      const { end } = yield* during({ _tag: "Permission", topic: "orders", broker: "broker-a", perm: PermName.READ })
      yield* advance(200)
      assert.strictEqual(yield* offered("orders"), "broker-b")
      assert.strictEqual(yield* offered("bills"), "broker-a,broker-b")
      yield* end
      yield* advance(200)
      assert.strictEqual(yield* offered("orders"), "broker-a,broker-b")
    }).pipe(onMemory(cluster))
  )

  it.effect("Requests: the rule is in force, fires, and is gone", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* startProducer({ retryTimesWhenSendFailed: 0 })
      const rule = { match: { broker: "broker-a", code: 310 }, actions: [FaultScript.answer(13, "refused")] }
      const { end } = yield* during({ _tag: "Requests", rule })
      assert.strictEqual(failureOf((yield* sendTo(producer, "orders", "broker-a")).exit).outcome, "rejected")
      assert.deepStrictEqual(
        (yield* faults.fired).map(({ code, server }) => [server, code]),
        [["broker-a", 310]]
      )
      yield* end
      assert.deepStrictEqual(yield* faults.rules, [])
      valueOf((yield* sendTo(producer, "orders", "broker-a")).exit)
    }).pipe(onMemory(cluster))
  )

  it.effect("faults begin when they are due, overlap, and the last one's end is the plan's", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const rule = { actions: [FaultScript.dropRequest] }
      const fiber = yield* Effect.forkChild(
        FaultPlan.inject([
          { at: 100, forMillis: 500, fault: { _tag: "Requests", rule } },
          { at: 300, forMillis: 100, fault: { _tag: "Requests", rule } }
        ])
      )
      const counts = []
      for (const _ of numbers(7)) {
        yield* settle
        counts.push((yield* faults.rules).length)
        yield* TestClock.adjust(100)
      }
      assert.deepStrictEqual(counts, [0, 1, 1, 2, 1, 1, 0])
      yield* Fiber.join(fiber)
    }).pipe(onMemory(cluster))
  )
})

/** What is wrong of a cluster on which everything should work at once; it asks servers, the network and a producer. */
const wrong = Effect.gen(function* () {
  const { brokers, faults, nameServers } = yield* EmbeddedCluster
  const wire = yield* Wire
  const found: Array<string> = []
  const begin = yield* Clock.currentTimeMillis
  for (const { address, name, running } of [...brokers, ...nameServers]) {
    if (!running) found.push(`${name} does not run`)
    const dialled = yield* Effect.exit(Effect.scoped(wire.connect(address, { connectTimeoutMillis: 50 })))
    if (dialled._tag === "Failure") found.push(`${name} cannot be reached`)
  }
  const { client, server } = yield* Effect.orDie(pair)
  yield* Effect.orDie(client.write([new Uint8Array(100)]))
  if ((yield* Effect.orDie(server.pull)).length !== 1) found.push("writes are sliced")
  if ((yield* faults.rules).length > 0) found.push("rules are in force")
  if ((yield* Clock.currentTimeMillis) !== begin) found.push("the network takes time")

  const started = yield* Effect.exit(startProducer({ retryTimesWhenSendFailed: 0 }))
  if (started._tag === "Failure") return [...found, "no producer starts"]
  const producer = started.value
  for (const topic of ["orders", "bills"]) {
    const offered = yield* Effect.exit(producer.fetchPublishMessageQueues(topic))
    if (offered._tag === "Failure" || brokersOf(offered.value) !== "broker-a,broker-b") {
      found.push(`not every broker offers queues of ${topic}`)
    }
    for (const { name } of brokers) {
      const sent = yield* Effect.exit(producer.send(text(topic), { queue: MessageQueue.make(topic, name, 0) }))
      if (sent._tag === "Failure") found.push(`no send of ${topic} to ${name}`)
    }
  }
  return found
}).pipe(Effect.scoped)

const simulated = (seed: number, before: Effect.Effect<void, never, EmbeddedCluster | MemoryWire.MemoryNetwork>) =>
  Effect.map(
    Simulation.Run.run(seed, Effect.scoped(Effect.provide(Effect.andThen(before, wrong), memory(cluster)))),
    ({ exit }) => valueOf(exit)
  )

const many = { ...everything, count: { least: 10, most: 25 } }

describe("FaultPlan.heal", () => {
  it.effect("a fault that ran out has undone itself", () =>
    Effect.gen(function* () {
      for (const seed of numbers(40)) {
        const plan = yield* drawn(seed, { ...many, count: { least: 1, most: 1 } })
        assert.deepStrictEqual(yield* simulated(seed, FaultPlan.inject(plan)), [], JSON.stringify(plan))
      }
    })
  )

  it.effect("undoes whatever a plan has left, new ports and permissions included", () =>
    Effect.gen(function* () {
      for (const seed of numbers(40)) {
        const plan = yield* drawn(seed, many)
        const ran = Effect.andThen(FaultPlan.inject(plan), Effect.orDie(FaultPlan.heal(["orders", "bills"])))
        assert.deepStrictEqual(yield* simulated(seed, ran), [], JSON.stringify(plan))
      }
    })
  )

  it.effect("undoes faults in the middle of which their plan was given up", () =>
    Effect.gen(function* () {
      let broken = 0
      for (const seed of numbers(40)) {
        const plan = yield* drawn(seed, many)
        const givenUp = Effect.ignore(Effect.timeout(FaultPlan.inject(plan), 10_000))
        if ((yield* simulated(seed, givenUp)).length > 0) broken++
        const healed = Effect.andThen(givenUp, Effect.orDie(FaultPlan.heal(["orders", "bills"])))
        assert.deepStrictEqual(yield* simulated(seed, healed), [], JSON.stringify(plan))
      }
      // Or this test would prove nothing.
      assert.isAbove(broken, 20)
    })
  )
})
