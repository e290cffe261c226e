import * as Expression from "./Expression.ts"
import { JavaException } from "./JavaException.ts"
import { type LookName, TokenStream } from "./Lookahead.ts"
import { Kind, reader } from "./Tokens.ts"

/**
 * The grammar of SQL92 filters, as RocketMQ reads them: OR, AND, then `=`, `<>` and IS, then sizes and the words, then signs
 * and NOT, which so binds tighter than a comparison. What follows a whole filter is not read.
 *
 * Source: RocketMQ `SelectorParser.jj`.
 */

const sizes: ReadonlyMap<Kind, Expression.Size> = new Map<Kind, Expression.Size>([
  [Kind.GREATER, ">"],
  [Kind.GREATER_EQUAL, ">="],
  [Kind.LESS, "<"],
  [Kind.LESS_EQUAL, "<="]
])

type Word = Expression.Search | "BETWEEN" | "IN"
const wordsOf4: ReadonlyArray<Word> = ["BETWEEN", "IN"]
const wordsOf5: ReadonlyArray<Word> = ["CONTAINS", "STARTSWITH", "ENDSWITH", ...wordsOf4]

const literals = [Kind.TRUE, Kind.FALSE, Kind.NULL, Kind.DECIMAL, Kind.FLOAT, Kind.STRING]

/** How far JavaCC looks ahead where two choices begin alike. */
const LOOK = 2

const parser = (tokens: TokenStream) => {
  const words = tokens.legacy ? wordsOf4 : wordsOf5
  const comparisons = [Kind.NOT, ...words.map((word) => Kind[word]), ...sizes.keys()]

  /** Whether one of the kinds comes next; what the choice would have taken is noted else. */
  const isNext = (...kinds: ReadonlyArray<Kind>): boolean => {
    if (kinds.includes(tokens.peek())) return true
    tokens.expect(...kinds)
    return false
  }

  const string = (): string => tokens.take(Kind.STRING).slice(1, -1).replaceAll("''", "'")

  const literal = (): Expression.Expression => {
    const kind = tokens.peek()
    if (kind === Kind.STRING) return Expression.constant(string())
    const image = tokens.take(kind)
    if (kind === Kind.DECIMAL) return Expression.decimal(image)
    if (kind === Kind.FLOAT) return Expression.float(image)
    return Expression.constant(kind === Kind.NULL ? null : kind === Kind.TRUE)
  }

  const primary = (): Expression.Expression => {
    const kind = tokens.peek()
    if (kind === Kind.ID) return Expression.property(tokens.take(kind))
    if (kind !== Kind.OPEN) return literal()
    tokens.take(kind)
    const inner = or()
    tokens.take(Kind.CLOSE)
    return inner
  }

  const unary = (): Expression.Expression =>
    tokens.nested(() => {
      if (tokens.look("+")) {
        tokens.take(Kind.PLUS)
        return unary()
      }
      const kind = tokens.peek()
      if (kind === Kind.MINUS) {
        tokens.take(kind)
        return Expression.negate(unary())
      }
      if (kind === Kind.NOT) {
        tokens.take(kind)
        return Expression.not(Expression.asBoolean(unary()))
      }
      if (isNext(Kind.NOT, ...literals, Kind.ID, Kind.OPEN, Kind.MINUS)) return primary()
      throw tokens.refusal()
    })

  /** What follows one of the words. */
  const afterWord = (word: Word, left: Expression.Expression, negated: boolean): Expression.Expression => {
    tokens.take(Kind[word])
    if (word === "BETWEEN") {
      const low = unary()
      tokens.take(Kind.AND)
      const high = unary()
      return negated ? Expression.notBetween(left, low, high) : Expression.between(left, low, high)
    }
    if (word !== "IN") return Expression.search(left, word, string(), negated)
    tokens.take(Kind.OPEN)
    const texts = [string()]
    while (isNext(Kind.COMMA)) {
      tokens.take(Kind.COMMA)
      texts.push(string())
    }
    tokens.take(Kind.CLOSE)
    return Expression.isIn(left, texts, negated)
  }

  /** One comparison of what stands on its left. */
  const compared = (left: Expression.Expression): Expression.Expression => {
    const kind = tokens.peek()
    const symbol = sizes.get(kind)
    if (symbol !== undefined) {
      tokens.take(kind)
      return Expression.size(left, symbol, unary())
    }
    for (const [index, word] of words.entries()) {
      if (isNext(Kind[word])) return afterWord(word, left, false)
      // JavaCC makes one choice of the sizes and the first word.
      if (index === 0) tokens.expect(...sizes.keys())
      const look: LookName = `NOT ${word}`
      if (tokens.look(look, LOOK)) {
        tokens.take(Kind.NOT)
        return afterWord(word, left, true)
      }
    }
    throw tokens.refusal()
  }

  const comparison = (): Expression.Expression => {
    let left = unary()
    while (isNext(...comparisons)) left = compared(left)
    return left
  }

  const equality = (): Expression.Expression => {
    let left = comparison()
    while (isNext(Kind.IS, Kind.EQUAL, Kind.NOT_EQUAL)) {
      const kind = tokens.peek()
      if (kind === Kind.EQUAL || kind === Kind.NOT_EQUAL) {
        tokens.take(kind)
        const equal = Expression.equal(left, comparison())
        left = kind === Kind.EQUAL ? equal : Expression.not(equal)
        continue
      }
      tokens.expect(Kind.EQUAL, Kind.NOT_EQUAL)
      const isNull = tokens.look("IS NULL", LOOK)
      tokens.take(Kind.IS)
      if (!isNull) tokens.take(Kind.NOT)
      tokens.take(Kind.NULL)
      left = isNull ? Expression.isNull(left) : Expression.not(Expression.isNull(left))
    }
    return left
  }

  /** Parts that a word joins; each is made a boolean as soon as the one behind it is read. */
  const joined = (
    word: typeof Kind.AND | typeof Kind.OR,
    part: () => Expression.Expression,
    join: typeof Expression.and
  ): Expression.Expression => {
    const first = part()
    const others: Array<Expression.Expression> = []
    let left = first
    while (isNext(word)) {
      tokens.take(word)
      const right = part()
      if (others.length === 0) left = Expression.asBoolean(first)
      others.push(Expression.asBoolean(right))
    }
    return others.length === 0 ? left : join(left, others)
  }

  const and = (): Expression.Expression => joined(Kind.AND, equality, Expression.and)
  const or = (): Expression.Expression => joined(Kind.OR, and, Expression.or)

  return () => Expression.asBoolean(or())
}

/** The filter of a text; a refusal as Java words it. 4.x, which is `legacy`, knows fewer words. */
export const parse = (text: string, legacy: boolean): Expression.Expression | JavaException => {
  try {
    return parser(new TokenStream(text, legacy, reader(text, legacy)))()
  } catch (error) {
    if (error instanceof JavaException) return error
    throw error
  }
}
