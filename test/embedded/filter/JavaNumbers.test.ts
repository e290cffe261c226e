import { assert, describe, it } from "@effect/vitest"
import { JavaException } from "../../../src/embedded/filter/JavaException.ts"
import {
  doubleText,
  isInteger,
  parseDouble,
  parseInteger,
  parseLong
} from "../../../src/embedded/filter/JavaNumbers.ts"

const refused = (read: () => unknown): string | undefined => {
  try {
    read()
    return undefined
  } catch (error) {
    return error instanceof JavaException ? error.java : String(error)
  }
}

describe("numbers as Java reads them", () => {
  it("whole numbers: a sign, digits of any script, and the range of the type", () => {
    assert.deepStrictEqual(["5", "+5", "-5", "007", "٥٠", "５"].map(parseInteger), [5, 5, -5, 7, 50, 5])
    assert.strictEqual(parseInteger("-2147483648"), -2147483648)
    assert.strictEqual(parseLong("-9223372036854775808"), -9223372036854775808n)
    assert.isTrue(isInteger(2147483647n))
    assert.isFalse(isInteger(2147483648n))
    for (const text of ["", "+", "-", "5.", " 5", "5 ", "0x5", "2147483648", "𝟓", "1_0"]) {
      assert.strictEqual(
        refused(() => parseInteger(text)),
        `java.lang.NumberFormatException: For input string: "${text}"`
      )
    }
    assert.isDefined(refused(() => parseLong("9223372036854775808")))
  })

  it("fractions: blanks around them, a suffix, hexadecimal ones", () => {
    assert.deepStrictEqual(
      ["5", " 5.\n", ".5f", "1e2D", "-0.0", "0x1p3", "-0xA.8p-1", "0x.8p0", "1e400", "+Infinity", "NaN"].map(
        parseDouble
      ),
      [5, 5, 0.5, 100, -0, 8, -5.25, 0.5, Infinity, Infinity, NaN]
    )
    assert.strictEqual(
      refused(() => parseDouble(" ")),
      "java.lang.NumberFormatException: empty String"
    )
    for (const text of ["x", "e5", ".", "1e", "0x10", "0xp1", "infinity", "1_0"]) {
      assert.strictEqual(
        refused(() => parseDouble(text)),
        `java.lang.NumberFormatException: For input string: "${text}"`
      )
    }
  })

  it("a text of any length is read in linear time", () => {
    const long = "1".repeat(2_000_000)
    assert.isDefined(refused(() => parseInteger(long)))
    assert.isDefined(refused(() => parseInteger(`${"0".repeat(2_000_000)}x`)))
    assert.strictEqual(parseDouble(long), Infinity)
    assert.isDefined(refused(() => parseDouble(`${long}x`)))
    assert.strictEqual(parseDouble(`0x${"0".repeat(1_000_000)}1p0`), 1)
  })

  it("fractions are written as Java writes them", () => {
    assert.deepStrictEqual([5, 0.5, 0.001, 0.0001, 1e7, 12345678.9, -1e-7, Infinity, NaN, 0, -0].map(doubleText), [
      "5.0",
      "0.5",
      "0.001",
      "1.0E-4",
      "1.0E7",
      "1.23456789E7",
      "-1.0E-7",
      "Infinity",
      "NaN",
      "0.0",
      "-0.0"
    ])
  })
})
