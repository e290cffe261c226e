import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect } from "effect"
import { DecodeError } from "../../src/protocol/DecodeError.ts"
import { type JsonValue, MAX_DEPTH, parse, rawKeys, stringify } from "../../src/protocol/LenientJson.ts"
import { fieldName, text } from "./arbitraries.ts"

const nested = (levels: number): string => "[".repeat(levels) + "]".repeat(levels)

const refused = (input: string): void => assert.instanceOf(parse(input), DecodeError, input)

/** Nested values of awkward texts. */
const value = (depth: number): Arbitrary.Arbitrary<JsonValue> => {
  const scalar: Arbitrary.Arbitrary<JsonValue> = text
  if (depth === 0) return scalar
  const list: Arbitrary.Arbitrary<JsonValue> = Arbitrary.array(value(depth - 1), { maxLength: 3 })
  const object: Arbitrary.Arbitrary<JsonValue> = Arbitrary.map(
    Arbitrary.array(Arbitrary.all([fieldName, value(depth - 1)] as const), { maxLength: 4 }),
    (entries) => new Map(entries)
  )
  return Arbitrary.flatMap(text, (choice) =>
    choice.length % 3 === 0 ? list : choice.length % 3 === 1 ? object : scalar
  )
}

const plain = (json: JsonValue): unknown => {
  if (Array.isArray(json)) return json.map(plain)
  if (!(json instanceof Map)) return json
  const out: Record<string, unknown> = {}
  for (const [key, item] of json as ReadonlyMap<string, JsonValue>) {
    Object.defineProperty(out, key, { value: plain(item), enumerable: true, configurable: true })
  }
  return out
}

describe("LenientJson", () => {
  it.effect.prop("reads what it writes", { json: value(3) }, ({ json }) =>
    Effect.sync(() => assert.deepEqual(parse(stringify(json)), json))
  )

  it.effect.prop("agrees with JSON on standard text", { json: value(3) }, ({ json }) =>
    Effect.sync(() => {
      const standard = JSON.stringify(plain(json))
      assert.deepEqual(JSON.parse(stringify(json)), JSON.parse(standard))
      const back = parse(standard)
      if (back instanceof DecodeError) assert.fail(back.message)
      assert.deepEqual(plain(back), JSON.parse(standard))
    })
  )

  it("scalars and white space", () => {
    assert.deepEqual(
      parse(' { "a" : [ 1 , -2.5 , 1e3 , true , false , null , "x" ] } \n'),
      new Map([["a", [1, -2.5, 1000, true, false, null, "x"]]])
    )
    assert.strictEqual(parse('"\\u0041\\n\\/\\"\\\\\\b\\f\\r\\t"'), 'A\n/"\\\b\f\r\t')
    assert.strictEqual(parse('"\\ud83d\\ude80"'), "🚀")
    assert.strictEqual(parse(new TextEncoder().encode('"标签"')), "标签")
    assert.deepEqual(parse("{}"), new Map())
    assert.deepEqual(parse("[]"), [])
  })

  it("integers that a number cannot hold are bigints", () => {
    assert.strictEqual(parse("9007199254740991"), 9_007_199_254_740_991)
    assert.strictEqual(parse("9223372036854775807"), 9_223_372_036_854_775_807n)
    assert.strictEqual(parse("-9223372036854775808"), -9_223_372_036_854_775_808n)
    assert.strictEqual(stringify(9_223_372_036_854_775_807n), "9223372036854775807")
    refused("9".repeat(100))
  })

  it("bare integer keys", () => {
    assert.deepEqual(
      parse('{0:"a",-1:"b",12 : "c","3":"d"}'),
      new Map([
        ["0", "a"],
        ["-1", "b"],
        ["12", "c"],
        ["3", "d"]
      ])
    )
    refused("{1.5:1}")
    refused("{a:1}")
  })

  it("object keys are their text with sorted names", () => {
    const parsed = parse('{{"topic":"t","queueId":0,"brokerName":"b"}:{"maxOffset":1},{"queueId":1}:2}')
    assert.deepEqual(
      parsed,
      new Map<string, JsonValue>([
        ['{"brokerName":"b","queueId":0,"topic":"t"}', new Map([["maxOffset", 1]])],
        ['{"queueId":1}', 2]
      ])
    )
    // A text that looks like a key is a key like any other; nothing inside a string is taken for syntax.
    assert.deepEqual(parse('{"{\\"a\\":1}":"},{0:1"}'), new Map([['{"a":1}', "},{0:1"]]))
  })

  it("writes bare and object keys", () => {
    assert.strictEqual(
      stringify(
        rawKeys([
          ["0", "a"],
          ['{"q":1}', new Map([["n", 1]])]
        ])
      ),
      '{0:"a",{"q":1}:{"n":1}}'
    )
    assert.strictEqual(stringify(new Map([["0", [Number.NaN]]])), '{"0":[null]}')
  })

  it("keys of prototypes are keys", () => {
    assert.deepEqual(
      parse('{"__proto__":{"x":1},"constructor":2}'),
      new Map<string, JsonValue>([
        ["__proto__", new Map([["x", 1]])],
        ["constructor", 2]
      ])
    )
    assert.isUndefined(Reflect.get({}, "x"))
  })

  it("C7: refuses what is no JSON", () => {
    for (const input of [
      "",
      " ",
      "{",
      "}",
      "[",
      "[1",
      "[1,]",
      '{"a"}',
      '{"a":}',
      '{"a":1,}',
      '{"a":1',
      '"',
      '"\\',
      '"\\u00',
      '"\\x"',
      "nul",
      "tru",
      "-",
      "1 2",
      "undefined",
      "'a'",
      "{{}",
      "{{:1}",
      "{[1]:1}",
      "\u0000"
    ])
      refused(input)
  })

  it("C7: is limited in depth, also in keys", () => {
    assert.notInstanceOf(parse(nested(MAX_DEPTH)), DecodeError)
    refused(nested(MAX_DEPTH + 1))
    refused("[".repeat(100_000))
    refused('{"a":'.repeat(100_000))
    refused("{".repeat(100_000))
    // A key with a key with a key: each level would double the text of the one inside.
    refused(`${"{".repeat(30)}1:1${"}:1".repeat(29)}}`)
  })

  it("takes linear time for large and for hostile texts", () => {
    const start = performance.now()
    const large = `[${'"aaaaaaaaaa\\n",'.repeat(200_000)}1]`
    const list = parse(large)
    assert.strictEqual(Array.isArray(list) ? list.length : 0, 200_001)
    parse(`"${"\\".repeat(1_000_000)}`)
    parse("[".repeat(1_000_000))
    parse("1".repeat(1_000_000))
    parse(`{${'{"a":1}:1,'.repeat(100_000)}`)
    assert.isBelow(performance.now() - start, 5000)
  })

  it("an error names the request and the place", () => {
    const error = parse('{"a":?}', 105)
    if (!(error instanceof DecodeError)) assert.fail("it was read")
    assert.include(error.message, "GET_ROUTEINFO_BY_TOPIC (105)")
    assert.include(error.message, "character 5")
  })
})
