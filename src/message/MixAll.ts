/** Names and limits that the RocketMQ system fixes. Source: RocketMQ `MixAll`, `TopicValidator`, `Validators`. */

/** The template topic: a topic that nobody created yet is routed through it while brokers may create topics. */
export const AUTO_CREATE_TOPIC_KEY_TOPIC = "TBW102"
/** The topic that message traces go to. */
export const RMQ_SYS_TRACE_TOPIC = "RMQ_SYS_TRACE_TOPIC"
/** The producer group of a producer that was given none; reserved, so a start with it is refused. */
export const DEFAULT_PRODUCER_GROUP = "DEFAULT_PRODUCER"
/** The group of the producer inside every client instance. */
export const CLIENT_INNER_PRODUCER_GROUP = "CLIENT_INNER_PRODUCER"
/** Groups that no producer of a user may have. */
export const RESERVED_PRODUCER_GROUPS: ReadonlySet<string> = new Set([
  DEFAULT_PRODUCER_GROUP,
  CLIENT_INNER_PRODUCER_GROUP
])
/** The consumer group of a consumer that was given none; reserved. */
export const DEFAULT_CONSUMER_GROUP = "DEFAULT_CONSUMER"
/** Groups that no consumer of a user may have. */
export const RESERVED_CONSUMER_GROUPS: ReadonlySet<string> = new Set([DEFAULT_CONSUMER_GROUP])
/** Prefix of the topic from which a consumer group reads what it failed to process. */
export const RETRY_GROUP_TOPIC_PREFIX = "%RETRY%"
/** Prefix of the topic that keeps what a consumer group gave up on. */
export const DLQ_GROUP_TOPIC_PREFIX = "%DLQ%"
/** The id of a broker that is a master. */
export const MASTER_ID = 0
/** Longest topic name in characters. */
export const TOPIC_MAX_LENGTH = 127
/** Longest group name in characters (5.x; 4.x servers accept 255). */
export const GROUP_MAX_LENGTH = 120
/** Largest message body in bytes: 4 MiB (Java `maxMessageSize`). */
export const MAX_MESSAGE_SIZE = 4_194_304
/** Largest encoded property string in bytes; its length is a signed 16-bit field. */
export const MAX_PROPERTIES_LENGTH = 32_767
/** Queues that a topic gets when a send creates it (Java `defaultTopicQueueNums`). */
export const DEFAULT_TOPIC_QUEUE_NUMS = 4
/** The instance name of a client that was given none. */
export const DEFAULT_INSTANCE_NAME = "DEFAULT"

/** Topic permission bits. Source: RocketMQ `PermName`. */
export const PermName = { INHERIT: 1, WRITE: 2, READ: 4, PRIORITY: 8 } as const

/** What a topic or group name may consist of. */
export const VALID_NAME_PATTERN = "^[%|a-zA-Z0-9_-]+$"
const validName = /^[%|a-zA-Z0-9_-]+$/

/** Whether every character of a topic or group name is one that RocketMQ allows. */
export const isValidName = (name: string): boolean => validName.test(name)

const forbiddenTopics: ReadonlySet<string> = new Set([
  "SCHEDULE_TOPIC_XXXX",
  "RMQ_SYS_TRANS_HALF_TOPIC",
  "RMQ_SYS_TRANS_OP_HALF_TOPIC",
  "TRANS_CHECK_MAX_TIME_TOPIC",
  "SELF_TEST_TOPIC",
  "OFFSET_MOVED_EVENT",
  "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC",
  "RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC"
])

const systemTopics: ReadonlySet<string> = new Set([
  ...forbiddenTopics,
  AUTO_CREATE_TOPIC_KEY_TOPIC,
  "BenchmarkTest",
  "RMQ_SYS_TRACE_TOPIC",
  "CHECKPOINT_TOPIC"
])

/** The topics that belong to every RocketMQ of 5.x itself. Source: `TopicValidator.getSystemTopicSet`. */
export const systemTopicNames: ReadonlyArray<string> = [...systemTopics]

/** Whether clients may not send to the topic. Source: RocketMQ `TopicValidator.isNotAllowedSendTopic`. */
export const isForbiddenSendTopic = (topic: string): boolean => forbiddenTopics.has(topic)

/** Whether the topic belongs to RocketMQ itself and cannot be created by a user. Source: `TopicValidator.isSystemTopic`. */
export const isSystemTopic = (topic: string): boolean => systemTopics.has(topic) || topic.startsWith("rmq_sys_")

/** The topic from which a group reads what it failed to process. */
export const retryTopic = (group: string): string => RETRY_GROUP_TOPIC_PREFIX + group

/** Whether the topic is some group's retry topic. */
export const isRetryTopic = (topic: string): boolean => topic.startsWith(RETRY_GROUP_TOPIC_PREFIX)

/** The topic that keeps what a group gave up on. */
export const dlqTopic = (group: string): string => DLQ_GROUP_TOPIC_PREFIX + group
