import * as Body from "../BodyCodec.ts"
import { DecodeError } from "../DecodeError.ts"
import type { Long } from "../Long.ts"
import { realTopic, type RetryFlag } from "../PopHandle.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * BATCH_ACK_MESSAGE (200151), client to broker: popped messages are consumed, those of each pop and queue as a bit set. The
 * broker answers 0 whatever it knows of them, and 208 to an empty list.
 *
 * ```text
 * no header
 * body: {"brokerName":"...","acks":[{"b":base64,"c":group,"it":ms,"pt":ms,"q":int,"r":"0","rq":int,"so":long,"t":topic}]}
 * answer: none
 * ```
 *
 * Source: RocketMQ `BatchAckMessageRequestBody`, `BatchAck`.
 */
export interface BatchAckMessageBody {
  /** The broker that they were popped from. */
  readonly brokerName: string
  /** One for each pop and queue. */
  readonly acks: ReadonlyArray<BatchAck>
}

/** What of one pop and one queue is consumed. */
export interface BatchAck {
  /** The consumer group. */
  readonly consumerGroup: string
  /** The topic that was popped, also for what came again. */
  readonly topic: string
  /** Which topic they lie in. */
  readonly retryFlag: RetryFlag
  /** The offset at which the pop began in the queue: `ckQueueOffset` of the handles. */
  readonly startOffset: Long
  /** The queue. */
  readonly queueId: number
  /** The queue of the broker's revive topic. */
  readonly reviveQueueId: number
  /** When it was popped, in milliseconds since the epoch by the broker's clock. */
  readonly popTime: Long
  /** For how long its messages are hidden, in milliseconds. */
  readonly invisibleTime: Long
  /** The messages, each by its offset less `startOffset`; ascending, from 0 up to {@link MAX_INDEX}. */
  readonly indexes: ReadonlyArray<number>
}

/** The greatest index of a message: a pop spans no more offsets. */
export const MAX_INDEX = 65_535

/** The topic that the messages of an entry lie in. */
export const realTopicOf = ({ consumerGroup, retryFlag, topic }: BatchAck): string =>
  realTopic(consumerGroup, topic, retryFlag)

const codec = Body.struct({
  brokerName: Body.withDefault(Body.string, ""),
  acks: Body.withDefault(
    Body.list(
      Body.struct({
        b: Body.withDefault(Body.string, ""),
        c: Body.string,
        it: Body.withDefault(Body.int64, 0),
        pt: Body.withDefault(Body.int64, 0),
        q: Body.withDefault(Body.int, 0),
        r: Body.withDefault(Body.string, "0"),
        rq: Body.withDefault(Body.int, 0),
        so: Body.withDefault(Body.int64, 0),
        t: Body.string
      })
    ),
    []
  )
})

/** Bit n of a Java `BitSet` lies in byte n / 8, from the lowest bit up; base64. */
const bitsOf = (indexes: ReadonlyArray<number>): string => {
  const bytes = new Uint8Array(((indexes.at(-1) ?? -1) >> 3) + 1)
  for (const index of indexes) bytes[index >> 3] = (bytes[index >> 3] ?? 0) | (1 << (index & 7))
  return Buffer.from(bytes).toString("base64")
}

const indexesOf = (bits: string): ReadonlyArray<number> | undefined => {
  const bytes = Buffer.from(bits, "base64")
  if (bytes.length * 8 > MAX_INDEX + 1) return undefined
  return Array.from(bytes).flatMap((byte, at) =>
    [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => (byte & (1 << bit)) !== 0).map((bit) => at * 8 + bit)
  )
}

/** What a client sends. */
export const request = ({ acks, brokerName }: BatchAckMessageBody): Request => ({
  code: RequestCode.BATCH_ACK_MESSAGE,
  extFields: undefined,
  body: Body.encode(codec, {
    brokerName,
    acks: acks.map((ack) => ({
      b: bitsOf(ack.indexes),
      c: ack.consumerGroup,
      it: ack.invisibleTime,
      pt: ack.popTime,
      q: ack.queueId,
      r: ack.retryFlag,
      rq: ack.reviveQueueId,
      so: ack.startOffset,
      t: ack.topic
    }))
  })
})

const bad = (cmd: RemotingCommand, field: string, detail: string) => new DecodeError({ code: cmd.code, field, detail })

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): BatchAckMessageBody | DecodeError => {
  const value = Body.decode(codec, cmd.code, cmd.body)
  if (value instanceof DecodeError) return value
  const acks: Array<BatchAck> = []
  for (const [at, { b, c, it, pt, q, r, rq, so, t }] of value.acks.entries()) {
    const indexes = indexesOf(b)
    if (indexes === undefined) return bad(cmd, `acks[${at}].b`, `more than ${MAX_INDEX + 1} bits`)
    if (r !== "0" && r !== "1" && r !== "2") return bad(cmd, `acks[${at}].r`, "not 0, 1 or 2")
    acks.push({
      consumerGroup: c,
      topic: t,
      retryFlag: r,
      startOffset: so,
      queueId: q,
      reviveQueueId: rq,
      popTime: pt,
      invisibleTime: it,
      indexes
    })
  }
  return { brokerName: value.brokerName, acks }
}

/** What a broker answers. */
export const response = (): Response => ({ code: ResponseCode.SUCCESS })
