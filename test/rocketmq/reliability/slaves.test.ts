/** Consumers on a real master and its slave, which has a copy of everything. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { DefaultMQPushConsumer } from "../../../src/consumer/DefaultMQPushConsumer.ts"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../../src/message/Message.ts"
import * as PullMessage from "../../../src/protocol/request/PullMessage.ts"
import { eventually, eventuallyThat, uniqueName } from "../../conformance/support.ts"
import type { RocketMQVersion } from "../Jars.ts"
import { request } from "../RawRemoting.ts"
import { RocketMQ } from "../RocketMQServer.ts"
import { observe, services, startProducer, TEST_TIMEOUT } from "../support.ts"
import { A, killed } from "./shared.ts"

const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, n) => `${from + n}`)

/** Registers what is tried on a release. */
const tests = (version: RocketMQVersion) => {
  const cluster = services({
    version,
    brokers: [{ name: A }, { name: A, properties: { brokerId: "1", brokerRole: "SLAVE" } }],
    brokerProperties: { slaveReadEnable: "true" }
  })
  layer(cluster, { excludeTestServices: true, timeout: "10 minutes" })(
    `RocketMQ ${version}, a master and a slave`,
    (test) => {
      test.effect(
        "C-23: the master is gone: what it has is read from its slave, and from the master when it is back",
        () =>
          Effect.gen(function* () {
            const { brokers, namesrvAddr } = yield* RocketMQ
            const [master, slave] = brokers
            assert.isDefined(master)
            assert.isDefined(slave)
            const observer = yield* observe
            const topic = uniqueName("pair")
            yield* eventually(observer.createTopic(master.address, topic, { queues: 1 }))
            // A slave of 5.5.0 asks its master for topics a minute later, and takes them from an administrator.
            if (version === "5.5.0") yield* eventually(observer.createTopic(slave.address, topic, { queues: 1 }))
            const producer = yield* startProducer()
            for (const body of numbers(4)) yield* eventually(producer.send(Message.make({ topic, body })))
            const seen: Array<string> = []
            const consumer = yield* DefaultMQPushConsumer.make(
              {
                consumerGroup: uniqueName("pair"),
                subscriptions: [Subscription.all(topic)],
                namesrvAddr,
                consumeFromWhere: "first",
                startTimeoutMillis: 60_000,
                pollNameServerInterval: 1_000,
                heartbeatBrokerInterval: 1_000,
                persistConsumerOffsetInterval: 1_000,
                persistConsumerOffsetInitialDelay: 1_000
              },
              ({ body }) => Effect.sync(() => void seen.push(new TextDecoder().decode(body)))
            )
            yield* Effect.acquireRelease(consumer.start, () => consumer.shutdown)
            yield* eventuallyThat(
              Effect.sync(() => seen.length),
              (count) => assert.strictEqual(count, 4)
            )
            yield* consumer.suspend
            for (const body of numbers(8, 4)) yield* producer.send(Message.make({ topic, body }))
            // The slave knows the topic when it has asked its master for it, and the messages when it has the copies.
            const { code, extFields } = PullMessage.request({
              consumerGroup: "TOOLS_CONSUMER",
              topic,
              queueId: 0,
              queueOffset: 11,
              maxMsgNums: 1,
              sysFlag: PullMessage.PullSysFlag.SUBSCRIPTION,
              commitOffset: 0,
              suspendTimeoutMillis: 0,
              subscription: "*",
              subVersion: 0,
              expressionType: "TAG"
            })
            yield* eventuallyThat(request(slave.address, { code, extFields }), (answer) =>
              assert.strictEqual(answer?.code, 0, answer?.remark)
            )
            yield* killed(
              master,
              Effect.gen(function* () {
                yield* consumer.resume
                yield* eventuallyThat(
                  Effect.sync(() => new Set(seen).size),
                  (count) => assert.strictEqual(count, 12)
                )
              })
            )
            for (const body of numbers(4, 12)) yield* eventually(producer.send(Message.make({ topic, body })))
            yield* eventuallyThat(
              Effect.sync(() => new Set(seen).size),
              (count) => assert.strictEqual(count, 16)
            )
            yield* eventuallyThat(consumer.state, ({ problems }) => assert.deepStrictEqual(problems, []))
          }).pipe(Effect.scoped),
        TEST_TIMEOUT
      )
    }
  )
}

for (const version of ["5.5.0", "4.9.7"] as const) tests(version)
