import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Message from "../../src/message/Message.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import { settle } from "../support/rig.ts"
import { commits, consume, make, rig, text } from "./support.ts"

const queue = { topic: "orders", brokerName: "broker-a", queueId: 0 }

const send = Effect.fnUntraced(function* (...bodies: ReadonlyArray<string>) {
  const producer = yield* DefaultMQProducer
  for (const body of bodies) yield* producer.send(Message.make({ topic: "orders", body }), { queue })
})

/** A member of the group that is closed by hand. */
const member = (...given: Parameters<typeof make<never, never>>) => Effect.tap(make(...given), ({ start }) => start)

describe("the close of a consumer", () => {
  it.effect("R6, R7: stop, drain, interrupt, write, unregister; who is interrupted has not failed", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      yield* send("0", "1")
      let releasedAt = 0
      const consumer = yield* member(
        (message) =>
          text(message) === "0"
            ? Effect.sleep(4_000)
            : Effect.onInterrupt(Effect.never, () =>
                Effect.andThen(
                  Effect.sleep(500),
                  Effect.map(Clock.currentTimeMillis, (time) => {
                    releasedAt = time
                  })
                )
              ),
        { consumeFromWhere: "first", drainTimeoutMillis: 5_000, persistConsumerOffsetInterval: 3_600_000 }
      )
      yield* settle
      yield* traffic.clear
      const closing = yield* Effect.forkChild(consumer.shutdown, { startImmediately: true })
      yield* TestClock.adjust("4900 millis")
      const isLast = { code: [RequestCode.UPDATE_CONSUMER_OFFSET, RequestCode.UNREGISTER_CLIENT] }
      assert.deepStrictEqual(yield* traffic.matching(isLast), [])
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      assert.isAbove(releasedAt, 0)
      const [write, unregister] = yield* traffic.matching(isLast)
      assert.strictEqual(write?.code, RequestCode.UPDATE_CONSUMER_OFFSET)
      assert.strictEqual(unregister?.code, RequestCode.UNREGISTER_CLIENT)
      assert.isAtLeast(write?.time ?? 0, releasedAt)
      assert.strictEqual((yield* commits()).at(-1)?.offset, 1)
      assert.deepStrictEqual(yield* traffic.matching({ code: RequestCode.CONSUMER_SEND_MSG_BACK }), [])
      assert.deepInclude(yield* consumer.lastDrain, { finished: 1, interrupted: 1, notPersisted: [] })
      assert.deepInclude((yield* consumer.state).counters, { defects: 0, failures: 0, reconsumeLater: 0, late: 1 })
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect(
    "a start that is interrupted when handlers have run writes what they finished, and lets those that run end",
    () =>
      Effect.gen(function* () {
        const { faults, traffic } = yield* EmbeddedCluster
        yield* send("0", "1", "2")
        // Where the group is in another queue is not known for a while, so that the first round does not end.
        yield* faults.add({
          match: { code: RequestCode.QUERY_CONSUMER_OFFSET, nth: 2 },
          actions: [FaultScript.delay(60_000)]
        })
        const seen: Array<string> = []
        const handler = (message: Parameters<typeof text>[0]) =>
          Effect.andThen(
            text(message) === "2" ? Effect.sleep(300) : Effect.void,
            Effect.sync(() => void seen.push(text(message)))
          )
        const consumer = yield* make(handler, { consumeFromWhere: "first" })
        const starting = yield* Effect.forkChild(consumer.start, { startImmediately: true })
        yield* settle
        assert.deepStrictEqual([seen, yield* consumer.serviceState], [["0", "1"], "START_FAILED"])
        const ending = yield* Effect.forkChild(Fiber.interrupt(starting), { startImmediately: true })
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(ending)
        assert.deepStrictEqual(seen, ["0", "1", "2"])
        const last = { code: [RequestCode.UPDATE_CONSUMER_OFFSET, RequestCode.UNREGISTER_CLIENT] }
        assert.strictEqual((yield* traffic.matching(last)).at(-1)?.code, RequestCode.UNREGISTER_CLIENT)
        yield* faults.clear
        const next = yield* consume(handler, { consumeFromWhere: "first" })
        yield* next.caughtUp()
        assert.deepStrictEqual(seen, ["0", "1", "2"])
      }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("a handler that cannot be interrupted holds up no close, and its message comes again", () =>
    Effect.gen(function* () {
      yield* send("stuck")
      let released = false
      const consumer = yield* member(
        () =>
          Effect.uninterruptible(
            Effect.andThen(
              Effect.sleep("1 hour"),
              Effect.sync(() => {
                released = true
              })
            )
          ),
        { consumeFromWhere: "first", drainTimeoutMillis: 5_000 }
      )
      yield* settle
      const closing = yield* Effect.forkChild(consumer.shutdown, { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("1 second")
      yield* settle
      assert.isDefined(closing.pollUnsafe())
      assert.isFalse(released)
      assert.deepInclude(yield* consumer.lastDrain, { finished: 0, interrupted: 1, notPersisted: [] })
      const seen: Array<number> = []
      const next = yield* consume(({ attempt }) => Effect.sync(() => void seen.push(attempt)), {
        consumeFromWhere: "first"
      })
      yield* next.caughtUp()
      assert.deepStrictEqual(seen, [1])
      // Its end is for nobody any more.
      yield* TestClock.adjust("1 hour")
      assert.isTrue(released)
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )
})
