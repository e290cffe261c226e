import { Effect } from "effect"
import { DecodeError } from "../../protocol/DecodeError.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import type { Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import * as DeleteTopic from "../../protocol/request/DeleteTopic.ts"
import * as GetBrokerClusterInfo from "../../protocol/request/GetBrokerClusterInfo.ts"
import * as GetRouteInfoByTopic from "../../protocol/request/GetRouteInfoByTopic.ts"
import * as GetTopicList from "../../protocol/request/GetTopicList.ts"
import * as WritePermOfBroker from "../../protocol/request/WritePermOfBroker.ts"
import type { Channel } from "../server/RemotingServer.ts"
import type { Handler, Handlers } from "../server/Handler.ts"
import * as ForeignBrokers from "./ForeignBrokers.ts"
import * as KVConfigProcessor from "./KVConfigProcessor.ts"
import * as NamesrvConfigProcessor from "./NamesrvConfigProcessor.ts"
import * as Remarks from "../server/Remarks.ts"
import * as Reply from "../server/Reply.ts"
import type { NameServer } from "./NameServer.ts"

/** What a name server does with requests and with connections that end. */
export interface NameServerProcessor {
  readonly handle: Handler
  readonly onClose: (channel: Channel) => Effect.Effect<void>
}

/** The namespace of the configuration of ordered topics: topic -> `broker-a:4;broker-b:4`. */
const ORDER_TOPIC_CONFIG = "ORDER_TOPIC_CONFIG"

const routeHandlers = ({ config, kv, routes, version }: NameServer): Handlers => {
  const legacy = version < MQVersion.V5_0_0

  const route = Reply.sync((request) => {
    const header = GetRouteInfoByTopic.decodeRequest(request)
    const topic = header instanceof DecodeError ? "null" : header.topic
    const found = routes.route(topic)
    if (header instanceof DecodeError || found === undefined) {
      return { code: ResponseCode.TOPIC_NOT_EXIST, remark: Remarks.noTopicRoute(topic, legacy) }
    }
    const standardJson = request.version >= MQVersion.V4_9_4 || header.acceptStandardJsonOnly === true
    const orderTopicConf = config.current.orderMessageEnable ? kv.get(ORDER_TOPIC_CONFIG, topic) : undefined
    return GetRouteInfoByTopic.response(orderTopicConf === undefined ? found : { ...found, orderTopicConf }, {
      standardJson
    })
  })

  const topics = Reply.sync((request): Response => {
    const header = GetTopicList.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const { enableAllTopicList, enableTopicList } = config.current
    const all = request.code === RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER
    if (!legacy && !(all ? enableAllTopicList : enableTopicList)) {
      return Reply.refuse(ResponseCode.SYSTEM_ERROR, "disable")
    }
    if (header.system === true) {
      const { brokerAddr, topics: topicList } = routes.systemTopics()
      return GetTopicList.response({ topicList, brokerAddr })
    }
    return GetTopicList.response({
      topicList: header.cluster === undefined ? routes.topics() : routes.topicsByCluster(header.cluster)
    })
  })

  const remove = Reply.sync((request) => {
    const header = DeleteTopic.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    routes.deleteTopic(header.topic, header.clusterName)
    return DeleteTopic.response()
  })

  const writePerm = Reply.sync((request) => {
    const header = WritePermOfBroker.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const topicCount = routes.setWritePerm(header.brokerName, header.writable)
    return WritePermOfBroker.response({ topicCount }, header.writable)
  })

  return new Map([
    [RequestCode.WIPE_WRITE_PERM_OF_BROKER, writePerm],
    [RequestCode.ADD_WRITE_PERM_OF_BROKER, writePerm],
    [RequestCode.GET_ROUTEINFO_BY_TOPIC, route],
    [RequestCode.GET_BROKER_CLUSTER_INFO, Reply.sync(() => GetBrokerClusterInfo.response(routes.clusterInfo()))],
    [RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER, topics],
    [RequestCode.GET_TOPICS_BY_CLUSTER, topics],
    [RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_NS, topics],
    [RequestCode.DELETE_TOPIC_IN_NAMESRV, remove]
  ])
}

/** Everything a name server answers. Source: RocketMQ `ClientRequestProcessor`, `DefaultRequestProcessor`. */
export const make = (server: NameServer): NameServerProcessor => {
  const foreign = ForeignBrokers.make(server)
  const handlers: Handlers = new Map([
    ...routeHandlers(server),
    ...KVConfigProcessor.handlers(server.kv),
    ...NamesrvConfigProcessor.handlers(server),
    ...foreign.handlers
  ])
  const legacy = server.version < MQVersion.V5_0_0
  return {
    handle: (request, channel) => {
      const handler = handlers.get(request.code)
      if (handler !== undefined) return handler(request, channel)
      // A name server of 4.x leaves an unknown code without an answer.
      return Effect.succeed(
        legacy
          ? undefined
          : { code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED, remark: Remarks.notSupported(request.code) }
      )
    },
    onClose: foreign.onClose
  }
}
