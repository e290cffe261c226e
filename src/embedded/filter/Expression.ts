import { javaHashCode } from "../../protocol/MessageCodec.ts"
import { JavaException, runtimeException } from "./JavaException.ts"
import { doubleText, isInteger, parseLong } from "./JavaNumbers.ts"
import { compare, compareSizes, type Value } from "./Values.ts"

/**
 * The parts of a filter: what Java refuses when it makes one, what each evaluates to, and how each is written in a refusal.
 *
 * Source: RocketMQ `ComparisonExpression`, `ConstantExpression`, `LogicExpression`, `UnaryExpression`.
 */

/** Gives the text of a property of a message; undefined where it has none. */
export type Properties = (name: string) => string | undefined

/** A part of a filter. */
export interface Expression {
  /** A boolean one may stand beside AND and OR, and not beside `<`. */
  readonly kind: "constant" | "property" | "boolean" | "negated"
  /** How many parts are nested in it at most; as deep goes the evaluation. */
  readonly depth: number
  /** The value for a message; throws where Java does. */
  readonly evaluate: (properties: Properties) => Value
  /** How Java writes it. */
  readonly text: () => string
}

/** A value that stands in the filter. */
export interface Constant extends Expression {
  readonly kind: "constant"
  readonly value: Value
}

/** How deep parts may be nested: far deeper than anybody writes. A real broker's stack ends later; it answers the same then. */
export const MAX_DEPTH = 100

/** What Java throws for parts that are nested too deep. */
export const stackOverflow = (): JavaException => new JavaException("java.lang.StackOverflowError")

const above = (...parts: ReadonlyArray<Expression>): number => {
  const depth = 1 + parts.reduce((most, part) => Math.max(most, part.depth), 0)
  if (depth > MAX_DEPTH) throw stackOverflow()
  return depth
}

const isConstant = (part: Expression): part is Constant => part.kind === "constant"

/** TRUE, FALSE and NULL count as boolean too. */
const isBooleanConstant = (part: Constant): boolean => part.value === null || typeof part.value === "boolean"
const isBoolean = (part: Expression): boolean =>
  part.kind === "boolean" || (isConstant(part) && isBooleanConstant(part))

const plainText = (value: Value): string =>
  typeof value === "object" && value !== null
    ? value.type === "Double"
      ? doubleText(value.value)
      : String(value.value)
    : String(value)

const constantText = (value: Value): string => {
  if (typeof value === "string") return `'${value.replaceAll("'", "''")}'`
  return typeof value === "object" && value !== null ? plainText(value) : String(value).toUpperCase()
}

const boolean = (
  depth: number,
  text: () => string,
  evaluate: (properties: Properties) => boolean | null
): Expression => ({ kind: "boolean", depth, text, evaluate })

/** A constant of the filter. */
export const constant = (value: Value): Constant => ({
  kind: "constant",
  value,
  depth: 1,
  evaluate: () => value,
  text: () => constantText(value)
})

/** A whole number as it is written: an `int` where it fits, a `long` else. */
export const decimal = (image: string): Constant => {
  const value = parseLong(image.replace(/[lL]$/, ""))
  return constant(isInteger(value) ? { type: "Integer", value: Number(value) } : { type: "Long", value })
}

/** A fraction as it is written. Java refuses 0.0, which it takes to be smaller than the smallest number there is. */
export const float = (image: string): Constant => {
  const value = Number(image)
  if (value > Number.MAX_VALUE) throw runtimeException(`${image} is greater than ${doubleText(Number.MAX_VALUE)}`)
  if (value < Number.MIN_VALUE) throw runtimeException(`${image} is less than 4.9E-324`)
  return constant({ type: "Double", value })
}

/** The text of a property. */
export const property = (name: string): Expression => ({
  kind: "property",
  depth: 1,
  evaluate: (properties) => properties(name) ?? null,
  text: () => name
})

/** What stands where a boolean has to: a property there is never true, as it is a text. */
export const asBoolean = (part: Expression): Expression => {
  if (isBoolean(part)) return part
  if (part.kind === "property") {
    return boolean(above(part), part.text, (properties) => (part.evaluate(properties) === null ? null : false))
  }
  throw new JavaException(
    "org.apache.rocketmq.filter.parser.ParseException",
    `Expression will not result in a boolean value: ${part.text()}`
  )
}

/** One side of AND and OR: what is no boolean has become one. */
const truth = (part: Expression, properties: Properties): boolean | null => {
  const value = part.evaluate(properties)
  return typeof value === "boolean" ? value : null
}

/** Booleans that AND or OR join; however many there are, they are one step deep. */
const joined = (first: Expression, others: ReadonlyArray<Expression>, symbol: string, decides: boolean): Expression => {
  const all = [first, ...others]
  return boolean(
    above(...all),
    () => "(".repeat(others.length) + [first.text(), ...others.map((part) => `${part.text()})`)].join(` ${symbol} `),
    (properties) => {
      let unknown = false
      for (const part of all) {
        const value = truth(part, properties)
        if (value === decides) return decides
        unknown ||= value === null
      }
      return unknown ? null : !decides
    }
  )
}

/** Booleans joined by AND. */
export const and = (first: Expression, others: ReadonlyArray<Expression>): Expression =>
  joined(first, others, "&&", false)

/** Booleans joined by OR. */
export const or = (first: Expression, others: ReadonlyArray<Expression>): Expression =>
  joined(first, others, "||", true)

/** NOT. */
export const not = (part: Expression): Expression =>
  boolean(
    above(part),
    () => `(NOT ${part.text()})`,
    (properties) => {
      const value = truth(part, properties)
      return value === null ? null : !value
    }
  )

