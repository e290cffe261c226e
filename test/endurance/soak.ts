/** A producer under a steady load, whose process must hold no more at the end than at the beginning. */
import { Effect, Fiber, References } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as Message from "../../src/message/Message.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { describe, leftOver, type Resources, resources } from "../support/resources.ts"
import { countFibers } from "../support/rig.ts"
import * as Peers from "./Peers.ts"
import { type Outcome, say } from "./Report.ts"

export interface SoakOptions {
  readonly minutes: number
  /** Messages a second, all lanes together. */
  readonly rate: number
  /** Seconds from sample to sample. */
  readonly every: number
}

/** The share of the run at its begin that counts as warming up. */
const WARM_UP = 0.2

/** MiB of heap in ten minutes. */
const SLOPE_LIMIT = 1

const SENDERS = 20

/** The slope of the straight line through the points that has the least squares. */
const slope = (points: ReadonlyArray<readonly [x: number, y: number]>): number => {
  const mean = (pick: (point: readonly [number, number]) => number) =>
    points.reduce((sum, point) => sum + pick(point), 0) / points.length
  const [meanX, meanY] = [mean(([x]) => x), mean(([, y]) => y)]
  const over = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0)
  const under = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
  return over / under
}

/** Each kind at its most or at its least. */
const extreme = (part: ReadonlyArray<Resources>, pick: (...values: Array<number>) => number): Resources => ({
  handles: Object.fromEntries(
    [...new Set(part.flatMap((each) => Object.keys(each.handles)))].map((kind) => [
      kind,
      pick(...part.map((each) => each.handles[kind] ?? 0))
    ])
  ),
  fibers: pick(...part.map((each) => each.fibers)),
  listeners: pick(...part.map((each) => each.listeners)),
  heapMiB: 0,
  externalMiB: 0
})
/**
 * What grew. A sample meets more or fewer sends under way, with their fibers and timers, so the most of the first half is
 * compared with the least of the second: what leaks goes on growing.
 */
const flat = (samples: ReadonlyArray<Resources>): ReadonlyArray<string> => {
  const half = Math.floor(samples.length / 2)
  return leftOver(extreme(samples.slice(0, half), Math.max), extreme(samples.slice(half), Math.min))
}

/** What was held at a moment of the run. */
interface Sample {
  readonly minute: number
  readonly held: Resources
}

/** Takes a sample each `every` seconds until the minutes are over, and prints it. */
export const sampled = Effect.fnUntraced(function* (
  { every, minutes }: Pick<SoakOptions, "every" | "minutes">,
  fibers: () => number,
  began: number,
  done: () => string
) {
  const samples: Array<Sample> = []
  for (let at = every; at <= minutes * 60; at += every) {
    const wait = began + at * 1_000 - performance.now()
    if (wait > 0) yield* Effect.sleep(wait)
    const sample = { minute: (performance.now() - began) / 60_000, held: resources(fibers) }
    samples.push(sample)
    say(`${sample.minute.toFixed(1)} min, ${done()}: ${describe(sample.held)}`)
  }
  return samples
})

/** What the samples behind the warming up say: whether anything grows. */
export const judged = (minutes: number, samples: ReadonlyArray<Sample>) => {
  const settled = samples.filter(({ minute }) => minute >= minutes * WARM_UP)
  const perTenMinutes = slope(settled.map(({ held, minute }) => [minute / 10, held.heapMiB]))
  const grows = perTenMinutes < SLOPE_LIMIT ? [] : [`the heap grows by ${perTenMinutes.toFixed(3)} MiB in 10 minutes`]
  return {
    text: `heap ${perTenMinutes >= 0 ? "+" : ""}${perTenMinutes.toFixed(3)} MiB in 10 minutes (${settled.length} samples)`,
    violations: [...grows, ...flat(settled.map(({ held }) => held))]
  }
}

const program = ({ every, minutes, rate }: SoakOptions, fibers: () => number) =>
  Effect.gen(function* () {
    const peers = yield* Peers.start()
    const start = (autoBatch: boolean) =>
      Effect.gen(function* () {
        const producer = yield* DefaultMQProducer.make({
          producerGroup: autoBatch ? "soak-shared" : "soak",
          namesrvAddr: peers.namesrvAddr,
          autoBatch,
          // What is looked at is what the process holds, on a machine that may be busy with other work.
          sendMsgTimeout: 60_000,
          pollNameServerInterval: 1_000,
          heartbeatBrokerInterval: 1_000
        })
        yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
        return producer
      })
    const plain = yield* start(false)
    const shared = yield* start(true)
    const began = performance.now()
    const end = began + minutes * 60_000
    let sent = 0
    let failed = 0
    const violations: Array<string> = []
    const pause = (SENDERS / rate) * 1_000
    const sender = (index: number) =>
      Effect.whileLoop({
        while: () => performance.now() < end,
        body: () => {
          const n = sent++
          const message = Message.make({
            topic: "endurance",
            body: Buffer.alloc(1 + (n % 1_024), n % 256),
            keys: `k${n}`
          })
          const one =
            index % 4 === 0
              ? shared.send(message)
              : index % 4 === 1
                ? Effect.flatten(plain.sendQueued(message, { orderingKey: `o${n % 11}` }))
                : plain.send(message)
          const counted = Effect.matchEffect(one, {
            onSuccess: () => Effect.void,
            onFailure: (error) => Effect.sync(() => void (failed++ < 5 && violations.push(error.message)))
          })
          return Effect.andThen(counted, Effect.sleep(pause))
        },
        step: () => undefined
      })
    const load = yield* Effect.forkChild(
      Effect.forEach(Array.from({ length: SENDERS }), (_, index) => sender(index), {
        concurrency: "unbounded",
        discard: true
      })
    )
    const samples = yield* sampled({ minutes, every }, fibers, began, () => `${sent} sent`)
    yield* Fiber.join(load)
    const held = judged(minutes, samples)
    violations.push(...held.violations)
    const { stored } = yield* peers.look
    if (failed === 0 && stored !== sent) violations.push(`${sent} sent, ${stored} stored`)
    return {
      summary: `${minutes} minutes, ${sent} messages, ${failed} failed: ${held.text}`,
      violations
    }
  })

/** Runs it. */
export const run = (options: SoakOptions): Promise<Outcome> => {
  const fibers = countFibers()
  return program(options, fibers.live).pipe(
    Effect.scoped,
    Effect.provide(MQClientManager.layerTcp),
    fibers.provide,
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.runPromise
  )
}
