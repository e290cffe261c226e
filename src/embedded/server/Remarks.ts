/** The words in which RocketMQ's servers answer; clients and tools match on some of them. */

/** The hint that many remarks end with. Source: RocketMQ `FAQUrl`. */
export const SEE_FAQ = "See https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."

/** The same of a release: `legacy` is before 5.0.0. */
export const seeFaq = (legacy: boolean): string =>
  legacy ? "See http://rocketmq.apache.org/docs/faq/ for further details." : SEE_FAQ

/** A name server has no route for the topic. Source: RocketMQ `ClientRequestProcessor`. */
export const noTopicRoute = (topic: string, legacy = false): string =>
  `No topic route info in name server for the topic: ${topic}\n${seeFaq(legacy)}`

/** A server does not know the request code (the space in front is RocketMQ's). Source: `NettyRemotingAbstract`. */
export const notSupported = (code: number): string => ` request type ${code} not supported`

/** A send to a topic that neither exists nor may be created. Source: RocketMQ `AbstractSendMessageProcessor`. */
export const topicNotExist = (topic: string, legacy = false): string =>
  `topic[${topic}] not exist, apply first please!\n${seeFaq(legacy)}`

/** The same for a pull, which has one more space. Source: RocketMQ `PullMessageProcessor`. */
export const topicNotExistPull = (topic: string, legacy = false): string =>
  `topic[${topic}] not exist, apply first please! \n${seeFaq(legacy)}`

/** The body or the properties of a message are too large. Source: RocketMQ `SendMessageProcessor`. */
export const messageIllegal = (maxMessageSize: number): string =>
  `the message is illegal, maybe msg body or properties length not matched. msg body length limit ${maxMessageSize}B, msg properties length limit 32KB.`

/** What a broker leaves in the remark of some answers with code 0; it means nothing. Source: RocketMQ `RemotingCommand`. */
export const NO_CODE_SET = "not set any response code"

/** What only an embedded server says, which keeps everything in memory. */
export const tooMany = (what: string, count: number, max: number): string =>
  `an embedded server keeps ${max} ${what} at most, and this would be ${count}`

/** What only an embedded name server says. */
export const NO_ROOM_FOR_VALUE = "an embedded name server has no room for this value"

/** What only an embedded broker says, which keeps all offsets in memory. */
export const NO_ROOM_FOR_OFFSET = "an embedded broker has no room for one more offset"

/** What only an embedded broker says, which keeps all modes in memory. */
export const NO_ROOM_FOR_MODE = "an embedded broker has no room for one more mode"

/** A server's threads have too many requests before them. Source: RocketMQ `NettyRemotingAbstract`. */
export const OVERLOADED = "[OVERLOAD]system busy, start flow control for a while"

/** A broker sheds load. Source: RocketMQ `NettyRemotingAbstract`. */
export const SYSTEM_BUSY = "[REJECTREQUEST]system busy, start flow control for a while"

/** A broker cannot store (it is a slave, for instance). Source: RocketMQ `SendMessageProcessor`. */
export const SERVICE_NOT_AVAILABLE =
  "service not available now. It may be caused by one of the following reasons: the broker's disk is full, messages are put to the slave, message store has been shut down, etc."

/** A required field of a request header is missing or unreadable. Source: RocketMQ `RemotingCommand`. */
export const missingField = (field: string): string =>
  `org.apache.rocketmq.remoting.exception.RemotingCommandException: the custom field <${field}> is null, the request header cannot be read`

/** What Java throws at a text that is no number. Source: `NumberFormatException.forInputString`. */
export const numberFormat = (text: string): string =>
  `java.lang.NumberFormatException: For input string: "${text.slice(0, 100)}"`

/** A field of a request header is no number. Source: RocketMQ `RemotingCommand`, which names no field. */
export const unreadableField = (field: string, detail: string): string =>
  `java.lang.NumberFormatException: the custom field <${field}>: ${detail}`

