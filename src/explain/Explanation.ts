import * as ForeignText from "../message/ForeignText.ts"

/** An error taken apart for a person: what happened, what says so, and what to do about it. */
export interface Explanation {
  /** The tag of the innermost reason, which docs/errors.md lists. */
  readonly tag: string
  /** What happened, as one sentence. */
  readonly cause: string
  /** The facts that say so: addresses, codes, the server's own words, each attempt. */
  readonly evidence: ReadonlyArray<string>
  /** What to do, as one or two sentences. */
  readonly remedy: string
}

/** The members of a union of errors by their tags. */
export type ByTag<E extends { readonly _tag: string }> = {
  readonly [K in E["_tag"]]: Extract<E, { readonly _tag: K }>
}

/** How the errors of a room are explained: a tag without an entry does not compile. */
export type Explainers<E extends { readonly _tag: string }> = {
  readonly [K in E["_tag"]]: (error: ByTag<E>[K]) => Omit<Explanation, "tag">
}

/** What errors that hold a `reason` add to its evidence: a tag without an entry does not compile. */
export type Surroundings<E extends { readonly _tag: string }> = {
  readonly [K in E["_tag"]]: (error: ByTag<E>[K], evidence: ReadonlyArray<string>) => ReadonlyArray<string>
}

/** Explains an error by the entry of its tag. */
export const explainBy = <E extends { readonly _tag: string }, K extends E["_tag"]>(
  explainers: Explainers<E>,
  tag: K,
  error: ByTag<E>[K]
): Explanation => ({ tag, ...(Object.hasOwn(explainers, tag) ? explainers[tag](error) : unknown(error)) })

/** An error from another version of this library: its message is all that there is. */
const unknown = (error: unknown): Omit<Explanation, "tag"> => ({
  cause: error instanceof Error ? error.message : "something unknown went wrong",
  evidence: [],
  remedy: "See the message."
})

/** The advice that ends where this library cannot see further. */
export const DOCTOR = "`effect-rocketmq doctor` walks through it and says where it ends."

/** What a platform reported, as one line; never more than is fit for a log. */
export const causeOf = (cause: unknown): ReadonlyArray<string> => {
  // Nothing is turned into text that may fail at it.
  const text = cause instanceof Error ? cause.message : typeof cause === "string" ? cause : ""
  const clean = ForeignText.clean(text)
  return clean === "" ? [] : [`reported: ${clean}`]
}
