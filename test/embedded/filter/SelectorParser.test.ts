import { assert, describe, it } from "@effect/vitest"
import { JavaException } from "../../../src/embedded/filter/JavaException.ts"
import { parse } from "../../../src/embedded/filter/SelectorParser.ts"
import { filters, messages, ours, outcome } from "./filters.ts"

const result = (text: string, properties: Readonly<Record<string, string>>, legacy = false) => {
  const expression = parse(text, legacy)
  return expression instanceof JavaException ? expression.java : outcome(expression, properties)
}

const refusal = (text: string, legacy = false) => {
  const expression = parse(text, legacy)
  return expression instanceof JavaException ? expression.java : undefined
}

const parseException = "org.apache.rocketmq.filter.parser.ParseException: "

describe("SQL92 filters", () => {
  // Each as RocketMQ's own parser gives it; test/rocketmq/filters.test.ts compares thousands more.
  for (const [text, properties, expected] of [
    ["a = 5", { a: "5" }, "T"],
    ["a = '5.0'", { a: "5" }, "F"],
    ["a = 5", {}, "N"],
    ["a > 5", { a: "5.5" }, "X"],
    ["a > 5.5", { a: "6" }, "T"],
    ["a > b", { a: "6", b: "5.5" }, "T"],
    ["a > b", { a: "six", b: "5" }, "X"],
    ["a BETWEEN 1 AND 5", { a: "5" }, "T"],
    ["a NOT BETWEEN 1 AND 5", { a: "6" }, "T"],
    ["a IN ('x', 'it''s')", { a: "it's" }, "T"],
    ["a NOT IN ('x')", {}, "N"],
    ["a IS NULL", {}, "T"],
    ["a IS NOT NULL", { a: "" }, "T"],
    ["a = b", {}, "T"],
    ["a <> 'x'", { a: "y" }, "T"],
    ["a = TRUE", { a: "TRUE" }, "T"],
    ["TRUE = a", { a: "true" }, "X"],
    ["a", { a: "true" }, "F"],
    ["a > 5 OR b IS NULL", { a: "x" }, "X"],
    ["b IS NULL OR a > 5", { a: "x" }, "T"],
    ["a = 1 OR b = 1", { b: "1" }, "T"],
    ["a = 1 AND b = 2", { b: "1" }, "F"],
    ["NOT a = 5", { a: "5" }, "F"],
    ["a = 1 what follows is not read", { a: "1" }, "T"],
    ["a CONTAINS 'b'", { a: "abc" }, "T"],
    ["a NOT STARTSWITH 'b'", { a: "abc" }, "T"],
    ["a NOT ENDSWITH 'c'", {}, "F"],
    ["a = 9223372036854775807", { a: "9223372036854775807" }, "T"],
    ["a = 2147483647", { a: "2147483648" }, "X"],
    ["-a < 0", { a: "5" }, "N"],
    ["a /* in between */ = -- and here\n 5", { a: "5" }, "T"]
  ] satisfies ReadonlyArray<readonly [string, Readonly<Record<string, string>>, string]>) {
    it(`${text} of ${JSON.stringify(properties)} is ${expected}`, () => {
      assert.strictEqual(result(text, properties), expected)
    })
  }

  it("what cannot be read is refused in the words of a broker", () => {
    assert.strictEqual(
      refusal("a >"),
      `${parseException}Encountered "<EOF>" at line 1, column 3.\nWas expecting one of:\n    "NOT" ...\n    "TRUE" ...\n    "FALSE" ...\n    "NULL" ...\n    <DECIMAL_LITERAL> ...\n    <FLOATING_POINT_LITERAL> ...\n    <STRING_LITERAL> ...\n    <ID> ...\n    "(" ...\n    "-" ...\n    "+" ...\n    `
    )
    assert.strictEqual(
      refusal("a ~ b"),
      'org.apache.rocketmq.filter.parser.TokenMgrError: Lexical error at line 1, column 3.  Encountered: "~" (126), after : ""'
    )
    assert.strictEqual(refusal("a > 'x'"), "java.lang.RuntimeException: Value ''x'' cannot be compared.")
    assert.strictEqual(refusal("5"), `${parseException}Expression will not result in a boolean value: 5`)
    assert.strictEqual(
      refusal("a BETWEEN 2 AND 1"),
      "java.lang.RuntimeException: Illegal values of between, left value(2) must less than or equal to right value(1)"
    )
    assert.strictEqual(
      refusal("a = 9223372036854775808"),
      'java.lang.NumberFormatException: For input string: "9223372036854775808"'
    )
    assert.strictEqual(refusal("a = 0.0"), "java.lang.RuntimeException: 0.0 is less than 4.9E-324")
  })

  it("a broker of 4.x takes the words of 5.x for names", () => {
    assert.strictEqual(result("contains = 5", { contains: "5" }, true), "T")
    assert.include(refusal("contains = 5"), 'Encountered " "CONTAINS" "contains ""')
    // What follows the filter, which is the property alone, is not read.
    assert.strictEqual(result("a CONTAINS 'x'", { a: "x" }, true), "F")
  })

  it("what is nested too deep, or costs too much, is refused as by a stack that ends", () => {
    const overflow = "java.lang.StackOverflowError"
    const many = 30_000
    for (const text of [
      "(".repeat(many),
      "NOT ".repeat(many),
      "- ".repeat(many),
      "+ ".repeat(many),
      "+(".repeat(many),
      `${"a = ".repeat(many)}a`,
      `a${" IS NULL".repeat(many)}`
    ]) {
      assert.strictEqual(refusal(text), overflow, text.slice(0, 20))
    }
    const long = `a = 1${" OR a = 1".repeat(many)}`
    assert.strictEqual(result(long, { a: "2" }), "F")
    assert.strictEqual(result(`${"(".repeat(60)}a = 1${")".repeat(60)}`, { a: "1" }), "T")
    const costly = `${"+(".repeat(60)}a${" OR a".repeat(many)}${")".repeat(60)}`
    assert.strictEqual(refusal(costly), overflow)
    assert.include(refusal("-".repeat(many)), "StackOverflowError")
    assert.include(refusal("'".repeat(many + 1)), "Lexical error")
    assert.include(refusal("/*".repeat(many)), "Lexical error")
  })

  it("no text and no property makes it throw anything else", () => {
    const properties = messages(20)
    const texts = filters(1_000)
    const all = texts.flatMap((text) => [ours(text, properties, false), ours(text, properties, true)])
    assert.strictEqual(all.length, 2 * texts.length)
    assert.isTrue(all.every(({ error, results }) => (error === undefined) !== (results === undefined)))
  })
})
