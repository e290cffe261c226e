/** A great many messages to an embedded cluster that is in trouble all the time, held against what it has stored. */
import { Clock, Effect, Fiber, Layer, Random, References } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import type { MessageStore } from "../../src/embedded/store/MessageStore.ts"
import * as StoredMessage from "../../src/embedded/store/StoredMessage.ts"
import type { MessageExt } from "../../src/message/MessageExt.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import type { ProducerOptions } from "../../src/producer/ProducerConfig.ts"
import * as Compression from "../../src/protocol/Compression.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { faultScript, trouble } from "./Chaos.ts"
import { type Copy, type Ledger, makeLedger, numberOf } from "./Ledger.ts"
import { type Lane, retryPolicy, run as runLoad } from "./Load.ts"
import { counted, type Outcome, say, sayFindings } from "./Report.ts"

export interface EmbeddedOptions {
  readonly messages: number
  readonly seed: number
  readonly wire: "tcp" | "memory"
  /** How many times servers get into trouble. */
  readonly events: number
}

const TOPIC = "endurance"
const QUEUES = 4

/** The heap may grow by so much from the first tenth of the run to any later one: a bound, whatever the number of messages. */
const HEAP_GROWTH_MIB = 64

/** The copy that a stored message is; says what is wrong when it is none of ours. */
export const copyOf = (ledger: Ledger, broker: string, message: MessageExt): Copy | undefined => {
  const { keys, msgId, properties, queueId, queueOffset } = message
  const body = Compression.decompress(message.body, message.sysFlag)
  const n = body instanceof Uint8Array ? numberOf(body) : undefined
  if (n === undefined || properties["n"] !== String(n) || keys.join(" ") !== `k${n}`) {
    ledger.violation(`what lies at ${broker}:${queueId} offset ${queueOffset} is not what was sent`)
    return undefined
  }
  return { n, broker, queueId, offset: queueOffset, msgId }
}

/**
 * Reads what the brokers have stored since the last look, tells the ledger, and lets the brokers forget it. A copy whose
 * send has not ended is kept until the next look.
 */
const makeAuditor = (
  ledger: Ledger,
  brokers: ReadonlyArray<{ readonly name: string; readonly store: MessageStore }>
) => {
  let undecided: ReadonlyArray<Copy> = []
  return () => {
    const open: Array<Copy> = undecided.filter((copy) => !ledger.copy(copy))
    for (const { name, store } of brokers) {
      for (let queueId = 0; queueId < QUEUES; queueId++) {
        const { max, min } = store.offsets(TOPIC, queueId)
        for (let offset = min; offset < max; offset++) {
          const entry = store.read(TOPIC, queueId, offset)
          const [message] = entry === undefined ? [] : StoredMessage.decode(entry)
          if (message === undefined || message.queueOffset !== offset || message.queueId !== queueId) {
            ledger.violation(`nothing can be read at ${name}:${queueId} offset ${offset}`)
            continue
          }
          const copy = copyOf(ledger, name, message)
          if (copy !== undefined && !ledger.copy(copy)) open.push(copy)
        }
        store.trim(TOPIC, queueId, max)
      }
    }
    undecided = open
    return open.length
  }
}

const heapMiB = (): number => {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed / 1024 / 1024
}

