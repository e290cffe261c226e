import { assert } from "@effect/vitest"
import { Clock, Effect, Fiber, type Scope } from "effect"
import type { MQClientManager } from "../../src/client/MQClientManager.ts"
import type { DefaultMQProducerShape } from "../../src/producer/DefaultMQProducer.ts"
import type { ProducerOptions } from "../../src/producer/ProducerConfig.ts"
import { EmbeddedCluster, type EmbeddedClusterOptions } from "../../src/testing/index.ts"
import type { MemoryNetwork } from "../../src/transport/MemoryWire.ts"
import type { Wire, WireErrorKind } from "../../src/transport/Wire.ts"
import { onFailingDials } from "../support/failingDials.ts"
import {
  advance,
  countFibers,
  held,
  nothing,
  ownScope,
  settle,
  startProducer,
  text,
  timed,
  valueOf
} from "../support/rig.ts"

/** What a row is tried on. */
export interface RowOptions {
  /** The brokers of topic `orders`; default one, `broker-a`. */
  readonly brokers?: ReadonlyArray<string>
  readonly cluster?: EmbeddedClusterOptions
  /** Options of the client instance, which the producer and its bystander share. */
  readonly client?: Partial<ProducerOptions>
  /** Options of the producer alone. */
  readonly producer?: Partial<ProducerOptions>
  /** The dials that fail, and with what. */
  readonly fails?: (address: string) => WireErrorKind | undefined
}

/** The requirements of a row's test. */
export type RowServices = EmbeddedCluster | MemoryNetwork | MQClientManager | Wire | Scope.Scope

const BYSTANDER_PERIOD_MILLIS = 100

/** A producer that has nothing to do with the fault, and notes what it noticed of it all the same. */
const bystanding = Effect.fnUntraced(function* (bystander: DefaultMQProducerShape) {
  const clock = yield* Clock.Clock
  const noticed: Array<string> = []
  let sent = 0
  const send = Effect.suspend(() => {
    const begin = clock.currentTimeMillisUnsafe()
    return Effect.matchEffect(bystander.send(text("calm")), {
      onFailure: (error) => Effect.sync(() => void noticed.push(error.message)),
      onSuccess: ({ attempts }) =>
        Effect.sync(() => {
          sent++
          const millis = clock.currentTimeMillisUnsafe() - begin
          if (attempts > 1 || millis > 0) noticed.push(`${attempts} attempts, ${millis} ms`)
        })
    })
  })
  const fiber = yield* Effect.forkScoped(Effect.forever(Effect.andThen(send, Effect.sleep(BYSTANDER_PERIOD_MILLIS))))
  return Effect.gen(function* () {
    yield* Fiber.interrupt(fiber)
    assert.deepStrictEqual(noticed, [], "others notice nothing")
    assert.isAbove(sent, 0)
  })
})

/**
 * Runs a row's test on brokers in memory, and checks what all rows have in common besides: another producer of the same
 * client instance, whose topic lies on another broker, notices nothing; and when both have closed, no connection, group,
 * instance or fiber of theirs is left.
 */
export const row = <E>(
  given: RowOptions,
  body: (producer: DefaultMQProducerShape) => Effect.Effect<unknown, E, RowServices>
) =>
  Effect.gen(function* () {
    const fibers = countFibers()
    yield* Effect.gen(function* () {
      const { brokers, createTopic, faults } = yield* EmbeddedCluster
      for (const broker of given.brokers ?? ["broker-a"]) yield* createTopic("orders", { broker })
      yield* createTopic("calm", { broker: "calm" })
      yield* settle
      const before = fibers.live()
      const shared = { instanceName: "shared", readiness: "registered", ...given.client } as const
      const clients = yield* ownScope(
        Effect.gen(function* () {
          const bystander = yield* startProducer({ ...shared, producerGroup: "bystander", topics: ["calm"] })
          const producer = yield* startProducer({ ...shared, topics: ["orders"], ...given.producer })
          yield* settle
          const check = yield* bystanding(bystander)
          // A test that fails must not leave the end of its clients to a clock that stands still.
          return yield* Effect.exit(Effect.andThen(body(producer), check))
        })
      )
      yield* faults.clear
      const { exit, millis } = yield* timed(clients.close)
      yield* clients.value
      valueOf(exit)
      assert.isAtMost(millis, 4_000, "the clients' end is bounded")
      yield* advance(10_000, 1_000)
      assert.deepStrictEqual(yield* held, nothing)
      // A server that was started again belongs to the test.
      yield* Effect.forEach(brokers, (broker) => broker.stop())
      yield* settle
      assert.isAtMost(fibers.live(), before, "no fiber is left")
    }).pipe(Effect.forkChild({ startImmediately: true }), Effect.flatMap(Fiber.join), fibers.provide)
  }).pipe(
    onFailingDials(given.fails ?? (() => undefined), {
      listen: { namesrvPort: 9876, brokerPort: 10_911 },
      ...given.cluster,
      brokers: [...(given.brokers ?? ["broker-a"]), "calm"].map((name) => ({ name }))
    })
  )
