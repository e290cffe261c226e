import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import * as Message from "../../src/message/Message.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"

/**
 * Real brokers handle heartbeats and farewells in different threads, so a heartbeat that is still unanswered at a
 * shutdown can bring the client back for two minutes. Seldom enough there; here a heartbeat is slow by design.
 */
const shutdownWhileHeartbeatTakes = Effect.fnUntraced(function* (heartbeatMillis: number) {
  const cluster = yield* EmbeddedCluster
  yield* cluster.faults.add({
    match: { code: RequestCode.HEART_BEAT },
    actions: [FaultScript.delay(heartbeatMillis)]
  })
  const producer = yield* DefaultMQProducer.make({ producerGroup: "leaving", namesrvAddr: cluster.namesrvAddr })
  const using = yield* Effect.gen(function* () {
    yield* producer.start
    yield* producer.send(Message.make({ topic: "t", body: "x" }))
    const [duration] = yield* Effect.timed(producer.shutdown)
    return duration
  }).pipe(Effect.forkChild)
  yield* TestClock.adjust("5 seconds")
  const shutdown = yield* Fiber.join(using)
  const beats = yield* cluster.traffic.ofCode(RequestCode.HEART_BEAT)
  const farewells = yield* cluster.traffic.ofCode(RequestCode.UNREGISTER_CLIENT)
  return { beats, farewells, clients: yield* cluster.clients, shutdown }
})

const services = MQClientManager.layer.pipe(Layer.provideMerge(EmbeddedCluster.layerMemory()))

describe("the farewell of a shutdown", () => {
  it.effect("comes after the answers to the heartbeats under way", () =>
    Effect.gen(function* () {
      const { beats, clients, farewells } = yield* shutdownWhileHeartbeatTakes(200)
      assert.isAbove(beats.length, 0)
      const lastAnswer = Math.max(...beats.map((beat) => beat.answer?.time ?? Infinity))
      assert.strictEqual(farewells.length, 2, "of the producer's group and of the inner producer")
      for (const farewell of farewells) assert.isAtLeast(farewell.time, lastAnswer)
      assert.deepStrictEqual(clients, [])
    }).pipe(Effect.provide(services))
  )

  it.effect("does not wait longer than it may", () =>
    Effect.gen(function* () {
      const { farewells, shutdown } = yield* shutdownWhileHeartbeatTakes(60_000)
      assert.strictEqual(farewells.length, 2)
      assert.isAtMost(Duration.toMillis(shutdown), 1_000)
    }).pipe(Effect.provide(services))
  )
})
