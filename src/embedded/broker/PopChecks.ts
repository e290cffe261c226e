import * as MixAll from "../../message/MixAll.ts"
import { parseInt32, parseLong } from "../../protocol/Long.ts"
import type { RemotingCommand, Response } from "../../protocol/RemotingCommand.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import * as JavaNames from "../server/JavaNames.ts"
import * as Remarks from "../server/Remarks.ts"
import * as Reply from "../server/Reply.ts"
import type { Channel } from "../server/RemotingServer.ts"
import type { Broker } from "./Broker.ts"
import * as MessageFilter from "./MessageFilter.ts"

/** What pops and their siblings are refused for. Source: RocketMQ `PopMessageProcessor`, `NotificationProcessor`. */

/** Fields that are numbers in Java, of the size that it reads; one that is absent or none of these is 0 there. */
const NUMBERS = {
  queueId: parseInt32,
  maxMsgNums: parseInt32,
  initMode: parseInt32,
  invisibleTime: parseLong,
  pollTime: parseLong,
  bornTime: parseLong
} as const

/** The fields as Java reads them into a header; a birth that is 0 is now. */
export const withNumbers = (request: RemotingCommand, now: number): RemotingCommand => {
  const extFields = { ...request.extFields }
  for (const [name, read] of Object.entries(NUMBERS)) {
    if (read(extFields[name] ?? "") === undefined) extFields[name] = "0"
  }
  if (extFields["bornTime"] === "0") extFields["bornTime"] = String(now)
  return { ...request, extFields }
}

/** An answer whose header has numbers, which are all there in a refusal too. */
export const withFields = (response: Response, fields: Readonly<Record<string, string>>): Response => ({
  ...response,
  extFields: fields
})

/** Why nothing can be read of a topic and a queue for a group; -1 is every queue. */
export const refusal = (
  broker: Broker,
  asked: { readonly consumerGroup: string; readonly topic: string; readonly queueId: number },
  channel: Channel
): Response | undefined => {
  const { consumerGroup, queueId, topic: name } = asked
  const topic = broker.state.topics.get(name)
  if (topic === undefined) return Reply.refuse(ResponseCode.TOPIC_NOT_EXIST, Remarks.topicNotExistPull(name))
  if ((topic.perm & MixAll.PermName.READ) === 0) {
    return Reply.refuse(ResponseCode.NO_PERMISSION, `the topic[${name}] peeking message is forbidden`)
  }
  if (queueId >= topic.readQueueNums) {
    return Reply.refuse(
      ResponseCode.INVALID_PARAMETER,
      queueIllegal(queueId, name, topic.readQueueNums, channel.remoteAddress)
    )
  }
  const group = broker.state.groups.find(consumerGroup)
  if (group === undefined) {
    return Reply.refuse(
      ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
      `subscription group [${consumerGroup}] does not exist, \n${Remarks.SEE_FAQ}`
    )
  }
  return group.consumeEnable
    ? undefined
    : Reply.refuse(ResponseCode.NO_PERMISSION, `subscription group no permission, ${consumerGroup}`)
}

/** Whether the broker as a whole gives nothing. */
export const forbidden = (broker: Broker, what: string): Response | undefined =>
  (broker.config.brokerPermission & MixAll.PermName.READ) === 0
    ? Reply.refuse(ResponseCode.NO_PERMISSION, Remarks.brokerForbids(broker.address(), what))
    : undefined

/** A topic does not have the queue. */
export const queueIllegal = (queueId: number, topic: string, readQueueNums: number, remoteAddress: string): string =>
  `queueId[${queueId}] is illegal, topic:[${topic}] topicConfig.readQueueNums:[${readQueueNums}] consumer:[${JavaNames.socketAddress(remoteAddress)}]`

/** What an expression asks for, or that it cannot be read. A broker that filters by tags alone does so here too. */
export const filterOf = (
  broker: Broker,
  { exp, expType = "TAG" }: { readonly exp?: string | undefined; readonly expType?: string | undefined }
): MessageFilter.MessageFilter | Response => {
  const unreadable = Reply.refuse(ResponseCode.SUBSCRIPTION_PARSE_FAILED, "parse the consumer's subscription failed")
  if (exp === undefined || exp === "") return MessageFilter.all
  if (expType === "TAG" || expType === "") return MessageFilter.parse(exp) ?? unreadable
  const filter = expType === "SQL92" ? broker.compileFilter(exp) : undefined
  return typeof filter === "object" ? MessageFilter.ofProperties(filter) : unreadable
}
