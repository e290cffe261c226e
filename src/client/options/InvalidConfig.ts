import { Schema } from "effect"

/** One option that has no usable value. */
export class ConfigProblem extends Schema.Class<ConfigProblem>("ConfigProblem")({
  /** The option, or the name under which it was found with the option in brackets: `topics[1]`. */
  path: Schema.String,
  /** What is wrong with it, as a sentence about it goes on. No secret stands in it. */
  problem: Schema.String
}) {}

/** Options that cannot be used; all of them are listed at once. */
export class InvalidConfig extends Schema.TaggedError<InvalidConfig>()("InvalidConfig", {
  /** All of them, at least one. */
  problems: Schema.Array(ConfigProblem)
}) {
  override get message() {
    return `The configuration has ${this.problems.length} problem(s): ${this.problems
      .map((p) => `${p.path}: ${p.problem}`)
      .join("; ")}.`
  }
}
