import { isValidName, RMQ_SYS_TRACE_TOPIC, TOPIC_MAX_LENGTH, VALID_NAME_PATTERN } from "../../message/MixAll.ts"
import { show, type TableOf } from "./Option.ts"
import * as Kinds from "./OptionKinds.ts"

/** RocketMQ's message traces, which producers and consumers switch on with the same words. */
export interface TraceOptions {
  /**
   * Whether RocketMQ's message traces are sent, by a producer for each acknowledged message, by a consumer before and after
   * each handler; default false (Java `enableTrace`, `enableMsgTrace`).
   */
  readonly enableTrace?: boolean | undefined
  /** The topic that message traces go to; default `RMQ_SYS_TRACE_TOPIC` (Java `traceTopic`, `customizedTraceTopic`). */
  readonly traceTopic?: string | undefined
}

/** What is wrong with a topic's name, as an option tells it. */
export const problemOfTopic = (topic: string): string | undefined =>
  topic.length > TOPIC_MAX_LENGTH || !isValidName(topic)
    ? `${show(topic)} is no topic name (1 to ${TOPIC_MAX_LENGTH} characters, ${VALID_NAME_PATTERN})`
    : undefined

const SAME = "the same"

/** The table of {@link TraceOptions}. */
export const table = {
  enableTrace: Kinds.boolean({ name: "enable-msg-trace", java: SAME, default: false }),
  traceTopic: Kinds.text({
    name: "customized-trace-topic",
    java: SAME,
    default: RMQ_SYS_TRACE_TOPIC,
    check: problemOfTopic
  })
} satisfies TableOf<TraceOptions>
