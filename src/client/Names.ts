import { GROUP_MAX_LENGTH, isValidName, TOPIC_MAX_LENGTH, VALID_NAME_PATTERN } from "../message/MixAll.ts"
import { ILL_FORMED } from "../message/WellFormed.ts"
import { InvalidGroup } from "./ClientError.ts"

/**
 * Checks the name of a producer's or a consumer's group; `reserved` are those that RocketMQ keeps for itself.
 *
 * Source: RocketMQ `Validators.checkGroup`, `DefaultMQProducerImpl.checkConfig`.
 */
export const checkGroup = (group: string, reserved: ReadonlySet<string>): InvalidGroup | undefined => {
  const invalid = (problem: InvalidGroup["problem"], detail: string) =>
    new InvalidGroup({ group: group.toWellFormed(), problem, detail })
  if (typeof group !== "string") {
    return new InvalidGroup({ group: String(group), problem: "illegal-characters", detail: "it is no text" })
  }
  if (group.trim() === "") return invalid("blank", "it is blank")
  if (group.length > GROUP_MAX_LENGTH) {
    return invalid("too-long", `it has ${group.length} characters, at most ${GROUP_MAX_LENGTH} are allowed`)
  }
  if (!group.isWellFormed()) return invalid("illegal-characters", `it ${ILL_FORMED}`)
  if (!isValidName(group)) return invalid("illegal-characters", `allowed is ${VALID_NAME_PATTERN}`)
  return reserved.has(group) ? invalid("reserved", "RocketMQ reserves the name, choose another") : undefined
}

/** Topics that something may not be done to: which, and what that is (`sending to`). */
export interface ReservedTopics {
  readonly has: (topic: string) => boolean
  readonly action: string
}

/** Checks the name of a topic; gives what is wrong with it, as a sentence about the topic goes on. Source: RocketMQ `Validators.checkTopic`. */
export const checkTopic = (topic: string, reserved: ReservedTopics): string | undefined => {
  if (typeof topic !== "string") return "is no text"
  if (topic.trim() === "") return "is blank"
  if (topic.length > TOPIC_MAX_LENGTH) return `has ${topic.length} characters, at most ${TOPIC_MAX_LENGTH} are allowed`
  if (!topic.isWellFormed()) return ILL_FORMED
  if (!isValidName(topic)) return `has characters that are not allowed (${VALID_NAME_PATTERN})`
  return reserved.has(topic) ? `belongs to RocketMQ itself; ${reserved.action} it is forbidden` : undefined
}
