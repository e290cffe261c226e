/** A virtual day of members of every kind: each period is held to the exact count, and nothing may grow. */
import assert from "node:assert/strict"
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
/** So many messages an hour. */
const MESSAGES = 6

/** How members consume; each kind has a group of its own. */
const kinds = ["concurrent", "orderly", "batch", "keyed", "stream", "lite", "broadcast"] as const
type Kind = (typeof kinds)[number]

/** What a day is made of. */
export interface DayOptions {
  /** How many members each kind has. */
  readonly members: Readonly<Record<Kind, number>>
  /** Queues of the topic; at least as many as a group has members, so that each has one. */
  readonly queues: number
  readonly hours: number
  /** Is told of each hour that has passed. */
  readonly passed?: (hour: number, counts: Readonly<Record<string, number>>) => void
}

/** How often something comes in an hour that comes every so many seconds. */
const every = (seconds: number) => 3_600 / seconds

/** Members that share a group ask for each topic, one that is alone asks twice. */
const asks = (count: number) => (count === 1 ? 2 : count)

/** The requests of an hour in which there are {@link MESSAGES}: nothing but what the periods make of it. */
const hourly = ({ members, queues }: DayOptions) => {
  const { broadcast, lite } = members
  /** Kinds whose group reads its retry topic as well. */
  const retrying = ["concurrent", "orderly", "batch", "keyed", "stream"] as const
  const all = kinds.reduce((sum, kind) => sum + members[kind], 0)
  const sum = (of: (members: number) => number) => retrying.reduce((total, kind) => total + of(members[kind]), 0)
  return {
    SEND_MESSAGE_V2: MESSAGES,
    // A broker holds a pull for 15 s. Of each retry topic there is a queue, those that broadcast read all queues, and a message
    // ends a pull of each who reads it.
    PULL_MESSAGE:
      every(15) * (retrying.length * (queues + 1) + broadcast * queues) + MESSAGES * (retrying.length + broadcast),
    // One who asks lets it be held for 20 s.
    LITE_PULL_MESSAGE: every(20) * queues + MESSAGES,
    // Of the topic and, where there is one, of the retry topic; the producer knows two topics.
    GET_ROUTEINFO_BY_TOPIC: every(30) * (sum((count) => count * 2) + broadcast + lite + 2),
    HEART_BEAT: every(30) * (all + 1),
    GET_CONSUMER_LIST_BY_GROUP: every(20) * (sum((count) => asks(count) * 2) + asks(lite)),
    // Who shares a group asks the others what they subscribe to.
    GET_CONSUMER_RUNNING_INFO: every(60) * (sum((count) => count * (count - 1)) + lite * (lite - 1)),
    LOCK_BATCH_MQ: every(20) * members.orderly,
    // What has moved is written once; those that broadcast write to a place of their own.
    UPDATE_CONSUMER_OFFSET: MESSAGES * (retrying.length + 1)
  }
}

const options = (kind: Kind, name: string) => ({
  consumerGroup: kind,
  instanceName: name,
  namesrvAddr,
  consumeFromWhere: "first" as const,
  readiness: "lazy" as const
})

