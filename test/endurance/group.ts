/** A great many messages to a group on an embedded cluster, whose members join, leave and are killed, and which is reset. */
import { Clock, Effect, Exit, Fiber, FiberSet, Layer, Random, References, Schedule, Scope } from "effect"
import { MQAdmin } from "../../src/admin/MQAdmin.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import { RETRY_GROUP_TOPIC_PREFIX } from "../../src/message/MixAll.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { Wire } from "../../src/transport/Wire.ts"
import { make as makeObserver, type ObserverShape } from "../conformance/Observer.ts"
import * as OwnWire from "../simulation/OwnWire.ts"
import { type DeliveryFindings, type Deliveries, makeDeliveries } from "./Deliveries.ts"
import { type Handle, type Kind, member } from "./Kinds.ts"
import { counted, type Outcome, say } from "./Report.ts"

export interface GroupOptions {
  readonly messages: number
  readonly seed: number
  readonly wire: "tcp" | "memory"
  readonly kind: Kind
  /** How many times a member leaves or is killed, with one that joins after it, or the group is reset. */
  readonly events: number
}

const TOPIC = "endurance"
const GROUP = "group"
const QUEUES = 4
const BROKERS = 3
const MEMBERS = 8
const SENDERS = 8
const BATCH = 32

/** One message in so many is not consumed at first, and one in so many takes up to {@link SLOW} milliseconds. */
const FAILS = 500
const TAKES = 50
const SLOW = 100

/** Messages that may wait: a reset goes back by time, so nobody is far behind. */
const BACKLOG = 10_000

/** Messages of a queue behind the group's offset that a reset may go back to; the rest is forgotten. */
const KEPT = 3_000

/** A reset goes back by so many milliseconds at most. */
const BACK = 3_000

/**
 * Milliseconds in which each pull that a broker holds is answered, and five more in which queues change hands. A broker of 5.x
 * tells of a reset once, in any pull it holds: in that of a member that has lost the queue, its owner never hears of it.
 */
const UNTIL_ANSWERED = 25_000

/** Milliseconds between what happens to the group, on average: messages are sent all the while, and not all before. */
const PER_EVENT = 20_000

/** What compiled code and caches may add to the heap in the second half of a run. */
const HEAP_GRACE_MIB = 8

/** Milliseconds in which the rest is consumed when all is sent: what came back comes again 10 s later. */
const SETTLES = 120_000

const queuesOf = (topic: string, count: number) =>
  Array.from({ length: BROKERS * count }, (_, index) =>
    MessageQueue.make(topic, `broker-${"abc"[index % BROKERS]}`, Math.floor(index / BROKERS))
  )
const queues = queuesOf(TOPIC, QUEUES)
const allQueues = [...queues, ...queuesOf(RETRY_GROUP_TOPIC_PREFIX + GROUP, 1)]

/** What the brokers have as the group's offsets; 0 where they have none. */
export const committed = (observer: ObserverShape, all: ReadonlyArray<MessageQueue.MessageQueue>, group: string) =>
  Effect.map(
    Effect.forEach(all, (queue) =>
      Effect.map(
        Effect.option(observer.committed(queue, group)),
        (found) => [MessageQueue.key(queue), (found._tag === "Some" ? found.value : undefined) ?? 0] as const
      )
    ),
    (entries) => new Map(entries)
  )

const heapMiB = (): number => {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed / 1024 / 1024
}

