import { Effect } from "effect"
import { BrokerNotExist, RouteUnavailable } from "../../client/ClientError.ts"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import { problemOf } from "../../client/RouteQueues.ts"
import { borrowOf } from "../../client/TopicRoute.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import type { FaultStrategy } from "../queue/FaultStrategy.ts"
import type { ProducerConfig } from "../ProducerConfig.ts"
import { choose } from "./QueueChoice.ts"
import { type Call, placeOf, timeout } from "./SendState.ts"
import type { QueueSelectorFailed, SendReason } from "./SendError.ts"
import type { TopicPublishInfo } from "../queue/TopicPublishInfo.ts"
import type { TopicPublishInfoTable } from "../queue/TopicPublishInfoTable.ts"

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
  /** What is known of the call's topic; undefined when that is not enough for an attempt. */
  readonly infoOf: (call: Call) => TopicPublishInfo | undefined
  /** Where an attempt that begins now goes; undefined when there is no queue for it. */
  readonly of: (
    call: Call,
    info: TopicPublishInfo,
    begin: number
  ) => Target | WithoutMaster | QueueSelectorFailed | undefined
  /** The route of a topic that has no usable entry; fails with what is wrong with it. */
  readonly lookup: (topic: string) => Effect.Effect<TopicPublishInfo, SendReason>
  /** The same for one send, in the time that it has left. However many wait for a topic, it is looked up once. */
  readonly lookupFor: (call: Call, remainingMillis: number) => Effect.Effect<TopicPublishInfo, SendReason>
  /** Reads the route again, unless that was done since the attempt began. Whatever comes of it, the send goes on. */
  readonly refresh: (call: Call, since: number) => Effect.Effect<void>
  /** Asks for the route to be read again; waits for nothing. */
  readonly requestUpdate: (call: Call) => Effect.Effect<void>
  readonly notExist: (call: Call, brokerName: string) => BrokerNotExist
  /** How many brokers have queues of the call's topic. */
  readonly brokerCount: (call: Call) => number
}

/** A route is not read anew for a failed attempt more than so long, in milliseconds. */
const REFRESH_LIMIT_MILLIS = 1_000

/** How long a send may wait for news of a route or a broker before its next attempt. */
export const refreshLimit = (call: Call, now: number): number =>
  Math.max(0, Math.min(REFRESH_LIMIT_MILLIS, call.deadline - now))

/** Makes the choice of targets of a producer; `now` is the monotonic clock in milliseconds. */
export const make = (
  config: ProducerConfig,
  { routes }: MQClientInstanceShape,
  table: TopicPublishInfoTable,
  faults: FaultStrategy,
  now: () => number,
  chance: () => number
): SendTargets => {
  const borrow = borrowOf(config)

  const queueOf = (call: Call, info: TopicPublishInfo): MessageQueue | QueueSelectorFailed | undefined => {
    if (call.fixedQueue !== undefined) return call.fixedQueue
    if (call.selector === undefined) return faults.selectOneMessageQueue(info, call.lastBroker)
    const chosen = choose(call.selector, info.queues, info.topic, call.outgoing.message, chance)
    if (!("_tag" in chosen)) call.fixedQueue = chosen
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
    infoOf: (call) => {
      const info = table.get(call.outgoing.topic)
      return info === undefined || (info.queues.length === 0 && call.fixedQueue === undefined) ? undefined : info
    },
    of: (call, info, begin) => {
      const queue = queueOf(call, info)
      if (queue === undefined || "_tag" in queue) return queue
      const place = placeOf(info, queue)
      const address = routes.findBrokerAddressInPublish(place.brokerName)
      return address === undefined
        ? { _tag: "WithoutMaster", place }
        : { _tag: "Target", info, queue, place, address, begin }
    },
    lookup,
    lookupFor: (call, remainingMillis) =>
      Effect.timeoutOrElse(lookup(call.outgoing.topic), {
        duration: remainingMillis,
        orElse: () => Effect.fail(timeout(call, "the route look-up"))
      }),
    refresh: (call, since) => {
      const { topic } = call.outgoing
      const readAt = routes.readAt(topic)
      if (readAt !== undefined && readAt > since) return Effect.void
      return Effect.ignore(
        Effect.timeoutOption(routes.updateTopicRouteInfoFromNameServer(topic, borrow), refreshLimit(call, now()))
      )
    },
    requestUpdate: (call) => routes.requestUpdate(call.outgoing.topic, borrow),
    brokerCount: (call) => table.get(call.outgoing.topic)?.brokerCount ?? 0,
    notExist: ({ outgoing: { topic } }, brokerName) =>
      new BrokerNotExist({ topic, brokerName, refused: routes.refusedMaster(brokerName) })
  }
}
