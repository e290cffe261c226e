import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Ref, Stream } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import { TestClock } from "effect/testing"
import * as http from "node:http"
import { AddressServerFailed, NameServerResolveError } from "../../src/client/ClientError.ts"
import { NameServerResolver } from "../../src/client/NameServerResolver.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { ResponseCode } from "../../src/protocol/ResponseCode.ts"
import { MemoryNetwork } from "../../src/transport/MemoryWire.ts"
import {
  advance,
  canSend,
  connections,
  failureOf,
  makeProducer,
  onMemory,
  onTcp,
  settle,
  sorted,
  startProducer,
  text,
  timed,
  valueOf
} from "../support/rig.ts"

const topics = { orders: {} }
const three = { topics, nameServers: 3 }

describe("the chosen name server", () => {
  it.effect("is any of them at first, so that many clients spread", () =>
    Effect.gen(function* () {
      const { nameServers } = yield* EmbeddedCluster
      const chosen = new Set<string | undefined>()
      for (let i = 0; i < 40; i++) {
        const producer = yield* startProducer({ producerGroup: `pg-${i}`, instanceName: `${i}` })
        chosen.add((yield* producer.state).instance?.nameServers.chosen)
      }
      assert.deepStrictEqual(sorted(chosen), sorted(nameServers.map((server) => server.address)))
    }).pipe(onMemory(three))
  )

  it.effect("N4: is kept while it answers, and the next one is taken when it does not", () =>
    Effect.gen(function* () {
      const { nameServers, traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      const chosen = Effect.map(producer.state, (state) => state.instance?.nameServers.chosen)
      const first = yield* chosen
      yield* advance(90_000, 10_000)
      assert.strictEqual(yield* chosen, first)
      const used = new Set((yield* traffic.ofCode(RequestCode.GET_ROUTEINFO_BY_TOPIC)).map((r) => r.address))
      assert.deepStrictEqual([...used], [first])
      yield* nameServers.find((server) => server.address === first)?.stop ?? Effect.void
      yield* traffic.clear
      assert.isTrue(yield* canSend(producer))
      const second = yield* chosen
      assert.notStrictEqual(second, first)
      assert.isTrue(yield* canSend(producer, "another"))
      // Sticky again.
      assert.strictEqual(yield* chosen, second)
      assert.isTrue((yield* traffic.ofCode(RequestCode.GET_ROUTEINFO_BY_TOPIC)).every((r) => r.address === second))
    }).pipe(onMemory({ nameServers: 3 }))
  )

  it.effect("N4: when the first of two swallows everything, a look-up of 3 s still succeeds", () =>
    Effect.gen(function* () {
      const network = yield* MemoryNetwork
      const { nameServers } = yield* EmbeddedCluster
      for (let i = 0; i < 4; i++) {
        const producer = yield* makeProducer({ producerGroup: `pg-${i}`, instanceName: `${i}`, readiness: "lazy" })
        yield* producer.start
        const chosen = (yield* producer.state).instance?.nameServers.chosen ?? ""
        yield* network.setReachable(chosen, "blackhole")
        const { exit, millis } = yield* timed(producer.send(text("orders")))
        valueOf(exit)
        assert.isAtMost(millis, 1_505)
        // From now on it costs nothing.
        assert.strictEqual((yield* timed(producer.send(text("orders")))).millis, 0)
        yield* network.setReachable(chosen, "open")
        yield* producer.shutdown
      }
      assert.strictEqual(nameServers.length, 2)
    }).pipe(onMemory({ topics, nameServers: 2 }))
  )

  it.effect("N5: when all are dead and one comes back, the next send goes through without a restart", () =>
    Effect.gen(function* () {
      const { nameServers } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      yield* Effect.forEach(nameServers, (server) => server.stop)
      const error = failureOf((yield* timed(producer.send(text("orders")))).exit)
      assert.deepInclude(error.reason, { _tag: "RouteUnavailable", problem: "name-server-refused" })
      yield* nameServers[1]?.start ?? Effect.void
      yield* advance(3_000, 500)
      assert.isTrue(yield* canSend(producer))
    }).pipe(onMemory({ topics, nameServers: 2 }))
  )

  it.effect("N2: while it is down, sends go on over the routes that are known", () =>
    Effect.gen(function* () {
      const { nameServers } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      assert.isTrue(yield* canSend(producer))
      yield* nameServers[0]?.stop ?? Effect.void
      yield* advance(120_000, 10_000)
      assert.isTrue(yield* canSend(producer))
      const timer = (yield* producer.state).instance?.timers[1]
      assert.isAtLeast(timer?.runs ?? 0, 4)
    }).pipe(onMemory({ topics }))
  )
})

describe("a name server that is not ready yet", () => {
  const notReady = FaultScript.answer(ResponseCode.SYSTEM_ERROR, "name server not ready")

  it.effect("is asked again within the time of the look-up", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      yield* faults.add({ match: { broker: "namesrv" }, actions: [notReady], times: 3 })
      const producer = yield* makeProducer()
      const { exit, millis } = yield* timed(producer.start)
      valueOf(exit)
      // Timer 2 takes one of the three answers.
      assert.isAtLeast(millis, 400)
      assert.isAtMost(millis, 1_000)
      yield* producer.shutdown
    }).pipe(onMemory({ topics }))
  )

  it.effect("does not keep the others from being asked", () =>
    Effect.gen(function* () {
      const { faults, nameServers } = yield* EmbeddedCluster
      for (const server of nameServers.slice(0, 2)) {
        yield* faults.add({ match: { address: server.address }, actions: [notReady] })
      }
      for (let i = 0; i < 5; i++) {
        const producer = yield* makeProducer({ producerGroup: `pg-${i}`, instanceName: `${i}` })
        const { exit, millis } = yield* timed(producer.start)
        valueOf(exit)
        assert.strictEqual(millis, 0)
        assert.strictEqual((yield* producer.state).instance?.nameServers.chosen, nameServers[2]?.address)
        yield* producer.shutdown
      }
    }).pipe(onMemory(three))
  )

  it.effect("for good is a typed error that says so, once per server", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      yield* faults.add({ match: { broker: "namesrv" }, actions: [notReady] })
      const producer = yield* makeProducer()
      const { exit, millis } = yield* timed(producer.start)
      const { reason } = failureOf(exit)
      if (reason._tag !== "NameServerUnavailable") throw new Error(reason._tag)
      assert.deepStrictEqual(
        reason.tries.map((t) => t.problem),
        ["not-ready", "not-ready", "not-ready"]
      )
      assert.isAtMost(millis, 3_005)
    }).pipe(onMemory(three))
  )
})

