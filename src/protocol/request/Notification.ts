import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { Long } from "../Long.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * NOTIFICATION (200054), client to broker: whether a pop would find a message, held until there is one.
 *
 * ```text
 * consumerGroup  string
 * topic          string
 * queueId        int
 * pollTime       long
 * bornTime       long
 * order          bool     optional
 * attemptId      string   optional
 * expType        string   optional
 * exp            string   optional
 * bname          string   optional
 * answer: hasMsg, pollingFull
 * ```
 *
 * Source: RocketMQ `NotificationRequestHeader`, `NotificationResponseHeader`.
 */
export interface NotificationHeader {
  /** The consumer group. */
  readonly consumerGroup: string
  /** The topic. */
  readonly topic: string
  /** The queue; -1 is any queue of the broker. */
  readonly queueId: number
  /** For how long the broker may hold the request, in milliseconds. */
  readonly pollTime: Long
  /** Now, in milliseconds since the epoch. */
  readonly bornTime: Long
  /** Whether queues are popped in order. */
  readonly order?: boolean | undefined
  /** Names a pop in order. */
  readonly attemptId?: string | undefined
  /** `TAG` or `SQL92`. */
  readonly expType?: string | undefined
  /** The filter. */
  readonly exp?: string | undefined
  /** The broker that is meant, by name (`bname`). */
  readonly brokerName?: string | undefined
}

/** What the broker has. */
export interface NotificationAnswer {
  /** Whether a pop would find a message. */
  readonly hasMsg: boolean
  /** Whether the broker holds too many requests, and answered this one at once. */
  readonly pollingFull: boolean
}

const header: HeaderCodec.Codec<NotificationHeader> = HeaderCodec.struct({
  consumerGroup: HeaderCodec.string,
  topic: HeaderCodec.string,
  queueId: HeaderCodec.int,
  pollTime: HeaderCodec.int64,
  bornTime: HeaderCodec.int64,
  order: HeaderCodec.optional(HeaderCodec.boolean),
  attemptId: HeaderCodec.optional(HeaderCodec.string),
  expType: HeaderCodec.optional(HeaderCodec.string),
  exp: HeaderCodec.optional(HeaderCodec.string),
  brokerName: HeaderCodec.brokerName
})

const answer: HeaderCodec.Codec<NotificationAnswer> = HeaderCodec.struct({
  hasMsg: HeaderCodec.boolean,
  pollingFull: HeaderCodec.withDefault(HeaderCodec.boolean, false)
})

/** What a client sends. */
export const request = (value: NotificationHeader): Request => ({
  code: RequestCode.NOTIFICATION,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): NotificationHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (value: NotificationAnswer): Response => ({
  code: ResponseCode.SUCCESS,
  extFields: answer.encode(value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): NotificationAnswer | DecodeError =>
  answer.decode(RequestCode.NOTIFICATION, cmd.extFields)
