import * as MixAll from "../../message/MixAll.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import type { Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { SubscriptionGroupHeader } from "../../protocol/request/SubscriptionGroup.ts"
import * as SubscriptionGroup from "../../protocol/request/SubscriptionGroup.ts"
import type { Broker } from "./Broker.ts"
import type { Handlers } from "../server/Handler.ts"
import * as Remarks from "../server/Remarks.ts"
import * as Reply from "../server/Reply.ts"

const invalid = (remark: string): Response => ({ code: ResponseCode.INVALID_PARAMETER, remark })

/** Why a group cannot be created or changed. Source: RocketMQ `AdminBrokerProcessor`. */
const refusal = (group: string): Response | undefined => {
  if (group === "") return invalid("The specified group is blank.")
  if (group.length > MixAll.GROUP_MAX_LENGTH) return invalid(Remarks.groupTooLong(group, MixAll.GROUP_MAX_LENGTH))
  return MixAll.isValidName(group) ? undefined : invalid(Remarks.groupIllegalCharacters(group))
}

/** Consumer groups of one broker (200, 201, 207, 352). Source: RocketMQ `AdminBrokerProcessor`. */
export const handlers = (broker: Broker): Handlers => {
  const { groups, offsets } = broker.state

  const answer = (header: SubscriptionGroupHeader): Response => {
    switch (header.operation) {
      case "update": {
        const refused = refusal(header.config.groupName)
        if (refused === undefined) groups.put(header.config)
        return refused ?? SubscriptionGroup.response()
      }
      case "list":
        return SubscriptionGroup.response({
          dataVersion: groups.dataVersion(),
          subscriptionGroupTable: new Map(groups.all().map((config) => [config.groupName, config]))
        })
      case "delete":
        groups.remove(header.groupName)
        if (header.cleanOffset) offsets.deleteGroup(header.groupName)
        return SubscriptionGroup.response()
      default: {
        // Asking creates the group, as on a real broker.
        const config = groups.find(header.group)
        return config === undefined
          ? { code: ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, remark: `Group ${header.group} not exist!` }
          : SubscriptionGroup.response(config)
      }
    }
  }

  const handler = Reply.sync((request) => {
    const header = SubscriptionGroup.decodeRequest(request)
    return header instanceof DecodeError ? Reply.malformed(header) : answer(header)
  })

  return new Map([
    [RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, handler],
    [RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG, handler],
    [RequestCode.DELETE_SUBSCRIPTIONGROUP, handler],
    [RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG, handler]
  ])
}
