import * as Millis from "../message/Millis.ts"
import type { InvalidRecallHandle, RecallError, RecallTimeout } from "../producer/Recall.ts"
import type { ReplyFailure } from "../producer/reply/ReplyError.ts"
import type {
  InvalidMessage,
  QueueSelectorFailed,
  SendError,
  SendForbidden,
  SendTimeout
} from "../producer/send/SendError.ts"
import type { TransactionFailure } from "../producer/transaction/TransactionError.ts"
import type { Explainers, Surroundings } from "./Explanation.ts"

/** What only a producer can fail with. */
export type ProducerReason =
  | InvalidMessage
  | SendTimeout
  | QueueSelectorFailed
  | SendForbidden
  | InvalidRecallHandle
  | RecallTimeout
  | ReplyFailure
  | TransactionFailure

/** How the errors of `producer/` are explained. */
export const producerExplainers: Explainers<ProducerReason> = {
  InvalidMessage: (e) => ({
    cause: "the message is not one that RocketMQ takes",
    evidence: [`topic: ${e.topic}`, `${e.field}: ${e.problem}`],
    remedy: "Correct that part of the message."
  }),
  SendForbidden: (e) => ({
    cause: "a check of this application forbids the send",
    evidence: [`topic: ${e.topic}`, `hook: ${e.hook}`, e.problem],
    remedy: "See the CheckForbiddenHook that refused it."
  }),
  QueueSelectorFailed: (e) => ({
    cause: "the selector found no queue for the message",
    evidence: [`topic: ${e.topic}`, `problem: ${e.problem}`, e.detail],
    remedy: "Correct the selector, or send without one."
  }),
  RequestReplyTimeout: (e) => ({
    cause: "nobody replied to the request in time",
    evidence: [
      `topic: ${e.topic}`,
      `correlation id: ${e.correlationId}`,
      `message id: ${e.msgId}`,
      `time: ${Millis.text(e.timeoutMillis)}`,
      "the request is stored and may still be handled"
    ],
    remedy: "Check that a consumer of the topic runs and replies; allow more time if it is only slow."
  }),
  RequestReplyClosed: (e) => ({
    cause: "the producer was shut down while the request waited for its reply",
    evidence: [`topic: ${e.topic}`, `correlation id: ${e.correlationId}`, "the request may have been handled"],
    remedy: "Keep the producer's scope open until the replies are there, or raise drainTimeoutMillis."
  }),
  NotARequest: (e) => ({
    cause: "the message does not ask for a reply",
    evidence: [`topic: ${e.topic}`, `message id: ${e.msgId ?? "(none)"}`, `missing: ${e.missing.join(", ")}`],
    remedy: "Reply only to what a producer's `request` sent, and pass the message as it was consumed."
  }),
  TransactionNotRun: (e) => ({
    cause: "the half message was not stored as durably as the broker is configured to",
    evidence: [
      `topic: ${e.topic}`,
      `message id: ${e.msgId}`,
      `status: ${e.status}`,
      "the local transaction was not run and the message was rolled back"
    ],
    remedy: "Try again; if it stays so, look at the broker's disk and replicas."
  }),
  LocalTransactionTimeout: (e) => ({
    cause: "the local transaction took too long and was interrupted",
    evidence: [
      `topic: ${e.topic}`,
      `message id: ${e.msgId}`,
      `time: ${Millis.text(e.timeoutMillis)}`,
      "the message is neither committed nor rolled back"
    ],
    remedy: "Let checkLocalTransaction decide, and raise transactionTimeoutMillis if the transaction is only slow."
  }),
  InvalidRecallHandle: (e) => ({
    cause: "the text is no recall handle",
    evidence: [`topic: ${e.topic}`, `given: ${e.recallHandle}`],
    remedy: "Pass the recallHandle of the result of a send with an exact time; brokers from 5.3 on hand one out."
  }),
  RecallTimeout: (e) => ({
    cause: "the recall's time was up before a broker could be asked",
    evidence: [`topic: ${e.topic}`, `time: ${Millis.text(e.timeoutMillis)}`],
    remedy: "Raise timeoutMillis if the servers are only slow."
  }),
  SendTimeout: (e) => ({
    cause: "the send's time was up",
    evidence: [`topic: ${e.topic}`, `time: ${Millis.text(e.timeoutMillis)}`, `it was at: ${e.during}`],
    remedy: "Raise sendMsgTimeout if the servers are only slow."
  })
}

const outcomes: { readonly [K in SendError["outcome"]]: string } = {
  "not-sent": "the message was not sent; sending it again cannot duplicate it",
  rejected: "the message was refused and is not stored",
  unknown: "the message may be stored; sending it again may duplicate it"
}

/** What a failed send or recall adds to its reason. */
export const producerSurroundings: Surroundings<SendError | RecallError> = {
  SendError: (e, evidence) => [
    ...evidence,
    ...(e.msgId === undefined ? [] : [`message id: ${e.msgId}`]),
    outcomes[e.outcome],
    ...e.attempts.map(
      ({ address, brokerName, cause, elapsedMillis, queueId }, index) =>
        `attempt ${index + 1}: ${brokerName} queue ${queueId} at ${address}, ${Millis.text(elapsedMillis)}, ${cause._tag}`
    )
  ],
  RecallError: (e, evidence) => [
    ...evidence,
    e.outcome === "unknown" ? "the message may be recalled" : "the message is not recalled"
  ]
}
