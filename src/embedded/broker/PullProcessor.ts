import { Effect } from "effect"
import * as MixAll from "../../message/MixAll.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import type { RemotingCommand, Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { PullMessageHeader, PullStatus } from "../../protocol/request/PullMessage.ts"
import * as PullMessage from "../../protocol/request/PullMessage.ts"
import { PullSysFlag } from "../../protocol/request/PullMessage.ts"
import type { Channel } from "../server/RemotingServer.ts"
import type { Broker } from "./Broker.ts"
import type { Handlers } from "../server/Handler.ts"
import { counters } from "../server/LiveCounters.ts"
import type { StoredEntry } from "../store/StoredMessage.ts"
import * as Remarks from "../server/Remarks.ts"
import * as Reply from "../server/Reply.ts"
import * as TagFilter from "./TagFilter.ts"

/**
 * Pulls (11, 361): checks in the order of a real broker, reads, and waits when there is nothing yet.
 *
 * Source: RocketMQ `PullMessageProcessor`, `DefaultPullMessageResultHandler`.
 */

/** Entries one pull looks at, so that a filter that never matches does not hold up everybody else. */
const MAX_SCANNED = 16_000

interface Found {
  readonly status: PullStatus
  readonly remark: string
  readonly nextBeginOffset: number
  readonly entries: ReadonlyArray<StoredEntry>
}

const nothing = (status: PullStatus, remark: string, nextBeginOffset: number): Found => ({
  status,
  remark,
  nextBeginOffset,
  entries: []
})

const refuse = (code: number, remark: string): Response => ({ code, remark })

const noFilter = (expressionType: string): Response => ({
  code: ResponseCode.SYSTEM_ERROR,
  remark: `The broker does not support consumer to filter message by ${expressionType}`
})

