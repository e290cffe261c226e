import type { Outgoing } from "./Outgoing.ts"
import type { InvalidMessage } from "./SendError.ts"
import * as SendRequest from "./SendRequest.ts"

const NAME = "\u0001"
const END = "\u0002"

/**
 * A ready message with further properties, which must be names that only RocketMQ itself sets: users cannot have set
 * them, so that none is there twice.
 */
export const withProperties = (
  outgoing: Outgoing,
  properties: Readonly<Record<string, string>>
): Outgoing | InvalidMessage => {
  const text = Object.entries(properties).reduce(
    (before, [name, value]) => `${before}${name}${NAME}${value}${END}`,
    outgoing.properties
  )
  return SendRequest.checkProperties(outgoing.topic, text) ?? { ...outgoing, properties: text }
}
