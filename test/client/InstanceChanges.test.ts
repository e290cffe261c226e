import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { InstanceState } from "../../src/client/InstanceState.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { check } from "../../src/client/ClientConfig.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { consumer, producer } from "../support/members.ts"
import { onMemory, ownScope, settle } from "../support/rig.ts"

/** An instance of the cluster in the context, at a time when no timer is due for the next five seconds. */
const instance = Effect.gen(function* () {
  const { namesrvAddr } = yield* EmbeddedCluster
  const manager = yield* MQClientManager
  const client = yield* manager.getOrCreateMQClientInstance(yield* check({ namesrvAddr }))
  yield* TestClock.adjust(2_000)
  return client
})

/** Watches a stream of states: what is written down of each, and for how long each is worked on. */
const watch = <A>(changes: Stream.Stream<InstanceState>, view: (state: InstanceState) => A, workMillis = 0) =>
  Effect.gen(function* () {
    const seen: Array<A> = []
    const fiber = yield* Stream.runForEach(changes, (state) =>
      Effect.andThen(
        Effect.sync(() => void seen.push(view(state))),
        workMillis === 0 ? Effect.void : Effect.sleep(workMillis)
      )
    ).pipe(Effect.forkChild({ startImmediately: true }))
    yield* settle
    return { seen, fiber }
  })

describe("MQClientInstance.changes", () => {
  it.effect("loses nothing that changes while its first element is worked on", () =>
    Effect.gen(function* () {
      const client = yield* instance
      const { seen } = yield* watch(client.changes, (state) => state.producerGroups.length, 100)
      yield* client.registerProducer(producer("pg"))
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(seen, [1, 2])
    }).pipe(Effect.scoped, onMemory())
  )

  it.effect("tells of groups, routes, connections and heartbeats at once, and not with the next timer", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      yield* cluster.createTopic("orders")
      const client = yield* instance
      const { seen } = yield* watch(client.changes, (state) => state)
      const last = () => seen.at(-1)
      const group = yield* ownScope(client.registerConsumer(consumer()))
      yield* settle
      assert.deepStrictEqual(last()?.consumerGroups, ["cg"])
      yield* client.routes.updateTopicRouteInfoFromNameServer("orders", undefined)
      yield* settle
      assert.deepStrictEqual(
        last()?.routes.map(({ topic }) => topic),
        ["orders"]
      )
      yield* client.heartbeat.sendHeartbeatToAllBroker
      yield* settle
      assert.deepStrictEqual(
        [last()?.sockets.map(({ state }) => state), last()?.brokers.map(({ lastSuccess }) => lastSuccess)],
        [["open", "open"], [2_000]]
      )
      yield* group.close
      yield* settle
      assert.deepStrictEqual(last()?.consumerGroups, [])
    }).pipe(Effect.scoped, onMemory())
  )

  it.effect("ends with the shutdown, which is the last that it tells, also to who comes later", () =>
    Effect.gen(function* () {
      const { close, value: client } = yield* ownScope(instance)
      const { fiber, seen } = yield* watch(client.changes, ({ phase, producerGroups }) => [
        phase,
        producerGroups.length
      ])
      const slow = yield* watch(client.changes, ({ phase }) => phase, 60_000)
      yield* close
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(
        [seen[0], seen.at(-1)],
        [
          ["RUNNING", 1],
          ["SHUTDOWN_ALREADY", 0]
        ]
      )
      const late = yield* Stream.runCollect(client.changes)
      assert.deepStrictEqual(
        late.map(({ phase }) => phase),
        ["SHUTDOWN_ALREADY"]
      )
      yield* TestClock.adjust(120_000)
      yield* Fiber.join(slow.fiber)
      assert.deepStrictEqual(slow.seen, ["RUNNING", "SHUTDOWN_ALREADY"])
    }).pipe(onMemory())
  )
})
