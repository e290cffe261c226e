import type { ExtFields } from "./ExtFields.ts"
import type { OutputBuffer } from "./OutputBuffer.ts"

export type { ExtFields } from "./ExtFields.ts"

/** How a frame's header is written. Source: RocketMQ `SerializeType`. */
export type SerializeType = "JSON" | "ROCKETMQ"

/** One frame, decoded: a request, an answer or a one-way request, by its `flag`. */
export interface RemotingCommand {
  /** A `RequestCode` in a request, a `ResponseCode` in an answer. */
  readonly code: number
  /** What the sender is written in, a name of `LanguageCode`; any text in a frame that was received. */
  readonly language: string
  /** The sender's release, see `MQVersion`. */
  readonly version: number
  /** The sender's number for a request; an answer repeats it. A 32-bit int. */
  readonly opaque: number
  /** {@link RESPONSE_FLAG} and {@link ONEWAY_FLAG}. */
  readonly flag: number
  /** Text for people, the reason of a failure in answers; undefined when absent. */
  readonly remark: string | undefined
  /** Undefined when absent, `{}` when present and empty (the binary form knows only absent). */
  readonly extFields: ExtFields | undefined
  /** Zero length when absent: the wire does not tell the two apart. */
  readonly body: Uint8Array
  /** How the header was written; the answer may come in the other form. */
  readonly serializeType: SerializeType
}

/** The `extFields` of a request that can write them as JSON without a record. */
export interface FieldsText {
  /** More bytes than this are not written. */
  readonly maxBytes: number
  /** Appends the JSON object, which must say what the record says; the room is there. */
  readonly put: (out: OutputBuffer) => void
}

/** What a sender builds; `opaque`, `flag`, `version` and `language` are the connection's. */
export interface Request {
  /** One of `RequestCode`. */
  readonly code: number
  /** Text for people; few requests have one. */
  readonly remark?: string | undefined
  /** The header fields as texts; undefined where the request has none. */
  readonly extFields: ExtFields | undefined
  /**
   * The same as text, in the requests that are sent most. Hooks get requests without it.
   *
   * @internal
   */
  readonly fieldsText?: FieldsText | undefined
  /** What stands behind the header; nothing when absent. */
  readonly body?: Uint8Array | undefined
}

/** What a receiver answers; the connection adds the rest. */
export interface Response {
  /** One of `ResponseCode`; 0 is success. */
  readonly code: number
  /** A text for people, most often an error's; absent otherwise. */
  readonly remark?: string | undefined
  /** The header fields as texts; none when absent. */
  readonly extFields?: ExtFields | undefined
  /** What stands behind the header; nothing when absent. */
  readonly body?: Uint8Array | undefined
}

/** Bit of `flag`: the frame is an answer. */
export const RESPONSE_FLAG = 1
/** Bit of `flag`: the sender expects no answer. */
export const ONEWAY_FLAG = 2

/** Whether the frame answers a request. */
export const isResponse = (cmd: RemotingCommand): boolean => (cmd.flag & RESPONSE_FLAG) !== 0

/** Whether the sender expects no answer. */
export const isOneway = (cmd: RemotingCommand): boolean => (cmd.flag & ONEWAY_FLAG) !== 0

/** The body of a frame that has none. */
export const emptyBody: Uint8Array = new Uint8Array(0)
