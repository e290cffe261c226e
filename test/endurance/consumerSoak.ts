/** Members of every kind under a steady load, with others that come and go: the process must hold no more at the end. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Fiber, FileSystem, References } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as LocalOffsetStore from "../../src/consumer/offset/LocalOffsetStore.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { countFibers } from "../support/rig.ts"
import { type Kind, kinds, member } from "./Kinds.ts"
import * as Peers from "./Peers.ts"
import { type Outcome, say } from "./Report.ts"
import { judged, sampled, type SoakOptions } from "./soak.ts"

const TOPIC = "endurance"
const SENDERS = 10

/** One message in so many is not consumed at first. */
const FAILS = 500

/** The share of the time between two samples for which a visitor stays: it is gone when the next one is taken. */
const STAYS = 0.5

/** Milliseconds until what was given back has come again (10 s later), and all else is finished. */
const SETTLES = 60_000

const times = {
  pollNameServerInterval: 1_000,
  heartbeatBrokerInterval: 1_000,
  persistConsumerOffsetInterval: 1_000,
  // What is looked at is what the process holds, on a machine that may be busy with other work.
  startTimeoutMillis: 60_000
}

const program = ({ every, minutes, rate }: SoakOptions, fibers: () => number) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const directory = yield* fs.makeTempDirectoryScoped({ prefix: "soak-" })
    const { namesrvAddr } = yield* Peers.start()
    const violations: Array<string> = []
    const capacity = Math.ceil(rate * minutes * 60 * 1.2) + 1_000
    /** How often each message was consumed, by the kind of the group. */
    const consumed = new Map(kinds.map((kind) => [kind, new Uint8Array(capacity)]))
    let deliveries = 0

    const join = Effect.fnUntraced(function* (kind: Kind, name: string) {
      // What a visitor of a group that broadcasts gets is its own.
      const counts = kind === "broadcasting" && name !== "stays" ? undefined : consumed.get(kind)
      const offsetStore =
        kind === "broadcasting" ? yield* LocalOffsetStore.file({ directory, identity: name }) : undefined
      yield* member(
        kind,
        {
          consumerGroup: `soak-${kind}`,
          instanceName: `${kind}-${name}`,
          subscriptions: [Subscription.all(TOPIC)],
          consumeFromWhere: "first",
          namesrvAddr,
          offsetStore,
          ...times
        },
        ({ attempt, body }) =>
          Effect.suspend(() => {
            const n = Buffer.from(body.buffer, body.byteOffset, body.byteLength).readUInt32BE(0)
            deliveries++
            if (n % FAILS === 0 && attempt === 1 && kind !== "broadcasting") return Effect.fail("not now")
            if (counts !== undefined) counts[n] = (counts[n] ?? 0) + 1
            return Effect.void
          })
      )
    })
    yield* Effect.forEach(kinds, (kind) => join(kind, "stays"))

    const producer = yield* DefaultMQProducer.make({
      producerGroup: "soak",
      namesrvAddr,
      sendMsgTimeout: 60_000,
      pollNameServerInterval: 1_000,
      heartbeatBrokerInterval: 1_000
    })
    yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
    const began = performance.now()
    const end = began + minutes * 60_000
    let sent = 0
    let failed = 0
    const send = Effect.suspend(() => {
      const n = sent++
      const body = Buffer.alloc(4 + (n % 1_024), n % 256)
      body.writeUInt32BE(n, 0)
      const message = Message.make({ topic: TOPIC, body, keys: `k${n % 97}` })
      return Effect.matchEffect(producer.send(message), {
        onSuccess: () => Effect.void,
        onFailure: (error) => Effect.sync(() => void (failed++ < 5 && violations.push(error.message)))
      })
    })
    const sender = Effect.whileLoop({
      while: () => performance.now() < end && sent < capacity,
      body: () => Effect.andThen(send, Effect.sleep((SENDERS / rate) * 1_000)),
      step: () => undefined
    })
    const load = yield* Effect.forkChild(
      Effect.replicateEffect(sender, SENDERS, { concurrency: "unbounded", discard: true })
    )

    let visits = 0
    const visitor = Effect.gen(function* () {
      const kind = kinds[visits % kinds.length] ?? "concurrently"
      yield* Effect.scoped(Effect.andThen(join(kind, "visits"), Effect.sleep(every * 1_000 * STAYS)))
      visits++
      // Until a little after the next sample.
      const passed = performance.now() - began
      yield* Effect.sleep((Math.floor(passed / (every * 1_000)) + 1) * every * 1_000 + 500 - passed)
    })
    const visiting = yield* Effect.forkChild(
      Effect.whileLoop({
        while: () => end - performance.now() > every * 1_000 * STAYS,
        body: () => visitor,
        step: () => undefined
      })
    )
    const samples = yield* sampled(
      { minutes, every },
      fibers,
      began,
      () => `${sent} sent, ${deliveries} deliveries, ${visits} visits`
    )
    yield* Fiber.join(load)
    yield* Fiber.interrupt(visiting)
    const held = judged(minutes, samples)
    violations.push(...held.violations)

    const missing = () =>
      [...consumed].map(
        ([kind, counts]) => [kind, counts.subarray(0, sent).filter((count) => count === 0).length] as const
      )
    for (let waited = 0; waited < SETTLES && missing().some(([, count]) => count > 0); waited += 200) {
      yield* Effect.sleep(200)
    }
    for (const [kind, count] of missing()) {
      if (count > 0) violations.push(`${count} of ${sent} messages were not consumed: ${kind}`)
    }
    const twice = [...consumed].map(([kind, counts]) => [
      kind,
      counts.reduce((sum, count) => sum + Math.max(0, count - 1), 0)
    ])
    say(`consumed more than once: ${twice.map(([kind, count]) => `${kind} ${count}`).join(", ")}`)
    const extra = twice.reduce((sum, [, count]) => sum + Number(count), 0)
    return {
      summary: `${minutes} minutes, ${sent} messages (${failed} not sent) to ${kinds.length} groups, ${deliveries} deliveries, ${visits} members that came and left, ${extra} consumed twice: ${held.text}`,
      violations
    }
  })

/** Runs it. */
export const run = (options: SoakOptions): Promise<Outcome> => {
  const fibers = countFibers()
  return program(options, fibers.live).pipe(
    Effect.scoped,
    Effect.provide(MQClientManager.layerTcp),
    Effect.provide(NodeServices.layer),
    fibers.provide,
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.runPromise
  )
}