describe("a resolver", () => {
  it.effect("is asked at the start and by timer 1; its last good list is kept when it fails", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const answers = yield* Ref.make<ReadonlyArray<string> | Error>([namesrvAddr])
      const resolver = NameServerResolver.layer(
        "registry",
        Effect.flatMap(Ref.get(answers), (answer) =>
          answer instanceof Error
            ? Effect.fail(new NameServerResolveError({ resolver: "registry", cause: answer }))
            : Effect.succeed(answer)
        )
      )
      const producer = yield* startProducer({ namesrvAddr: undefined }).pipe(Effect.provide(resolver))
      const view = Effect.map(producer.state, (state) => state.instance)
      assert.deepStrictEqual((yield* view)?.nameServers.addresses, [namesrvAddr])
      for (const [answer, words] of [
        [new Error("registry down"), "registry down"],
        [[], "No name server address"],
        [["nonsense", ""], "No name server address"]
      ] as const) {
        yield* Ref.set(answers, answer)
        yield* advance(120_000, 10_000)
        const after = yield* view
        assert.deepStrictEqual(after?.nameServers.addresses, [namesrvAddr])
        assert.include(after?.timers[0]?.lastFailure?.message ?? "", words)
        assert.isTrue(yield* canSend(producer, `topic-${words.length}`))
      }
      assert.strictEqual((yield* view)?.timers[0]?.failures, 3)
    }).pipe(onMemory({ topics }))
  )

  it.effect("that fails at the start fails the start, typed", () =>
    Effect.gen(function* () {
      const producer = yield* makeProducer({ namesrvAddr: undefined })
      const fails = Effect.fail(new NameServerResolveError({ resolver: "registry", cause: new Error("down") }))
      const error = failureOf(
        yield* Effect.exit(producer.start.pipe(Effect.provide(NameServerResolver.layer("registry", fails))))
      )
      assert.deepStrictEqual([error.step, error.reason._tag], ["3.2", "NameServerResolveError"])
      assert.isTrue(error.retryable)
    }).pipe(onMemory({ topics }))
  )

  it.effect("N9: whose list changes has the connections to those that are gone closed, after what is in flight", () =>
    Effect.gen(function* () {
      const { faults, nameServers } = yield* EmbeddedCluster
      const network = yield* MemoryNetwork
      const addresses = nameServers.map((server) => server.address)
      const list = yield* Ref.make<ReadonlyArray<string>>([addresses[0] ?? ""])
      const producer = yield* startProducer({ namesrvAddr: undefined }).pipe(
        Effect.provide(NameServerResolver.layer("registry", Ref.get(list)))
      )
      assert.strictEqual(yield* connections, 1)
      yield* Ref.set(list, [addresses[1] ?? ""])
      yield* advance(9_900)
      // A look-up is under way when the list changes; it may end.
      yield* faults.add({ match: { address: addresses[0] ?? "" }, actions: [FaultScript.delay(1_000)] })
      const send = yield* Effect.forkChild(Effect.exit(producer.send(text("orders"))), { startImmediately: true })
      yield* advance(200)
      const view = Effect.map(producer.state, (state) => state.instance)
      assert.deepStrictEqual((yield* view)?.nameServers.addresses, addresses.slice(1, 2))
      yield* advance(1_000)
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(send)))
      assert.notInclude((yield* view)?.sockets.map((s) => s.address) ?? [], addresses[0] ?? "")
      assert.isTrue(yield* canSend(producer, "another"))
      assert.strictEqual(yield* network.dials(addresses[1] ?? ""), 1)
      assert.strictEqual((yield* view)?.nameServers.chosen, addresses[1])
      // An equal list in another order changes nothing.
      yield* Ref.set(list, [...addresses, ...addresses])
      yield* advance(120_000, 10_000)
      assert.deepStrictEqual(sorted((yield* view)?.nameServers.addresses ?? []), sorted(addresses))
    }).pipe(onMemory(three))
  )
})

