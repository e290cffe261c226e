/** A group's messages as a stream, and subscriptions that change while a consumer runs. */
import { assert } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as MessageStream from "../../src/consumer/MessageStream.ts"
import type { ReceivedMessage } from "../../src/consumer/ReceivedMessage.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import { committedOf, noting, sendMany, startConsumer, textOf } from "./consumers.ts"
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

const optionsOf = (
  consumerGroup: string,
  topic: string,
  options: Partial<MessageStream.StreamOptions> = {}
): Effect.Effect<MessageStream.StreamOptions, never, Target> =>
  Effect.map(Target, ({ namesrvAddr }) => ({
    consumerGroup,
    subscriptions: [Subscription.all(topic)],
    namesrvAddr,
    instanceName: uniqueName("stream"),
    consumeFromWhere: "first",
    startTimeoutMillis: PATIENCE_MILLIS,
    pollNameServerInterval: 1_000,
    ...options
  }))

/** The messages of a group from the first one on. */
const streamOf = (...of: Parameters<typeof optionsOf>) =>
  Stream.unwrap(Effect.map(optionsOf(...of), MessageStream.make))

export const tests = (test: Methods): void => {
  test.effect("a stream that ends in the middle has behind it what it acknowledged; the next one reads the rest", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("stream", { queues: 1 })
      const group = uniqueName("streams")
      yield* sendMany(yield* startProducer(), topic, 20)
      const first = yield* streamOf(group, topic, { prefetch: 0, pullBatchSize: 8 }).pipe(
        Stream.mapEffect((delivery) => Effect.as(delivery.ack, textOf(delivery.message))),
        Stream.take(5),
        Stream.runCollect
      )
      assert.strictEqual(new Set(first).size, 5)
      assert.strictEqual(yield* committedOf(group, topic, 1), 5)
      const rest = yield* streamOf(group, topic).pipe(
        MessageStream.settle(() => Effect.void, { concurrency: 4 }),
        Stream.take(15),
        Stream.runCollect
      )
      assert.deepStrictEqual([...new Set(rest)], ["settled"])
      assert.strictEqual(yield* committedOf(group, topic, 1), 20)
    }).pipe(withManager)
  )

  test.effect("a stream for each queue has its messages in order", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("by-queue", { queues: 2 })
      const producer = yield* startProducer()
      for (let n = 0; n < 12; n++) {
        const queue = { topic, brokerName: "broker-a", queueId: n % 2 }
        yield* producer.send(Message.make({ topic, body: `${n}` }), { queue })
      }
      const seen = yield* Stream.unwrap(
        Effect.map(optionsOf(uniqueName("streams"), topic, { prefetch: 2 }), MessageStream.byQueue)
      ).pipe(
        Stream.filter(({ queue }) => queue.topic === topic),
        Stream.flatMap(
          ({ deliveries, queue }) =>
            Stream.mapEffect(deliveries, ({ ack, message }) =>
              Effect.as(ack, { queueId: queue.queueId, body: textOf(message) })
            ),
          { concurrency: "unbounded" }
        ),
        Stream.take(12),
        Stream.runCollect
      )
      const of = (queueId: number) => seen.filter((one) => one.queueId === queueId).map(({ body }) => body)
      assert.deepStrictEqual(of(0), ["0", "2", "4", "6", "8", "10"])
      assert.deepStrictEqual(of(1), ["1", "3", "5", "7", "9", "11"])
    }).pipe(withManager)
  )

  test.effect("a message of a stream that is given back comes again", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("nacked", { queues: 1 })
      yield* sendMany(yield* startProducer(), topic, 1)
      const attempts = yield* streamOf(uniqueName("streams"), topic).pipe(
        Stream.mapEffect((delivery) =>
          Effect.as(
            delivery.message.attempt === 1 ? delivery.nack("1 second") : delivery.ack,
            `${delivery.message.topic} ${delivery.message.attempt}`
          )
        ),
        Stream.take(2),
        Stream.runCollect
      )
      assert.deepStrictEqual(attempts, [`${topic} 1`, `${topic} 2`])
    }).pipe(withManager)
  )

  test.effect("a consumer that runs takes another filter, a topic more and one less", () =>
    Effect.gen(function* () {
      const [topic, other] = [yield* createTopic("filtered", { queues: 1 }), yield* createTopic("added", { queues: 1 })]
      const producer = yield* startProducer()
      const seen: Array<ReceivedMessage> = []
      const consumer = yield* startConsumer(topic, noting(seen), { subscriptions: [Subscription.tags(topic, "a")] })
      const send = (to: string, tags: string) =>
        producer.send(Message.make({ topic: to, body: `${to === topic ? "first" : "second"} ${tags}`, tags }))
      const sees = (...texts: ReadonlyArray<string>) =>
        eventuallyThat(
          Effect.sync(() => seen.map(textOf)),
          (found) => assert.deepStrictEqual(found, texts)
        )
      yield* send(topic, "a")
      yield* sees("first a")
      yield* consumer.subscribe(Subscription.tags(topic, "b"))
      yield* consumer.subscribe(Subscription.all(other))
      yield* send(topic, "a")
      yield* send(topic, "b")
      yield* sees("first a", "first b")
      yield* send(other, "c")
      yield* sees("first a", "first b", "second c")
      yield* consumer.unsubscribe(topic)
      yield* eventuallyThat(consumer.assignment, (queues) =>
        assert.isTrue(queues.every((queue) => queue.topic !== topic))
      )
      yield* send(topic, "b")
      yield* send(other, "d")
      yield* sees("first a", "first b", "second c", "second d")
    }).pipe(withManager)
  )
}
