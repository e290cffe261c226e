import { Effect } from "effect"
import * as ForeignText from "../message/ForeignText.ts"
import type { MessageExt } from "../message/MessageExt.ts"
import { SysFlag } from "../message/SysFlag.ts"
import * as MessageCodec from "../protocol/MessageCodec.ts"
import type { PullMessageHeader } from "../protocol/request/PullMessage.ts"
import { RequestCode, requestCodeName } from "../protocol/RequestCode.ts"
import { DecodeError } from "../protocol/DecodeError.ts"
import { type ApiError, UnreadableAnswer } from "./ClientError.ts"
import type { InflateError, Inflater } from "./Inflater.ts"
import * as InnerBatch from "./InnerBatch.ts"
import * as LogLimit from "./LogLimit.ts"
import type { MQClientApi } from "./MQClientApi.ts"
import { unwrapMessage } from "./NamespaceRpcHook.ts"
import * as SharedTurn from "./SharedTurn.ts"
import type { PullFound, PullOutcome, StoredMessages } from "./PullOutcome.ts"

/** A pull, and what of its answer is wanted. */
export interface PullRequest extends PullMessageHeader {
  /**
   * Tags of the messages that are wanted, all when absent or empty. Brokers compare hashes of tags, so that others come as
   * well, which are left out here.
   */
  readonly tags?: ReadonlySet<string> | undefined
}

/** What a pull found. */
export interface Pulled {
  /** The messages. */
  readonly messages: ReadonlyArray<MessageExt>
  /** How many came whose tags only have a hash in common with a wanted one; they are not among the messages. */
  readonly filtered: number
}

/**
 * The one door for messages that brokers hold: to consumers and to whoever looks. Bodies stay packed until somebody wants
 * one, and are unpacked within the instance's budget, off the main thread where they become long (see `Inflater`).
 *
 * The answer to a request resumes its caller inside the connection's read loop, and up to sixteen megabytes of messages
 * are read here. So every call gives way first, and goes on in a turn that those share that gave way in the same one.
 *
 * Source: RocketMQ `PullAPIWrapper`.
 */
