import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, FileSystem, Logger, Path, Scope } from "effect"
import { TestClock } from "effect/testing"
import { MQAdmin } from "../../src/admin/MQAdmin.ts"
import * as ConsumeResult from "../../src/consumer/ConsumeResult.ts"
import type { PushConsumerOptions } from "../../src/consumer/ConsumerOptions.ts"
import * as LocalOffsetStore from "../../src/consumer/offset/LocalOffsetStore.ts"
import * as MessageListener from "../../src/consumer/MessageListener.ts"
import { type OffsetStore, OffsetStoreError } from "../../src/consumer/offset/OffsetStore.ts"
import * as Message from "../../src/message/Message.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { disk, type Files } from "./offset/disk.ts"
import { commits, consume, namesrvAddr, rig, text } from "./support.ts"

const broadcasting = { messageModel: "BROADCASTING", consumeFromWhere: "first" } as const

const send = Effect.fnUntraced(function* (...bodies: ReadonlyArray<string>) {
  const producer = yield* DefaultMQProducer
  for (const body of bodies) yield* producer.send(Message.make({ topic: "orders", body }))
})

/** A member with what it was given. */
const member = Effect.fnUntraced(function* (instanceName: string, options: Partial<PushConsumerOptions> = {}) {
  const seen: Array<string> = []
  const consumer = yield* consume((message) => Effect.sync(() => void seen.push(text(message))), {
    ...broadcasting,
    instanceName,
    ...options
  })
  return { ...consumer, seen }
})

const bodies = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => String(from + index))
const sorted = (seen: ReadonlyArray<string>) => seen.toSorted((a, b) => Number(a) - Number(b))

/** A store whose writes can be made to fail. */
const breakable = () => {
  const inner = LocalOffsetStore.memory()
  const state = { broken: false, writes: 0 }
  const store: OffsetStore = {
    ...inner,
    persist: (group, entry) =>
      Effect.suspend(() => {
        if (!state.broken) {
          state.writes++
          return inner.persist(group, entry)
        }
        const queue = MessageQueue.key(entry.queue)
        return Effect.fail(
          new OffsetStoreError({ operation: "persist", group, queue, detail: "the disk is full", cause: "none" })
        )
      })
  }
  return { store, state }
}

