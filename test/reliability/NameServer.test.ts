import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import { MemoryNetwork } from "../../src/transport/MemoryWire.ts"
import {
  advance,
  canSend,
  failureOf,
  held,
  makeProducer,
  nothing,
  onMemory,
  sorted,
  startProducer,
  text,
  timed,
  valueOf
} from "../support/rig.ts"
import { row } from "./row.ts"
import { chosen, leavesNothing, sentIn, uncounted, watchDials, watchLog } from "./watch.ts"

const topics = { orders: {} }

/** Three ways in which a name server can be away. */
const absences = ["stopped", "swallows dials", "swallows requests"] as const

const takeAway = (how: (typeof absences)[number]) =>
  Effect.gen(function* () {
    const { faults, nameServers } = yield* EmbeddedCluster
    const network = yield* MemoryNetwork
    for (const server of nameServers) {
      if (how === "stopped") yield* server.stop
      else if (how === "swallows dials") yield* network.setReachable(server.address, "blackhole")
    }
    if (how === "swallows requests") {
      yield* faults.add({ match: { broker: "namesrv" }, actions: [FaultScript.dropRequest] })
    }
  })

const bringBack = Effect.gen(function* () {
  const { faults, nameServers } = yield* EmbeddedCluster
  const network = yield* MemoryNetwork
  yield* faults.clear
  for (const server of nameServers) {
    yield* network.setReachable(server.address, "open")
    yield* server.start
  }
})

describe.each(absences.map((how) => ({ how })))("a name server that is away: it $how", ({ how }) => {
  it.effect(
    "N1: a lazy start succeeds without it, the first send fails in time and says why, a later one succeeds",
    () =>
      leavesNothing(
        Effect.gen(function* () {
          const { nameServers, traffic } = yield* EmbeddedCluster
          yield* takeAway(how)
          const producer = yield* makeProducer({ readiness: "lazy" })
          const start = yield* timed(producer.start)
          valueOf(start.exit)
          assert.strictEqual(start.millis, 0)
          yield* Effect.addFinalizer(() => producer.shutdown)
          // A look-up may take 3 s; a send that has no longer than that may end with its own time first.
          const { exit, millis } = yield* timed(producer.send(text("orders"), { timeoutMillis: 4_000 }))
          const error = failureOf(exit)
          assert.deepStrictEqual([error._tag, error.outcome, error.retryable], ["SendError", "not-sent", true])
          if (error.reason._tag !== "RouteUnavailable") throw new Error(error.reason._tag)
          const silent = how !== "stopped"
          assert.strictEqual(error.reason.problem, silent ? "name-server-silent" : "name-server-refused")
          assert.deepStrictEqual(
            sorted(error.reason.tries.map((one) => [one.address, one.problem])),
            sorted(nameServers.map((server) => [server.address, silent ? "silent" : "refused"]))
          )
          assert.isAtMost(millis, 3_005)
          yield* bringBack
          yield* advance(3_000, 500)
          yield* traffic.clear
          assert.strictEqual(yield* sentIn(producer), 0)
        })
      ).pipe(onMemory({ topics, nameServers: 2 }))
  )

  it.effect("N1: an eager start fails in time, typed, and gives everything back", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { nameServers } = yield* EmbeddedCluster
        yield* takeAway(how)
        const producer = yield* makeProducer({ readiness: "nameServer" })
        const { exit, millis } = yield* timed(producer.start)
        const { reason, retryable } = failureOf(exit)
        if (reason._tag !== "NameServerUnavailable") throw new Error(reason._tag)
        assert.isTrue(retryable)
        assert.strictEqual(reason.tries.length, nameServers.length)
        assert.isAtMost(millis, how === "stopped" ? 0 : 3_005)
        assert.deepStrictEqual(yield* held, nothing)
        // A new start of a new producer, when it is back, is not spoiled by the one that failed.
        yield* bringBack
        yield* startProducer({ readiness: "nameServer" })
      })
    ).pipe(onMemory({ topics, nameServers: 2 }))
  )

  it.effect("N2: sends go on over known routes, and 120 s of failing polls warn once for all topics", () => {
    const log = watchLog()
    const warnings = () => log.of("Warn", /./)
    const news = () => log.of("Info", /answers again/)
    return leavesNothing(
      Effect.gen(function* () {
        const names = ["orders", "other", "third"]
        const producer = yield* startProducer({ readiness: "routes", topics: names })
        for (const round of [1, 2]) {
          yield* takeAway(how)
          for (let second = 0; second < 120; second += 10) {
            for (const name of names) assert.strictEqual(yield* sentIn(producer, name), 0)
            yield* advance(10_000, 1_000)
          }
          const timer = (yield* producer.state).instance?.timers[1]
          assert.isAtLeast(timer?.runs ?? 0, 4 * round)
          assert.strictEqual(warnings().length, round, warnings().join("\n"))
          assert.include(warnings().at(-1) ?? "", "No name server answered")
          assert.strictEqual(news().length, round - 1)
          yield* uncounted(bringBack)
          yield* advance(63_000, 1_000)
          assert.strictEqual(news().length, round)
        }
      })
    ).pipe(onMemory({ topics: { orders: {}, other: {}, third: {} }, nameServers: 2 }), log.provide)
  })

  it.effect("N5: when all are away and one comes back, the next poll works again", () =>
    row({ cluster: { nameServers: 2 } }, (producer) =>
      Effect.gen(function* () {
        const { createTopic, nameServers } = yield* EmbeddedCluster
        yield* takeAway(how)
        yield* createTopic("orders", { writeQueueNums: 9, readQueueNums: 9 })
        yield* advance(60_000, 1_000)
        yield* bringBack
        yield* nameServers[0]?.stop ?? Effect.void
        // One interval, the look-up that is under way, and the pause after a failed dial.
        yield* advance(36_000, 1_000)
        const route = (yield* producer.state).instance?.routes.find(({ topic }) => topic === "orders")
        assert.strictEqual(route?.writeQueues, 9 * 2)
      })
    )
  )

  it.effect("N5: and so does the next send", () =>
    row({ cluster: { nameServers: 2 } }, (producer) =>
      Effect.gen(function* () {
        const { createTopic, nameServers } = yield* EmbeddedCluster
        yield* createTopic("new", { broker: "broker-a" })
        yield* takeAway(how)
        for (let i = 0; i < 3; i++) {
          const { exit, millis } = yield* timed(producer.send(text("new"), { timeoutMillis: 4_000 }))
          assert.strictEqual(failureOf(exit).reason._tag, "RouteUnavailable")
          assert.isAtMost(millis, 3_005)
        }
        yield* bringBack
        yield* nameServers[1]?.stop ?? Effect.void
        yield* advance(3_000, 500)
        assert.isAtMost(yield* sentIn(producer, "new"), 0)
      })
    )
  )
})

