/** RocketMQ 5.5.0 with three name servers that die, hang, come back and disagree. */
import { assert, layer } from "@effect/vitest"
import { Duration, Effect, Logger, References } from "effect"
import * as Http from "node:http"
import * as ClientConfig from "../../../src/client/ClientConfig.ts"
import { MQClientManager } from "../../../src/client/MQClientManager.ts"
import * as Message from "../../../src/message/Message.ts"
import { PermName } from "../../../src/message/MixAll.ts"
import { DefaultMQProducer, type DefaultMQProducerShape } from "../../../src/producer/DefaultMQProducer.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { eventually, eventuallyThat, uniqueName } from "../../conformance/support.ts"
import { request, routeBrokers } from "../RawRemoting.ts"
import { RocketMQ } from "../RocketMQServer.ts"
import type { ServerNode } from "../ServerNode.ts"
import {
  createTopic as createTopicAtFirst,
  millisOf,
  observe,
  services,
  startLoad,
  startProducer,
  TEST_TIMEOUT
} from "../support.ts"

/** Longer than any test: nothing is polled. */
const NEVER_MILLIS = 3_600_000

/** A topic on the broker that every name server that runs knows. */
const createTopic = Effect.fnUntraced(function* (name: string, perm?: number) {
  const { nameServers } = yield* RocketMQ
  const topic = yield* createTopicAtFirst(name, ["broker-a"], perm === undefined ? {} : { perm })
  for (const { address } of nameServers) {
    yield* eventuallyThat(routeBrokers(address, topic), (brokers) => assert.strictEqual(brokers.length, 1))
  }
  return topic
})

/** Sends one message to a topic that the producer does not know yet, or to a known one. */
const send = (producer: DefaultMQProducerShape, topic: string, timeoutMillis = 20_000) =>
  producer.send(Message.make({ topic, body: "x" }), { timeoutMillis })

/** The name server that the producer's client uses. */
const chosenBy = Effect.fnUntraced(function* (producer: DefaultMQProducerShape) {
  const { nameServers } = yield* RocketMQ
  const { instance } = yield* producer.state
  const chosen = nameServers.find(({ address }) => address === instance?.nameServers.chosen)
  assert.isDefined(chosen)
  return chosen
})

/** Does something to servers until the scope closes, and waits then until they serve again. */
const during = <A, E, R>(servers: ReadonlyArray<ServerNode>, how: "kill" | "pause", self: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.forEach(servers, (server) => (how === "kill" ? server.kill : server.pause), {
      concurrency: "unbounded",
      discard: true
    }),
    () => self,
    () =>
      Effect.orDie(
        Effect.forEach(servers, (server) => (how === "kill" ? server.start : server.resume), {
          concurrency: "unbounded",
          discard: true
        })
      )
  )

/** The client's end of its connection to an address, as its state shows it. */
const socketTo = (producer: DefaultMQProducerShape, address: string) =>
  Effect.map(producer.state, ({ instance }) => instance?.sockets.find((socket) => socket.address === address))

