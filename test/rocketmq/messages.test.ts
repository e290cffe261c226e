/** Batches, packed, delayed and ordered messages of this client, read back by RocketMQ's own Java client. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, References } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as Message from "../../src/message/Message.ts"
import * as MessageDelay from "../../src/message/MessageDelay.ts"
import type { SendResult } from "../../src/message/SendResult.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import * as KeyHash from "../../src/producer/queue/KeyHash.ts"
import type { ProducerOptions } from "../../src/producer/ProducerConfig.ts"
import { isReserved } from "../../src/protocol/MessageProperties.ts"
import * as TcpWire from "../../src/transport/TcpWire.ts"
import type { RocketMQVersion } from "./Jars.ts"
import * as JavaClient from "./JavaClient.ts"
import { RocketMQ } from "./RocketMQServer.ts"
import { createTopic } from "./support.ts"

const PATIENCE_MILLIS = 120_000

/** A started producer of the cluster, shut down with the scope. */
const startProducer = Effect.fnUntraced(function* (producerGroup: string, options: Partial<ProducerOptions> = {}) {
  const { namesrvAddr } = yield* RocketMQ
  const producer = yield* DefaultMQProducer.make({
    producerGroup,
    namesrvAddr,
    startTimeoutMillis: PATIENCE_MILLIS,
    sendMsgTimeout: PATIENCE_MILLIS,
    ...options
  })
  yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
  return producer
})

interface Sent {
  readonly message: Message.Message
  readonly result: SendResult
}

const sentBatch = (messages: ReadonlyArray<Message.Message>, results: ReadonlyArray<SendResult>): ReadonlyArray<Sent> =>
  messages.flatMap((message, index) => {
    const result = results[index]
    return result === undefined ? [] : [{ message, result }]
  })

/** A message as the Java client must see it, up to its place. */
const content = ({ message, result }: Sent) => ({
  msgId: result.msgId,
  body: Buffer.from(message.body).toString("base64"),
  keys: message.keys?.join(" "),
  tags: message.tags,
  flag: message.flag ?? 0,
  properties: { ...message.properties }
})

const readContent = (message: JavaClient.JavaMessage): ReturnType<typeof content> => ({
  msgId: message.msgId,
  body: message.bodyBase64 ?? "",
  keys: message.keys,
  tags: message.tags,
  flag: message.flag,
  properties: Object.fromEntries(Object.entries(message.properties).filter(([name]) => !isReserved(name)))
})

const places = (list: ReadonlyArray<Sent>) =>
  list.map(({ result: { offsetMsgId, queue, queueOffset } }) => [
    `${queue.brokerName}/${queue.queueId}/${queueOffset}`,
    offsetMsgId
  ])

const readPlaces = (list: ReadonlyArray<JavaClient.JavaMessage>) =>
  list.map(({ brokerName, offsetMsgId, queueId, queueOffset }) => [
    `${brokerName}/${queueId}/${queueOffset}`,
    offsetMsgId
  ])

const readTopic = (topic: string) =>
  Effect.flatMap(RocketMQ, ({ namesrvAddr }) => JavaClient.read({ namesrvAddr, topic, timeoutMillis: PATIENCE_MILLIS }))

/** Asserts that the Java client reads exactly these, each as it was sent. */
const assertRead = Effect.fnUntraced(function* (topic: string, sent: ReadonlyArray<Sent>) {
  const found = yield* readTopic(topic)
  assert.sameDeepMembers(found.map(readContent), sent.map(content))
  return found
})

const forms = (topic: string): ReadonlyArray<Message.Message> => [
  Message.make({ topic, body: "plain" }),
  Message.make({ topic, body: "grüße 🚀", tags: "A", keys: ["k1", "ключ"], flag: -7 }),
  Message.make({ topic, body: Uint8Array.from({ length: 256 }, (_, n) => n), properties: { 名前: "値" } }),
  Message.make({ topic, body: "x".repeat(10_000), tags: "A" })
]

const mqadmin = (...args: ReadonlyArray<string>) =>
  Effect.flatMap(RocketMQ, ({ namesrvAddr }) =>
    JavaClient.mqadmin({ namesrvAddr, timeoutMillis: PATIENCE_MILLIS }, args)
  )

const services = (version: RocketMQVersion) =>
  Layer.mergeAll(
    RocketMQ.layer({ version, brokers: [{ name: "broker-a" }, { name: "broker-b" }] }),
    MQClientManager.layerTcp,
    TcpWire.layer,
    Layer.succeed(References.MinimumLogLevel, "Error")
  )

