/** Request and reply: what goes from producer to producer by way of the brokers. */
import { assert } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { DefaultMQPushConsumer } from "../../src/consumer/DefaultMQPushConsumer.ts"
import * as MessageListener from "../../src/consumer/MessageListener.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import { DefaultMQProducer, type DefaultMQProducerShape } from "../../src/producer/DefaultMQProducer.ts"
import * as Message from "../../src/message/Message.ts"
import type { MessageExt } from "../../src/message/MessageExt.ts"
import { SysFlag } from "../../src/message/SysFlag.ts"
import { Observer } from "./Observer.ts"
import {
  createTopic,
  eventuallyThat,
  type Methods,
  PATIENCE_MILLIS,
  startProducer,
  uniqueName,
  withManager
} from "./support.ts"
import { Target } from "./Target.ts"

const textOf = (message: MessageExt) => new TextDecoder().decode(message.body)

const longReply = (request: MessageExt) => `${textOf(request)}: ${"long answer ".repeat(1_000)}`

/** The messages of a topic, when there are so many. */
const requests = Effect.fnUntraced(function* (topic: string, count: number) {
  const observer = yield* Observer
  return yield* eventuallyThat(
    Effect.map(observer.readTopic(topic), (stored) => [...stored.values()].flat()),
    (found) => assert.strictEqual(found.length, count)
  )
})

const ask = (producer: DefaultMQProducerShape, topic: string, body: string, timeoutMillis = PATIENCE_MILLIS) =>
  Effect.forkChild(producer.request(Message.make({ topic, body }), timeoutMillis), { startImmediately: true })

