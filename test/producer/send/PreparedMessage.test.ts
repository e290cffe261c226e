import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { Arbitraries } from "../../../src/testing/index.ts"
import * as Message from "../../../src/message/Message.ts"
import * as MixAll from "../../../src/message/MixAll.ts"
import * as MessageProperties from "../../../src/protocol/MessageProperties.ts"
import { checkMessage, checkPropertyText } from "../../../src/producer/send/PreparedMessage.ts"
import { runs } from "../../support/rig.ts"

const int = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))
const MAX = MixAll.MAX_MESSAGE_SIZE

const untyped = (text: string): Message.Message => JSON.parse(text)

const propertyText = (value: string) =>
  MessageProperties.ofMessage({ topic: "t", body: Uint8Array.of(1), properties: { n: value } }, "0".repeat(32))

/** The field that a message is refused for, or undefined. */
const refused = (change: Partial<Message.Message>, max = MAX) =>
  checkMessage({ topic: "orders", body: Uint8Array.of(1), ...change }, max)?.field

describe("checkMessage", () => {
  it("names the field of everything that it refuses", () => {
    assert.strictEqual(refused({}), undefined)
    for (const topic of ["", "  ", "t".repeat(128), "a b", "a.b", "ß", "SCHEDULE_TOPIC_XXXX", "OFFSET_MOVED_EVENT"]) {
      assert.strictEqual(refused({ topic }), "topic", topic)
    }
    assert.strictEqual(refused({ topic: "t".repeat(127) }), undefined)
    assert.strictEqual(refused({ topic: "TBW102" }), undefined)
    assert.strictEqual(refused({ topic: "%RETRY%group" }), undefined)
    assert.strictEqual(refused({ body: new Uint8Array(0) }), "body")
    assert.strictEqual(refused({ body: new Uint8Array(11) }, 10), "body")
    assert.strictEqual(refused({ body: new Uint8Array(10) }, 10), undefined)
    assert.strictEqual(refused({ body: new Uint8Array(MAX) }), undefined)
    assert.strictEqual(refused({ body: new Uint8Array(MAX + 1) }), "body")
    for (const flag of [0.5, 2 ** 31, -(2 ** 31) - 1, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.strictEqual(refused({ flag }), "flag", String(flag))
    }
    assert.strictEqual(refused({ flag: -(2 ** 31) }), undefined)
    for (const tags of ["", " ", "a\u0001", "\u0002"]) assert.strictEqual(refused({ tags }), "tags")
    for (const keys of [[""], ["ok", " "], ["a b"], ["a\u0001b"], ["a\u0002b"]]) {
      assert.strictEqual(refused({ keys }), "keys", JSON.stringify(keys))
    }
    assert.strictEqual(refused({ keys: [] }), undefined)
    assert.strictEqual(refused({ properties: { "": "v" } }), "properties")
    assert.strictEqual(refused({ properties: { a: "" } }), "properties.a")
    assert.strictEqual(refused({ properties: { a: " " } }), "properties.a")
    assert.strictEqual(refused({ properties: { a: "1\u0001" } }), "properties.a")
    assert.strictEqual(refused({ properties: { "a\u0002b": "1" } }), "properties.a?b")
    assert.strictEqual(refused({ properties: { "\u0001a\u0002b": "1" } }), "properties.?a?b")
    for (const name of ["UNIQ_KEY", "TAGS", "KEYS", "DELAY", "WAIT", "REAL_TOPIC", "CLUSTER"]) {
      assert.strictEqual(refused({ properties: { ok: "1", [name]: "1" } }), `properties.${name}`)
    }
  })

  it("refuses what only a caller without types can give", () => {
    assert.strictEqual(checkMessage(untyped('{"topic":"t","body":"text"}'), MAX)?.field, "body")
    assert.strictEqual(checkMessage(untyped('{"topic":"t"}'), MAX)?.field, "body")
    assert.strictEqual(checkMessage(untyped('{"body":"text"}'), MAX)?.field, "topic")
    const body = Uint8Array.of(1)
    assert.strictEqual(
      checkMessage({ ...untyped('{"topic":"t","properties":{"n":7}}'), body }, MAX)?.field,
      "properties.n"
    )
    assert.strictEqual(checkMessage({ ...untyped('{"topic":"t","keys":"k"}'), body }, MAX)?.field, "keys")
    assert.strictEqual(checkMessage({ ...untyped('{"topic":"t","keys":[7]}'), body }, MAX)?.field, "keys")
    assert.strictEqual(checkMessage({ ...untyped('{"topic":"t","tags":7}'), body }, MAX)?.field, "tags")
  })

  it("does not take a name of the object's prototype for a property", () => {
    assert.strictEqual(refused({ properties: { constructor: "1", toString: "2" } }), undefined)
  })

  it("counts the bytes of keys, tags and properties together, as the broker does", () => {
    const room = MixAll.MAX_PROPERTIES_LENGTH - Buffer.byteLength(propertyText(""))
    assert.strictEqual(checkPropertyText("t", propertyText("x".repeat(room))), undefined)
    const tooLong = checkPropertyText("t", propertyText("x".repeat(room + 1)))
    assert.strictEqual(tooLong?.field, "properties")
    assert.include(tooLong?.problem ?? "", "32768")
    // Bytes, not characters.
    assert.strictEqual(checkPropertyText("t", propertyText("é".repeat(room)))?.field, "properties")
    assert.strictEqual(checkPropertyText("t", propertyText("中".repeat(Math.floor(room / 3)))), undefined)
  })

  const anyText = Arbitrary.map(
    Arbitrary.array(Arbitrary.schema(Schema.Literals(["a", " ", "", "\u0001", "\u0002", "é", "%", "\n", "KEYS"])), {
      maxLength: 4
    }),
    (parts) => parts.join("")
  )
  const anyMessage: Arbitrary.Arbitrary<Message.Message> = Arbitrary.map(
    Arbitrary.all({
      good: Arbitraries.message,
      broken: int(0, 7),
      text: anyText,
      number: int(-(2 ** 33), 2 ** 33)
    }),
    ({ broken, good, number, text }) => {
      switch (broken) {
        case 0:
          return { ...good, topic: text }
        case 1:
          return { ...good, body: new Uint8Array(0) }
        case 2:
          return { ...good, tags: text }
        case 3:
          return { ...good, keys: [text] }
        case 4:
          return { ...good, properties: { [text]: "v" } }
        case 5:
          return { ...good, properties: { name: text } }
        case 6:
          return { ...good, flag: number }
        default:
          return good
      }
    }
  )

  it.effect.prop(
    "every refused message names its field, and every accepted one is what the broker reads back",
    { message: anyMessage },
    ({ message }) =>
      Effect.sync(() => {
        const problem = checkMessage(message, MAX)
        if (problem !== undefined) {
          assert.match(problem.field, /^(topic|body|flag|tags|keys|properties(\..*)?)$/s)
          assert.strictEqual(problem.topic, message.topic)
          assert.isNotEmpty(problem.problem)
          assert.include(problem.message, problem.field)
          return
        }
        const id = "0".repeat(32)
        const text = MessageProperties.ofMessage(message, id)
        if (checkPropertyText(message.topic, text) !== undefined) return
        assert.isAtMost(Buffer.byteLength(text), MixAll.MAX_PROPERTIES_LENGTH)
        const read = MessageProperties.decode(text)
        assert.deepStrictEqual(
          { ...read },
          {
            UNIQ_KEY: id,
            WAIT: "true",
            ...(message.tags === undefined ? {} : { TAGS: message.tags }),
            ...(message.keys === undefined || message.keys.length === 0 ? {} : { KEYS: message.keys.join(" ") }),
            ...message.properties
          }
        )
      }),
    runs(500)
  )

  it.effect.prop(
    "every message of the exported generator is accepted",
    { message: Arbitraries.message },
    ({ message }) =>
      Effect.sync(() => {
        assert.strictEqual(checkMessage(message, MAX), undefined)
      }),
    runs(300)
  )
})
