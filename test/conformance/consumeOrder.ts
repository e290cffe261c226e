/** Order: brokers' locks, and members that handle the messages of a queue one after the other under them. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as MessageListener from "../../src/consumer/MessageListener.ts"
import type { ReceivedMessage } from "../../src/consumer/ReceivedMessage.ts"
import * as Message from "../../src/message/Message.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import { DecodeError } from "../../src/protocol/DecodeError.ts"
import * as LockBatch from "../../src/protocol/request/LockBatch.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import * as RemotingClient from "../support/remoting.ts"
import { committedOf, ownedOnce, sendMany, startConsumer, textOf } from "./consumers.ts"
import { Observer } from "./Observer.ts"
import { createTopic, eventuallyThat, type Methods, startProducer, uniqueName, withManager } from "./support.ts"
import { Target } from "./Target.ts"

const { OrderlyResult, orderly } = MessageListener

/** Two clients that ask the first broker for locks of a group. */
const lockers = Effect.gen(function* () {
  const { brokers } = yield* Target
  const client = yield* RemotingClient.make({})
  const group = uniqueName("locks")
  const invoke = (
    operation: LockBatch.LockBatchOperation,
    clientId: string,
    mqSet: ReadonlyArray<MessageQueue.MessageQueue>
  ) => client.invoke(brokers[0].address, LockBatch.request({ clientId, consumerGroup: group, mqSet }, operation), 5_000)
  return {
    /** The queues that are granted, sorted. */
    lock: (clientId: string, ...queues: ReadonlyArray<MessageQueue.MessageQueue>) =>
      Effect.map(invoke("lock", clientId, queues), (response) => {
        assert.strictEqual(response.code, 0)
        const answer = LockBatch.decodeResponse(response)
        if (answer instanceof DecodeError) throw answer
        return answer.lockOKMQSet.map(MessageQueue.key).toSorted()
      }),
    unlock: (clientId: string, ...queues: ReadonlyArray<MessageQueue.MessageQueue>) =>
      Effect.map(invoke("unlock", clientId, queues), ({ body, code, remark }) => {
        assert.deepStrictEqual([code, remark, body.length], [0, undefined, 0])
      }),
    /** What comes of a request without a body. */
    bare: (code: number) =>
      Effect.map(client.invoke(brokers[0].address, { code, extFields: {} }, 5_000), (response) => response.code)
  }
})

const names = (...queues: ReadonlyArray<MessageQueue.MessageQueue>) => queues.map(MessageQueue.key).toSorted()

/** Sends texts to one queue, one after the other. */
const sendTo = Effect.fnUntraced(function* (queue: MessageQueue.MessageQueue, texts: ReadonlyArray<string>) {
  const producer = yield* startProducer()
  for (const body of texts) yield* producer.send(Message.make({ topic: queue.topic, body }), { queue })
})