const program = ({ events, kind, messages, seed }: GroupOptions) =>
  Effect.gen(function* () {
    const cluster = yield* EmbeddedCluster
    const { namesrvAddr } = cluster
    const clock = yield* Clock.Clock
    const now = () => clock.currentTimeMillisUnsafe()
    const observer = yield* makeObserver(namesrvAddr)
    const deliveries: Deliveries = makeDeliveries({ capacity: messages + 100, inOrder: kind === "orderly" })
    const violations: Array<string> = []

    /** Members that were killed and are putting away what was their own. */
    const closing = yield* FiberSet.make<void>()
    let started = 0
    /** Starts a member; it is told how to end it. */
    const join = Effect.gen(function* () {
      const id = started++
      const { cut, wire } = yield* OwnWire.make
      const own = Layer.fresh(MQClientManager.layer).pipe(Layer.provide(Layer.succeed(Wire, wire)))
      const scope = yield* Scope.make()
      let alive = true
      const handle: Handle = ({ attempt, body, queue, queueOffset }) => {
        const n = Buffer.from(body.buffer, body.byteOffset, body.byteLength).readUInt32BE(0)
        const end = Effect.suspend(() => {
          const ok = attempt > 1 || n % FAILS !== 0
          if (alive) {
            deliveries.finish({
              member: id,
              queue: MessageQueue.key(queue),
              offset: queueOffset,
              n,
              ok,
              at: now()
            })
          }
          return ok ? Effect.void : Effect.fail("not now")
        })
        return n % TAKES === 1 ? Effect.delay(end, n % SLOW) : end
      }
      yield* member(
        kind,
        {
          consumerGroup: GROUP,
          subscriptions: [Subscription.all(TOPIC)],
          namesrvAddr,
          consumeFromWhere: "first",
          startTimeoutMillis: 60_000,
          pollNameServerInterval: 1_000,
          heartbeatBrokerInterval: 1_000,
          drainTimeoutMillis: 2_000
        },
        handle
      ).pipe(
        // On a machine with too much to do a start may run out of its time; it is made again, as a process would be.
        Effect.retry({ times: 60, schedule: Schedule.spaced("500 millis") }),
        Effect.provide(yield* Scope.provide(Layer.build(own), scope)),
        Scope.provide(scope)
      )
      const close = Scope.close(scope, Exit.void)
      const kill = Effect.gen(function* () {
        // What ends while the connections do may still be written.
        yield* cut
        alive = false
        const at = now()
        deliveries.setback({
          kind: "kill",
          offsets: yield* committed(observer, allQueues, GROUP),
          begin: at,
          end: at,
          member: id
        })
        // A process that is dead leaves nothing; this one has to put away what was its own.
        yield* FiberSet.run(closing, close)
      })
      return { close, kill }
    })

    const members = yield* Effect.replicateEffect(join, MEMBERS, { concurrency: "unbounded" })
    const admin = yield* Layer.build(MQAdmin.layer({ namesrvAddr, instanceName: "admin" }))
    let changedAt = now()
    const reset = Effect.gen(function* () {
      const { resetOffsetByTimestamp } = yield* MQAdmin
      yield* Effect.sleep(Math.max(0, changedAt + UNTIL_ANSWERED - now()))
      // Never forward: what was not read would be lost by what was asked for, and brokers of 5.x do not look at `force`.
      const offsets = yield* committed(observer, queues, GROUP)
      const oldest = Math.min(
        ...queues.map(({ brokerName, queueId, topic }) => {
          const { store } = cluster.brokers.find(({ name }) => name === brokerName) ?? {}
          const offset = offsets.get(MessageQueue.key({ topic, brokerName, queueId })) ?? 0
          // The newest that was read where all was: else a reset of a group that waits for it would lead nowhere.
          const next = store?.read(TOPIC, queueId, offset) ?? store?.read(TOPIC, queueId, offset - 1)
          return next?.storeTimestamp ?? now()
        })
      )
      const begin = now()
      const to = oldest - (yield* Random.nextIntBetween(0, BACK))
      const found = yield* resetOffsetByTimestamp({ group: GROUP, topic: TOPIC, to })
      deliveries.setback({
        kind: "reset",
        offsets: new Map(found.map(({ offset, queue }) => [MessageQueue.key(queue), Number(offset)])),
        begin,
        end: now()
      })
      // Until every member has been told: of two resets within one pull, only the later one is.
      yield* Effect.sleep(UNTIL_ANSWERED)
    }).pipe(Effect.provide(admin))

    const counts = new Map<string, number>()
    const event = Effect.gen(function* () {
      const index = yield* Random.nextIntBetween(0, MEMBERS - 1)
      const what = yield* Effect.orDie(Random.choice(["leaves", "killed", "reset"] as const))
      counts.set(what, (counts.get(what) ?? 0) + 1)
      const victim = members[index]
      if (what === "reset" || victim === undefined) return yield* reset
      if (what === "leaves") yield* victim.close
      else yield* victim.kill
      yield* Effect.sleep(yield* Random.nextIntBetween(0, 1_000))
      members[index] = yield* join
      changedAt = now()
      return undefined
    })

    const producer = yield* DefaultMQProducer.make({ producerGroup: "senders", namesrvAddr, sendMsgTimeout: 60_000 })
    yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
    const began = now()
    let sent = 0
    const send = Effect.suspend(() => {
      const early = began + (sent / messages) * events * PER_EVENT - now()
      if (early > 0) return Effect.sleep(early)
      if (sent - deliveries.consumed() > BACKLOG) return Effect.sleep(5)
      const from = sent
      sent = Math.min(messages, sent + BATCH)
      return producer.sendBatch(
        Array.from({ length: sent - from }, (_, index) => {
          const body = Buffer.alloc(16 + ((from + index) % 200))
          body.writeUInt32BE(from + index, 0)
          return Message.make({ topic: TOPIC, body, keys: `k${(from + index) % 97}` })
        })
      )
    })
    const sender = Effect.whileLoop({ while: () => sent < messages, body: () => send, step: () => undefined })
    const load = yield* Effect.forkChild(
      Effect.replicateEffect(sender, SENDERS, { concurrency: "unbounded", discard: true })
    )
    const heaps: Array<number> = []
    const watching = yield* Effect.forkChild(
      Effect.forever(
        Effect.gen(function* () {
          yield* Effect.sleep(500)
          const offsets = yield* committed(observer, queues, GROUP)
          for (const { brokerName, queueId, topic } of queues) {
            const { store } = cluster.brokers.find(({ name }) => name === brokerName) ?? {}
            const offset = offsets.get(MessageQueue.key({ topic, brokerName, queueId })) ?? 0
            store?.trim(TOPIC, queueId, offset - KEPT)
          }
          if (deliveries.consumed() < ((heaps.length + 1) * messages) / 10) return
          heaps.push(heapMiB())
          say(
            `${deliveries.consumed()} consumed of ${sent} in ${((now() - began) / 1_000).toFixed(0)} s, ` +
              `${counted(counts)}, heap ${heaps.at(-1)?.toFixed(0)} MiB`
          )
        })
      )
    )

    for (let caused = 0; caused < events; caused++) {
      while (deliveries.consumed() * (events + 1) < (caused + 1) * messages) yield* Effect.sleep(5)
      yield* event
    }
    yield* Fiber.join(load)
    for (let waited = 0; waited < SETTLES && deliveries.consumed() < messages; waited += 100) yield* Effect.sleep(100)
    const seconds = (now() - began) / 1_000
    // Who has nothing to read hears of a reset when its pull has been held for 15 s; what fails then comes again 10 s later.
    yield* Effect.sleep(40_000)
    yield* Fiber.interrupt(watching)
    yield* Effect.forEach(members, ({ close }) => close, { concurrency: "unbounded", discard: true })
    yield* FiberSet.awaitEmpty(closing)
    const most = Math.max(...heaps)
    // A store lets go of what is forgotten by halves, so the heap goes up and down; what leaks goes on growing.
    const half = Math.floor(heaps.length / 2)
    const [before, after] = [Math.max(...heaps.slice(0, half)), Math.min(...heaps.slice(half))]
    if (after > before + HEAP_GRACE_MIB)
      violations.push(`the heap grew from ${before} MiB at most to ${after} MiB at least`)
    const findings = deliveries.findings(Array.from({ length: messages }, (_, n) => n))
    return {
      summary: `${kind}, seed ${seed}: ${messages} messages to ${MEMBERS} members in ${seconds.toFixed(0)} s (${counted(counts)}), ${said(findings)}, heap at most ${most.toFixed(0)} MiB`,
      violations: [...violations, ...findings.violations]
    }
  })

/** What a ledger found, for the summary. */
export const said = ({ again, failed, finished, sharedMillis, violationCount }: DeliveryFindings): string =>
  `${finished} handlers ended (${failed} failed), consumed again ${counted(again) || "none"}` +
  `${sharedMillis > 0 ? ` (within ${sharedMillis} ms of its return)` : ""}; ${violationCount} violations`

/** Runs it: three brokers, two name servers, eight members. */
export const run = (options: GroupOptions): Promise<Outcome> => {
  const cluster = {
    brokers: BROKERS,
    nameServers: 2,
    topics: { [TOPIC]: { readQueueNums: QUEUES, writeQueueNums: QUEUES } },
    seed: options.seed,
    recordTraffic: false
  }
  const services = MQClientManager.layer.pipe(
    Layer.provideMerge(
      options.wire === "tcp" ? EmbeddedCluster.layerTcp(cluster) : EmbeddedCluster.layerMemory(cluster)
    )
  )
  return program(options).pipe(
    Effect.scoped,
    Effect.provide(services),
    Random.withSeed(options.seed),
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.runPromise
  )
}
