/** Filters and messages by chance: some that are right, and many that only look so. */
import * as fc from "fast-check"
import type { Expression } from "../../../src/embedded/filter/Expression.ts"
import { JavaException } from "../../../src/embedded/filter/JavaException.ts"
import { parse } from "../../../src/embedded/filter/SelectorParser.ts"

const names = ["a", "b", "c", "absent", "TAGS", "$x_1", "isAbout"]

const texts = ["x", "5", "5.0", "-3", "", "true", "TRUE", "it''s", "ab", "1e2", "2147483648", "ü"]

const values: ReadonlyArray<string> = [
  ["5", "5.0", "-3", "+7", "007", "0", "-0.0", "1e2", "1.5f", " 5 ", "5d", "0x1p3", "-0xA.8p-1", "NaN", "Infinity"],
  ["2147483647", "2147483648", "9223372036854775807", "9223372036854775808", "12345678901234567890", "1.0E-400"],
  ["", "-", ".", "5.", ".5", "e5", "true", "TRUE", "false", "x", "ab", "it's", "ü", "٥", "５", "0x10", "1_000"]
].flat()

const literals = [
  ["0", "1", "5", "100", "2147483647", "2147483648", "9223372036854775807", "9223372036854775808", "5L", "7l"],
  ["5.0", "5.", ".5", "1.5", "1e2", "1E-3", "2.5e+1", "0.0", "1e400", "1e-400", "100.0", "12345678.9"],
  ["TRUE", "false", "NULL"]
].flat()

const any = (of: ReadonlyArray<string>) => fc.constantFrom(...of)
const inQuotes = any(texts).map((text) => `'${text}'`)
const name = any(names)
const word = (text: string) => fc.constantFrom(text, text.toLowerCase(), text.toUpperCase())
const joined = (...parts: ReadonlyArray<fc.Arbitrary<string>>) => fc.tuple(...parts).map((all) => all.join(" "))

const { condition } = fc.letrec<{ condition: string; part: string; operand: string }>((tie) => ({
  operand: fc.oneof(
    { weight: 5, arbitrary: name },
    { weight: 4, arbitrary: any(literals) },
    { weight: 2, arbitrary: inQuotes },
    { weight: 1, arbitrary: tie("operand").map((of) => `- ${of}`) },
    { weight: 1, arbitrary: tie("operand").map((of) => `+${of}`) },
    { weight: 1, arbitrary: tie("condition").map((of) => `(${of})`) }
  ),
  part: fc.oneof(
    { weight: 6, arbitrary: joined(tie("operand"), any(["=", "<>", ">", ">=", "<", "<="]), tie("operand")) },
    {
      weight: 2,
      arbitrary: joined(tie("operand"), any(["", "NOT"]), word("between"), tie("operand"), word("and"), tie("operand"))
    },
    {
      weight: 2,
      arbitrary: joined(
        name,
        any(["", "not"]),
        word("in"),
        fc.array(inQuotes, { minLength: 1, maxLength: 6 }).map((list) => `(${list.join(",")})`)
      )
    },
    { weight: 2, arbitrary: joined(tie("operand"), word("is"), any(["", "NOT"]), word("null")) },
    {
      weight: 2,
      arbitrary: joined(tie("operand"), any(["", "NOT"]), any(["CONTAINS", "startswith", "EndsWith"]), inQuotes)
    },
    { weight: 1, arbitrary: tie("operand") }
  ),
  condition: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    { weight: 4, arbitrary: tie("part") },
    { weight: 1, arbitrary: joined(tie("condition"), word("and"), tie("condition")) },
    { weight: 1, arbitrary: joined(tie("condition"), word("or"), tie("condition")) },
    { weight: 1, arbitrary: joined(word("not"), tie("condition")) },
    { weight: 1, arbitrary: tie("condition").map((of) => `(${of})`) }
  )
}))

const scraps = [
  ["NOT", "AND", "OR", "BETWEEN", "IN", "IS", "NULL", "TRUE", "CONTAINS", "STARTSWITH", "ENDSWITH"],
  ["=", "<>", ">", ">=", "<", "<=", "(", ")", ",", "+", "-", "a", "b", "5", "5.0", "'x'", "'", "~", ".", "/"],
  ["\n", "\t", "\r\n", "\u000c", "-- to the end", "-- a line\n", "/* a comment */", "/* none", '"', "ü", "!", "0l"]
].flat()

/** A filter into which something was put that may not belong there. */
const damaged = fc
  .tuple(condition, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 2 }), any(scraps)), { minLength: 1, maxLength: 3 }))
  .map(([text, changes]) => {
    const parts = text.split(" ")
    for (const [where, many, scrap] of changes) parts.splice(where % (parts.length + 1), many, scrap)
    return parts.join(" ")
  })

const heap = fc.array(any(scraps), { minLength: 0, maxLength: 8 }).map((all) => all.join(" "))

const filter = fc.oneof(
  { weight: 6, arbitrary: condition },
  { weight: 3, arbitrary: damaged },
  { weight: 1, arbitrary: heap }
)

const message = fc.dictionary(any(names.filter((one) => one !== "absent")), any(values), { maxKeys: 5 })

const SEED = 20_261

/** Filters, each once. */
export const filters = (count: number): ReadonlyArray<string> => [
  ...new Set(fc.sample(filter, { numRuns: count, seed: SEED }))
]

/** The properties of messages. */
export const messages = (count: number): ReadonlyArray<Readonly<Record<string, string>>> =>
  fc.sample(message, { numRuns: count, seed: SEED }).map((properties) => ({ ...properties }))

/** What a filter gives for a message, as the Java program writes it: T, F, N for unknown, X where it throws. */
export const outcome = (expression: Expression, properties: Readonly<Record<string, string>>): string => {
  try {
    const value = expression.evaluate((property) =>
      Object.hasOwn(properties, property) ? properties[property] : undefined
    )
    return value === null ? "N" : value === true ? "T" : "F"
  } catch (error) {
    if (error instanceof JavaException) return "X"
    throw error
  }
}

/** What ours makes of a filter. */
export const ours = (
  text: string,
  of: ReadonlyArray<Readonly<Record<string, string>>>,
  legacy: boolean
): { readonly error?: string; readonly results?: string } => {
  const expression = parse(text, legacy)
  return expression instanceof JavaException
    ? { error: expression.java }
    : { results: of.map((properties) => outcome(expression, properties)).join("") }
}
