import { Clock, Effect, Exit, Fiber, Layer, Metric, Scope } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster, type EmbeddedClusterOptions } from "../../src/testing/index.ts"
import * as Message from "../../src/message/Message.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { DefaultMQProducer, type DefaultMQProducerShape } from "../../src/producer/DefaultMQProducer.ts"
import type { ProducerOptions } from "../../src/producer/ProducerConfig.ts"
import { MemoryNetwork } from "../../src/transport/MemoryWire.ts"

/** A cluster in memory and the client instances that talk to it. */
export const memory = (options: EmbeddedClusterOptions = {}) =>
  MQClientManager.layer.pipe(Layer.provideMerge(EmbeddedCluster.layerMemory({ seed: 1, ...options })))

/** Runs a test on a cluster in memory. */
export const onMemory = (options?: EmbeddedClusterOptions) => Effect.provide(memory(options))

/** Runs a test on a cluster on real sockets. */
export const onTcp = (options: EmbeddedClusterOptions = {}) =>
  Effect.provide(MQClientManager.layer.pipe(Layer.provideMerge(EmbeddedCluster.layerTcp({ seed: 1, ...options }))))

/** Lets everything run that can run without time going on. */
export const settle: Effect.Effect<void> = Effect.repeat(Effect.yieldNow, { times: 30 })

/** Enough between two small steps of time. */
const breathe: Effect.Effect<void> = Effect.repeat(Effect.yieldNow, { times: 4 })

/** Lets time go on in steps, everything that a step sets off included. */
export const advance = (millis: number, stepMillis = 100): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let left = millis; left > 0; left -= stepMillis) {
      yield* settle
      yield* TestClock.adjust(Math.min(stepMillis, left))
    }
    yield* settle
  })

/** Waits, without time going on, until something is the case. */
export const until = (what: string, condition: Effect.Effect<boolean>): Effect.Effect<void> =>
  Effect.gen(function* () {
    let turns = 0
    while (!(yield* condition)) {
      if (turns++ > 2_000) yield* Effect.die(new Error(`it never happened: ${what}`))
      yield* Effect.yieldNow
    }
  })

/** What an effect came to, and how much virtual time it took. */
export interface Timed<A, E> {
  readonly exit: Exit.Exit<A, E>
  readonly millis: number
}

/** Runs an effect while time goes on in small steps; fails the test when it takes more than `limitMillis`. */
export const timed = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  limitMillis = 60_000,
  stepMillis = 5
): Effect.Effect<Timed<A, E>, never, R> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const begin = clock.currentTimeMillisUnsafe()
    const fiber = yield* Effect.exit(effect).pipe(
      Effect.map((exit): Timed<A, E> => ({ exit, millis: clock.currentTimeMillisUnsafe() - begin })),
      Effect.forkChild({ startImmediately: true })
    )
    yield* settle
    for (let spent = 0; fiber.pollUnsafe() === undefined; spent += stepMillis) {
      if (spent > limitMillis) return yield* Effect.die(new Error(`still running after ${limitMillis} ms`))
      yield* TestClock.adjust(stepMillis)
      yield* breathe
    }
    return yield* Fiber.join(fiber)
  })

/** The failure of an exit; fails the test when there is none. */
export const failureOf = <A, E>(exit: Exit.Exit<A, E>): E => {
  if (Exit.isSuccess(exit)) throw new Error(`expected a failure, got ${JSON.stringify(exit.value)}`)
  const reason = exit.cause.reasons.find((r) => r._tag === "Fail")
  if (reason === undefined) throw new Error(`expected a failure, got ${String(exit.cause)}`)
  return reason.error
}

/** The value of an exit; fails the test when there is none. */
export const valueOf = <A, E>(exit: Exit.Exit<A, E>): A => {
  if (Exit.isFailure(exit)) throw new Error(`expected a success, got ${String(exit.cause)}`)
  return exit.value
}

/** Options of a producer of the cluster in the context. */
export const options = (given: Partial<ProducerOptions> = {}) =>
  Effect.map(EmbeddedCluster, (cluster): ProducerOptions => ({
    producerGroup: "pg",
    namesrvAddr: cluster.namesrvAddr,
    ...given
  }))

/** A producer that was not started. */
export const makeProducer = (given: Partial<ProducerOptions> = {}) =>
  Effect.flatMap(options(given), DefaultMQProducer.make)

/** A started producer, which is shut down with the scope. */
export const startProducer = (given: Partial<ProducerOptions> = {}) =>
  Effect.gen(function* () {
    const producer = yield* makeProducer(given)
    yield* producer.start
    yield* Effect.addFinalizer(() => producer.shutdown)
    return producer
  })

export const text = (topic: string, body = "hello") => Message.make({ topic, body })

/** How many connections there are on the network in memory. */
export const connections = Effect.flatMap(MemoryNetwork, (network) => network.connections())

/** The groups that the cluster's brokers know, each with its client. */
export const knownGroups = Effect.gen(function* () {
  const cluster = yield* EmbeddedCluster
  return (yield* cluster.clients).map((client) => client.group).toSorted()
})

/** What is held at this moment, as text that two moments can be compared by. */
export const held = Effect.gen(function* () {
  const manager = yield* MQClientManager
  return {
    connections: yield* connections,
    groups: yield* knownGroups,
    instances: yield* manager.size
  }
})

/** Nothing held. */
export const nothing = { connections: 0, groups: [] as ReadonlyArray<string>, instances: 0 }

/** Counts the fibers that an effect leaves running: `live` is their number at any moment. */
export const countFibers = () => {
  let live = 0
  const service: Metric.FiberRuntimeMetricsService = {
    recordFiberStart: () => {
      live++
    },
    recordFiberEnd: () => {
      live--
    }
  }
  return { live: () => live, provide: Effect.provideService(Metric.FiberRuntimeMetrics, service) }
}

/** Whether a send of the producer is acknowledged. */
export const canSend = (producer: DefaultMQProducerShape, topic = "orders") =>
  Effect.map(Effect.exit(producer.send(text(topic))), Exit.isSuccess)

/** A list in an order that does not depend on where it comes from. */
export const sorted = <A>(values: Iterable<A>): ReadonlyArray<A> =>
  [...values].toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))

/** A scope that the test closes itself. */
export const ownScope = <A, E, R>(effect: Effect.Effect<A, E, R | Scope.Scope>) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const value = yield* Scope.provide(effect, scope)
    return { value, close: Scope.close(scope, Exit.void) }
  })

/**
 * How often a property is tried, and from which seed: the same one every time, unless TEST_SEED says otherwise. A
 * property that fails prints how to replay it.
 */
export const runs = (count: number) => ({
  timeout: 120_000,
  arbitrary: { runs: count, seed: process.env["TEST_SEED"] ?? "effect-rocketmq" }
})
