import { Schema } from "effect"
import { requestCodeName } from "./RequestCode.ts"

/**
 * A frame that was read, but whose header fields or body are not what its request code promises.
 *
 * `code` is the request code (for an answer: that of the request it answers; -1 when no request is known), `field` the
 * name of the field or a path into the body.
 */
export class DecodeError extends Schema.TaggedError<DecodeError>()("DecodeError", {
  /** The request code: of an answer, that of the request it answers; -1 when no request is known. */
  code: Schema.Number,
  /** The name of the header field, or a path into the body. */
  field: Schema.String,
  /** What is wrong with it, in a few words. */
  detail: Schema.String
}) {
  override get message(): string {
    const where = this.code < 0 ? "The bytes" : `${requestCodeName(this.code)} (${this.code})`
    return `${where} cannot be decoded at ${this.field}: ${this.detail}. The peer may speak another version of the protocol.`
  }
}