/** Builds the handlers. */
export const handlers = (broker: Broker): Handlers => {
  const { config, state } = broker
  const illegalQueueCode =
    config.version < MQVersion.V5_0_0 ? ResponseCode.SYSTEM_ERROR : ResponseCode.INVALID_PARAMETER

  /** Why the pull is refused, or which messages it wants. */
  const check = (
    request: RemotingCommand,
    header: PullMessageHeader,
    channel: Channel
  ): Response | TagFilter.TagFilter => {
    if ((config.brokerPermission & MixAll.PermName.READ) === 0) {
      return refuse(ResponseCode.NO_PERMISSION, `the broker[${broker.address()}] pulling message is forbidden`)
    }
    if (request.code === RequestCode.LITE_PULL_MESSAGE && !config.litePullMessageEnable) {
      return refuse(ResponseCode.NO_PERMISSION, `the broker[${broker.address()}] for lite pull consumer is forbidden`)
    }
    const group = state.groups.find(header.consumerGroup)
    if (group === undefined) {
      return refuse(
        ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
        `subscription group [${header.consumerGroup}] does not exist, \n${Remarks.SEE_FAQ}`
      )
    }
    if (!group.consumeEnable) {
      return refuse(ResponseCode.NO_PERMISSION, `subscription group no permission, ${header.consumerGroup}`)
    }
    const topic = state.topics.get(header.topic)
    if (topic === undefined) return refuse(ResponseCode.TOPIC_NOT_EXIST, Remarks.topicNotExistPull(header.topic))
    if ((topic.perm & MixAll.PermName.READ) === 0) {
      return refuse(ResponseCode.NO_PERMISSION, `the topic[${header.topic}] pulling message is forbidden`)
    }
    if (header.queueId < 0 || header.queueId >= topic.readQueueNums) {
      return refuse(
        illegalQueueCode,
        `queueId[${header.queueId}] is illegal, topic:[${header.topic}] topicConfig.readQueueNums:[${topic.readQueueNums}] consumer:[${channel.remoteAddress}]`
      )
    }
    const expressionType = header.expressionType ?? "TAG"
    if ((header.sysFlag & PullSysFlag.SUBSCRIPTION) !== 0) {
      if (expressionType !== "TAG" && expressionType !== "") return noFilter(expressionType)
      return (
        TagFilter.parse(header.subscription) ??
        refuse(ResponseCode.SUBSCRIPTION_PARSE_FAILED, "parse the consumer's subscription failed")
      )
    }
    const consumers = broker.clients.consumerGroup(header.consumerGroup)
    if (consumers === undefined) {
      return refuse(ResponseCode.SUBSCRIPTION_NOT_EXIST, `the consumer's group info not exist\n${Remarks.SEE_FAQ}`)
    }
    if (!group.consumeBroadcastEnable && consumers.messageModel === "BROADCASTING") {
      return refuse(
        ResponseCode.NO_PERMISSION,
        `the consumer group[${header.consumerGroup}] can not consume by broadcast way`
      )
    }
    const subscription = consumers.subscriptions.get(header.topic)
    if (subscription === undefined) {
      return refuse(ResponseCode.SUBSCRIPTION_NOT_EXIST, `the consumer's subscription not exist\n${Remarks.SEE_FAQ}`)
    }
    if (subscription.subVersion < header.subVersion) {
      return refuse(ResponseCode.SUBSCRIPTION_NOT_LATEST, "the consumer's subscription not latest")
    }
    if (subscription.expressionType !== "TAG" && subscription.expressionType !== "") {
      return noFilter(subscription.expressionType)
    }
    return TagFilter.ofCodes(subscription.subString, subscription.codeSet)
  }

  const scan = (header: PullMessageHeader, max: number, filter: TagFilter.TagFilter): Found => {
    const { queueId, queueOffset, topic } = header
    const maxCount = Math.min(header.maxMsgNums, config.maxTransferCount)
    const maxBytes = Math.min(header.maxMsgBytes ?? config.maxTransferBytes, config.maxTransferBytes)
    const entries: Array<StoredEntry> = []
    let bytes = 0
    let offset = queueOffset
    for (; offset < max && offset - queueOffset < MAX_SCANNED; offset++) {
      const entry = state.store.read(topic, queueId, offset)
      if (entry === undefined || !filter.matches(entry)) continue
      if (entries.length > 0 && (entries.length >= maxCount || bytes + entry.bytes.length > maxBytes)) break
      entries.push(entry)
      bytes += entry.bytes.length
    }
    return entries.length === 0
      ? nothing("NO_MATCHED_MSG", "NO_MATCHED_MESSAGE", offset)
      : { status: "FOUND", remark: "FOUND", nextBeginOffset: offset, entries }
  }

  const read = (header: PullMessageHeader, filter: TagFilter.TagFilter): Found => {
    const { queueId, queueOffset, topic } = header
    const { max, min } = state.store.offsets(topic, queueId)
    if (max === 0) {
      return nothing(queueOffset === 0 ? "NO_NEW_MSG" : "OFFSET_ILLEGAL", "NO_MESSAGE_IN_QUEUE", 0)
    }
    if (queueOffset < min) return nothing("OFFSET_ILLEGAL", "OFFSET_TOO_SMALL", min)
    if (queueOffset === max) return nothing("NO_NEW_MSG", "OFFSET_OVERFLOW_ONE", queueOffset)
    if (queueOffset > max) return nothing("OFFSET_ILLEGAL", "OFFSET_OVERFLOW_BADLY", max)
    return scan(header, max, filter)
  }

  /** Where the group shall read on instead, if an administrator said so since its last pull. */
  const reset = ({ consumerGroup, queueId, topic }: PullMessageHeader): Found | undefined => {
    const offset = state.offsets.takeReset(consumerGroup, topic, queueId)
    return offset === undefined ? undefined : nothing("OFFSET_ILLEGAL", "OFFSET_RESET", offset)
  }

  const respond = (header: PullMessageHeader, found: Found): Response => {
    const { max, min } = state.store.offsets(header.topic, header.queueId)
    return PullMessage.response(
      {
        suggestWhichBrokerId: 0,
        nextBeginOffset: found.nextBeginOffset,
        minOffset: min,
        maxOffset: max,
        topicSysFlag: 0,
        groupSysFlag: 0,
        status: found.status,
        body: found.entries.length === 0 ? undefined : Buffer.concat(found.entries.map((entry) => entry.bytes))
      },
      found.remark
    )
  }

  const hold = (header: PullMessageHeader, filter: TagFilter.TagFilter, channel: Channel): Effect.Effect<Response> =>
    Effect.suspend(() => {
      counters.heldPulls += 1
      return broker.polling.hold({
        owner: channel.id,
        topic: header.topic,
        queueId: header.queueId,
        available: () => state.store.offsets(header.topic, header.queueId).max > header.queueOffset,
        matches: filter.matches,
        timeoutMillis: config.longPollingEnable ? header.suspendTimeoutMillis : config.shortPollingTimeMills
      })
    }).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          counters.heldPulls -= 1
        })
      ),
      Effect.map(() => respond(header, reset(header) ?? read(header, filter)))
    )

  const commit = (header: PullMessageHeader): void => {
    if ((header.sysFlag & PullSysFlag.COMMIT_OFFSET) === 0 || broker.id !== MixAll.MASTER_ID) return
    if (header.commitOffset < 0) return
    state.offsets.commit(header.consumerGroup, header.topic, header.queueId, header.commitOffset)
  }

  const pull = (request: RemotingCommand, channel: Channel): Effect.Effect<Response> =>
    Effect.suspend(() => {
      const header = PullMessage.decodeRequest(request)
      if (header instanceof DecodeError) return Effect.succeed(Reply.malformed(header))
      const filter = check(request, header, channel)
      if (!TagFilter.isTagFilter(filter)) return Effect.succeed(filter)
      const found = reset(header) ?? read(header, filter)
      if (found.remark !== "OFFSET_RESET") commit(header)
      return found.status === "NO_NEW_MSG" && (header.sysFlag & PullSysFlag.SUSPEND) !== 0
        ? hold(header, filter, channel)
        : Effect.succeed(respond(header, found))
    })

  return new Map([
    [RequestCode.PULL_MESSAGE, pull],
    [RequestCode.LITE_PULL_MESSAGE, pull]
  ])
}
