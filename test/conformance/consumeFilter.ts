/** Filters in SQL92: what a broker refuses and in which words, what passes, and that the embedded one says the same. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { ReceivedMessage } from "../../src/consumer/ReceivedMessage.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import * as MessageCodec from "../../src/protocol/MessageCodec.ts"
import * as CheckClientConfig from "../../src/protocol/request/CheckClientConfig.ts"
import * as PullMessage from "../../src/protocol/request/PullMessage.ts"
import { filters, messages, ours } from "../embedded/filter/filters.ts"
import * as RemotingClient from "../support/remoting.ts"
import { noting, startConsumer, textOf } from "./consumers.ts"
import { createTopic, type Methods, PATIENCE_MILLIS, startProducer, untilReadable, withManager } from "./support.ts"
import { Target } from "./Target.ts"

/** The broker of a target that filters by properties; the other filters by tags only, as brokers do by default. */
const FILTERING = { queues: 1, brokers: ["broker-a"] }
const TAGS_ONLY = { queues: 1, brokers: ["broker-b"] }

/** Why the start of a member with the filter fails. */
const refused = Effect.fnUntraced(function* (topic: string, filter: string) {
  const error = yield* Effect.flip(
    startConsumer(topic, () => Effect.void, { subscriptions: [Subscription.sql(topic, filter)] })
  )
  assert.strictEqual(error.reason._tag, "FilterRefused", error.message)
  return error.reason._tag === "FilterRefused" ? error.reason : undefined
})

/** Without what no client sends: a property without a value. */
const sendable = (properties: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(properties).filter(([, value]) => value.trim() !== ""))

const data = (topic: string, subString: string) => Subscription.dataOf(Subscription.sql(topic, subString), 1)

export const tests = (test: Methods): void => {
  test.effect("C-03: a broker without such filters, and one that cannot read it, fail the start in their words", () =>
    Effect.gen(function* () {
      const unsupported = yield* refused(yield* createTopic("tags-only", TAGS_ONLY), "a > 1")
      assert.deepInclude(unsupported, {
        problem: "unsupported",
        code: 1,
        remark: "The broker does not support consumer to filter message by SQL92"
      })
      const topic = yield* createTopic("filtering", FILTERING)
      assert.deepInclude(yield* refused(topic, "a > 'x'"), {
        problem: "unreadable",
        code: 23,
        remark: "java.lang.RuntimeException: Value ''x'' cannot be compared."
      })
      // The same topic can be read at once.
      const consumer = yield* startConsumer(topic, () => Effect.void, {
        subscriptions: [Subscription.sql(topic, "a > 1")]
      })
      assert.strictEqual(yield* consumer.serviceState, "RUNNING")
    }).pipe(withManager)
  )

  test.effect("what passes comes, what does not counts as read, and another filter counts from then on", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("filtered", FILTERING)
      const producer = yield* startProducer()
      const send = (body: string, properties: Readonly<Record<string, string>>) =>
        Effect.tap(producer.send(Message.make({ topic, body, properties })), (result) => untilReadable([result]))
      yield* send("cheap", { price: "50", region: "eu" })
      yield* send("far", { price: "150", region: "asia" })
      yield* send("first", { price: "150", region: "eu" })
      yield* send("none", {})
      const seen: Array<ReceivedMessage> = []
      const consumer = yield* startConsumer(topic, noting(seen), {
        subscriptions: [Subscription.sql(topic, "price > 100 AND region IN ('eu', 'us')")]
      })
      yield* consumer.caughtUp()
      assert.deepStrictEqual(seen.map(textOf), ["first"])
      yield* consumer.subscribe(Subscription.sql(topic, "region IS NULL OR NOT (price BETWEEN 100 AND 200)"))
      yield* send("expensive", { price: "500", region: "eu" })
      yield* send("again", { price: "150", region: "eu" })
      yield* consumer.caughtUp()
      assert.deepStrictEqual(seen.map(textOf), ["first", "expensive"])
    }).pipe(withManager)
  )

  test.effect("a broker refuses and matches as the embedded one does", () =>
    Effect.gen(function* () {
      const { brokers, facts, release } = yield* Target
      const { address } = brokers[0]
      const topic = yield* createTopic("compared", FILTERING)
      const producer = yield* startProducer()
      const properties = messages(24).map(sendable)
      const results = yield* Effect.forEach(properties, ({ TAGS: tags, ...own }, n) =>
        producer.send(Message.make({ topic, body: `${n}`, tags, properties: own }))
      )
      yield* untilReadable(results)
      const client = yield* RemotingClient.make({ version: facts.brokerVersion })
      for (const filter of filters(120)) {
        const mine = ours(filter, properties, release === "4.9.7")
        const check = CheckClientConfig.request({ clientId: "c", group: "g", subscriptionData: data(topic, filter) })
        const answer = yield* client.invoke(address, check, PATIENCE_MILLIS)
        assert.strictEqual(answer.remark, mine.error, filter)
        assert.strictEqual(answer.code, mine.error === undefined ? 0 : 23, filter)
        if (mine.results === undefined || filter === "") continue
        const pulled = yield* client.invoke(
          address,
          PullMessage.request({
            consumerGroup: "compared",
            topic,
            queueId: 0,
            queueOffset: 0,
            maxMsgNums: 32,
            sysFlag: PullMessage.PullSysFlag.SUBSCRIPTION,
            commitOffset: 0,
            suspendTimeoutMillis: 0,
            subscription: filter,
            expressionType: "SQL92",
            subVersion: 0
          }),
          PATIENCE_MILLIS
        )
        const matched = MessageCodec.decodeAll(pulled.body).messages.map(({ body }) => Number(textOf({ body })))
        const { results: outcomes } = mine
        const expected = properties.flatMap((_, n) => (outcomes[n] === "T" ? [n] : []))
        assert.deepStrictEqual(matched, expected, filter)
        assert.strictEqual(pulled.code, expected.length > 0 ? 0 : 20, filter)
      }
    }).pipe(withManager)
  )
}
