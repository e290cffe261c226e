/** Messages to a real two-broker RocketMQ whose brokers are killed again and again, held against what it has stored. */
import { Clock, Effect, Fiber, Layer, Random, References } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import type { ProducerOptions } from "../../src/producer/ProducerConfig.ts"
import * as TcpWire from "../../src/transport/TcpWire.ts"
import { make as makeObserver } from "../conformance/Observer.ts"
import { RocketMQ } from "../rocketmq/RocketMQServer.ts"
import type { ServerNode } from "../rocketmq/ServerNode.ts"
import { copyOf } from "./embedded.ts"
import { makeLedger } from "./Ledger.ts"
import { type Lane, retryPolicy, run as runLoad } from "./Load.ts"
import { type Outcome, say, sayFindings, spread } from "./Report.ts"

export interface RocketMQOptions {
  readonly messages: number
  readonly kills: number
  readonly seed: number
}

const TOPIC = "endurance"
const QUEUES = 4

/** Each tenth time both brokers are killed at once, and nobody is left to send to. */
const BOTH = 10

/** A broker that serves again must have acknowledged something within one poll of the routes, in milliseconds. */
const RECOVERY_LIMIT_MILLIS = 30_000

/** A machine's share in that: what a route look-up and a first send may take besides. */
const RECOVERY_GRACE_MILLIS = 5_000

const until = (condition: () => boolean) =>
  Effect.gen(function* () {
    while (!condition()) yield* Effect.sleep(5)
  })

const program = (options: RocketMQOptions) =>
  Effect.gen(function* () {
    const cluster = yield* RocketMQ
    const clock = yield* Clock.Clock
    const now = () => clock.currentTimeMillisUnsafe()
    const observer = yield* makeObserver(cluster.namesrvAddr)
    for (const { address } of cluster.brokers) {
      yield* Effect.retry(observer.createTopic(address, TOPIC, { queues: QUEUES }), { times: 50 })
    }
    const routed = (brokers: number) =>
      Effect.gen(function* () {
        for (;;) {
          const route = yield* Effect.option(observer.route(TOPIC))
          if (route._tag === "Some" && route.value?.queueDatas.length === brokers) return
          yield* Effect.sleep(100)
        }
      })
    yield* routed(cluster.brokers.length)

    const ledger = makeLedger(options.messages * 5 + 100_000)
    const start = (name: string, more: Partial<ProducerOptions> = {}) =>
      Effect.gen(function* () {
        const producer = yield* DefaultMQProducer.make({
          producerGroup: name,
          instanceName: name,
          namesrvAddr: cluster.namesrvAddr,
          startTimeoutMillis: 60_000,
          retryPolicy,
          ...more
        })
        yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
        return producer
      })
    const plain = yield* start("plain")
    const shared = yield* start("shared", { autoBatch: true })
    const lanes: ReadonlyArray<Lane> = [
      { producer: plain, kind: "one", senders: 40 },
      { producer: plain, kind: "batch", senders: 2 },
      { producer: plain, kind: "fickle", senders: 6 },
      { producer: shared, kind: "shared", senders: 12 },
      { producer: shared, kind: "queued", senders: 6 }
    ]

    let storm = false
    let killing = true
    let acks = 0
    const lastAck = new Map<string, number>()
    const firstSince = new Map<string, number>()
    const load = yield* Effect.forkChild(
      runLoad({
        ledger,
        topic: TOPIC,
        lanes,
        more: () => killing || ledger.sent() < options.messages,
        restMillis: () => (storm || !killing ? 0 : 500),
        onAcknowledged: ({ queue: { brokerName } }) => {
          acks++
          lastAck.set(brokerName, now())
          if (!firstSince.has(brokerName)) firstSince.set(brokerName, now())
        }
      })
    )
    const began = now()
    const downs: Array<number> = []
    const recoveries: Array<number> = []
    let kills = 0
    /** Kills brokers in the middle of a storm of sends, starts them again, and waits until each has acknowledged something. */
    const strike = (victims: ReadonlyArray<ServerNode>) =>
      Effect.gen(function* () {
        storm = true
        const from = acks
        const since = now()
        yield* until(() => acks > from + 1_000 && victims.every(({ name }) => (lastAck.get(name) ?? 0) > since))
        const killed = now()
        yield* Effect.forEach(victims, (victim) => victim.kill, { concurrency: "unbounded", discard: true })
        kills += victims.length
        for (const { name } of victims) firstSince.delete(name)
        yield* Effect.sleep(300)
        storm = false
        yield* Effect.forEach(
          victims,
          (victim) =>
            Effect.gen(function* () {
              // On a machine with too much to do a broker may not be up in time; that says nothing of the client.
              yield* Effect.retry(victim.start, { times: 3 })
              const back = now()
              downs.push(back - killed)
              yield* until(() => firstSince.has(victim.name))
              recoveries.push(Math.max(0, (firstSince.get(victim.name) ?? 0) - back))
            }),
          { concurrency: "unbounded", discard: true }
        )
        const worst = recoveries.at(-1) ?? 0
        if (worst > RECOVERY_LIMIT_MILLIS + RECOVERY_GRACE_MILLIS) {
          ledger.violation(`after kill ${kills} a broker served again and got its first send only ${worst} ms later`)
        }
        say(
          `kill ${kills}: ${ledger.sent()} sent, ${acks} acknowledged, down ${downs.at(-1)} ms, ` +
            `first acknowledgement ${worst} ms after it served again`
        )
      })
    for (let round = 0; kills < options.kills; round++) {
      const victim = cluster.brokers[round % cluster.brokers.length]
      yield* strike(round % BOTH === BOTH - 1 || victim === undefined ? cluster.brokers : [victim])
    }
    killing = false
    yield* Fiber.join(load)
    const seconds = (now() - began) / 1_000
    yield* Effect.sleep(2_000)

    yield* routed(cluster.brokers.length)
    for (const { name } of cluster.brokers) {
      for (let queueId = 0; queueId < QUEUES; queueId++) {
        for (const message of yield* observer.readQueue(MessageQueue.make(TOPIC, name, queueId))) {
          const copy = copyOf(ledger, name, message)
          if (copy !== undefined && !ledger.copy(copy)) ledger.violation(`message ${copy.n} is stored and did not end`)
        }
      }
    }
    say(`down after a kill: ${spread(downs)}; first acknowledgement after it served again: ${spread(recoveries)}`)
    return { findings: ledger.findings(), seconds, kills, recoveries, sent: ledger.sent() }
  })

const services = Layer.mergeAll(
  RocketMQ.layer({ version: "5.5.0", brokers: [{ name: "broker-a" }, { name: "broker-b" }] }),
  MQClientManager.layerTcp,
  TcpWire.layer
)

/** Runs it: two masters, one name server, two producers with the default times. */
export const run = (options: RocketMQOptions): Promise<Outcome> =>
  program(options).pipe(
    Effect.scoped,
    Effect.provide(services),
    Effect.map(({ findings, kills, recoveries, seconds, sent }) => ({
      summary: `RocketMQ 5.5.0: ${sent} messages and ${kills} kills in ${seconds.toFixed(0)} s, ${sayFindings(findings)}, recovery: ${spread(recoveries)}`,
      violations: findings.violations
    })),
    Random.withSeed(options.seed),
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.runPromise
  )
