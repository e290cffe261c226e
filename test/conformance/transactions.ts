/** Transactions: what consumers can see of them, and what brokers ask. */
import { assert } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as Message from "../../src/message/Message.ts"
import type { MessageExt } from "../../src/message/MessageExt.ts"
import { SysFlag } from "../../src/message/SysFlag.ts"
import * as LocalTransactionState from "../../src/producer/transaction/LocalTransactionState.ts"
import {
  TransactionMQProducer,
  type TransactionMQProducerShape,
  type TransactionProducerOptions
} from "../../src/producer/TransactionMQProducer.ts"
import { Observer } from "./Observer.ts"
import {
  createTopic,
  eventuallyThat,
  type Methods,
  PATIENCE_MILLIS,
  uniqueName,
  userProperties,
  withManager
} from "./support.ts"
import { Target } from "./Target.ts"

const textOf = (message: MessageExt) => new TextDecoder().decode(message.body)

const startProducer = Effect.fnUntraced(function* (options: Partial<TransactionProducerOptions<never>> = {}) {
  const { namesrvAddr } = yield* Target
  const producer = yield* TransactionMQProducer.make({
    producerGroup: uniqueName("tx"),
    namesrvAddr,
    startTimeoutMillis: PATIENCE_MILLIS,
    sendMsgTimeout: PATIENCE_MILLIS,
    mqClientApiTimeout: PATIENCE_MILLIS / 2,
    checkLocalTransaction: () => Effect.succeed(LocalTransactionState.UNKNOW),
    ...options
  })
  yield* Effect.addFinalizer(() => producer.shutdown)
  yield* producer.start
  return producer
})

/**
 * Everything that consumers of the topic can read, as texts. A broker may ask once more before it has written down what it
 * was told, and then stores a message that is committed again a second time.
 */
const visible = Effect.fnUntraced(function* (topic: string) {
  const observer = yield* Observer
  const stored = yield* observer.readTopic(topic)
  return [...new Set([...stored.values()].flat().map(textOf))].toSorted()
})

/** A transaction of which the broker hears nothing but that it is not decided. */
const leaveOpen = (producer: TransactionMQProducerShape, topic: string, body: string) =>
  producer.transaction(Message.make({ topic, body, keys: body }), Effect.void, {
    stateOf: () => LocalTransactionState.UNKNOW
  })

