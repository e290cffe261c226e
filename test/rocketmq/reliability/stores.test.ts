/** RocketMQ 5.5.0 with brokers whose stores or threads are not as they should be, one for each trouble. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as Message from "../../../src/message/Message.ts"
import type { SendStatus } from "../../../src/message/SendResult.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { ResponseCode } from "../../../src/protocol/ResponseCode.ts"
import { audit, makeLedger } from "../../conformance/ledger.ts"
import { createTopic, readTopic, services, startLoad, startProducer, TEST_TIMEOUT } from "../support.ts"
import { brokerNamed, NEVER_MILLIS, send, warm } from "./shared.ts"

/** How many sends a status may take to show, where it is a race in the broker. */
const MANY = 500

const cluster = services({
  brokers: [
    { name: "healthy" },
    // The flush of a message has no time at all: whether it is done before somebody looks is a race that it can win.
    // It sends everybody away for a while before it stops, which the last test has it do.
    {
      name: "slow-disk",
      properties: {
        flushDiskType: "SYNC_FLUSH",
        syncFlushTimeout: "-1000",
        enableShutdownGracefully: "true",
        shutdownWaitTimeSeconds: "3"
      }
    },
    // Two copies of each message are asked for, and there is no slave that could have the second.
    {
      name: "lonely",
      properties: { brokerRole: "SYNC_MASTER", inSyncReplicas: "2", slaveTimeout: "200" }
    },
    // A pool of no buffers is always empty: every send is refused as one too many.
    { name: "busy", properties: { transientStorePoolEnable: "true", transientStorePoolSize: "0" } }
  ]
})

layer(cluster, { excludeTestServices: true, timeout: "10 minutes" })("RocketMQ 5.5.0, brokers in trouble", (test) => {
  for (const [broker, status] of [
    ["slow-disk", "FLUSH_DISK_TIMEOUT"],
    ["lonely", "FLUSH_SLAVE_TIMEOUT"]
  ] as const) {
    test.effect(
      `B9: ${status} is a success that says so; another broker is tried only where that is wanted`,
      () =>
        Effect.gen(function* () {
          const topic = yield* createTopic("statuses", [broker])
          const both = yield* createTopic("statuses", [broker, "healthy"])
          const producer = yield* startProducer({ pollNameServerInterval: NEVER_MILLIS })
          const ledger = makeLedger()
          const statuses = (): ReadonlyArray<SendStatus> => ledger.acknowledged.map(({ result }) => result.status)
          const sendOne = Effect.suspend(() => {
            const message = Message.make({ topic, body: "x".repeat(1_000) })
            return ledger.record(message, producer.send(message))
          })
          for (let n = 0; n < MANY && !statuses().includes(status); n++) yield* sendOne
          assert.include(statuses(), status)
          assert.deepStrictEqual(ledger.failed, [])
          assert.isTrue(ledger.acknowledged.every(({ result }) => result.attempts === 1))
          // It is stored, once, where the result says.
          const { duplicated, stored } = audit(ledger, yield* readTopic(topic, 1, ledger.acknowledged.length))
          assert.deepStrictEqual([duplicated, stored], [0, ledger.acknowledged.length])

          const careful = yield* startProducer({
            pollNameServerInterval: NEVER_MILLIS,
            retryAnotherBrokerWhenNotStoreOK: true
          })
          let moved = 0
          for (let n = 0; n < MANY && moved === 0; n++) {
            const result = yield* send(careful, both)
            assert.strictEqual(result.status, "SEND_OK")
            if (result.attempts === 2) moved++
            if (result.attempts === 2) assert.strictEqual(result.queue.brokerName, "healthy")
          }
          assert.strictEqual(moved, 1)
        }),
      TEST_TIMEOUT
    )
  }

  test.effect(
    "B4: a busy broker: its messages go to the other one after a pause; alone it is tried for as long as there is time",
    () =>
      Effect.gen(function* () {
        const both = yield* createTopic("flow-control", ["busy", "healthy"])
        const alone = yield* createTopic("flow-control", ["busy"])
        let busy = 0
        const producer = yield* startProducer({
          pollNameServerInterval: NEVER_MILLIS,
          remoting: {
            rpcHook: {
              doAfterResponse: (_, request, response) => {
                if (request.code === RequestCode.SEND_MESSAGE_V2 && response.code === ResponseCode.SYSTEM_BUSY) busy++
              }
            }
          }
        })
        for (let n = 0; n < 16; n++) {
          const { queue } = yield* send(producer, both)
          assert.strictEqual(queue.brokerName, "healthy")
        }
        // Every fourth send begins at a queue of the busy one; the first of them may be the fifth, and then there are three.
        assert.isAtLeast(busy, 3)
        busy = 0
        const error = yield* Effect.flip(send(producer, alone, { timeoutMillis: 2_000 }))
        assert.deepStrictEqual([error.outcome, error.retryable], ["rejected", true])
        assert.deepInclude(error.reason, { _tag: "BrokerRejected", code: ResponseCode.SYSTEM_BUSY })
        // With pauses that double up to half a second, two seconds are a dozen attempts and no storm.
        assert.isAtMost(busy, 30)
        assert.strictEqual(error.attempts.length, busy)
      }),
    TEST_TIMEOUT
  )

  // The last one: its broker does not come back.
  test.effect(
    "B11: a broker that leaves gracefully: it is dialled anew, asked once more, and no send fails",
    () =>
      Effect.gen(function* () {
        const leaving = yield* brokerNamed("slow-disk")
        const topic = yield* createTopic("goes-away", ["slow-disk", "healthy"])
        let goneAway = 0
        const producer = yield* startProducer({
          pollNameServerInterval: NEVER_MILLIS,
          remoting: {
            rpcHook: {
              doAfterResponse: (address, _, response) => {
                if (address === leaving.address && response.code === ResponseCode.GO_AWAY) goneAway++
              }
            }
          }
        })
        yield* warm(producer, topic)
        // Counted by the instance: the broker's own line in the state goes with it, as soon as a route no longer names it.
        const reconnects = Effect.map(producer.state, ({ instance }) => instance?.counters.reconnects)
        assert.strictEqual(yield* reconnects, 0)
        const load = yield* startLoad(producer, topic)
        yield* load.acknowledged(100, "slow-disk")
        yield* leaving.stop
        yield* load.acknowledged(200)
        yield* load.stop
        const { acknowledged, failed } = load.ledger
        assert.deepStrictEqual(
          failed.map(({ message }) => message),
          []
        )
        assert.isAtLeast((yield* reconnects) ?? 0, 1)
        // The hook sees what callers get: the second of two in a row.
        assert.isAtLeast(goneAway, 1)
        assert.isTrue(acknowledged.some(({ result }) => result.attempts > 1 && result.queue.brokerName === "healthy"))
      }),
    TEST_TIMEOUT
  )
})