/** Runs it, and fails where anything does not hold. Gives how many requests there were of each kind. */
export const day = (given: DayOptions) =>
  Effect.gen(function* () {
    const { hours, members, passed, queues } = given
    const fibers = countFibers()
    const { clients, traffic } = yield* EmbeddedCluster
    const network = yield* MemoryNetwork
    return yield* Effect.gen(function* () {
      const seen = new Map<string, Array<string>>()
      const note = (name: string) => {
        const own: Array<string> = []
        seen.set(name, own)
        return (received: { readonly body: Uint8Array }) => Effect.sync(() => void own.push(text(received)))
      }
      const writes: Array<number> = []

      const join = Effect.fnUntraced(function* (kind: Kind, name: string) {
        const noted = note(name)
        const own = options(kind, name)
        switch (kind) {
          case "concurrent":
            return yield* consume(noted, own)
          case "orderly":
            return yield* consume(MessageListener.orderly(noted), own)
          case "keyed":
            return yield* consume(MessageListener.keyed(text, noted), own)
          case "batch":
            return yield* consume(
              MessageListener.batch<never, never>({ maxSize: 4 }, (all) =>
                Effect.forEach(all, noted, { discard: true })
              ),
              own
            )
          case "broadcast": {
            const store = LocalOffsetStore.memory()
            const offsetStore = {
              ...store,
              persist: (...written: Parameters<typeof store.persist>) => {
                writes.push(written[1].offset)
                return store.persist(...written)
              }
            }
            return yield* consume(noted, { ...own, messageModel: "BROADCASTING", offsetStore })
          }
          case "stream": {
            const stream = yield* StreamMember.open({ ...own, subscriptions: [Subscription.all("orders")] })
            if (stream === undefined) return yield* Effect.die("it ended while it started")
            yield* StreamMember.deliveries(stream.handOut.take).pipe(
              Stream.mapEffect((delivery) => Effect.andThen(noted(delivery.message), delivery.ack)),
              Stream.runDrain,
              Effect.forkScoped
            )
            return stream.consumer
          }
          default: {
            const lite = yield* DefaultLitePullConsumer.make({ ...own, subscriptions: [Subscription.all("orders")] })
            yield* Effect.acquireRelease(lite.start, () => lite.shutdown)
            yield* lite.poll().pipe(
              Effect.flatMap((all) => Effect.forEach(all, noted, { discard: true })),
              Effect.forever,
              Effect.forkScoped
            )
            return lite
          }
        }
      })

      const names = kinds.flatMap((kind) =>
        Array.from({ length: members[kind] }, (_, n) => ({ kind, name: `${kind}-${n}` }))
      )
      const started = yield* Effect.forEach(names, ({ kind, name }) => join(kind, name))
      const producer = yield* startProducer({ readiness: "registered", topics: ["orders"] })
      // All have found each other by then.
      yield* TestClock.adjust(3 * MINUTE)
      const sent: Array<string> = []
      // The first write of a client to a broker is made twice: one message of each queue brings it about.
      for (let n = 0; n < queues; n++) {
        sent.push(`first ${n}`)
        yield* producer.send(message("orders", sent.at(-1)), {
          queue: { topic: "orders", brokerName: "broker-a", queueId: n }
        })
      }
      yield* TestClock.adjust(MINUTE)
      yield* settle
      yield* traffic.clear
      writes.length = 0

      const states = Effect.forEach(started, ({ state }) => state)
      const timersBefore = (yield* states).map(({ instance }) => instance?.timers.map(({ runs }) => runs) ?? [])
      const held = Effect.gen(function* () {
        const owned = (yield* states).flatMap((state) => state.queues)
        return {
          fibers: fibers.live(),
          connections: yield* network.connections(),
          clients: (yield* clients).length,
          queues: owned.length,
          cached: owned.reduce((sum, { cached }) => sum + cached, 0)
        }
      })
      const before = yield* held
      const wanted = hourly(given)
      for (let hour = 0; hour < hours; hour++) {
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
        assert.deepEqual(counts, wanted, `in hour ${hour}`)
        assert.deepEqual(yield* held, before, `after hour ${hour}`)
        passed?.(hour, counts)
      }
      // Together the members of a group got all; of one that broadcasts, each did.
      const together = kinds.flatMap((kind) => {
        const own = names.filter((one) => one.kind === kind).map(({ name }) => name)
        return kind === "broadcast" ? own.map((name) => [name]) : [own]
      })
      for (const group of together) {
        const got = group.flatMap((name) => seen.get(name) ?? [])
        assert.deepEqual(got.toSorted(), sent.toSorted(), group.join())
      }
      // One write for each message and member, each above the one before in its queue.
      assert.equal(writes.length, members.broadcast * hours * MESSAGES)
      for (const [index, { counters, instance, problems }] of (yield* states).entries()) {
        assert.deepEqual(problems, [])
        const { commitFailures, late, pullFailures, redelivered } = counters
        assert.deepEqual([pullFailures, commitFailures, late, redelivered], [0, 0, 0, 0])
        // Routes and heartbeats every 30 s, offsets every 5 s, the number of handlers every minute.
        assert.deepEqual(
          instance?.timers.map(({ failures, runs }, timer) => [runs - (timersBefore[index]?.[timer] ?? 0), failures]),
          [0, every(30), every(30), every(5), every(60)].map((runs) => [runs * hours, 0])
        )
      }
      return {
        members: started.length,
        messages: hours * MESSAGES,
        requests: hours * Object.values(wanted).reduce((sum, count) => sum + count, 0),
        held: before
      }
    }).pipe(Effect.scoped, fibers.provide)
  }).pipe(
    onMemory({
      listen: { namesrvPort: 9_876, brokerPort: 10_911 },
      topics: { orders: { readQueueNums: given.queues, writeQueueNums: given.queues } },
      recordTraffic: { limit: 1_000_000, bodies: false }
    })
  )
