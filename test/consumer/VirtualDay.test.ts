import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { TestClock } from "effect/testing"
import { DefaultLitePullConsumer } from "../../src/consumer/lite/DefaultLitePullConsumer.ts"
import * as MessageListener from "../../src/consumer/MessageListener.ts"
import * as LocalOffsetStore from "../../src/consumer/offset/LocalOffsetStore.ts"
import * as StreamMember from "../../src/consumer/StreamMember.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { MemoryNetwork } from "../../src/transport/MemoryWire.ts"
import { countFibers, onMemory, settle, startProducer, text as message } from "../support/rig.ts"
import { consume, namesrvAddr, text } from "./support.ts"

const MINUTE = 60_000
const HOURS = 24
/** So many messages an hour. */
const MESSAGES = 6
const QUEUES = 2

/** How often something comes in an hour that comes every so many seconds. */
const every = (seconds: number) => 3_600 / seconds

/** What two members of a group got together, or one alone. */
const groups = [
  ["concurrent-1", "concurrent-2"],
  ["orderly-1", "orderly-2"],
  ["broadcast-1"],
  ["broadcast-2"],
  ["batch"],
  ["keyed"],
  ["stream"],
  ["lite"]
]

/** The requests of an hour in which there are {@link MESSAGES}: nothing but what the periods make of it. */
const hourly = {
  SEND_MESSAGE_V2: MESSAGES,
  // A broker holds a pull for 15 s. Six groups read their retry topic as well, two members read all queues, and a message
  // ends a pull of each who reads it.
  PULL_MESSAGE: every(15) * (5 * (QUEUES + 1) + 2 * QUEUES) + MESSAGES * 7,
  // One who asks lets it be held for 20 s.
  LITE_PULL_MESSAGE: every(20) * QUEUES + MESSAGES,
  // Of the topic and, by seven members, of the retry topic; the producer knows two topics.
  GET_ROUTEINFO_BY_TOPIC: every(30) * (7 * 2 + 3 + 2),
  HEART_BEAT: every(30) * 11,
  // Members that share ask for each topic, those that are alone twice.
  GET_CONSUMER_LIST_BY_GROUP: every(20) * (4 * 2 + 3 * 2 * 2 + 2),
  // Who shares a group asks the other what it subscribes to.
  GET_CONSUMER_RUNNING_INFO: every(60) * 4,
  LOCK_BATCH_MQ: every(20) * 2,
  // What has moved is written once; those that broadcast write to a place of their own.
  UPDATE_CONSUMER_OFFSET: MESSAGES * 6
}

const options = (name: string) => ({
  consumerGroup: name.replace(/-.*/, ""),
  instanceName: name,
  namesrvAddr,
  consumeFromWhere: "first" as const,
  readiness: "lazy" as const
})

