/** Requests, replies and transactions between this client and RocketMQ's own Java client, by way of real brokers. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Fiber, Layer, References } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { DefaultMQPushConsumer } from "../../src/consumer/DefaultMQPushConsumer.ts"
import * as MessageListener from "../../src/consumer/MessageListener.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import type { MessageExt } from "../../src/message/MessageExt.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import * as LocalTransactionState from "../../src/producer/transaction/LocalTransactionState.ts"
import { replyTopic } from "../../src/producer/reply/RequestReply.ts"
import { TransactionMQProducer } from "../../src/producer/TransactionMQProducer.ts"
import * as TcpWire from "../../src/transport/TcpWire.ts"
import * as Observers from "../conformance/Observer.ts"
import { eventuallyThat } from "../conformance/support.ts"
import type { RocketMQVersion } from "./Jars.ts"
import * as JavaClient from "./JavaClient.ts"
import * as JavaRequestReply from "./JavaRequestReply.ts"
import { RocketMQ } from "./RocketMQServer.ts"

/** A Java program may take a while to start on a busy machine. */
const TIMEOUT_MILLIS = 120_000

const services = (version: RocketMQVersion) =>
  Layer.mergeAll(
    RocketMQ.layer({
      version,
      brokers: [{ name: "broker-a" }, { name: "broker-b" }],
      brokerProperties: { transactionTimeOut: "1000", transactionCheckInterval: "3000" }
    }),
    MQClientManager.layer.pipe(Layer.provideMerge(TcpWire.layer)),
    Layer.succeed(References.MinimumLogLevel, "Error")
  )

/** Looks at the cluster, on which it has created the topic. */
const withTopic = Effect.fnUntraced(function* (topic: string) {
  const { brokers, namesrvAddr } = yield* RocketMQ
  const observer = yield* Observers.make(namesrvAddr)
  for (const { address } of brokers) yield* observer.createTopic(address, topic)
  yield* eventuallyThat(observer.route(topic), (route) => assert.strictEqual(route?.queueDatas.length, brokers.length))
  return observer
})

const startProducer = Effect.fnUntraced(function* (producerGroup: string) {
  const { namesrvAddr } = yield* RocketMQ
  const producer = yield* DefaultMQProducer.make({
    producerGroup,
    namesrvAddr,
    startTimeoutMillis: 60_000,
    sendMsgTimeout: 60_000
  })
  yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
  return producer
})

const textOf = (message: { readonly body: Uint8Array }) => new TextDecoder().decode(message.body)
const textIn = (message: { readonly bodyBase64?: string }) =>
  Buffer.from(message.bodyBase64 ?? "", "base64").toString("utf8")

/** Small, not ASCII, and so large that either side compresses its part. */
const bodies = ["what?", "was kostet das? 🚀 多少", "a long question ".repeat(1_000)]

