import { Effect } from "effect"
import { DecodeError } from "../../protocol/DecodeError.ts"
import * as PopHandle from "../../protocol/PopHandle.ts"
import type { RemotingCommand, Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { InitMode } from "../../protocol/request/PopMessage.ts"
import type { NotificationHeader } from "../../protocol/request/Notification.ts"
import * as Notification from "../../protocol/request/Notification.ts"
import type { Handlers } from "../server/Handler.ts"
import { counters } from "../server/LiveCounters.ts"
import * as Remarks from "../server/Remarks.ts"
import * as Reply from "../server/Reply.ts"
import type { Channel } from "../server/RemotingServer.ts"
import type { Broker } from "./Broker.ts"
import { isMessageFilter, type MessageFilter } from "./MessageFilter.ts"
import * as PopChecks from "./PopChecks.ts"
import * as PopQueues from "./PopQueues.ts"

/** Where fewer messages wait, tags are compared; of so many. Source: RocketMQ `NotificationProcessor.hasMsgFromQueue`. */
const FEW = 64
const COMPARED = 32

const none = { hasMsg: "false", pollingFull: "false" }

const hasTags = ({ exp = "", expType = "" }: NotificationHeader): boolean =>
  exp !== "" && (expType === "" || expType === "TAG")

const respond = (answer: Notification.NotificationAnswer): Response => ({
  ...Notification.response(answer),
  remark: Remarks.NO_CODE_SET
})

/**
 * Whether a pop would find something (200054), and a wait until it would.
 *
 * Source: RocketMQ `NotificationProcessor`.
 */
export const handlers = (broker: Broker): Handlers => {
  const { config, state } = broker

  const hasMessage = (header: NotificationHeader, source: PopQueues.PopSource, filter: MessageFilter): boolean => {
    const { attemptId, consumerGroup: group, order, topic } = header
    // Asked of the topic that is popped, also for what comes again.
    if (order === true && state.ordered.isBlocked({ group, topic, queueId: source.queueId }, attemptId)) return false
    const { max } = state.store.offsets(source.topic, source.queueId)
    const from = Number(PopQueues.peekOffset(broker, group, source, InitMode.MIN))
    if (max - from >= FEW || !hasTags(header)) return max > from
    for (let offset = from; offset < Math.min(max, from + COMPARED); offset++) {
      const entry = state.store.read(source.topic, source.queueId, offset)
      if (entry !== undefined && filter.matches(entry)) return true
    }
    return false
  }

  const anyQueue = (
    header: NotificationHeader,
    topic: string,
    retryFlag: PopHandle.RetryFlag,
    filter: MessageFilter
  ): boolean => {
    const queues = state.topics.get(topic)?.readQueueNums ?? 0
    for (let queueId = 0; queueId < queues; queueId++) {
      if (hasMessage(header, { topic, retryFlag, queueId }, filter)) return true
    }
    return false
  }

  const found = (header: NotificationHeader, filter: MessageFilter): boolean => {
    const { consumerGroup, queueId, topic } = header
    const flags: ReadonlyArray<"1" | "2"> = config.enableRetryTopicV2 ? ["2", "1"] : ["1"]
    return (
      (queueId < 0
        ? anyQueue(header, topic, "0", filter)
        : hasMessage(header, { topic, retryFlag: "0", queueId }, filter)) ||
      flags.some((flag) => anyQueue(header, PopHandle.popRetryTopic(consumerGroup, topic, flag), flag, filter))
    )
  }

  const check = (header: NotificationHeader, channel: Channel): Response | MessageFilter =>
    PopChecks.forbidden(broker, "peeking message") ??
    PopChecks.refusal(broker, header, channel) ??
    PopChecks.filterOf(broker, header)

  /** Waits, and then begins again, checks included. */
  const hold = (
    request: RemotingCommand,
    header: NotificationHeader,
    filter: MessageFilter,
    channel: Channel,
    since: number
  ): Effect.Effect<Response> =>
    Effect.suspend(() => {
      const millis = Number(header.bornTime) + Number(header.pollTime) - broker.now()
      if (header.pollTime <= 0 || millis <= 0) return Effect.succeed(respond({ hasMsg: false, pollingFull: false }))
      counters.heldPulls += 1
      return broker.notifications
        .hold({
          owner: channel.id,
          topic: header.topic,
          group: header.consumerGroup,
          queueId: header.queueId,
          matches: filter.matches,
          millis,
          since
        })
        .pipe(
          Effect.ensuring(
            Effect.sync(() => {
              counters.heldPulls -= 1
            })
          ),
          Effect.flatMap((how) =>
            how === undefined
              ? Effect.succeed(respond({ hasMsg: false, pollingFull: true }))
              : Effect.andThen(channel.writable, answer(request, header, channel))
          )
        )
    })

  const answer = (request: RemotingCommand, header: NotificationHeader, channel: Channel): Effect.Effect<Response> =>
    Effect.suspend(() => {
      const filter = check(header, channel)
      if (!isMessageFilter(filter)) return Effect.succeed(PopChecks.withFields(filter, none))
      const since = broker.notifications.signals()
      return found(header, filter)
        ? Effect.succeed(respond({ hasMsg: true, pollingFull: false }))
        : hold(request, header, filter, channel, since)
    })

  const handler = (request: RemotingCommand, channel: Channel): Effect.Effect<Response> =>
    Effect.suspend(() => {
      const header = Notification.decodeRequest(PopChecks.withNumbers(request, broker.now()))
      return header instanceof DecodeError ? Effect.succeed(Reply.malformed(header)) : answer(request, header, channel)
    })

  return new Map([[RequestCode.NOTIFICATION, handler]])
}