/** What Java throws at a place outside of a list. Source: Java `ArrayIndexOutOfBoundsException`. */
export const indexOutOfBounds = (index: number, length: number): string =>
  `java.lang.ArrayIndexOutOfBoundsException: Index ${index} out of bounds for length ${length}`

/** A topic cannot be filtered like that. Source: RocketMQ `CreateTopicRequestHeader.checkFields`. */
export const filterTypeInvalid = (type: string): string =>
  `org.apache.rocketmq.remoting.exception.RemotingCommandException: topicFilterType = [${type}] value invalid`

/** What Java throws where a part of a request is missing. Source: RocketMQ `RemotingHelper.exceptionSimpleDesc`. */
export const nullPointer = (what: string): string => `java.lang.NullPointerException: ${what} is null`

/** Filters of the kind are switched off. Source: RocketMQ `ClientManageProcessor`, `PullMessageProcessor`. */
export const noFilter = (type: string): string => `The broker does not support consumer to filter message by ${type}`

/** A filter is of a kind that there is not. Source: Java `NullPointerException`, of RocketMQ `FilterFactory`. */
export const UNKNOWN_FILTER =
  'Cannot invoke "org.apache.rocketmq.filter.FilterSpi.compile(String)" because the return value of "org.apache.rocketmq.filter.FilterFactory.get(String)" is null'

/** A group filters by what could not be read. Source: RocketMQ `PullMessageProcessor`. */
export const NO_FILTER_DATA = "The broker's consumer filter data is not exist!Your expression may be wrong!"

/** A client left a request of the broker without an answer. Source: RocketMQ `RemotingTimeoutException`. */
export const clientTimeout = (address: string, millis: number): string =>
  `org.apache.rocketmq.remoting.exception.RemotingTimeoutException: wait response on the channel <${address}> timeout, ${millis}(ms)`

/** A request of the broker could not be sent to the client. Source: RocketMQ `RemotingSendRequestException`. */
export const clientSendFailed = (address: string): string =>
  `org.apache.rocketmq.remoting.exception.RemotingSendRequestException: send request to <${address}> failed`

/** A client is too old for what the broker is to ask it. Source: RocketMQ `Broker2Client`. */
export const clientUnsupported = (release: string): string =>
  `the client does not support this feature. version=${release}`

/** What Java throws where bytes end too early, an offset message id's for instance. Source: Java `ByteBuffer`. */
export const BUFFER_UNDERFLOW = "java.nio.BufferUnderflowException"

/** The body of a request is no JSON of its kind. Source: RocketMQ `RemotingSerializable`. */
export const unreadableBody = (field: string, detail: string): string =>
  `com.alibaba.fastjson2.JSONException: ${field}: ${detail}`

/** The body of a request holds a byte with which no character begins. Source: fastjson2 `JSONReaderUTF8`. */
export const malformedInput = (at: number): string =>
  `com.alibaba.fastjson2.JSONException: malformed input around byte ${at}, com.alibaba.fastjson2.JSONReaderUTF8.readString(JSONReaderUTF8.java:4981)`

/** The topic name is empty. Source: RocketMQ `TopicValidator`. */
export const TOPIC_BLANK = "The specified topic is blank."

/** The topic name has a character RocketMQ does not allow. `legacy` is before 5.0.0. Source: RocketMQ `TopicValidator`. */
export const topicIllegalCharacters = (topic: string, legacy: boolean): string =>
  `The specified topic${legacy ? "" : `: ${topic},`} contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$`

/** The topic name is too long. Source: RocketMQ `TopicValidator`. */
export const topicTooLong = (topic: string, max: number, legacy: boolean): string =>
  legacy
    ? "The specified topic is longer than topic max length."
    : `The specified topic: ${topic}, is longer than topic max length: ${max}`

/** The name of a retry or dead letter topic is too long. Source: RocketMQ `TopicValidator`. */
export const retryTopicTooLong = (topic: string, max: number): string =>
  `The specified topic is DLQ or Retry topic: ${topic}, and it's longer than topic max length: ${max}`

