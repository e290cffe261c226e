import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import * as Message from "../../../src/message/Message.ts"
import * as Topic from "../../../src/message/Topic.ts"
import { DefaultMQProducer } from "../../../src/producer/DefaultMQProducer.ts"
import { TransactionMQProducer } from "../../../src/producer/TransactionMQProducer.ts"
import { SendError } from "../../../src/producer/send/SendError.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { onMemory, startProducer } from "../../support/rig.ts"

const EMOJI = "\u{1f600}"
/** What `slice` leaves of an emoji, from the front and from the back. */
const HALVES = [EMOJI.slice(0, 1), EMOJI.slice(1)]
const topic = "orders"
const cluster = onMemory({ topics: { orders: {} } })

const refused = <A, E>(self: Effect.Effect<A, E>) =>
  Effect.map(Effect.flip(self), (error) => {
    if (!(error instanceof SendError)) throw new Error(String(error))
    const { outcome, reason } = error
    if (reason._tag !== "InvalidMessage") throw error
    assert.strictEqual(outcome, "not-sent")
    assert.include(reason.problem, "half of a surrogate pair")
    assert.isTrue(error.message.isWellFormed())
    return reason.field
  })

const SENDS: ReadonlySet<number> = new Set([
  RequestCode.SEND_MESSAGE,
  RequestCode.SEND_MESSAGE_V2,
  RequestCode.SEND_BATCH_MESSAGE,
  RequestCode.SEND_REPLY_MESSAGE_V2
])

/** That no send has left: what is refused is refused before. */
const nothingSent = Effect.gen(function* () {
  const { traffic } = yield* EmbeddedCluster
  const sends = yield* traffic.matching({ where: ({ code }) => SENDS.has(code) })
  assert.strictEqual(sends.length, 0)
})

describe("half an emoji", () => {
  it.effect("A44: is refused wherever a message can have text, by the name of the field", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      for (const half of HALVES) {
        const text = `a${half}b`
        const cases: ReadonlyArray<readonly [field: string, input: Message.MessageInput]> = [
          ["body", { topic, body: text }],
          ["topic", { topic: text, body: "x" }],
          ["tags", { topic, body: "x", tags: text }],
          ["keys", { topic, body: "x", keys: ["fine", text] }],
          ["properties.p", { topic, body: "x", properties: { fine: EMOJI, p: text } }],
          ["properties.a\ufffdb", { topic, body: "x", properties: { [text]: "x" } }]
        ]
        for (const [field, input] of cases) {
          const message = Message.make(input)
          assert.strictEqual(yield* refused(producer.send(message)), field)
          assert.strictEqual(yield* refused(producer.sendOneway(message)), field)
          assert.strictEqual(yield* refused(producer.sendBatch([message])), `batch[0].${field}`)
          assert.strictEqual(yield* refused(producer.request(message, 1_000)), field)
          assert.strictEqual(yield* refused(Effect.flatten(producer.sendQueued(message))), field)
        }
        const plain = Message.make({ topic, body: "x" })
        assert.strictEqual(yield* refused(producer.send(plain, { orderingKey: text })), "orderingKey")
      }
      yield* nothingSent
    }).pipe(cluster)
  )

  it.effect("A44: is refused in a transaction and in a reply", () =>
    Effect.gen(function* () {
      const producer = yield* TransactionMQProducer.make({
        producerGroup: "tx",
        namesrvAddr: (yield* EmbeddedCluster).namesrvAddr,
        checkLocalTransaction: () => Effect.succeed("UNKNOW" as const)
      })
      yield* producer.start
      const half = HALVES[0] ?? ""
      const message = Message.make({ topic, body: half })
      assert.strictEqual(yield* refused(producer.transaction(message, Effect.die("must not run"))), "body")
      const { messages } = yield* EmbeddedCluster
      yield* producer.send(Message.make({ topic, body: "question", properties: {} }))
      const [question = assert.fail()] = yield* messages(topic)
      const asked = {
        ...question,
        properties: { CLUSTER: "DefaultCluster", CORRELATION_ID: "c", REPLY_TO_CLIENT: "r" }
      }
      assert.strictEqual(yield* refused(producer.reply(asked, `${half} yes`)), "body")
    }).pipe(cluster)
  )

  it.effect("A44: a body that bytes were given for is the sender's own", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      const replaced = new TextEncoder().encode("\ufffd")
      yield* producer.send(Message.make({ topic, body: replaced }))
      yield* producer.send(Message.make({ topic, body: `whole ${EMOJI}`, tags: EMOJI, keys: EMOJI }))
      const { messages } = yield* EmbeddedCluster
      assert.deepInclude(
        (yield* messages(topic)).map(({ tags }) => tags),
        EMOJI
      )
    }).pipe(cluster)
  )

  it.effect("A44: in a typed topic it is an escape of the JSON, which loses nothing; its key and tag are refused", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      const half = HALVES[0] ?? ""
      const lossless = Topic.make(topic, { schema: Schema.String })
      yield* producer.sendTo(lossless, half)
      const { messages } = yield* EmbeddedCluster
      const [stored = assert.fail()] = yield* messages(topic)
      assert.strictEqual(yield* lossless.decode(stored), half)
      const keyed = Topic.make(topic, { schema: Schema.String, key: (value) => value })
      assert.strictEqual(yield* refused(producer.sendTo(keyed, half)), "keys")
      const tagged = Topic.make(topic, { schema: Schema.String, tags: (value) => value })
      assert.strictEqual(yield* refused(producer.sendTo(tagged, half)), "tags")
    }).pipe(cluster)
  )

  it.effect("A44: in the configuration it is refused before anything is started", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const half = HALVES[1] ?? ""
      const options = { producerGroup: "pg", namesrvAddr }
      for (const [path, more] of [
        ["producerGroup", { producerGroup: half }],
        ["namespace", { namespace: half }],
        ["unitName", { unitName: `unit${half}` }],
        ["instanceName", { instanceName: half }],
        ["topics[1]", { topics: ["fine", half] }],
        ["credentials", { credentials: { accessKey: half, secretKey: Redacted.make("s") } }],
        ["credentials", { credentials: { accessKey: "user", secretKey: Redacted.make(half) } }]
      ] as const) {
        const producer = yield* DefaultMQProducer.make({ ...options, ...more })
        const { reason } = yield* Effect.flip(producer.start)
        if (reason._tag !== "InvalidConfig") throw new Error(reason.message)
        assert.deepStrictEqual(
          reason.problems.map((problem) => problem.path),
          [path]
        )
        assert.include(reason.message, "half of a surrogate pair")
        assert.isTrue(reason.message.isWellFormed())
      }
    }).pipe(cluster)
  )
})
