/** How long a producer takes to close, on real sockets, with peers that live, hang or are gone. */
import { Effect, Exit, Fiber, References } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as Message from "../../src/message/Message.ts"
import { DefaultMQProducer, type DefaultMQProducerShape } from "../../src/producer/DefaultMQProducer.ts"
import { defaults } from "../../src/producer/ProducerConfig.ts"
import { leftOver, resources } from "../support/resources.ts"
import { countFibers } from "../support/rig.ts"
import * as Peers from "./Peers.ts"
import { type Outcome, say, spread } from "./Report.ts"

export interface ShutdownOptions {
  readonly rounds: number
}

/** Milliseconds that a shutdown may take besides waiting for sends. */
const IDLE_LIMIT = 1_000

/** More brokers than a shutdown could say good-bye to one after the other. */
const BROKERS = 6

type Death = "SIGSTOP" | "SIGKILL" | undefined

interface Case {
  readonly name: string
  /** What happens to the peers before the shutdown. */
  readonly death: Death
  /** Sends that are under way when it begins. */
  readonly underWay: number
  /** Whether the peers die before the producer was started, so that it is shut down in the middle of its start. */
  readonly starting?: boolean
  readonly limitMillis: number
}

const drain = defaults.drainTimeoutMillis

const cases: ReadonlyArray<Case> = [
  { name: "idle, peers alive", death: undefined, underWay: 0, limitMillis: IDLE_LIMIT },
  { name: "1,000 sends under way, peers alive", death: undefined, underWay: 1_000, limitMillis: drain + IDLE_LIMIT },
  { name: "idle, peers hang", death: "SIGSTOP", underWay: 0, limitMillis: IDLE_LIMIT },
  { name: "idle, peers killed", death: "SIGKILL", underWay: 0, limitMillis: IDLE_LIMIT },
  { name: "1,000 sends under way, peers hang", death: "SIGSTOP", underWay: 1_000, limitMillis: drain + IDLE_LIMIT },
  { name: "1,000 sends under way, peers killed", death: "SIGKILL", underWay: 1_000, limitMillis: drain + IDLE_LIMIT },
  {
    name: "in the middle of a start, peers hang",
    death: "SIGSTOP",
    underWay: 0,
    starting: true,
    limitMillis: IDLE_LIMIT
  },
  {
    name: "in the middle of a start, peers killed",
    death: "SIGKILL",
    underWay: 0,
    starting: true,
    limitMillis: IDLE_LIMIT
  }
]

/** Sends by every path, so that there is something of each to end. */
const sendMany = (producer: DefaultMQProducerShape, count: number) =>
  Effect.forEach(
    Array.from({ length: count }),
    (_, n) => {
      const message = Message.make({ topic: "endurance", body: `${n}` })
      return Effect.exit(n % 4 === 0 ? Effect.flatten(producer.sendQueued(message)) : producer.send(message))
    },
    { concurrency: "unbounded" }
  )

/** One shutdown, its time, and what is wrong with it. */
const once = ({ death, limitMillis, name, starting, underWay }: Case) =>
  Effect.gen(function* () {
    const peers = yield* Peers.start(BROKERS)
    const kill = death === undefined ? Effect.void : peers.signal(death)
    const producer = yield* DefaultMQProducer.make({
      producerGroup: "shutdown",
      namesrvAddr: peers.namesrvAddr,
      readiness: "registered",
      topics: ["endurance"],
      sendMsgTimeout: 30_000,
      startTimeoutMillis: 30_000
    })
    const violations: Array<string> = []
    let sending: Fiber.Fiber<ReadonlyArray<Exit.Exit<unknown, unknown>>> | undefined
    if (starting === true) {
      yield* kill
      const start = yield* Effect.forkChild(producer.start)
      yield* Effect.sleep(200)
      const began = performance.now()
      yield* Fiber.interrupt(start)
      yield* producer.shutdown
      return { millis: performance.now() - began, violations }
    }
    yield* producer.start
    // Every broker has a connection, and every path has been used.
    yield* sendMany(producer, 8 * BROKERS)
    yield* kill
    // A killed process's sockets end a moment later; whether the client knows already is up to chance.
    if (underWay > 0) sending = yield* Effect.forkChild(sendMany(producer, underWay), { startImmediately: true })
    const began = performance.now()
    yield* producer.shutdown
    const millis = performance.now() - began
    if (sending !== undefined) {
      const exits = yield* Fiber.join(sending)
      const late = performance.now() - began
      if (late > limitMillis + 100) violations.push(`the last send ended after ${Math.round(late)} ms`)
      const failed = exits.filter(Exit.isFailure).length
      if (death === undefined && failed > 0) violations.push(`${failed} sends failed although the peers live`)
    }
    const state = yield* producer.serviceState
    if (state !== "SHUTDOWN_ALREADY") violations.push(`its state is ${state}`)
    if (millis > limitMillis) violations.push(`it took ${Math.round(millis)} ms, at most ${limitMillis} are allowed`)
    return { millis, violations: violations.map((text) => `${name}: ${text}`) }
  }).pipe(Effect.scoped)

const program = ({ rounds }: ShutdownOptions, fibers: () => number) =>
  Effect.gen(function* () {
    const violations: Array<string> = []
    let worstIdle = 0
    let worstBusy = 0
    for (const each of cases) {
      const millis: Array<number> = []
      yield* Effect.sleep(200)
      const before = resources(fibers)
      for (let round = 0; round < rounds; round++) {
        const result = yield* once(each)
        millis.push(result.millis)
        violations.push(...result.violations)
      }
      yield* Effect.sleep(500)
      violations.push(...leftOver(before, resources(fibers)).map((text) => `${each.name}: left over, ${text}`))
      const worst = Math.max(...millis)
      if (each.underWay > 0) worstBusy = Math.max(worstBusy, worst)
      else worstIdle = Math.max(worstIdle, worst)
      say(`${each.name}: ${spread(millis)} (limit ${each.limitMillis} ms)`)
    }
    return {
      summary: `${cases.length * rounds} shutdowns: idle at most ${Math.round(worstIdle)} ms, with sends under way at most ${Math.round(worstBusy)} ms (drain bound ${drain} ms)`,
      violations
    }
  })

/** Runs it. */
export const run = (options: ShutdownOptions): Promise<Outcome> => {
  const fibers = countFibers()
  return program(options, fibers.live).pipe(
    Effect.provide(MQClientManager.layerTcp),
    fibers.provide,
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.runPromise
  )
}
