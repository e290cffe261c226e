/** Messages that are delivered later: by level everywhere, at an exact time and with recall where the release has them. */
import { assert } from "@effect/vitest"
import { Clock, Effect } from "effect"
import * as Message from "../../src/message/Message.ts"
import * as MessageDelay from "../../src/message/MessageDelay.ts"
import * as RecallHandle from "../../src/message/RecallHandle.ts"
import { ResponseCode } from "../../src/protocol/ResponseCode.ts"
import { Observer } from "./Observer.ts"
import { createTopic, eventuallyThat, type Methods, startProducer, withManager } from "./support.ts"
import { Target } from "./Target.ts"

/** Everything that can be read of a topic now. */
const readable = (topic: string) =>
  Effect.flatMap(Observer, (observer) => Effect.map(observer.readTopic(topic), (queues) => [...queues.values()].flat()))

export const tests = (test: Methods): void => {
  test.effect("a delay level: not before its time, and then as it was sent", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("delay-level")
      const producer = yield* startProducer()
      const begin = yield* Clock.currentTimeMillis
      const { msgId } = yield* producer.send(
        Message.make({
          topic,
          body: "later",
          tags: "T",
          keys: "k",
          properties: { p: "v" },
          delay: MessageDelay.level(2)
        })
      )
      const [stored] = yield* eventuallyThat(readable(topic), (found) => assert.strictEqual(found.length, 1))
      const end = yield* Clock.currentTimeMillis
      // Clocks of two processes may differ by their granularity.
      assert.isAtLeast(end - begin, 5_000 - 50)
      assert.deepInclude({ ...stored?.properties }, { UNIQ_KEY: msgId, TAGS: "T", KEYS: "k", p: "v" })
      assert.strictEqual(Buffer.from(stored?.body ?? []).toString(), "later")
    }).pipe(withManager)
  )

  test.effect("an exact time: on its second where the release has timers, at once where it has not", () =>
    Effect.gen(function* () {
      const { facts } = yield* Target
      const topic = yield* createTopic("exact-time")
      const producer = yield* startProducer()
      const begin = yield* Clock.currentTimeMillis
      const delays = [MessageDelay.by("4 seconds"), MessageDelay.by("4500 millis"), MessageDelay.at(begin + 5_000)]
      const results = yield* Effect.forEach(delays, (delay, n) =>
        producer.send(Message.make({ topic, body: `${n}`, delay }))
      )
      for (const { msgId, recallHandle } of results) {
        const handle = RecallHandle.decode(recallHandle ?? "")
        assert.deepStrictEqual(handle?.msgId, facts.timers ? msgId : undefined)
        if (handle !== undefined) assert.strictEqual(handle.topic, topic)
      }
      const found = yield* eventuallyThat(readable(topic), (all) => assert.strictEqual(all.length, 3))
      const end = yield* Clock.currentTimeMillis
      // Brokers count in whole seconds, and round down.
      if (facts.timers) assert.isAtLeast(end - begin, 3_000 - 50)
      assert.sameMembers(
        found.map(({ properties }) => properties["UNIQ_KEY"]),
        results.map(({ msgId }) => msgId)
      )
    }).pipe(withManager)
  )

  test.effect("beyond the broker's maximum: refused there, and here before it is sent", () =>
    Effect.gen(function* () {
      const { facts } = yield* Target
      const topic = yield* createTopic("too-far")
      const message = Message.make({ topic, body: "far", delay: MessageDelay.by("4 days") })
      const careful = yield* startProducer()
      const refused = yield* Effect.flip(careful.send(message))
      assert.deepInclude(refused.reason, { _tag: "InvalidMessage", field: "delay" })
      const careless = yield* startProducer({ timerMaxDelayMillis: 30 * 86_400_000 })
      const reason = yield* careless.send(message).pipe(
        Effect.as(undefined),
        Effect.catch((error) => Effect.succeed(error.reason))
      )
      if (facts.timers) assert.deepInclude(reason, { _tag: "BrokerRejected", code: ResponseCode.MESSAGE_ILLEGAL })
      else assert.isUndefined(reason)
    }).pipe(withManager)
  )

  test.effect("recall: a message that was taken back does not come, those beside it do", () =>
    Effect.gen(function* () {
      const { brokers, facts } = yield* Target
      const topic = yield* createTopic("recall")
      const producer = yield* startProducer()
      const send = (body: string) => producer.send(Message.make({ topic, body, delay: MessageDelay.by("8 seconds") }))
      const recalled = yield* send("recalled")
      const kept = yield* send("kept")
      const made = RecallHandle.encode({
        topic,
        brokerName: brokers[0].name,
        deliverMillis: (yield* Clock.currentTimeMillis) + 60_000,
        msgId: recalled.msgId
      })
      if (facts.timers) {
        assert.strictEqual(yield* producer.recallMessage(topic, recalled.recallHandle ?? ""), recalled.msgId)
        const late = RecallHandle.encode({
          topic,
          brokerName: recalled.queue.brokerName,
          deliverMillis: (yield* Clock.currentTimeMillis) - 1_000,
          msgId: recalled.msgId
        })
        const tooLate = yield* Effect.flip(producer.recallMessage(topic, late))
        assert.deepInclude(tooLate.reason, { _tag: "BrokerRejected", code: ResponseCode.ILLEGAL_OPERATION })
        const found = yield* eventuallyThat(readable(topic), (all) => assert.isAbove(all.length, 0))
        assert.deepStrictEqual(
          found.map(({ properties }) => properties["UNIQ_KEY"]),
          [kept.msgId]
        )
      } else {
        const unknown = yield* Effect.flip(producer.recallMessage(topic, made))
        assert.deepInclude(unknown.reason, {
          _tag: "BrokerRejected",
          code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED
        })
        yield* eventuallyThat(readable(topic), (all) => assert.strictEqual(all.length, 2))
      }
    }).pipe(withManager)
  )
}
