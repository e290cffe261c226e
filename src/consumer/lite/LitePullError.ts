import { Schema } from "effect"

/**
 * A lite pull consumer either shares queues out among the members of its group (`subscribe`) or reads those that it was told
 * (`assign`), and was asked for the other.
 *
 * Source: RocketMQ `DefaultLitePullConsumerImpl`, "Subscribe and assign are mutually exclusive."
 */
export class SubscriptionConflict extends Schema.TaggedError<SubscriptionConflict>()("SubscriptionConflict", {
  /** The consumer group. */
  group: Schema.String,
  /** What it does. */
  mode: Schema.Literals(["subscribe", "assign"]),
  /** What was asked for: `assign`. */
  action: Schema.String
}) {
  override get message() {
    const does = this.mode === "subscribe" ? "subscribes to topics" : "was assigned queues"
    return `The lite pull consumer of group ${this.group} ${does}: cannot ${this.action}. Subscribe and assign are mutually exclusive; make another consumer for the other.`
  }
}

/** A place in a queue that cannot be sought. */
export class SeekRefused extends Schema.TaggedError<SeekRefused>()("SeekRefused", {
  /** The consumer group. */
  group: Schema.String,
  /** The queue, as `topic@broker@id`. */
  queue: Schema.String,
  /** The consumer does not own the queue; the queue does not have the offset; it is no offset or time at all. */
  problem: Schema.Literals(["not-assigned", "out-of-range", "unusable"]),
  /** What was sought. */
  to: Schema.String,
  /** For `out-of-range`: the offset of the queue's oldest message. */
  minOffset: Schema.optional(Schema.Number),
  /** For `out-of-range`: the offset that its next message will get. */
  maxOffset: Schema.optional(Schema.Number)
}) {
  override get message() {
    const what = `Group ${this.group} cannot seek ${this.to} in queue ${this.queue}`
    switch (this.problem) {
      case "not-assigned":
        return `${what}: the queue is not assigned to this consumer, it may be rebalancing. Seek when \`assignment\` names it.`
      case "out-of-range":
        return `${what}: it has the offsets ${this.minOffset} to ${this.maxOffset}. Seek one of these, "begin" or "end".`
      default:
        return `${what}: give a whole number from 0 on, "begin", "end" or { timestamp }.`
    }
  }
}

/** A queue whose offset was not committed. */
export class CommitProblem extends Schema.Class<CommitProblem>("CommitProblem")({
  /** The queue, as `topic@broker@id`. */
  queue: Schema.String,
  /** What was to be committed. */
  offset: Schema.Number,
  /** Why it was not. */
  reason: Schema.String
}) {}

/** How many queues the message of an error names. */
const SHOWN_QUEUES = 8

/** Offsets that were not committed; those of other queues were. */
export class CommitFailed extends Schema.TaggedError<CommitFailed>()("CommitFailed", {
  /** The consumer group. */
  group: Schema.String,
  /** The queues whose offsets were not committed. */
  queues: Schema.Array(CommitProblem)
}) {
  override get message() {
    const shown = this.queues
      .slice(0, SHOWN_QUEUES)
      .map(({ offset, queue, reason }) => `${queue} at ${offset}: ${reason}`)
    const more = this.queues.length - shown.length
    return `Group ${this.group} could not commit ${this.queues.length} queue(s). ${shown.join(" ")}${more > 0 ? ` So it is with ${more} more.` : ""} What was not committed comes again to whoever reads the queue next; commit again for queues that this consumer still owns.`
  }
}
