import type { Message } from "../message/Message.ts"

/** Names of message properties that RocketMQ gives a meaning. Source: RocketMQ `MessageConst`. */
export const MessageConst = {
  KEYS: "KEYS",
  TAGS: "TAGS",
  WAIT_STORE_MSG_OK: "WAIT",
  DELAY_TIME_LEVEL: "DELAY",
  RETRY_TOPIC: "RETRY_TOPIC",
  ORIGIN_GROUP: "ORIGIN_GROUP",
  REAL_TOPIC: "REAL_TOPIC",
  REAL_QUEUE_ID: "REAL_QID",
  TRANSACTION_PREPARED: "TRAN_MSG",
  PRODUCER_GROUP: "PGROUP",
  MIN_OFFSET: "MIN_OFFSET",
  MAX_OFFSET: "MAX_OFFSET",
  BUYER_ID: "BUYER_ID",
  ORIGIN_MESSAGE_ID: "ORIGIN_MESSAGE_ID",
  TRANSFER_FLAG: "TRANSFER_FLAG",
  CORRECTION_FLAG: "CORRECTION_FLAG",
  MQ2_FLAG: "MQ2_FLAG",
  RECONSUME_TIME: "RECONSUME_TIME",
  MAX_RECONSUME_TIMES: "MAX_RECONSUME_TIMES",
  CONSUME_START_TIMESTAMP: "CONSUME_START_TIME",
  MSG_REGION: "MSG_REGION",
  TRACE_SWITCH: "TRACE_ON",
  UNIQ_KEY: "UNIQ_KEY",
  EXTEND_UNIQ_INFO: "EXTEND_UNIQ_INFO",
  DUP_INFO: "DUP_INFO",
  TRANS_OFFSET: "TRANS_OFFSET",
  CHECK_IMMUNITY_TIME_IN_SECONDS: "CHECK_IMMUNITY_TIME_IN_SECONDS",
  TRANSACTION_PREPARED_QUEUE_OFFSET: "TRAN_PREPARED_QUEUE_OFFSET",
  TRANSACTION_ID: "__transactionId__",
  TRANSACTION_CHECK_TIMES: "TRANSACTION_CHECK_TIMES",
  INSTANCE_ID: "INSTANCE_ID",
  CORRELATION_ID: "CORRELATION_ID",
  MESSAGE_REPLY_TO_CLIENT: "REPLY_TO_CLIENT",
  MESSAGE_TTL: "TTL",
  REPLY_MESSAGE_ARRIVE_TIME: "ARRIVE_TIME",
  PUSH_REPLY_TIME: "PUSH_REPLY_TIME",
  CLUSTER: "CLUSTER",
  MESSAGE_TYPE: "MSG_TYPE",
  POP_CK: "POP_CK",
  POP_CK_OFFSET: "POP_CK_OFFSET",
  FIRST_POP_TIME: "1ST_POP_TIME",
  SHARDING_KEY: "__SHARDINGKEY",
  LITE_TOPIC: "__LITE_TOPIC",
  FORWARD_QUEUE_ID: "PROPERTY_FORWARD_QUEUE_ID",
  REDIRECT: "REDIRECT",
  INNER_MULTI_DISPATCH: "INNER_MULTI_DISPATCH",
  INNER_MULTI_QUEUE_OFFSET: "INNER_MULTI_QUEUE_OFFSET",
  INNER_NUM: "INNER_NUM",
  INNER_BASE: "INNER_BASE",
  PRIORITY: "_SYS_MSG_PRIORITY_",
  TRACE_CONTEXT: "TRACE_CONTEXT",
  TIMER_DELAY_SEC: "TIMER_DELAY_SEC",
  TIMER_DELAY_MS: "TIMER_DELAY_MS",
  TIMER_DELIVER_MS: "TIMER_DELIVER_MS",
  TIMER_ENQUEUE_MS: "TIMER_ENQUEUE_MS",
  TIMER_DEQUEUE_MS: "TIMER_DEQUEUE_MS",
  TIMER_ROLL_TIMES: "TIMER_ROLL_TIMES",
  TIMER_OUT_MS: "TIMER_OUT_MS",
  TIMER_DEL_UNIQKEY: "TIMER_DEL_UNIQKEY",
  TIMER_DELAY_LEVEL: "TIMER_DELAY_LEVEL",
  TIMER_ROLL_LABEL: "TIMER_ROLL_LABEL",
  BORN_HOST: "__BORNHOST",
  BORN_TIMESTAMP: "BORN_TIMESTAMP",
  CRC32: "__CRC32#",
  DLQ_ORIGIN_TOPIC: "DLQ_ORIGIN_TOPIC",
  DLQ_ORIGIN_MESSAGE_ID: "DLQ_ORIGIN_MESSAGE_ID"
} as const

