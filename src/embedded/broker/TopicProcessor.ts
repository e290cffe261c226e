import * as MixAll from "../../message/MixAll.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import type { Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import * as CreateTopic from "../../protocol/request/CreateTopic.ts"
import * as CreateTopicList from "../../protocol/request/CreateTopicList.ts"
import * as PopHandle from "../../protocol/PopHandle.ts"
import * as DeleteTopic from "../../protocol/request/DeleteTopic.ts"
import * as GetAllTopicConfig from "../../protocol/request/GetAllTopicConfig.ts"
import * as GetTopicList from "../../protocol/request/GetTopicList.ts"
import * as GetTopicConfig from "../../protocol/request/GetTopicConfig.ts"
import type { TopicConfig } from "../../protocol/TopicConfig.ts"
import type { Broker } from "./Broker.ts"
import type { Handlers } from "../server/Handler.ts"
import { MAX_QUEUES, MAX_TOPICS } from "../server/Limits.ts"
import * as Names from "../server/Names.ts"
import * as Remarks from "../server/Remarks.ts"
import * as Reply from "../server/Reply.ts"
import * as Attributes from "../store/Attributes.ts"

/** Topics in one page at most (Java `splitMetadataSize`). */
const SPLIT_METADATA_SIZE = 1_000

/** What 4.x does not know as topics of the system. */
const newIn5: ReadonlySet<string> = new Set([
  "CHECKPOINT_TOPIC",
  "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC",
  "RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC"
])

/** Whether two configurations say the same. Source: RocketMQ `TopicConfig.equals`. */
const sameConfig = (a: TopicConfig, b: TopicConfig): boolean => {
  const keys = Object.keys(a.attributes)
  return (
    a.readQueueNums === b.readQueueNums &&
    a.writeQueueNums === b.writeQueueNums &&
    a.perm === b.perm &&
    a.topicFilterType === b.topicFilterType &&
    a.topicSysFlag === b.topicSysFlag &&
    a.order === b.order &&
    keys.length === Object.keys(b.attributes).length &&
    keys.every((key) => a.attributes[key] === b.attributes[key])
  )
}

/**
 * Topics of one broker: create (17, 18), delete (215), read one (351) and all (21), name those of
 * the system (305).
 *
 * Source: RocketMQ `AdminBrokerProcessor`.
 */
