import { Effect } from "effect"
import * as MixAll from "../../message/MixAll.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import type { RemotingCommand, Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import * as CheckClientConfig from "../../protocol/request/CheckClientConfig.ts"
import * as GetConsumerListByGroup from "../../protocol/request/GetConsumerListByGroup.ts"
import * as HeartBeat from "../../protocol/request/HeartBeat.ts"
import * as UnregisterClient from "../../protocol/request/UnregisterClient.ts"
import { MAX_TABLE_SIZE } from "../server/Limits.ts"
import type { Channel } from "../server/RemotingServer.ts"
import type { Broker } from "./Broker.ts"
import type { Handlers } from "../server/Handler.ts"
import * as Remarks from "../server/Remarks.ts"
import * as Reply from "../server/Reply.ts"

/**
 * Heartbeats (34), goodbyes (35), members of a group (38) and the check of a subscription (46).
 *
 * Source: RocketMQ `ClientManageProcessor`, `ConsumerManageProcessor`.
 */
export const handlers = (broker: Broker): Handlers => {
  const { clients, state } = broker

  const legacy = broker.config.version < MQVersion.V5_0_0

  /** Tells the members of groups that want to know it. A connection that breaks is told to the others too. */
  const notifyAll = (groups: ReadonlyArray<string>): Effect.Effect<void> =>
    Effect.forEach(
      groups.filter((group) => state.groups.get(group)?.notifyConsumerIdsChangedEnable !== false),
      broker.notifyConsumerIdsChanged,
      { discard: true }
    )

  const heartbeat = (request: RemotingCommand, channel: Channel): Effect.Effect<Response> =>
    Effect.suspend(() => {
      const decoded = HeartBeat.decodeRequest(request)
      if (decoded instanceof DecodeError) return Effect.succeed(Reply.malformed(decoded))
      // A broker of 4.x knows the first version only.
      const data = legacy ? { ...decoded, heartbeatFingerprint: 0 } : decoded
      // A group that may not be created is not registered either, but by 4.x.
      const consumerDataSet = data.consumerDataSet.filter(({ groupName }) => {
        const config = state.groups.find(groupName)
        if (config === undefined) return legacy
        if (config.retryQueueNums > 0) {
          const perm = MixAll.PermName.READ | MixAll.PermName.WRITE
          state.topics.ensure(MixAll.retryTopic(groupName), config.retryQueueNums, perm)
        }
        return true
      })
      const client = { channel, language: request.language, version: request.version }
      const outcome = clients.heartbeat(client, { ...data, consumerDataSet }, broker.now())
      if (outcome === undefined) {
        const remark = `the clients of this broker have names and subscriptions of ${MAX_TABLE_SIZE} characters already`
        return Effect.succeed({ code: ResponseCode.SYSTEM_ERROR, remark })
      }
      const answer = legacy
        ? HeartBeat.response()
        : HeartBeat.response({ isSupportHeartBeatV2: true, isSubChange: outcome.subscriptionChanged })
      return notifyAll(outcome.changedGroups).pipe(Effect.andThen(broker.watchClients), Effect.as(answer))
    })

  const unregister = (request: RemotingCommand, channel: Channel): Effect.Effect<Response> =>
    Effect.suspend(() => {
      // No field has to be there.
      const { clientID: clientId, consumerGroup, producerGroup } = request.extFields ?? {}
      // Asking for a group creates it.
      if (consumerGroup !== undefined) state.groups.find(consumerGroup)
      clients.unregister({ channel, clientId }, producerGroup, consumerGroup)
      // Told even when nobody left.
      return Effect.as(notifyAll(consumerGroup === undefined ? [] : [consumerGroup]), UnregisterClient.response())
    })

  const members = Reply.sync((request) => {
    const header = GetConsumerListByGroup.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    // A client on two connections is there twice.
    const ids = clients.consumerGroup(header.consumerGroup)?.channels.map((client) => client.clientId) ?? []
    return ids.length === 0
      ? { code: ResponseCode.SYSTEM_ERROR, remark: `no consumer for this group, ${header.consumerGroup}` }
      : GetConsumerListByGroup.response({ consumerIdList: ids })
  })

  const checkConfig = Reply.sync((request) => {
    // 5.x takes a request that asks nothing.
    if (!legacy && request.body.length === 0) return CheckClientConfig.response()
    const body = CheckClientConfig.decodeRequest(request)
    if (body instanceof DecodeError) return Reply.malformed(body)
    const { expressionType = "", subString = "" } = body.subscriptionData ?? {}
    if (expressionType === "TAG" || expressionType === "") return CheckClientConfig.response()
    if (!broker.config.enablePropertyFilter) {
      return { code: ResponseCode.SYSTEM_ERROR, remark: Remarks.noFilter(expressionType) }
    }
    const filter = expressionType === "SQL92" ? broker.compileFilter(subString) : Remarks.UNKNOWN_FILTER
    return typeof filter === "string"
      ? { code: ResponseCode.SUBSCRIPTION_PARSE_FAILED, remark: filter }
      : CheckClientConfig.response()
  })

  return new Map([
    [RequestCode.HEART_BEAT, heartbeat],
    [RequestCode.UNREGISTER_CLIENT, unregister],
    [RequestCode.GET_CONSUMER_LIST_BY_GROUP, members],
    [RequestCode.CHECK_CLIENT_CONFIG, checkConfig]
  ])
}
