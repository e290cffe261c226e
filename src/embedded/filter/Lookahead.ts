import { MAX_DEPTH, stackOverflow } from "./Expression.ts"
import { JavaException } from "./JavaException.ts"
import { escaped, imageOf, Kind, positionOf, type Token } from "./Tokens.ts"

/**
 * How JavaCC's parser looks ahead, and how it says what it would have expected: a refusal lists what the choices since the
 * last token would have taken, and what its looks ahead met. Kept as the generated parser does it, with its oddities, so that
 * the text is that of a real broker.
 *
 * Source: RocketMQ `SelectorParser` (`jj_scan_token`, `jj_save`, `jj_rescan_token`, `generateParseException`),
 * `ParseException`.
 */

/** Tokens that the looks ahead of one text visit at most: a text can make them visit the same ones again and again. */
const MAX_SCANNED = 1_000_000

/** A look ahead that goes as far as the text does. */
const WHOLE = 2 ** 31 - 1

/** How a look ahead went: `far` is as far as it was to go, all as it should be. */
type Scan = "ok" | "failed" | "far"
type Rule = (tokens: TokenStream) => Scan

/** A look ahead that may have to be repeated for a refusal. */
interface Look {
  until: number
  from: number
  limit: number
}

/** The looks ahead of the grammar, in the order of a refusal; 4.x has no searches. */
export type LookName = "IS NULL" | "NOT CONTAINS" | "NOT STARTSWITH" | "NOT ENDSWITH" | "NOT BETWEEN" | "NOT IN" | "+"

const token =
  (kind: Kind): Rule =>
  (tokens) =>
    tokens.scan(kind)

const sequence =
  (...rules: ReadonlyArray<Rule>): Rule =>
  (tokens) => {
    for (const rule of rules) {
      const scan = rule(tokens)
      if (scan !== "ok") return scan
    }
    return "ok"
  }

const choice =
  (...rules: ReadonlyArray<Rule>): Rule =>
  (tokens) => {
    const from = tokens.scanned
    for (const rule of rules) {
      tokens.scanned = from
      const scan = rule(tokens)
      if (scan !== "failed") return scan
    }
    return "failed"
  }

const many =
  (rule: Rule): Rule =>
  (tokens) => {
    for (;;) {
      const from = tokens.scanned
      const scan = rule(tokens)
      if (scan === "far") return scan
      if (scan === "failed") {
        tokens.scanned = from
        return "ok"
      }
    }
  }

const string = token(Kind.STRING)
const unary: Rule = (tokens) => tokens.nested(() => unaryRule(tokens))
const nested: Rule = (tokens) => orRule(tokens)
const literal = choice(
  string,
  token(Kind.DECIMAL),
  token(Kind.FLOAT),
  token(Kind.TRUE),
  token(Kind.FALSE),
  token(Kind.NULL)
)
const primary = choice(literal, token(Kind.ID), sequence(token(Kind.OPEN), nested, token(Kind.CLOSE)))
const unaryRule = choice(
  sequence(token(Kind.PLUS), unary),
  sequence(token(Kind.MINUS), unary),
  sequence(token(Kind.NOT), unary),
  primary
)
const list = sequence(token(Kind.OPEN), string, many(sequence(token(Kind.COMMA), string)), token(Kind.CLOSE))
const range = sequence(unary, token(Kind.AND), unary)

const lookRules: { readonly [L in LookName]: Rule } = {
  "IS NULL": sequence(token(Kind.IS), token(Kind.NULL)),
  "NOT CONTAINS": sequence(token(Kind.NOT), token(Kind.CONTAINS), string),
  "NOT STARTSWITH": sequence(token(Kind.NOT), token(Kind.STARTSWITH), string),
  "NOT ENDSWITH": sequence(token(Kind.NOT), token(Kind.ENDSWITH), string),
  "NOT BETWEEN": sequence(token(Kind.NOT), token(Kind.BETWEEN), range),
  "NOT IN": sequence(token(Kind.NOT), token(Kind.IN), list),
  "+": sequence(token(Kind.PLUS), unary)
}

