import { DateTime, Effect, Option as Maybe } from "effect"
import * as Kinds from "../client/options/OptionKinds.ts"
import { type Definition, type Option, Problem, show } from "../client/options/Option.ts"
import { LEVELS, levelMillis } from "../message/MessageDelay.ts"
import type { ConsumeFromWhere, StartPlace } from "./offset/StartOffset.ts"
import * as AllocateStrategy from "./rebalance/AllocateStrategy.ts"
import * as ReconsumePolicy from "./ReconsumePolicy.ts"
import * as Subscription from "./subscription/Subscription.ts"

/** The kinds of options that only a consumer has. */

/** At least one subscription. */
export type Subscriptions = readonly [Subscription.Subscription, ...ReadonlyArray<Subscription.Subscription>]

/** How one subscription, or several with one filter, stand in a `Config`, with rocketmq-spring's words. */
export interface SubscriptionWords {
  /** The topics, with commas between. */
  readonly topics: ReadonlyArray<string>
  /** The tags that pass, `||` between them, or SQL92; default `*`, all messages. */
  readonly selectorExpression: string
  /** How the expression is to be read; default `TAG`. */
  readonly selectorType: Subscription.Subscription["type"]
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

const isSubscriptions = (value: unknown): value is Subscriptions =>
  Array.isArray(value) && value.length > 0 && value.every((one) => isRecord(one) && typeof one["topic"] === "string")

const toSubscriptions = (
  topics: ReadonlyArray<string>,
  expression = "*",
  type: SubscriptionWords["selectorType"] = "TAG"
): Subscriptions | undefined => {
  const by = type === "SQL92" ? Subscription.sql : Subscription.expression
  const [first, ...others] = topics.map((topic) => by(topic, expression))
  return first === undefined ? undefined : [first, ...others]
}

const must = (what: string, value: unknown) => `must be ${what}, is ${show(value)}`

/** What is read; in a `Config` topics with one filter for all. */
export const subscriptions: Definition<Subscriptions | undefined, Subscriptions> & {
  /** Never there; see `Option`. */
  readonly given?: (given: Subscriptions) => Subscriptions
} = {
  default: undefined,
  isRequired: true,
  check: (given, report) => {
    if (isSubscriptions(given)) return given
    report(must("a list of at least one subscription (Subscription.all, .tags, .expression, .sql)", given))
    return undefined
  },
  ...Kinds.group(
    {
      topics: Kinds.entry<SubscriptionWords["topics"]>(
        { name: "topic", java: "`subscribe`", absent: "required" },
        ({ items, text }) =>
          Effect.succeed((items ?? text.split(",")).map((one) => one.trim()).filter((one) => one !== "")),
        { isList: true }
      ),
      selectorExpression: Kinds.entry<SubscriptionWords["selectorExpression"]>(
        { name: "selector-expression", java: "`subExpression` of `subscribe`" },
        Kinds.readText,
        { at: ".selectorExpression", printed: "*" }
      ),
      selectorType: Kinds.entry<SubscriptionWords["selectorType"]>(
        { name: "selector-type", java: "`MessageSelector.byTag`, `.bySql`" },
        ({ text }) => {
          const type = text.trim().toUpperCase()
          return Effect.succeed(type === "TAG" || type === "SQL92" ? type : new Problem(must("TAG or SQL92", text)))
        },
        { at: ".selectorType", printed: "TAG" }
      )
    },
    ({ selectorExpression, selectorType, topics }) =>
      topics === undefined ? undefined : toSubscriptions(topics, selectorExpression, selectorType)
  )
}

/** Something that code gives, or that a text stands for. */
const codeOrText = <A>(given: {
  readonly name: string
  readonly also?: ReadonlyArray<string>
  readonly java: string
  readonly absent: string
  readonly what: string
  readonly is: (value: unknown) => value is A
  /** What a text stands for; undefined for none. */
  readonly read: (text: string) => A | undefined
}): Option<A | undefined, A> => {
  const own = Kinds.entry<A>(given, ({ text }) =>
    Effect.succeed(given.read(text) ?? new Problem(must(given.what, text)))
  )
  return {
    default: undefined,
    check: (value, report) => {
      if (given.is(value)) return value
      report(must(given.what, value))
      return undefined
    },
    entries: [own],
    read: (find) => find(own)
  }
}

const isTime = (value: unknown): value is DateTime.DateTime.Input =>
  typeof value === "string" || typeof value === "number" || (typeof value === "object" && value !== null)

/** The time that something stands for; undefined for none, and for one before 1970. */
const timeOf = (value: unknown): DateTime.Utc | undefined => {
  const found = isTime(value) ? DateTime.make(value) : Maybe.none()
  return Maybe.isSome(found) && found.value.epochMilliseconds >= 0 ? DateTime.toUtc(found.value) : undefined
}

/** `2024-02-29T12:00:00Z`, or Java's `20240229120000`, which is meant in the zone of this machine, as it is there. */
const readTime = (text: string): DateTime.Utc | undefined => {
  const java = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(text)
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = java?.slice(1).map(Number) ?? []
  return timeOf(java === null ? text : new Date(year, month - 1, day, hour, minute, second))
}

const PLACE = `"first", "last" or { timestamp }, in a Config a time such as 2024-02-29T12:00:00Z`

const place = Kinds.entry<StartPlace | "timestamp">(
  { name: "consume-from-where", java: "the same", absent: "`last`" },
  ({ text }) => {
    const word = text.toLowerCase().replace(/^consume_from_(?:(first|last)_offset|(timestamp))$/, "$1$2")
    if (word === "first" || word === "last" || word === "timestamp") return Effect.succeed(word)
    const timestamp = readTime(text)
    return Effect.succeed(timestamp === undefined ? new Problem(must(PLACE, text)) : { timestamp })
  }
)

const timestamp = Kinds.entry<DateTime.Utc>(
  { name: "consume-timestamp", java: "`consumeTimestamp`", absent: "half an hour ago" },
  ({ text }) =>
    Effect.succeed(readTime(text) ?? new Problem(must("a time such as 2024-02-29T12:00:00Z or 20240229120000", text))),
  { at: ".timestamp" }
)

/** Where a group begins; in a `Config` `first`, `last` or a time, or Java's words with the time under a name of its own. */
export const consumeFromWhere: Option<StartPlace | undefined, ConsumeFromWhere> = {
  default: undefined,
  check: (value, report) => {
    if (value === "first" || value === "last") return value
    const at = isRecord(value) ? timeOf(value["timestamp"]) : undefined
    if (at !== undefined) return { timestamp: at }
    report(must(PLACE, value))
    return undefined
  },
  entries: [place, timestamp],
  read: Effect.fnUntraced(function* (find) {
    const where = yield* find(place)
    const at = yield* find(timestamp)
    // Java's default of `consumeTimestamp`.
    if (where === "timestamp") return { timestamp: at ?? DateTime.subtract(yield* DateTime.now, { minutes: 30 }) }
    return where ?? (at === undefined ? undefined : { timestamp: at })
  })
}

/** When a message that failed comes again; in a `Config` as rocketmq-spring's level. */
export const reconsumePolicy: Option<ReconsumePolicy.ReconsumePolicy | undefined, ReconsumePolicy.ReconsumePolicy> =
  codeOrText({
    name: "delay-level-when-next-consume",
    java: "`delayLevelWhenNextConsume`: 0 the broker's table, -1 dead letters, n the level",
    absent: "the broker's table",
    what: `a ReconsumePolicy, in a Config a level from -1 to ${LEVELS.length}`,
    is: (value): value is ReconsumePolicy.ReconsumePolicy => isRecord(value) && typeof value["delay"] === "function",
    read: (text) => {
      const level = /^-?\d{1,2}$/.test(text) ? Number(text) : Number.NaN
      if (level === 0) return ReconsumePolicy.broker
      if (level === -1) return ReconsumePolicy.deadLetter
      const after = levelMillis(level)
      return after === undefined ? undefined : ReconsumePolicy.fixed(after)
    }
  })

const strategies = [AllocateStrategy.averagely, AllocateStrategy.averagelyByCircle, AllocateStrategy.consistentHash()]

/** How queues are shared out; in a `Config` by the name of one that needs nothing else. */
export const allocateMessageQueueStrategy: Option<
  AllocateStrategy.AllocateStrategy | undefined,
  AllocateStrategy.AllocateStrategy
> = codeOrText({
  name: "allocate-message-queue-strategy",
  java: "the same, by `getName`",
  absent: "`AVG`",
  what: `an AllocateStrategy, in a Config one of ${strategies.map(({ name }) => name).join(", ")}`,
  is: (value): value is AllocateStrategy.AllocateStrategy =>
    isRecord(value) && typeof value["allocate"] === "function" && typeof value["name"] === "string",
  read: (text) => strategies.find(({ name }) => name === text.toUpperCase())
})

const MINUTE = 60_000

const minutes = Kinds.time({
  name: "consume-timeout",
  java: "the same, in minutes",
  default: 15 * MINUTE,
  least: 1,
  unit: MINUTE
})

/** A type of time of which a bare number is none. */
type Given = Exclude<Parameters<NonNullable<typeof minutes.given>>[0], number>

/** In code a bare number is refused: Java means minutes by it, and everything else here milliseconds. */
export const consumeTimeout: Option<number, Given> = {
  default: minutes.default,
  entries: minutes.entries,
  check: (given, report) => {
    if (typeof given !== "number") return minutes.check(given, report)
    report(`must say its unit, such as "15 minutes", is ${given}`)
    return undefined
  },
  read: (find) => Effect.map(minutes.read(find), (time) => (typeof time === "number" ? { milliseconds: time } : time))
}

/** Most or none: in Java -1 means that there is no limit. */
export const limitOrNone = (given: { readonly name: string; readonly java: string; readonly most: number }) =>
  Kinds.whole({ ...given, default: -1, least: -1 })
