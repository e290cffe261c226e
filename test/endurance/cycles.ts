/** A producer, or a consumer, that is started, used and shut down again and again, in a process that otherwise does nothing. */
import { Effect, Layer, References, type Scope } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as Message from "../../src/message/Message.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { describe, leftOver, resources } from "../support/resources.ts"
import { countFibers } from "../support/rig.ts"
import * as Peers from "./Peers.ts"
import { type Outcome, say, spread } from "./Report.ts"

export interface CyclesOptions {
  readonly count: number
}

/** Cycles before the baseline is taken: what is compiled and cached once is no leak. */
const WARM_UP = 500

/** What the heap may have grown by, from the baseline to the end. */
const HEAP_LIMIT_MIB = 1

/** One life of a producer: it starts, sends by every path that keeps something, and closes. */
const cycle = (namesrvAddr: string, index: number) =>
  Effect.gen(function* () {
    const producer = yield* DefaultMQProducer
    const message = Message.make({ topic: "endurance", body: `cycle ${index}` })
    yield* producer.send(message)
    if (index % 3 === 0) yield* producer.sendBatch([message, message])
    if (index % 3 === 1) yield* producer.sendOneway(message)
    if (index % 3 === 2) yield* Effect.flatten(producer.sendQueued(message))
  }).pipe(
    Effect.provide(
      DefaultMQProducer.layer({
        producerGroup: `cycle-${index % 7}`,
        namesrvAddr,
        readiness: index % 2 === 0 ? "nameServer" : "registered",
        topics: ["endurance"],
        autoBatch: index % 5 === 0,
        sendLatencyEnable: index % 4 === 0,
        startDetectorEnable: index % 4 === 0,
        enableTrace: index % 10 === 0
      }).pipe(Layer.provide(MQClientManager.layerTcp)),
      { local: true }
    )
  )

/** A closed socket needs some turns of the event loop before its handle is gone. */
const turns = Effect.sleep(300)

/** Gives the one life that is led again and again; `index` says which one it is. What it needs is there for all of them. */
export type Prepare<E, E2> = (
  peers: Peers.Peers
) => Effect.Effect<(index: number) => Effect.Effect<void, E2, Scope.Scope>, E, Scope.Scope>

const program = <E, E2>(prepare: Prepare<E, E2>, { count }: CyclesOptions, fibers: () => number) =>
  Effect.gen(function* () {
    const peers = yield* Peers.start()
    const life = yield* prepare(peers)
    const violations: Array<string> = []
    const millis: Array<number> = []
    const many = (from: number, to: number) =>
      Effect.gen(function* () {
        for (let index = from; index < to; index++) {
          const began = performance.now()
          yield* Effect.scoped(life(index))
          millis.push(performance.now() - began)
        }
        yield* turns
      })
    yield* many(0, WARM_UP)
    const before = resources(fibers)
    const peersBefore = yield* peers.look
    millis.length = 0
    say(`after ${WARM_UP} cycles to warm up: ${describe(before)}`)
    let after = before
    for (let done = 0; done < count; done += Math.ceil(count / 10)) {
      const to = Math.min(count, done + Math.ceil(count / 10))
      yield* many(WARM_UP + done, WARM_UP + to)
      after = resources(fibers)
      say(`after ${to} more: ${describe(after)}`)
      violations.push(...leftOver(before, after).map((text) => `after ${to} cycles, ${text}`))
    }
    const growth = after.heapMiB - before.heapMiB
    if (growth > HEAP_LIMIT_MIB) violations.push(`the heap grew by ${growth.toFixed(2)} MiB in ${count} cycles`)
    const peersAfter = yield* peers.look
    say(`the peers know ${peersAfter.clients} clients and hold ${peersAfter.sockets} sockets`)
    if (peersAfter.clients > 0) violations.push(`the brokers still know ${peersAfter.clients} clients`)
    if (peersAfter.sockets > peersBefore.sockets) violations.push(`the peers hold ${peersAfter.sockets} sockets`)
    return {
      summary: `${count} cycles: ${spread(millis)} each, heap ${growth >= 0 ? "+" : ""}${growth.toFixed(2)} MiB, ${violations.length} kinds of things left`,
      violations
    }
  })

/** Leads so many lives, and compares what the process holds with the time before. */
export const repeated = <E, E2>(prepare: Prepare<E, E2>, options: CyclesOptions): Promise<Outcome> => {
  const fibers = countFibers()
  return program(prepare, options, fibers.live).pipe(
    Effect.scoped,
    fibers.provide,
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.runPromise
  )
}

/** Runs it with producers. */
export const run = (options: CyclesOptions): Promise<Outcome> =>
  repeated(({ namesrvAddr }) => Effect.succeed((index) => cycle(namesrvAddr, index)), options)
