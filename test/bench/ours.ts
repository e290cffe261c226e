import { Effect, Layer, Tracer } from "effect"
import { DefaultMQProducer, Message, MQClientManager } from "effect-rocketmq"
import { measure, task } from "./Measure.ts"

/** This package: `DefaultMQProducer.send`, as many fibers as there may be messages in flight. */

const options = task()
const message = Message.make({ topic: "bench", body: new Uint8Array(options.bodySize).fill(120) })

// A tracer that keeps its spans and exports none: what remains is what the client itself does for a span.
const tracer = Tracer.make({ span: (span) => new Tracer.NativeSpan(span) })

const observed = <A, E, R>(sends: Effect.Effect<A, E, R>) =>
  options.telemetry === "traced" ? Effect.withTracer(sends, tracer) : sends

const program = Effect.gen(function* () {
  const producer = yield* DefaultMQProducer.make({
    producerGroup: "bench-pg",
    namesrvAddr: options.address,
    metrics: options.telemetry !== "off"
  })
  const begin = performance.now()
  yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
  yield* producer.send(message)
  const startToFirstAckMillis = performance.now() - begin

  const run = (count: number, latencies: Float64Array): Promise<number> => {
    let next = 0
    let failed = 0
    const one = Effect.suspend(() => {
      const index = next++
      const sent = performance.now()
      return Effect.matchEffect(producer.send(message), {
        onSuccess: () => {
          latencies[index] = performance.now() - sent
          return Effect.void
        },
        onFailure: () => {
          failed++
          return Effect.void
        }
      })
    })
    const sender = Effect.whileLoop({ while: () => next < count, body: () => one, step: () => {} })
    return Effect.runPromise(
      observed(
        Effect.forEach(Array.from({ length: options.inFlight }), () => sender, {
          concurrency: "unbounded",
          discard: true
        })
      )
    ).then(() => failed)
  }
  yield* Effect.promise(() => measure(options, startToFirstAckMillis, run))
})

await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Layer.fresh(MQClientManager.layerTcp))))
