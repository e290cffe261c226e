import { Effect } from "effect"
import type { IllegalServiceState } from "../../client/ClientError.ts"
import * as MessageBatch from "../../message/MessageBatch.ts"
import type { Message } from "../../message/Message.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import type { SendResult, SendStatus } from "../../message/SendResult.ts"
import * as MessageCodec from "../../protocol/MessageCodec.ts"
import { MessageConst, property } from "../../protocol/MessageProperties.ts"
import { isInvalid, type PreparedMessage } from "../send/PreparedMessage.ts"
import type { ProducerConfig } from "../ProducerConfig.ts"
import { InvalidMessage, SendError, type SendOutcome } from "../send/SendError.ts"
import type { SendOptions } from "../send/SendOptions.ts"
import type { SendEngine } from "../send/SendEngine.ts"

/**
 * Several messages in one send, stored one behind the other in one queue. The broker opens the batch when it arrives, so
 * its body is never packed: neither as a whole, which the broker could not open, nor part by part, as the one `sysFlag` of
 * the send stands for all of them. Java 5.x does not pack batches either.
 *
 * Source: RocketMQ `MessageBatch`, `DefaultMQProducer.batch`, `DefaultMQProducerImpl.tryToCompressMessage`.
 */

/** What a broker answered to a batch. */
export interface SendBatchResult {
  /**
   * How durably all of them are stored. Anything but SEND_OK is no failure: they are stored, and may be lost with their
   * broker.
   */
  readonly status: SendStatus
  /** The result of each message, in the order in which they were given. */
  readonly results: ReadonlyArray<SendResult>
  /** Where they lie. */
  readonly queue: MessageQueue
  /** The position of the first; the others follow it. */
  readonly queueOffset: number
  /** How many times the batch was sent. More than 1 may mean duplicates. */
  readonly attempts: number
}

/** The int and short fields of one part: size, magic, CRC, flag, body length, property length. */
const PART_FIXED_LENGTH = 22

/** Bytes that a message takes in the body of a batch. */
export const partLength = (part: PreparedMessage): number =>
  PART_FIXED_LENGTH + part.body.length + Buffer.byteLength(part.properties)

const waits = (message: Message): boolean => message.waitStoreMsgOK ?? true

/** Whether two messages for one topic can be in one batch that nobody asked for; a tag that differs would be lost on a topic whose batches are stored whole. */
export const goTogether = (a: Message, b: Message): boolean => waits(a) === waits(b) && a.tags === b.tags

/**
 * One send of several messages that were made ready, at least one. `batchId` is the unique id of the batch itself, which
 * a broker needs for a topic whose batches are stored whole (attribute `queue.type` = `BatchCQ`). A broker before 5.0 must
 * not see it: it would write it over the ids of the messages.
 */
export const join = (
  parts: readonly [PreparedMessage, ...Array<PreparedMessage>],
  batchId: string
): PreparedMessage => {
  const [{ message, topic }] = parts
  const { tags } = message
  const wait = property(MessageConst.WAIT_STORE_MSG_OK, `${waits(message)}`)
  const tag =
    tags !== undefined && parts.every((part) => part.message.tags === tags) ? property(MessageConst.TAGS, tags) : ""
  return {
    message,
    topic,
    body: MessageCodec.encodeBatch(parts),
    sysFlag: 0,
    flag: 0,
    msgId: parts.map((part) => part.msgId).join(","),
    count: parts.length,
    properties: `${property(MessageConst.UNIQ_KEY, batchId)}${wait}${tag}`,
    legacyProperties: wait,
    form: "BATCH"
  }
}

/** The result of each message of a batch. A batch that is stored whole has one offset message id for all. */
export const split = (result: SendResult, parts: ReadonlyArray<PreparedMessage>): ReadonlyArray<SendResult> => {
  const offsetMsgIds = result.offsetMsgId.split(",")
  const each = offsetMsgIds.length === parts.length
  return parts.map(({ msgId }, index) => ({
    ...result,
    msgId,
    offsetMsgId: each ? (offsetMsgIds[index] ?? "") : result.offsetMsgId,
    queueOffset: result.queueOffset + index,
    ...(result.transactionId === undefined ? {} : { transactionId: msgId })
  }))
}

/** The failure of a batch as that of one of its messages. */
export const errorOf = ({ attempts, outcome, reason, topic }: SendError, part: PreparedMessage): SendError =>
  new SendError({ topic, msgId: part.msgId, outcome, attempts, reason })

/** The end of a message that a shutdown left over, in a fiber that belongs to no caller. */
export const leftOver = (
  { msgId, topic }: PreparedMessage,
  outcome: SendOutcome,
  reason: IllegalServiceState
): SendError => new SendError({ topic, msgId, outcome, attempts: [], reason })

const isSome = <A>(list: ReadonlyArray<A>): list is readonly [A, ...Array<A>] => list.length > 0

/** A batch made ready, or what is wrong with it or one of its messages; sizes are added up before anything is encoded. */
const prepare = (
  config: ProducerConfig,
  engine: SendEngine,
  newId: () => string,
  messages: ReadonlyArray<Message>,
  options: SendOptions | undefined
): InvalidMessage | { readonly prepared: PreparedMessage; readonly parts: ReadonlyArray<PreparedMessage> } => {
  const bad = (problem: string) => new InvalidMessage({ topic: messages[0]?.topic ?? "", field: "batch", problem })
  const problem = MessageBatch.check(messages)
  if (problem !== undefined) return bad(problem.detail)
  const parts: Array<PreparedMessage> = []
  let length = 0
  for (const [index, message] of messages.entries()) {
    const part = engine.prepare(message, options)
    if (isInvalid(part)) {
      const { field, problem: wrong, topic } = part
      return new InvalidMessage({ topic, field: `batch[${index}].${field}`, problem: wrong })
    }
    length += partLength(part)
    parts.push(part)
  }
  if (length > config.maxMessageSize) {
    return bad(
      `takes ${length} bytes, at most ${config.maxMessageSize} are allowed (maxMessageSize); MessageBatch.split cuts it`
    )
  }
  return isSome(parts) ? { prepared: join(parts, newId()), parts } : bad("has no messages")
}

/** Makes the batch sends of a producer. */
export const make =
  (config: ProducerConfig, engine: SendEngine, newId: () => string) =>
  (messages: ReadonlyArray<Message>, options?: SendOptions): Effect.Effect<SendBatchResult, SendError> =>
    Effect.suspend(() => {
      const batch = prepare(config, engine, newId, messages, options)
      const { prepared, parts } = isInvalid(batch) ? { prepared: batch, parts: [] } : batch
      return Effect.map(engine.dispatch(prepared, options), (result) => ({
        status: result.status,
        results: split(result, parts),
        queue: result.queue,
        queueOffset: result.queueOffset,
        attempts: result.attempts
      }))
    })