/** Sends to topics that nobody has looked up yet, one after another, whatever becomes of them. */
const newTopics = (producer: Effect.Success<ReturnType<typeof startProducer>>, everyMillis: number) => {
  let n = 0
  return Effect.forkScoped(
    Effect.forever(
      Effect.andThen(
        Effect.suspend(() => Effect.exit(producer.send(text(`topic-${n++}`)))),
        Effect.sleep(everyMillis)
      )
    )
  )
}

describe("a flapping name server", () => {
  it.effect("N3: is dialled once at a time, after waits that grow and differ", () => {
    const { dials, most, onMemory: watched, to } = watchDials()
    return leavesNothing(
      Effect.gen(function* () {
        const { namesrvAddr } = yield* EmbeddedCluster
        const network = yield* MemoryNetwork
        const clients = yield* Effect.forEach(["one", "two"], (instanceName) =>
          startProducer({ instanceName, borrowRoute: false })
        )
        for (const client of clients) for (let i = 0; i < 2; i++) yield* newTopics(client, 50)
        for (let i = 0; i < 6; i++) {
          yield* network.setReachable(namesrvAddr, i % 4 === 3 ? "blackhole" : "refuse")
          yield* network.cutAll(namesrvAddr)
          yield* advance(2_000, 50)
          yield* network.setReachable(namesrvAddr, "open")
          // Longer than the longest pause after a failed dial.
          yield* advance(3_100, 50)
          assert.isTrue(yield* canSend(clients[0] ?? (yield* Effect.die("no client"))))
        }
        // Two clients, so two at a time; 4 callers ask every 50 ms for 30 s, which would be 2,400 dials.
        assert.isAtMost(most(), clients.length)
        assert.isAtMost(to(namesrvAddr).length, 6 * 2 * 8)
        assert.isAtLeast(to(namesrvAddr).filter(({ end }) => end === "open").length, 6)
        assert.isAtMost(dials.length - to(namesrvAddr).length, 2 * 2)
      })
    ).pipe(watched({ topics }))
  })

  it.effect("N3: the waits of a client are jittered and double up to 3 s", () => {
    const { onMemory: watched, to } = watchDials()
    return leavesNothing(
      Effect.gen(function* () {
        const { namesrvAddr } = yield* EmbeddedCluster
        const network = yield* MemoryNetwork
        const producer = yield* startProducer({ borrowRoute: false })
        yield* network.setReachable(namesrvAddr, "refuse")
        yield* network.cutAll(namesrvAddr)
        yield* newTopics(producer, 20)
        yield* advance(16_000, 20)
        const failed = to(namesrvAddr).filter(({ end }) => end === "failed")
        const waits = failed.slice(1).map(({ at }, i) => at - (failed[i]?.at ?? 0))
        assert.isAtLeast(waits.length, 7)
        const wholes = waits.map((_, i) => Math.min(3_000, 100 * 2 ** i))
        // A caller comes every 20 ms.
        for (const [i, wait] of waits.entries()) {
          assert.isAtLeast(wait, (wholes[i] ?? 0) / 2, `wait ${i}`)
          assert.isAtMost(wait, (wholes[i] ?? 0) + 40, `wait ${i}`)
        }
        const shares = waits.map((wait, i) => wait / (wholes[i] ?? 1))
        assert.isAtLeast(new Set(shares.map((share) => Math.round(share * 50))).size, 4)
      })
    ).pipe(watched({ topics }))
  })

  it.effect("N3: one that takes connections only to close them is not dialled in a storm either", () => {
    const { most, onMemory: watched, to } = watchDials()
    return leavesNothing(
      Effect.gen(function* () {
        const { faults, namesrvAddr } = yield* EmbeddedCluster
        const network = yield* MemoryNetwork
        const producer = yield* startProducer({ borrowRoute: false })
        yield* faults.add({ match: { broker: "namesrv" }, actions: [FaultScript.refuseConnection] })
        yield* network.cutAll(namesrvAddr)
        for (let i = 0; i < 2; i++) yield* newTopics(producer, 50)
        const before = to(namesrvAddr).length
        yield* advance(30_000, 50)
        const count = to(namesrvAddr).length - before
        assert.strictEqual(most(), 1)
        assert.isAtLeast(count, 10)
        assert.isAtMost(count, 40)
        yield* faults.clear
        yield* advance(3_000, 100)
        assert.strictEqual(yield* sentIn(producer), 0)
      })
    ).pipe(watched({ topics }))
  })
})