const program = (options: EmbeddedOptions) =>
  Effect.gen(function* () {
    const cluster = yield* EmbeddedCluster
    const clock = yield* Clock.Clock
    const ledger = makeLedger(options.messages + 100)
    const audit = makeAuditor(ledger, cluster.brokers)
    const start = (name: string, more: Partial<ProducerOptions> = {}) =>
      Effect.gen(function* () {
        const producer = yield* DefaultMQProducer.make({
          producerGroup: name,
          instanceName: name,
          namesrvAddr: cluster.namesrvAddr,
          pollNameServerInterval: 1_000,
          heartbeatBrokerInterval: 1_000,
          startTimeoutMillis: 60_000,
          retryPolicy,
          ...more
        })
        yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
        return producer
      })
    const plain = yield* start("plain")
    const avoiding = yield* start("avoiding", { sendLatencyEnable: true, startDetectorEnable: true })
    const shared = yield* start("shared", { autoBatch: true })
    const lanes: ReadonlyArray<Lane> = [
      { producer: plain, kind: "one", senders: 96 },
      { producer: avoiding, kind: "one", senders: 64 },
      { producer: plain, kind: "batch", senders: 8 },
      { producer: shared, kind: "shared", senders: 48 },
      { producer: shared, kind: "queued", senders: 24 },
      { producer: plain, kind: "fickle", senders: 16 }
    ]

    yield* cluster.faults.add(...faultScript)
    let ended = false
    let caused = 0
    const events = yield* Effect.forkChild(
      trouble(() => {
        if (ended || caused >= options.events) return "never"
        if ((caused + 1) * options.messages > ledger.sent() * (options.events + 1)) return "later"
        caused++
        return "now"
      })
    )
    const heaps: Array<number> = []
    const began = clock.currentTimeMillisUnsafe()
    const watching = yield* Effect.forkChild(
      Effect.forever(
        Effect.gen(function* () {
          yield* Effect.sleep(200)
          const open = audit()
          if (ledger.sent() < ((heaps.length + 1) * options.messages) / 10) return
          heaps.push(heapMiB())
          const seconds = (clock.currentTimeMillisUnsafe() - began) / 1_000
          say(
            `${ledger.sent()} sent in ${seconds.toFixed(0)} s, ${caused} troubles, ` +
              `heap ${heaps.at(-1)?.toFixed(0)} MiB, ${open} copies not decided`
          )
        })
      )
    )
    yield* runLoad({
      ledger,
      topic: TOPIC,
      lanes,
      more: () => ledger.sent() < options.messages,
      restMillis: () => 0
    })
    ended = true
    const troubles = yield* Fiber.join(events)
    yield* cluster.faults.clear
    // What a broker still delays must be stored before the end is looked at.
    yield* Effect.sleep(2_000)
    yield* Fiber.interrupt(watching)
    const left = audit()
    if (left > 0) ledger.violation(`${left} stored messages belong to sends that did not end`)
    const seconds = (clock.currentTimeMillisUnsafe() - began) / 1_000
    for (const producer of [plain, avoiding, shared]) {
      const { inFlight } = yield* producer.state
      if (inFlight !== 0)
        ledger.violation(`${producer.producerGroup} has ${inFlight} sends under way after the last one`)
    }
    const [first = 0] = heaps
    const most = Math.max(first, ...heaps)
    if (most - first > HEAP_GROWTH_MIB) ledger.violation(`the heap grew from ${first} to ${most} MiB`)
    const fired = new Map<string, number>()
    for (const { rule } of yield* cluster.faults.fired) fired.set(rule, (fired.get(rule) ?? 0) + 1)
    say(`troubles with servers: ${counted(troubles)}`)
    say(`faults of requests (the newest 10,000 at most): ${counted(fired)}`)
    return { findings: ledger.findings(), seconds, most }
  })

/** Runs it: three brokers, two name servers, three producers. */
export const run = (options: EmbeddedOptions): Promise<Outcome> => {
  const { messages, seed, wire } = options
  const cluster = {
    brokers: 3,
    nameServers: 2,
    topics: { [TOPIC]: { readQueueNums: QUEUES, writeQueueNums: QUEUES } },
    seed,
    recordTraffic: false
  }
  const services = MQClientManager.layer.pipe(
    Layer.provideMerge(wire === "tcp" ? EmbeddedCluster.layerTcp(cluster) : EmbeddedCluster.layerMemory(cluster))
  )
  return program(options).pipe(
    Effect.scoped,
    Effect.provide(services),
    Effect.map(({ findings, most, seconds }) => ({
      summary: `embedded (${wire}), seed ${seed}: ${messages} messages in ${seconds.toFixed(0)} s, ${sayFindings(findings)}, heap at most ${most.toFixed(0)} MiB`,
      violations: findings.violations
    })),
    Random.withSeed(seed),
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.runPromise
  )
}
