import type { Duration } from "effect"
import { show } from "../../client/options/Option.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import * as Millis from "../../message/Millis.ts"
import type { Key } from "../queue/KeyHash.ts"
import type { ProducerConfig } from "../ProducerConfig.ts"
import * as QueueSelector from "../queue/QueueSelector.ts"
import { InvalidMessage } from "./SendError.ts"

/**
 * Options of one send. Of `queue`, `selector` and `orderingKey` at most one may be given; with any of them the queue is
 * settled once, and attempts that failed are repeated at the same queue.
 */
export interface SendOptions {
  /** How long this send may take in all; default `sendMsgTimeout`. A bare number is milliseconds. */
  readonly timeoutMillis?: Duration.Input | undefined
  /** The queue to send to. The message goes there or nowhere. */
  readonly queue?: MessageQueue | undefined
  /** Chooses the queue among those of the route that can be written. */
  readonly selector?: QueueSelector.QueueSelector | undefined
  /**
   * All messages of one key go to one queue, as long as the topic's queues stay the same; the option `orderingHash` of the
   * producer says which client's choice of queue is reproduced. The key travels as the property `__SHARDINGKEY`, as that
   * of the gRPC clients does.
   */
  readonly orderingKey?: Key | undefined
}

/** What the options of a send come to. */
export interface CheckedOptions {
  readonly queue: MessageQueue | undefined
  readonly selector: QueueSelector.QueueSelector | undefined
  readonly timeoutMillis: number
}

/** The milliseconds that a call may take, by its own options or the producer's; NaN when it was given what is no time. */
export const timeoutOf = (
  config: Pick<ProducerConfig, "sendMsgTimeout">,
  options: { readonly timeoutMillis?: Duration.Input | undefined } | undefined
): number => (options?.timeoutMillis === undefined ? config.sendMsgTimeout : Millis.of(options.timeoutMillis))

/** Whether a call may take so many milliseconds. */
export const isTimeout = (millis: number): boolean => millis > 0 && millis < Infinity

/** What is wrong with a timeout that {@link isTimeout} refuses. */
export const badTimeout = (topic: string, given: unknown): InvalidMessage =>
  new InvalidMessage({ topic, field: "timeoutMillis", problem: `must be a time above 0, is ${show(given)}` })

/** What is wrong with a queue for messages of a topic, to stand behind "queue"; undefined when nothing is. */
export const problemOfQueue = (topic: string, queue: MessageQueue): string | undefined => {
  if (queue.topic !== topic) return `belongs to topic "${queue.topic}"`
  return Number.isInteger(queue.queueId) && queue.queueId >= 0
    ? undefined
    : `has no queue id of 0 or more: ${queue.queueId}`
}

/** Whether the options settle the queue, so that the order of sends can matter. */
export const settlesQueue = (options: SendOptions | undefined): boolean =>
  options !== undefined &&
  (options.queue !== undefined || options.selector !== undefined || options.orderingKey !== undefined)

/** Checks the options of a send to a topic. */
export const check = (config: ProducerConfig, topic: string, options: SendOptions): CheckedOptions | InvalidMessage => {
  const { orderingKey, queue } = options
  const timeoutMillis = timeoutOf(config, options)
  const bad = (field: string, problem: string) => new InvalidMessage({ topic, field, problem })
  const given = [queue, options.selector, orderingKey].filter((choice) => choice !== undefined).length
  if (given > 1) return bad("queue", "is chosen twice: give one of queue, selector and orderingKey")
  const problem = queue === undefined ? undefined : problemOfQueue(topic, queue)
  if (problem !== undefined) return bad("queue", problem)
  if (!isTimeout(timeoutMillis)) return badTimeout(topic, options.timeoutMillis)
  const selector =
    orderingKey === undefined ? options.selector : QueueSelector.byKey(orderingKey, { hash: config.orderingHash })
  return { queue, selector, timeoutMillis }
}