/** Registers the tests. */
export const tests = (test: Methods): void => {
  test.effect("a message is seen when its transaction has succeeded, with everything it was given", () =>
    Effect.gen(function* () {
      const { brokers } = yield* Target
      const observer = yield* Observer
      const topic = yield* createTopic("tx-commit")
      const producer = yield* startProducer()
      const queues = yield* producer.fetchPublishMessageQueues(topic)
      for (const { name } of brokers) {
        const queue = queues.find((one) => one.brokerName === name)
        assert.isDefined(queue)
        const message = Message.make({
          topic,
          body: `committed on ${name}`,
          tags: "TagA",
          keys: ["order-7", "ключ"],
          properties: { 名前: "値" },
          flag: 42
        })
        const { sendResult, value } = yield* producer.transaction(
          message,
          Effect.map(observer.readQueue(queue), (before) => before.length),
          { queue }
        )
        assert.strictEqual(value, 0, "nobody sees it before the commit")
        const [stored] = yield* eventuallyThat(observer.readQueue(queue), (after) =>
          assert.strictEqual(after.length, 1)
        )
        assert.isDefined(stored)
        assert.strictEqual(textOf(stored), `committed on ${name}`)
        assert.strictEqual(stored.msgId, sendResult.msgId)
        assert.strictEqual(stored.tags, "TagA")
        assert.deepStrictEqual(stored.keys, ["order-7", "ключ"])
        assert.strictEqual(stored.transactionId, sendResult.msgId)
        assert.strictEqual(stored.properties["PGROUP"], producer.producerGroup)
        assert.deepInclude(userProperties(stored), { 名前: "値" })
        assert.strictEqual(stored.flag, 42)
        assert.strictEqual(stored.sysFlag & SysFlag.TRANSACTION_ROLLBACK, SysFlag.TRANSACTION_COMMIT)
        assert.strictEqual(stored.preparedTransactionOffset, Number.parseInt(sendResult.offsetMsgId.slice(16), 16))
      }
    }).pipe(withManager)
  )

  test.effect("a message is never seen when its transaction has failed", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("tx-rollback")
      const producer = yield* startProducer({
        checkLocalTransaction: (message) =>
          Effect.sync(() =>
            textOf(message) === "open" ? LocalTransactionState.COMMIT_MESSAGE : LocalTransactionState.ROLLBACK_MESSAGE
          )
      })
      for (const body of ["rolled back 1", "rolled back 2"]) {
        const failure = yield* Effect.flip(producer.transaction(Message.make({ topic, body }), Effect.fail("no stock")))
        assert.strictEqual(failure, "no stock")
      }
      yield* producer.transaction(Message.make({ topic, body: "committed" }), Effect.void)
      // The broker takes one after the other: when it has asked about a later message, it has had its say on the earlier.
      yield* leaveOpen(producer, topic, "open")
      yield* eventuallyThat(visible(topic), (bodies) => assert.deepStrictEqual(bodies, ["committed", "open"]))
    }).pipe(withManager)
  )

  test.effect("C14: a broker asks about a message whose transaction is undecided, until it is told", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("tx-check")
      const answers = new Map<string, Array<LocalTransactionState.LocalTransactionState>>([
        ["later", ["UNKNOW", "COMMIT_MESSAGE"]],
        ["never", ["UNKNOW", "ROLLBACK_MESSAGE"]]
      ])
      const answered = yield* Deferred.make<void>()
      const asked: Array<MessageExt> = []
      const producer = yield* startProducer({
        checkLocalTransaction: (message) =>
          Effect.gen(function* () {
            asked.push(message)
            const answer = answers.get(textOf(message))?.shift() ?? LocalTransactionState.UNKNOW
            if ([...answers.values()].every((left) => left.length === 0)) yield* Deferred.succeed(answered, undefined)
            return answer
          })
      })
      const later = yield* leaveOpen(producer, topic, "later")
      yield* leaveOpen(producer, topic, "never")
      yield* eventuallyThat(visible(topic), (bodies) => assert.deepStrictEqual(bodies, ["later"]))
      yield* Deferred.await(answered)
      assert.deepStrictEqual(yield* visible(topic), ["later"])
      const question = asked.find((message) => textOf(message) === "later")
      assert.isDefined(question)
      assert.strictEqual(question.topic, topic)
      assert.strictEqual(question.msgId, later.sendResult.msgId)
      assert.deepStrictEqual(question.keys, ["later"])
      assert.strictEqual(question.transactionId, later.sendResult.msgId)
      assert.isAtLeast((yield* producer.transactions).checks.received, 4)
    }).pipe(withManager)
  )

  test.effect("each of several producers in one client is asked about its own messages", () =>
    Effect.gen(function* () {
      const manager = yield* MQClientManager
      const topic = yield* createTopic("tx-groups")
      const instanceName = uniqueName("tx-instance")
      const asked: Array<string> = []
      const producers = yield* Effect.forEach(["a", "b"], (name) =>
        startProducer({
          producerGroup: uniqueName(`tx-${name}`),
          instanceName,
          checkLocalTransaction: (message) =>
            Effect.sync(() => {
              asked.push(`${name} <- ${textOf(message)}`)
              return LocalTransactionState.COMMIT_MESSAGE
            })
        })
      )
      assert.strictEqual(yield* manager.size, 1)
      for (const [index, producer] of producers.entries()) yield* leaveOpen(producer, topic, `of-${"ab"[index] ?? ""}`)
      yield* eventuallyThat(visible(topic), (bodies) => assert.deepStrictEqual(bodies, ["of-a", "of-b"]))
      assert.deepStrictEqual([...new Set(asked)].toSorted(), ["a <- of-a", "b <- of-b"])
    }).pipe(withManager)
  )

  test.effect("a producer that has sent nothing yet is asked about the messages of an earlier run", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("tx-restart")
      const producerGroup = uniqueName("tx-restart")
      const first = yield* startProducer({ producerGroup })
      yield* leaveOpen(first, topic, "left-open")
      yield* first.shutdown
      const second = yield* startProducer({
        producerGroup,
        topics: [topic],
        checkLocalTransaction: () => Effect.succeed(LocalTransactionState.COMMIT_MESSAGE)
      })
      yield* eventuallyThat(visible(topic), (bodies) => assert.deepStrictEqual(bodies, ["left-open"]))
      const { counters } = yield* second.state
      assert.strictEqual(counters.sends, 0)
    }).pipe(withManager)
  )
}