describe.each(["5.5.0", "4.9.7"] as const)("RocketMQ %s and its Java client", (version) => {
  layer(services(version), { excludeTestServices: true, timeout: "10 minutes" })((test) => {
    test.effect("the Java client replies to this client's requests", () =>
      Effect.gen(function* () {
        const { clusterName, namesrvAddr } = yield* RocketMQ
        const topic = "java-replies"
        yield* withTopic(topic)
        const replier = yield* Effect.forkChild(
          JavaRequestReply.reply({
            namesrvAddr,
            version,
            topic,
            group: "java-replier",
            count: bodies.length,
            timeoutMillis: TIMEOUT_MILLIS
          }),
          { startImmediately: true }
        )
        const producer = yield* startProducer("our-requester")
        const replies = yield* Effect.forEach(
          bodies,
          (body) => producer.request(Message.make({ topic, body, keys: "asked" }), TIMEOUT_MILLIS),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(
          replies.map(textOf),
          bodies.map((body) => `re: ${body}`)
        )
        const requests = yield* Fiber.join(replier)
        assert.sameMembers(requests.map(textIn), bodies)
        const clientId = (yield* producer.state).instance?.clientId
        for (const reply of replies) {
          assert.strictEqual(reply.topic, replyTopic(clusterName))
          assert.deepInclude(
            { ...reply.properties },
            { TAGS: "from-java", MSG_TYPE: "reply", TTL: `${TIMEOUT_MILLIS}` }
          )
          assert.strictEqual(reply.properties["REPLY_TO_CLIENT"], clientId)
          const request = requests.find(
            ({ properties }) => properties["CORRELATION_ID"] === reply.properties["CORRELATION_ID"]
          )
          assert.isDefined(request)
          assert.strictEqual(textOf(reply), `re: ${textIn(request)}`)
          assert.strictEqual(request.keys, "asked")
        }
        assert.deepInclude((yield* producer.state).instance?.replies, { waiting: 0, taken: 3, late: 0, unreadable: 0 })
      })
    )

    test.effect("a consumer here replies to the Java client's requests", () =>
      Effect.gen(function* () {
        const { clusterName, namesrvAddr } = yield* RocketMQ
        const topic = "our-replies"
        yield* withTopic(topic)
        const producer = yield* startProducer("our-replier")
        const seen: Array<MessageExt> = []
        const consumer = yield* DefaultMQPushConsumer.make(
          {
            consumerGroup: "our-repliers",
            subscriptions: [Subscription.all(topic)],
            consumeFromWhere: "first",
            namesrvAddr,
            startTimeoutMillis: 60_000
          },
          MessageListener.replying((request) =>
            Effect.sync(() => {
              const index = seen.push(request) - 1
              const body = `${index}: ${"a long answer ".repeat(index * 1_000)}`
              return { body, tags: "from-effect", properties: { ключ: "значение 🚀" } }
            })
          )
        ).pipe(Effect.provideService(DefaultMQProducer, producer))
        yield* Effect.acquireRelease(consumer.start, () => consumer.shutdown)
        const asking = yield* Effect.forkChild(
          JavaRequestReply.request({
            namesrvAddr,
            version,
            topic,
            group: "java-requester",
            bodies,
            requestTimeoutMillis: 60_000,
            timeoutMillis: TIMEOUT_MILLIS
          }),
          { startImmediately: true }
        )
        const replies = yield* Fiber.join(asking)
        assert.deepStrictEqual(
          replies.map(textIn),
          bodies.map((_, index) => `${index}: ${"a long answer ".repeat(index * 1_000)}`)
        )
        for (const [index, reply] of replies.entries()) {
          assert.strictEqual(reply.topic, replyTopic(clusterName))
          assert.deepInclude(reply.properties, {
            TAGS: "from-effect",
            ключ: "значение 🚀",
            CORRELATION_ID: seen[index]?.properties["CORRELATION_ID"] ?? ""
          })
        }
      })
    )

    test.effect("the Java client reads what transactions committed, and nothing else", () =>
      Effect.gen(function* () {
        const { namesrvAddr } = yield* RocketMQ
        const topic = "our-transactions"
        const observer = yield* withTopic(topic)
        const producer = yield* TransactionMQProducer.make({
          producerGroup: "our-transactions",
          namesrvAddr,
          startTimeoutMillis: 60_000,
          sendMsgTimeout: 60_000,
          checkLocalTransaction: (message) =>
            Effect.succeed(
              textOf(message).startsWith("commit")
                ? LocalTransactionState.COMMIT_MESSAGE
                : LocalTransactionState.ROLLBACK_MESSAGE
            )
        })
        yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
        const message = (body: string) =>
          Message.make({ topic, body, tags: "TagA", keys: "k1", properties: { 名前: "値" } })
        yield* producer.transaction(message("commit at once"), Effect.void)
        yield* Effect.ignore(producer.transaction(message("rollback at once"), Effect.fail("no")))
        yield* Effect.exit(producer.transaction(message("commit by the check"), Effect.die("crash")))
        yield* Effect.exit(producer.transaction(message("rollback by the check"), Effect.die("crash")))
        yield* eventuallyThat(
          Effect.map(observer.readTopic(topic), (stored) => new Set([...stored.values()].flat().map(textOf))),
          (found) => assert.sameMembers([...found], ["commit at once", "commit by the check"])
        )
        yield* eventuallyThat(producer.transactions, ({ checks }) => assert.isAtLeast(checks.rolledBack, 1))
        const read = yield* JavaClient.read({ namesrvAddr, version, topic, timeoutMillis: TIMEOUT_MILLIS })
        assert.sameMembers([...new Set(read.map(textIn))], ["commit at once", "commit by the check"])
        for (const found of read) {
          assert.strictEqual(found.tags, "TagA")
          assert.strictEqual(found.keys, "k1")
          assert.strictEqual(found.properties["名前"], "値")
        }
      })
    )
  })
})