const comparisonRule = (legacy: boolean): Rule =>
  sequence(
    unary,
    many(
      choice(
        sequence(token(Kind.GREATER), unary),
        sequence(token(Kind.GREATER_EQUAL), unary),
        sequence(token(Kind.LESS), unary),
        sequence(token(Kind.LESS_EQUAL), unary),
        ...(legacy
          ? []
          : [
              sequence(token(Kind.CONTAINS), string),
              lookRules["NOT CONTAINS"],
              sequence(token(Kind.STARTSWITH), string),
              lookRules["NOT STARTSWITH"],
              sequence(token(Kind.ENDSWITH), string),
              lookRules["NOT ENDSWITH"]
            ]),
        sequence(token(Kind.BETWEEN), range),
        lookRules["NOT BETWEEN"],
        sequence(token(Kind.IN), list),
        lookRules["NOT IN"]
      )
    )
  )

const orOf = (legacy: boolean): Rule => {
  const comparison = comparisonRule(legacy)
  const equality = sequence(
    comparison,
    many(
      choice(
        sequence(token(Kind.EQUAL), comparison),
        sequence(token(Kind.NOT_EQUAL), comparison),
        lookRules["IS NULL"],
        sequence(token(Kind.IS), token(Kind.NOT), token(Kind.NULL))
      )
    )
  )
  const and = sequence(equality, many(sequence(token(Kind.AND), equality)))
  return sequence(and, many(sequence(token(Kind.OR), and)))
}

const orRules = { legacy: orOf(true), current: orOf(false) }
const orRule: Rule = (tokens) => (tokens.legacy ? orRules.legacy : orRules.current)(tokens)

/** Names of looks ahead that a refusal shows tokens of several steps for. */
const lookNames = (legacy: boolean): ReadonlyArray<LookName> =>
  legacy
    ? ["IS NULL", "NOT BETWEEN", "NOT IN", "+"]
    : ["IS NULL", "NOT CONTAINS", "NOT STARTSWITH", "NOT ENDSWITH", "NOT BETWEEN", "NOT IN", "+"]

/** Tokens that a refusal shows of one look ahead. */
const MAX_SHOWN = 100

/** The tokens of a text as the parser goes through them. */
export class TokenStream {
  readonly legacy: boolean
  /** The last token that a look ahead has visited. */
  scanned = -1
  readonly #text: string
  readonly #read: () => Token
  readonly #tokens: Array<Token> = []
  /** The last token that was taken, and how many were. */
  #taken = -1
  /** How many tokens may still be visited, and the furthest that was. */
  #limit = 0
  #furthest = -1
  #visits = 0
  #depth = 0
  /** What the choices since the last token would have taken. */
  readonly #expected = new Set<Kind>()
  readonly #looks: ReadonlyMap<LookName, Array<Look>>
  /** While a refusal is made: the sequences that it lists, and the one that is being gathered. */
  #shown: Array<ReadonlyArray<Kind>> | undefined
  #gathered: Array<Kind> = []

  constructor(text: string, legacy: boolean, read: () => Token) {
    this.#text = text
    this.#read = read
    this.legacy = legacy
    this.#looks = new Map(lookNames(legacy).map((name) => [name, [{ until: 0, from: -1, limit: 0 }]]))
  }

  #token(index: number): Token {
    while (this.#tokens.length <= index) this.#tokens.push(this.#read())
    const found = this.#tokens[index]
    return found ?? { kind: Kind.EOF, image: "", at: -1 }
  }

