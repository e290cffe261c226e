import * as MixAll from "../../message/MixAll.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import type { Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { SubscriptionGroupConfig, SubscriptionGroupHeader } from "../../protocol/request/SubscriptionGroup.ts"
import * as SubscriptionGroup from "../../protocol/request/SubscriptionGroup.ts"
import type { Broker } from "./Broker.ts"
import type { Handlers } from "../server/Handler.ts"
import { MAX_GROUPS, MAX_QUEUES } from "../server/Limits.ts"
import * as Names from "../server/Names.ts"
import * as Remarks from "../server/Remarks.ts"
import * as Reply from "../server/Reply.ts"
import * as Attributes from "../store/Attributes.ts"

/** Consumer groups of one broker (200, 201, 207, 225, 352). Source: RocketMQ `AdminBrokerProcessor`. */
export const handlers = (broker: Broker): Handlers => {
  const { groups, offsets } = broker.state
  const legacy = broker.config.version < MQVersion.V5_0_0

  const slaveRefusal = (): Response | undefined =>
    legacy && broker.id !== MixAll.MASTER_ID
      ? Reply.refuse(ResponseCode.SYSTEM_ERROR, Remarks.SLAVE_CHANGES_NOTHING)
      : undefined

  /** Why an embedded broker does not keep what a real one would. */
  const overLimit = ({ groupName, retryQueueNums }: SubscriptionGroupConfig): Response | undefined => {
    if (retryQueueNums > MAX_QUEUES) {
      const remark = Remarks.tooMany(`retry queues of group ${groupName}`, retryQueueNums, MAX_QUEUES)
      return Reply.refuse(ResponseCode.SYSTEM_ERROR, remark)
    }
    const count = groups.all().length
    return groups.get(groupName) === undefined && count >= MAX_GROUPS
      ? Reply.refuse(ResponseCode.SYSTEM_ERROR, Remarks.tooMany("groups", count + 1, MAX_GROUPS))
      : undefined
  }

  /** Creates or changes groups, none of them when a name is refused; a broker of 4.x takes any name, and no attributes. */
  const update = (configs: ReadonlyArray<SubscriptionGroupConfig>): Response => {
    for (const { groupName } of legacy ? [] : configs) {
      const badName = Names.groupRefusal(groupName)
      if (badName !== undefined) return Reply.refuse(ResponseCode.INVALID_PARAMETER, badName)
    }
    for (const config of configs) {
      const refused = overLimit(config)
      if (refused !== undefined) return refused
      const attributes = legacy
        ? {}
        : Attributes.alter(Attributes.ofGroups, groups.get(config.groupName)?.attributes, config.attributes)
      if (typeof attributes === "string") {
        return Reply.refuse(ResponseCode.SYSTEM_ERROR, `java.lang.RuntimeException: ${attributes}`)
      }
      groups.put({ ...config, attributes })
    }
    return SubscriptionGroup.response()
  }

  const answer = (header: SubscriptionGroupHeader): Response => {
    switch (header.operation) {
      case "update":
        return slaveRefusal() ?? update([header.config])
      case "updateAll":
        return update(header.configs)
      case "list":
        return SubscriptionGroup.response({
          dataVersion: groups.dataVersion(),
          subscriptionGroupTable: new Map(groups.all().map((config) => [config.groupName, config]))
        })
      case "delete": {
        const refused = slaveRefusal()
        if (refused !== undefined) return refused
        groups.remove(header.groupName)
        if (header.cleanOffset) offsets.deleteGroup(header.groupName)
        return SubscriptionGroup.response()
      }
      default: {
        // Asking creates the group, as on a real broker.
        const config = groups.find(header.group)
        return config === undefined
          ? Reply.refuse(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, "No group in this broker")
          : SubscriptionGroup.response(config)
      }
    }
  }

  const handler = Reply.sync((request) => {
    // 5.x takes a request without a group for one that changes nothing.
    if (!legacy && request.code === RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP && request.body.length === 0) {
      return SubscriptionGroup.response()
    }
    const header = SubscriptionGroup.decodeRequest(request)
    return header instanceof DecodeError ? Reply.malformed(header) : answer(header)
  })

  return new Map([
    [RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, handler],
    [RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST, handler],
    [RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG, handler],
    [RequestCode.DELETE_SUBSCRIPTIONGROUP, handler],
    [RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG, handler]
  ])
}
