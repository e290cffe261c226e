import { Cause, type Exit } from "effect"
import { type MessageType, typeOf } from "../../client/telemetry/MessageType.ts"
import { keysOf } from "../../message/MessageExt.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"
import * as MessageProperties from "../../protocol/MessageProperties.ts"
import type { Outgoing } from "../send/Outgoing.ts"
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

/** How many messages leave with one send. */
export const countOf = (outgoing: Outgoing): number =>
  outgoing.form === "BATCH" ? outgoing.msgId.split(",").length : 1

/** Reads the facts of a message. */
export const factsOf = (outgoing: Outgoing): MessageFacts => {
  const properties = MessageProperties.decode(outgoing.properties)
  return {
    type: typeOf(properties),
    tags: properties[MessageConst.TAGS],
    keys: keysOf(properties[MessageConst.KEYS]),
    count: countOf(outgoing),
    properties
  }
}

/**
 * What went wrong, in one word of a small set, for `error.type`: the server's code by name, else the tag of the reason;
 * `interrupted` for a send that was given up, `_OTHER` for a defect. Undefined for a success.
 */
export const errorType = (exit: Exit.Exit<unknown, SendError>): string | undefined => {
  if (exit._tag === "Success") return undefined
  for (const reason of exit.cause.reasons) {
    if (reason._tag !== "Fail") continue
    const { reason: why } = reason.error
    return why._tag === "BrokerRejected" ? why.codeName : why._tag
  }
  return Cause.hasInterruptsOnly(exit.cause) ? "interrupted" : "_OTHER"
}
