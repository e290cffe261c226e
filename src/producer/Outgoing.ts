import type { Message } from "../message/Message.ts"
import type { UniqueIds } from "../message/MessageId.ts"
import { TOPIC_MAX_LENGTH } from "../message/MixAll.ts"
import * as Namespace from "../message/Namespace.ts"
import type { SendMessageForm } from "../protocol/request/SendMessage.ts"
import type { ProducerConfig } from "./ProducerConfig.ts"
import { InvalidMessage } from "./SendError.ts"
import * as SendRequest from "./SendRequest.ts"
import { checkMessage } from "./Validators.ts"

/**
 * A message made ready to leave: everything that stays the same over all attempts of a send.
 */
export interface Outgoing {
  /** The topic without its namespace, which the request gets when it leaves. */
  readonly topic: string
  /** The bytes that go on the wire. */
  readonly body: Uint8Array
  /** Bits of `SysFlag`. */
  readonly sysFlag: number
  readonly flag: number
  /** The unique id; those of the parts, joined by commas, for a batch. */
  readonly msgId: string
  /** The property text. */
  readonly properties: string
  readonly form: SendMessageForm
}

/** Checks a message and makes it ready. The message itself is left as it is. */
export const prepare = (
  config: ProducerConfig,
  message: Message,
  uniqueIds: UniqueIds,
  nowMillis: number
): Outgoing | InvalidMessage => {
  const problem = checkMessage(message, config.maxMessageSize)
  if (problem !== undefined) return problem
  const msgId = uniqueIds(nowMillis)
  const properties = SendRequest.properties(message, msgId)
  const tooLong = SendRequest.checkProperties(message.topic, properties)
  if (tooLong !== undefined) return tooLong
  const { namespace } = config
  if (namespace !== undefined && Namespace.wrap(namespace, message.topic).length > TOPIC_MAX_LENGTH) {
    const problem = `has more than ${TOPIC_MAX_LENGTH} characters together with the namespace ${namespace}`
    return new InvalidMessage({ topic: message.topic, field: "topic", problem })
  }
  return {
    topic: Namespace.unwrap(namespace, message.topic),
    body: message.body,
    sysFlag: 0,
    flag: message.flag ?? 0,
    msgId,
    properties,
    form: "V2"
  }
}
