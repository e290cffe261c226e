/** Brokers that hang, are killed with requests under way, come back elsewhere, or read slowly. */
import { assert } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { randomBytes } from "node:crypto"
import * as Message from "../../../src/message/Message.ts"
import { eventually, eventuallyThat } from "../../conformance/support.ts"
import { failureOf } from "../../support/rig.ts"
import { createTopic, millisOf, readTopic, startLoad, startProducer, TEST_TIMEOUT } from "../support.ts"
import {
  A,
  B,
  brokerNamed,
  killed,
  type Methods,
  NEVER_MILLIS,
  paused,
  send,
  socketTo,
  untilInFlight,
  warm
} from "./shared.ts"

const MIB = 1024 * 1024

export const tests = (test: Methods): void => {
  test.effect(
    "B13, C11: a broker that hangs: the send ends at its time, unknown; its late answer is dropped; others go on",
    () =>
      Effect.gen(function* () {
        const b = yield* brokerNamed(B)
        const topic = yield* createTopic("hangs", [B])
        const elsewhere = yield* createTopic("goes-on", [A])
        // No heartbeat: two silent requests in a row would end the connection, and no late answer could come.
        const producer = yield* startProducer({ retryTimesWhenSendFailed: 0, heartbeatBrokerInterval: NEVER_MILLIS })
        yield* warm(producer, topic)
        const load = yield* startLoad(producer, elsewhere)
        const timeoutMillis = 700
        const [millis, error] = yield* paused(
          b,
          Effect.gen(function* () {
            const sending = yield* Effect.forkChild(Effect.flip(send(producer, topic, { timeoutMillis })), {
              startImmediately: true
            })
            const spent = yield* millisOf(load.acknowledged(50))
            const failure = yield* Fiber.join(sending)
            assert.strictEqual((yield* socketTo(producer, b.address))?.inFlight, 0, "the place is free again")
            return [spent, failure] as const
          })
        )
        assert.isAbove(millis, 0)
        assert.deepStrictEqual([error.outcome, error.attempts.length], ["unknown", 1])
        assert.deepInclude(error.reason, { _tag: "RequestTimeout", sent: true })
        yield* eventuallyThat(producer.state, ({ instance }) => assert.strictEqual(instance?.counters.late, 1))
        // On the same connection, and each with its own answer.
        const { queueOffset } = yield* send(producer, topic)
        assert.isAtLeast(queueOffset, 0)
        assert.strictEqual((yield* socketTo(producer, b.address))?.connects, 1)
        // What was unknown is there, once.
        const stored = yield* readTopic(topic, 1, 6)
        assert.strictEqual([...stored.values()].flat().length, 6)
        yield* load.stop
        assert.deepStrictEqual(load.ledger.failed, [])
      }),
    TEST_TIMEOUT
  )

  test.effect(
    "B1, B14: a broker killed with requests under way: they fail at once and unknown, or go elsewhere in their time",
    () =>
      Effect.gen(function* () {
        const b = yield* brokerNamed(B)
        const alone = yield* createTopic("killed", [B])
        const both = yield* createTopic("killed", [A, B])
        // Heartbeats without an answer would end the connection before it is killed.
        const producer = yield* startProducer({
          pollNameServerInterval: NEVER_MILLIS,
          heartbeatBrokerInterval: NEVER_MILLIS
        })
        yield* warm(producer, alone)
        yield* warm(producer, both)
        const queue = { topic: both, brokerName: B, queueId: 0 }
        yield* b.pause
        const sending = yield* Effect.forkChild(
          Effect.all(
            [
              Effect.exit(send(producer, alone, { timeoutMillis: 60_000, queue: { ...queue, topic: alone } })),
              Effect.forEach(Array.from({ length: 8 }), () => send(producer, both), { concurrency: "unbounded" })
            ],
            { concurrency: "unbounded" }
          )
        )
        // One to the topic of this broker alone, and half of the others.
        yield* untilInFlight(producer, b.address, 5)
        yield* killed(
          b,
          Effect.gen(function* () {
            const [pinned, others] = yield* Fiber.join(sending)
            const error = failureOf(pinned)
            assert.strictEqual(error.outcome, "unknown")
            assert.strictEqual(error.attempts[0]?.cause._tag, "ConnectionClosed")
            assert.isTrue(others.every(({ queue: { brokerName } }) => brokerName === A))
            assert.isTrue(others.some(({ attempts }) => attempts === 2))
          })
        )
        yield* eventually(send(producer, alone))
      }),
    TEST_TIMEOUT
  )

  test.effect(
    "B15: a broker that does not read: what is in flight stays within its cap, callers wait, and nothing is lost",
    () =>
      Effect.gen(function* () {
        const b = yield* brokerNamed(B)
        const topic = yield* createTopic("slow-reader", [B])
        const maxInFlightBytes = 8 * MIB
        const producer = yield* startProducer({
          heartbeatBrokerInterval: NEVER_MILLIS,
          remoting: { maxInFlightBytes }
        })
        yield* warm(producer, topic)
        const body = randomBytes(MIB)
        const sending = yield* paused(
          b,
          Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(
              Effect.forEach(Array.from({ length: 40 }), () => producer.send(Message.make({ topic, body })), {
                concurrency: "unbounded"
              })
            )
            const socket = yield* eventuallyThat(socketTo(producer, b.address), (info) =>
              assert.isAtLeast(info?.waiting ?? 0, 30)
            )
            assert.isAtMost(socket?.inFlightBytes ?? Infinity, maxInFlightBytes + MIB)
            return fiber
          })
        )
        const results = yield* Fiber.join(sending)
        assert.isTrue(results.every(({ attempts }) => attempts === 1))
        assert.strictEqual(new Set(results.map((r) => `${r.queue.queueId}/${r.queueOffset}`)).size, 40)
      }),
    TEST_TIMEOUT
  )

  test.effect(
    "B16: one-way sends to a broker that is gone: best effort, counted, never a surprise; well again afterwards",
    () =>
      Effect.gen(function* () {
        const b = yield* brokerNamed(B)
        const topic = yield* createTopic("one-way", [B])
        const producer = yield* startProducer({ pollNameServerInterval: NEVER_MILLIS })
        yield* warm(producer, topic)
        const oneway = Effect.exit(producer.sendOneway(Message.make({ topic, body: "x" }), { timeoutMillis: 2_000 }))
        const before = (yield* producer.state).counters
        yield* killed(
          b,
          Effect.gen(function* () {
            const exits = yield* Effect.forEach(Array.from({ length: 20 }), () => oneway, { concurrency: "unbounded" })
            const failures = exits.filter(Exit.isFailure).map(failureOf)
            for (const { outcome } of failures) assert.include(["not-sent", "unknown"], outcome)
            const { counters } = yield* producer.state
            assert.strictEqual(counters.failed - before.failed, failures.length)
            assert.strictEqual(counters.sends - before.sends, 20)
            // The connection is known to be dead by now: nothing pretends to have been sent.
            const error = failureOf(yield* eventuallyThat(oneway, (exit) => assert.isTrue(Exit.isFailure(exit))))
            assert.strictEqual(error.outcome, "not-sent")
          })
        )
        yield* eventuallyThat(oneway, (exit) => assert.isTrue(Exit.isSuccess(exit)))
      }),
    TEST_TIMEOUT
  )

  test.effect(
    "B3: a broker that comes back at another address: the route refresh finds it, and the old address is let go",
    () =>
      Effect.gen(function* () {
        const b = yield* brokerNamed(B)
        const topic = yield* createTopic("moved", [B])
        const producer = yield* startProducer()
        yield* warm(producer, topic)
        const old = b.address
        yield* b.move
        assert.notStrictEqual(b.address, old)
        yield* eventually(send(producer, topic, { timeoutMillis: 5_000 }))
        assert.strictEqual((yield* socketTo(producer, b.address))?.state, "open")
        yield* eventuallyThat(producer.state, ({ instance }) => {
          for (const { address } of [...(instance?.sockets ?? []), ...(instance?.brokers ?? [])]) {
            assert.notStrictEqual(address, old)
          }
        })
      }),
    TEST_TIMEOUT
  )
}
