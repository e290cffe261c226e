import * as MixAll from "../../message/MixAll.ts"
import * as Remarks from "./Remarks.ts"

/** Topics of retries and of dead letters are as long as a group's name makes them. */
const RETRY_OR_DLQ_MAX_LENGTH = 255

/** Why a topic cannot have that name; `legacy` is before 5.0.0. Source: RocketMQ `TopicValidator.validateTopic`. */
export const topicRefusal = (topic: string, legacy: boolean): string | undefined => {
  if (topic.trim() === "") return Remarks.TOPIC_BLANK
  if (!MixAll.isValidName(topic)) return Remarks.topicIllegalCharacters(topic, legacy)
  const retryOrDlq =
    topic.startsWith(MixAll.RETRY_GROUP_TOPIC_PREFIX) || topic.startsWith(MixAll.DLQ_GROUP_TOPIC_PREFIX)
  if (!legacy && retryOrDlq) {
    return topic.length > RETRY_OR_DLQ_MAX_LENGTH
      ? Remarks.retryTopicTooLong(topic, RETRY_OR_DLQ_MAX_LENGTH)
      : undefined
  }
  return topic.length > MixAll.TOPIC_MAX_LENGTH
    ? Remarks.topicTooLong(topic, MixAll.TOPIC_MAX_LENGTH, legacy)
    : undefined
}

/** Why a group cannot have that name; brokers before 5.0.0 take any. Source: RocketMQ `TopicValidator.validateGroup`. */
export const groupRefusal = (group: string): string | undefined => {
  if (group.trim() === "") return "The specified group is blank."
  if (!MixAll.isValidName(group)) return Remarks.groupIllegalCharacters(group)
  return group.length > MixAll.GROUP_MAX_LENGTH ? Remarks.groupTooLong(group, MixAll.GROUP_MAX_LENGTH) : undefined
}