/** A minus sign. What is no number becomes unknown by it. */
export const negate = (part: Expression): Expression => ({
  kind: "negated",
  depth: above(part),
  text: () => `(- ${part.text()})`,
  evaluate: (properties) => {
    const number = part.evaluate(properties)
    if (number === null || typeof number !== "object") return null
    return number.type === "Long"
      ? { type: "Long", value: -number.value }
      : // There is no negative nought among whole numbers.
        { type: number.type, value: number.type === "Integer" ? 0 - number.value : -number.value }
  }
})

const equalUnchecked = (left: Expression, right: Expression): Expression =>
  boolean(
    above(left, right),
    () => `(${left.text()} == ${right.text()})`,
    (properties) => {
      const [a, b] = [left.evaluate(properties), right.evaluate(properties)]
      // Two that are absent are equal, and an absent right side is known to differ.
      if (a === null) return b === null ? true : null
      return b !== null && compare(a, b) === 0
    }
  )

const checkEqual = (part: Expression): void => {
  if (isConstant(part) && part.value === null) throw runtimeException(`'${part.text()}' cannot be compared.`)
}

/** `=`. */
export const equal = (left: Expression, right: Expression): Expression => {
  checkEqual(left)
  checkEqual(right)
  if (isConstant(left) && isConstant(right) && isBooleanConstant(left) && !isBooleanConstant(right)) {
    throw runtimeException(`'${left.text()}' cannot be compared with '${right.text()}'`)
  }
  return equalUnchecked(left, right)
}

/** `IS NULL`. */
export const isNull = (part: Expression): Expression => equalUnchecked(part, constant(null))

/** A comparison of sizes. */
export type Size = ">" | ">=" | "<" | "<="

const holds: { readonly [S in Size]: (answer: number) => boolean } = {
  ">": (answer) => answer > 0,
  ">=": (answer) => answer >= 0,
  "<": (answer) => answer < 0,
  "<=": (answer) => answer <= 0
}

const checkSize = (part: Expression): void => {
  if (isConstant(part) ? typeof part.value !== "object" || part.value === null : isBoolean(part)) {
    throw runtimeException(`Value '${part.text()}' cannot be compared.`)
  }
}

/** `>`, `>=`, `<`, `<=`: of numbers, and of properties that are numbers. */
export const size = (left: Expression, symbol: Size, right: Expression): Expression => {
  checkSize(left)
  checkSize(right)
  const isSo = holds[symbol]
  return boolean(
    above(left, right),
    () => `(${left.text()} ${symbol} ${right.text()})`,
    (properties) => {
      const a = left.evaluate(properties)
      if (a === null) return null
      const b = right.evaluate(properties)
      return b === null ? null : isSo(compareSizes(a, b))
    }
  )
}

/** BETWEEN; constants have to stand in their order. */
export const between = (part: Expression, low: Expression, high: Expression): Expression => {
  if (isConstant(low) && isConstant(high)) {
    if (low.value === null || high.value === null) {
      throw runtimeException("Illegal values of between, values can not be null!")
    }
    if (compare(high.value, low.value) < 0) {
      throw runtimeException(
        `Illegal values of between, left value(${plainText(low.value)}) must less than or equal to right value(${plainText(high.value)})`
      )
    }
  }
  return and(size(part, ">=", low), [size(part, "<=", high)])
}

/** NOT BETWEEN. */
export const notBetween = (part: Expression, low: Expression, high: Expression): Expression =>
  or(size(part, "<", low), [size(part, ">", high)])

/** How many texts Java keeps as they were written; more go into a table that orders them by their hash. */
const LIST_SIZE = 4

const inJavaOrder = (texts: ReadonlyArray<string>): ReadonlyArray<string> => {
  if (texts.length <= LIST_SIZE) return texts
  let buckets = 16
  while (buckets < Math.floor(texts.length / 0.75) + 1) buckets *= 2
  const bucket = (text: string): number => {
    const hash = javaHashCode(text)
    return (hash ^ (hash >>> 16)) & (buckets - 1)
  }
  return [...new Set(texts)].toSorted((a, b) => bucket(a) - bucket(b))
}

/** IN and NOT IN. */
export const isIn = (part: Expression, texts: ReadonlyArray<string>, negated: boolean): Expression => {
  if (part.kind !== "property") throw runtimeException(`Expected a property for In expression, got: ${part.text()}`)
  const wanted = new Set(texts)
  return boolean(
    above(part),
    () => `${part.text()} ${negated ? "NOT IN" : "IN"} ( ${inJavaOrder(texts).join(", ")} )`,
    (properties) => {
      const value = part.evaluate(properties)
      return typeof value === "string" ? wanted.has(value) !== negated : null
    }
  )
}

/** What 5.x can look for in a text. */
export type Search = "CONTAINS" | "STARTSWITH" | "ENDSWITH"

const searches: { readonly [S in Search]: (text: string, wanted: string) => boolean } = {
  CONTAINS: (text, wanted) => text.includes(wanted),
  STARTSWITH: (text, wanted) => text.startsWith(wanted),
  ENDSWITH: (text, wanted) => text.endsWith(wanted)
}

/** CONTAINS, STARTSWITH, ENDSWITH and their opposites: false, both ways, for what is absent or no text. */
export const search = (part: Expression, how: Search, wanted: string, negated: boolean): Expression =>
  boolean(
    above(part),
    () => `(${negated ? "NOT " : ""}${how} ${part.text()})`,
    (properties) => {
      if (wanted === "") return false
      const value = part.evaluate(properties)
      return typeof value === "string" && searches[how](value, wanted) !== negated
    }
  )