for (const version of ["5.5.0", "4.9.7"] as const) {
  describe(`RocketMQ ${version}`, () => {
    layer(services(version), { excludeTestServices: true, timeout: "10 minutes" })((test) => {
      test.effect("batches and automatic batches", () =>
        Effect.gen(function* () {
          const topic = "read-batch"
          const producer = yield* startProducer("read-batch-group")
          const batches = yield* Effect.forEach([1, 2, 3], () =>
            Effect.map(producer.sendBatch(forms(topic)), ({ results }) => sentBatch(forms(topic), results))
          )
          const automatic = yield* startProducer("read-auto-group", { autoBatch: true })
          const together = yield* Effect.forEach(
            Array.from({ length: 200 }, (_, n) =>
              Message.make({ topic, body: `${n}`, keys: `k${n}`, tags: `T${n % 2}` })
            ),
            (message) => Effect.map(automatic.send(message), (result) => ({ message, result })),
            { concurrency: "unbounded" }
          )
          const sent = [...batches.flat(), ...together]
          const found = yield* assertRead(topic, sent)
          assert.sameDeepMembers(readPlaces(found), places(sent))
        })
      )

      test.effect("bodies packed with zlib, zstd and LZ4", () =>
        Effect.gen(function* () {
          const topic = "read-packed"
          // 4.x unpacks zlib only.
          const types = version === "4.9.7" ? (["ZLIB"] as const) : (["ZLIB", "ZSTD", "LZ4"] as const)
          const sent = yield* Effect.forEach(types, (compressType) =>
            Effect.gen(function* () {
              const producer = yield* startProducer(`read-${compressType}-group`, { compressType })
              return yield* Effect.forEach([4_095, 4_096, 40_000, 1_000_000], (size) => {
                const message = Message.make({ topic, body: `${compressType} `.repeat(size).slice(0, size) })
                return Effect.map(producer.send(message), (result) => ({ message, result }))
              })
            })
          )
          yield* assertRead(topic, sent.flat())
        })
      )

      test.effect("ordered by key, one behind the other in the queue that Java's selector takes", () =>
        Effect.gen(function* () {
          // Made before: a route that is borrowed meanwhile has other queues.
          const topic = yield* createTopic("read-ordered", ["broker-a", "broker-b"])
          const producer = yield* startProducer("read-ordered-group")
          const keys = ["order-1", "order-2", "ключ"]
          const acknowledged = yield* Effect.forEach([...Array(90).keys()], (n) =>
            producer.sendQueued(Message.make({ topic, body: `${n}` }), { orderingKey: keys[n % 3] })
          )
          yield* Effect.all(acknowledged, { concurrency: "unbounded" })
          const queues = yield* producer.fetchPublishMessageQueues(topic)
          const found = yield* readTopic(topic)
          for (const [index, key] of keys.entries()) {
            const queue = queues[KeyHash.indexOf("java", key, queues.length)]
            const mine = found.filter(({ properties }) => properties["__SHARDINGKEY"] === key)
            assert.isTrue(
              mine.every(({ brokerName, queueId }) => brokerName === queue?.brokerName && queueId === queue.queueId)
            )
            assert.deepStrictEqual(
              mine.map(({ bodyBase64 = "" }) => Buffer.from(bodyBase64, "base64").toString()),
              [...Array(30).keys()].map((n) => `${n * 3 + index}`)
            )
          }
        })
      )

      test.effect("delayed by a level", () =>
        Effect.gen(function* () {
          const topic = "read-delayed"
          const producer = yield* startProducer("read-delayed-group")
          yield* producer.send(Message.make({ topic, body: "now" }))
          const message = Message.make({ topic, body: "later", tags: "T", keys: "k", delay: MessageDelay.level(1) })
          const result = yield* producer.send(message)
          const found = yield* readTopic(topic).pipe(
            Effect.tap(() => Effect.sleep(500)),
            Effect.repeat({ until: (list) => list.length === 2 })
          )
          const later = found.find(({ tags }) => tags === "T")
          assert.isDefined(later)
          const { properties: _, ...expected } = content({ message, result })
          assert.deepInclude(readContent(later), expected)
          // Java's store keeps the time at which it was put aside; it comes a second later.
          assert.isAtLeast(later.storeTimestamp - later.bornTimestamp, 900)
        })
      )
    })
  })
}

describe("RocketMQ 5.5.0, topics of their own kind", () => {
  layer(services("5.5.0"), { excludeTestServices: true, timeout: "10 minutes" })((test) => {
    test.effect("a topic whose batches are stored whole: the Java client takes them apart", () =>
      Effect.gen(function* () {
        const { clusterName } = yield* RocketMQ
        const topic = "read-batch-cq"
        const created = yield* mqadmin("updateTopic", "-c", clusterName, "-t", topic, "-a", "+queue.type=BatchCQ")
        assert.match(created.stdout, /success/)
        const producer = yield* startProducer("read-batch-cq-group")
        const messages = forms(topic)
        const { results } = yield* producer.sendBatch(messages)
        assert.strictEqual(new Set(results.map(({ offsetMsgId }) => offsetMsgId)).size, 1)
        const found = yield* assertRead(topic, sentBatch(messages, results))
        assert.deepStrictEqual(
          found.map(({ queueOffset }) => queueOffset),
          results.map(({ queueOffset }) => queueOffset)
        )
      })
    )

    test.effect("a static topic: every logical queue reaches the broker that has it", () =>
      Effect.gen(function* () {
        const { clusterName } = yield* RocketMQ
        const topic = "read-static"
        const created = yield* mqadmin("updateStaticTopic", "-c", clusterName, "-t", topic, "-qn", "6")
        assert.strictEqual(created.exitCode, 0, created.stdout)
        const producer = yield* startProducer("read-static-group")
        const queues = yield* producer.fetchPublishMessageQueues(topic).pipe(
          Effect.tap((list) => (list.length === 6 ? Effect.void : Effect.sleep(500))),
          Effect.repeat({ until: (list) => list.length === 6 })
        )
        assert.deepStrictEqual(
          queues.map(({ brokerName, queueId }) => `${brokerName}:${queueId}`),
          [0, 1, 2, 3, 4, 5].map((id) => `__syslo____global__:${id}`)
        )
        const sent = yield* Effect.forEach([...queues, ...queues], (queue, n) => {
          const message = Message.make({ topic, body: `${n}` })
          return Effect.map(producer.send(message, { queue }), (result) => {
            assert.deepStrictEqual(result.queue, queue)
            return { message, result }
          })
        })
        const batch = forms(topic)
        const { results } = yield* producer.sendBatch(batch, { queue: queues[2] })
        yield* assertRead(topic, [...sent, ...sentBatch(batch, results)])
      })
    )
  })
})
