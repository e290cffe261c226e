import { Effect, Layer, Tracer } from "effect"
import { DefaultMQProducer, type DefaultMQProducerShape, Message, MQClientManager } from "effect-rocketmq"
import { measure, type Meter, type Phase } from "./Meter.ts"
import { task } from "./Task.ts"
import * as WritePerFrame from "./WritePerFrame.ts"

/** This package: `DefaultMQProducer`, as many fibers as there may be requests in flight. */

const options = task()

// A tracer that keeps its spans and exports none: what remains is what the client itself does for a span.
const tracer = Tracer.make({ span: (span) => new Tracer.NativeSpan(span) })

const observed = <A, E, R>(sends: Effect.Effect<A, E, R>) =>
  options.variant === "spans" ? Effect.withTracer(sends, tracer) : sends

/** One request of the phase, told to the meter. */
const request = (producer: DefaultMQProducerShape, phase: Phase): Effect.Effect<unknown, unknown> => {
  const message = Message.make({ topic: options.topic, body: new Uint8Array(phase.bodySize).fill(120) })
  if (phase.kind === "oneway") return producer.sendOneway(message)
  if (phase.kind !== "batch") return producer.send(message)
  const messages = Array.from({ length: phase.batchSize }, () => message)
  return producer.sendBatch(messages)
}

const run =
  (producer: DefaultMQProducerShape) =>
  (phase: Phase, meter: Meter): Promise<void> => {
    const size = phase.kind === "batch" ? phase.batchSize : 1
    const one = request(producer, phase)
    let more = true
    /** Requests until the phase is over, or until so many; one after the other. */
    const sender = (most: number) =>
      Effect.suspend(() => {
        let left = most
        return Effect.whileLoop({
          while: () => more && left-- > 0,
          body: () => {
            const began = meter.begin(size)
            if (began < 0) {
              more = false
              return Effect.void
            }
            return Effect.match(one, {
              onSuccess: () => meter.done(began, size),
              onFailure: (error) => meter.fail(error)
            })
          },
          step: () => {}
        })
      })
    const senders = (most: number) =>
      Effect.forEach(Array.from({ length: phase.inFlight }), () => sender(most), {
        concurrency: "unbounded",
        discard: true
      })
    if (phase.kind !== "oneway") return Effect.runPromise(observed(senders(Infinity)))
    // Each slice ends with a message that is acknowledged, behind all others of the one connection.
    const acknowledged = request(producer, { ...phase, kind: "send" })
    const slice = Effect.andThen(
      senders(phase.slice / phase.inFlight),
      Effect.match(acknowledged, { onSuccess: () => void meter.messages++, onFailure: (error) => meter.fail(error) })
    )
    return Effect.runPromise(observed(Effect.whileLoop({ while: () => more, body: () => slice, step: () => {} })))
  }

const program = Effect.gen(function* () {
  const producer = yield* DefaultMQProducer.make({
    producerGroup: "bench-pg",
    namesrvAddr: options.address,
    metrics: options.variant !== "no-metrics",
    autoBatch: options.kind === "auto",
    sendMsgTimeout: 10_000,
    compressMsgBodyOverHowmuch: Infinity
  })
  yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
  yield* producer.send(Message.make({ topic: options.topic, body: new Uint8Array(options.bodySize) }))
  yield* Effect.promise(() => measure(options, 1, run(producer)))
})

const manager = options.variant === "write-per-frame" ? WritePerFrame.manager : MQClientManager.layerTcp
await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Layer.fresh(manager))))