describe("one virtual day", () => {
  it.effect(
    "of ten members, of every kind: each period to the exact count, nothing is lost or doubled, and nothing grows",
    () =>
      Effect.gen(function* () {
        const fibers = countFibers()
        const { clients, traffic } = yield* EmbeddedCluster
        const network = yield* MemoryNetwork
        yield* Effect.gen(function* () {
          const seen = new Map<string, Array<string>>()
          const note = (name: string) => {
            const own: Array<string> = []
            seen.set(name, own)
            return (received: { readonly body: Uint8Array }) => Effect.sync(() => void own.push(text(received)))
          }
          const members = [
            yield* consume(note("concurrent-1"), options("concurrent-1")),
            yield* consume(note("concurrent-2"), options("concurrent-2")),
            yield* consume(MessageListener.orderly(note("orderly-1")), options("orderly-1")),
            yield* consume(MessageListener.orderly(note("orderly-2")), options("orderly-2")),
            yield* consume(MessageListener.keyed(text, note("keyed")), options("keyed"))
          ]
          const writes: Array<number> = []
          for (const name of ["broadcast-1", "broadcast-2"]) {
            const store = LocalOffsetStore.memory()
            const offsetStore = {
              ...store,
              persist: (...given: Parameters<typeof store.persist>) => {
                writes.push(given[1].offset)
                return store.persist(...given)
              }
            }
            members.push(
              yield* consume(note(name), { ...options(name), messageModel: "BROADCASTING" as const, offsetStore })
            )
          }
          const batch = note("batch")
          members.push(
            yield* consume(
              MessageListener.batch<never, never>({ maxSize: 4 }, (all) =>
                Effect.forEach(all, batch, { discard: true })
              ),
              options("batch")
            )
          )
          const streamed = note("stream")
          const stream = yield* StreamMember.open({ ...options("stream"), subscriptions: [Subscription.all("orders")] })
          if (stream === undefined) return yield* Effect.die("it ended while it started")
          yield* StreamMember.deliveries(stream.handOut.take).pipe(
            Stream.mapEffect((delivery) => Effect.andThen(streamed(delivery.message), delivery.ack)),
            Stream.runDrain,
            Effect.forkScoped
          )
          const polled = note("lite")
          const lite = yield* DefaultLitePullConsumer.make({
            ...options("lite"),
            subscriptions: [Subscription.all("orders")]
          })
          yield* Effect.acquireRelease(lite.start, () => lite.shutdown)
          yield* lite.poll().pipe(
            Effect.flatMap((all) => Effect.forEach(all, polled, { discard: true })),
            Effect.forever,
            Effect.forkScoped
          )
          const producer = yield* startProducer({ readiness: "registered", topics: ["orders"] })
          // All have found each other by then.
          yield* TestClock.adjust(3 * MINUTE)
          yield* settle
          yield* traffic.clear
          writes.length = 0

          const states = Effect.forEach([...members, stream.consumer, lite], ({ state }) => state)
          const timersBefore = (yield* states).map(({ instance }) => instance?.timers.map(({ runs }) => runs) ?? [])
          const held = Effect.gen(function* () {
            const queues = (yield* states).flatMap((state) => state.queues)
            return {
              fibers: fibers.live(),
              connections: yield* network.connections(),
              clients: (yield* clients).length,
              queues: queues.length,
              cached: queues.reduce((sum, { cached }) => sum + cached, 0)
            }
          })
          const before = yield* held
          const sent: Array<string> = []
          for (let hour = 0; hour < HOURS; hour++) {
            for (let minute = 0; minute < 60; minute++) {
              if (minute % (60 / MESSAGES) === 0) {
                sent.push(`${hour}:${minute}`)
                yield* producer.send(message("orders", sent.at(-1)))
              }
              yield* TestClock.adjust(MINUTE)
            }
            yield* settle
            const counts: Record<string, number> = {}
            for (const { codeName } of yield* traffic.all) counts[codeName] = (counts[codeName] ?? 0) + 1
            yield* traffic.clear
            assert.deepStrictEqual(counts, hourly, `in hour ${hour}`)
            assert.deepStrictEqual(yield* held, before, `after hour ${hour}`)
          }
          for (const together of groups) {
            const got = together.flatMap((name) => seen.get(name) ?? [])
            assert.deepStrictEqual(got.toSorted(), sent.toSorted(), together.join())
          }
          // One write for each message and member, each above the one before in its queue.
          assert.strictEqual(writes.length, 2 * sent.length)
          for (const [index, { counters, instance, problems }] of (yield* states).entries()) {
            assert.deepStrictEqual(problems, [])
            assert.deepInclude(counters, { pullFailures: 0, commitFailures: 0, late: 0, redelivered: 0 })
            // Routes and heartbeats every 30 s, offsets every 5 s, the number of handlers every minute.
            assert.deepStrictEqual(
              instance?.timers.map(({ failures, runs }, timer) => [
                runs - (timersBefore[index]?.[timer] ?? 0),
                failures
              ]),
              [0, every(30), every(30), every(5), every(60)].map((runs) => [runs * HOURS, 0])
            )
          }
          return undefined
        }).pipe(Effect.scoped, fibers.provide)
      }).pipe(
        onMemory({
          listen: { namesrvPort: 9_876, brokerPort: 10_911 },
          topics: { orders: { readQueueNums: QUEUES, writeQueueNums: QUEUES } },
          recordTraffic: { limit: 50_000, bodies: false }
        })
      ),
    600_000
  )
})
