import { Duration, type Effect, Redacted } from "effect"
import * as ForeignText from "../../message/ForeignText.ts"

/** What stood under a name of a `Config`. */
export interface Found {
  /** The name as the user knows it: `ROCKETMQ_PRODUCER_GROUP` or `rocketmq.producer.group`. */
  readonly name: string
  /** What it says; of a list, its items with commas between. */
  readonly text: string
  /** Its items, where it was a list. */
  readonly items: ReadonlyArray<string> | undefined
}

/** Why something is no value. A type of its own, because a text could be the value. */
export class Problem {
  /** As a sentence about the option goes on. */
  readonly detail: string
  constructor(detail: string) {
    this.detail = detail
  }
}

/** Notes what is wrong with an option, or with a part of it: `at` is `.ca` or `[1]`. */
export type Report = (problem: string, at?: string) => void

/** A value that stands under names of its own in a `Config`: an option, or a part of one; a row of docs/configuration.md. */
export interface Entry<out A> {
  /** What follows the option's own name: nothing, or `.accessKey`. */
  readonly at: string
  /**
   * Its words below a prefix, the preferred one first, in kebab-case or as Java writes them. The option's own name is one
   * more. None: it is given in code only.
   */
  readonly words: ReadonlyArray<string>
  /** Words under which the name of a file stands whose text is the value. */
  readonly fileWords: ReadonlyArray<string>
  /** Names without any prefix, asked last. */
  readonly bareNames: ReadonlyArray<string>
  /** Whether all clients of a process have it, rather than one, where both can. */
  readonly common: boolean
  /** Whether a list may stand there. */
  readonly isList: boolean
  /** The value that a text stands for. */
  readonly read: (found: Found) => Effect.Effect<A | Problem>
  /** What it is when it is not given, as text that {@link read} takes; undefined where that is no text. */
  readonly printed: string | undefined
  /** What its absence means, in words for the page, where {@link printed} does not say it. */
  readonly absent: string | undefined
  /** Its name in Java, in words for the page. */
  readonly java: string
  /** Milliseconds that a bare number counts, of a time. */
  readonly unit: number | undefined
}

/** Gives the value of an entry, undefined where there is none or none that can be used. */
export type Find = <A>(entry: Entry<A>) => Effect.Effect<A | undefined>

/** Everything there is to say of an option, but for its words to users: `A` is its value once it is checked. */
export interface Definition<out A, out I> {
  /** The value of an option that is not given. */
  readonly default: A
  /** Whether it must be given; the default then only stands in for it. */
  readonly isRequired?: boolean | undefined
  /** The value of what was given, whatever that is; undefined when it was reported, and for what counts as absent. */
  readonly check: (given: unknown, report: Report) => A | undefined
  /** Its rows in docs/configuration.md. */
  readonly entries: ReadonlyArray<Entry<unknown>>
  /** Reads it out of a `Config`. */
  readonly read: (find: Find) => Effect.Effect<I | undefined>
}

/** A {@link Definition} of an option for which users give an `I`, no more and no less. */
export interface Option<out A, in out I> extends Definition<A, I> {
  /** Never there; it says that the table and the users' type agree. */
  readonly given?: (given: I) => I
}

/** Definitions of all options of an interface: each is in it, and no other, or this does not compile. */
export type TableOf<I extends object> = { readonly [K in keyof I]-?: Option<unknown, Exclude<I[K], undefined>> }

/** What the options of a table come to: every one has a value that can be used. */
export type Resolved<T> = {
  readonly [K in keyof T]: T[K] extends Definition<infer A, unknown> ? A : never
}

/** Characters of a user's text that a problem shows. */
const SHOWN = 60

/** A value as a problem tells of it: short, on one line, without a secret, whatever it is. */
export const show = (value: unknown): string => {
  switch (typeof value) {
    case "string":
      return JSON.stringify(ForeignText.clean(value, SHOWN))
    case "number":
    case "bigint":
    case "boolean":
    case "undefined":
      return ForeignText.clean(String(value), SHOWN)
    case "object":
      if (value === null) return "null"
      if (Duration.isDuration(value)) return Duration.format(value)
      if (Redacted.isRedacted(value)) return "a secret"
      return Array.isArray(value) ? "a list" : "an object"
    default:
      return `a ${typeof value}`
  }
}
