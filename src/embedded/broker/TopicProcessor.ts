import * as MixAll from "../../message/MixAll.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import type { Response } from "../../protocol/RemotingCommand.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import * as CreateTopic from "../../protocol/request/CreateTopic.ts"
import * as DeleteTopic from "../../protocol/request/DeleteTopic.ts"
import * as GetAllTopicConfig from "../../protocol/request/GetAllTopicConfig.ts"
import * as GetTopicConfig from "../../protocol/request/GetTopicConfig.ts"
import type { Broker } from "./Broker.ts"
import type { Handlers } from "../server/Handler.ts"
import * as Remarks from "../server/Remarks.ts"
import * as Reply from "../server/Reply.ts"

const invalid = (remark: string): Response => ({ code: ResponseCode.INVALID_PARAMETER, remark })

/** Why a topic cannot be created or changed by a user. Source: RocketMQ `TopicValidator`. */
const refusal = (topic: string): Response | undefined => {
  if (topic.trim() === "") return invalid(Remarks.TOPIC_BLANK)
  if (!MixAll.isValidName(topic)) return invalid(Remarks.topicIllegalCharacters(topic))
  if (topic.length > MixAll.TOPIC_MAX_LENGTH) return invalid(Remarks.topicTooLong(topic, MixAll.TOPIC_MAX_LENGTH))
  return MixAll.isSystemTopic(topic) ? invalid(Remarks.conflictWithSystemTopic(topic)) : undefined
}

/** Attributes out of `+key=value,-key`, applied to those a topic has. Source: RocketMQ `AttributeParser`. */
const changeAttributes = (
  attributes: Readonly<Record<string, string>>,
  changes: string
): Readonly<Record<string, string>> => {
  const result = new Map(Object.entries(attributes))
  for (const change of changes.split(",")) {
    const [name = "", value = ""] = change.slice(1).split("=", 2)
    if (change.startsWith("+") && name !== "") result.set(name, value)
    else if (change.startsWith("-")) result.delete(name)
  }
  return Object.fromEntries(result)
}

/** Topics of one broker: create (17), delete (215), read one (351) and all (21). Source: RocketMQ `AdminBrokerProcessor`. */
export const handlers = (broker: Broker): Handlers => {
  const { offsets, store, topics } = broker.state

  const create = Reply.sync((request) => {
    const header = CreateTopic.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const refused = refusal(header.topic)
    if (refused !== undefined) return refused
    const attributes = changeAttributes(topics.get(header.topic)?.attributes ?? {}, header.attributes ?? "")
    if (attributes["message.type"] === "MIXED") return invalid("MIXED message type is not supported.")
    topics.put({
      topicName: header.topic,
      readQueueNums: header.readQueueNums,
      writeQueueNums: header.writeQueueNums,
      perm: header.perm,
      topicFilterType: header.topicFilterType,
      topicSysFlag: header.topicSysFlag ?? 0,
      // A broker of 4.x does not keep it.
      order: header.order && broker.config.version >= MQVersion.V5_0_0,
      attributes
    })
    return CreateTopic.response()
  })

  const remove = Reply.sync((request) => {
    const header = DeleteTopic.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    if (header.topic.trim() === "") return invalid(Remarks.TOPIC_BLANK)
    if (MixAll.isSystemTopic(header.topic)) return invalid(Remarks.conflictWithSystemTopic(header.topic))
    topics.remove(header.topic)
    store.deleteTopic(header.topic)
    offsets.deleteTopic(header.topic)
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

  const all = Reply.sync((request) => {
    const header = GetAllTopicConfig.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const configs = topics.all()
    const from = header.topicSeq ?? 0
    const page = configs.slice(from, from + (header.maxTopicNum ?? configs.length))
    const response = GetAllTopicConfig.response({
      dataVersion: topics.dataVersion(),
      topicConfigTable: new Map(page.map((config) => [config.topicName, config]))
    })
    return { ...response, extFields: { totalTopicNum: String(configs.length) } }
  })

  return new Map([
    [RequestCode.UPDATE_AND_CREATE_TOPIC, create],
    [RequestCode.DELETE_TOPIC_IN_BROKER, remove],
    [RequestCode.GET_TOPIC_CONFIG, one],
    [RequestCode.GET_ALL_TOPIC_CONFIG, all]
  ])
}
