/** Membership: what brokers know of a producer while it runs, what several share, and that nothing is left afterwards. */
import { assert } from "@effect/vitest"
import { Effect, Fiber, Scope } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as Message from "../../src/message/Message.ts"
import { CLIENT_INNER_PRODUCER_GROUP } from "../../src/message/MixAll.ts"
import { Observer } from "./Observer.ts"
import {
  assertTopicHolds,
  createTopic,
  eventuallyThat,
  type Methods,
  startProducer,
  uniqueName,
  withManager
} from "./support.ts"
import { Target } from "./Target.ts"

/** The ids of the clients that each broker knows under a group. */
const clientIds = Effect.fnUntraced(function* (group: string) {
  const { brokers } = yield* Target
  const observer = yield* Observer
  return yield* Effect.forEach(brokers, (broker) =>
    Effect.map(observer.producers(broker.address, group), (connections) =>
      connections.map((c) => c.clientId).toSorted()
    )
  )
})

/** Connections of the target's wire, once the observer has all of its own. */
const openConnections = Effect.fnUntraced(function* () {
  const target = yield* Target
  const observer = yield* Observer
  yield* observer.route("TBW102")
  yield* clientIds("anybody")
  return yield* target.openConnections
})

export const tests = (test: Methods): void => {
  test.effect("the first send makes the client known to the broker, and heartbeats keep it so", () =>
    Effect.gen(function* () {
      const { brokers } = yield* Target
      const topic = yield* createTopic("heartbeat")
      const producer = yield* startProducer({ heartbeatBrokerInterval: 200 })
      for (const queue of yield* producer.fetchPublishMessageQueues(topic)) {
        yield* producer.send(Message.make({ topic, body: "x" }), { queue })
      }
      const { instance } = yield* producer.state
      assert.isDefined(instance)
      // The heartbeat is the first frame of a connection, so whoever has stored a message knows its sender.
      assert.deepStrictEqual(yield* clientIds(producer.producerGroup), [[instance.clientId], [instance.clientId]])
      for (const ids of yield* clientIds(CLIENT_INNER_PRODUCER_GROUP)) assert.include(ids, instance.clientId)
      const first = instance.brokers.map((broker) => broker.lastSuccess ?? 0)
      assert.strictEqual(first.length, brokers.length)
      yield* eventuallyThat(producer.state, (state) => {
        const beats = state.instance?.brokers ?? []
        assert.isTrue(beats.every((beat, index) => (beat.lastSuccess ?? 0) > (first[index] ?? Infinity)))
        assert.isTrue(beats.every((beat) => beat.failures === 0))
      })
      const timers = (yield* producer.state).instance?.timers ?? []
      assert.deepStrictEqual(
        timers.map((timer) => [timer.number, timer.failures]),
        [1, 2, 3, 4, 5].map((number) => [number, 0])
      )
    }).pipe(withManager)
  )

  test.effect("a shutdown takes the client from the brokers' lists", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("unregister")
      const producer = yield* startProducer({ readiness: "registered", topics: [topic] })
      assert.deepStrictEqual(
        (yield* clientIds(producer.producerGroup)).map((ids) => ids.length),
        [1, 1]
      )
      yield* producer.shutdown
      yield* eventuallyThat(clientIds(producer.producerGroup), (left) => assert.deepStrictEqual(left, [[], []]))
    }).pipe(withManager)
  )

  test.effect("L9: producers of one key share an instance; one that ends leaves the others alone", () =>
    Effect.gen(function* () {
      const { brokers, namesrvAddr } = yield* Target
      const manager = yield* MQClientManager
      const topic = yield* createTopic("shared")
      const before = yield* openConnections()
      const options = { instanceName: uniqueName("shared"), readiness: "registered", topics: [topic] } as const
      const producers = yield* Effect.forEach([1, 2, 3], () => startProducer(options), { concurrency: "unbounded" })
      assert.strictEqual(yield* manager.size, 1)
      const states = yield* Effect.forEach(producers, (producer) => producer.state)
      const ids = new Set(states.map((state) => state.instance?.clientId))
      assert.strictEqual(ids.size, 1)
      const [clientId] = ids
      assert.sameDeepMembers(
        states[0]?.instance?.sockets.map((socket) => [socket.address, socket.connects]) ?? [],
        [namesrvAddr, ...brokers.map((broker) => broker.address)].map((address) => [address, 1])
      )
      for (const producer of producers) {
        assert.deepStrictEqual(yield* clientIds(producer.producerGroup), [[clientId], [clientId]])
      }
      const sent = []
      for (const [index, producer] of producers.entries()) {
        const message = Message.make({ topic, body: `of producer ${index}` })
        sent.push({ message, result: yield* producer.send(message) })
      }
      const [ending, ...staying] = producers
      yield* ending?.shutdown ?? Effect.void
      assert.strictEqual(yield* manager.size, 1)
      yield* eventuallyThat(clientIds(ending?.producerGroup ?? ""), (left) => assert.deepStrictEqual(left, [[], []]))
      for (const producer of staying) {
        const message = Message.make({ topic, body: "still here" })
        sent.push({ message, result: yield* producer.send(message) })
        assert.deepStrictEqual(yield* clientIds(producer.producerGroup), [[clientId], [clientId]])
      }
      const { instance } = yield* staying[0]?.state ?? Effect.die("no producer")
      assert.isTrue(instance?.sockets.every((socket) => socket.connects === 1))
      yield* Effect.forEach(staying, (producer) => producer.shutdown, { concurrency: "unbounded" })
      assert.strictEqual(yield* manager.size, 0)
      yield* eventuallyThat(openConnections(), (after) => assert.strictEqual(after, before))
      yield* assertTopicHolds(topic, sent)
    }).pipe(withManager)
  )

  test.effect("producers of different instance names are clients of their own, also in one group", () =>
    Effect.gen(function* () {
      const manager = yield* MQClientManager
      const topic = yield* createTopic("apart")
      const group = uniqueName("apart")
      const producers = yield* Effect.forEach(["one", "two"], (name) =>
        startProducer({
          producerGroup: group,
          instanceName: uniqueName(name),
          readiness: "registered",
          topics: [topic]
        })
      )
      assert.strictEqual(yield* manager.size, 2)
      const ids = yield* Effect.forEach(producers, (producer) =>
        Effect.map(producer.state, (state) => state.instance?.clientId ?? "")
      )
      assert.strictEqual(new Set(ids).size, 2)
      assert.deepStrictEqual(yield* clientIds(group), [ids.toSorted(), ids.toSorted()])
    }).pipe(withManager)
  )

  test.effect("L1: a shutdown waits for the sends under way, refuses new ones, and frees every connection", () =>
    Effect.gen(function* () {
      const manager = yield* MQClientManager
      const topic = yield* createTopic("drain")
      const before = yield* openConnections()
      const scope = yield* Scope.make()
      const producer = yield* startProducer({ drainTimeoutMillis: 60_000 }).pipe(Scope.provide(scope))
      const messages = Array.from({ length: 300 }, (_, n) => Message.make({ topic, body: `${n}` }))
      const sending = yield* Effect.forEach(
        messages,
        (message) => Effect.map(producer.send(message), (result) => ({ message, result })),
        { concurrency: "unbounded" }
      ).pipe(Effect.forkChild({ startImmediately: true }))
      yield* eventuallyThat(producer.state, ({ counters }) => assert.isAbove(counters.sends, 0, "the sends have begun"))
      yield* producer.shutdown
      yield* assertTopicHolds(topic, yield* Fiber.join(sending))

      const refused = yield* Effect.flip(producer.send(Message.make({ topic, body: "too late" })))
      assert.strictEqual(refused.reason._tag, "IllegalServiceState")
      assert.strictEqual(refused.outcome, "not-sent")
      assert.strictEqual(yield* producer.serviceState, "SHUTDOWN_ALREADY")
      const state = yield* producer.state
      assert.isUndefined(state.instance)
      assert.strictEqual(state.inFlight, 0)
      assert.deepStrictEqual(state.topics, [])
      assert.strictEqual(yield* manager.size, 0)
      yield* eventuallyThat(openConnections(), (after) => assert.strictEqual(after, before))
    }).pipe(withManager)
  )

  test.effect("L12: ten starts and shutdowns leave no connection and no member", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("again")
      const group = uniqueName("again")
      const before = yield* openConnections()
      for (let round = 0; round < 10; round++) {
        const producer = yield* startProducer({ producerGroup: group, readiness: "registered", topics: [topic] })
        yield* producer.send(Message.make({ topic, body: "x" }))
        yield* producer.shutdown
      }
      yield* eventuallyThat(openConnections(), (after) => assert.strictEqual(after, before))
      yield* eventuallyThat(clientIds(group), (left) => assert.deepStrictEqual(left, [[], []]))
    }).pipe(withManager)
  )
}
