import { Effect, Layer, Schema } from "effect"
import { DefaultMQProducer, Message, MQClientManager } from "effect-rocketmq"
import { GrowthTask, type Load, type Upkeep } from "./GrowthTask.ts"
import { Meter } from "./Meter.ts"

/**
 * This package with many producers, topics, brokers or messages in flight. It sends and prints what that cost; or it
 * sends to each topic once and then tells, each time it is asked, how much CPU it has used.
 */

const options = Schema.decodeUnknownSync(Schema.fromJsonString(GrowthTask))(process.argv[2])
const RAMP_SECONDS = 0.4

const topics = Array.from({ length: options.topics }, (_, index) => `bench-${index}`)
const messages = topics.map((topic) => Message.make({ topic, body: new Uint8Array(options.bodySize).fill(120) }))

const cpuSeconds = () => {
  const used = process.cpuUsage()
  return (used.user + used.system) / 1e6
}

const sweptHeapMiB = () => {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed / 1024 / 1024
}

const makeProducer = (index: number) =>
  Effect.gen(function* () {
    const producer = yield* DefaultMQProducer.make({
      producerGroup: `bench-pg-${index}`,
      namesrvAddr: options.address,
      sendMsgTimeout: 60_000,
      backPressureForAsyncSendNum: options.inFlight + 1_000,
      backPressureForAsyncSendSize: Number.MAX_SAFE_INTEGER,
      remoting: { maxInFlightRequests: options.inFlight + 1_000, maxInFlightBytes: Number.MAX_SAFE_INTEGER }
    })
    yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
    return producer
  })

const program = Effect.gen(function* () {
  const producers = yield* Effect.forEach(Array.from({ length: options.producers }), (_, index) => makeProducer(index))
  for (const producer of producers)
    yield* Effect.forEach(messages, (message) => producer.send(message), { concurrency: 64, discard: true })
  const sends = producers.flatMap((producer) => messages.map((message) => producer.send(message)))

  const load = (seconds: number) =>
    Effect.suspend(() => {
      const meter = new Meter(Infinity, seconds)
      let next = 0
      let more = true
      const one = Effect.suspend(() => {
        const began = meter.begin(1)
        more = began >= 0
        if (!more) return Effect.void
        return Effect.match(sends[next++ % sends.length] ?? Effect.void, {
          onSuccess: () => meter.done(began, 1),
          onFailure: (error) => meter.fail(error)
        })
      })
      const sender = Effect.whileLoop({ while: () => more, body: () => one, step: () => {} })
      return Effect.as(
        Effect.forEach(Array.from({ length: options.inFlight }), () => sender, {
          concurrency: "unbounded",
          discard: true
        }),
        meter
      )
    })

  if (options.seconds === 0) {
    yield* Effect.callback<void>((resume) => {
      process.on("message", (order) => {
        // The sweep of an end is behind what is measured; at the beginning there is none.
        const used = cpuSeconds()
        process.send?.({ cpuSeconds: used, heapMiB: order === "end" ? sweptHeapMiB() : 0 } satisfies Upkeep)
      })
      process.on("disconnect", () => resume(Effect.void))
      process.send?.("ready")
    })
    return
  }
  yield* load(RAMP_SECONDS)
  const cpu = cpuSeconds()
  const begin = performance.now()
  const meter = yield* load(options.seconds)
  const seconds = (performance.now() - begin) / 1000
  const used = cpuSeconds() - cpu
  const result: Load = {
    messagesPerSecond: meter.messages / seconds,
    cpuPer100k: (used / meter.messages) * 100_000,
    maxRssMiB: process.resourceUsage().maxRSS / 1024,
    heapMiB: sweptHeapMiB(),
    failed: meter.failed
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
})

await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Layer.fresh(MQClientManager.layerTcp))))
