import { assert } from "@effect/vitest"
import { Clock, Effect, Fiber, Layer, Logger, Metric, References, Scope } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import type { DefaultMQProducerShape } from "../../src/producer/DefaultMQProducer.ts"
import { EmbeddedCluster, type EmbeddedClusterOptions } from "../../src/testing/index.ts"
import * as MemoryWire from "../../src/transport/MemoryWire.ts"
import { Wire } from "../../src/transport/Wire.ts"
import { connections, countFibers, held, nothing, settle, text, timed, valueOf } from "../support/rig.ts"

/** Keeps what is logged. */
export const watchLog = () => {
  const lines: Array<{ readonly level: string; readonly line: string; readonly error: unknown }> = []
  const logger = Logger.make(({ fiber, logLevel, message }) => {
    const line = Array.isArray(message) ? message.map(String).join(" ") : String(message)
    lines.push({ level: logLevel, line, error: fiber.getRef(References.CurrentLogAnnotations)["error"] })
  })
  return {
    /** The lines of a level that have these words. */
    of: (level: "Debug" | "Info" | "Warn", words: RegExp) =>
      lines.flatMap((one) => (one.level === level && words.test(one.line) ? [one.line] : [])),
    /** The names of the errors that the lines with these words are about. */
    errors: (words: RegExp) =>
      lines.flatMap(({ error, line }) => (words.test(line) && error !== undefined ? [error] : [])),
    provide: Effect.provide(Layer.merge(Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, "All")))
  }
}

/** One dial: when it began, and whether it succeeded. */
export interface Dial {
  readonly address: string
  readonly at: number
  end: "under way" | "open" | "failed"
}

/** Keeps every dial, and the highest number of dials to one address that were under way at the same time. */
export const watchDials = () => {
  const dials: Array<Dial> = []
  let most = 0
  const layer = Layer.effect(
    Wire,
    Effect.gen(function* () {
      const wire = yield* Wire
      const clock = yield* Clock.Clock
      return {
        ...wire,
        connect: (address, options) =>
          Effect.suspend(() => {
            const dial: Dial = { address, at: clock.currentTimeMillisUnsafe(), end: "under way" }
            dials.push(dial)
            most = Math.max(most, dials.filter((one) => one.address === address && one.end === "under way").length)
            return wire.connect(address, options).pipe(
              Effect.onExit((exit) =>
                Effect.sync(() => {
                  dial.end = exit._tag === "Success" ? "open" : "failed"
                })
              )
            )
          })
      }
    })
  )
  const onMemory = (options: EmbeddedClusterOptions) =>
    Effect.provide(
      MQClientManager.layer.pipe(
        Layer.provideMerge(layer),
        Layer.provideMerge(EmbeddedCluster.layerMemory({ seed: 1, ...options }))
      )
    )
  return { dials, most: () => most, to: (address: string) => dials.filter((one) => one.address === address), onMemory }
}

/** Runs an effect in a scope of its own, whose end must be bounded, leave no fiber, and pass the check. */
const cleanly = <A, E, R, R2>(body: Effect.Effect<A, E, R>, check: Effect.Effect<void, never, R2>) =>
  Effect.gen(function* () {
    const fibers = countFibers()
    yield* Effect.gen(function* () {
      const scope = yield* Scope.make()
      yield* Effect.exit(Effect.void)
      const before = fibers.live()
      const ended = yield* Effect.exit(Scope.provide(body, scope))
      const { exit, millis } = yield* timed(Scope.close(scope, ended))
      yield* ended
      valueOf(exit)
      assert.isAtMost(millis, 4_000, "the end is bounded")
      yield* settle
      yield* check
      assert.isAtMost(fibers.live(), before, "no fiber is left")
    }).pipe(Effect.forkChild({ startImmediately: true }), Effect.flatMap(Fiber.join), fibers.provide)
  })

/** Runs a test of producers, which must leave no connection, group, instance or fiber. */
export const leavesNothing = <A, E, R>(body: Effect.Effect<A, E, R>) =>
  cleanly(
    body,
    Effect.map(held, (now) => assert.deepStrictEqual(now, nothing))
  )

/** Runs a test of remoting clients on the network in memory, which must leave no connection or fiber. */
export const leavesNoConnection = <A, E, R>(body: Effect.Effect<A, E, R>) =>
  cleanly(
    body,
    Effect.map(connections, (open) => assert.strictEqual(open, 0))
  ).pipe(Effect.provide(MemoryWire.layer))

/** The name server that the producer's client has chosen. */
export const chosen = (producer: DefaultMQProducerShape) =>
  Effect.map(producer.state, (state) => state.instance?.nameServers.chosen ?? "none")

/** Sends a message and says how much virtual time that took; fails the test when it is not acknowledged. */
export const sentIn = (producer: DefaultMQProducerShape, topic = "orders") =>
  Effect.map(timed(producer.send(text(topic))), ({ exit, millis }) => {
    valueOf(exit)
    return millis
  })

/** Does something to the cluster whose fibers are the cluster's, and not what a client leaves. */
export const uncounted = Effect.provideService(Metric.FiberRuntimeMetrics, undefined)
