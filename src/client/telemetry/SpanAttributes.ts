import { MessageConst } from "../../protocol/MessageProperties.ts"
import * as Address from "../../transport/Address.ts"

/** The server that was spoken to, by OpenTelemetry's conventions; nothing where no address is known. */
export const serverAttributes = (address: string | undefined): Record<string, unknown> => {
  const parsed = address === undefined ? undefined : Address.parse(address)
  return parsed === undefined || "_tag" in parsed ? {} : { "server.address": parsed.host, "server.port": parsed.port }
}

const number = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined

/** What the properties of a message say of its kind, by OpenTelemetry's conventions: its group, its delay, whose request it belongs to. */
export const propertyAttributes = (properties: Readonly<Record<string, string>>): Record<string, unknown> => {
  const attributes: Record<string, unknown> = {}
  const set = (name: string, value: string | number | undefined) => {
    if (value !== undefined) attributes[name] = value
  }
  set("messaging.rocketmq.message.group", properties[MessageConst.SHARDING_KEY])
  set("messaging.rocketmq.message.delay_time_level", number(properties[MessageConst.DELAY_TIME_LEVEL]))
  set("messaging.rocketmq.message.delivery_timestamp", number(properties[MessageConst.TIMER_DELIVER_MS]))
  set("messaging.message.conversation_id", properties[MessageConst.CORRELATION_ID])
  return attributes
}