export const tests = (test: Methods): void => {
  test.effect("a broker locks what is free or the asker's own, of any queue, and unlocks for the owner alone", () =>
    Effect.gen(function* () {
      const { brokers } = yield* Target
      const topic = yield* createTopic("locks", { queues: 2 })
      const { bare, lock, unlock } = yield* lockers
      const a = MessageQueue.make(topic, brokers[0].name, 0)
      const b = MessageQueue.make(topic, brokers[0].name, 1)
      const unknown = [
        MessageQueue.make(topic, brokers[0].name, 99),
        MessageQueue.make(uniqueName("nowhere"), "another-broker", 0)
      ]
      assert.deepStrictEqual(yield* lock("one", a), names(a))
      assert.deepStrictEqual(yield* lock("one", a), names(a), "renewed")
      assert.deepStrictEqual(yield* lock("two", a), [])
      assert.deepStrictEqual(yield* lock("two", a, b), names(b))
      assert.deepStrictEqual(yield* lock("one", a, b), names(a))
      assert.deepStrictEqual(yield* lock("two", ...unknown), names(...unknown))
      assert.deepStrictEqual(yield* lock("two"), [])
      yield* unlock("two", a)
      assert.deepStrictEqual(yield* lock("two", a), [], "not the one's to give back")
      yield* unlock("one", a, b)
      assert.deepStrictEqual(yield* lock("two", a), names(a))
      assert.deepStrictEqual(yield* lock("one", b), [])
      yield* unlock("one")
      yield* unlock("nobody", b)
      assert.strictEqual(yield* bare(RequestCode.LOCK_BATCH_MQ), 1)
      assert.strictEqual(yield* bare(RequestCode.UNLOCK_BATCH_MQ), 1)
    }).pipe(Effect.scoped)
  )

  test.effect("each queue in its order; a suspended one tries again before its successors", () =>
    Effect.gen(function* () {
      const { brokers } = yield* Target
      const topic = yield* createTopic("in-order", { queues: 2 })
      const queues = [0, 1].map((id) => MessageQueue.make(topic, brokers[0].name, id))
      const texts = ["a", "b", "c", "d"]
      for (const queue of queues) yield* sendTo(queue, texts)
      const seen: Array<ReceivedMessage> = []
      const consumer = yield* startConsumer(
        topic,
        orderly((message) =>
          Effect.sync(() => {
            seen.push(message)
            return textOf(message) === "b" && message.attempt < 3 ? OrderlyResult.suspend("50 millis") : undefined
          })
        )
      )
      yield* eventuallyThat(consumer.state, ({ counters }) => assert.strictEqual(counters.succeeded, 8))
      for (const { queueId } of queues) {
        assert.deepStrictEqual(
          seen.filter(({ queue }) => queue.queueId === queueId).map((one) => `${textOf(one)}${one.attempt}`),
          ["a1", "b1", "b2", "b3", "c1", "d1"]
        )
      }
      yield* consumer.shutdown
      assert.strictEqual(yield* committedOf(consumer.consumerGroup, topic, 2), 8)
    }).pipe(withManager)
  )

  test.effect(
    "one that never succeeds is with the dead letters after maxReconsumeTimes, and its successors follow",
    () =>
      Effect.gen(function* () {
        const { brokers } = yield* Target
        const observer = yield* Observer
        const topic = yield* createTopic("poisoned", { queues: 1 })
        yield* sendTo(MessageQueue.make(topic, brokers[0].name, 0), ["poison", "a"])
        const seen: Array<string> = []
        const consumer = yield* startConsumer(
          topic,
          orderly((message) =>
            Effect.suspend(() => {
              seen.push(`${textOf(message)}${message.attempt}`)
              return textOf(message) === "poison" ? Effect.fail("never") : Effect.void
            })
          ),
          { maxReconsumeTimes: 2, suspendCurrentQueueTimeMillis: 20 }
        )
        yield* eventuallyThat(consumer.state, ({ counters }) => assert.strictEqual(counters.succeeded, 1))
        assert.deepStrictEqual(seen, ["poison1", "poison2", "poison3", "a1"])
        const [dead] = yield* eventuallyThat(
          Effect.map(observer.readTopic(`%DLQ%${consumer.consumerGroup}`), (all) => [...all.values()].flat()),
          (found) => assert.strictEqual(found.length, 1)
        )
        assert.isDefined(dead)
        assert.deepInclude(dead, { reconsumeTimes: 3 })
        assert.strictEqual(dead.properties["RETRY_TOPIC"], topic)
        assert.strictEqual(textOf(dead), "poison")
      }).pipe(withManager)
  )

  test.effect("members join and leave: queues are handed over with their locks, in order and nothing twice", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("handed-over", { queues: 4 })
      const producer = yield* startProducer()
      const group = uniqueName("orderly")
      const seen: Array<{ readonly queue: string; readonly offset: number }> = []
      const listener = orderly((message) =>
        Effect.andThen(
          Effect.sleep(5),
          Effect.sync(() => {
            seen.push({ queue: MessageQueue.key(message.queue), offset: message.queueOffset })
          })
        )
      )
      const options = { consumerGroup: group }
      const { brokers } = yield* Target
      const half = (brokers.length * 4) / 2
      const first = yield* startConsumer(topic, listener, options)
      yield* sendMany(producer, topic, 100)
      const second = yield* startConsumer(topic, listener, options)
      yield* ownedOnce([first, second], topic, [half, half])
      yield* sendMany(producer, topic, 100, "more")
      yield* first.shutdown
      yield* ownedOnce([second], topic, [2 * half])
      yield* sendMany(producer, topic, 20, "last")
      yield* eventuallyThat(
        Effect.sync(() => seen.length),
        (count) => assert.strictEqual(count, 220)
      )
      const last = new Map<string, number>()
      for (const { offset, queue } of seen) {
        assert.strictEqual(offset, (last.get(queue) ?? -1) + 1, queue)
        last.set(queue, offset)
      }
    }).pipe(withManager)
  )
}
