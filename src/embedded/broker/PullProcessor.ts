import { Effect } from "effect"
import * as MixAll from "../../message/MixAll.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import type { SubscriptionData } from "../../protocol/HeartbeatData.ts"
import type { RemotingCommand, Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { PullMessageHeader } from "../../protocol/request/PullMessage.ts"
import * as PullMessage from "../../protocol/request/PullMessage.ts"
import { PullSysFlag } from "../../protocol/request/PullMessage.ts"
import type { Channel } from "../server/RemotingServer.ts"
import type { Broker } from "./Broker.ts"
import * as MessageFilter from "./MessageFilter.ts"
import type { Handlers } from "../server/Handler.ts"
import { counters } from "../server/LiveCounters.ts"
import * as QueueReader from "./QueueReader.ts"
import * as JavaNames from "../server/JavaNames.ts"
import * as Remarks from "../server/Remarks.ts"
import * as Reply from "../server/Reply.ts"

/**
 * Pulls (11, 361): checks in the order of a real broker, reads, and waits when there is nothing yet.
 *
 * Source: RocketMQ `PullMessageProcessor`, `DefaultPullMessageResultHandler`.
 */

/** A refusal; every answer to a pull has a header, if only an empty one. */
const refuse = (code: number, remark: string): Response => ({ code, remark, extFields: {} })

/** Who forbids the pull. Source: RocketMQ `ForbiddenType`. */
const FORBIDDEN_BY = { broker: 1, group: 2, topic: 3, broadcasting: 4 } as const

/** The field that a bit of `sysFlag`, or its absence, makes necessary, when it is absent. */
const missing = (header: PullMessageHeader): string | undefined => {
  const has = (bit: number) => (header.sysFlag & bit) !== 0
  if (has(PullSysFlag.COMMIT_OFFSET) && header.commitOffset === undefined) return "commitOffset"
  if (has(PullSysFlag.SUSPEND) && header.suspendTimeoutMillis === undefined) return "suspendTimeoutMillis"
  return !has(PullSysFlag.SUBSCRIPTION) && header.subVersion === undefined ? "subVersion" : undefined
}

/** 4.x does not know the field, and does not read it. */
const withoutMaxMsgBytes = (request: RemotingCommand): RemotingCommand => {
  const { maxMsgBytes: _, ...extFields } = request.extFields ?? {}
  return { ...request, extFields }
}

const isTags = (expressionType: string): boolean => expressionType === "TAG" || expressionType === ""

const noFilter = (expressionType: string): Response =>
  refuse(ResponseCode.SYSTEM_ERROR, Remarks.noFilter(expressionType))

/** Builds the handlers. */
export const handlers = (broker: Broker): Handlers => {
  const { config, state } = broker
  const legacy = config.version < MQVersion.V5_0_0
  const illegalQueueCode = legacy ? ResponseCode.SYSTEM_ERROR : ResponseCode.INVALID_PARAMETER

  /** Only 5.x says who it was. */
  const forbid = (by: keyof typeof FORBIDDEN_BY, remark: string): Response => ({
    code: ResponseCode.NO_PERMISSION,
    remark,
    extFields: legacy ? {} : { forbiddenType: String(FORBIDDEN_BY[by]) }
  })

  /** The filter by properties of an expression; undefined when it is none that this broker can read. */
  const compiled = (expressionType: string, text: string): MessageFilter.MessageFilter | undefined => {
    const filter = expressionType === "SQL92" && text !== "" ? broker.compileFilter(text) : undefined
    return typeof filter === "object" ? MessageFilter.ofProperties(filter) : undefined
  }

  /** What the expression of a pull asks for; undefined when it cannot be read. */
  const filterOf = ({
    expressionType = "TAG",
    subscription
  }: PullMessageHeader): Response | MessageFilter.MessageFilter | undefined => {
    if (expressionType === "TAG") return MessageFilter.parse(subscription)
    if (subscription === undefined || subscription === "") return undefined
    // An empty type counts as tags, of which the expression was not made into any.
    if (expressionType === "") return MessageFilter.ofCodes(subscription, [])
    if (!config.enablePropertyFilter) return noFilter(expressionType)
    // A real broker checks by an assertion only, which is off: it filters by nothing then.
    return compiled(expressionType, subscription) ?? MessageFilter.all
  }

  /** What a group's heartbeat asks for. */
  const filterOfGroup = (subscription: SubscriptionData): Response | MessageFilter.MessageFilter => {
    const { codeSet, expressionType, subString } = subscription
    const byProperties = isTags(expressionType) ? undefined : compiled(expressionType, subString)
    if (!isTags(expressionType)) {
      if (byProperties === undefined) return refuse(ResponseCode.FILTER_DATA_NOT_EXIST, Remarks.NO_FILTER_DATA)
      if (!config.enablePropertyFilter) return noFilter(expressionType)
    }
    return subscription.classFilterMode
      ? MessageFilter.all
      : (byProperties ?? MessageFilter.ofCodes(subString, codeSet))
  }

  /** Why the pull is refused, or which messages it wants. */
  const check = (
    request: RemotingCommand,
    header: PullMessageHeader,
    channel: Channel
  ): Response | MessageFilter.MessageFilter => {
    if ((config.brokerPermission & MixAll.PermName.READ) === 0) {
      return forbid("broker", Remarks.brokerForbids(broker.address(), "pulling message"))
    }
    if (request.code === RequestCode.LITE_PULL_MESSAGE && !config.litePullMessageEnable) {
      return forbid("broker", Remarks.brokerForbids(broker.address(), "for lite pull consumer"))
    }
    const group = state.groups.find(header.consumerGroup)
    if (group === undefined) {
      return refuse(
        ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
        `subscription group [${header.consumerGroup}] does not exist, \n${Remarks.seeFaq(legacy)}`
      )
    }
    if (!group.consumeEnable) {
      return forbid("group", `subscription group no permission, ${header.consumerGroup}`)
    }
    const topic = state.topics.get(header.topic)
    if (topic === undefined)
      return refuse(ResponseCode.TOPIC_NOT_EXIST, Remarks.topicNotExistPull(header.topic, legacy))
    if ((topic.perm & MixAll.PermName.READ) === 0) {
      return forbid("topic", `the topic[${header.topic}] pulling message is forbidden`)
    }
    if (header.queueId < 0 || header.queueId >= topic.readQueueNums) {
      return refuse(
        illegalQueueCode,
        `queueId[${header.queueId}] is illegal, topic:[${header.topic}] topicConfig.readQueueNums:[${topic.readQueueNums}] consumer:[${JavaNames.socketAddress(channel.remoteAddress)}]`
      )
    }
    if ((header.sysFlag & PullSysFlag.SUBSCRIPTION) !== 0) {
      return (
        filterOf(header) ?? refuse(ResponseCode.SUBSCRIPTION_PARSE_FAILED, "parse the consumer's subscription failed")
      )
    }
    const consumers = broker.clients.consumerGroup(header.consumerGroup)
    if (consumers === undefined) {
      return refuse(
        ResponseCode.SUBSCRIPTION_NOT_EXIST,
        `the consumer's group info not exist\n${Remarks.seeFaq(legacy)}`
      )
    }
    if (!group.consumeBroadcastEnable && consumers.messageModel === "BROADCASTING") {
      return forbid("broadcasting", `the consumer group[${header.consumerGroup}] can not consume by broadcast way`)
    }
    const subscription = consumers.subscriptions.get(header.topic)
    if (subscription === undefined) {
      return refuse(
        ResponseCode.SUBSCRIPTION_NOT_EXIST,
        `the consumer's subscription not exist\n${Remarks.seeFaq(legacy)}`
      )
    }
    if (subscription.subVersion < (header.subVersion ?? 0)) {
      return refuse(ResponseCode.SUBSCRIPTION_NOT_LATEST, "the consumer's subscription not latest")
    }
    return filterOfGroup(subscription)
  }

  /** Where the group shall read on instead, if an administrator said so since its last pull. */
  const reset = ({ consumerGroup, queueId, topic }: PullMessageHeader): QueueReader.Found | undefined => {
    const offset = state.offsets.takeReset(consumerGroup, topic, queueId)
    return offset === undefined ? undefined : QueueReader.nothing("OFFSET_ILLEGAL", PullMessage.OFFSET_RESET, offset)
  }

  const respond = (header: PullMessageHeader, found: QueueReader.Found): Response => {
    const { max, min } = state.store.offsets(header.topic, header.queueId)
    return PullMessage.response(
      {
        suggestWhichBrokerId: 0,
        nextBeginOffset: found.nextBeginOffset,
        minOffset: min,
        maxOffset: max,
        // 4.x answers with neither.
        ...(legacy
          ? {}
          : {
              topicSysFlag: state.topics.get(header.topic)?.topicSysFlag ?? 0,
              groupSysFlag: state.groups.get(header.consumerGroup)?.groupSysFlag ?? 0
            }),
        status: found.status,
        body: found.entries.length === 0 ? undefined : Buffer.concat(found.entries.map((entry) => entry.bytes))
      },
      found.remark
    )
  }

  /** Waits, and then begins again, checks included: meanwhile the topic may be gone and the subscription another. */
  const hold = (
    request: RemotingCommand,
    header: PullMessageHeader,
    filter: MessageFilter.MessageFilter,
    channel: Channel
  ): Effect.Effect<Response> =>
    Effect.suspend(() => {
      counters.heldPulls += 1
      return broker.polling.hold({
        owner: channel.id,
        topic: header.topic,
        queueId: header.queueId,
        available: () => state.store.offsets(header.topic, header.queueId).max > header.queueOffset,
        matches: filter.matches,
        timeoutMillis: config.longPollingEnable
          ? Number(header.suspendTimeoutMillis ?? 0)
          : config.shortPollingTimeMills
      })
    }).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          counters.heldPulls -= 1
        })
      ),
      Effect.flatMap((how) =>
        how === undefined
          ? Effect.succeed(refuse(ResponseCode.SYSTEM_BUSY, Remarks.SYSTEM_BUSY))
          : // One message may wake thousands of pulls of a client that does not read.
            Effect.andThen(channel.writable, answer(request, header, channel, false))
      )
    )

  /** What the group has processed; as it says, whatever that is. */
  const commit = (header: PullMessageHeader): void => {
    if ((header.sysFlag & PullSysFlag.COMMIT_OFFSET) === 0 || broker.id !== MixAll.MASTER_ID) return
    state.offsets.commit(header.consumerGroup, header.topic, header.queueId, header.commitOffset ?? 0)
  }

  const answer = (
    request: RemotingCommand,
    header: PullMessageHeader,
    channel: Channel,
    first: boolean
  ): Effect.Effect<Response> =>
    Effect.suspend(() => {
      const filter = check(request, header, channel)
      if (!MessageFilter.isMessageFilter(filter)) return Effect.succeed(filter)
      const absent = missing(header)
      if (absent !== undefined) return Effect.succeed(refuse(ResponseCode.SYSTEM_ERROR, Remarks.missingField(absent)))
      if (legacy && header.maxMsgNums < 0) {
        const remark = `java.lang.IllegalArgumentException: Illegal Capacity: ${header.maxMsgNums}`
        return Effect.succeed(refuse(ResponseCode.SYSTEM_ERROR, remark))
      }
      const found = reset(header) ?? QueueReader.read(broker, header, filter)
      state.offsets.commitPull(header.consumerGroup, header.topic, header.queueId, found.nextBeginOffset)
      if (first) commit(header)
      return first && found.status === "NO_NEW_MSG" && (header.sysFlag & PullSysFlag.SUSPEND) !== 0
        ? hold(request, header, filter, channel)
        : Effect.succeed(respond(header, found))
    })

  const pull = (request: RemotingCommand, channel: Channel): Effect.Effect<Response> =>
    Effect.suspend(() => {
      const header = PullMessage.decodeRequest(legacy ? withoutMaxMsgBytes(request) : request)
      return header instanceof DecodeError
        ? Effect.succeed(Reply.malformed(header))
        : answer(request, header, channel, true)
    })

  return new Map([
    [RequestCode.PULL_MESSAGE, pull],
    [RequestCode.LITE_PULL_MESSAGE, pull]
  ])
}
