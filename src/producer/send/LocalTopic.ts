import { TOPIC_MAX_LENGTH } from "../../message/MixAll.ts"
import * as Namespace from "../../message/Namespace.ts"
import type { ProducerConfig } from "../ProducerConfig.ts"
import { InvalidMessage } from "./SendError.ts"

/**
 * A message's topic as it is known inside the client: without the namespace, which requests get when they leave. It must
 * not become too long by that.
 */
export const localTopic = ({ namespace }: ProducerConfig, topic: string): string | InvalidMessage => {
  if (namespace === undefined) return topic
  if (Namespace.wrap(namespace, topic).length <= TOPIC_MAX_LENGTH) return Namespace.unwrap(namespace, topic)
  const problem = `has more than ${TOPIC_MAX_LENGTH} characters together with the namespace ${namespace}`
  return new InvalidMessage({ topic, field: "topic", problem })
}