const free: ReadonlySet<string> = new Set([
  MessageConst.TRANS_OFFSET,
  MessageConst.CHECK_IMMUNITY_TIME_IN_SECONDS,
  MessageConst.TRANSACTION_ID,
  MessageConst.TRANSACTION_CHECK_TIMES,
  MessageConst.SHARDING_KEY,
  MessageConst.FORWARD_QUEUE_ID,
  MessageConst.REDIRECT,
  MessageConst.INNER_MULTI_DISPATCH,
  MessageConst.INNER_NUM,
  MessageConst.INNER_BASE,
  MessageConst.TRACE_CONTEXT,
  MessageConst.TIMER_ROLL_LABEL
])

const reserved: ReadonlySet<string> = new Set(Object.values(MessageConst).filter((name) => !free.has(name)))

/** Whether only RocketMQ itself may set the property. Source: RocketMQ `MessageConst.STRING_HASH_SET`. */
export const isReserved = (name: string): boolean => reserved.has(name)

/** What stands behind a property's name in a property text, and behind a field of a message trace. */
export const NAME_END = "\u0001"
/** What stands behind a property's value in a property text, and behind a record of a message trace. */
export const VALUE_END = "\u0002"

/** Whether a text contains one of the two characters that separate properties. */
export const hasSeparator = (text: string): boolean => text.includes(NAME_END) || text.includes(VALUE_END)

/** One property as it stands in a property text. */
export const property = (name: string, value: string): string => `${name}${NAME_END}${value}${VALUE_END}`

/** A property text with one property more. */
export const append = (text: string, name: string, value: string): string =>
  `${text}${text === "" || text.endsWith(VALUE_END) ? "" : VALUE_END}${property(name, value)}`

/** The value of one property in a property text; undefined when it is not there. */
export const valueIn = (text: string, name: string): string | undefined => {
  const mark = `${name}${NAME_END}`
  const found = text.startsWith(mark) ? 0 : text.indexOf(`${VALUE_END}${mark}`)
  if (found < 0) return undefined
  const from = text.indexOf(NAME_END, found) + 1
  const end = text.indexOf(VALUE_END, from)
  return text.slice(from, end < 0 ? text.length : end)
}

/**
 * The property text of a message that leaves: the unique id, `WAIT`, the tag, the keys, and what the user set. Written
 * piece by piece and not by way of a record, because every send does it.
 */
export const ofMessage = (message: Message, msgId: string): string => {
  let text = `${MessageConst.UNIQ_KEY}${NAME_END}${msgId}${VALUE_END}${MessageConst.WAIT_STORE_MSG_OK}${NAME_END}${message.waitStoreMsgOK ?? true}${VALUE_END}`
  if (message.tags !== undefined) text += `${MessageConst.TAGS}${NAME_END}${message.tags}${VALUE_END}`
  if (message.keys !== undefined && message.keys.length > 0) {
    text += `${MessageConst.KEYS}${NAME_END}${message.keys.join(" ")}${VALUE_END}`
  }
  if (message.properties !== undefined) {
    for (const name of Object.keys(message.properties)) {
      text += `${name}${NAME_END}${message.properties[name]}${VALUE_END}`
    }
  }
  return text
}

/**
 * Writes properties as one text: name U+0001 value U+0002, repeated. Names and values must not contain the two
 * characters, and an entry with an empty name or value does not come back.
 *
 * Source: RocketMQ `MessageDecoder.messageProperties2String`.
 */
export const encode = (properties: Readonly<Record<string, string>>): string => {
  let out = ""
  for (const name in properties) {
    const value = properties[name]
    if (value !== undefined) out += name + NAME_END + value + VALUE_END
  }
  return out
}

const NAME_END_CODE = NAME_END.charCodeAt(0)

/** Names of properties that are remembered; a message has a dozen of them, unless somebody means harm. */
const MAX_NAMES = 32

/**
 * Reads properties from their text, with or without the last U+0002; entries without a name or a value are left out, as
 * in Java. The result has no prototype, so `properties["constructor"]` is undefined unless somebody sent it.
 *
 * `names` are those of the text that was read before, and then those of this one. Messages of one topic have the same ones
 * in the same order, and a name that is known already needs not be cut out and looked up.
 *
 * Source: RocketMQ `MessageDecoder.string2messageProperties`.
 */
export const decode = (text: string, names: Array<string> = []): Record<string, string> => {
  const out: Record<string, string> = Object.create(null)
  let at = 0
  let nameEnd = -1
  for (let index = 0; at < text.length; index++) {
    const known = names[index]
    const isKnown =
      known !== undefined && text.charCodeAt(at + known.length) === NAME_END_CODE && text.startsWith(known, at)
    if (isKnown) nameEnd = at + known.length
    // The next name's end is looked for once, not once per entry: the work stays linear whatever the text.
    else if (nameEnd < at) nameEnd = text.indexOf(NAME_END, at)
    if (nameEnd < 0) break
    let valueEnd = text.indexOf(VALUE_END, at)
    if (valueEnd < 0) valueEnd = text.length
    if (nameEnd > at && nameEnd < valueEnd - 1) {
      const name = isKnown ? known : text.slice(at, nameEnd)
      if (!isKnown && index < MAX_NAMES) names[index] = name
      out[name] = text.slice(nameEnd + 1, valueEnd)
    }
    at = valueEnd + 1
  }
  return out
}
