/** Messages to a group on a real two-broker RocketMQ, whose members and brokers are killed again and again. */
import { Clock, Effect, Fiber, Layer, Random, References } from "effect"
import { spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import { RETRY_GROUP_TOPIC_PREFIX } from "../../src/message/MixAll.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import * as LenientJson from "../../src/protocol/LenientJson.ts"
import * as TcpWire from "../../src/transport/TcpWire.ts"
import { RocketMQ } from "../rocketmq/RocketMQServer.ts"
import type { ServerNode } from "../rocketmq/ServerNode.ts"
import { createTopic, observe } from "../rocketmq/support.ts"
import { makeDeliveries } from "./Deliveries.ts"
import { copyOf } from "./embedded.ts"
import { committed, said } from "./group.ts"
import { makeLedger } from "./Ledger.ts"
import { type Lane, retryPolicy, run as runLoad } from "./Load.ts"
import { type Outcome, say, sayFindings } from "./Report.ts"

export interface GroupRocketMQOptions {
  readonly messages: number
  /** Of members and of brokers, in turn. */
  readonly kills: number
  readonly seed: number
}

const BROKERS = ["broker-a", "broker-b"]
const QUEUES = 4
const GROUP = "endurance-group"
const MEMBERS = 4

/** One message in so many is not consumed at first. */
const FAILS = 500

/** Each so many-th kill of a broker is one of both. */
const BOTH = 4

/** Milliseconds in which the rest is consumed when all is sent; what came back comes again 10 s later. */
const SETTLES = 180_000

const script = fileURLToPath(new URL("member.ts", import.meta.url))

/** What a broker has on its disk as the group's offsets, in the words of its own file; 0 where it has none. */
const onDisk = ({ folder, name }: ServerNode, queues: ReadonlyArray<MessageQueue.MessageQueue>) => {
  const path = Path.join(folder, "store", "config", "consumerOffset.json")
  // It is replaced, not written over; killed between the two steps, a broker reads the one before.
  const tables = [path, `${path}.bak`].map((file) => {
    const parsed = Fs.existsSync(file) ? LenientJson.parse(Fs.readFileSync(file)) : undefined
    const table = parsed instanceof Map ? parsed.get("offsetTable") : undefined
    return table instanceof Map ? table : undefined
  })
  const table = tables.find((found) => found !== undefined)
  return new Map(
    queues
      .filter(({ brokerName }) => brokerName === name)
      .map((queue) => {
        const offsets = table?.get(`${queue.topic}@${GROUP}`)
        const offset = offsets instanceof Map ? Number(offsets.get(String(queue.queueId)) ?? 0) : 0
        return [MessageQueue.key(queue), offset] as const
      })
  )
}

const program = ({ kills, messages }: GroupRocketMQOptions) =>
  Effect.gen(function* () {
    const { brokers, namesrvAddr } = yield* RocketMQ
    const clock = yield* Clock.Clock
    const now = () => clock.currentTimeMillisUnsafe()
    const observer = yield* observe
    const topic = yield* createTopic("endurance", BROKERS, { queues: QUEUES })
    const queuesOf = (name: string, count: number) =>
      BROKERS.flatMap((broker) => Array.from({ length: count }, (_, id) => MessageQueue.make(name, broker, id)))
    const queues = queuesOf(topic, QUEUES)
    const allQueues = [...queues, ...queuesOf(RETRY_GROUP_TOPIC_PREFIX + GROUP, 1)]
    const capacity = messages * 3 + 100_000
    const ledger = makeLedger(capacity)
    const deliveries = makeDeliveries({ capacity })

    let started = 0
    const join = Effect.map(
      Effect.acquireRelease(
        Effect.sync(() =>
          spawn(process.execPath, [script, namesrvAddr, topic, GROUP, String(FAILS)], {
            stdio: ["ignore", "pipe", "inherit"]
          })
        ),
        (child) => Effect.sync(() => void child.kill("SIGKILL"))
      ),
      (child) => {
        const id = started++
        let rest = ""
        child.stdout.on("data", (chunk: Buffer) => {
          const lines = (rest + chunk.toString()).split("\n")
          rest = lines.pop() ?? ""
          for (const line of lines) {
            const [queue = "", offset, n, ok, at] = line.split(" ")
            deliveries.finish({
              member: id,
              queue,
              offset: Number(offset),
              n: Number(n),
              ok: ok === "true",
              at: Number(at)
            })
          }
        })
        const closed = new Promise<void>((resolve) => child.on("close", () => resolve()))
        const end = (signal: "SIGKILL" | "SIGTERM") =>
          Effect.promise(() => {
            child.kill(signal)
            return closed
          })
        return { id, end }
      }
    )
    const members = yield* Effect.replicateEffect(join, MEMBERS)

    const producer = yield* DefaultMQProducer.make({
      producerGroup: "senders",
      namesrvAddr,
      startTimeoutMillis: 60_000,
      pollNameServerInterval: 2_000,
      retryPolicy
    })
    yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
    const lanes: ReadonlyArray<Lane> = [
      { producer, kind: "one", senders: 16 },
      { producer, kind: "batch", senders: 4 }
    ]
    let killed = 0
    const due = () => (messages * (killed + 1)) / (kills + 1)
    const began = now()
    const load = yield* Effect.forkChild(
      runLoad({
        ledger,
        topic,
        lanes,
        more: () => killed < kills || ledger.sent() < messages,
        restMillis: () => (ledger.sent() < due() ? 20 : 500)
      })
    )

    const killMember = Effect.gen(function* () {
      const index = yield* Random.nextIntBetween(0, MEMBERS - 1)
      const victim = members[index]
      if (victim === undefined) return yield* Effect.die(new Error(`there is no member ${index}`))
      yield* victim.end("SIGKILL")
      const at = now()
      const offsets = yield* committed(observer, allQueues, GROUP)
      deliveries.setback({ kind: "kill", offsets, begin: at, end: at, member: victim.id })
      members[index] = yield* join
      return `member ${victim.id} killed`
    })
    const killBrokers = (victims: ReadonlyArray<ServerNode>) =>
      Effect.gen(function* () {
        const begin = now()
        yield* Effect.forEach(victims, (victim) => victim.kill, { concurrency: "unbounded", discard: true })
        const offsets = new Map(victims.flatMap((victim) => [...onDisk(victim, allQueues)]))
        yield* Effect.sleep(yield* Random.nextIntBetween(0, 3_000))
        // On a machine with too much to do a broker may not be up in time; that says nothing of the client.
        yield* Effect.forEach(victims, (victim) => Effect.retry(victim.start, { times: 3 }), {
          concurrency: "unbounded",
          discard: true
        })
        deliveries.setback({ kind: "broker", offsets, begin, end: now() })
        return `${victims.map(({ name }) => name).join(" and ")} killed, down ${now() - begin} ms`
      })
    for (let round = 0; killed < kills; round++) {
      while (ledger.sent() < due() || deliveries.consumed() < 0.9 * due()) yield* Effect.sleep(20)
      const broker = brokers[(round >> 1) % brokers.length]
      const isBoth = (round >> 1) % BOTH === BOTH - 1 && kills - killed > 1
      const victims = isBoth || broker === undefined ? brokers : [broker]
      const text = yield* round % 2 === 0 ? killMember : killBrokers(victims)
      killed += round % 2 === 0 ? 1 : victims.length
      say(
        `kill ${killed}: ${text}; ${ledger.sent()} sent, ${deliveries.consumed()} consumed in ${((now() - began) / 1_000).toFixed(0)} s`
      )
    }
    yield* Fiber.join(load)
    const acknowledged = Array.from({ length: ledger.sent() }, (_, n) => n).filter(ledger.isAcknowledged)
    for (let waited = 0; waited < SETTLES && !acknowledged.every(deliveries.isConsumed); waited += 200) {
      yield* Effect.sleep(200)
    }
    const seconds = (now() - began) / 1_000
    yield* Effect.sleep(15_000)
    yield* Effect.forEach(members, ({ end }) => end("SIGTERM"), { concurrency: "unbounded", discard: true })

    for (const queue of queues) {
      for (const message of yield* observer.readQueue(queue)) {
        const copy = copyOf(ledger, queue.brokerName, message)
        if (copy !== undefined && !ledger.copy(copy)) ledger.violation(`message ${copy.n} is stored and did not end`)
        if (!deliveries.isFinished(MessageQueue.key(queue), message.queueOffset)) {
          ledger.violation(`offset ${message.queueOffset} of ${MessageQueue.key(queue)} was never consumed`)
        }
      }
    }
    const sends = ledger.findings()
    const findings = deliveries.findings(acknowledged)
    return {
      summary: `RocketMQ 5.5.0: ${ledger.sent()} messages to ${MEMBERS} processes, ${killed} kills in ${seconds.toFixed(0)} s: ${sayFindings(sends)}; ${said(findings)}`,
      violations: [...sends.violations, ...findings.violations]
    }
  })

const services = Layer.mergeAll(
  RocketMQ.layer({ version: "5.5.0", brokers: BROKERS.map((name) => ({ name })) }),
  MQClientManager.layerTcp,
  TcpWire.layer
)

/** Runs it: two masters, one name server, four members. */
export const run = (options: GroupRocketMQOptions): Promise<Outcome> =>
  program(options).pipe(
    Effect.scoped,
    Effect.provide(services),
    Random.withSeed(options.seed),
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.runPromise
  )
