import { MessageConst } from "../../protocol/MessageProperties.ts"

/** What kind of message it is, in OpenTelemetry's words. */
export type MessageType = "normal" | "fifo" | "delay" | "transaction"

/** What the properties of a message say of its kind. */
export const typeOf = (properties: Readonly<Record<string, string>>): MessageType => {
  if (properties[MessageConst.TRANSACTION_PREPARED] === "true") return "transaction"
  if (
    properties[MessageConst.DELAY_TIME_LEVEL] !== undefined ||
    properties[MessageConst.TIMER_DELIVER_MS] !== undefined ||
    properties[MessageConst.TIMER_DELAY_MS] !== undefined ||
    properties[MessageConst.TIMER_DELAY_SEC] !== undefined
  ) {
    return "delay"
  }
  return properties[MessageConst.SHARDING_KEY] === undefined ? "normal" : "fifo"
}
