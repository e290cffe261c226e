/** Start: what each readiness waits for, what a failed start leaves, and who may start again. */
import { assert } from "@effect/vitest"
import { Effect, Scope } from "effect"
import type { HeartbeatState } from "../../src/client/Heartbeat.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as Message from "../../src/message/Message.ts"
import { Observer } from "./Observer.ts"
import {
  assertTopicHolds,
  createTopic,
  eventuallyThat,
  makeProducer,
  type Methods,
  startProducer,
  uniqueName,
  withManager
} from "./support.ts"
import { Target } from "./Target.ts"

/** Nobody listens there, on either wire. */
const DEAD_ADDRESS = "127.0.0.1:1"

/** The steps of docs/startup.md in the order in which they end, of a first start on an instance of its own. */
const STEPS = ["2.1", "2.2", "2.3", "2.3.2", "2.4", "2.5", "2.6"]

export const tests = (test: Methods): void => {
  test.effect("N1: lazy: starts without any server, and the first send says what is missing", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer({ namesrvAddr: DEAD_ADDRESS, readiness: "lazy" })
      assert.strictEqual(yield* producer.serviceState, "RUNNING")
      const error = yield* Effect.flip(producer.send(Message.make({ topic: "any", body: "x" })))
      assert.strictEqual(error.outcome, "not-sent")
      assert.strictEqual(error.reason._tag, "RouteUnavailable")
      assert.propertyVal(error.reason, "problem", "name-server-refused")
    }).pipe(withManager)
  )

  test.effect("nameServer: a name server has answered", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* Target
      const producer = yield* startProducer({ readiness: "nameServer" })
      const state = yield* producer.state
      assert.strictEqual(state.serviceState, "RUNNING")
      assert.deepStrictEqual(
        state.steps.filter((step) => step.id !== "2.7").map((step) => [step.id, step.outcome]),
        STEPS.map((id) => [id, "done"])
      )
      // Timer 2 may have found brokers by now, so that there may be more.
      assert.deepInclude(state.instance?.sockets.map((socket) => [socket.address, socket.state]) ?? [], [
        namesrvAddr,
        "open"
      ])
    }).pipe(withManager)
  )

  test.effect("N1, N4: nameServer: fails where none answers, and goes to the next where one does", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* Target
      const manager = yield* MQClientManager
      const failing = yield* makeProducer({ namesrvAddr: DEAD_ADDRESS })
      const error = yield* Effect.flip(failing.start)
      assert.strictEqual(error.step, "2.5")
      assert.strictEqual(error.reason._tag, "NameServerUnavailable")
      assert.isTrue(error.retryable)
      assert.strictEqual(yield* failing.serviceState, "START_FAILED")
      assert.strictEqual(yield* manager.size, 0)

      const producer = yield* startProducer({ namesrvAddr: `${DEAD_ADDRESS};${namesrvAddr}` })
      assert.strictEqual((yield* producer.state).instance?.nameServers.chosen, namesrvAddr)
    }).pipe(withManager)
  )

  test.effect("routes: the routes of the given topics are known, that of an unknown one is borrowed", () =>
    Effect.gen(function* () {
      const { brokers } = yield* Target
      const topic = yield* createTopic("ready", { queues: 3 })
      const absent = uniqueName("ready-absent")
      const producer = yield* startProducer({ readiness: "routes", topics: [topic, absent] })
      const { instance } = yield* producer.state
      // The order of the brokers is the name server's.
      const routes = (instance?.routes ?? []).map((route) => ({ ...route, brokers: route.brokers.toSorted() }))
      const names = brokers.map((broker) => broker.name)
      assert.deepInclude(routes, {
        topic,
        borrowed: false,
        brokers: names,
        writeQueues: 6,
        readQueues: 6,
        warnings: []
      })
      assert.deepInclude(routes, {
        topic: absent,
        borrowed: true,
        brokers: names,
        writeQueues: 8,
        readQueues: 8,
        warnings: []
      })
    }).pipe(withManager)
  )

  test.effect("routes: a topic that is absent and may not be borrowed fails the start and leaves nothing", () =>
    Effect.gen(function* () {
      const manager = yield* MQClientManager
      const topic = uniqueName("absent")
      const producer = yield* makeProducer({ readiness: "routes", topics: [topic], borrowRoute: false })
      const error = yield* Effect.flip(producer.start)
      assert.strictEqual(error.step, "2.5")
      assert.strictEqual(error.reason._tag, "RouteUnavailable")
      assert.propertyVal(error.reason, "problem", "topic-absent")
      assert.isFalse(error.retryable)
      assert.strictEqual(yield* producer.serviceState, "START_FAILED")
      assert.strictEqual(yield* manager.size, 0)
      assert.strictEqual((yield* producer.state).instance, undefined)
      const refused = yield* Effect.flip(producer.send(Message.make({ topic, body: "x" })))
      assert.strictEqual(refused.reason._tag, "IllegalServiceState")
      assert.strictEqual(refused.outcome, "not-sent")
    }).pipe(withManager)
  )

  test.effect("registered: every master knows the client before anything is sent", () =>
    Effect.gen(function* () {
      const { brokers, facts } = yield* Target
      const observer = yield* Observer
      const topic = yield* createTopic("registered")
      const producer = yield* startProducer({ readiness: "registered", topics: [topic] })
      const { instance } = yield* producer.state
      assert.isDefined(instance)
      const { brokers: beats, clientId } = instance
      for (const broker of brokers) {
        const connections = yield* observer.producers(broker.address, producer.producerGroup)
        assert.deepStrictEqual(
          connections.map((c) => [c.clientId, c.language, c.version]),
          [[clientId, "OTHER", 513]]
        )
        const beat: HeartbeatState | undefined = beats.find((b) => b.brokerName === broker.name)
        assert.isDefined(beat)
        assert.isDefined(beat.lastSuccess)
        assert.strictEqual(beat.address, broker.address)
        assert.strictEqual(beat.version, facts.brokerVersion)
        assert.strictEqual(beat.failures, 0)
      }
    }).pipe(withManager)
  )

  test.effect("L8: a group that is taken is refused, disturbs nobody, and is free again after the shutdown", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("duplicate")
      const options = { producerGroup: uniqueName("taken"), instanceName: uniqueName("shared") }
      // Keeps the shared instance, so that the group is freed by the first producer's shutdown and not with the instance.
      yield* startProducer({ instanceName: options.instanceName })
      const first = yield* startProducer(options)
      const second = yield* makeProducer(options)
      const error = yield* Effect.flip(second.start)
      assert.strictEqual(error.step, "2.3.2")
      assert.strictEqual(error.reason._tag, "DuplicateProducerGroup")
      assert.strictEqual(yield* second.serviceState, "CREATE_JUST")

      const message = Message.make({ topic, body: "from the first" })
      const sent = [{ message, result: yield* first.send(message) }]
      yield* first.shutdown
      yield* second.start
      const later = Message.make({ topic, body: "from the second" })
      sent.push({ message: later, result: yield* second.send(later) })
      yield* assertTopicHolds(topic, sent)
    }).pipe(withManager)
  )

  test.effect("L2, L5: a second start is refused and a shut down producer stays so", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("twice")
      const producer = yield* startProducer()
      const again = yield* Effect.flip(producer.start)
      assert.strictEqual(again.reason._tag, "IllegalServiceState")
      assert.strictEqual(yield* producer.serviceState, "RUNNING")
      yield* producer.send(Message.make({ topic, body: "unharmed" }))
      yield* producer.shutdown
      assert.strictEqual(yield* producer.serviceState, "SHUTDOWN_ALREADY")
      assert.strictEqual((yield* Effect.flip(producer.start)).reason._tag, "IllegalServiceState")
    }).pipe(withManager)
  )

  test.effect("L5: the same identity can be started again and again", () =>
    Effect.gen(function* () {
      const { brokers } = yield* Target
      const observer = yield* Observer
      const topic = yield* createTopic("identity")
      const options = {
        producerGroup: uniqueName("identity"),
        instanceName: uniqueName("identity"),
        clientIP: "127.0.0.1",
        readiness: "registered",
        topics: [topic]
      } as const
      const sent = []
      for (let round = 0; round < 3; round++) {
        const scope = yield* Scope.make()
        const producer = yield* startProducer(options).pipe(Scope.provide(scope))
        for (const broker of brokers) {
          const connections = yield* observer.producers(broker.address, options.producerGroup)
          assert.deepStrictEqual(
            connections.map((connection) => connection.clientId),
            [`127.0.0.1@${options.instanceName}`]
          )
        }
        const message = Message.make({ topic, body: `round ${round}` })
        sent.push({ message, result: yield* producer.send(message) })
        yield* producer.shutdown
        for (const broker of brokers) {
          yield* eventuallyThat(observer.producers(broker.address, options.producerGroup), (left) =>
            assert.deepStrictEqual(left, [])
          )
        }
      }
      yield* assertTopicHolds(topic, sent)
    }).pipe(withManager)
  )
}