describe("an address server", () => {
  interface Answer {
    readonly status: number
    readonly body: string
  }

  /** An HttpClient that answers what the ref says, and writes down what it was asked. */
  const stub = (answer: Ref.Ref<Answer | "down" | "hangs">, asked: Array<string>) =>
    Layer.succeed(
      HttpClient.HttpClient,
      HttpClient.make((request, url) =>
        Effect.gen(function* () {
          asked.push(url.toString())
          const now = yield* Ref.get(answer)
          if (now === "hangs") return yield* Effect.never
          if (now === "down") {
            return yield* new HttpClientError.HttpClientError({
              reason: new HttpClientError.TransportError({ request, cause: new Error("ECONNREFUSED") })
            })
          }
          return HttpClientResponse.fromWeb(request, new Response(now.body, { status: now.status }))
        })
      )
    )

  const domain = { namesrvAddr: undefined, namesrvDomain: "ns.example", unitName: "u1" }

  it.effect("N10: is asked at the start and every 2 minutes, and its last good list is kept", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const asked: Array<string> = []
      const answer = yield* Ref.make<Answer | "down" | "hangs">({ status: 200, body: `${namesrvAddr}\nignored\n` })
      const producer = yield* startProducer(domain).pipe(Effect.provide(stub(answer, asked)))
      assert.deepStrictEqual(asked, ["http://ns.example:8080/rocketmq/nsaddr-u1?nofix=1"])
      const view = Effect.map(producer.state, (state) => state.instance)
      assert.deepStrictEqual((yield* view)?.nameServers.addresses, [namesrvAddr])
      const troubles = [
        [{ status: 500, body: "oops" }, "status 500"],
        [{ status: 404, body: namesrvAddr }, "status 404"],
        [{ status: 200, body: " \n" }, "empty"],
        [{ status: 200, body: "<!DOCTYPE html><html>\u001b[31mlogin</html>" }, "no address list"],
        [{ status: 200, body: "a:9876;b" }, "no address list"],
        ["down", "ns.example"],
        ["hangs", "no answer within 3000 ms"]
      ] as const
      let failures = 0
      yield* advance(10_000, 1_000)
      assert.strictEqual((yield* view)?.timers[0]?.failures, 0)
      for (const [trouble, words] of troubles) {
        yield* Ref.set(answer, trouble)
        yield* advance(124_000, 4_000)
        const after = yield* view
        assert.deepStrictEqual(after?.nameServers.addresses, [namesrvAddr])
        failures++
        assert.strictEqual(after?.timers[0]?.failures, failures, words)
        assert.include(after?.timers[0]?.lastFailure?.message ?? "", words)
        assert.include(after?.timers[0]?.lastFailure?.message ?? "", "last good list")
        assert.notInclude(after?.timers[0]?.lastFailure?.message ?? "", "\u001b")
      }
      assert.isTrue(yield* canSend(producer))
      assert.strictEqual(asked.length, 1 + 1 + troubles.length)
    }).pipe(onMemory({ topics }))
  )

  it.effect("A7: answers that are absurd leave the last good list in use", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const answer = yield* Ref.make<Answer | "down" | "hangs">({ status: 200, body: namesrvAddr })
      const producer = yield* startProducer(domain).pipe(Effect.provide(stub(answer, [])))
      const troubles = [
        [{ status: 200, body: "a".repeat(1 << 20) }, "more than 65536 bytes"],
        [{ status: 200, body: "\n".repeat(1 << 20) }, "more than 65536 bytes"],
        [{ status: 200, body: Array.from({ length: 65 }, (_, i) => `h${i}:1`).join(";") }, "65 addresses"],
        [{ status: 200, body: `${"h".repeat(300)}:1` }, "no address list"],
        [{ status: 302, body: "moved" }, "redirects to nowhere"]
      ] as const
      for (const [trouble, words] of troubles) {
        yield* Ref.set(answer, trouble)
        yield* advance(124_000, 4_000)
        const { instance } = yield* producer.state
        assert.deepStrictEqual(instance?.nameServers.addresses, [namesrvAddr])
        assert.include(instance?.timers[0]?.lastFailure?.message, words)
        assert.isBelow(instance?.timers[0]?.lastFailure?.message.length ?? 0, 500)
      }
      assert.isTrue(yield* canSend(producer))
    }).pipe(onMemory({ topics }))
  )

  it.effect("that gives no usable list at the start fails the start, typed, with its URL", () =>
    Effect.gen(function* () {
      const cases = [
        [{ status: 500, body: "x" }, "status"],
        [{ status: 200, body: "" }, "empty"],
        [{ status: 200, body: "<html></html>" }, "not-a-list"],
        ["down", "unreachable"],
        ["hangs", "unreachable"]
      ] as const
      for (const [given, problem] of cases) {
        const answer = yield* Ref.make<Answer | "down" | "hangs">(given)
        const producer = yield* makeProducer(domain)
        const { exit } = yield* timed(producer.start.pipe(Effect.provide(stub(answer, []))))
        const error = failureOf(exit)
        if (!(error.reason instanceof AddressServerFailed)) throw new Error(error.reason._tag)
        assert.deepStrictEqual([error.step, error.reason.problem], ["3.2", problem])
        assert.strictEqual(error.reason.url, "http://ns.example:8080/rocketmq/nsaddr-u1?nofix=1")
        assert.isTrue(error.retryable)
      }
    }).pipe(onMemory({ topics }))
  )

  it.live("is reached over real HTTP, with nothing provided for it", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const paths: Array<string | undefined> = []
      const port = yield* Effect.acquireRelease(
        Effect.callback<{ readonly port: number; readonly server: http.Server }>((resume) => {
          const server = http.createServer((request, response) => {
            paths.push(request.url)
            response.end(`${namesrvAddr}\n`)
          })
          server.listen(0, "127.0.0.1", () => {
            const address = server.address()
            resume(Effect.succeed({ server, port: address !== null && typeof address === "object" ? address.port : 0 }))
          })
        }),
        ({ server }) =>
          Effect.callback<void>((resume) => {
            server.closeAllConnections()
            server.close(() => resume(Effect.void))
          })
      )
      const producer = yield* startProducer({ namesrvAddr: undefined, namesrvDomain: `127.0.0.1:${port.port}` })
      assert.deepStrictEqual(paths, ["/rocketmq/nsaddr"])
      assert.isTrue(yield* canSend(producer))
    }).pipe(Effect.scoped, onTcp({ topics }))
  )
})

