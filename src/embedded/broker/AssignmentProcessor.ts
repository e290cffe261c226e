import type { MessageQueue } from "../../message/MessageQueue.ts"
import * as MixAll from "../../message/MixAll.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
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

/** Which queues a consumer shall read (400). Source: RocketMQ `QueryAssignmentProcessor`. */
export const handlers = (broker: Broker): Handlers => {
  /** Undefined when nothing can be said, and the consumer keeps what it has. */
  const assigned = (asked: QueryAssignment.QueryAssignmentBody): ReadonlyArray<MessageQueue> | undefined => {
    const route = broker.route(asked.topic)
    if (route === undefined) return undefined
    const queues = readable(asked.topic, route)
    if (asked.messageModel === "BROADCASTING") return queues
    const group = broker.clients.consumerGroup(asked.consumerGroup)
    const strategy = strategies.get(asked.strategyName)
    if (asked.messageModel !== "CLUSTERING" || group === undefined || strategy === undefined) return undefined
    if (asked.clientId === "" || queues.length === 0) return undefined
    // A client with two connections is in the list twice, and reads but one of its two shares.
    const members = group.channels.map(({ clientId }) => clientId).toSorted()
    const index = members.indexOf(asked.clientId)
    return index < 0 ? [] : strategy(queues, members.length, index)
  }

  const query = Reply.sync((request) => {
    const asked = QueryAssignment.decodeRequest(request)
    if (asked instanceof DecodeError) return Reply.malformed(asked)
    if (!models.has(asked.messageModel)) {
      return Reply.refuse(ResponseCode.SYSTEM_ERROR, Remarks.nullPointer("messageModel"))
    }
    return QueryAssignment.response({
      messageQueueAssignments: assigned(asked)?.map((messageQueue) => ({ messageQueue, mode: "PULL" }))
    })
  })

  return new Map([[RequestCode.QUERY_ASSIGNMENT, query]])
}
