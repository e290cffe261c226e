/** Where a group begins, what is written of how far it came, and who goes on from there. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { ReceivedMessage } from "../../src/consumer/ReceivedMessage.ts"
import type { ConsumeFromWhere } from "../../src/consumer/offset/StartOffset.ts"
import * as Message from "../../src/message/Message.ts"
import { committedOf, noting, sendMany, startConsumer, textOf } from "./consumers.ts"
import {
  createTopic,
  eventuallyThat,
  type Methods,
  startProducer,
  uniqueName,
  untilReadable,
  withManager
} from "./support.ts"
import { Target } from "./Target.ts"

export const tests = (test: Methods): void => {
  /** Five messages, a consumer that begins somewhere, and two more. */
  const beginningAt = Effect.fnUntraced(function* (
    consumeFromWhere: ConsumeFromWhere | ((second: number) => ConsumeFromWhere),
    strictLast?: boolean
  ) {
    const topic = yield* createTopic("begin", { queues: 1 })
    const producer = yield* startProducer()
    const queue = { topic, brokerName: "broker-a", queueId: 0 }
    const send = (body: string) => producer.send(Message.make({ topic, body }), { queue })
    yield* Effect.forEach(["0", "1"], send)
    yield* Effect.sleep(50)
    const second = Date.now()
    yield* Effect.sleep(50)
    // Where the queue ends, and what was stored when, a broker says of what can be read.
    yield* untilReadable(yield* Effect.forEach(["2", "3", "4"], send))
    const seen: Array<ReceivedMessage> = []
    const consumer = yield* startConsumer(topic, noting(seen), {
      consumeFromWhere: typeof consumeFromWhere === "function" ? consumeFromWhere(second) : consumeFromWhere,
      strictLast
    })
    const before = yield* committedOf(consumer.consumerGroup, topic, 1)
    const later = yield* Effect.forEach(["5", "6"], send)
    yield* untilReadable(later)
    yield* consumer.caughtUp()
    return { seen: seen.map(textOf).toSorted(), before }
  })

  test.effect("a new group begins at the first message", () =>
    Effect.gen(function* () {
      const { seen } = yield* beginningAt("first")
      assert.deepStrictEqual(seen, ["0", "1", "2", "3", "4", "5", "6"])
    }).pipe(withManager)
  )

  test.effect("last means last where the release can say so, and that is written at once", () =>
    Effect.gen(function* () {
      const { release } = yield* Target
      const { before, seen } = yield* beginningAt("last")
      // 4.x answers 0 for a queue whose first message is still in memory, whatever it is asked.
      assert.deepStrictEqual(seen, release === "5.5.0" ? ["5", "6"] : ["0", "1", "2", "3", "4", "5", "6"])
      if (release === "5.5.0") assert.strictEqual(before, 5)
    }).pipe(withManager)
  )

  test.effect("last as Java has it begins a young queue at its first message", () =>
    Effect.gen(function* () {
      const { seen } = yield* beginningAt("last", false)
      assert.deepStrictEqual(seen, ["0", "1", "2", "3", "4", "5", "6"])
    }).pipe(withManager)
  )

  test.effect("a topic that a message makes while the consumer runs is read from that message on, with last too", () =>
    Effect.gen(function* () {
      const topic = uniqueName("made-by-a-send")
      const producer = yield* startProducer()
      const seen: Array<ReceivedMessage> = []
      const consumer = yield* startConsumer(topic, noting(seen), { consumeFromWhere: "last" })
      assert.deepStrictEqual(yield* consumer.assignment, [])
      yield* Effect.forEach(["first", "second"], (body) => producer.send(Message.make({ topic, body })))
      yield* eventuallyThat(
        Effect.sync(() => seen.map(textOf).toSorted()),
        (texts) => assert.deepStrictEqual(texts, ["first", "second"])
      )
    }).pipe(withManager)
  )

  test.effect("a time: what was stored then or later", () =>
    Effect.gen(function* () {
      const { release } = yield* Target
      const { seen } = yield* beginningAt((timestamp) => ({ timestamp }))
      assert.deepStrictEqual(
        seen,
        release === "5.5.0" ? ["2", "3", "4", "5", "6"] : ["0", "1", "2", "3", "4", "5", "6"]
      )
    }).pipe(withManager)
  )

  test.effect("what was read is written at the close, and the next member goes on behind it", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("takes-over", { queues: 2 })
      const producer = yield* startProducer()
      const seen: Array<ReceivedMessage> = []
      const first = yield* startConsumer(topic, noting(seen))
      const { consumerGroup } = first
      yield* sendMany(producer, topic, 20, "first")
      yield* first.caughtUp()
      yield* first.shutdown
      assert.strictEqual(yield* committedOf(consumerGroup, topic, 2), 20)
      yield* sendMany(producer, topic, 20, "second")
      const second = yield* startConsumer(topic, noting(seen), { consumerGroup, consumeFromWhere: "last" })
      yield* second.caughtUp()
      assert.strictEqual(seen.length, 40)
      assert.strictEqual(new Set(seen.map(textOf)).size, 40)
    }).pipe(withManager)
  )

  test.effect("offsets are written while it runs, by timer 4", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("persisted", { queues: 1 })
      const producer = yield* startProducer()
      const seen: Array<ReceivedMessage> = []
      const consumer = yield* startConsumer(topic, noting(seen), { persistConsumerOffsetInterval: 500 })
      yield* sendMany(producer, topic, 6)
      yield* consumer.caughtUp()
      yield* eventuallyThat(committedOf(consumer.consumerGroup, topic, 1), (committed) =>
        assert.strictEqual(committed, 6)
      )
      const { queues } = yield* consumer.state
      assert.isTrue(
        queues.every(({ committedOffset, consumeOffset }) => (committedOffset ?? 0) <= (consumeOffset ?? 0))
      )
    }).pipe(withManager)
  )
}
