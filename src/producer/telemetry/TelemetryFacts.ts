import { Cause } from "effect"
import { type MessageType, typeOf } from "../../client/telemetry/MessageType.ts"
import { keysOf } from "../../message/MessageExt.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"
import * as MessageProperties from "../../protocol/MessageProperties.ts"
import type { PreparedMessage } from "../send/PreparedMessage.ts"
import type { SendError } from "../send/SendError.ts"

/** What a ready message says of itself, read back from its property text: only for sends that somebody watches. */
export interface MessageFacts {
  readonly type: MessageType
  readonly tags: string | undefined
  readonly keys: ReadonlyArray<string>
  /** How many messages it holds: 1 unless it is a batch. */
  readonly count: number
  /** All properties as they leave, those of RocketMQ included. */
  readonly properties: Readonly<Record<string, string>>
}

/** Reads the facts of a message. */
export const factsOf = (prepared: PreparedMessage): MessageFacts => {
  const properties = MessageProperties.decode(prepared.properties)
  return {
    type: typeOf(properties),
    tags: properties[MessageConst.TAGS],
    keys: keysOf(properties[MessageConst.KEYS]),
    count: prepared.count,
    properties
  }
}

/**
 * What went wrong, in one word of a small set, for `error.type`: the server's code by name, else the tag of the reason;
 * `interrupted` for a send that was interrupted, `_OTHER` for a defect.
 */
export const errorType = (cause: Cause.Cause<SendError>): string => {
  for (const reason of cause.reasons) {
    if (reason._tag !== "Fail") continue
    const { reason: why } = reason.error
    return why._tag === "BrokerRejected" ? why.codeName : why._tag
  }
  return Cause.hasInterruptsOnly(cause) ? "interrupted" : "_OTHER"
}
