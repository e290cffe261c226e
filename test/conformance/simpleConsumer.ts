/** A consumer that is asked for messages and acknowledges each by itself, over pop; on 4.9.7 its refusal. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { SimpleConsumerOptions } from "../../src/consumer/simple/SimpleOptions.ts"
import { SimpleConsumer } from "../../src/consumer/simple/SimpleConsumer.ts"
import type { PoppedMessage, SimpleConsumerShape } from "../../src/consumer/simple/SimpleShape.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import { sendMany, textOf } from "./consumers.ts"
import { createTopic, type Methods, PATIENCE_MILLIS, startProducer, uniqueName, withManager } from "./support.ts"
import { Target } from "./Target.ts"

/** A short invisible time; brokers revive two seconds later, real ones some more. */
const SHORT_MILLIS = 1_000

/** An invisible time that a handler exceeds: no shorter, as its extensions come in the last third of it, on real clocks. */
const EXCEEDED_MILLIS = 6_000

/** Longer than the suite's tests have, for the revival. */
const LIMIT = { timeout: 3 * PATIENCE_MILLIS }

/** A member of a group, in a client of its own, which is shut down with the scope. */
const member = Effect.fnUntraced(function* (
  subscriptions: SimpleConsumerOptions["subscriptions"],
  options: Partial<SimpleConsumerOptions> = {}
) {
  const { namesrvAddr } = yield* Target
  const consumer = yield* SimpleConsumer.make({
    consumerGroup: uniqueName("simple"),
    subscriptions,
    namesrvAddr,
    instanceName: uniqueName("simple"),
    consumeFromWhere: "first",
    startTimeoutMillis: PATIENCE_MILLIS,
    mqClientApiTimeout: PATIENCE_MILLIS / 2,
    pollNameServerInterval: 1_000,
    awaitDuration: PATIENCE_MILLIS / 4,
    ...options
  })
  yield* Effect.addFinalizer(() => consumer.shutdown)
  yield* consumer.start
  return consumer
})

/** Receives until so many messages came. */
const receiveAll = Effect.fnUntraced(function* (consumer: SimpleConsumerShape, count: number, hidden: number) {
  const all: Array<PoppedMessage> = []
  while (all.length < count) all.push(...(yield* consumer.receive({ max: 3, invisible: hidden })))
  return all
})

const texts = (all: ReadonlyArray<PoppedMessage>) => all.map(({ message }) => textOf(message)).toSorted()

/** Whether the target knows pop; where it does not, that is what a `receive` says. */
const knowsPop = Effect.fnUntraced(function* (topic: string) {
  const { release } = yield* Target
  if (release !== "4.9.7") return true
  const consumer = yield* member([Subscription.all(topic)])
  const error = yield* Effect.flip(consumer.receive({ wait: 0 }))
  assert.strictEqual(error.reason._tag, "PopUnsupported")
  assert.isFalse(error.retryable)
  assert.include(error.message, "of before 5.0")
  return false
})

export const tests = (test: Methods): void => {
  test.effect(
    "receives from several topics, and what is not acknowledged comes again, and nothing else",
    () =>
      Effect.gen(function* () {
        const topics = yield* Effect.forEach(["simple", "simpler"], (name) => createTopic(name))
        const [one = "", two = ""] = topics
        if (!(yield* knowsPop(one))) return
        const producer = yield* startProducer()
        yield* sendMany(producer, one, 4, "one")
        yield* sendMany(producer, two, 4, "two")
        const consumer = yield* member([Subscription.all(one), Subscription.all(two)])
        const short = yield* receiveAll(consumer, 8, PATIENCE_MILLIS)
        assert.deepStrictEqual(
          texts(short),
          ["one", "two"].flatMap((name) => [0, 1, 2, 3].map((n) => `${name}-${n}`))
        )
        const [lost, extended, ...others] = short
        assert(lost !== undefined && extended !== undefined)
        assert.strictEqual(lost.message.attempt, 1)
        for (const { ack } of others) assert.deepStrictEqual(yield* ack, { _tag: "Acked", mayComeAgain: false })
        const [acked] = others
        assert(acked !== undefined)
        assert.strictEqual((yield* acked.ack)._tag, "AlreadyAcked")
        assert.strictEqual((yield* acked.extend("10 seconds"))._tag, "AlreadyAcked")
        // It is known by its new handle then.
        assert.strictEqual((yield* extended.extend(PATIENCE_MILLIS))._tag, "Extended")
        assert.strictEqual((yield* extended.ack)._tag, "Acked")
        assert.strictEqual((yield* lost.extend(SHORT_MILLIS))._tag, "Extended")
        const again = yield* consumer.receive({ wait: PATIENCE_MILLIS })
        assert.deepStrictEqual(texts(again), texts([lost]))
        const [second] = again
        assert(second !== undefined)
        assert.strictEqual(second.message.attempt, 2)
        assert.strictEqual(second.message.topic, lost.message.topic)
        assert.strictEqual(second.message.msgId, lost.message.msgId)
        assert.strictEqual((yield* lost.ack)._tag, "Expired")
        assert.strictEqual((yield* second.ack)._tag, "Acked")
        assert.deepStrictEqual(yield* consumer.receive({ wait: SHORT_MILLIS }), [])
        assert.deepStrictEqual((yield* consumer.state).problems, [])
      }).pipe(withManager),
    LIMIT
  )

  test.effect(
    "a handler of twice the invisible time is one delivery, and who waits gets what is sent",
    () =>
      Effect.gen(function* () {
        const topic = yield* createTopic("slow")
        if (!(yield* knowsPop(topic))) return
        const producer = yield* startProducer()
        const consumer = yield* member([Subscription.tags(topic, "wanted")])
        // The filter is this consumer's, not the first answer's: nothing was sent so far.
        assert.deepStrictEqual(yield* consumer.receive({ wait: 0 }), [])
        yield* producer.send(Message.make({ topic, body: "no", tags: "unwanted" }))
        yield* producer.send(Message.make({ topic, body: "slow", tags: "wanted" }))
        const { kind } = yield* Target
        // The embedded cluster shows it on a clock of the test's own, in SimpleConsumer.test.ts.
        const handlerMillis = kind === "embedded" ? 0 : 2 * EXCEEDED_MILLIS
        const [popped] = yield* consumer.receive({ invisible: EXCEEDED_MILLIS })
        assert(popped !== undefined)
        assert.strictEqual(textOf(popped.message), "slow")
        const outcome = yield* popped.process(Effect.sleep(handlerMillis))
        assert.deepStrictEqual(outcome, { _tag: "Acked", mayComeAgain: false })
        assert.isAtLeast((yield* consumer.state).counters.extended, kind === "embedded" ? 0 : 2)
        assert.deepStrictEqual(yield* consumer.receive({ wait: handlerMillis / 2 }), [])
      }).pipe(withManager),
    LIMIT
  )
}