describe("routes", () => {
  it.effect("N11: an empty view of a name server that has just started does not replace a good one", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      assert.isTrue(yield* canSend(producer))
      const body = new TextEncoder().encode('{"brokerDatas":[],"queueDatas":[],"filterServerTable":{}}')
      yield* faults.add({
        match: { code: RequestCode.GET_ROUTEINFO_BY_TOPIC },
        actions: [{ _tag: "Answer", response: { code: 0, body } }]
      })
      yield* advance(60_000, 10_000)
      assert.isTrue(yield* canSend(producer))
    }).pipe(onMemory({ topics }))
  )

  it.effect("one topic whose look-up hangs or fails holds up no other topic's", () =>
    Effect.gen(function* () {
      const { createTopic, faults } = yield* EmbeddedCluster
      const producer = yield* startProducer({ readiness: "routes", topics: ["a", "b", "c"] })
      yield* faults.add({
        match: { code: RequestCode.GET_ROUTEINFO_BY_TOPIC, topic: "a" },
        actions: [FaultScript.dropRequest]
      })
      yield* faults.add({
        match: { code: RequestCode.GET_ROUTEINFO_BY_TOPIC, topic: "b" },
        actions: [FaultScript.answer(1, "no")]
      })
      yield* createTopic("c", { writeQueueNums: 16, readQueueNums: 16 })
      yield* advance(31_000, 1_000)
      const routes = (yield* producer.state).instance?.routes ?? []
      assert.deepStrictEqual(sorted(routes.filter((r) => r.topic !== "TBW102").map((r) => [r.topic, r.writeQueues])), [
        ["a", 4],
        ["b", 4],
        ["c", 16]
      ])
    }).pipe(onMemory({ topics: { a: {}, b: {}, c: {} } }))
  )

  it.effect("N11: after the last change, the client's table is the server's within one poll", () =>
    Effect.gen(function* () {
      const { createTopic, setPermission, startBroker, stopBroker } = yield* EmbeddedCluster
      const producer = yield* startProducer({ readiness: "routes", topics: ["orders"] })
      const queues = Effect.map(Effect.orDie(producer.fetchPublishMessageQueues("orders")), (found) => found.length)
      const view = Effect.map(producer.state, (s) => s.instance?.routes.find((r) => r.topic === "orders"))
      assert.strictEqual(yield* queues, 8)
      yield* createTopic("orders", { writeQueueNums: 2, readQueueNums: 2 })
      yield* advance(30_100, 10_000)
      assert.strictEqual((yield* view)?.writeQueues, 4)
      yield* setPermission("orders", 4, "broker-a")
      yield* advance(30_000, 10_000)
      assert.strictEqual((yield* view)?.writeQueues, 2)
      yield* stopBroker("broker-a")
      yield* advance(30_000, 10_000)
      assert.deepStrictEqual((yield* view)?.brokers, ["broker-b"])
      yield* startBroker("broker-a", { newPort: true })
      yield* setPermission("orders", 6)
      yield* advance(30_000, 10_000)
      assert.deepStrictEqual((yield* view)?.brokers.toSorted(), ["broker-a", "broker-b"])
      assert.strictEqual(yield* queues, 4)
    }).pipe(onMemory({ topics, brokers: 2 }))
  )

  it.effect("and the stream of states tells it", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      const state = (yield* producer.state).instance
      assert.isDefined(state)
      yield* TestClock.adjust(10)
      yield* settle
      assert.strictEqual((yield* producer.state).instance?.timers[1]?.runs, 1)
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(Stream.runHead(producer.serviceStateChanges))))
    }).pipe(onMemory({ topics }))
  )
})
