import type { PullMessageAnswer } from "../protocol/request/PullMessage.ts"

/** Where a queue stands, and where and whom to ask next: what every answer to a pull says. */
export interface PullPosition {
  /** The offset to pull from next. */
  readonly nextBeginOffset: number
  /** The offset of the oldest message that the queue still has. */
  readonly minOffset: number
  /** The offset that the next message of the queue will get. */
  readonly maxOffset: number
  /** The id of the broker to pull from next, under the same name; 0 is the master. */
  readonly suggestWhichBrokerId: number
}

/**
 * What a broker answered to a pull; none of these is a failure.
 *
 * - `Found`: there are messages, as `A` has them.
 * - `NoNewMessage`: the queue has none at this offset yet, or none came while the broker held the request.
 * - `NoMatchedMessage`: those at this offset do not match the subscription; pull again, from `nextBeginOffset`.
 * - `OffsetIllegal`: the offset lies outside the queue; `nextBeginOffset` is where to go on.
 *
 * Source: RocketMQ `PullStatus`, `PullResultExt`.
 */
export type PullOutcome<A> = (PullFound & A) | PullNothing | PullMoved

/** An answer with messages. */
export interface PullFound extends PullPosition {
  /** Tells it from {@link PullNothing}. */
  readonly _tag: "Found"
}

/** An answer without messages. */
export interface PullNothing extends PullPosition {
  /** Why there are none, see {@link PullOutcome}. */
  readonly _tag: "NoNewMessage" | "NoMatchedMessage"
}

/** An answer that sends the group elsewhere. */
export interface PullMoved extends PullPosition {
  /** Why there are no messages, see {@link PullOutcome}. */
  readonly _tag: "OffsetIllegal"
  /** Whether somebody has reset where the group reads on; else the queue does not have the offset. */
  readonly reset: boolean
}

/** What was found as it lies on the broker. */
export interface StoredMessages {
  /** The messages one behind the other, as `MessageCodec` reads them. */
  readonly stored: Uint8Array
  /** To be added to the queue offset of each, which is that of a physical queue of a static topic; 0 for others. */
  readonly offsetDelta: number
}

/** An answer as what it means. */
export const ofAnswer = (answer: PullMessageAnswer): PullOutcome<StoredMessages> => {
  const { maxOffset, minOffset, nextBeginOffset, suggestWhichBrokerId } = answer
  const position: PullPosition = { nextBeginOffset, minOffset, maxOffset, suggestWhichBrokerId }
  switch (answer.status) {
    case "FOUND":
      return { _tag: "Found", ...position, stored: answer.body, offsetDelta: answer.offsetDelta ?? 0 }
    case "NO_NEW_MSG":
      return { _tag: "NoNewMessage", ...position }
    case "NO_MATCHED_MSG":
      return { _tag: "NoMatchedMessage", ...position }
    default:
      return { _tag: "OffsetIllegal", ...position, reset: answer.reset === true }
  }
}
