import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Option, Schema, SchemaGetter } from "effect"
import type { Message } from "../../src/message/Message.ts"
import { SysFlag } from "../../src/message/SysFlag.ts"
import * as Topic from "../../src/message/Topic.ts"
import { checkMessage } from "../../src/producer/send/PreparedMessage.ts"
import { isReserved } from "../../src/protocol/MessageProperties.ts"

const Order = Schema.Struct({
  id: Schema.NonEmptyString,
  total: Schema.Finite,
  placed: Schema.Date,
  serial: Schema.BigInt,
  note: Schema.Option(Schema.String),
  lines: Schema.Array(Schema.Struct({ sku: Schema.String, count: Schema.Int }))
})
const orders = Topic.make("orders", {
  schema: Order,
  key: (order) => [order.id, `serial-${order.serial}`],
  tags: (order) => (order.total > 100 ? "large" : "small"),
  version: "3"
})
const order: typeof Order.Type = {
  id: "order-7",
  total: 12.5,
  placed: new Date("2024-05-06T07:08:09.010Z"),
  serial: 12_345_678_901_234_567_890n,
  note: Option.some("标签"),
  lines: [{ sku: "a", count: 2 }]
}

/** A message as a consumer gets it. */
const received = (message: Pick<Message, "topic" | "body" | "properties">, sysFlag = 0) => ({
  topic: message.topic,
  body: message.body,
  properties: { UNIQ_KEY: "ID", ...message.properties },
  sysFlag
})
const raw = (body: string | Uint8Array, properties: Record<string, string> = {}) =>
  received({ topic: "orders", body: typeof body === "string" ? new TextEncoder().encode(body) : body, properties })

