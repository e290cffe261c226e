import type { ConsumerFailed } from "../consumer/ConsumerFailed.ts"
import type { CommitFailed, SeekRefused, SubscriptionConflict } from "../consumer/lite/LitePullError.ts"
import type { OffsetFileError } from "../consumer/offset/LocalOffsetStore.ts"
import type { OffsetStoreError } from "../consumer/offset/OffsetStore.ts"
import type { PopUnsupported, ReceiveError, SettleError } from "../consumer/simple/SimpleError.ts"
import type { Explainers, Surroundings } from "./Explanation.ts"

/** What only a consumer meets. */
export type ConsumerReason =
  | ConsumerFailed
  | OffsetFileError
  | OffsetStoreError
  | SubscriptionConflict
  | SeekRefused
  | CommitFailed
  | PopUnsupported

/** How the errors of `consumer/` are explained. */
export const consumerExplainers: Explainers<ConsumerReason> = {
  SubscriptionConflict: (e) => ({
    cause: "a lite pull consumer either subscribes to topics or is assigned queues",
    evidence: [`group: ${e.group}`, `it does: ${e.mode}`, `asked for: ${e.action}`],
    remedy: "Make another consumer for the other, in another group where the same topics are read."
  }),
  SeekRefused: (e) => ({
    cause: {
      "not-assigned": "a queue was sought that the consumer does not own",
      "out-of-range": "an offset was sought that the queue does not have",
      unusable: "what was sought is no offset and no time"
    }[e.problem],
    evidence: [
      `group: ${e.group}`,
      `queue: ${e.queue}`,
      `sought: ${e.to}`,
      ...(e.minOffset === undefined ? [] : [`the queue has: ${e.minOffset} to ${e.maxOffset}`])
    ],
    remedy: {
      "not-assigned": "Seek when `assignment` names the queue: it may be on its way to another member of the group.",
      "out-of-range": 'Seek an offset that the queue has, or "begin" or "end".',
      unusable: 'Give a whole number from 0 on, "begin", "end" or { timestamp }.'
    }[e.problem]
  }),
  CommitFailed: (e) => ({
    cause: "offsets of some queues were not committed",
    evidence: [`group: ${e.group}`, ...e.queues.map((one) => `${one.queue} at ${one.offset}: ${one.reason}`)],
    remedy:
      "Nothing is lost: what was not committed comes again to whoever reads the queue next. Commit again for queues that this consumer still owns; a queue that it does not own is another member's to commit."
  }),
  PopUnsupported: (e) => ({
    cause: "a broker does not know pop, by which a simple consumer reads",
    evidence: [`topic: ${e.topic}`, `broker: ${e.brokerName}`, `address: ${e.address}`],
    remedy:
      "Brokers have it from 5.0 on: use a DefaultLitePullConsumer or a DefaultMQPushConsumer, or upgrade the brokers."
  }),
  ConsumerFailed: (e) => ({
    cause: "the consumer has a problem for which onProblem says that it is over",
    evidence: [`group: ${e.group}`, `about: ${e.key}`, `problem: ${e.problem}`],
    remedy:
      "Do what the problem asks for, then start the consumer again: it goes on where the group's offsets are. A problem that goes by itself should be answered with `continue`."
  }),
  OffsetFileError: (e) => ({
    cause: `an offsets file cannot be used: it is ${e.problem}`,
    evidence: [`file: ${e.path}`, `found: ${e.detail}`],
    remedy: {
      damaged:
        "Put a copy of it in its place, or delete it and its .bak: the consumer then begins where consumeFromWhere says. Until then it reads nothing.",
      taken:
        "Give each process an identity of its own. Until then the process that opened the file first keeps its offsets in memory only.",
      absent: "Correct importFrom, or leave it out: the consumer then begins where consumeFromWhere says.",
      full: "Queues that are gone for good keep their places: while no process uses the file, delete them from it."
    }[e.problem]
  }),
  OffsetStoreError: (e) => ({
    cause: e.operation === "load" ? "the offset of a queue could not be read" : "the offset of a queue was not written",
    evidence: [`group: ${e.group}`, `queue: ${e.queue}`, `said: ${e.detail}`],
    remedy:
      "Nothing is lost: it is tried again, and until then the queue waits (load) or its messages may come twice after a restart (persist). Look at the store, or at the queue's broker."
  })
}

/** What a failed receive, acknowledgement or extension adds to its reason. */
export const consumerSurroundings: Surroundings<ReceiveError | SettleError> = {
  ReceiveError: (e, evidence) => [...evidence, `group: ${e.group}`],
  SettleError: (e, evidence) => [
    ...evidence,
    `group: ${e.group}`,
    `message id: ${e.msgId} of topic ${e.topic}`,
    `the message was not ${e.action === "ack" ? "acknowledged" : "extended"}, and comes again when its invisible time is over`
  ]
}
