/** A batch that a real broker keeps as one message. */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { make as makeAdmin } from "../../src/admin/MQAdmin.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as Message from "../../src/message/Message.ts"
import { SysFlag } from "../../src/message/SysFlag.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import * as TcpWire from "../../src/transport/TcpWire.ts"
import { eventuallyThat, PATIENCE_MILLIS, uniqueName } from "../conformance/support.ts"
import { RocketMQ } from "./RocketMQServer.ts"

const services = Layer.mergeAll(
  RocketMQ.layer({ version: "5.5.0" }),
  MQClientManager.layer.pipe(Layer.provideMerge(TcpWire.layer))
)

layer(services, { excludeTestServices: true, timeout: "10 minutes" })("a topic of the queue type BatchCQ", (test) => {
  test.effect("is pulled message by message, from any of a batch on", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* RocketMQ
      const admin = yield* makeAdmin({ namesrvAddr })
      const topic = uniqueName("inner")
      yield* admin.createTopic({ topic, readQueueNums: 1, attributes: { "queue.type": "BatchCQ" } })
      const producer = yield* DefaultMQProducer.make({
        producerGroup: uniqueName("inner"),
        namesrvAddr,
        sendMsgTimeout: PATIENCE_MILLIS
      })
      yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
      const make = (n: number) => Message.make({ topic, body: `part ${n}`, tags: "t", keys: [`key-${n}`] })
      yield* producer.sendBatch([make(0), make(1), make(2)])
      yield* producer.sendBatch([make(3), make(4)])
      const [queue = assert.fail("no queue")] = yield* admin.fetchSubscribeMessageQueues(topic)
      const texts = (from: number, count = 32) =>
        Effect.map(admin.pull(queue, from, count), ({ messages, nextBeginOffset }) => ({
          nextBeginOffset,
          found: messages.map(({ body, keys, queueOffset }) => [queueOffset, Buffer.from(body).toString(), keys[0]])
        }))
      const all = [0, 1, 2, 3, 4].map((n) => [n, `part ${n}`, `key-${n}`])
      yield* eventuallyThat(texts(0), ({ found }) => assert.deepStrictEqual(found, all))
      const { messages } = yield* admin.pull(queue, 0, 32)
      assert.isTrue(messages.every(({ sysFlag }) => (sysFlag & SysFlag.INNER_BATCH) !== 0))
      assert.deepStrictEqual(yield* texts(1), { found: all.slice(1), nextBeginOffset: 5 })
      assert.deepStrictEqual(yield* texts(0, 2), { found: all.slice(0, 2), nextBeginOffset: 2 })
      assert.deepStrictEqual(yield* texts(2), { found: all.slice(2), nextBeginOffset: 5 })
    }).pipe(Effect.scoped)
  )
})