export interface PulledMessages {
  /**
   * Pulls. A batch that the broker keeps as one message (topics with `queue.type=BatchCQ`) is taken apart. The messages have the queue and the offsets that were asked for, names without the namespace, and bodies as they
   * are stored; there are `maxMsgNums` at most, ascending from the offset that was asked for, whatever the broker sends: what
   * lies before it, or comes twice, is left out, and `nextBeginOffset` is behind all that was read. Behind the first entry that cannot be read
   * `nextBeginOffset` is where that entry lies, so that nothing is passed over unseen; where it is the first, the pull
   * fails with `UnreadableAnswer`.
   */
  readonly pull: (
    address: string,
    request: PullRequest,
    timeoutMillis: number
  ) => Effect.Effect<PullOutcome<Pulled>, ApiError>
  /** The messages in the body of an answer to another request, `max` at most, read as those of a pull. */
  readonly read: (
    address: string,
    requestCode: number,
    body: Uint8Array,
    max: number
  ) => Effect.Effect<ReadonlyArray<MessageExt>, UnreadableAnswer>
  /** The message with its body unpacked; the same when it is not packed. Waits for room, and may be called for many at once. */
  readonly unpack: (message: MessageExt) => Effect.Effect<MessageExt, InflateError>
  /**
   * Unpacks a message and hands it over; until it is, its body counts among what the instance holds. So whoever gathers
   * unpacked messages hands each over to where they are counted, a process queue for instance.
   */
  readonly handOver: <A, E, R>(
    message: MessageExt,
    to: (unpacked: MessageExt) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | InflateError, R>
}

/** What says in `sysFlag` that a body is packed, and how. */
const PACKED = SysFlag.COMPRESSED | SysFlag.COMPRESSION_MASK

/** Reads off the read loop, which `giveWay` leaves; fails when not even the first message can be read. */
const decode = (giveWay: Effect.Effect<void>, address: string, requestCode: number, body: Uint8Array, max: number) =>
  Effect.flatMap(giveWay, () => {
    const decoded = MessageCodec.decodeAll(body, requestCode, max)
    return decoded.error !== undefined && decoded.messages.length === 0
      ? Effect.fail(
          new UnreadableAnswer({
            address,
            request: requestCodeName(requestCode),
            detail: ForeignText.clean(decoded.error.message)
          })
        )
      : Effect.succeed(decoded)
  })

const wanted = ({ tags }: PullRequest, message: MessageExt): boolean =>
  tags === undefined || tags.size === 0 || (message.tags !== undefined && tags.has(message.tags))

const isAscending = (messages: ReadonlyArray<MessageExt>): boolean =>
  messages.every(({ queueOffset }, i) => i === 0 || (messages[i - 1]?.queueOffset ?? 0) < queueOffset)

/** Makes the door of one instance; `namespace` is what its topics and groups have in front on the wire. */
export const make = (
  api: Pick<MQClientApi, "pullMessage">,
  inflater: Pick<Inflater, "inflate">,
  namespace: string | undefined
): PulledMessages => {
  const unwrap = (message: MessageExt): MessageExt =>
    namespace === undefined ? message : unwrapMessage(namespace, message)

  const handOver: PulledMessages["handOver"] = (message, to) =>
    inflater.inflate(message.body, message.sysFlag, (body) =>
      to(body === message.body ? message : { ...message, body, sysFlag: message.sysFlag & ~PACKED })
    )

  const limit = LogLimit.make()
  const giveWay = SharedTurn.make()

  /** A batch that cannot be read stays the one message that it is stored as, as in Java. */
  const kept = (address: string, batch: MessageExt, problem: string) =>
    Effect.as(
      limit.warn(
        `the batch at offset ${batch.queueOffset} of topic ${ForeignText.clean(batch.topic)} on ${address} cannot be taken apart: ${ForeignText.clean(problem)}`
      ),
      [batch]
    )

  /** The messages of a batch that the broker keeps as one, from an offset on and so many at most. */
  const takenApart = (address: string, batch: MessageExt, from: number, max: number) =>
    handOver(batch, (unpacked) => Effect.sync(() => InnerBatch.messagesOf(unpacked, from, max))).pipe(
      Effect.matchEffect({
        onFailure: (error) => kept(address, batch, error.message),
        onSuccess: (messages) =>
          messages instanceof DecodeError ? kept(address, batch, messages.message) : Effect.succeed(messages)
      })
    )

  const found = (address: string, request: PullRequest, outcome: PullFound & StoredMessages) => {
    const { offsetDelta, stored, ...position } = outcome
    const from = Number(request.queueOffset)
    const messages: Array<MessageExt> = []
    let filtered = 0
    let behind = from

    const take = (message: MessageExt): void => {
      const queueOffset = message.queueOffset + offsetDelta
      if (queueOffset < behind) return
      behind = queueOffset + 1
      if (!wanted(request, message)) filtered++
      // Nearly always it stands in the message already.
      else if (offsetDelta === 0 && message.queueId === request.queueId) messages.push(unwrap(message))
      else messages.push({ ...unwrap(message), queueId: request.queueId, queueOffset })
    }

    const concluded = (more: boolean) => ({
      ...position,
      nextBeginOffset: more ? behind : Math.max(behind, position.nextBeginOffset),
      messages,
      filtered
    })

    /** One batch after the other. The first that was packed is the last: what becomes of it is held until it is handed over. */
    const takeBatches = Effect.fnUntraced(function* (all: ReadonlyArray<MessageExt>) {
      let taken = 0
      let wasPacked = false
      for (const message of all) {
        if (taken >= request.maxMsgNums || (wasPacked && behind > from)) return true
        const isBatch = InnerBatch.is(message)
        wasPacked ||= isBatch && (message.sysFlag & PACKED) !== 0
        const left = request.maxMsgNums - taken
        const parts = isBatch ? yield* takenApart(address, message, behind - offsetDelta, left) : [message]
        taken += parts.length
        for (const part of parts) take(part)
        // There may be more in the batch.
        if (isBatch && parts.length === left) return true
      }
      return false
    })

    return Effect.flatMap(
      decode(giveWay, address, RequestCode.PULL_MESSAGE, stored, request.maxMsgNums),
      ({ messages: read, more }) => {
        const all = isAscending(read) ? read : read.toSorted((a, b) => a.queueOffset - b.queueOffset)
        if (all.some(InnerBatch.is)) return Effect.map(takeBatches(all), (left) => concluded(more || left))
        for (const message of all) take(message)
        return Effect.succeed(concluded(more))
      }
    )
  }

  return {
    pull: (address, { tags, ...header }, timeoutMillis) =>
      Effect.flatMap(api.pullMessage(address, header, timeoutMillis), (outcome): ReturnType<PulledMessages["pull"]> =>
        outcome._tag === "Found" ? found(address, { ...header, tags }, outcome) : Effect.succeed(outcome)
      ),
    read: (address, requestCode, body, max) =>
      Effect.map(decode(giveWay, address, requestCode, body, max), ({ messages }) => messages.map(unwrap)),
    unpack: (message) => handOver(message, Effect.succeed),
    handOver
  }
}
