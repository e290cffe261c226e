import { Cause, Effect, Random, Stream } from "effect"
import type { Scope } from "effect"
import { DefaultMQProducer, type DefaultMQProducerShape } from "../../src/producer/DefaultMQProducer.ts"
import * as LocalTransactionState from "../../src/producer/transaction/LocalTransactionState.ts"
import type { ProducerOptions } from "../../src/producer/ProducerConfig.ts"
import { TransactionMQProducer } from "../../src/producer/TransactionMQProducer.ts"
import type { MQClientManager } from "../../src/client/MQClientManager.ts"
import type { StartError } from "../../src/client/ClientError.ts"
import * as Message from "../../src/message/Message.ts"
import * as MessageDelay from "../../src/message/MessageDelay.ts"
import type { World } from "../../src/testing/Simulation.ts"

/** What the simulated producers do while faults come and go: each kind of message has a producer, a topic and a rhythm. */

/** Milliseconds that a send may take. */
export const TIMEOUT = 3_000

/** Small caps, so that they bind. */
export const IN_FLIGHT = 4
export const BACK_PRESSURE = 6

/** Milliseconds between two looks at the routes and between two heartbeats: short, so that many of them meet a fault. */
export const INTERVAL = 10_000

/** A random pause, in milliseconds; often none, so that bursts come up as well. */
const pause = (most: number) =>
  Effect.flatMap(Random.nextIntBetween(-most, most), (millis) => (millis > 0 ? Effect.sleep(millis) : Effect.void))

const times = (count: number) => Array.from({ length: count }, (_, index) => index)

/** Starts a producer as a service would that has to come up: a start that fails is tried again with a new producer. */
export const running = <P extends Pick<DefaultMQProducerShape, "start" | "shutdown">>(
  make: Effect.Effect<P, never, MQClientManager>
): Effect.Effect<P, StartError, MQClientManager | Scope.Scope> =>
  Effect.retry(
    Effect.acquireRelease(
      Effect.flatMap(make, (producer) => Effect.as(producer.start, producer)),
      (producer) => producer.shutdown,
      { interruptible: true }
    ),
    { times: 60, while: () => Effect.as(Effect.sleep(500), true) }
  )

/** A producer of the cluster, with everything that all of them have in common. */
export const producer = (namesrvAddr: string, options: Partial<ProducerOptions>) =>
  running(
    DefaultMQProducer.make({
      producerGroup: "simulated",
      namesrvAddr,
      sendMsgTimeout: TIMEOUT,
      pollNameServerInterval: INTERVAL,
      heartbeatBrokerInterval: INTERVAL,
      ...options,
      remoting: { maxInFlightRequests: IN_FLIGHT, ...options.remoting }
    })
  )

/** One send after the other for each key, the keys side by side. */
export const ordered = (world: World, { send }: DefaultMQProducerShape) =>
  Effect.forEach(
    ["red", "green", "blue"],
    (key) =>
      Effect.forEach(times(8), (n) => {
        const message = Message.make({ topic: "ordered", body: `${key}-${n}`, keys: key })
        return pause(2_500).pipe(
          Effect.andThen(
            Effect.exit(
              world.ledger.record(message, send(message, { orderingKey: key }), {
                orderingKey: key,
                timeoutMillis: TIMEOUT
              })
            )
          )
        )
      }),
    { concurrency: "unbounded", discard: true }
  )

/** Bursts of single messages, with and without an acknowledgement. */
export const plain = (world: World, { send, sendOneway }: DefaultMQProducerShape) =>
  Effect.forEach(
    times(30),
    (n) =>
      Effect.gen(function* () {
        yield* pause(20_000)
        const message = Message.make({ topic: "plain", body: `plain-${n}`, properties: { n: `${n}` } })
        const timeoutMillis = yield* Random.nextIntBetween(50, TIMEOUT)
        yield* Effect.exit(
          n % 6 === 0
            ? world.ledger.recordOneway(message, sendOneway(message, { timeoutMillis }), { timeoutMillis })
            : world.ledger.record(message, send(message, { timeoutMillis }), { timeoutMillis })
        )
      }),
    { concurrency: "unbounded", discard: true }
  )

/** Batches that are one send. */
export const batched = (world: World, { sendBatch }: DefaultMQProducerShape) =>
  Effect.forEach(
    times(8),
    (n) =>
      Effect.gen(function* () {
        yield* pause(3_000)
        const size = yield* Random.nextIntBetween(1, 5)
        const messages = times(size).map((part) => Message.make({ topic: "batched", body: `batch-${n}-${part}` }))
        yield* Effect.exit(world.ledger.recordBatch(messages, sendBatch(messages), { timeoutMillis: TIMEOUT }))
      }),
    { discard: true }
  )

