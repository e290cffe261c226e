import { Schema } from "effect"

/** A consumer has a problem for which `onProblem` said `fail`. It goes on until it is shut down. */
export class ConsumerFailed extends Schema.TaggedError<ConsumerFailed>()("ConsumerFailed", {
  /** The consumer group. */
  group: Schema.String,
  /** What the problem is about, as in the state: `pull orders@broker-a@0`. */
  key: Schema.String,
  /** What is wrong. */
  problem: Schema.String
}) {
  override get message() {
    return `Consumer group ${this.group} was given up: ${this.problem}`
  }
}