/** The group name is too long. Source: RocketMQ `AdminBrokerProcessor`. */
export const groupTooLong = (group: string, max: number): string =>
  `The specified group: ${group}, is longer than group max length: ${max}`

/** The group name has a character RocketMQ does not allow. Source: RocketMQ `AdminBrokerProcessor`. */
export const groupIllegalCharacters = (group: string): string =>
  `The specified group: ${group}, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$`

/** A setting that may not be changed while a server of 5.x runs. Source: RocketMQ `AdminBrokerProcessor`. */
export const CONFIG_IN_BLACK_LIST = "Can not update config in black list."

/** Where a name server of 4.x keeps its settings cannot be changed. Source: RocketMQ `DefaultRequestProcessor`. */
export const CONFIG_PATH_FIXED = "Can not update config path"

/** Settings that Java cannot read. Source: RocketMQ `AdminBrokerProcessor`, `DefaultRequestProcessor`. */
export const PROPERTIES_ERROR = "string2Properties error"

/** A broker as a whole refuses something; it names its IP only. Source: RocketMQ `AbstractSendMessageProcessor`. */
export const brokerForbids = (address: string, what: string): string =>
  `the broker[${hostOf(address)}] ${what} is forbidden`

/** A send that only a master takes, to a slave. Source: RocketMQ `AbstractSendMessageProcessor`. */
export const noMaster = (address: string): string => `no master available along with ${hostOf(address)}`

const hostOf = (address: string): string => address.slice(0, address.lastIndexOf(":"))

/** A slave of 4.x changes nothing. Source: RocketMQ `AdminBrokerProcessor.validateSlave`. */
export const SLAVE_CHANGES_NOTHING =
  "Can't modify topic or subscription group from slave broker, please execute it from master broker."

/** A topic of the system cannot be created or deleted. Source: RocketMQ `AdminBrokerProcessor`. */
export const conflictWithSystemTopic = (topic: string): string => `The topic[${topic}] is conflict with system topic.`

/** A send without a body. Source: RocketMQ 5.5.0, which runs into a `NullPointerException`. */
export const EMPTY_BODY = "java.lang.NullPointerException: the message body is empty"

/** A timer message is refused for its time. Source: RocketMQ `SendMessageProcessor`. */
export const timerIllegal = (maxDelaySec: number): string =>
  `timer message illegal, the delay time should not be bigger than the max delay ${maxDelaySec * 1_000}ms; or if set del msg, the delay time should be bigger than the current time`

/** Timer messages are switched off. Source: RocketMQ `SendMessageProcessor`. */
export const TIMER_NOT_ENABLED = "accurate timer message is not enabled, timerWheelEnable is false"

/** A transaction is ended in no way that there is. Source: RocketMQ `EndTransactionRequestHeader`. */
export const COMMIT_OR_ROLLBACK_WRONG =
  "org.apache.rocketmq.remoting.exception.RemotingCommandException: commitOrRollback field wrong"

/** A transaction is ended by another group than the half message's. Source: RocketMQ `EndTransactionProcessor`. */
export const PRODUCER_GROUP_WRONG = "The producer group wrong"

/** A transaction is ended under another offset in the queue of half messages. Source: RocketMQ `EndTransactionProcessor`. */
export const STATE_TABLE_OFFSET_WRONG = "The transaction state table offset wrong"

/** There is no half message at the offset in the log. Source: RocketMQ `TransactionalMessageServiceImpl`. */
export const NO_PREPARED_MESSAGE = "Find prepared transaction message failed"

/** A half message cannot be put back. Source: RocketMQ `AdminBrokerProcessor`. */
export const RESUME_FAILED = "Exception was thrown when putting message back to RMQ_SYS_TRANS_HALF_TOPIC."

/** A group that does not exist and may not be created. Source: RocketMQ `AbstractSendMessageProcessor`. */
export const groupNotExist = (group: string, legacy = false): string =>
  `subscription group not exist, ${group} \n${seeFaq(legacy)}`
