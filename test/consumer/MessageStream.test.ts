import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Option, Queue, Schema, type Scope, Stream, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { ConsumerFailed } from "../../src/consumer/ConsumerFailed.ts"
import * as ConsumeResult from "../../src/consumer/ConsumeResult.ts"
import * as MessageStream from "../../src/consumer/MessageStream.ts"
import type { AllocateStrategy } from "../../src/consumer/rebalance/AllocateStrategy.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import * as Topic from "../../src/message/Topic.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import { failureOf, held, nothing, onMemory, settle, startProducer, until } from "../support/rig.ts"

/** One queue, so that the order is that of the sends. */
const cluster = onMemory({ topics: { orders: { writeQueueNums: 1, readQueueNums: 1 } } })

const optionsOf = (given: Partial<MessageStream.StreamOptions> = {}) =>
  Effect.map(EmbeddedCluster, ({ namesrvAddr }): MessageStream.StreamOptions => ({
    consumerGroup: "search",
    subscriptions: [Subscription.all("orders")],
    consumeFromWhere: "first",
    namesrvAddr,
    ...given
  }))

const streamOf = (given: Partial<MessageStream.StreamOptions> = {}) =>
  Stream.unwrap(Effect.map(optionsOf(given), MessageStream.make))

const queuesOf = (given: Partial<MessageStream.StreamOptions> = {}) =>
  Stream.unwrap(Effect.map(optionsOf(given), MessageStream.byQueue))

const send = (...bodies: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const producer = yield* startProducer()
    for (const body of bodies) yield* producer.send(Message.make({ topic: "orders", body }))
  }).pipe(Effect.scoped)

const numbers = (count: number) => Array.from({ length: count }, (_, n) => `${n}`)

const text = ({ message }: MessageStream.Delivery<unknown>) => new TextDecoder().decode(message.body)

/** A stream that runs in the scope, whose deliveries are taken by hand. */
const reading = (given: Partial<MessageStream.StreamOptions> = {}) =>
  Effect.gen(function* () {
    const deliveries = yield* Queue.unbounded<MessageStream.Delivery>()
    const go = yield* Queue.unbounded<void>()
    const fiber = yield* streamOf(given).pipe(
      Stream.runForEach((delivery) => Effect.andThen(Queue.offer(deliveries, delivery), Queue.take(go))),
      Effect.forkScoped({ startImmediately: true })
    )
    return { take: Queue.take(deliveries), next: Queue.offer(go, undefined), fiber }
  })

/** The bodies that the group gets when it reads anew, until there is nothing. */
const rest = (count: number) =>
  streamOf().pipe(
    Stream.mapEffect((delivery) => Effect.as(delivery.ack, text(delivery))),
    Stream.take(count),
    Stream.runCollect
  )

describe("MessageStream.make", () => {
  it.effect(
    "C-51: what was acknowledged before the end does not come again, the rest does; nothing is left behind",
    () =>
      Effect.gen(function* () {
        yield* send(...numbers(10))
        const taken = yield* streamOf().pipe(
          Stream.mapEffect((delivery) =>
            (text(delivery) === "2" ? Effect.void : delivery.ack).pipe(Effect.as(delivery))
          ),
          Stream.take(4),
          Stream.runCollect
        )
        assert.deepStrictEqual(taken.map(text), ["0", "1", "2", "3"])
        yield* settle
        assert.deepStrictEqual(yield* held, nothing)
        // Too late: the stream is over.
        const [, , third, fourth] = taken
        assert.isDefined(third)
        assert.isDefined(fourth)
        assert.strictEqual(yield* third.ack, "revoked")
        assert.strictEqual(yield* fourth.ack, "already")
        assert.deepStrictEqual(yield* rest(8), ["2", "3", "4", "5", "6", "7", "8", "9"])
      }).pipe(cluster)
  )

  it.effect("an interruption ends it the same way", () =>
    Effect.gen(function* () {
      yield* send(...numbers(6))
      const gate = Latch.makeUnsafe()
      const fiber = yield* streamOf().pipe(
        Stream.mapEffect((delivery) => (Number(text(delivery)) < 3 ? delivery.ack : gate.await)),
        Stream.runDrain,
        Effect.forkChild({ startImmediately: true })
      )
      yield* settle
      yield* Fiber.interrupt(fiber)
      yield* settle
      assert.deepStrictEqual(yield* held, nothing)
      assert.deepStrictEqual(yield* rest(3), ["3", "4", "5"])
    }).pipe(cluster)
  )

  it.effect("a start that fails ends it with a StartError that has every problem", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Stream.runDrain(streamOf({ prefetch: -1, pullBatchSize: 0 })))
      const error = String(failureOf(exit))
      assert.include(error, "prefetch: must be a whole number")
      assert.include(error, "pullBatchSize")
    }).pipe(cluster)
  )

  it.effect("trouble does not end it, unless onProblem says so", () =>
    Effect.gen(function* () {
      const nowhere = { subscriptions: [Subscription.all("nowhere")] as const }
      const going = yield* Effect.forkChild(Stream.runDrain(streamOf(nowhere)), { startImmediately: true })
      yield* TestClock.adjust("1 minute")
      assert.isUndefined(going.pollUnsafe())
      yield* Fiber.interrupt(going)
      const exit = yield* Effect.exit(Stream.runDrain(streamOf({ ...nowhere, onProblem: () => "fail" })))
      assert.instanceOf(failureOf(exit), ConsumerFailed)
    }).pipe(cluster)
  )
})

