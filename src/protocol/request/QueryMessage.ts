import { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * QUERY_MESSAGE (12), client to broker: messages by key, unique id or tag. Answer 0 with stored messages as the body, or
 * QUERY_NOT_FOUND (22).
 *
 * ```text
 * topic               string
 * key                 string
 * maxNum              int
 * beginTimestamp      long
 * endTimestamp        long      Java sends Long.MAX_VALUE
 * indexType           string    optional: K key, U unique id, T tag
 * lastKey             string    optional, paging
 * _UNIQUE_KEY_QUERY   boolean   whether key is a unique id
 * answer: indexLastUpdateTimestamp long | indexLastUpdatePhyoffset long
 * ```
 *
 * Source: RocketMQ `QueryMessageRequestHeader`, `QueryMessageResponseHeader`.
 */
export interface QueryMessageHeader {
  /** The topic. */
  readonly topic: string
  /** A business key, a unique id, or a tag; see `indexType`. */
  readonly key: string
  /** At most so many messages, the newest first. */
  readonly maxNum: number
  /** Milliseconds since the epoch. */
  readonly beginTimestamp: bigint
  /** Milliseconds since the epoch; `9223372036854775807n` for no end. */
  readonly endTimestamp: bigint
  /**
   * What `key` is: `K` a business key, `U` a unique id, `T` a tag. Brokers of 4.x and those without the newer index do
   * not look at it.
   */
  readonly indexType?: "K" | "U" | "T" | undefined
  /** Where the page before ended, for the newer index; the first page when absent. */
  readonly lastKey?: string | undefined
  /** Whether `key` is a unique id (field `_UNIQUE_KEY_QUERY`); false when absent. */
  readonly uniqueKeyQuery?: boolean | undefined
  /** The broker that is meant, by name (`bname`); absent, it is the one that gets the request. */
  readonly brokerName?: string | undefined
}

/** How far the broker's index reaches, and what it found. */
export interface QueryMessageAnswer {
  /** Milliseconds since the epoch. */
  readonly indexLastUpdateTimestamp?: number | undefined
  /** Up to which commit log offset messages are indexed. */
  readonly indexLastUpdatePhyoffset?: number | undefined
  /** Stored messages; read them with `MessageCodec.decodeAll`. */
  readonly body: Uint8Array
}

const header: HeaderCodec.Codec<QueryMessageHeader> = HeaderCodec.struct({
  topic: HeaderCodec.withDefault(HeaderCodec.string, "null"),
  key: HeaderCodec.withDefault(HeaderCodec.string, "null"),
  maxNum: HeaderCodec.int,
  beginTimestamp: HeaderCodec.bigint,
  endTimestamp: HeaderCodec.bigint,
  indexType: HeaderCodec.optional(HeaderCodec.literal("K", "U", "T")),
  lastKey: HeaderCodec.optional(HeaderCodec.string),
  uniqueKeyQuery: HeaderCodec.named("_UNIQUE_KEY_QUERY", HeaderCodec.optional(HeaderCodec.boolean)),
  brokerName: HeaderCodec.brokerName
})

const responseHeader = HeaderCodec.struct({
  indexLastUpdateTimestamp: HeaderCodec.optional(HeaderCodec.long),
  indexLastUpdatePhyoffset: HeaderCodec.optional(HeaderCodec.long)
})

/** What a client sends. */
export const request = (value: QueryMessageHeader): Request => ({
  code: RequestCode.QUERY_MESSAGE,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): QueryMessageHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (value: QueryMessageAnswer): Response => ({
  code: ResponseCode.SUCCESS,
  extFields: responseHeader.encode(value),
  body: value.body
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): QueryMessageAnswer | DecodeError => {
  const value = responseHeader.decode(RequestCode.QUERY_MESSAGE, cmd.extFields)
  return value instanceof DecodeError ? value : { ...value, body: cmd.body }
}