  /** Runs what may nest in itself, and refuses what nests too deep. */
  nested<A>(run: () => A): A {
    if (++this.#depth > MAX_DEPTH) throw stackOverflow()
    const result = run()
    this.#depth--
    return result
  }

  /** The kind of the next token. */
  peek(): Kind {
    return this.#token(this.#taken + 1).kind
  }

  /** Notes that the next token is none of what a choice takes. */
  expect(...kinds: ReadonlyArray<Kind>): void {
    for (const kind of kinds) this.#expected.add(kind)
  }

  /** Takes the next token, which has to be of a kind; gives its text. */
  take(kind: Kind): string {
    const next = this.#token(this.#taken + 1)
    if (next.kind !== kind) {
      this.#expected.add(kind)
      throw this.refusal()
    }
    this.#taken++
    this.#expected.clear()
    return next.image
  }

  /** Looks ahead whether what comes next can be read so, at most so many tokens far. */
  look(name: LookName, limit = WHOLE): boolean {
    const begun = this.#taken + 1
    const scan = this.#scanFrom(name, this.#taken, limit)
    const looks = this.#looks.get(name) ?? []
    let look = looks.find(({ until }) => until <= begun)
    if (look === undefined) {
      look = { until: 0, from: -1, limit: 0 }
      looks.push(look)
    }
    look.until = begun + limit - this.#limit
    look.from = this.#taken
    look.limit = limit
    return scan !== "failed"
  }

  #scanFrom(name: LookName, from: number, limit: number): Scan {
    this.#limit = limit
    this.#furthest = this.scanned = from
    return lookRules[name](this)
  }

  /** Visits the next token of a look ahead. */
  scan(kind: Kind): Scan {
    if (++this.#visits > MAX_SCANNED) throw stackOverflow()
    if (this.scanned === this.#furthest) {
      this.#limit--
      this.#furthest++
    }
    this.scanned++
    const { kind: found } = this.#token(this.scanned)
    if (this.#shown !== undefined && this.scanned >= this.#taken)
      this.#gather(this.#shown, kind, this.scanned - this.#taken)
    if (found !== kind) return "failed"
    return this.#limit === 0 && this.scanned === this.#furthest ? "far" : "ok"
  }

  /** One token of a sequence that a refusal lists; a step back ends the sequence before. */
  #gather(shown: Array<ReadonlyArray<Kind>>, kind: Kind, step: number): void {
    if (step >= MAX_SHOWN) return
    const gathered = this.#gathered
    if (step === gathered.length + 1) gathered.push(kind)
    else if (gathered.length > 0) {
      const entry = [...gathered]
      const isSame = (old: ReadonlyArray<Kind>) =>
        old.length === entry.length && old.every((one, i) => one === entry[i])
      // Two oddities of JavaCC: 4.x lists again what is listed and nothing new, 5.x takes the last one of another length for
      // the same.
      const isListed = shown.some(isSame)
      const last = shown.at(-1)
      if (this.legacy ? isListed : !isListed && last !== undefined && last.length === entry.length) shown.push(entry)
      if (step !== 0) {
        gathered.length = step - 1
        gathered.push(kind)
      }
    }
  }

  /** What Java says where the next token is none that can stand there. */
  refusal(): JavaException {
    const shown: Array<ReadonlyArray<Kind>> = [...this.#expected].toSorted((a, b) => a - b).map((kind) => [kind])
    this.#shown = shown
    this.#gathered = []
    for (const [name, looks] of this.#looks) {
      for (const { from, limit, until } of looks) {
        if (until <= this.#taken + 1) continue
        if (this.#scanFrom(name, from, limit) === "far") break
      }
    }
    this.#gather(shown, Kind.EOF, 0)
    this.#shown = undefined
    return new JavaException("org.apache.rocketmq.filter.parser.ParseException", this.#sentence(shown))
  }

  #sentence(shown: ReadonlyArray<ReadonlyArray<Kind>>): string {
    const steps = shown.reduce((most, { length }) => Math.max(most, length), 0)
    let found = ""
    for (let i = 0; i < steps; i++) {
      const { image, kind } = this.#token(this.#taken + 1 + i)
      if (i > 0) found += " "
      if (kind === Kind.EOF) {
        found += imageOf(kind)
        break
      }
      found += ` ${imageOf(kind)} "${escaped(image)} "`
    }
    const { column, line } = positionOf(this.#text, this.#token(this.#taken + 1).at)
    const expected = shown.map((kinds) => {
      const end = kinds.at(-1) === Kind.EOF ? "" : "..."
      return `${kinds.map((kind) => `${imageOf(kind)} `).join("")}${end}\n    `
    })
    const title = shown.length === 1 ? "Was expecting:" : "Was expecting one of:"
    return `Encountered "${found}" at line ${line}, column ${column}.\n${title}\n    ${expected.join("")}`
  }
}