describe("demand", () => {
  /** How many pulls have left so far. */
  const pulls = Effect.flatMap(EmbeddedCluster, ({ traffic }) =>
    Effect.map(traffic.matching({ code: RequestCode.PULL_MESSAGE, topic: "orders" }), (requests) => requests.length)
  )

  it.effect("C-49: with prefetch 0 nothing is pulled until somebody waits, and then once", () =>
    Effect.gen(function* () {
      yield* send(...numbers(40))
      const { next, take } = yield* reading({ prefetch: 0, pullBatchSize: 4 })
      yield* settle
      const begun = yield* pulls
      yield* take
      for (let n = 1; n < 4; n++) {
        yield* next
        yield* take
      }
      yield* TestClock.adjust("1 hour")
      // Four were taken, of one answer of four.
      assert.strictEqual((yield* pulls) - begun, 0)
      yield* next
      assert.strictEqual(text(yield* take), "4")
      assert.strictEqual((yield* pulls) - begun, 1)
    }).pipe(Effect.scoped, cluster)
  )

  for (const prefetch of [0, 1, 2, 5]) {
    it.effect(`with prefetch ${prefetch} so many wait beside the one in hand`, () =>
      Effect.gen(function* () {
        yield* send(...numbers(10))
        const { take } = yield* reading({ prefetch, pullBatchSize: 1 })
        yield* take
        yield* settle
        assert.strictEqual(yield* pulls, 1 + prefetch)
      }).pipe(Effect.scoped, cluster)
    )
  }

  it.effect("with prefetch n no pull begins while n messages of the queue wait", () =>
    Effect.gen(function* () {
      yield* send(...numbers(100))
      const { next, take } = yield* reading({ prefetch: 10, pullBatchSize: 4 })
      yield* settle
      // 4 + 4 + 4 wait or are in hand.
      const begun = yield* pulls
      assert.strictEqual(begun, 3)
      yield* take
      yield* settle
      assert.strictEqual(yield* pulls, 3)
      for (let n = 1; n < 40; n++) {
        yield* next
        assert.strictEqual(text(yield* take), `${n}`)
        yield* settle
        assert.isAtMost((yield* pulls) * 4, n + 1 + 10 + 4)
      }
    }).pipe(Effect.scoped, cluster)
  )
})

