import type { Effect } from "effect"
import type { ApiError } from "../../client/ClientError.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import type { SendResult } from "../../message/SendResult.ts"
import type { StoredAnswer } from "../../protocol/request/SendMessage.ts"
import type { ProducerConfig } from "../ProducerConfig.ts"
import type { QueueSelector } from "../queue/QueueSelector.ts"
import type { PreparedMessage } from "./PreparedMessage.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import { InvalidMessage, SendAttempt, type SendError, type SendOutcome, SendTimeout } from "./SendError.ts"
import { check, type SendOptions } from "./SendOptions.ts"

/** Options of a send inside the client. */
export interface DispatchOptions extends SendOptions {
  /** Whether `queue` is only where the first attempt goes, and others may follow elsewhere. */
  readonly unpinned?: boolean | undefined
  /** Whether it was accepted before: it is counted already, and goes on while the producer shuts down. */
  readonly accepted?: boolean | undefined
}

/** One send, over all its attempts; its own place among those in flight. */
export interface SendState {
  /** What is sent; changed before the first attempt at most, by who watches the send and by compression. */
  prepared: PreparedMessage
  /** What it counts against the bytes in flight. */
  readonly size: number
  /** Whether it has a place in flight; false while it waits for one. */
  admitted: boolean
  /** What to do when it gets the place that it waits for. */
  onAdmitted: (() => void) | undefined
  /** Where the next attempt goes, if that is settled. */
  fixedQueue: MessageQueue | undefined
  /** Settles it, once. */
  readonly selector: QueueSelector | undefined
  /** Whether all attempts go to one queue. */
  readonly pinned: boolean
  readonly timeoutMillis: number
  /** See {@link DispatchOptions}. */
  readonly accepted: boolean
  /** On the monotonic clock, in milliseconds. */
  readonly startedAt: number
  /** On the monotonic clock, in milliseconds. */
  readonly deadline: number
  /** Attempts begun. */
  attempts: number
  /** Attempts that count towards the limit: all but those that met a busy broker. */
  counted: number
  /** Attempts that met a busy broker. */
  busy: number
  lastBroker: string | undefined
  /** The worst of what is known of the message after the attempts that failed. */
  outcome: SendOutcome
  failures: Array<SendAttempt>
  /** Whether its caller was given the result, or what there is still to do for it. */
  resumed: boolean
}

/** A send whose caller waits for it. */
export interface AwaitedSend<A> extends SendState {
  /** Gives the caller the result, or what there is still to do for it. */
  readonly resume: (result: Effect.Effect<A, SendError>) => void
}

/** A send that begins now (on the monotonic clock, in milliseconds), or what is wrong with its options. */
export const begin = <A>(
  config: ProducerConfig,
  prepared: PreparedMessage,
  options: DispatchOptions | undefined,
  now: number,
  resume: AwaitedSend<A>["resume"]
): AwaitedSend<A> | InvalidMessage => {
  const checked = options === undefined ? undefined : check(config, prepared.topic, options)
  if (checked instanceof InvalidMessage) return checked
  const timeoutMillis = checked?.timeoutMillis ?? config.sendMsgTimeout
  const queue = checked?.queue
  const selector = checked?.selector
  return {
    prepared,
    size: prepared.body.length,
    admitted: false,
    onAdmitted: undefined,
    fixedQueue: queue,
    selector,
    pinned: options?.unpinned !== true && (queue !== undefined || selector !== undefined),
    timeoutMillis,
    accepted: options?.accepted === true,
    startedAt: now,
    deadline: now + timeoutMillis,
    attempts: 0,
    counted: 0,
    busy: 0,
    lastBroker: undefined,
    outcome: "not-sent",
    failures: [],
    resumed: false,
    resume
  }
}

/** Writes a failed attempt down. */
export const noteFailure = (
  send: SendState,
  { address, place }: { readonly address: string; readonly place: MessageQueue },
  error: ApiError,
  elapsedMillis: number
): void => {
  const { outcome } = RetryPolicy.meaningOf(error)
  const { brokerName, queueId } = place
  send.outcome = RetryPolicy.worst(send.outcome, outcome)
  send.failures.push(new SendAttempt({ brokerName, queueId, address, elapsedMillis, outcome, cause: error }))
}

/** The error of a send whose deadline has passed. */
export const timeout = ({ prepared, timeoutMillis }: SendState, during: string) =>
  new SendTimeout({ topic: prepared.topic, timeoutMillis, during })

/** What a broker's answer means for whoever sent. `asked` is the queue as the route has it. */
export const resultOf = (
  { attempts, prepared: { msgId, topic } }: SendState,
  asked: MessageQueue,
  answer: StoredAnswer,
  borrowedRoute: boolean
): SendResult => {
  const result: SendResult = {
    status: answer.status,
    msgId,
    offsetMsgId: answer.msgId,
    queue: answer.queueId === asked.queueId ? asked : { topic, brokerName: asked.brokerName, queueId: answer.queueId },
    queueOffset: answer.queueOffset,
    attempts,
    borrowedRoute,
    regionId: answer.regionId ?? "DefaultRegion",
    traceOn: answer.traceOn,
    transactionId: answer.transactionId
  }
  return answer.recallHandle === undefined ? result : { ...result, recallHandle: answer.recallHandle }
}
