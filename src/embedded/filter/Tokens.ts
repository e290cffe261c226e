import { JavaException } from "./JavaException.ts"

/** The kinds of tokens, by the numbers that JavaCC gave them in 5.x; those of 4.x stand in the same order. */
export const Kind = {
  EOF: 0,
  NOT: 8,
  AND: 9,
  OR: 10,
  BETWEEN: 11,
  IN: 12,
  TRUE: 13,
  FALSE: 14,
  NULL: 15,
  IS: 16,
  CONTAINS: 17,
  STARTSWITH: 18,
  ENDSWITH: 19,
  DECIMAL: 20,
  FLOAT: 21,
  STRING: 23,
  ID: 24,
  EQUAL: 25,
  NOT_EQUAL: 26,
  GREATER: 27,
  GREATER_EQUAL: 28,
  LESS: 29,
  LESS_EQUAL: 30,
  OPEN: 31,
  COMMA: 32,
  CLOSE: 33,
  PLUS: 34,
  MINUS: 35
} as const

/** A kind of token. */
export type Kind = (typeof Kind)[keyof typeof Kind]

const quoted = (text: string): string => `"${text}"`

/** The words that are no names, in any case. */
const words: ReadonlyMap<string, Kind> = new Map(
  Object.entries(Kind).filter(([, kind]) => kind >= Kind.NOT && kind <= Kind.ENDSWITH)
)

/** Words of 5.x, which are names in 4.x. */
const newWords: ReadonlySet<Kind> = new Set([Kind.CONTAINS, Kind.STARTSWITH, Kind.ENDSWITH])

const symbols: ReadonlyMap<string, Kind> = new Map([
  ["=", Kind.EQUAL],
  ["<>", Kind.NOT_EQUAL],
  [">", Kind.GREATER],
  [">=", Kind.GREATER_EQUAL],
  ["<", Kind.LESS],
  ["<=", Kind.LESS_EQUAL],
  ["(", Kind.OPEN],
  [",", Kind.COMMA],
  [")", Kind.CLOSE],
  ["+", Kind.PLUS],
  ["-", Kind.MINUS]
])

const images: ReadonlyMap<Kind, string> = new Map<Kind, string>([
  [Kind.EOF, "<EOF>"],
  ...[...words].map(([word, kind]): [Kind, string] => [kind, quoted(word)]),
  [Kind.DECIMAL, "<DECIMAL_LITERAL>"],
  [Kind.FLOAT, "<FLOATING_POINT_LITERAL>"],
  [Kind.STRING, "<STRING_LITERAL>"],
  [Kind.ID, "<ID>"],
  ...[...symbols].map(([symbol, kind]): [Kind, string] => [kind, quoted(symbol)])
])

/** How refusals name a kind of token. */
export const imageOf = (kind: Kind): string => images.get(kind) ?? ""

/** A token, and where its first character stands. */
export interface Token {
  readonly kind: Kind
  readonly image: string
  readonly at: number
}

const escapes: ReadonlyMap<string, string> = new Map([
  ["\0", ""],
  ["\b", "\\b"],
  ["\t", "\\t"],
  ["\n", "\\n"],
  ["\f", "\\f"],
  ["\r", "\\r"],
  ['"', '\\"'],
  ["'", "\\'"],
  ["\\", "\\\\"]
])

