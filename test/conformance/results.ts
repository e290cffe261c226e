/** What a SendResult says is so. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as Message from "../../src/message/Message.ts"
import * as MessageId from "../../src/message/MessageId.ts"
import { Observer } from "./Observer.ts"
import { assertStored, createTopic, type Methods, startProducer, withManager } from "./support.ts"
import { Target } from "./Target.ts"

export const tests = (test: Methods): void => {
  test.effect("acknowledged means readable: at that place, with that body, those properties and that id", () =>
    Effect.gen(function* () {
      const { brokers, facts } = yield* Target
      const observer = yield* Observer
      const topic = yield* createTopic("readable")
      const producer = yield* startProducer()
      for (let n = 0; n < 40; n++) {
        const message = Message.make({ topic, body: `body ${n}`, keys: `key-${n}`, properties: { n: `№ ${n}` } })
        const result = yield* producer.send(message)
        assert.strictEqual(result.status, "SEND_OK")
        assert.strictEqual(result.attempts, 1)
        assert.isFalse(result.borrowedRoute)
        assert.strictEqual(result.regionId, "DefaultRegion")
        assert.isTrue(result.traceOn)
        assert.strictEqual(result.transactionId, facts.answersTransactionId ? result.msgId : undefined)
        assert.match(result.msgId, /^[0-9A-F]{32}$/)
        assert.include(
          brokers.map((broker) => broker.name),
          result.queue.brokerName
        )
        assertStored(yield* observer.messageAt(result.queue, result.queueOffset), message, result)
      }
    }).pipe(withManager)
  )

  test.effect("the offsets of a queue grow by one", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("offsets", { queues: 2 })
      const producer = yield* startProducer()
      for (const queue of yield* producer.fetchPublishMessageQueues(topic)) {
        const results = yield* Effect.forEach(Array.from({ length: 20 }), () =>
          producer.send(Message.make({ topic, body: "x" }), { queue })
        )
        assert.deepStrictEqual(
          results.map((result) => result.queueOffset),
          Array.from({ length: 20 }, (_, n) => n)
        )
      }
    }).pipe(withManager)
  )

  test.effect("the offset message id names the broker and the place in its log, where the message is found", () =>
    Effect.gen(function* () {
      const { brokers } = yield* Target
      const observer = yield* Observer
      const topic = yield* createTopic("by-id")
      const producer = yield* startProducer()
      for (let n = 0; n < 10; n++) {
        const message = Message.make({ topic, body: `find me ${n}`, tags: "T", properties: { n: `${n}` } })
        const result = yield* producer.send(message)
        const id = MessageId.decodeOffsetMessageId(result.offsetMsgId)
        const broker = brokers.find((b) => b.name === result.queue.brokerName)
        assert.isDefined(broker)
        assert.isDefined(id)
        assert.strictEqual(id.address, broker.address)
        const found = yield* observer.messageById(broker.address, Number(id.offset))
        assertStored(found, message, result)
        assert.strictEqual(found.commitLogOffset, Number(id.offset))
        assert.strictEqual(found.storeHost, broker.address)
        assert.strictEqual(MessageId.encodeOffsetMessageId(broker.address, id.offset), result.offsetMsgId)
      }
    }).pipe(withManager)
  )
}
