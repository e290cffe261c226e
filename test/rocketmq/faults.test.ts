/** RocketMQ 5.5.0 with servers killed, paused, restarted and cold, while this client sends. */
import { assert, layer } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as Message from "../../src/message/Message.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { ResponseCode } from "../../src/protocol/ResponseCode.ts"
import { audit, makeLedger, reasonOf } from "../conformance/ledger.ts"
import { countBy, eventually, eventuallyThat, uniqueName } from "../conformance/support.ts"
import { RocketMQ } from "./RocketMQServer.ts"
import {
  annotate,
  createTopic,
  millisOf,
  observe,
  readTopic,
  services,
  SHUTDOWN_MILLIS,
  startLoad,
  startProducer,
  TEST_TIMEOUT
} from "./support.ts"

const twoBrokers = services({ brokers: [{ name: "broker-a" }, { name: "broker-b" }] })

layer(twoBrokers, { excludeTestServices: true, timeout: "10 minutes" })("RocketMQ 5.5.0, two brokers", (test) => {
  test.effect(
    "B1, B2: a broker killed under load and started again: no send fails, and no acknowledged message is missing",
    (context) =>
      Effect.gen(function* () {
        const { brokers } = yield* RocketMQ
        const [, victim] = brokers
        assert.isDefined(victim)
        const topic = yield* createTopic("killed", ["broker-a", "broker-b"])
        const producer = yield* startProducer()
        const load = yield* startLoad(producer, topic)
        yield* load.acknowledged(1_000)
        yield* load.acknowledged(100, victim.name)
        yield* victim.kill
        yield* load.acknowledged(1_000)
        yield* victim.start
        yield* load.acknowledged(500, victim.name)
        yield* load.stop

        const { acknowledged, failed } = load.ledger
        assert.deepStrictEqual(
          failed.map((error) => error.message),
          [],
          "broker-a was there all the time"
        )
        const { stored, duplicated } = audit(load.ledger, yield* readTopic(topic, 2, acknowledged.length))
        const retried = acknowledged.filter(({ result }) => result.attempts > 1)
        assert.isAbove(retried.length, 0, "the kill must have hit sends")
        assert.isAtMost(duplicated, retried.length)
        assert.isAtMost(
          stored - acknowledged.length,
          retried.reduce((n, { result }) => n + result.attempts - 1, 0)
        )
        yield* annotate(
          context,
          `${acknowledged.length} acknowledged, ${retried.length} of them retried; ${stored} stored, ${duplicated} twice`
        )
        const { counters, inFlight } = yield* producer.state
        assert.strictEqual(counters.acknowledged, acknowledged.length)
        assert.strictEqual(inFlight, 0)
      }),
    TEST_TIMEOUT
  )

  test.effect(
    "N2, N5: the name server killed: sends go on over the cached route, and new topics are found again after its return",
    () =>
      Effect.gen(function* () {
        const { nameServers } = yield* RocketMQ
        const [nameServer] = nameServers
        assert.isDefined(nameServer)
        const topic = yield* createTopic("cached", ["broker-a", "broker-b"])
        const producer = yield* startProducer()
        const load = yield* startLoad(producer, topic)
        yield* load.acknowledged(500)
        yield* nameServer.kill
        const polls = () => Effect.map(producer.state, ({ instance }) => instance?.timers[1]?.runs ?? 0)
        const before = yield* polls()
        yield* load.acknowledged(500)
        yield* eventuallyThat(polls(), (runs) => assert.isAtLeast(runs, before + 3, "timer 2 goes on"))
        yield* load.acknowledged(500)
        const routes = (yield* producer.state).instance?.routes ?? []
        assert.strictEqual(routes.find((route) => route.topic === topic)?.writeQueues, 8)

        const cold = uniqueName("cold")
        const error = yield* Effect.flip(
          producer.send(Message.make({ topic: cold, body: "x" }), { timeoutMillis: 10_000 })
        )
        assert.strictEqual(error.reason._tag, "RouteUnavailable")
        assert.propertyVal(error.reason, "problem", "name-server-refused")
        assert.strictEqual(error.outcome, "not-sent")

        yield* nameServer.start
        // Brokers register again within 10 s; until then the name server knows nothing, which must not spoil the cache.
        const result = yield* eventually(producer.send(Message.make({ topic: cold, body: "found" })))
        assert.isTrue(result.borrowedRoute)
        yield* load.acknowledged(500)
        yield* load.stop
        const { acknowledged, failed } = load.ledger
        assert.deepStrictEqual(
          failed.map(({ message }) => message),
          []
        )
        assert.isTrue(acknowledged.every(({ result: sent }) => sent.attempts === 1 && !sent.borrowedRoute))
        const { duplicated } = audit(load.ledger, yield* readTopic(topic, 2, acknowledged.length))
        assert.strictEqual(duplicated, 0)
      }),
    TEST_TIMEOUT
  )

  test.effect(
    "B2: a broker restarted on its port: the producer finds it again by itself",
    () =>
      Effect.gen(function* () {
        const { brokers } = yield* RocketMQ
        const [, broker] = brokers
        assert.isDefined(broker)
        const observer = yield* observe
        const topic = yield* createTopic("restarted", [broker.name])
        // The route is as good as never read again, so that finding the broker again is the connection's doing alone.
        const producer = yield* startProducer({ pollNameServerInterval: 3_600_000, sendMsgTimeout: 2_000 })
        const load = yield* startLoad(producer, topic)
        yield* load.acknowledged(200)
        yield* broker.restart
        yield* load.acknowledged(500)
        yield* load.stop
        const { acknowledged, failed } = load.ledger
        // There is no other broker for this topic, so sends fail meanwhile; each says what became of its message.
        assert.isAbove(failed.length, 0)
        assert.sameMembers(
          [...countBy(failed, (error) => error.outcome).keys()].filter((outcome) => outcome === "rejected"),
          []
        )
        assert.isTrue(failed.every((error) => error.retryable))
        assert.isTrue(acknowledged.every(({ result }) => !result.borrowedRoute))
        audit(load.ledger, yield* readTopic(topic, 1, acknowledged.length))
        // The broker may keep an entry of a connection that was given up while it was too cold to answer.
        const known = Effect.map(observer.producers(broker.address, producer.producerGroup), (all) =>
          all.map((one) => [one.clientId, one.clientAddr])
        )
        yield* eventuallyThat(Effect.all([known, producer.state]), ([clients, { instance }]) => {
          const socket = instance?.sockets.find(({ address }) => address === broker.address)
          assert.deepInclude(clients, [instance?.clientId ?? "", socket?.localAddress ?? ""])
        })
      }),
    TEST_TIMEOUT
  )

  test.effect(
    "L1, L14: paused servers: a shutdown waits as long as it may, and ends what is left with an unknown outcome",
    () =>
      Effect.gen(function* () {
        const { brokers, nameServers } = yield* RocketMQ
        const drainTimeoutMillis = 1_000
        const topic = yield* createTopic("paused", ["broker-a", "broker-b"])
        const producer = yield* startProducer({ drainTimeoutMillis })
        yield* Effect.forEach(Array.from({ length: 8 }), () => producer.send(Message.make({ topic, body: "before" })))
        const servers = [...brokers, ...nameServers]
        yield* Effect.acquireRelease(
          Effect.forEach(servers, (server) => server.pause, { discard: true }),
          () => Effect.forEach(servers, (server) => server.resume, { discard: true })
        )
        const sending = yield* Effect.forEach(
          Array.from({ length: 16 }),
          () => Effect.exit(producer.send(Message.make({ topic, body: "in flight" }))),
          { concurrency: "unbounded" }
        ).pipe(Effect.forkScoped)
        yield* eventuallyThat(producer.state, ({ inFlight }) => assert.strictEqual(inFlight, 16))
        const millis = yield* millisOf(producer.shutdown)
        assert.isAtLeast(millis, drainTimeoutMillis - 1)
        assert.isAtMost(millis, drainTimeoutMillis + SHUTDOWN_MILLIS)
        for (const exit of yield* Fiber.join(sending)) {
          assert.isTrue(Exit.isFailure(exit))
          const error = reasonOf(exit)
          assert.isDefined(error)
          assert.strictEqual(error.outcome, "unknown")
          // Or the connection ended first, because the farewells had no answer either.
          assert.include(["ClientClosed", "ConnectionClosed"], error.reason._tag)
        }
        assert.strictEqual(yield* producer.serviceState, "SHUTDOWN_ALREADY")
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )

  // The last one on this cluster, of which it leaves nothing.
  test.effect(
    "L14: brokers and name server gone: a shutdown is bounded all the same",
    () =>
      Effect.gen(function* () {
        const { brokers, nameServers } = yield* RocketMQ
        const manager = yield* MQClientManager
        const topic = yield* createTopic("gone", ["broker-a", "broker-b"])
        const producer = yield* startProducer({ readiness: "registered", topics: [topic] })
        yield* producer.send(Message.make({ topic, body: "before" }))
        const servers = [...brokers, ...nameServers]
        yield* Effect.forEach(servers, (server) => server.kill, { concurrency: "unbounded", discard: true })
        const error = yield* Effect.flip(
          producer.send(Message.make({ topic, body: "nobody is there" }), { timeoutMillis: 5_000 })
        )
        assert.isTrue(error.retryable)
        assert.isAtMost(yield* millisOf(producer.shutdown), SHUTDOWN_MILLIS)
        assert.strictEqual(yield* producer.serviceState, "SHUTDOWN_ALREADY")
        assert.strictEqual(yield* manager.size, 0)
      }),
    TEST_TIMEOUT
  )
})

/**
 * 3,000 sends at once to a broker that has served nobody yet. `waitTimeMillsInSendQueue` is how long a send may wait in
 * the broker before it is answered "broker busy": 200 ms by default; with a few milliseconds it is sure to happen.
 */
const coldBroker = (waitMillis: number, leastBusy: number) => {
  const cluster = services({
    brokerProperties: { waitTimeMillsInSendQueue: String(waitMillis), osPageCacheBusyTimeOutMills: "1000" }
  })
  const name = `RocketMQ 5.5.0, a cold broker that answers busy after ${waitMillis} ms`
  layer(cluster, { excludeTestServices: true, timeout: "10 minutes" })(name, (test) => {
    test.effect(
      "B4: 3,000 pipelined first sends: every one is acknowledged and stored once",
      (context) =>
        Effect.gen(function* () {
          let busy = 0
          const producer = yield* startProducer({
            remoting: {
              rpcHook: {
                doAfterResponse: (_, request, response) => {
                  const isBusy = response.code === ResponseCode.SYSTEM_BUSY
                  if (request.code === RequestCode.SEND_MESSAGE_V2 && isBusy) busy++
                }
              }
            }
          })
          const topic = uniqueName("cold-broker")
          const ledger = makeLedger()
          yield* Effect.forEach(
            Array.from({ length: 3_000 }, (_, n) => Message.make({ topic, body: `${n}`.padEnd(1_024, ".") })),
            (message) => ledger.record(message, producer.send(message)),
            { concurrency: "unbounded", discard: true }
          )
          assert.deepStrictEqual(
            ledger.failed.map((error) => error.message),
            []
          )
          assert.strictEqual(ledger.acknowledged.length, 3_000)
          yield* annotate(context, `${busy} busy answers`)
          assert.isAtLeast(busy, leastBusy, "the broker must have been busy for this test to say anything")
          const retries = ledger.acknowledged.reduce((n, { result }) => n + result.attempts - 1, 0)
          assert.strictEqual(retries, busy, "every busy answer was retried, and nothing else was")
          const { duplicated, stored } = audit(ledger, yield* readTopic(topic, 1, 3_000))
          assert.strictEqual(stored, 3_000)
          assert.strictEqual(duplicated, 0)
        }),
      TEST_TIMEOUT
    )
  })
}

coldBroker(200, 0)
coldBroker(5, 1)
