/** What a recall needs to know of a timer message. Source: RocketMQ `RecallMessageHandle.HandleV1`. */
export interface RecallHandle {
  readonly topic: string
  readonly brokerName: string
  /** Milliseconds since the epoch as text, as the sender of a recall wrote it. */
  readonly timestamp: string
  /** The client's unique id of the message. */
  readonly uniqueKey: string
}

/** Writes the handle: the base64 (for URLs) of `v1 <topic> <broker> <time> <unique id>`. */
export const encode = ({ brokerName, timestamp, topic, uniqueKey }: RecallHandle): string => {
  const base64 = Buffer.from(`v1 ${topic} ${brokerName} ${timestamp} ${uniqueKey}`, "utf8").toString("base64")
  return base64.replaceAll("+", "-").replaceAll("/", "_")
}

/** Reads a handle; `undefined` when it is none. */
export const decode = (handle: string): RecallHandle | undefined => {
  if (!/^[-_A-Za-z0-9]+={0,2}$/.test(handle)) return undefined
  const [version, topic, brokerName, timestamp, uniqueKey] = Buffer.from(handle, "base64url")
    .toString("utf8")
    .split(" ")
  return version !== "v1" ||
    topic === undefined ||
    brokerName === undefined ||
    timestamp === undefined ||
    uniqueKey === undefined
    ? undefined
    : { topic, brokerName, timestamp, uniqueKey }
}
