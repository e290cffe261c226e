import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import * as ForeignText from "../../src/message/ForeignText.ts"

/** What a terminal, a log or an eye must not meet, written out: not the class that the source uses. */
const harmful: ReadonlyArray<string> = [
  ...Array.from({ length: 0x20 }, (_, i) => String.fromCodePoint(i)),
  ...Array.from({ length: 0x21 }, (_, i) => String.fromCodePoint(0x7f + i)),
  ...Array.from({ length: 5 }, (_, i) => String.fromCodePoint(0x202a + i)),
  ...Array.from({ length: 4 }, (_, i) => String.fromCodePoint(0x2066 + i)),
  ..."\u200b\u200c\u200d\u200e\u200f\u061c\u2028\u2029\u2060\ufeff\u00ad\u180e\u034f\u115f\u1160\u3164\uffa0".split(""),
  "\u{e0001}",
  "\u{e0041}",
  "\ud83d",
  "\ude00"
]

const plain = ["plain words", "Grüße", "订单", "\u{1f600}", "שלום", "a\u0301", " ", "~", "\u00a0", "\ufffd"]

describe("foreign text", () => {
  it("A27: knows every character that a terminal acts on or an eye is deceived by", () => {
    for (const c of harmful) {
      const name = `U+${c.codePointAt(0)?.toString(16)}`
      assert.isFalse(ForeignText.isClean(`a${c}b`), name)
      assert.strictEqual(ForeignText.clean(`a${c}b`), "a b", name)
      assert.strictEqual(ForeignText.printable(`a${c}b`), "a b", name)
    }
    for (const text of plain) {
      assert.isTrue(ForeignText.isClean(text), text)
      assert.strictEqual(ForeignText.printable(text), text)
      assert.strictEqual(ForeignText.escapeJson(text), text)
    }
  })

  it("A27: shortens and takes out what a terminal would act on", () => {
    const { clean } = ForeignText
    assert.strictEqual(clean(undefined), "")
    assert.strictEqual(clean("  plain \u0007text\n"), "plain  text")
    assert.strictEqual(clean("a\u001b[31mred\u009b0m"), "a [31mred 0m")
    assert.strictEqual(clean("\u001b[31mred\u001b[0m"), "[31mred [0m")
    assert.strictEqual(clean("x".repeat(500)), `${"x".repeat(200)}...`)
    assert.strictEqual(clean("x".repeat(20), 5), "xxxxx...")
    assert.strictEqual(clean("\n".repeat(10_000)), "")
  })

  it("A27: halves no character", () => {
    assert.strictEqual(ForeignText.clean("ab\u{1f600}cd", 3), "ab...")
    assert.strictEqual(ForeignText.clean("ab\u{1f600}cd", 4), "ab\u{1f600}...")
    assert.isTrue(ForeignText.clean("\u{1f600}".repeat(300)).isWellFormed())
  })

  it("A27: whatever was thrown becomes one line, also what cannot be made into text", () => {
    const circular: Record<string, unknown> = Object.create(null)
    circular["self"] = circular
    const deaf = {
      toString: () => {
        throw new Error("no text")
      }
    }
    for (const thrown of [circular, deaf, Symbol("s"), 7n, () => 7, null, undefined, new Error(""), "two\nlines"]) {
      for (const text of [ForeignText.ofThrown(thrown), ForeignText.ofThrownWithName(thrown)]) {
        assert.isTrue(ForeignText.isClean(text), text)
      }
    }
    assert.strictEqual(ForeignText.ofThrown("two\nlines"), "two lines")
    assert.strictEqual(ForeignText.ofThrown(new TypeError("a\u001bb")), "a b")
    assert.strictEqual(ForeignText.ofThrownWithName(new TypeError("a\u001bb")), "TypeError: a b")
    assert.strictEqual(ForeignText.ofThrownWithName(new Error("x".repeat(300)), 20), `Error: ${"x".repeat(13)}...`)
  })

  it("A27: leaves a terminal's columns where they were", () => {
    assert.strictEqual(ForeignText.printable("  a\tb\u001bc"), "  a b c")
    assert.strictEqual(ForeignText.excerpt("  a\tb\u001bc", 4), "  a ...")
    assert.strictEqual(ForeignText.excerpt("  a\tb\u001bc", 7), "  a b c")
  })

  it("A27: JSON keeps what was written", () => {
    for (const c of [...harmful, ...plain]) {
      const written = ForeignText.escapeJson(JSON.stringify({ [c]: c }))
      assert.isTrue(ForeignText.isClean(written))
      assert.deepStrictEqual(JSON.parse(written), { [c]: c })
    }
  })

  it.effect.prop(
    "A27: never leaves more than the limit, nor anything harmful",
    { text: Arbitrary.schema(Schema.String), harm: Arbitrary.schema(Schema.Literals(harmful)) },
    ({ harm, text }) =>
      Effect.sync(() => {
        for (const shown of [ForeignText.clean(text + harm + text, 20), ForeignText.clean(harm + text)]) {
          assert.isAtMost(shown.length, 203)
          assert.isTrue(ForeignText.isClean(shown))
          assert.isTrue(shown.isWellFormed())
        }
        assert.isAtMost(ForeignText.clean(text + harm + text, 20).length, 23)
      }),
    { arbitrary: { runs: 300 } }
  )
})
