import { Clock, Effect, Random, type Scope } from "effect"
import { HostInfo } from "../../client/ClientId.ts"
import type { PublishedRoute } from "../../client/ClientMembers.ts"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import type { TopicRecord, TraceState } from "../../client/telemetry/TraceDispatcher.ts"
import { makeUniqueIds } from "../../message/MessageId.ts"
import * as ProducerOptions from "../../producer/ProducerOptions.ts"
import * as TopicPublishInfo from "../../producer/queue/TopicPublishInfo.ts"
import * as TraceSends from "../../producer/telemetry/TraceSends.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"
import { TraceContextCode } from "../../protocol/TraceData.ts"
import type { ReceivedMessage } from "../ReceivedMessage.ts"
import type { ConsumeMessageOutcome } from "./Hooks.ts"

/** RocketMQ's message traces of a consumer that runs. */
export interface MessageTraces {
  /** Tells that messages are handed to a handler; gives what tells how that ended. Never waits. */
  readonly begin: (messages: ReadonlyArray<ReceivedMessage>) => (outcome: ConsumeMessageOutcome) => void
  readonly state: () => TraceState
  /** Sends what waits, for so many milliseconds at most. */
  readonly flush: (timeoutMillis: number) => Effect.Effect<void>
  /** The topics whose routes the sends of the traces need: the traces' own, once there was one. */
  readonly topics: () => Iterable<string>
  /** Takes a route that was just read. */
  readonly updateRoute: (route: PublishedRoute) => void
}

/** The region of a message whose broker names none. */
const DEFAULT_REGION = "DefaultRegion"

const nothing = () => {}

/** As the contextCode of a message's record says it: a batch may be consumed in part. */
const codeOf = ({ status }: ConsumeMessageOutcome, isConsumed: boolean): number =>
  status === "FAILED" ? (isConsumed ? TraceContextCode.SUCCESS : TraceContextCode.FAILED) : TraceContextCode[status]

/**
 * Makes what tells of the messages of a consumer: `SubBefore` when a handler gets them, `SubAfter` when it has ended, one
 * record for each message. What came from the traces' own topic is not told, nor what its broker says it is not wanted of.
 *
 * Source: RocketMQ `ConsumeMessageTraceHookImpl`.
 */
export const make = Effect.fnUntraced(function* (
  config: { readonly consumerGroup: string; readonly traceTopic: string },
  instance: MQClientInstanceShape
): Effect.fn.Return<MessageTraces, never, Scope.Scope> {
  const { consumerGroup: groupName, traceTopic } = config
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const nowMillis = () => Math.floor(clock.currentTimeMillisUnsafe())
  const uniqueIds = makeUniqueIds({ ...(yield* HostInfo), random: yield* Random.nextIntBetween(0, 0xffff_ffff) })
  const table = TopicPublishInfo.makeTable(() => Math.floor(random.nextDoubleUnsafe() * 0x10000))
  const dispatcher = yield* TraceSends.make<TopicRecord>(
    {
      ...ProducerOptions.defaults,
      ...instance.config,
      producerGroup: TraceSends.traceGroup(groupName, "CONSUME")
    },
    instance,
    table,
    uniqueIds,
    { topic: traceTopic, group: groupName }
  )

  const isTold = ({ properties, topic }: ReceivedMessage) =>
    !topic.startsWith(traceTopic) && properties[MessageConst.TRACE_SWITCH] !== "false"

  const begin: MessageTraces["begin"] = (messages) => {
    const told = messages.map(isTold)
    if (!told.includes(true)) return nothing
    const since = nowMillis()
    const requestId = uniqueIds(since)
    const regionId = messages.findLast((_, i) => told[i])?.properties[MessageConst.MSG_REGION] ?? DEFAULT_REGION
    for (const [index, { msgId, properties, reconsumeTimes, topic }] of messages.entries()) {
      if (told[index] !== true) continue
      const record = { regionId, groupName, requestId, msgId, keys: properties[MessageConst.KEYS], topic }
      dispatcher.append({ type: "SubBefore", timeStamp: since, retryTimes: reconsumeTimes, ...record })
    }
    return (outcome) => {
      const timeStamp = nowMillis()
      const costTime = Math.floor((timeStamp - since) / messages.length)
      for (const [index, { msgId, properties, topic }] of messages.entries()) {
        if (told[index] !== true) continue
        const isSuccess = outcome.results[index]?._tag === "Success"
        const record = { groupName, requestId, msgId, keys: properties[MessageConst.KEYS], topic }
        const contextCode = codeOf(outcome, isSuccess)
        dispatcher.append({ type: "SubAfter", timeStamp, costTime, isSuccess, contextCode, ...record })
      }
    }
  }

  return {
    begin,
    state: dispatcher.state,
    flush: dispatcher.flush,
    topics: table.topics,
    updateRoute: table.update
  }
})
