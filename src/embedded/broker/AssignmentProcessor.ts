import type { MessageQueue } from "../../message/MessageQueue.ts"
import * as MixAll from "../../message/MixAll.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { MessageRequestMode } from "../../protocol/request/SetMessageRequestMode.ts"
import * as SetMessageRequestMode from "../../protocol/request/SetMessageRequestMode.ts"
import * as QueryAssignment from "../../protocol/request/QueryAssignment.ts"
import type { TopicRouteData } from "../../protocol/TopicRouteData.ts"
import type { Handlers } from "../server/Handler.ts"
import * as Remarks from "../server/Remarks.ts"
import * as Reply from "../server/Reply.ts"
import type { Broker } from "./Broker.ts"

/** Which of `queues` the member at `index` of `members` reads. */
type Strategy = (queues: ReadonlyArray<MessageQueue>, members: number, index: number) => ReadonlyArray<MessageQueue>

/** A row of neighbours for everybody; the first members get what is left over. Source: `AllocateMessageQueueAveragely`. */
const averagely: Strategy = (queues, members, index) => {
  const rest = queues.length % members
  const size = Math.floor(queues.length / members)
  const start = index * size + Math.min(index, rest)
  return queues.slice(start, start + size + (index < rest ? 1 : 0))
}

/** One after the other in turn. Source: RocketMQ `AllocateMessageQueueAveragelyByCircle`. */
const byCircle: Strategy = (queues, members, index) => queues.filter((_, number) => number % members === index)

const strategies: ReadonlyMap<string, Strategy> = new Map([
  ["AVG", averagely],
  ["AVG_BY_CIRCLE", byCircle]
])

/** What there is; a text that is none of these is null in Java. Source: RocketMQ `MessageModel`. */
const models: ReadonlySet<string> = new Set(["BROADCASTING", "CLUSTERING", "LITE_SELECTIVE"])

/** The queues that consumers see, in the order in which they are shared out. */
const readable = (topic: string, route: TopicRouteData): ReadonlyArray<MessageQueue> =>
  route.queueDatas
    .filter(({ perm }) => (perm & MixAll.PermName.READ) !== 0)
    .toSorted((one, other) => (one.brokerName < other.brokerName ? -1 : 1))
    .flatMap(({ brokerName, readQueueNums }) =>
      Array.from({ length: readQueueNums }, (_, queueId) => ({ topic, brokerName, queueId }))
    )

/** Each queue once. */
const distinct = (queues: ReadonlyArray<MessageQueue>): ReadonlyArray<MessageQueue> => [
  ...new Map(queues.map((queue) => [`${queue.brokerName} ${queue.queueId}`, queue])).values()
]

/** All queues of each broker, for every member. Source: RocketMQ `QueryAssignmentProcessor.allocate4Pop`. */
const everyQueue = (queues: ReadonlyArray<MessageQueue>): ReadonlyArray<MessageQueue> =>
  distinct(queues.map((queue) => ({ ...queue, queueId: -1 })))

/** A member's own share and those of the members behind it; with more members than queues one queue each. */
const shared = (
  strategy: Strategy,
  queues: ReadonlyArray<MessageQueue>,
  members: number,
  index: number,
  more: number
): ReadonlyArray<MessageQueue> => {
  if (members > queues.length) return queues.slice(index % queues.length, (index % queues.length) + 1)
  const shares = Array.from({ length: more + 1 }, (_, step) => strategy(queues, members, (index + step) % members))
  return distinct(shares.flat())
}

/**
 * Which queues a consumer shall read, and how (400); what an administrator sets about it (401).
 *
 * Source: RocketMQ `QueryAssignmentProcessor`.
 */
export const handlers = (broker: Broker): Handlers => {
  const { config, state } = broker

  /** How a group reads a topic. Retry topics are always pulled. */
  const modeOf = (topic: string, group: string): Pick<MessageRequestMode, "mode" | "popShareQueueNum"> => {
    const chosen = state.modes.get(topic, group)
    if (chosen !== undefined) return chosen
    const mode = MixAll.isRetryTopic(topic) ? "PULL" : config.defaultMessageRequestMode
    return { mode, popShareQueueNum: config.defaultPopShareQueueNum }
  }

  /** Undefined when nothing can be said, and the consumer keeps what it has. */
  const assigned = (asked: QueryAssignment.QueryAssignmentBody): ReadonlyArray<MessageQueue> | undefined => {
    const route = broker.route(asked.topic)
    if (route === undefined) return undefined
    const queues = readable(asked.topic, route)
    if (asked.messageModel === "BROADCASTING") return queues
    const group = broker.clients.consumerGroup(asked.consumerGroup)
    const strategy = strategies.get(asked.strategyName)
    if (asked.messageModel !== "CLUSTERING" || group === undefined || strategy === undefined) return undefined
    // A client with two connections is in the list twice, and reads but one of its two shares.
    const members = group.channels.map(({ clientId }) => clientId).toSorted()
    const { mode, popShareQueueNum } = modeOf(asked.topic, asked.consumerGroup)
    if (mode === "POP" && (popShareQueueNum <= 0 || popShareQueueNum >= members.length - 1)) return everyQueue(queues)
    if (asked.clientId === "" || queues.length === 0) return undefined
    const index = members.indexOf(asked.clientId)
    if (index >= 0 && mode === "POP") return shared(strategy, queues, members.length, index, popShareQueueNum)
    return index < 0 ? [] : strategy(queues, members.length, index)
  }

  const query = Reply.sync((request) => {
    const asked = QueryAssignment.decodeRequest(request)
    if (asked instanceof DecodeError) return Reply.malformed(asked)
    if (!models.has(asked.messageModel)) {
      return Reply.refuse(ResponseCode.SYSTEM_ERROR, Remarks.nullPointer("messageModel"))
    }
    const { mode } = modeOf(asked.topic, asked.consumerGroup)
    return QueryAssignment.response({
      messageQueueAssignments: assigned(asked)?.map((messageQueue) => ({ messageQueue, mode }))
    })
  })

  const setMode = Reply.sync((request) => {
    const mode = SetMessageRequestMode.decodeRequest(request)
    if (mode instanceof DecodeError) return Reply.malformed(mode)
    const { consumerGroup, topic } = mode
    if (MixAll.isRetryTopic(topic)) {
      return Reply.refuse(ResponseCode.NO_PERMISSION, "retry topic is not allowed to set mode")
    }
    if (state.topics.get(topic) === undefined) {
      return Reply.refuse(ResponseCode.TOPIC_NOT_EXIST, `topic[${topic}] not exist`)
    }
    if (state.groups.find(consumerGroup) === undefined) {
      return Reply.refuse(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, "subscription group does not exist")
    }
    return state.modes.set(mode)
      ? SetMessageRequestMode.response()
      : Reply.refuse(ResponseCode.SYSTEM_ERROR, Remarks.NO_ROOM_FOR_MODE)
  })

  return new Map([
    [RequestCode.QUERY_ASSIGNMENT, query],
    [RequestCode.SET_MESSAGE_REQUEST_MODE, setMode]
  ])
}