/** Registers the tests. */
export const tests = (test: Methods): void => {
  test.effect("C14: a request gets the reply of whoever consumed it", () =>
    Effect.gen(function* () {
      const { clusterName } = yield* Target
      const topic = yield* createTopic("ask")
      const asker = yield* startProducer({ instanceName: uniqueName("asker") })
      const answerer = yield* startProducer({ instanceName: uniqueName("answerer") })
      const fiber = yield* ask(asker, topic, "what?")
      const [request] = yield* requests(topic, 1)
      assert.isDefined(request)
      const { instance } = yield* asker.state
      assert.strictEqual(request.properties["REPLY_TO_CLIENT"], instance?.clientId)
      assert.strictEqual(request.properties["TTL"], `${PATIENCE_MILLIS}`)
      const result = yield* answerer.reply(request, {
        body: "that 🚀",
        tags: "answer",
        properties: { ключ: "значение" }
      })
      assert.strictEqual(result.status, "SEND_OK")
      const reply = yield* Fiber.join(fiber)
      assert.strictEqual(textOf(reply), "that 🚀")
      assert.strictEqual(reply.topic, `${clusterName}_REPLY_TOPIC`)
      assert.strictEqual(reply.properties["CORRELATION_ID"], request.properties["CORRELATION_ID"])
      assert.strictEqual(reply.tags, "answer")
      assert.strictEqual(reply.properties["ключ"], "значение")
      assert.strictEqual(reply.msgId, result.msgId)
      assert.match(reply.properties["ARRIVE_TIME"] ?? "", /^\d+$/)
      assert.match(reply.properties["PUSH_REPLY_TIME"] ?? "", /^\d+$/)
      assert.deepInclude((yield* asker.state).instance?.replies, { waiting: 0, taken: 1, late: 0, unreadable: 0 })
    }).pipe(withManager)
  )

  test.effect("a consumer's handler replies by its value; what is no request is consumed", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* Target
      const topic = yield* createTopic("ask-consumer")
      const asker = yield* startProducer({ instanceName: uniqueName("asker") })
      const answerer = yield* startProducer({ instanceName: uniqueName("answerer") })
      yield* asker.send(Message.make({ topic, body: "no request" }))
      const consumer = yield* DefaultMQPushConsumer.make(
        {
          consumerGroup: uniqueName("repliers"),
          subscriptions: [Subscription.all(topic)],
          consumeFromWhere: "first",
          concurrency: 4,
          namesrvAddr,
          startTimeoutMillis: PATIENCE_MILLIS
        },
        MessageListener.replying((request) => Effect.succeed({ body: longReply(request), tags: "answer" }))
      ).pipe(Effect.provideService(DefaultMQProducer, answerer))
      yield* Effect.acquireRelease(consumer.start, () => consumer.shutdown)
      const bodies = Array.from({ length: 12 }, (_, n) => `question-${n}`)
      const fibers = yield* Effect.forEach(bodies, (body) => ask(asker, topic, body))
      for (const [index, fiber] of fibers.entries()) {
        const reply = yield* Fiber.join(fiber)
        assert.isTrue(textOf(reply).startsWith(`${bodies[index]}: long answer`))
        assert.strictEqual(reply.tags, "answer")
      }
      yield* eventuallyThat(consumer.state, ({ counters }) =>
        assert.deepInclude(counters, { succeeded: 13, reconsumeLater: 0, deadLettered: 0 })
      )
    }).pipe(withManager)
  )

  test.effect("many requests get their own replies, large ones unpacked, in whichever order they come", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("ask-many")
      const asker = yield* startProducer({ instanceName: uniqueName("asker") })
      const answerer = yield* startProducer({ instanceName: uniqueName("answerer") })
      const bodies = Array.from({ length: 30 }, (_, n) => `question-${n}`)
      const fibers = yield* Effect.forEach(bodies, (body) => ask(asker, topic, body))
      const found = yield* requests(topic, bodies.length)
      yield* Effect.forEach(found.toReversed(), (request) => answerer.reply(request, longReply(request)), {
        concurrency: 8,
        discard: true
      })
      for (const [index, fiber] of fibers.entries()) {
        const reply = yield* Fiber.join(fiber)
        assert.isTrue(textOf(reply).startsWith(`${bodies[index]}: long answer`))
        assert.strictEqual(reply.sysFlag & SysFlag.COMPRESSED, 0)
      }
    }).pipe(withManager)
  )

  test.effect("a request gets its reply also when another producer of the same client has left", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("ask-left")
      const shared = { instanceName: uniqueName("asker"), readiness: "registered", topics: [topic] } as const
      const leaving = yield* startProducer(shared)
      const asker = yield* startProducer(shared)
      const answerer = yield* startProducer({ instanceName: uniqueName("answerer") })
      yield* leaving.shutdown
      const fiber = yield* ask(asker, topic, "still there?")
      const [request] = yield* requests(topic, 1)
      assert.isDefined(request)
      yield* answerer.reply(request, "yes")
      assert.strictEqual(textOf(yield* Fiber.join(fiber)), "yes")
    }).pipe(withManager)
  )

  test.effect("a request to a topic of one broker gets its reply by whichever broker", () =>
    Effect.gen(function* () {
      const { brokers, clusterName } = yield* Target
      const topic = yield* createTopic("ask-one", { brokers: [brokers[1].name] })
      const asker = yield* startProducer({ instanceName: uniqueName("asker") })
      const answerer = yield* startProducer({ instanceName: uniqueName("answerer") })
      const replyQueues = yield* answerer.fetchPublishMessageQueues(`${clusterName}_REPLY_TOPIC`)
      assert.sameMembers(
        [...new Set(replyQueues.map((queue) => queue.brokerName))],
        brokers.map(({ name }) => name)
      )
      for (const [index, { name }] of brokers.entries()) {
        const queue = replyQueues.find((one) => one.brokerName === name)
        const fiber = yield* ask(asker, topic, `by ${name}`)
        const found = yield* requests(topic, index + 1)
        const request = found.find((one) => textOf(one) === `by ${name}`)
        assert.isDefined(request)
        const result = yield* answerer.reply(request, `came by ${name}`, { queue })
        assert.strictEqual(result.queue.brokerName, name)
        assert.strictEqual(textOf(yield* Fiber.join(fiber)), `came by ${name}`)
      }
    }).pipe(withManager)
  )

  test.effect("a request that nobody replies to ends typed; a reply that comes too late is dropped", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("ask-late")
      const asker = yield* startProducer({ instanceName: uniqueName("asker") })
      const answerer = yield* startProducer({ instanceName: uniqueName("answerer") })
      // Long enough for the send on a busy machine; what is asserted is which of the two ends it.
      const error = yield* Effect.flip(asker.request(Message.make({ topic, body: "anybody?" }), 5_000))
      assert.strictEqual(error._tag, "RequestReplyTimeout")
      const [request] = yield* requests(topic, 1)
      assert.isDefined(request)
      assert.deepInclude(error, {
        correlationId: request.properties["CORRELATION_ID"],
        msgId: request.msgId
      })
      yield* answerer.reply(request, "too late")
      assert.deepInclude((yield* asker.state).instance?.replies, { waiting: 0, taken: 0, late: 1 })
    }).pipe(withManager)
  )

  test.effect("a reply to a client that has left fails with the broker's words", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("ask-gone")
      const asker = yield* startProducer({ instanceName: uniqueName("asker") })
      const answerer = yield* startProducer({ instanceName: uniqueName("answerer") })
      const clientId = (yield* asker.state).instance?.clientId ?? ""
      const fiber = yield* ask(asker, topic, "I leave")
      const [request] = yield* requests(topic, 1)
      assert.isDefined(request)
      yield* Fiber.interrupt(fiber)
      yield* asker.shutdown
      const error = yield* Effect.flip(answerer.reply(request, "hello?"))
      assert.strictEqual(error._tag, "SendError")
      const reason = error._tag === "SendError" ? error.reason : undefined
      assert.strictEqual(reason?._tag, "BrokerRejected")
      assert.include(reason?.message, clientId)
    }).pipe(withManager)
  )

  test.effect("a message that is no request cannot be replied to", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("ask-not")
      const producer = yield* startProducer()
      yield* producer.send(Message.make({ topic, body: "just saying" }))
      const [message] = yield* requests(topic, 1)
      assert.isDefined(message)
      const error = yield* Effect.flip(producer.reply(message, "what for?"))
      assert.strictEqual(error._tag, "NotARequest")
      // The cluster is there: brokers add it to every message.
      assert.deepInclude(error, { missing: ["CORRELATION_ID", "REPLY_TO_CLIENT"] })
    }).pipe(withManager)
  )
}
