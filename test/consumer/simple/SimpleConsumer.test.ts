import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { SimpleConsumer } from "../../../src/consumer/simple/SimpleConsumer.ts"
import type { SimpleConsumerOptions } from "../../../src/consumer/simple/SimpleOptions.ts"
import type { ReceiveOptions } from "../../../src/consumer/simple/SimpleShape.ts"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import { ConsumeMessageHooks, FilterMessageHooks } from "../../../src/consumer/telemetry/Hooks.ts"
import * as Message from "../../../src/message/Message.ts"
import * as Topic from "../../../src/message/Topic.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import {
  advance,
  failureOf,
  held,
  nothing,
  onMemory,
  settle,
  startProducer,
  timed,
  valueOf
} from "../../support/rig.ts"

const topics = { orders: { writeQueueNums: 1, readQueueNums: 1 } }
const onOneQueue = onMemory({ topics, recordTraffic: true })

const make = (given: Partial<SimpleConsumerOptions> = {}) =>
  Effect.flatMap(EmbeddedCluster, ({ namesrvAddr }) =>
    SimpleConsumer.make({
      consumerGroup: "thumbnails",
      consumeFromWhere: "first",
      subscriptions: [Subscription.all("orders")],
      namesrvAddr,
      ...given
    })
  )

/** A started member of the group, which is shut down with the scope. */
const started = (given: Partial<SimpleConsumerOptions> = {}) =>
  Effect.tap(make(given), (consumer) => Effect.acquireRelease(consumer.start, () => consumer.shutdown))

type Consumer = Effect.Success<ReturnType<typeof started>>

const send = (...bodies: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const producer = yield* startProducer()
    for (const body of bodies) yield* producer.send(Message.make({ topic: "orders", body, tags: body }))
  }).pipe(Effect.scoped)

const text = ({ message }: { readonly message: { readonly body: Uint8Array } }) =>
  new TextDecoder().decode(message.body)

/** The one message that there is. */
const one = (consumer: Consumer, options?: ReceiveOptions) =>
  Effect.map(consumer.receive(options), ([popped]) => popped ?? assert.fail("nothing came"))

const requests = (code: number) =>
  Effect.flatMap(EmbeddedCluster, ({ traffic }) =>
    Effect.map(traffic.matching({ code }), (all) => all.map(({ extFields }) => extFields ?? {}))
  )

/** All sends of a code fail so, or only some. */
const failing = (code: number, action: ReturnType<typeof FaultScript.answer>, times?: number) =>
  Effect.flatMap(EmbeddedCluster, ({ faults }) => faults.add({ match: { code }, actions: [action], times }))