/** Single messages that the producer gathers by itself. */
export const gathered = (world: World, { send }: DefaultMQProducerShape) =>
  Effect.forEach(
    times(24),
    (n) => {
      const message = Message.make({ topic: "batched", body: `gathered-${n}` })
      return Effect.andThen(
        pause(15_000),
        Effect.exit(world.ledger.record(message, send(message), { timeoutMillis: TIMEOUT }))
      )
    },
    { concurrency: "unbounded", discard: true }
  )

/** A stream that is sent in order, several messages under way at once. */
export const streamed = (world: World, { sendAll, sendQueued }: DefaultMQProducerShape) =>
  Effect.gen(function* () {
    const failed: Array<string> = []
    const messages = times(10).map((n) => Message.make({ topic: "streamed", body: `streamed-${n}` }))
    const results = yield* Stream.runCollect(sendAll(Stream.fromIterable(messages), { concurrency: 3 })).pipe(
      Effect.catchCause((cause) => Effect.sync(() => (failed.push(Cause.pretty(cause)), [])))
    )
    if (failed.length === 0 && results.length !== messages.length) {
      yield* world.violation("stream", `${results.length} results for ${messages.length} messages`)
    }
    for (const n of times(10)) {
      const message = Message.make({ topic: "plain", body: `queued-${n}` })
      const accepted = sendQueued(message).pipe(Effect.flatten)
      yield* pause(1_000)
      yield* Effect.exit(world.ledger.record(message, accepted, { timeoutMillis: 2 * TIMEOUT }))
    }
  })

/** Messages that wait on the broker: by level, by a duration, or until a time that may have passed. */
export const delayed = (world: World, { send }: DefaultMQProducerShape) =>
  Effect.forEach(
    times(10),
    (n) =>
      Effect.gen(function* () {
        yield* pause(4_000)
        const delay =
          n % 2 === 0
            ? MessageDelay.level(yield* Random.nextIntBetween(1, 3))
            : MessageDelay.by(yield* Random.nextIntBetween(1, 30_000))
        const message = Message.make({ topic: "delayed", body: `delayed-${n}`, delay })
        yield* Effect.exit(world.ledger.record(message, send(message), { timeoutMillis: TIMEOUT }))
      }),
    { discard: true }
  )

/** Transactions that commit, roll back, or lose their way; `truth` is the database that checks look into. */
export const transactional = (world: World, namesrvAddr: string) =>
  Effect.gen(function* () {
    const truth = new Map<string, boolean>()
    const { transaction } = yield* running(
      TransactionMQProducer.make({
        producerGroup: "transactional",
        namesrvAddr,
        topics: ["transactional"],
        readiness: "nameServer",
        sendMsgTimeout: TIMEOUT,
        checkLocalTransaction: ({ keys }) =>
          Effect.sync(() =>
            truth.get(keys[0] ?? "") === true
              ? LocalTransactionState.COMMIT_MESSAGE
              : LocalTransactionState.ROLLBACK_MESSAGE
          )
      })
    )
    yield* Effect.forEach(
      times(10),
      (n) => {
        const id = `transaction-${n}`
        const local = Effect.gen(function* () {
          yield* pause(2_000)
          const commits = yield* Random.nextBoolean
          if (!commits) yield* Effect.fail("no")
          truth.set(id, true)
        })
        const message = Message.make({ topic: "transactional", body: id, keys: id })
        return Effect.andThen(
          pause(10_000),
          Effect.exit(world.ledger.recordTransaction(message, transaction(message, local)))
        )
      },
      { concurrency: 3, discard: true }
    )
  })

/** A service that is deployed again and again: starts, sends, and is shut down with sends under way. */
export const restarting = (world: World, namesrvAddr: string) =>
  Effect.forEach(
    times(5),
    (round) =>
      Effect.gen(function* () {
        yield* pause(3_000)
        yield* Effect.exit(
          Effect.scoped(
            Effect.gen(function* () {
              const { send } = yield* producer(namesrvAddr, { producerGroup: "restarting", drainTimeoutMillis: 500 })
              for (const n of times(4)) {
                const message = Message.make({ topic: "plain", body: `restarting-${round}-${n}` })
                yield* Effect.forkChild(world.ledger.record(message, send(message), { timeoutMillis: TIMEOUT }))
              }
              yield* pause(1_000)
            })
          ).pipe(Effect.timeout(20_000))
        )
      }),
    { discard: true }
  )
