import type { Message } from "../../message/Message.ts"
import { MAX_PROPERTIES_LENGTH } from "../../message/MixAll.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"
import { makeRequests, type SendMessageRequests } from "../../protocol/request/SendMessage.ts"
import type { ProducerConfig } from "../ProducerConfig.ts"
import { InvalidMessage } from "./SendError.ts"

const NAME = "\u0001"
const END = "\u0002"

/** One property as it stands in a property text. */
export const property = (name: string, value: string): string => `${name}${NAME}${value}${END}`

/**
 * The property text of a message: what the user set, and the keys, the tag, `WAIT` and the unique id. Written here and
 * not by way of a record, because every send does it.
 */
export const properties = (message: Message, msgId: string): string => {
  let text = `${MessageConst.UNIQ_KEY}${NAME}${msgId}${END}${MessageConst.WAIT_STORE_MSG_OK}${NAME}${message.waitStoreMsgOK ?? true}${END}`
  if (message.tags !== undefined) text += `${MessageConst.TAGS}${NAME}${message.tags}${END}`
  if (message.keys !== undefined && message.keys.length > 0) {
    text += `${MessageConst.KEYS}${NAME}${message.keys.join(" ")}${END}`
  }
  if (message.properties !== undefined) {
    for (const name of Object.keys(message.properties)) text += `${name}${NAME}${message.properties[name]}${END}`
  }
  return text
}

/** Whether the property text is too long for its 16-bit length field; a UTF-16 unit takes 3 bytes at most. */
export const checkProperties = (topic: string, text: string): InvalidMessage | undefined => {
  if (text.length * 3 <= MAX_PROPERTIES_LENGTH) return undefined
  const length = Buffer.byteLength(text)
  return length <= MAX_PROPERTIES_LENGTH
    ? undefined
    : new InvalidMessage({
        topic,
        field: "properties",
        problem: `take ${length} bytes with keys and tags, at most ${MAX_PROPERTIES_LENGTH} are allowed`
      })
}

/** Makes the requests of a producer's sends, one for each attempt, as they go on the wire. */
export const make = (config: ProducerConfig): SendMessageRequests =>
  makeRequests({
    producerGroup: config.producerGroup,
    defaultTopic: config.createTopicKey,
    defaultTopicQueueNums: config.defaultTopicQueueNums,
    unitMode: config.unitMode
  })
