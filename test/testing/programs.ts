import { Clock, Effect, Exit, Queue, Random } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import type { StartError } from "../../src/client/ClientError.ts"
import * as Message from "../../src/message/Message.ts"
import { EmbeddedCluster, Simulation } from "../../src/testing/index.ts"

/** What is simulated in the tests of the simulation, here and in another process. */

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n)

/** Fibers that draw numbers, sleep, hand each other things and never wait; gives what each did when. */
export const interleaved = Effect.gen(function* () {
  const journal: Array<string> = []
  const queue = yield* Queue.unbounded<string>()
  const note = (text: string) => Effect.map(Clock.currentTimeMillis, (now) => void journal.push(`${now} ${text}`))
  const walker = (name: string) =>
    Effect.forEach(
      numbers(5),
      () =>
        Effect.gen(function* () {
          const millis = yield* Random.nextIntBetween(0, 20)
          yield* Effect.sleep(millis)
          yield* Queue.offer(queue, name)
          yield* note(`${name} ${millis}`)
          yield* Effect.yieldNow
        }),
      { discard: true }
    )
  const reader = Effect.forEach(numbers(20), () => Effect.flatMap(Queue.take(queue), (name) => note(`read ${name}`)), {
    discard: true
  })
  const busy = Effect.forEach(numbers(3_000), () => Effect.void, { discard: true })
  yield* Effect.all([...["a", "b", "c", "d"].map(walker), reader, Effect.andThen(busy, note("busy"))], {
    concurrency: "unbounded",
    discard: true
  })
  return journal
})

/** What a run of {@link interleaved} did. */
export const interleaving = (seed: number) =>
  Effect.map(Simulation.Run.run(seed, interleaved), ({ exit, left, steps, virtualMillis }) => ({
    journal: Exit.isSuccess(exit) ? exit.value : [],
    left,
    steps,
    virtualMillis
  }))

/** A producer that sends twenty orders one after the other while faults come and go. */
export const orders = (more: Partial<Simulation.Scenario<StartError>> = {}): Simulation.Scenario<StartError> => ({
  cluster: { topics: { orders: { readQueueNums: 2, writeQueueNums: 2 } } },
  program: ({ ledger }) =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const producer = yield* DefaultMQProducer.make({ producerGroup: "orders", namesrvAddr, readiness: "lazy" })
      yield* producer.start
      yield* Effect.addFinalizer(() => producer.shutdown)
      const { send } = ledger.watch(producer, { timeoutMillis: 3_000 })
      for (const n of numbers(20)) {
        yield* Effect.sleep(yield* Random.nextIntBetween(0, 2_000))
        yield* Effect.exit(send(Message.make({ topic: "orders", body: `order-${n}` })))
      }
    }).pipe(Effect.scoped, Effect.provide(MQClientManager.layer)),
  ...more
})
