import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Result, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { DefaultLitePullConsumer } from "../../../src/consumer/lite/DefaultLitePullConsumer.ts"
import type { LitePullOptions } from "../../../src/consumer/lite/LitePullOptions.ts"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../../src/message/Message.ts"
import * as MessageQueue from "../../../src/message/MessageQueue.ts"
import * as Topic from "../../../src/message/Topic.ts"
import { MQVersion } from "../../../src/protocol/MQVersion.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import { advance, failureOf, held, nothing, onMemory, settle, startProducer } from "../../support/rig.ts"

/** One queue, so that the order is that of the sends. */
const oneQueue = { topics: { orders: { writeQueueNums: 1, readQueueNums: 1 } } }
const onOneQueue = onMemory(oneQueue)
const queue = MessageQueue.make("orders", "broker-a", 0)

const make = (given: Partial<LitePullOptions> = {}) =>
  Effect.flatMap(EmbeddedCluster, ({ namesrvAddr }) =>
    DefaultLitePullConsumer.make({ consumerGroup: "reports", consumeFromWhere: "first", namesrvAddr, ...given })
  )

/** A started member of the group, which is shut down with the scope. */
const started = (given: Partial<LitePullOptions> = {}) =>
  Effect.tap(make(given), (consumer) => Effect.acquireRelease(consumer.start, () => consumer.shutdown))

/** One that reads all of `orders`. */
const subscribed = (given: Partial<LitePullOptions> = {}) =>
  started({ subscriptions: [Subscription.all("orders")], ...given })

const send = (...bodies: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const producer = yield* startProducer()
    for (const body of bodies) yield* producer.send(Message.make({ topic: "orders", body }))
  }).pipe(Effect.scoped)

const numbers = (count: number) => Array.from({ length: count }, (_, n) => `${n}`)
const text = ({ body }: { readonly body: Uint8Array }) => new TextDecoder().decode(body)

type Consumer = Effect.Success<ReturnType<typeof started>>

/** What the next poll gives, for which it waits as long as it takes without time going on. */
const poll = (consumer: Consumer, max = 10) => Effect.map(consumer.poll({ max }), (messages) => messages.map(text))

const stored = Effect.flatMap(EmbeddedCluster, (cluster) =>
  cluster.traffic.matching({ code: RequestCode.UPDATE_CONSUMER_OFFSET })
)

/** The offsets of `orders` that were written, in their order; the first of a group and topic goes twice. */
const written = Effect.map(stored, (requests) => requests.map(({ extFields }) => Number(extFields?.["commitOffset"])))

const recorded = onMemory({ ...oneQueue, recordTraffic: true })