/** A text of the expression as refusals show it: what is no printing ASCII is escaped. */
export const escaped = (text: string): string =>
  text.replace(
    /[^ !#-&(-[\]-~]/g,
    (char) => escapes.get(char) ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

/** Columns that a tab ends at a multiple of. */
const TAB_SIZE = 8

/** The line and column of a character, counted from 1 as JavaCC counts; of the start of an empty text it knows neither. */
export const positionOf = (text: string, at: number): { readonly line: number; readonly column: number } => {
  let line = at < 0 ? 0 : 1
  let column = 0
  for (let i = 0; i <= at; i++) {
    const before = text[i - 1]
    const char = text[i]
    column++
    if (before === "\n" || (before === "\r" && char !== "\n")) {
      line++
      column = 1
    }
    if (char === "\t") {
      column--
      column += TAB_SIZE - (column % TAB_SIZE)
    }
  }
  return { line, column }
}

const isDigit = (char: string | undefined): boolean => char !== undefined && char >= "0" && char <= "9"
const isName = (char: string | undefined): boolean => char !== undefined && /[A-Za-z_$0-9]/.test(char)

/** What no token begins with, or none that ends: `last` is the last character that was looked at. */
const lexicalError = (text: string, from: number, last: number): JavaException => {
  const atEnd = last >= text.length - 1
  const seen = text.slice(from, atEnd ? last + 1 : last)
  const char = text[last] ?? ""
  const position = positionOf(text, last)
  const [line, column] = !atEnd
    ? [position.line, position.column]
    : char === "\n" || char === "\r"
      ? [position.line + 1, 0]
      : [position.line, position.column + 1]
  const found = atEnd ? "<EOF> " : `"${escaped(char)}" (${char.charCodeAt(0)}), `
  const after = last === from ? "" : seen
  return new JavaException(
    "org.apache.rocketmq.filter.parser.TokenMgrError",
    `Lexical error at line ${line}, column ${column}.  Encountered: ${found}after : "${escaped(after)}"`
  )
}

/**
 * Reads the tokens of a text, each when it is asked for: a lexical error counts only where the parser looks.
 *
 * Source: RocketMQ `SelectorParser.jj`, tokens.
 */
export const reader = (text: string, legacy: boolean): (() => Token) => {
  let at = 0
  const lastBreak = Math.max(text.lastIndexOf("\n"), text.lastIndexOf("\r"))

  /** Where the digits from `from` on end. */
  const digits = (from: number): number => {
    let to = from
    while (isDigit(text[to])) to++
    return to
  }

  /** Where an exponent that begins at `from` ends; `from` when none does. */
  const exponent = (from: number): number => {
    if (text[from] !== "e" && text[from] !== "E") return from
    const first = text[from + 1] === "+" || text[from + 1] === "-" ? from + 2 : from + 1
    const to = digits(first)
    return to === first ? from : to
  }

  const take = (kind: Kind, to: number): Token => {
    const token = { kind, image: text.slice(at, to), at }
    at = to
    return token
  }

  const number = (): Token => {
    const whole = digits(at)
    const point = text[whole] === "."
    const fraction = point ? digits(whole + 1) : whole
    const end = exponent(fraction)
    const suffix = text[whole] === "l" || text[whole] === "L" ? 1 : 0
    // No number but nought begins with one; what follows is the next number.
    const decimal = text[at] === "0" ? at + 1 : whole + suffix
    const float = point || end > fraction ? end : 0
    return float > decimal ? take(Kind.FLOAT, float) : take(Kind.DECIMAL, decimal)
  }

  const string = (): Token => {
    let to = at + 1
    let end = 0
    for (; to < text.length; to++) {
      if (text[to] !== "'") continue
      end = to + 1
      if (text[end] !== "'") break
      to = end
    }
    if (end === 0) throw lexicalError(text, at, text.length - 1)
    return take(Kind.STRING, end)
  }

  /** Skips blanks and comments. A comment that does not end is none. */
  const skip = (): void => {
    for (;;) {
      if (/[ \t\n\r\f]/.test(text[at] ?? "")) at++
      else if (text.startsWith("--", at) && lastBreak > at) {
        let to = at + 2
        while (text[to] !== "\n" && text[to] !== "\r") to++
        at = to + (text.startsWith("\r\n", to) ? 2 : 1)
      } else if (text.startsWith("/*", at)) {
        const end = text.indexOf("*/", at + 2)
        if (end < 0) throw lexicalError(text, at, text.length - 1)
        at = end + 2
      } else return
    }
  }

  return () => {
    skip()
    const char = text[at]
    if (char === undefined) return { kind: Kind.EOF, image: "", at: text.length - 1 }
    if (isDigit(char)) return number()
    if (char === ".") {
      const fraction = digits(at + 1)
      if (fraction > at + 1) return take(Kind.FLOAT, exponent(fraction))
    }
    if (char === "'") return string()
    const symbol = symbols.get(text.slice(at, at + 2)) === undefined ? 1 : 2
    const kind = symbols.get(text.slice(at, at + symbol))
    if (kind !== undefined) return take(kind, at + symbol)
    if (isName(char)) {
      let to = at + 1
      while (isName(text[to])) to++
      const word = words.get(text.slice(at, to).toUpperCase())
      return take(word === undefined || (legacy && newWords.has(word)) ? Kind.ID : word, to)
    }
    throw lexicalError(text, at, char === "." || char === "/" ? Math.min(at + 1, text.length - 1) : at)
  }
}