describe("one of three name servers", () => {
  it.effect.each(["stopped", "swallows dials"] as const)(
    "N4: that %s costs the first requests one connect timeout at most, and the later ones nothing",
    (how) =>
      row({ cluster: { nameServers: 3 }, client: { mqClientApiTimeout: 12_000, sendMsgTimeout: 20_000 } }, (producer) =>
        Effect.gen(function* () {
          const { createTopic, nameServers } = yield* EmbeddedCluster
          const network = yield* MemoryNetwork
          const names = Array.from({ length: 20 }, (_, i) => `topic-${i}`)
          for (const name of names) yield* createTopic(name, { broker: "broker-a" })
          const dead = yield* chosen(producer)
          if (how === "stopped") yield* nameServers.find(({ address }) => address === dead)?.stop ?? Effect.void
          else {
            yield* network.setReachable(dead, "blackhole")
            yield* network.cutAll(dead)
          }
          const all = Effect.forEach(names, (name) => producer.send(text(name)), { concurrency: "unbounded" })
          const { exit, millis } = yield* timed(all)
          valueOf(exit)
          assert.isAtMost(millis, how === "stopped" ? 0 : 3_005)
          const next = yield* chosen(producer)
          assert.notStrictEqual(next, dead)
          const dials = yield* network.dials(dead)
          yield* advance(62_000, 1_000)
          yield* createTopic("late", { broker: "broker-a" })
          assert.strictEqual(yield* sentIn(producer, "late"), 0)
          // It stays with the one that lives, and leaves the dead one alone.
          assert.strictEqual(yield* chosen(producer), next)
          assert.strictEqual(yield* network.dials(dead), dials)
        })
      )
  )
})