describe("SimpleConsumer", () => {
  it.effect("what is not acknowledged comes again when its time is over, and only that", () =>
    Effect.gen(function* () {
      yield* send("7", "8")
      const consumer = yield* started()
      const [first, second] = yield* consumer.receive({ invisible: "10 seconds" })
      assert(first !== undefined && second !== undefined)
      assert.deepStrictEqual([first, second].map(text), ["7", "8"])
      assert.strictEqual(yield* first.invisibleMillis, 10_000)
      assert.deepStrictEqual(yield* first.ack, { _tag: "Acked", mayComeAgain: false })
      assert.deepStrictEqual(yield* first.ack, { _tag: "AlreadyAcked" })
      assert.deepStrictEqual(yield* first.extend("10 seconds"), { _tag: "AlreadyAcked" })
      const waiting = yield* Effect.forkChild(consumer.receive({ wait: "1 minute" }), { startImmediately: true })
      yield* advance(9_900)
      assert.isUndefined(waiting.pollUnsafe())
      yield* advance(5_000)
      const [again] = yield* Fiber.join(waiting)
      assert(again !== undefined)
      assert.strictEqual(text(again), "8")
      assert.strictEqual(again.message.attempt, 2)
      assert.strictEqual(again.message.topic, "orders")
      assert.strictEqual(again.message.queue.topic, "%RETRY%thumbnails_orders")
      assert.deepStrictEqual(yield* second.ack, { _tag: "Expired", lastFailure: undefined })
      assert.deepStrictEqual(yield* second.extend("10 seconds"), { _tag: "Expired", lastFailure: undefined })
      assert.deepStrictEqual(yield* again.ack, { _tag: "Acked", mayComeAgain: false })
      const { counters, problems } = yield* consumer.state
      assert.deepInclude(counters, { received: 3, redelivered: 1, acked: 2, expired: 2 })
      assert.deepStrictEqual(problems, [])
    }).pipe(onOneQueue)
  )

  it.effect("after an extension the next one and the acknowledgement name the new handle", () =>
    Effect.gen(function* () {
      yield* send("7")
      const consumer = yield* started()
      const popped = yield* one(consumer, { invisible: "10 seconds" })
      for (let n = 0; n < 3; n++) {
        yield* TestClock.adjust(6_000)
        assert.strictEqual((yield* popped.extend("10 seconds"))._tag, "Extended")
        assert.strictEqual((yield* popped.expiresAt) - (yield* Effect.clockWith((c) => c.currentTimeMillis)), 10_000)
      }
      assert.strictEqual((yield* popped.ack)._tag, "Acked")
      const changes = yield* requests(RequestCode.CHANGE_MESSAGE_INVISIBLETIME)
      const [ack] = yield* requests(RequestCode.ACK_MESSAGE)
      const handles = [...changes, ack].map((fields) => fields?.["extraInfo"])
      assert.lengthOf(new Set(handles), 4)
      yield* advance(30_000)
      assert.deepStrictEqual(yield* consumer.receive({ wait: 0 }), [])
    }).pipe(onOneQueue)
  )

  it.effect("an acknowledgement is tried again until it is answered", () =>
    Effect.gen(function* () {
      yield* send("7")
      const consumer = yield* started()
      const popped = yield* one(consumer, { invisible: "10 seconds" })
      yield* failing(RequestCode.ACK_MESSAGE, FaultScript.answer(2, "busy"), 3)
      const { exit, millis } = yield* timed(popped.ack)
      assert.deepStrictEqual(valueOf(exit), { _tag: "Acked", mayComeAgain: false })
      // 100, 200 and 400 ms between them.
      assert.strictEqual(millis, 700)
    }).pipe(onOneQueue)
  )

  it.effect("and no longer than its time: that is an outcome, with what kept it", () =>
    Effect.gen(function* () {
      yield* send("7")
      const consumer = yield* started()
      const popped = yield* one(consumer, { invisible: "5 seconds" })
      yield* failing(RequestCode.ACK_MESSAGE, FaultScript.answer(2, "busy"))
      const { exit, millis } = yield* timed(popped.ack)
      const outcome = valueOf(exit)
      assert(outcome._tag === "Expired")
      assert.include(outcome.lastFailure, "busy")
      assert.isAtMost(millis, 5_010)
      assert.isAtLeast(millis, 4_990)
      // An acknowledgement was sent: whether it counted nobody knows, and nothing extends it.
      assert.strictEqual((yield* popped.extend("5 seconds"))._tag, "AlreadyAcked")
    }).pipe(onOneQueue)
  )

  it.effect("what trying again does not help is a SettleError", () =>
    Effect.gen(function* () {
      yield* send("7")
      const consumer = yield* started()
      const popped = yield* one(consumer)
      yield* failing(RequestCode.ACK_MESSAGE, FaultScript.answer(208, "offset is illegal"))
      const error = failureOf(yield* Effect.exit(popped.ack))
      assert.deepInclude(error, { group: "thumbnails", topic: "orders", action: "ack" })
      assert.include(error.message, "offset is illegal")
      const unusable = failureOf(yield* Effect.exit(popped.extend(10)))
      assert.strictEqual(unusable.reason._tag, "InvalidConfig")
    }).pipe(onOneQueue)
  )

  it.effect("an extension whose answer was lost is made again, and the acknowledgement says what may come of it", () =>
    Effect.gen(function* () {
      yield* send("7")
      const consumer = yield* started({ mqClientApiTimeout: 1_000 })
      const popped = yield* one(consumer, { invisible: "10 seconds" })
      yield* failing(RequestCode.CHANGE_MESSAGE_INVISIBLETIME, FaultScript.dropResponse, 1)
      const { exit } = yield* timed(popped.extend("10 seconds"))
      assert.strictEqual(valueOf(exit)._tag, "Extended")
      assert.deepStrictEqual(yield* popped.ack, { _tag: "Acked", mayComeAgain: true })
      // So it is: the broker has the handle that was lost.
      yield* advance(15_000)
      assert.deepStrictEqual((yield* consumer.receive({ wait: 0 })).map(text), ["7"])
    }).pipe(onOneQueue)
  )

  it.effect("a handler of many times the invisible time is one delivery", () =>
    Effect.gen(function* () {
      yield* send("7")
      const consumer = yield* started()
      const popped = yield* one(consumer, { invisible: "6 seconds" })
      const running = yield* Effect.forkChild(popped.process(Effect.sleep("1 minute")), { startImmediately: true })
      yield* advance(59_000)
      assert.isUndefined(running.pollUnsafe())
      assert.deepStrictEqual(yield* consumer.receive({ wait: 0 }), [])
      yield* advance(1_000)
      assert.deepStrictEqual(yield* Fiber.join(running), { _tag: "Acked", mayComeAgain: false })
      // At two thirds of the time each.
      const { counters } = yield* consumer.state
      assert.isAtLeast(counters.extended, 14)
      assert.isAtMost(counters.extended, 15)
      yield* advance(20_000)
      assert.deepStrictEqual(yield* consumer.receive({ wait: 0 }), [])
    }).pipe(onOneQueue)
  )

  it.effect("a handler that ends while an extension is on its way is acknowledged by the new handle", () =>
    Effect.gen(function* () {
      yield* send("7")
      const consumer = yield* started()
      const popped = yield* one(consumer, { invisible: "6 seconds" })
      yield* failing(RequestCode.CHANGE_MESSAGE_INVISIBLETIME, FaultScript.delay("1 second"))
      const { exit, millis } = yield* timed(popped.process(Effect.sleep("4500 millis")))
      assert.deepStrictEqual(valueOf(exit), { _tag: "Acked", mayComeAgain: false })
      assert.isAtLeast(millis, 5_000)
      yield* advance(20_000)
      assert.deepStrictEqual(yield* consumer.receive({ wait: 0 }), [])
    }).pipe(onOneQueue)
  )

  it.effect("an interrupted handler is extended no more, and its message comes again; so with one that fails", () =>
    Effect.gen(function* () {
      yield* send("7", "8")
      const consumer = yield* started()
      const [first, second] = yield* consumer.receive({ invisible: "6 seconds" })
      assert(first !== undefined && second !== undefined)
      const running = yield* Effect.forkChild(first.process(Effect.never), { startImmediately: true })
      yield* advance(5_000)
      yield* Fiber.interrupt(running)
      assert.strictEqual(failureOf(yield* Effect.exit(second.process(Effect.fail("no")))), "no")
      assert.strictEqual((yield* consumer.state).running, 0)
      yield* advance(20_000)
      assert.strictEqual((yield* consumer.state).counters.extended, 1)
      assert.sameMembers((yield* consumer.receive({ wait: 0 })).map(text), ["7", "8"])
    }).pipe(onOneQueue)
  )

  it.effect("who waits is told by one held question, asks no broker in vain, and a shutdown ends the wait", () =>
    Effect.gen(function* () {
      const before = yield* held
      const consumer = yield* make()
      yield* consumer.start
      const waiting = yield* Effect.forEach([1, 2, 3], () =>
        Effect.forkChild(consumer.receive({ wait: "1 hour" }), { startImmediately: true })
      )
      yield* advance(60_000, 1_000)
      assert.strictEqual((yield* consumer.state).receiving, 3)
      // One of 15 seconds after the other, however many wait.
      assert.isAtMost((yield* requests(RequestCode.NOTIFICATION)).length, 5)
      assert.isAtMost((yield* requests(RequestCode.POP_MESSAGE)).length, 3 * 6)
      yield* send("7")
      yield* settle
      yield* advance(200)
      const ended = waiting.filter((fiber) => fiber.pollUnsafe() !== undefined)
      assert.lengthOf(ended, 1)
      yield* consumer.shutdown
      const all = yield* Effect.forEach(waiting, Fiber.join)
      assert.deepStrictEqual(all.flat().map(text), ["7"])
      assert.strictEqual(failureOf(yield* Effect.exit(consumer.receive())).reason._tag, "IllegalServiceState")
      const [late] = all.flat()
      assert.strictEqual(failureOf(yield* Effect.exit(late?.ack ?? Effect.void)).reason._tag, "IllegalServiceState")
      assert.deepStrictEqual(yield* held, before)
      assert.deepStrictEqual(before, nothing)
    }).pipe(onOneQueue)
  )

  it.effect("hooks choose and see, filters change, and what is left out is acknowledged", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      yield* send("keep", "drop", "keep too")
      const consumer = yield* started().pipe(
        Effect.provideService(FilterMessageHooks, [
          {
            hookName: "no drops",
            filterMessage: ({ messages }) => Effect.succeed(messages.filter((message) => message.tags !== "drop"))
          }
        ]),
        Effect.provideService(ConsumeMessageHooks, [
          {
            hookName: "look",
            after: (_, { status }) => Effect.sync(() => void seen.push(status))
          }
        ])
      )
      const [first, second] = yield* consumer.receive({ invisible: "5 seconds" })
      assert(first !== undefined && second !== undefined)
      assert.deepStrictEqual([first, second].map(text), ["keep", "keep too"])
      yield* first.process(Effect.void)
      yield* Effect.exit(second.process(Effect.fail("no")))
      assert.deepStrictEqual(seen, ["SUCCESS", "EXCEPTION"])
      assert.deepInclude((yield* consumer.state).counters, { filtered: 1, acked: 2 })
      yield* advance(20_000)
      assert.deepStrictEqual((yield* consumer.receive({ wait: 0 })).map(text), ["keep too"])
      yield* consumer.subscribe(Subscription.tags("orders", "wanted"))
      yield* send("unwanted", "wanted")
      assert.deepStrictEqual((yield* consumer.receive({ wait: 0 })).map(text), ["wanted"])
      yield* consumer.unsubscribe("orders")
      assert.deepStrictEqual(yield* consumer.receive({ wait: 0 }), [])
    }).pipe(onOneQueue)
  )

  it.effect("within a namespace nobody sees it, and what comes again is acknowledged where it lies", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer({ namespace: "ns" })
      yield* producer.send(Message.make({ topic: "invoices", body: "7" }))
      const consumer = yield* started({ namespace: "ns", subscriptions: [Subscription.all("invoices")] })
      const first = yield* one(consumer, { invisible: "5 seconds" })
      assert.strictEqual(first.message.topic, "invoices")
      yield* advance(20_000)
      const again = yield* one(consumer)
      assert.strictEqual(again.message.topic, "invoices")
      assert.strictEqual((yield* again.ack)._tag, "Acked")
      const [ack] = yield* requests(RequestCode.ACK_MESSAGE)
      assert.strictEqual(ack?.["topic"], "%RETRY%ns%thumbnails_ns%invoices")
    }).pipe(onOneQueue)
  )

  it.effect("a call that cannot be used says why, a topic that is not there too, and an old broker what to do", () =>
    Effect.gen(function* () {
      const consumer = yield* started()
      for (const options of [{ max: 33 }, { max: 0 }, { invisible: 10 }, { wait: -1 }]) {
        const error = failureOf(yield* Effect.exit(consumer.receive(options)))
        assert.strictEqual(error.reason._tag, "InvalidConfig")
        assert.isFalse(error.retryable)
      }
      const absent = yield* started({
        instanceName: "b",
        consumerGroup: "b",
        subscriptions: [Subscription.all("nowhere")]
      })
      assert.strictEqual(failureOf(yield* Effect.exit(absent.receive())).reason._tag, "RouteUnavailable")
      yield* failing(RequestCode.POP_MESSAGE, FaultScript.answer(3, " request type 200050 not supported"))
      const error = failureOf(yield* Effect.exit(consumer.receive()))
      assert.strictEqual(error.reason._tag, "PopUnsupported")
      assert.strictEqual((yield* consumer.state).problems.length, 1)
      assert.isFalse(yield* consumer.healthy)
    }).pipe(onOneQueue)
  )

  it.effect("reads typed topics, with options from Config", () =>
    Effect.gen(function* () {
      const orders = Topic.make("orders", { schema: Schema.Struct({ id: Schema.Int }) })
      const { namesrvAddr } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      yield* producer.send(yield* orders.encode({ id: 7 }))
      yield* producer.send(Message.make({ topic: "orders", body: "nonsense" }))
      yield* Effect.gen(function* () {
        const consumer = yield* SimpleConsumer
        assert.strictEqual(consumer.consumerGroup, "typed")
        const all = yield* SimpleConsumer.decode(orders, yield* consumer.receive())
        assert.deepStrictEqual(
          all.map(({ value }) => (value._tag === "Success" ? value.success : value.failure._tag)),
          [{ id: 7 }, "TopicDecodeError"]
        )
        for (const { ack } of all) assert.strictEqual((yield* ack)._tag, "Acked")
      }).pipe(
        Effect.provide(SimpleConsumer.layerConfig({ consumeFromWhere: "first" }), { local: true }),
        Effect.provideService(
          ConfigProvider.ConfigProvider,
          ConfigProvider.fromEnvRecord({
            NAMESRV_ADDR: namesrvAddr,
            ROCKETMQ_SIMPLE_CONSUMER_GROUP: "typed",
            ROCKETMQ_SIMPLE_CONSUMER_TOPIC: "orders"
          })
        )
      )
    }).pipe(onOneQueue)
  )
})