describe("Topic", () => {
  it.effect("encodes a value to a message that a producer accepts", () =>
    Effect.gen(function* () {
      const message = yield* orders.encode(order, { properties: { trace: "x", codec: "mine" }, waitStoreMsgOK: false })
      assert.strictEqual(message.topic, "orders")
      assert.strictEqual(message.tags, "small")
      assert.deepEqual(message.keys, ["order-7", "serial-12345678901234567890"])
      assert.deepEqual(message.properties, { trace: "x", codec: "json", codecVersion: "3" })
      assert.strictEqual(message.waitStoreMsgOK, false)
      assert.isUndefined(checkMessage(message, 4_194_304))
      const json: unknown = JSON.parse(new TextDecoder().decode(message.body))
      assert.isTrue(
        typeof json === "object" && json !== null && "placed" in json && json.placed === "2024-05-06T07:08:09.010Z"
      )
    })
  )

  it("the properties are free names", () => {
    assert.isFalse(isReserved(Topic.CODEC_PROPERTY))
    assert.isFalse(isReserved(Topic.CODEC_VERSION_PROPERTY))
  })

  it.effect("a topic needs no more than a name and a schema", () =>
    Effect.gen(function* () {
      const plain = Topic.make("plain", { schema: Schema.Struct({ a: Schema.Number }), key: () => "one" })
      const message = yield* plain.encode({ a: 1 })
      assert.deepEqual(
        { ...message, body: new TextDecoder().decode(message.body) },
        {
          topic: "plain",
          body: '{"a":1}',
          keys: ["one"],
          properties: { codec: "json", codecVersion: "1" }
        }
      )
      const bare = yield* Topic.make("bare", { schema: Schema.String }).encode("x")
      assert.isFalse("keys" in bare || "tags" in bare)
      assert.deepEqual([plain.name, plain.codec, plain.version], ["plain", "json", "1"])
    })
  )

  it.effect.prop(
    "decoding undoes encoding, whatever the types in the schema",
    [Order],
    Effect.fnUntraced(function* ([value]) {
      // JSON has one zero.
      const lines = value.lines.map((line) => ({ ...line, count: line.count + 0 }))
      assert.deepEqual(yield* orders.decode(received(yield* orders.encode(value))), {
        ...value,
        total: value.total + 0,
        lines
      })
    })
  )

  it.effect("a value that does not fit is a typed error with the topic and what is wrong", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(orders.encode({ ...order, id: "" }))
      assert.strictEqual(error._tag, "TopicEncodeError")
      assert.strictEqual(error.topic, "orders")
      assert.include(error.issue, "id")
      assert.isTrue(Schema.isSchemaError(error.cause))
      assert.include(error.message, '"orders"')
      const endless = yield* Effect.flip(orders.encode({ ...order, total: Number.NaN }))
      assert.include(endless.issue, "total")
      const nothing = yield* Effect.flip(Topic.make("none", { schema: Schema.Unknown }).encode(undefined))
      assert.strictEqual(nothing.topic, "none")
    })
  )

  it.effect("so is a key or a tags function that throws at a value", () =>
    Effect.gen(function* () {
      const bug = new Error("no id")
      const broken = () => {
        throw bug
      }
      for (const own of [{ key: broken }, { tags: broken }]) {
        const error = yield* Effect.flip(Topic.make("broken", { schema: Schema.String, ...own }).encode("x"))
        assert.strictEqual(error._tag, "TopicEncodeError")
        assert.strictEqual(error.cause, bug)
        assert.include(error.message, "threw")
      }
    })
  )

  it.effect("a message that cannot be read is a typed error that says why", () =>
    Effect.gen(function* () {
      const kind = (message: ReturnType<typeof raw>) =>
        Effect.map(Effect.flip(orders.decode(message)), (error) => error.kind)
      assert.strictEqual(yield* kind(raw("{}", { codec: "avro" })), "codec")
      assert.strictEqual(
        yield* kind({ ...raw("x"), sysFlag: SysFlag.COMPRESSED | SysFlag.COMPRESSION_ZLIB }),
        "compressed"
      )
      assert.strictEqual(yield* kind(raw(Uint8Array.of(0xff, 0xfe))), "utf8")
      assert.strictEqual(yield* kind(raw("{not json")), "schema")
      assert.strictEqual(yield* kind(raw("")), "schema")
      assert.strictEqual(yield* kind(raw('{"id":"a"}')), "schema")
      const error = yield* Effect.flip(orders.decode({ ...raw('{"id":7}'), topic: "%RETRY%cg" }))
      assert.strictEqual(error.topic, "%RETRY%cg")
      assert.strictEqual(error.msgId, "ID")
      assert.include(error.message, "Message ID of topic")
    })
  )

  it.effect("reads what a sender without this library wrote, and any version", () =>
    Effect.gen(function* () {
      const plain = Topic.make("orders", { schema: Schema.Struct({ a: Schema.Number }) })
      for (const properties of [{}, { codec: "json" }, { codec: "json", codecVersion: "9" }]) {
        assert.deepEqual(yield* plain.decode(raw('{"a":1}', properties)), { a: 1 })
      }
      assert.deepEqual(yield* plain.decode(raw('\ufeff{"a":1}')), { a: 1 })
      const { UNIQ_KEY: _, ...without } = raw("x").properties
      const error = yield* Effect.flip(plain.decode({ ...raw("x"), properties: without }))
      assert.isUndefined(error.msgId)
    })
  )

  it.effect("what the schema needs, encode and decode need", () =>
    Effect.gen(function* () {
      const Prefix = Context.Service<string>("test/Prefix")
      const Prefixed = Schema.String.pipe(
        Schema.decodeTo(Schema.String, {
          decode: SchemaGetter.transformEffect((text: string) =>
            Effect.map(Effect.service(Prefix), (prefix) => text.slice(prefix.length))
          ),
          encode: SchemaGetter.transformEffect((text: string) =>
            Effect.map(Effect.service(Prefix), (prefix) => prefix + text)
          )
        })
      )
      const topic = Topic.make("prefixed", { schema: Prefixed })
      const message = yield* topic.encode("x").pipe(Effect.provideService(Prefix, "p-"))
      assert.strictEqual(new TextDecoder().decode(message.body), '"p-x"')
      const back = yield* topic.decode(received(message)).pipe(Effect.provideService(Prefix, "p-"))
      assert.strictEqual(back, "x")
    })
  )
})