/** An address server on HTTP whose answer can be changed; gives its `host:port`. */
const addressServer = Effect.gen(function* () {
  const answer = { status: 200, body: "" }
  const server = Http.createServer((_, response) => {
    response.writeHead(answer.status, { "content-type": "text/html" }).end(answer.body)
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () => Effect.promise(() => new Promise<void>((resolve) => void server.close(() => resolve())))
  )
  const bound = server.address()
  assert.isTrue(typeof bound === "object" && bound !== null)
  return { answer, domain: `127.0.0.1:${typeof bound === "object" ? bound?.port : ""}` }
})

const cluster = services({ nameServers: 3 })

layer(cluster, { excludeTestServices: true, timeout: "10 minutes" })("RocketMQ 5.5.0, three name servers", (test) => {
  test.effect(
    "N4: the one in use killed: the next send moves on within a connect timeout, and later ones stay with that",
    () =>
      Effect.gen(function* () {
        const topics = [yield* createTopic("moved-on"), yield* createTopic("stays"), yield* createTopic("stays")]
        const producer = yield* startProducer({ pollNameServerInterval: NEVER_MILLIS })
        const victim = yield* chosenBy(producer)
        yield* during(
          [victim],
          "kill",
          Effect.gen(function* () {
            const [first, ...others] = topics
            const millis = yield* millisOf(send(producer, first ?? ""))
            assert.isBelow(millis, 3_000, "one connect timeout")
            const next = yield* chosenBy(producer)
            assert.notStrictEqual(next.address, victim.address)
            for (const topic of others) yield* send(producer, topic)
            assert.strictEqual((yield* chosenBy(producer)).address, next.address)
            // The one connection there was to it, from the start.
            assert.isAtMost((yield* socketTo(producer, victim.address))?.connects ?? 0, 1)
          })
        )
      }),
    TEST_TIMEOUT
  )

  test.effect(
    "N6: the one in use hangs: the request times out, the connection is given up, and the next one answers",
    () =>
      Effect.gen(function* () {
        const topic = yield* createTopic("hangs")
        const producer = yield* startProducer({ pollNameServerInterval: NEVER_MILLIS, mqClientApiTimeout: 3_000 })
        const victim = yield* chosenBy(producer)
        yield* during(
          [victim],
          "pause",
          Effect.gen(function* () {
            const { attempts } = yield* send(producer, topic)
            assert.strictEqual(attempts, 1)
            assert.notStrictEqual((yield* chosenBy(producer)).address, victim.address)
            yield* eventuallyThat(socketTo(producer, victim.address), (socket) =>
              assert.notStrictEqual(socket?.state, "open")
            )
          })
        )
      }),
    TEST_TIMEOUT
  )

  test.effect(
    "N1, N2, N5: all dead: sends go on over the known route, a strict start fails, and one that returns is enough",
    () =>
      Effect.gen(function* () {
        const { nameServers, namesrvAddr } = yield* RocketMQ
        const topic = yield* createTopic("known")
        const cold = yield* createTopic("cold")
        const warnings: Array<string> = []
        const log = Logger.layer([
          Logger.make(({ logLevel, message }) => {
            if (logLevel === "Warn" || logLevel === "Error") warnings.push(String(message))
          })
        ])
        const producer = yield* startProducer().pipe(
          Effect.provide(log),
          Effect.provideService(References.MinimumLogLevel, "Warn")
        )
        const polls = Effect.map(producer.state, ({ instance }) => instance?.timers[1]?.runs ?? 0)
        const morePolls = Effect.flatMap(polls, (before) =>
          eventuallyThat(polls, (now) => assert.isAtLeast(now, before + 3))
        )
        const load = yield* startLoad(producer, topic)
        yield* load.acknowledged(200)
        const lazy = yield* startProducer({ readiness: "lazy" })

        const [one, ...rest] = nameServers
        assert.isDefined(one)
        yield* during(
          rest,
          "kill",
          during(
            [one],
            "kill",
            Effect.gen(function* () {
              yield* morePolls
              const told = [...warnings]
              assert.isNotEmpty(told)
              yield* morePolls
              yield* load.acknowledged(200)
              assert.deepStrictEqual(warnings, told, "told once, and not at every poll")

              const strict = yield* DefaultMQProducer.make({ producerGroup: uniqueName("strict"), namesrvAddr })
              const [duration, error] = yield* Effect.timed(Effect.flip(strict.start))
              assert.isAtMost(Duration.toMillis(duration), 3_000 * nameServers.length)
              if (error.reason._tag !== "NameServerUnavailable") throw new Error(error.message)
              assert.sameMembers(
                error.reason.tries.map((tried) => `${tried.address} ${tried.problem}`),
                nameServers.map(({ address }) => `${address} refused`)
              )
              assert.strictEqual(yield* strict.serviceState, "START_FAILED")

              for (const unknowing of [producer, lazy]) {
                const { outcome, reason } = yield* Effect.flip(send(unknowing, cold, 5_000))
                assert.strictEqual(outcome, "not-sent")
                assert.deepInclude(reason, { _tag: "RouteUnavailable", problem: "name-server-refused" })
              }
            })
          ).pipe(
            Effect.andThen(
              // One is back. It knows the brokers when they register again, within 10 s.
              Effect.gen(function* () {
                yield* eventually(send(lazy, cold))
                yield* eventually(send(producer, cold))
                assert.strictEqual((yield* chosenBy(producer)).address, one.address)
              })
            )
          )
        )
        yield* load.stop
        assert.deepStrictEqual(
          load.ledger.failed.map(({ message }) => message),
          []
        )
      }),
    TEST_TIMEOUT
  )

  test.effect(
    "N9, N10: an address server whose list changes, and one that answers nonsense",
    () =>
      Effect.gen(function* () {
        const { nameServers } = yield* RocketMQ
        const addresses = nameServers.map(({ address }) => address)
        const { answer, domain } = yield* addressServer
        const topic = yield* createTopic("discovered")
        answer.body = addresses[0] ?? ""
        const options = { namesrvDomain: domain, instanceName: uniqueName("discovery") }
        const producer = yield* startProducer({ namesrvAddr: undefined, ...options })
        const manager = yield* MQClientManager
        // Timer 1 asks every two minutes; the test asks when it likes.
        const { nameServer } = yield* manager.getOrCreateMQClientInstance(yield* ClientConfig.check(options))
        const known = Effect.map(producer.state, ({ instance }) => instance?.nameServers.addresses)
        const load = yield* startLoad(producer, topic)
        yield* load.acknowledged(100)
        assert.deepStrictEqual(yield* known, addresses.slice(0, 1))

        answer.body = `${addresses.slice(1).join(";")}\n`
        yield* nameServer.fetchNameServerAddr
        assert.sameMembers([...((yield* known) ?? [])], addresses.slice(1))
        yield* eventuallyThat(socketTo(producer, addresses[0] ?? ""), (socket) => assert.isUndefined(socket))
        yield* send(producer, yield* createTopic("after-the-change"))

        for (const [status, body, problem] of [
          [500, "out of order", "status"],
          [200, "", "empty"],
          [200, "<html><body>Welcome</body></html>", "not-a-list"]
        ] as const) {
          Object.assign(answer, { status, body })
          const error = yield* Effect.flip(nameServer.fetchNameServerAddr)
          assert.deepInclude(error, { _tag: "AddressServerFailed", problem })
          assert.sameMembers([...((yield* known) ?? [])], addresses.slice(1))
        }
        yield* load.acknowledged(100)
        yield* load.stop
        assert.deepStrictEqual(load.ledger.failed, [])
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )

  test.effect(
    "N11: two name servers of different views: an absent topic never takes the place of a good route, a newer one does",
    () =>
      Effect.gen(function* () {
        const { brokers, nameServers } = yield* RocketMQ
        const observer = yield* observe
        const two = nameServers.slice(0, 2)
        const topic = yield* createTopic("views")
        const producer = yield* startProducer({ namesrvAddr: two.map(({ address }) => address) })
        yield* send(producer, topic)
        const first = yield* chosenBy(producer)
        const second = two.find((server) => server !== first)
        assert.isDefined(second)
        // The other one forgets the topic, which the brokers do not notice.
        const forget = { code: RequestCode.DELETE_TOPIC_IN_NAMESRV, extFields: { topic } }
        assert.strictEqual((yield* request(second.address, forget))?.code, 0)
        const queues = Effect.map(
          producer.state,
          ({ instance }) => instance?.routes.find((route) => route.topic === topic)?.writeQueues
        )
        const load = yield* startLoad(producer, topic)
        yield* during(
          [first],
          "kill",
          Effect.gen(function* () {
            yield* eventuallyThat(chosenBy(producer), ({ address }) => assert.strictEqual(address, second.address))
            assert.deepStrictEqual(yield* routeBrokers(second.address, topic), [])
            yield* load.acknowledged(200)
            assert.strictEqual(yield* queues, 4)
            // A change on the broker is news for everybody.
            const [broker] = brokers
            yield* observer.createTopic(broker?.address ?? "", topic, { queues: 8 })
            yield* eventuallyThat(queues, (count) => assert.strictEqual(count, 8))
            yield* load.acknowledged(200)
          })
        )
        yield* load.stop
        assert.deepStrictEqual(load.ledger.failed, [])
        assert.isTrue(load.ledger.acknowledged.every(({ result }) => !result.borrowedRoute))
      }),
    TEST_TIMEOUT
  )

  test.effect(
    "N12: a topic that may only be read: the send says so, and what has to be done",
    () =>
      Effect.gen(function* () {
        const topic = yield* createTopic("read-only", PermName.READ)
        const producer = yield* startProducer()
        const { message, outcome, reason } = yield* Effect.flip(send(producer, topic))
        assert.strictEqual(outcome, "not-sent")
        assert.deepInclude(reason, { _tag: "RouteUnavailable", problem: "no-writable-queue", topic })
        assert.include(message, "write permission")
      }),
    TEST_TIMEOUT
  )

  test.effect(
    "H1: one host name of three that does not exist does no harm, and three of them are told",
    () =>
      Effect.gen(function* () {
        const { nameServers } = yield* RocketMQ
        const topic = yield* createTopic("names")
        const bad = ["a", "b", "c"].map((host) => `no-such-${host}.invalid:9876`)
        const [first, second] = nameServers.map(({ address }) => address)
        const some = [bad[0] ?? "", first ?? "", second ?? ""]
        // The first choice is chance: with so many starts, some begin with the bad one.
        for (let i = 0; i < 8; i++) {
          const producer = yield* startProducer({ namesrvAddr: some })
          yield* send(producer, topic)
          yield* producer.shutdown
        }
        const none = yield* DefaultMQProducer.make({ producerGroup: uniqueName("names"), namesrvAddr: bad })
        const { reason } = yield* Effect.flip(none.start)
        if (reason._tag !== "NameServerUnavailable") throw new Error(reason.message)
        assert.sameMembers(
          reason.tries.map(({ address, problem }) => `${address} ${problem}`),
          bad.map((address) => `${address} name-not-resolved`)
        )
      }),
    TEST_TIMEOUT
  )
})
