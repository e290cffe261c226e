import { Effect } from "effect"
import { BrokerNotExist, RouteUnavailable } from "../../client/ClientError.ts"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import { problemOf } from "../../client/RouteQueues.ts"
import { borrowOf } from "../../client/TopicRoute.ts"
import * as ForeignText from "../../message/ForeignText.ts"
import type { Message } from "../../message/Message.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import { MASTER_ID } from "../../message/MixAll.ts"
import type { FaultStrategy } from "../queue/FaultStrategy.ts"
import type { ProducerConfig } from "../ProducerConfig.ts"
import type { QueueSelector } from "../queue/QueueSelector.ts"
import {
  placeOf,
  selectOneMessageQueue,
  type TopicPublishInfo,
  type TopicPublishInfoTable
} from "../queue/TopicPublishInfo.ts"
import { QueueSelectorFailed, type SendReason } from "./SendError.ts"
import { problemOfQueue } from "./SendOptions.ts"
import { type SendState, timeout } from "./SendState.ts"

/** Where an attempt goes. */
export interface Target {
  readonly _tag: "Target"
  readonly info: TopicPublishInfo
  /** The queue as the route has it. */
  readonly queue: MessageQueue
  /** The queue as its broker knows it. */
  readonly place: MessageQueue
  readonly address: string
  /** When the attempt began, on the monotonic clock in milliseconds. */
  readonly begin: number
}

/** A queue whose broker has no known master. */
export interface WithoutMaster {
  readonly _tag: "WithoutMaster"
  readonly place: MessageQueue
}

/** Where attempts can go, and the routes that say so. */
export interface SendTargets {
  /** What is known of the send's topic; undefined when that is not enough for an attempt. */
  readonly infoOf: (send: SendState) => TopicPublishInfo | undefined
  /** Where an attempt that begins now goes; undefined when there is no queue for it. */
  readonly of: (
    send: SendState,
    info: TopicPublishInfo,
    begin: number
  ) => Target | WithoutMaster | QueueSelectorFailed | undefined
  /** The route of a topic that has no usable entry; fails with what is wrong with it. */
  readonly lookup: (topic: string) => Effect.Effect<TopicPublishInfo, SendReason>
  /** The same for one send, in the time that it has left. However many wait for a topic, it is looked up once. */
  readonly lookupFor: (send: SendState, remainingMillis: number) => Effect.Effect<TopicPublishInfo, SendReason>
  /** Reads the route again, unless that was done since the attempt began. Whatever comes of it, the send goes on. */
  readonly refresh: (send: SendState, since: number) => Effect.Effect<void>
  /** Asks for the route to be read again; waits for nothing. */
  readonly requestUpdate: (send: SendState) => Effect.Effect<void>
  readonly notExist: (send: SendState, brokerName: string) => BrokerNotExist
  /** How many brokers have queues of the send's topic. */
  readonly brokerCount: (send: SendState) => number
}

/** A route is not read anew for a failed attempt more than so long, in milliseconds. */
const REFRESH_LIMIT_MILLIS = 1_000

/** How long a send may wait for news of a route or a broker before its next attempt. */
export const refreshLimit = (send: SendState, now: number): number =>
  Math.max(0, Math.min(REFRESH_LIMIT_MILLIS, send.deadline - now))

/** The queue that a selector chooses for a message; whatever goes wrong in the selector is a typed failure. */
export const choose = (
  selector: QueueSelector,
  queues: ReadonlyArray<MessageQueue>,
  topic: string,
  message: Message,
  chance: () => number
): MessageQueue | QueueSelectorFailed => {
  const bad = (problem: QueueSelectorFailed["problem"], detail: string, cause?: unknown) =>
    new QueueSelectorFailed({ topic, problem, detail, cause })
  let queue: MessageQueue | undefined
  try {
    queue = selector(queues, message, chance)
  } catch (cause) {
    return bad("threw", `it threw ${ForeignText.ofThrown(cause)}`, cause)
  }
  if (queue === undefined) return bad("no-queue", `it chose none of the ${queues.length} queues`)
  const problem = problemOfQueue(topic, queue)
  return problem === undefined ? queue : bad("wrong-queue", `the queue that it gave ${problem}`)
}

/** Makes the choice of targets of a producer; `now` is the monotonic clock in milliseconds. */
export const make = (
  config: ProducerConfig,
  { routes }: MQClientInstanceShape,
  table: TopicPublishInfoTable,
  faults: FaultStrategy | undefined,
  now: () => number,
  chance: () => number
): SendTargets => {
  const borrow = borrowOf(config)

  const queueOf = (send: SendState, info: TopicPublishInfo): MessageQueue | QueueSelectorFailed | undefined => {
    if (send.fixedQueue !== undefined) return send.fixedQueue
    if (send.selector === undefined) {
      return faults === undefined
        ? selectOneMessageQueue(info, send.lastBroker)
        : faults.selectOneMessageQueue(info, send.lastBroker)
    }
    const chosen = choose(send.selector, info.queues, info.topic, send.prepared.message, chance)
    if (!("_tag" in chosen)) send.fixedQueue = chosen
    return chosen
  }

  const lookup: SendTargets["lookup"] = (topic) =>
    Effect.flatMap(
      routes.updateTopicRouteInfoFromNameServer(topic, borrow),
      (route): Effect.Effect<TopicPublishInfo, SendReason> => {
        const info = table.getOrPut(topic)
        if (info.route !== route) table.update(route)
        const fresh = table.getOrPut(topic)
        if (fresh.queues.length > 0) return Effect.succeed(fresh)
        const problem = problemOf(route.data) ?? "no-writable-queue"
        return Effect.fail(new RouteUnavailable({ topic, problem, tries: [] }))
      }
    )

  return {
    infoOf: (send) => {
      const info = table.get(send.prepared.topic)
      return info === undefined || (info.queues.length === 0 && send.fixedQueue === undefined) ? undefined : info
    },
    of: (send, info, begin) => {
      const queue = queueOf(send, info)
      if (queue === undefined || "_tag" in queue) return queue
      const place = placeOf(info, queue)
      const address = routes.brokerAddrTable.get(place.brokerName)?.get(MASTER_ID)
      return address === undefined
        ? { _tag: "WithoutMaster", place }
        : { _tag: "Target", info, queue, place, address, begin }
    },
    lookup,
    lookupFor: (send, remainingMillis) =>
      Effect.timeoutOrElse(lookup(send.prepared.topic), {
        duration: remainingMillis,
        orElse: () => Effect.fail(timeout(send, "the route look-up"))
      }),
    refresh: (send, since) => {
      const { topic } = send.prepared
      const readAt = routes.readAt(topic)
      if (readAt !== undefined && readAt > since) return Effect.void
      return Effect.ignore(
        Effect.timeoutOption(routes.updateTopicRouteInfoFromNameServer(topic, borrow), refreshLimit(send, now()))
      )
    },
    requestUpdate: (send) => routes.requestUpdate(send.prepared.topic, borrow),
    brokerCount: (send) => table.get(send.prepared.topic)?.brokerCount ?? 0,
    notExist: ({ prepared: { topic } }, brokerName) =>
      new BrokerNotExist({ topic, brokerName, refused: routes.refusedMaster(brokerName) })
  }
}
