import { Schema } from "effect"

/** Which part of a frame could not be read. */
export type FrameErrorKind = "length" | "headerLength" | "serializeType" | "header"

/**
 * Bytes from a peer that are no RocketMQ frame. The stream has lost its place, so the connection must be closed.
 *
 * - `length`: the frame length is negative, too small or above the limit
 * - `headerLength`: the header does not fit into the frame
 * - `serializeType`: the header is neither JSON nor the binary form
 * - `header`: the header cannot be read
 */
export class FrameError extends Schema.TaggedError<FrameError>()("FrameError", {
  /** Which part of the frame; see above. */
  kind: Schema.Literals(["length", "headerLength", "serializeType", "header"]),
  /** What was found there and what would have been right. */
  detail: Schema.String
}) {
  override get message(): string {
    return `The peer sent bytes that are no RocketMQ frame (${this.kind}): ${this.detail}. Check that the address is a RocketMQ name server or broker and not, for instance, a TLS or HTTP port.`
  }
}