describe("DefaultLitePullConsumer", () => {
  it.effect("polls what it subscribes to, in order, and goes on where it committed", () =>
    Effect.gen(function* () {
      yield* send(...numbers(5))
      yield* Effect.scoped(
        Effect.gen(function* () {
          const consumer = yield* subscribed({ autoCommit: false })
          assert.deepStrictEqual(yield* poll(consumer, 3), ["0", "1", "2"])
          assert.strictEqual(yield* consumer.position(queue), 3)
          assert.strictEqual(yield* consumer.committed(queue), 0)
          yield* consumer.commit()
          assert.strictEqual(yield* consumer.committed(queue), 3)
          assert.deepStrictEqual(yield* poll(consumer), ["3", "4"])
        })
      )
      // What the last poll gave was not committed.
      const consumer = yield* subscribed()
      assert.deepStrictEqual(yield* poll(consumer), ["3", "4"])
    }).pipe(onOneQueue)
  )

  it.effect("gives everything back", () =>
    Effect.gen(function* () {
      yield* send("0")
      yield* Effect.scoped(Effect.flatMap(subscribed(), poll))
      yield* settle
      assert.deepStrictEqual(yield* held, nothing)
    }).pipe(onOneQueue)
  )

  it.effect("a poll waits for its first message, and for no longer than it is told", () =>
    Effect.gen(function* () {
      const consumer = yield* subscribed()
      const waiting = yield* Effect.forkChild(consumer.poll(), { startImmediately: true })
      const short = yield* Effect.forkChild(consumer.poll({ timeout: "1 second" }), { startImmediately: true })
      yield* settle
      assert.deepStrictEqual(yield* consumer.poll({ timeout: 0 }), [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(short), [])
      yield* send("0")
      assert.deepStrictEqual((yield* Fiber.join(waiting)).map(text), ["0"])
      const none = yield* Effect.forkChild(consumer.poll(), { startImmediately: true })
      yield* advance(5_000)
      assert.deepStrictEqual(yield* Fiber.join(none), [])
    }).pipe(onOneQueue)
  )

  it.effect("an automatic commit covers what earlier polls gave, and is written once an interval", () =>
    Effect.gen(function* () {
      yield* send(...numbers(6))
      const consumer = yield* subscribed()
      assert.deepStrictEqual(yield* written, [0, 0])
      yield* poll(consumer, 2)
      yield* advance(5_000)
      assert.deepStrictEqual(yield* written, [0, 0], "the one poll's messages may not be done yet")
      yield* poll(consumer, 2)
      yield* settle
      assert.deepStrictEqual(yield* written, [0, 0, 2])
      yield* poll(consumer, 2)
      yield* settle
      assert.deepStrictEqual(yield* written, [0, 0, 2], "the interval is not over")
      yield* advance(5_000)
      assert.deepStrictEqual(yield* written, [0, 0, 2, 4])
      assert.deepInclude((yield* consumer.state).queues[0], {
        consumeOffset: 6,
        committableOffset: 4,
        committedOffset: 4
      })
    }).pipe(recorded)
  )

  it.effect("without autoCommit nothing is written but by commit", () =>
    Effect.gen(function* () {
      yield* send(...numbers(6))
      const consumer = yield* subscribed({ autoCommit: false })
      yield* poll(consumer, 2)
      yield* poll(consumer, 2)
      yield* advance(20_000)
      assert.deepStrictEqual(yield* written, [0, 0])
      yield* consumer.commit(new Map([[queue, 3]]))
      assert.deepStrictEqual(yield* written, [0, 0, 3])
      yield* consumer.commit([queue])
      assert.deepStrictEqual(yield* written, [0, 0, 3, 4])
      yield* consumer.commit(new Map([[queue, 1]]), { persist: false })
      assert.deepStrictEqual(yield* written, [0, 0, 3, 4])
      yield* advance(5_000)
      assert.deepStrictEqual(yield* written, [0, 0, 3, 4, 1])
    }).pipe(recorded)
  )

  it.effect("a commit that fails names the queues, what was to be written and why", () =>
    Effect.gen(function* () {
      yield* send("0")
      const consumer = yield* subscribed({ autoCommit: false })
      yield* poll(consumer)
      const other = MessageQueue.make("orders", "broker-b", 7)
      const error = failureOf(
        yield* Effect.exit(
          consumer.commit(
            new Map([
              [queue, Number.NaN],
              [other, 3]
            ])
          )
        )
      )
      assert(error._tag === "CommitFailed")
      assert.deepStrictEqual(
        error.queues.map((one) => one.queue),
        ["orders@broker-a@0", "orders@broker-b@7"]
      )
      assert.include(error.message, "does not own the queue")
      const { faults } = yield* EmbeddedCluster
      yield* faults.add({
        match: { code: RequestCode.UPDATE_CONSUMER_OFFSET },
        actions: [FaultScript.answer(1, "disk full")]
      })
      const refused = failureOf(yield* Effect.exit(consumer.commit()))
      assert(refused._tag === "CommitFailed")
      assert.include(refused.message, "disk full")
    }).pipe(onOneQueue)
  )

  it.effect("seeks an offset, the begin, the end and a time; the group's offset is not written by it", () =>
    Effect.gen(function* () {
      yield* send(...numbers(4))
      yield* TestClock.adjust("1 hour")
      yield* send("4", "5")
      const consumer = yield* subscribed({ autoCommit: false })
      assert.deepStrictEqual(yield* poll(consumer, 5), numbers(5))
      yield* consumer.seek(queue, 1)
      assert.strictEqual(yield* consumer.position(queue), 1)
      assert.deepStrictEqual(yield* poll(consumer, 1), ["1"])
      yield* consumer.seek(queue, "begin")
      assert.deepStrictEqual(yield* poll(consumer, 1), ["0"])
      yield* consumer.seek(queue, { timestamp: 1_800_000 })
      assert.deepStrictEqual(yield* poll(consumer, 1), ["4"])
      assert.strictEqual(yield* consumer.offsetForTimestamp(queue, 1_800_000), 4)
      yield* consumer.seek(queue, "end")
      yield* send("6")
      assert.deepStrictEqual(yield* poll(consumer), ["6"])
      assert.deepStrictEqual(yield* written, [0, 0])
      assert.deepInclude((yield* consumer.state).queues[0]?.lastMove, { to: 6, by: "seek" })
      yield* consumer.commit()
      assert.deepStrictEqual(yield* written, [0, 0, 7])
    }).pipe(recorded)
  )

  it.effect("a seek says what is wrong with it, and changes nothing then", () =>
    Effect.gen(function* () {
      yield* send(...numbers(4))
      const consumer = yield* subscribed()
      const refused = (...[which, to]: Parameters<Consumer["seek"]>) =>
        Effect.map(Effect.exit(consumer.seek(which, to)), failureOf)
      const outside = yield* refused(queue, 5)
      assert.deepInclude(outside, { _tag: "SeekRefused", problem: "out-of-range", minOffset: 0, maxOffset: 4 })
      assert.include(outside.message, "0 to 4")
      assert.deepInclude(yield* refused({ ...queue, queueId: 3 }, 0), { problem: "not-assigned" })
      for (const to of [-1, 0.5, Number.NaN, { timestamp: "never" }]) {
        assert.deepInclude(yield* refused(queue, to), { problem: "unusable" })
      }
      assert.deepStrictEqual(yield* poll(consumer), numbers(4))
    }).pipe(onOneQueue)
  )

  it.effect(
    "assigned queues are read whoever else reads them, with their filter, and those that stay are read on",
    () =>
      Effect.gen(function* () {
        const producer = yield* startProducer()
        for (const [body, tags, queueId] of [
          ["a0", "a", 0],
          ["b0", "b", 0],
          ["a1", "a", 1]
        ] as const) {
          yield* producer.send(Message.make({ topic: "orders", tags, body }), {
            queue: MessageQueue.make("orders", "broker-a", queueId)
          })
        }
        const other = yield* subscribed({ consumerGroup: "others" })
        const consumer = yield* started({ autoCommit: false })
        yield* consumer.setSubExpressionForAssign(Subscription.tags("orders", "a"))
        yield* consumer.assign([queue])
        assert.deepStrictEqual(yield* consumer.assignment, [queue])
        assert.deepStrictEqual(yield* poll(consumer), ["a0"])
        assert.strictEqual(yield* consumer.position(queue), 2, "what the filter passed over counts")
        const second = { ...queue, queueId: 1 }
        const [before] = (yield* consumer.state).queues
        yield* consumer.assign([queue, second])
        const [after] = (yield* consumer.state).queues
        assert.strictEqual(after?.generation, before?.generation)
        assert.deepStrictEqual(yield* poll(consumer), ["a1"])
        yield* consumer.assign([second])
        assert.deepStrictEqual(yield* consumer.assignment, [second])
        assert.deepInclude(failureOf(yield* Effect.exit(consumer.subscribe(Subscription.all("orders")))), {
          _tag: "SubscriptionConflict",
          mode: "assign"
        })
        assert.deepInclude(failureOf(yield* Effect.exit(other.assign([queue]))), {
          _tag: "SubscriptionConflict",
          mode: "subscribe"
        })
        assert.strictEqual(failureOf(yield* Effect.exit(consumer.assign([])))._tag, "InvalidConfig")
        // Nobody has to subscribe to the same because of it.
        const { traffic } = yield* EmbeddedCluster
        const beats = yield* traffic.matching({ code: RequestCode.HEART_BEAT })
        assert.isAbove(beats.length, 0)
        yield* consumer.unsubscribe("orders")
        assert.deepStrictEqual(yield* consumer.assignment, [])
      }).pipe(onMemory({ topics: { orders: { writeQueueNums: 2, readQueueNums: 2 } }, recordTraffic: true }))
  )

  it.effect("what is assigned or subscribed before the start counts from it on", () =>
    Effect.gen(function* () {
      yield* send("0")
      const assigned = yield* make({ consumerGroup: "one" })
      yield* assigned.assign([queue])
      yield* Effect.acquireRelease(assigned.start, () => assigned.shutdown)
      assert.deepStrictEqual(yield* poll(assigned), ["0"])
      const subscribing = yield* make({ consumerGroup: "two" })
      yield* subscribing.subscribe(Subscription.all("orders"))
      yield* Effect.acquireRelease(subscribing.start, () => subscribing.shutdown)
      assert.deepStrictEqual(yield* poll(subscribing), ["0"])
      yield* subscribing.unsubscribe("orders")
      assert.deepStrictEqual(yield* subscribing.assignment, [])
    }).pipe(onOneQueue)
  )

  it.effect("a paused queue gives nothing, not even what is cached, and stays where it is", () =>
    Effect.gen(function* () {
      yield* send(...numbers(4))
      const consumer = yield* subscribed({ autoCommit: false })
      assert.deepStrictEqual(yield* poll(consumer, 1), ["0"])
      yield* consumer.pause(queue)
      assert.deepStrictEqual((yield* consumer.poll({ timeout: 0 })).map(text), [], "three are cached")
      assert.strictEqual(yield* consumer.position(queue), 1)
      const waiting = yield* Effect.forkChild(poll(consumer), { startImmediately: true })
      yield* consumer.resume("orders")
      yield* settle
      assert.isUndefined(waiting.pollUnsafe(), "the topic was not what was paused")
      yield* consumer.resume(queue)
      assert.deepStrictEqual(yield* Fiber.join(waiting), ["1", "2", "3"])
    }).pipe(onOneQueue)
  )

  it.effect("polls under way at once are served in order, and one that is interrupted has taken nothing", () =>
    Effect.gen(function* () {
      const consumer = yield* subscribed()
      const polls = yield* Effect.forEach([1, 2, 3], () =>
        Effect.forkChild(poll(consumer, 1), { startImmediately: true })
      )
      yield* settle
      const [first, second, third] = polls
      assert(first !== undefined && second !== undefined && third !== undefined)
      yield* Fiber.interrupt(first)
      yield* send("0", "1")
      assert.deepStrictEqual([yield* Fiber.join(second), yield* Fiber.join(third)], [["0"], ["1"]])
    }).pipe(onOneQueue)
  )

  it.effect("fails typed before the start and after the shutdown, at which those who wait get nothing", () =>
    Effect.gen(function* () {
      const consumer = yield* make({ subscriptions: [Subscription.all("orders")] })
      assert.strictEqual(failureOf(yield* Effect.exit(consumer.poll()))._tag, "IllegalServiceState")
      yield* consumer.start
      const waiting = yield* Effect.forkChild(consumer.poll({ timeout: "1 hour" }), { startImmediately: true })
      yield* settle
      yield* consumer.shutdown
      assert.deepStrictEqual(yield* Fiber.join(waiting), [])
      const late: ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string; readonly actual?: unknown }>> = [
        consumer.poll(),
        consumer.commit(),
        consumer.seek(queue, 0)
      ]
      for (const one of late) {
        assert.deepInclude(failureOf(yield* Effect.exit(one)), {
          _tag: "IllegalServiceState",
          actual: "SHUTDOWN_ALREADY"
        })
      }
    }).pipe(onOneQueue)
  )

  it.effect("a broker of 4.9 does not know lite pulls, and is asked as by a push consumer from then on", () =>
    Effect.gen(function* () {
      yield* send("0")
      const consumer = yield* subscribed()
      assert.deepStrictEqual(yield* poll(consumer), ["0"])
      yield* send("1")
      assert.deepStrictEqual(yield* poll(consumer), ["1"])
      const { traffic } = yield* EmbeddedCluster
      assert.lengthOf(yield* traffic.matching({ code: RequestCode.LITE_PULL_MESSAGE }), 1)
      const [pull] = yield* traffic.matching({ code: RequestCode.PULL_MESSAGE })
      assert.deepInclude(pull?.extFields, { sysFlag: "6", subscription: "*", subVersion: "0" })
      assert.deepStrictEqual((yield* consumer.state).problems, [])
      assert.strictEqual((yield* consumer.state).counters.pullFailures, 0)
    }).pipe(onMemory({ ...oneQueue, recordTraffic: true, version: MQVersion.V4_9_7 }))
  )

  it.effect("its pulls are Java's: request 361, held for 20 s, with the filter", () =>
    Effect.gen(function* () {
      const consumer = yield* subscribed()
      yield* settle
      const { traffic } = yield* EmbeddedCluster
      const [pull] = yield* traffic.matching({ code: RequestCode.LITE_PULL_MESSAGE })
      assert.deepInclude(pull?.extFields, {
        sysFlag: "22",
        subscription: "*",
        subVersion: "0",
        expressionType: "TAG",
        maxMsgNums: "10",
        maxMsgBytes: "2147483647",
        suspendTimeoutMillis: "20000",
        commitOffset: "0"
      })
      assert.isTrue(yield* consumer.healthy)
    }).pipe(recorded)
  )

  it.effect("tells which queues a topic has, and when that changes", () =>
    Effect.gen(function* () {
      const consumer = yield* started()
      assert.deepStrictEqual(yield* consumer.queues("orders"), [queue])
      assert.strictEqual(failureOf(yield* Effect.exit(consumer.queues("nope")))._tag, "RouteUnavailable")
      const changes = yield* consumer
        .topicMessageQueueChanges("orders")
        .pipe(Stream.take(2), Stream.runCollect, Effect.forkChild({ startImmediately: true }))
      yield* advance(60_000, 1_000)
      assert.isUndefined(changes.pollUnsafe())
      yield* (yield* EmbeddedCluster).createTopic("orders", { writeQueueNums: 2, readQueueNums: 2 })
      yield* advance(30_000, 1_000)
      assert.deepStrictEqual(yield* Fiber.join(changes), [[queue], [queue, { ...queue, queueId: 1 }]])
    }).pipe(onOneQueue)
  )

  it.effect("a message that the schema cannot read stands in its place", () =>
    Effect.gen(function* () {
      const orders = Topic.make("orders", { schema: Schema.Struct({ id: Schema.Number }) })
      yield* send(`{"id":1}`, "no json", `{"id":2}`)
      const consumer = yield* subscribed()
      const values = yield* DefaultLitePullConsumer.decode(orders, yield* consumer.poll())
      assert.deepStrictEqual(
        values.map(({ value }) => (Result.isSuccess(value) ? value.success.id : value.failure._tag)),
        [1, "TopicDecodeError", 2]
      )
      assert.deepStrictEqual(text(values[1]?.message ?? { body: new Uint8Array() }), "no json")
    }).pipe(onOneQueue)
  )

  it.effect("options that cannot be used are told all at once", () =>
    Effect.gen(function* () {
      const consumer = yield* make({
        autoCommitIntervalMillis: 500,
        pullBatchSize: 0,
        brokerSuspendMaxTimeMillis: "1 minute"
      })
      const { reason } = failureOf(yield* Effect.exit(consumer.start))
      assert(reason._tag === "InvalidConfig")
      assert.deepStrictEqual(reason.problems.map(({ path }) => path).toSorted(), [
        "autoCommitIntervalMillis",
        "consumerTimeoutMillisWhenSuspend",
        "pullBatchSize"
      ])
      assert.include(reason.message, "must not be below brokerSuspendMaxTimeMillis, 60000 ms, is 30000 ms")
      assert.isTrue(Exit.isFailure(yield* Effect.exit(consumer.poll())))
    }).pipe(onOneQueue)
  )
})