describe("a group that broadcasts", () => {
  it.effect("gives every message to every member, asks for no members, and keeps nothing on the brokers", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      yield* send(...bodies(0, 8))
      const first = yield* member("first")
      yield* first.caughtUp()
      // The second waits for nobody: all queues are its own as well.
      const second = yield* member("second")
      yield* second.caughtUp()
      yield* send(...bodies(8, 16))
      yield* first.caughtUp()
      yield* second.caughtUp()
      for (const { seen } of [first, second]) assert.deepStrictEqual(sorted(seen), bodies(0, 16))
      assert.deepStrictEqual(
        (yield* first.assignment).map(({ queueId }) => queueId),
        [0, 1, 2, 3]
      )
      const state = yield* second.state
      assert.deepStrictEqual(state.problems, [])
      assert.deepStrictEqual(state.members, [])
      assert.strictEqual((yield* first.state).counters.rebalances, 1)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* commits(), [])
      assert.deepStrictEqual(
        yield* traffic.matching({
          code: [
            RequestCode.GET_CONSUMER_LIST_BY_GROUP,
            RequestCode.QUERY_CONSUMER_OFFSET,
            RequestCode.UPDATE_CONSUMER_OFFSET,
            RequestCode.CONSUMER_SEND_MSG_BACK
          ]
        }),
        []
      )
      assert.deepStrictEqual(yield* traffic.matching({ topic: "%RETRY%billing" }), [])
      const admin = yield* MQAdmin
      const { connections, messageModel, subscriptions } = yield* admin.examineConsumerConnectionInfo("billing")
      assert.deepStrictEqual(
        [connections.length, messageModel, subscriptions.map(({ topic }) => topic)],
        [2, "BROADCASTING", ["orders"]]
      )
    }).pipe(Effect.scoped, Effect.provide(MQAdmin.layer({ namesrvAddr })), Effect.provide(rig()))
  )

  it.effect("R29: what fails in whatever way is finished, told and counted, and never comes again", () => {
    const lines: Array<string> = []
    return Effect.gen(function* () {
      yield* send(...bodies(0, 8))
      const seen: Array<string> = []
      const consumer = yield* consume(
        (message) =>
          Effect.suspend(() => {
            const body = text(message)
            seen.push(body)
            switch (body) {
              case "0":
                return Effect.fail("no")
              case "1":
                return Effect.die("no")
              case "2":
                return Effect.interrupt
              case "3":
                return Effect.never
              case "4":
                return Effect.succeed(ConsumeResult.reconsumeLater("1 second"))
              case "5":
                return Effect.succeed(ConsumeResult.deadLetter("no"))
              default:
                return Effect.void
            }
          }),
        { ...broadcasting, consumeTimeout: "1 minute" }
      )
      yield* TestClock.adjust("2 minutes")
      yield* consumer.caughtUp()
      yield* TestClock.adjust("1 hour")
      const { counters, problems, queues } = yield* consumer.state
      assert.deepStrictEqual(sorted(seen), bodies(0, 8))
      assert.deepInclude(counters, {
        succeeded: 2,
        failures: 1,
        defects: 2,
        timeouts: 1,
        abandoned: 6,
        sendBackFailures: 0,
        redelivered: 0
      })
      assert.deepStrictEqual(problems, [])
      assert.deepStrictEqual(
        queues.map(({ cached, consumeOffset }) => [consumeOffset, cached]),
        [0, 1, 2, 3].map(() => [2, 0])
      )
      assert.strictEqual(lines.filter((line) => line.includes("so it does not come again")).length, 6)
      assert.deepStrictEqual(
        lines.filter((line) => line.includes("comes again")),
        []
      )
      const { messages } = yield* EmbeddedCluster
      assert.deepStrictEqual(yield* messages("%DLQ%billing"), [])
    }).pipe(
      Effect.scoped,
      Effect.provide(rig()),
      Effect.provide(Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))]))
    )
  })

  it.effect("begins each start where consumeFromWhere says, and says that this is so", () => {
    const lines: Array<string> = []
    return Effect.gen(function* () {
      yield* send(...bodies(0, 4))
      yield* TestClock.adjust("10 seconds")
      yield* send(...bodies(4, 8))
      for (const [from, count] of [
        ["last", 0],
        ["first", 8],
        [{ timestamp: 5_000 }, 4]
      ] as const) {
        const seen = yield* Effect.scoped(
          Effect.gen(function* () {
            const consumer = yield* member("one", { consumeFromWhere: from })
            yield* consumer.caughtUp()
            return consumer.seen
          })
        )
        assert.strictEqual(seen.length, count)
      }
      assert.strictEqual(lines.filter((line) => line.includes("keeps its offsets in memory")).length, 3)
    }).pipe(
      Effect.scoped,
      Effect.provide(rig()),
      Effect.provide(Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))]))
    )
  })

  it.effect("goes on where it was with a store that outlives it; timer 4 and the end write what moved", () =>
    Effect.gen(function* () {
      const { state, store } = breakable()
      const scope = yield* Scope.make()
      const first = yield* Scope.provide(member("one", { offsetStore: store, consumeFromWhere: "last" }), scope)
      const located = state.writes
      assert.strictEqual(located, 4)
      yield* send(...bodies(0, 4))
      yield* first.caughtUp()
      assert.strictEqual(state.writes, located)
      yield* TestClock.adjust("15 seconds")
      assert.strictEqual(state.writes, located + 4)
      assert.strictEqual(yield* store.load("billing", MessageQueue.make("orders", "broker-a", 1)), 1)
      yield* send(...bodies(4, 8))
      yield* first.caughtUp()
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(state.writes, located + 8)
      yield* send(...bodies(8, 12))
      const second = yield* member("one", { offsetStore: store, consumeFromWhere: "last" })
      yield* second.caughtUp()
      assert.deepStrictEqual(sorted(second.seen), bodies(8, 12))
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("C-53: a store that cannot write is a problem; offsets go on in memory, and are written once it can", () =>
    Effect.gen(function* () {
      const { state, store } = breakable()
      const consumer = yield* member("one", { offsetStore: store })
      state.broken = true
      yield* send(...bodies(0, 8))
      yield* consumer.caughtUp()
      yield* TestClock.adjust("10 minutes")
      const { counters, problems, queues } = yield* consumer.state
      assert.deepStrictEqual(
        problems.map(({ key }) => key),
        [0, 1, 2, 3].map((id) => `persist orders@broker-a@${id}`)
      )
      assert.include(problems[0]?.text, "the disk is full")
      assert.isFalse(yield* consumer.healthy)
      assert.isAbove(counters.commitFailures, 4)
      assert.deepStrictEqual(
        queues.map(({ consumeOffset }) => consumeOffset),
        [2, 2, 2, 2]
      )
      yield* send(...bodies(8, 12))
      yield* consumer.caughtUp()
      assert.strictEqual(consumer.seen.length, 12)
      state.broken = false
      yield* TestClock.adjust("10 seconds")
      assert.isTrue(yield* consumer.healthy)
      assert.strictEqual(yield* store.load("billing", MessageQueue.make("orders", "broker-a", 0)), 3)
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("C-53: offsets that are damaged are a problem, and nothing is read until they are mended", () =>
    Effect.gen(function* () {
      const files: Files = new Map()
      const onDisk = LocalOffsetStore.file({ directory: "/offsets", identity: "one" }).pipe(
        Effect.provideService(FileSystem.FileSystem, disk(files, Infinity).fs),
        Effect.provide(Path.layer)
      )
      const round = Effect.gen(function* () {
        const one = yield* member("one", { offsetStore: yield* onDisk, consumeFromWhere: "last" })
        yield* one.caughtUp()
        return one.seen
      })
      yield* Effect.scoped(round)
      yield* send(...bodies(0, 4))
      assert.deepStrictEqual(sorted(yield* Effect.scoped(round)), bodies(0, 4))
      yield* send(...bodies(4, 8))
      const whole = new Map([...files].map(([path, file]) => [path, file.bytes]))
      for (const file of files.values()) file.bytes = file.bytes.slice(0, -20)
      const consumer = yield* member("one", { offsetStore: yield* onDisk, consumeFromWhere: "first" })
      yield* TestClock.adjust("10 minutes")
      const { counters, problems } = yield* consumer.state
      assert.deepStrictEqual(
        problems.map(({ key }) => key),
        [0, 1, 2, 3].map((id) => `locate orders@broker-a@${id}`)
      )
      assert.include(problems[0]?.text, "restore one of them")
      assert.deepStrictEqual([counters.pulls, consumer.seen.length], [0, 0])
      for (const [path, file] of files) file.bytes = whole.get(path) ?? file.bytes
      yield* TestClock.adjust("1 minute")
      yield* consumer.caughtUp()
      assert.deepStrictEqual(sorted(consumer.seen), bodies(4, 8))
      assert.isTrue(yield* consumer.healthy)
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  for (const kind of ["memory", "own"] as const) {
    it.effect(`C-53: a broker that is gone for an hour and comes back is read on where it was, ${kind}`, () =>
      Effect.gen(function* () {
        const { startBroker, stopBroker } = yield* EmbeddedCluster
        const { store } = breakable()
        const consumer = yield* member("one", kind === "memory" ? {} : { offsetStore: store })
        yield* send(...bodies(0, 16))
        yield* consumer.caughtUp()
        yield* stopBroker("broker-b")
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(
          new Set((yield* consumer.assignment).map(({ brokerName }) => brokerName)),
          new Set(["broker-a"])
        )
        yield* send(...bodies(16, 20))
        yield* consumer.caughtUp()
        yield* startBroker("broker-b")
        yield* TestClock.adjust("2 minutes")
        assert.strictEqual((yield* consumer.assignment).length, 8)
        yield* send(...bodies(20, 36))
        yield* consumer.caughtUp()
        assert.deepStrictEqual(sorted(consumer.seen), bodies(0, 36))
        assert.deepStrictEqual((yield* consumer.state).problems, [])
      }).pipe(Effect.scoped, Effect.provide(rig({ brokers: [{ name: "broker-a" }, { name: "broker-b" }] })))
    )
  }

  it.effect(
    "in order: without locks, a message that fails is tried again here, and given up after maxReconsumeTimes",
    () =>
      Effect.gen(function* () {
        const { traffic } = yield* EmbeddedCluster
        const producer = yield* DefaultMQProducer
        const queue = MessageQueue.make("orders", "broker-a", 1)
        for (const body of bodies(0, 4)) yield* producer.send(Message.make({ topic: "orders", body }), { queue })
        const members = yield* Effect.forEach(["first", "second"], (instanceName) =>
          Effect.gen(function* () {
            const seen: Array<string> = []
            const listener = MessageListener.orderly((message) => {
              seen.push(text(message))
              return text(message) === "1" ? Effect.fail("no") : Effect.void
            })
            const options = { ...broadcasting, maxReconsumeTimes: 2, instanceName } as const
            return { ...(yield* consume(listener, options)), seen }
          })
        )
        yield* TestClock.adjust("10 seconds")
        for (const { seen, state } of members) {
          assert.deepStrictEqual(seen, ["0", "1", "1", "1", "2", "3"])
          const { counters, queues } = yield* state
          assert.deepInclude(counters, { succeeded: 3, abandoned: 1 })
          assert.strictEqual(queues[1]?.consumeOffset, 4)
        }
        assert.deepStrictEqual(
          yield* traffic.matching({ code: [RequestCode.LOCK_BATCH_MQ, RequestCode.UNLOCK_BATCH_MQ] }),
          []
        )
      }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("reads queues that a topic gets later", () =>
    Effect.gen(function* () {
      const { createTopic } = yield* EmbeddedCluster
      const consumer = yield* member("one")
      yield* createTopic("orders", { readQueueNums: 6, writeQueueNums: 6 })
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual((yield* consumer.assignment).length, 6)
      yield* send(...bodies(0, 12))
      yield* consumer.caughtUp()
      assert.deepStrictEqual(sorted(consumer.seen), bodies(0, 12))
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )
})