describe("a delivery", () => {
  it.effect("C-52: counts once; the second time it is already settled", () =>
    Effect.gen(function* () {
      yield* send("0")
      const { take } = yield* reading()
      const delivery = yield* take
      assert.strictEqual(yield* delivery.ack, "settled")
      for (const again of [delivery.ack, delivery.nack(), delivery.deadLetter()]) {
        assert.strictEqual(yield* again, "already")
      }
    }).pipe(Effect.scoped, cluster)
  )

  it.effect("C-50: that nobody settles is given back after consumeTimeout, and late from then on", () =>
    Effect.gen(function* () {
      yield* send("0")
      const { next, take } = yield* reading({
        consumeTimeout: "1 minute",
        reconsumePolicy: { delay: () => "1 second" }
      })
      const delivery = yield* take
      yield* TestClock.adjust("50 seconds")
      yield* next
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual(yield* delivery.ack, "late")
      const again = yield* take
      assert.strictEqual(text(again), "0")
      assert.strictEqual(again.message.attempt, 2)
      assert.strictEqual(yield* again.ack, "settled")
    }).pipe(Effect.scoped, cluster)
  )

  it.effect("comes again after a nack, and lies with the dead letters when it was given up", () =>
    Effect.gen(function* () {
      yield* send("0", "1")
      const { messages } = yield* EmbeddedCluster
      const { next, take } = yield* reading()
      assert.strictEqual(yield* (yield* take).nack("1 second"), "settled")
      yield* next
      assert.strictEqual(yield* (yield* take).deadLetter("no good"), "settled")
      yield* next
      yield* TestClock.adjust("3 seconds")
      const again = yield* take
      assert.deepInclude(again.message, { topic: "orders", attempt: 2 })
      yield* again.ack
      assert.strictEqual((yield* messages("%DLQ%search")).length, 1)
    }).pipe(Effect.scoped, cluster)
  )

  it.effect("C-52: of a queue that another member has taken is revoked", () =>
    Effect.gen(function* () {
      yield* send("0")
      const { take } = yield* reading({ instanceName: "b", allocateMessageQueueStrategy: first })
      const delivery = yield* take
      yield* Effect.forkScoped(Stream.runDrain(streamOf({ instanceName: "a", allocateMessageQueueStrategy: first })), {
        startImmediately: true
      })
      yield* TestClock.adjust("5 seconds")
      const outcome = yield* delivery.ack
      assert.strictEqual(outcome, "revoked")
    }).pipe(Effect.scoped, cluster)
  )
})

