import { JavaException, runtimeException } from "./JavaException.ts"
import { parseDouble, parseInteger, parseLong } from "./JavaNumbers.ts"

/**
 * What an expression evaluates to: null is unknown, a text that of a property or of the expression, and a number keeps the
 * type that Java gives it, which decides how it is compared with a text.
 */
export type Value = null | boolean | string | JavaNumber

/** A number and its type in Java. */
export type JavaNumber =
  | { readonly type: "Integer"; readonly value: number }
  | { readonly type: "Long"; readonly value: bigint }
  | { readonly type: "Double"; readonly value: number }

/** A value that is known. */
export type Known = NonNullable<Value>

const order = <A extends string | number | bigint | boolean>(left: A, right: A): number =>
  left < right ? -1 : left > right ? 1 : 0

/** Source: `Double.compare`. */
const orderDoubles = (left: number, right: number): number => {
  if (left !== right && !(Number.isNaN(left) && Number.isNaN(right))) {
    return Number.isNaN(left) ? 1 : Number.isNaN(right) ? -1 : order(left, right)
  }
  return left === 0 ? order(Object.is(right, -0), Object.is(left, -0)) : 0
}

const read = (text: string, like: JavaNumber): JavaNumber => {
  try {
    if (like.type === "Integer") return { type: "Integer", value: parseInteger(text) }
    if (like.type === "Long") return { type: "Long", value: parseLong(text) }
    return { type: "Double", value: parseDouble(text) }
  } catch (error) {
    if (!(error instanceof JavaException)) throw error
    throw runtimeException(error.java)
  }
}

const orderNumbers = (left: JavaNumber, right: JavaNumber): number => {
  if (left.type === "Double" || right.type === "Double") return orderDoubles(Number(left.value), Number(right.value))
  return left.type === right.type ? order(left.value, right.value) : order(BigInt(left.value), BigInt(right.value))
}

/**
 * Below 0, 0 or above 0, as Java's compares: a text is read as what the other side is, and values that nothing makes alike
 * are never equal.
 *
 * Source: RocketMQ `ComparisonExpression.__compare`.
 */
export const compare = (left: Known, right: Known): number => {
  if (typeof left === "string") {
    if (typeof right === "string") return order(left, right)
    if (typeof right === "boolean") return order(left.toLowerCase() === "true", right)
    return orderNumbers(read(left, right), right)
  }
  if (typeof left === "boolean") {
    if (typeof right === "boolean") return order(left, right)
    if (typeof right !== "string") return -1
    // A slip in Java's source: it casts the wrong side.
    throw new JavaException(
      "java.lang.ClassCastException",
      "class java.lang.Boolean cannot be cast to class java.lang.String (java.lang.Boolean and java.lang.String are in module java.base of loader 'bootstrap')"
    )
  }
  if (typeof right === "boolean") return -1
  return orderNumbers(left, typeof right === "string" ? read(right, left) : right)
}

/** {@link compare} for `<`, `<=`, `>` and `>=`: two texts have to be numbers. */
export const compareSizes = (left: Known, right: Known): number =>
  typeof left === "string" && typeof right === "string"
    ? orderDoubles(parseDouble(left), parseDouble(right))
    : compare(left, right)
