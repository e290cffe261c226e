import { type Effect, Exit } from "effect"
import type { ApiError } from "../../client/ClientError.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import type { SendResult, SendStatus } from "../../message/SendResult.ts"
import type { SendMessageAnswer } from "../../protocol/request/SendMessage.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { Outgoing } from "./Outgoing.ts"
import type { ProducerConfig } from "../ProducerConfig.ts"
import type { QueueSelector } from "../queue/QueueSelector.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import { InvalidMessage, SendAttempt, type SendOutcome, SendTimeout } from "./SendError.ts"
import { check } from "./SendOptions.ts"
import type { SendPlace } from "./SendLimit.ts"
import type { DispatchOptions } from "./Sends.ts"
import { brokerNameOf, type TopicPublishInfo } from "../queue/TopicPublishInfo.ts"

/** One send under way, over all its attempts; its own place among those in flight. */
export interface Call extends SendPlace {
  /** What is sent; changed before the first attempt at most, by who watches the send and by packing. */
  outgoing: Outgoing
  /** Where the next attempt goes, if that is settled. */
  fixedQueue: MessageQueue | undefined
  /** Settles it, once. */
  readonly selector: QueueSelector | undefined
  /** Whether all attempts go to one queue. */
  readonly pinned: boolean
  readonly timeoutMillis: number
  /** Whether it was accepted and counted before; see `DispatchOptions`. */
  readonly accepted: boolean
  /** On the monotonic clock, in milliseconds. */
  readonly startedAt: number
  /** On the monotonic clock, in milliseconds. */
  readonly deadline: number
  /** Attempts begun. */
  attempts: number
  /** Attempts that count towards the limit: all but those that met a busy broker. */
  counted: number
  busy: number
  lastBroker: string | undefined
  outcome: SendOutcome
  failures: Array<SendAttempt>
}

/** Whether an effect is a result already, so that nothing is left to run. */
export const isEnded = <A, E>(effect: Effect.Effect<A, E>): effect is Exit.Exit<A, E> => Exit.isExit(effect)

/** Whether something was refused before it could be sent. */
export const isInvalid = (value: object): value is InvalidMessage => value instanceof InvalidMessage

const statusOf = (code: number): SendStatus => {
  switch (code) {
    case ResponseCode.FLUSH_DISK_TIMEOUT:
      return "FLUSH_DISK_TIMEOUT"
    case ResponseCode.FLUSH_SLAVE_TIMEOUT:
      return "FLUSH_SLAVE_TIMEOUT"
    case ResponseCode.SLAVE_NOT_AVAILABLE:
      return "SLAVE_NOT_AVAILABLE"
    default:
      return "SEND_OK"
  }
}

/** What an attempt is made at: for a logical queue, the broker that has it. */
export const placeOf = (info: TopicPublishInfo, queue: MessageQueue): MessageQueue => {
  const brokerName = brokerNameOf(info, queue)
  return brokerName === queue.brokerName ? queue : { ...queue, brokerName }
}

/** Writes a failed attempt down. */
export const noteFailure = (
  call: Call,
  { address, place }: { readonly address: string; readonly place: MessageQueue },
  error: ApiError,
  elapsedMillis: number
): void => {
  const { outcome } = RetryPolicy.meaningOf(error)
  call.outcome = RetryPolicy.worst(call.outcome, outcome)
  call.failures.push(
    new SendAttempt({
      brokerName: place.brokerName,
      queueId: place.queueId,
      address,
      elapsedMillis,
      outcome,
      cause: error
    })
  )
}

/** The error of a send whose deadline has passed. */
export const timeout = (call: Call, during: string) =>
  new SendTimeout({ topic: call.outgoing.topic, timeoutMillis: call.timeoutMillis, during })

/** A send that begins now (on the monotonic clock, in milliseconds), or what is wrong with its options. */
export const callOf = (
  config: ProducerConfig,
  outgoing: Outgoing,
  options: DispatchOptions | undefined,
  now: number
): Call | InvalidMessage => {
  const checked = check(config, outgoing.topic, options)
  if (isInvalid(checked)) return checked
  const { queue, selector, timeoutMillis } = checked
  return {
    size: outgoing.body.length,
    admitted: false,
    resume: undefined,
    outgoing,
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
    failures: []
  }
}

/** What a broker's answer means for whoever sent. `asked` is the queue as the route has it. */
export const resultOf = (
  call: Call,
  asked: MessageQueue,
  code: number,
  answer: SendMessageAnswer,
  borrowed: boolean
): SendResult => {
  const { topic } = call.outgoing
  const result: SendResult = {
    status: statusOf(code),
    msgId: call.outgoing.msgId,
    offsetMsgId: answer.msgId,
    queue: answer.queueId === asked.queueId ? asked : { topic, brokerName: asked.brokerName, queueId: answer.queueId },
    queueOffset: answer.queueOffset,
    attempts: call.attempts,
    borrowedRoute: borrowed,
    regionId: answer.regionId ?? "DefaultRegion",
    traceOn: answer.traceOn,
    transactionId: answer.transactionId
  }
  return answer.recallHandle === undefined ? result : { ...result, recallHandle: answer.recallHandle }
}