describe("MessageStream.byQueue", () => {
  const cluster4 = onMemory({ topics: { orders: { writeQueueNums: 4, readQueueNums: 4 } } })

  const sendTo = Effect.fnUntraced(function* (count: number) {
    const producer = yield* startProducer()
    for (let n = 0; n < count; n++) {
      const queue = { topic: "orders", brokerName: "broker-a", queueId: n % 4 }
      yield* producer.send(Message.make({ topic: "orders", body: `${n}` }), { queue })
    }
  }, Effect.scoped)

  for (const prefetch of [0, 32]) {
    it.effect(`has a stream for each queue, read by itself, in order (prefetch ${prefetch})`, () =>
      Effect.gen(function* () {
        yield* sendTo(16)
        const seen = yield* queuesOf({ prefetch, pullBatchSize: 2 }).pipe(
          // Nobody reads queue 3: that holds up no other.
          Stream.filter(({ queue: { queueId, topic } }) => topic === "orders" && queueId < 3),
          Stream.flatMap(
            ({ deliveries, queue }) =>
              Stream.mapEffect(deliveries, (delivery) =>
                Effect.as(delivery.ack, [queue.queueId, text(delivery)] as const)
              ),
            { concurrency: "unbounded" }
          ),
          Stream.take(12),
          Stream.runCollect
        )
        const of = (queueId: number) => seen.filter(([id]) => id === queueId).map(([, body]) => body)
        assert.deepStrictEqual(
          [of(0), of(1), of(2)],
          [
            ["0", "4", "8", "12"],
            ["1", "5", "9", "13"],
            ["2", "6", "10", "14"]
          ]
        )
        yield* settle
        assert.deepStrictEqual(yield* held, nothing)
        assert.deepStrictEqual(yield* rest(4), ["3", "7", "11", "15"])
      }).pipe(cluster4)
    )
  }

  it.effect("a queue's stream ends when another member takes it, and what was in hand is revoked", () =>
    Effect.gen(function* () {
      yield* sendTo(8)
      const events = yield* Queue.unbounded<string>()
      const inHand: Array<MessageStream.Delivery> = []
      yield* queuesOf({ instanceName: "b", allocateMessageQueueStrategy: first }).pipe(
        Stream.filter(({ queue: { topic } }) => topic === "orders"),
        Stream.runForEach(({ deliveries, queue: { queueId } }) =>
          deliveries.pipe(
            Stream.runForEach((delivery) => Effect.sync(() => inHand.push(delivery))),
            Effect.andThen(Queue.offer(events, `${queueId} ended`)),
            Effect.forkScoped
          )
        ),
        Effect.forkScoped({ startImmediately: true })
      )
      yield* until(
        "all are in hand",
        Effect.sync(() => inHand.length === 8)
      )
      yield* Effect.forkScoped(Stream.runDrain(streamOf({ instanceName: "a", allocateMessageQueueStrategy: first })), {
        startImmediately: true
      })
      // At once: what was handed out has revokeDrain still.
      yield* TestClock.adjust("1 second")
      assert.sameMembers(yield* Queue.takeAll(events), ["0 ended", "1 ended", "2 ended", "3 ended"])
      yield* TestClock.adjust("1 second")
      const outcomes = yield* Effect.forEach(inHand, ({ ack }) => ack)
      assert.deepStrictEqual(new Set(outcomes), new Set(["revoked"]))
    }).pipe(Effect.scoped, cluster4)
  )

  it.effect("a queue that comes back is a stream anew; a problem that ends all ends these too", () =>
    Effect.gen(function* () {
      yield* sendTo(4)
      const { faults } = yield* EmbeddedCluster
      const taken: Array<number> = []
      let ended = 0
      const exit = yield* queuesOf({
        instanceName: "b",
        allocateMessageQueueStrategy: first,
        onProblem: () => "fail"
      }).pipe(
        Stream.filter(({ queue: { topic } }) => topic === "orders"),
        Stream.tap(({ queue }) => Effect.sync(() => taken.push(queue.queueId))),
        Stream.runForEach(({ deliveries }) =>
          Effect.forkScoped(
            Effect.andThen(
              Stream.runForEach(deliveries, ({ ack }) => ack),
              Effect.sync(() => ended++)
            )
          )
        ),
        Effect.exit,
        Effect.forkScoped({ startImmediately: true })
      )
      yield* until(
        "it owns all",
        Effect.sync(() => taken.length === 4)
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* Effect.forkScoped(
            Stream.runDrain(streamOf({ instanceName: "a", allocateMessageQueueStrategy: first })),
            { startImmediately: true }
          )
          yield* TestClock.adjust("3 seconds")
          assert.strictEqual(ended, 4)
        })
      )
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(taken, [0, 1, 2, 3, 0, 1, 2, 3])
      yield* faults.add({ match: { code: RequestCode.PULL_MESSAGE }, actions: [FaultScript.answer(1, "no")] })
      yield* TestClock.adjust("1 minute")
      assert.instanceOf(failureOf(yield* Fiber.join(exit)), ConsumerFailed)
      assert.strictEqual(ended, 8)
    }).pipe(Effect.scoped, cluster4)
  )
})

describe("the span of a delivery", () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })

  it.effect("lasts until it is settled, below the sender's; what a handler opens is below it", () =>
    Effect.gen(function* () {
      const named = (name: string) => spans.filter((span) => span.name === name)
      const error = (index: number) => named("process orders")[index]?.attributes.get("error.type")
      yield* Effect.gen(function* () {
        yield* send("0", "1", "2")
        const { next, take } = yield* reading({ consumeTimeout: "1 minute" })
        const delivery = yield* take
        const [process] = named("process orders")
        assert.isDefined(process)
        assert.strictEqual(delivery.span, process)
        assert.strictEqual(process.status._tag, "Started")
        assert.strictEqual(Option.getOrUndefined(process.parent)?.spanId, named("send orders")[0]?.spanId)
        assert.strictEqual(process.attributes.get("messaging.message.id"), delivery.message.msgId)
        yield* TestClock.adjust("3 seconds")
        yield* delivery.ack
        assert.strictEqual(process.status._tag, "Ended")
        assert.strictEqual(error(0), undefined)
        yield* next
        yield* (yield* take).nack()
        assert.strictEqual(error(1), "reconsume_later")
        yield* next
        yield* take
        yield* TestClock.adjust("2 minutes")
        assert.strictEqual(error(2), "timeout")
      }).pipe(Effect.scoped)
      yield* send("3")
      yield* Effect.scoped(Effect.flatMap(reading({ consumerGroup: "other" }), ({ take }) => take))
      assert.strictEqual(error(named("process orders").length - 1), "revoked")
      assert.isTrue(named("process orders").every(({ status }) => status._tag === "Ended"))
      spans.length = 0
      yield* streamOf({ consumerGroup: "third" }).pipe(
        MessageStream.settle(() => Effect.void.pipe(Effect.withSpan("inner"))),
        Stream.take(1),
        Stream.runDrain
      )
      const [inner] = named("inner")
      assert.strictEqual(
        Option.getOrUndefined(inner?.parent ?? Option.none())?.spanId,
        named("process orders")[0]?.spanId
      )
    }).pipe(Effect.withTracer(tracer), cluster)
  )

  it.effect("there is none where no tracer is set", () =>
    Effect.gen(function* () {
      yield* send("0")
      const { take } = yield* reading()
      assert.isUndefined((yield* take).span)
    }).pipe(Effect.scoped, cluster)
  )
})

