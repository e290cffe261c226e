/**
 * By what a delayed message can be recalled: brokers of 5.3 and later hand it out with the answer to the send.
 *
 * ```text
 * base64url with padding, of: "v1" topic brokerName deliverMillis UNIQ_KEY, separated by one space
 * ```
 *
 * Source: RocketMQ `RecallMessageHandle`.
 */
export interface RecallHandle {
  /** The topic that the message is for. */
  readonly topic: string
  /** The broker that holds the message. */
  readonly brokerName: string
  /** When it would be delivered, in milliseconds since the epoch. */
  readonly deliverMillis: number
  /** The client's unique id of the message. */
  readonly msgId: string
}

const VERSION = "v1"

/** Writes a handle; a broker may have read any 64-bit int as the time. */
export const encode = (handle: Omit<RecallHandle, "deliverMillis"> & { deliverMillis: number | bigint }): string => {
  const base64 = Buffer.from(
    [VERSION, handle.topic, handle.brokerName, handle.deliverMillis, handle.msgId].join(" "),
    "utf8"
  ).toString("base64url")
  return base64.padEnd(Math.ceil(base64.length / 4) * 4, "=")
}

/** Reads a handle; undefined when the text is none. */
export const decode = (text: string): RecallHandle | undefined => {
  if (!/^[A-Za-z0-9_-]+={0,2}$/.test(text)) return undefined
  const [version, topic, brokerName, deliver, msgId] = Buffer.from(text, "base64url").toString("utf8").split(" ")
  if (version !== VERSION || topic === undefined || brokerName === undefined || msgId === undefined) return undefined
  const deliverMillis = /^\d{1,16}$/.test(deliver ?? "") ? Number(deliver) : Number.NaN
  if (topic === "" || brokerName === "" || msgId === "" || !Number.isSafeInteger(deliverMillis)) return undefined
  return { topic, brokerName, deliverMillis, msgId }
}
