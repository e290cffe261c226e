/** The life of producers on real brokers. */
import { assert } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { MQClientManager } from "../../../src/client/MQClientManager.ts"
import { DefaultMQProducer } from "../../../src/producer/DefaultMQProducer.ts"
import { LeakCheck } from "../../../src/testing/index.ts"
import { eventuallyThat, uniqueName } from "../../conformance/support.ts"
import { RocketMQ } from "../RocketMQServer.ts"
import { createTopic, observe, startLoad, startProducer, TEST_TIMEOUT } from "../support.ts"
import { A, B, brokerNamed, type Methods, NEVER_MILLIS, paused, send, untilInFlight, warm } from "./shared.ts"

const CYCLES = 50

/** Waits until a broker knows nobody of a group: one that is slow to answer a farewell is not waited for. */
const untilNobody = (broker: string, group: string) =>
  eventuallyThat(clientsOf(broker, group), (clients) => assert.deepStrictEqual(clients, []))

/** The ids of the clients that a broker knows under a group. */
const clientsOf = Effect.fnUntraced(function* (broker: string, group: string) {
  const observer = yield* observe
  const { address } = yield* brokerNamed(broker)
  return (yield* observer.producers(address, group)).map(({ clientId }) => clientId)
})

export const tests = (test: Methods): void => {
  test.effect(
    "L9: two producers share a client; one closes while the other sends, which never notices",
    () =>
      Effect.gen(function* () {
        const manager = yield* MQClientManager
        const topic = yield* createTopic("shared", [A, B])
        const instanceName = uniqueName("shared")
        const stays = yield* startProducer({ instanceName })
        const leaves = yield* startProducer({ instanceName })
        yield* warm(stays, topic)
        yield* warm(leaves, topic)
        const size = yield* manager.size
        const load = yield* startLoad(stays, topic)
        yield* load.acknowledged(100)
        yield* leaves.shutdown
        yield* load.acknowledged(100)
        yield* load.stop
        assert.deepStrictEqual(load.ledger.failed, [])
        assert.isTrue(load.ledger.acknowledged.every(({ result }) => result.attempts === 1))
        assert.strictEqual(yield* manager.size, size)
        yield* untilNobody(A, leaves.producerGroup)
        assert.strictEqual((yield* clientsOf(A, stays.producerGroup)).length, 1)
        yield* stays.shutdown
        assert.strictEqual(yield* manager.size, size - 1)
        yield* untilNobody(A, stays.producerGroup)
      }),
    TEST_TIMEOUT
  )

  test.effect(
    "L5: a producer that was shut down cannot start again; another one of the same identity can",
    () =>
      Effect.gen(function* () {
        const topic = yield* createTopic("again", [A])
        const identity = { instanceName: uniqueName("again"), producerGroup: uniqueName("again") }
        const first = yield* startProducer(identity)
        yield* send(first, topic)
        yield* first.shutdown
        const { reason, step } = yield* Effect.flip(first.start)
        assert.strictEqual(step, "2.1")
        assert.deepInclude(reason, { _tag: "IllegalServiceState", actual: "SHUTDOWN_ALREADY" })
        const second = yield* startProducer(identity)
        yield* send(second, topic)
      }),
    TEST_TIMEOUT
  )

  test.effect(
    `L12: ${CYCLES} starts and stops: sockets and timers are back where they were, and the brokers know of nobody`,
    () =>
      Effect.gen(function* () {
        const { namesrvAddr } = yield* RocketMQ
        const topic = yield* createTopic("cycles", [A, B])
        const producerGroup = uniqueName("cycles")
        const cycle = Effect.gen(function* () {
          const producer = yield* DefaultMQProducer.make({
            producerGroup,
            namesrvAddr,
            readiness: "registered",
            topics: [topic],
            startTimeoutMillis: 60_000,
            sendMsgTimeout: 60_000
          })
          yield* producer.start
          yield* send(producer, topic)
          yield* producer.shutdown
        })
        // The observer that made the topic has ended; what it leaves must not count.
        yield* cycle
        yield* LeakCheck.check(Effect.repeat(cycle, { times: CYCLES - 1 }))
        for (const broker of [A, B]) yield* untilNobody(broker, producerGroup)
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )

  test.effect(
    "L1: a shutdown lets the sends under way end, when the broker goes on answering within the drain limit",
    () =>
      Effect.gen(function* () {
        const a = yield* brokerNamed(A)
        const topic = yield* createTopic("drained", [A])
        const producer = yield* startProducer({ drainTimeoutMillis: 60_000, heartbeatBrokerInterval: NEVER_MILLIS })
        yield* warm(producer, topic)
        const [sending, closing] = yield* paused(
          a,
          Effect.gen(function* () {
            const sends = yield* Effect.forkChild(
              Effect.forEach(Array.from({ length: 16 }), () => send(producer, topic), { concurrency: "unbounded" })
            )
            yield* untilInFlight(producer, a.address, 16)
            const shutdown = yield* Effect.forkChild(producer.shutdown, { startImmediately: true })
            const { reason } = yield* Effect.flip(send(producer, topic))
            assert.deepInclude(reason, { _tag: "IllegalServiceState", actual: "SHUTDOWN_ALREADY" })
            return [sends, shutdown] as const
          })
        )
        const results = yield* Fiber.join(sending)
        assert.isTrue(results.every(({ attempts }) => attempts === 1))
        yield* Fiber.join(closing)
        yield* untilNobody(A, producer.producerGroup)
      }),
    TEST_TIMEOUT
  )
}