/** All queues to the member with the lowest id. */
const first: AllocateStrategy = {
  name: "FIRST",
  allocate: ({ cidAll, currentCID, mqAll }) => (cidAll[0] === currentCID ? mqAll : [])
}

const orders = Topic.make("orders", { schema: Schema.Struct({ id: Schema.Int }) })

describe("MessageStream.typed and .settle", () => {
  it.effect("values are read, what cannot be read is with the dead letters, and the loop goes on", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      yield* producer.sendTo(orders, { id: 1 })
      yield* producer.send(Message.make({ topic: "orders", body: "nonsense" }))
      yield* producer.sendTo(orders, { id: 2 })
      const { namesrvAddr, messages } = yield* EmbeddedCluster
      const values = yield* MessageStream.typed(orders, {
        consumerGroup: "search",
        consumeFromWhere: "first",
        prefetch: 0,
        namesrvAddr
      }).pipe(
        Stream.mapEffect((delivery) => Effect.as(delivery.ack, delivery.value.id)),
        Stream.take(2),
        Stream.runCollect
      )
      assert.deepStrictEqual(values, [1, 2])
      assert.strictEqual((yield* messages("%DLQ%search")).length, 1)
    }).pipe(Effect.scoped, cluster)
  )

  it.effect("settles by how the handler ends, each with a scope of its own, and nothing ends the stream", () =>
    Effect.gen(function* () {
      yield* send("good", "bad", "dies", "poison", "last")
      const { messages } = yield* EmbeddedCluster
      let released = 0
      const handler = (message: {
        readonly body: Uint8Array
      }): Effect.Effect<ConsumeResult.ConsumeResult | void, string, Scope.Scope> =>
        Effect.gen(function* () {
          yield* Effect.addFinalizer(() => Effect.sync(() => released++))
          switch (new TextDecoder().decode(message.body)) {
            case "bad":
              return yield* Effect.fail("bad")
            case "dies":
              return yield* Effect.die(new Error("mine"))
            case "poison":
              return ConsumeResult.deadLetter()
            default:
              return undefined
          }
        })
      const outcomes = yield* streamOf().pipe(MessageStream.settle(handler), Stream.take(5), Stream.runCollect)
      assert.deepStrictEqual(outcomes, ["settled", "settled", "settled", "settled", "settled"])
      assert.strictEqual(released, 5)
      assert.strictEqual((yield* messages("%DLQ%search")).length, 1)
      assert.strictEqual((yield* messages("SCHEDULE_TOPIC_XXXX")).length, 2)
    }).pipe(cluster)
  )

  it.effect("runs several at once, and interrupts them with the stream; those come again", () =>
    Effect.gen(function* () {
      yield* send(...numbers(8))
      let running = 0
      const fiber = yield* streamOf().pipe(
        MessageStream.settle(
          () =>
            Effect.suspend(() => {
              running++
              return Effect.never
            }),
          { concurrency: 5 }
        ),
        Stream.runDrain,
        Effect.forkChild({ startImmediately: true })
      )
      yield* until(
        "five run",
        Effect.sync(() => running >= 5)
      )
      yield* settle
      assert.strictEqual(running, 5)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(Effect.andThen(Fiber.interrupt(fiber), Fiber.join(fiber)))))
      assert.deepStrictEqual((yield* rest(8)).length, 8)
    }).pipe(cluster)
  )
})