export const handlers = (broker: Broker): Handlers => {
  const { clusterName, offsets, store, topics } = broker.state
  const legacy = broker.config.version < MQVersion.V5_0_0
  const invalid = legacy ? ResponseCode.SYSTEM_ERROR : ResponseCode.INVALID_PARAMETER

  /** The broker's own topics belong to the system too. Source: RocketMQ `TopicConfigManager.init`. */
  const ownTopics: ReadonlySet<string> = new Set([clusterName, broker.name, `${clusterName}_REPLY_TOPIC`])

  const systemRefusal = (topic: string): Response | undefined =>
    (MixAll.isSystemTopic(topic) && !(legacy && newIn5.has(topic))) || ownTopics.has(topic)
      ? Reply.refuse(invalid, Remarks.conflictWithSystemTopic(topic))
      : undefined

  /** Why a topic cannot be created or changed by a user. */
  const refusal = (topic: string): Response | undefined => {
    const badName = Names.topicRefusal(topic, legacy)
    return badName === undefined ? systemRefusal(topic) : Reply.refuse(invalid, badName)
  }

  /** A slave of 5.x takes changes, and its master never hears of them. */
  const slaveRefusal = (): Response | undefined =>
    legacy && broker.id !== MixAll.MASTER_ID
      ? Reply.refuse(ResponseCode.SYSTEM_ERROR, Remarks.SLAVE_CHANGES_NOTHING)
      : undefined

  /** The topic with its attributes after the changes that `config` has in their place. */
  const altered = (config: TopicConfig): TopicConfig | Response => {
    // A broker of 4.x has no attributes, and does not keep the order.
    if (legacy) return { ...config, order: false, attributes: {} }
    const attributes = Attributes.alter(
      Attributes.ofTopics,
      topics.get(config.topicName)?.attributes,
      config.attributes
    )
    return typeof attributes === "string"
      ? Reply.refuse(ResponseCode.SYSTEM_ERROR, attributes)
      : { ...config, attributes }
  }

  const mixedRefusal = (config: TopicConfig): Response | undefined =>
    !legacy && config.attributes["+message.type"] === "MIXED"
      ? Reply.refuse(ResponseCode.INVALID_PARAMETER, "MIXED message type is not supported.")
      : undefined

  const isSame = (config: TopicConfig): boolean => {
    const existing = topics.get(config.topicName)
    return !legacy && existing !== undefined && sameConfig(config, existing)
  }

  /** Why an embedded broker does not keep what a real one would. */
  const overLimit = ({ readQueueNums, topicName, writeQueueNums }: TopicConfig): Response | undefined => {
    const queues = Math.max(readQueueNums, writeQueueNums)
    if (queues > MAX_QUEUES) {
      return Reply.refuse(
        ResponseCode.SYSTEM_ERROR,
        Remarks.tooMany(`queues of topic ${topicName}`, queues, MAX_QUEUES)
      )
    }
    const count = topics.all().length
    return topics.get(topicName) === undefined && count >= MAX_TOPICS
      ? Reply.refuse(ResponseCode.SYSTEM_ERROR, Remarks.tooMany("topics", count + 1, MAX_TOPICS))
      : undefined
  }

  /** Changes the topic unless that is refused. */
  const put = (config: TopicConfig): Response | undefined => {
    const refused = overLimit(config)
    if (refused !== undefined) return refused
    const next = altered(config)
    if ("code" in next) return next
    topics.put(next)
    return undefined
  }

  const create = Reply.sync((request) => {
    const header = CreateTopic.decodeRequest(request)
    const slave = slaveRefusal()
    if (slave !== undefined) return slave
    if (header instanceof DecodeError) return Reply.malformed(header)
    const { order, perm, readQueueNums, topic, topicFilterType, topicSysFlag = 0, writeQueueNums } = header
    if (topicFilterType !== "SINGLE_TAG" && topicFilterType !== "MULTI_TAG") {
      return Reply.refuse(ResponseCode.SYSTEM_ERROR, Remarks.filterTypeInvalid(topicFilterType))
    }
    const refused = refusal(topic)
    if (refused !== undefined) return refused
    const changes = legacy ? {} : Attributes.parseChanges(header.attributes ?? "")
    if (typeof changes === "string") return Reply.refuse(ResponseCode.SYSTEM_ERROR, changes)
    const config = {
      topicName: topic,
      readQueueNums,
      writeQueueNums,
      perm,
      topicFilterType,
      topicSysFlag,
      order,
      attributes: changes
    }
    const mixed = mixedRefusal(config)
    if (mixed !== undefined) return mixed
    return (isSame(config) ? undefined : put(config)) ?? CreateTopic.response()
  })

  const createAll = Reply.sync((request) => {
    const body = CreateTopicList.decodeRequest(request)
    if (body instanceof DecodeError) return Reply.malformed(body)
    for (const config of body.topicConfigList) {
      const refused = refusal(config.topicName) ?? mixedRefusal(config)
      if (refused !== undefined) return refused
      // One topic that is as it should be ends the whole list.
      if (isSame(config)) return CreateTopicList.response()
    }
    // Those before the first with a wrong attribute stay.
    for (const config of body.topicConfigList) {
      const refused = put(config)
      if (refused !== undefined) return refused
    }
    return CreateTopicList.response()
  })

  /** 5.x does not look at the characters of a topic that is to go. */
  const removeRefusal = (topic: string): Response | undefined => {
    if (legacy) return slaveRefusal() ?? refusal(topic)
    return topic.trim() === "" ? Reply.refuse(invalid, Remarks.TOPIC_BLANK) : systemRefusal(topic)
  }

  /** What comes again of a topic goes with it. */
  const popRetryTopics = (topic: string): ReadonlyArray<string> =>
    legacy
      ? []
      : offsets
          .groupsOf(topic)
          .flatMap((group) => [PopHandle.popRetryTopic(group, topic, "2"), PopHandle.popRetryTopic(group, topic, "1")])
          .filter((name) => topics.get(name) !== undefined)

  const remove = Reply.sync((request) => {
    const header = DeleteTopic.decodeRequest(request)
    const topic = header instanceof DecodeError ? "" : header.topic
    const refused = removeRefusal(topic)
    if (refused !== undefined) return refused
    for (const name of [topic, ...popRetryTopics(topic)]) {
      topics.remove(name)
      store.deleteTopic(name)
      offsets.deleteTopic(name)
    }
    return DeleteTopic.response()
  })

  const one = Reply.sync((request) => {
    const header = GetTopicConfig.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const config = topics.get(header.topic)
    return config === undefined
      ? { code: ResponseCode.TOPIC_NOT_EXIST, remark: `No topic in this broker. topic: ${header.topic}` }
      : GetTopicConfig.response(config)
  })

  /** One page of the topics; a text says what Java throws at such a page. */
  const page = (header: GetAllTopicConfig.GetAllTopicConfigHeader): ReadonlyArray<TopicConfig> | string => {
    const { dataVersion, maxTopicNum, topicSeq } = header
    const all = topics.all()
    if (legacy || (dataVersion === undefined && maxTopicNum === undefined && topicSeq === undefined)) return all
    if (topicSeq === undefined) return Remarks.nullPointer("topicSeq")
    const sorted = all.toSorted((a, b) => (a.topicName < b.topicName ? -1 : 1))
    const from = GetAllTopicConfig.isVersion(dataVersion, topics.dataVersion()) ? topicSeq : 0
    if (from >= sorted.length) return []
    const to = Math.min(from + Math.min(SPLIT_METADATA_SIZE, maxTopicNum ?? SPLIT_METADATA_SIZE), sorted.length)
    const outside = from < 0 ? from : to - 1
    return outside < 0 ? Remarks.indexOutOfBounds(outside, sorted.length) : sorted.slice(from, to)
  }

  const all = Reply.sync((request) => {
    const header = GetAllTopicConfig.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const configs = page(header)
    if (typeof configs === "string") return Reply.refuse(ResponseCode.SYSTEM_ERROR, configs)
    const response = GetAllTopicConfig.response({
      dataVersion: topics.dataVersion(),
      topicConfigTable: new Map(configs.map((config) => [config.topicName, config]))
    })
    return { ...response, extFields: legacy ? undefined : { totalTopicNum: String(topics.all().length) } }
  })

  const system = Reply.sync(() => {
    const named = [...MixAll.systemTopicNames, ...ownTopics].filter((topic) => !legacy || !newIn5.has(topic))
    const kept = topics.all().flatMap(({ topicName }) => (MixAll.isSystemTopic(topicName) ? topicName : []))
    return GetTopicList.response({ topicList: [...new Set([...named, ...kept])] })
  })

  return new Map([
    [RequestCode.UPDATE_AND_CREATE_TOPIC, create],
    [RequestCode.UPDATE_AND_CREATE_TOPIC_LIST, createAll],
    [RequestCode.DELETE_TOPIC_IN_BROKER, remove],
    [RequestCode.GET_TOPIC_CONFIG, one],
    [RequestCode.GET_ALL_TOPIC_CONFIG, all],
    [RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_BROKER, system]
  ])
}
