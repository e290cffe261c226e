import { Clock, Effect, Fiber, FiberMap, Option } from "effect"
import { AUTO_CREATE_TOPIC_KEY_TOPIC, isRetryTopic, MASTER_ID } from "../message/MixAll.ts"
import * as MessageQueue from "../message/MessageQueue.ts"
import type { BrokerData, TopicRouteData } from "../protocol/TopicRouteData.ts"
import { monotonicMillis } from "../transport/Deadline.ts"
import { ClientClosed } from "../transport/RemotingError.ts"
import { absence } from "./AbsentTopic.ts"
import type { AccessDenied } from "./AccessDenied.ts"
import type { AddressPolicy } from "./AddressPolicy.ts"
import type { AddressRefused } from "./AddressRefused.ts"
import type { BrokerTable } from "./BrokerTable.ts"
import { NameServerTry, type RouteProblem, RouteUnavailable } from "./ClientError.ts"
import { type ClientMembers, publish, type PublishedRoute, topicsOf } from "./ClientMembers.ts"
import type { MQClientApi } from "./MQClientApi.ts"
import { isOutage } from "./NameServer.ts"
import * as RouteBounds from "./RouteBounds.ts"
import type { RouteWarning } from "./RouteBounds.ts"
import * as RouteQueues from "./RouteQueues.ts"

/** The routes and broker addresses that one client instance knows. */
export interface TopicRoute {
  /** topic -> the route last read. */
  readonly topicRouteTable: ReadonlyMap<string, PublishedRoute>
  /** broker name -> broker id -> address, translated. */
  readonly brokerAddrTable: BrokerTable["addresses"]
  /** See {@link BrokerTable}. */
  readonly findBrokerAddressInPublish: BrokerTable["findBrokerAddressInPublish"]
  /** See {@link BrokerTable}. */
  readonly findBrokerAddressInSubscribe: BrokerTable["findBrokerAddressInSubscribe"]
  /** See {@link BrokerTable}. */
  readonly brokerOf: BrokerTable["brokerOf"]
  /** Which addresses are dialled, for whoever has them from elsewhere than from a route. */
  readonly policy: AddressPolicy
  /**
   * The broker that has a queue: the one that it names, or for a logical queue of a static topic the one that has it.
   *
   * Source: RocketMQ `MQClientInstance.getBrokerNameFromMessageQueue`.
   */
  readonly brokerNameOf: (queue: MessageQueue.MessageQueue) => string
  /**
   * Reads a topic's route from the name server and hands it to every producer and consumer. However many ask for one
   * topic at once, there is one lookup. With `borrow`, a topic that nobody has is routed through the template topic.
   */
  readonly updateTopicRouteInfoFromNameServer: (
    topic: string,
    borrow: Borrow | undefined
  ) => Effect.Effect<PublishedRoute, RouteError | ClientClosed>
  /** Has a topic's route read soon, and waits for nothing. */
  readonly requestUpdate: (topic: string, borrow: Borrow | undefined) => Effect.Effect<void>
  /** Timer 2: the routes of all topics, each for itself, so that one that fails or hangs holds up no other. */
  readonly updateAll: Effect.Effect<void>
  /** Java's `cleanOfflineBroker`: forgets the addresses that no route names any more, and returns those that are left. */
  readonly cleanOfflineBroker: Effect.Effect<ReadonlySet<string>>
  /**
   * When a name server last answered for the topic's route, or that there is none, on the monotonic clock in milliseconds;
   * undefined for a topic that nobody keeps.
   */
  readonly readAt: (topic: string) => number | undefined
  /** The address of a broker's master that is not dialled, and why. */
  readonly refusedMaster: (brokerName: string) => AddressRefused | undefined
  /** What of a topic's route is not used; empty when all of it is. */
  readonly warningsOf: (topic: string) => ReadonlyArray<RouteWarning>
}

/** Why a route cannot be had. */
export type RouteError = RouteUnavailable | AccessDenied

/** How a missing topic is routed. */
export interface Borrow {
  /** The template topic whose route it gets; 4.x and 5.x brokers have `TBW102` (Java `createTopicKey`). */
  readonly createTopicKey: string
  /** The queues that it gets on each broker at most (Java `defaultTopicQueueNums`). */
  readonly defaultTopicQueueNums: number
}

/** How a producer with these options routes a missing topic; undefined when it does not borrow a route. */
export const borrowOf = (config: Borrow & { readonly borrowRoute: boolean }): Borrow | undefined =>
  config.borrowRoute
    ? { createTopicKey: config.createTopicKey, defaultTopicQueueNums: config.defaultTopicQueueNums }
    : undefined

/** What the route tables of an instance are made of. */
export interface TopicRouteOptions {
  /** Requests to the name servers. */
  readonly api: MQClientApi
  /** Who is told of a route that changed. */
  readonly members: ClientMembers
  /** Which addresses of a route may be dialled. */
  readonly policy: AddressPolicy
  /** Takes the addresses of brokers that routes name. */
  readonly brokers: BrokerTable
  /** What a look-up may take, in milliseconds. */
  readonly timeoutMillis: number
  /** The template topic of the instance's configuration, which need not exist. */
  readonly createTopicKey: string
  /** Runs when a route has been read and handed on. */
  readonly changed: Effect.Effect<void>
}

/** How many topics timer 2 reads at once. */
const POLL_CONCURRENCY = 16
/** How many refused addresses an error names. */
const MAX_REFUSED = 100

/** Whether a route knows of no queue or of no broker at all. */
const isEmpty = ({ brokerDatas, queueDatas }: TopicRouteData): boolean =>
  queueDatas.length === 0 || brokerDatas.length === 0

const borrowed = (template: TopicRouteData, borrow: Borrow): TopicRouteData => ({
  ...template,
  queueDatas: template.queueDatas.map((queue) => {
    const queues = Math.min(borrow.defaultTopicQueueNums, queue.readQueueNums)
    return { ...queue, readQueueNums: queues, writeQueueNums: queues }
  })
})

const problemOfTries = (tries: ReadonlyArray<NameServerTry>): RouteProblem => {
  const problems = tries.map((t) => t.problem)
  if (problems.every((p) => p === "name-not-resolved")) return "name-not-resolved"
  if (problems.every((p) => p === "tls-failed")) return "name-server-tls"
  if (problems.includes("not-signed")) return "request-not-signed"
  if (problems.includes("exhausted")) return "client-exhausted"
  if (problems.includes("rejected") || problems.includes("not-ready")) return "name-server-rejected"
  if (problems.includes("unreadable")) return "name-server-unreadable"
  return problems.includes("silent") ? "name-server-silent" : "name-server-refused"
}

// Somebody who may not borrow must not be given what somebody who may is waiting for, nor the other way round.
const flightKey = (topic: string, borrow: Borrow | undefined) =>
  borrow === undefined ? topic : `${topic} ${borrow.defaultTopicQueueNums} ${borrow.createTopicKey}`

/** What is wrong with a route none of whose masters may be dialled. */
const problemOfRefused = (refused: ReadonlyArray<AddressRefused>): RouteProblem =>
  refused.every(({ problem }) => problem === "unreadable") ? "address-unreadable" : "address-not-allowed"

/**
 * Makes the route tables of an instance.
 *
 * Source: RocketMQ `MQClientInstance.updateTopicRouteInfoFromNameServer`.
 */
export const make = Effect.fnUntraced(function* (options: TopicRouteOptions) {
  const { api, brokers, changed, members, policy, timeoutMillis } = options
  const now = monotonicMillis(yield* Clock.Clock)
  const lookups = yield* FiberMap.make<string, PublishedRoute, RouteError>()
  const fork = yield* FiberMap.runtime(lookups)()
  const topicRouteTable = new Map<string, PublishedRoute>()
  const readAt = new Map<string, number>()
  const failing = new Map<string, RouteProblem | "access-denied">()
  /** The topics whose failure was told; their end is told as well. */
  const told = new Set<string>()
  const warnings = new Map<string, ReadonlyArray<RouteWarning>>()
  const templates = new Set([AUTO_CREATE_TOPIC_KEY_TOPIC, options.createTopicKey])
  /** topic -> the brokers of its logical queues; made when somebody asks, forgotten when a new route comes. */
  const leaders = new Map<string, ReadonlyMap<string, string> | undefined>()

  /** Takes the addresses of a route, translated; gives the route without those that may not be dialled. */
  const takeAddresses = Effect.fnUntraced(function* (route: TopicRouteData) {
    const brokerDatas: Array<BrokerData> = []
    for (const broker of route.brokerDatas) {
      const { brokerName } = broker
      const addresses = new Map<number, string>()
      const refused = new Map<number, AddressRefused>()
      for (const [brokerId, announced] of broker.brokerAddrs) {
        const address = yield* policy.resolve({ brokerName, brokerId, address: announced })
        if (typeof address === "string") {
          addresses.set(brokerId, address)
        } else {
          refused.set(brokerId, address)
          yield* policy.tell(address)
        }
      }
      brokers.set(brokerName, addresses, refused)
      brokerDatas.push(
        refused.size === 0
          ? broker
          : { ...broker, brokerAddrs: new Map([...broker.brokerAddrs].filter(([id]) => !refused.has(id))) }
      )
    }
    return { ...route, brokerDatas }
  })

  /** Says once what of a route is not used, and again when that changes. */
  const warn = (topic: string, found: ReadonlyArray<RouteWarning>) => {
    const before = warnings.get(topic) ?? []
    warnings.set(topic, found)
    const text = found.map(RouteBounds.describe).join("; ")
    return text === "" || text === before.map(RouteBounds.describe).join("; ")
      ? Effect.void
      : Effect.annotateLogs(Effect.logWarning(`the route of topic ${topic} is used in part: ${text}`), { topic })
  }

  const accept = Effect.fnUntraced(function* (read: PublishedRoute, found: ReadonlyArray<RouteWarning>) {
    const { topic } = read
    const problem = RouteQueues.problemOf(read.data)
    if (problem === "too-many-queues") {
      // What is known of the topic stays: the table is not touched.
      const { readable, writable } = RouteQueues.count(read.data)
      return yield* new RouteUnavailable({ topic, problem, tries: [], queues: Math.max(readable, writable) })
    }
    yield* warn(topic, found)
    const route = { ...read, data: yield* takeAddresses(read.data) }
    topicRouteTable.set(topic, route)
    leaders.delete(topic)
    yield* publish(members, route)
    yield* changed
    if (problem === undefined && RouteQueues.problemOf(route.data) === "no-master") {
      const names = route.data.brokerDatas.map((broker) => broker.brokerName)
      const refused = names.flatMap((name) => [...(brokers.refusedOf(name)?.values() ?? [])]).slice(0, MAX_REFUSED)
      return yield* new RouteUnavailable({ topic, problem: problemOfRefused(refused), tries: [], refused })
    }
    return route
  })

  const read = (topic: string): Effect.Effect<TopicRouteData | undefined, RouteError> =>
    api.getTopicRouteInfo(topic, timeoutMillis).pipe(
      Effect.mapError((error) => {
        switch (error._tag) {
          case "NoNameServer":
            return new RouteUnavailable({ topic, problem: "no-name-server-address", tries: [] })
          case "NameServerUnavailable":
            return new RouteUnavailable({ topic, problem: problemOfTries(error.tries), tries: error.tries })
          case "AccessDenied":
            return error
          default:
            return new RouteUnavailable({
              topic,
              problem: "name-server-rejected",
              tries: [new NameServerTry({ address: error.address, problem: "rejected", detail: error.message })]
            })
        }
      })
    )

  const lookup = Effect.fnUntraced(function* (topic: string, borrow: Borrow | undefined) {
    const answer = yield* read(topic)
    const known = topicRouteTable.get(topic)
    if (answer !== undefined) {
      const own = RouteBounds.bounded(answer)
      // A name server that has just started answers with an empty view; a good table is worth more than that.
      if (isEmpty(own.route) && known !== undefined && RouteQueues.problemOf(known.data) === undefined) return known
      return yield* accept({ topic, data: own.route, borrowed: false }, own.warnings)
    }
    // A topic that has a route of its own keeps it: its brokers may only be away for a while, and a borrowed route would
    // let a send create the topic on others.
    const hasOwn = known !== undefined && !known.borrowed && RouteQueues.problemOf(known.data) === undefined
    if (borrow !== undefined) templates.add(borrow.createTopicKey)
    const template = borrow === undefined || hasOwn ? undefined : yield* read(borrow.createTopicKey)
    if (borrow === undefined || template === undefined) {
      // Whoever knows brokers need not ask whether there are any.
      const problem = brokers.addresses.size > 0 ? "topic-absent" : yield* absence(api, timeoutMillis)
      return yield* new RouteUnavailable({ topic, problem, tries: [] })
    }
    const lent = RouteBounds.bounded(template)
    return yield* accept({ topic, data: borrowed(lent.route, borrow), borrowed: true }, lent.warnings)
  })

  const noteOutcome = (topic: string, problem: RouteProblem | "access-denied" | undefined, message?: string) => {
    const before = failing.get(topic)
    if (problem === before) return Effect.void
    if (problem === undefined) {
      failing.delete(topic)
      return told.delete(topic)
        ? Effect.annotateLogs(Effect.logInfo(`the route of topic ${topic} can be read again`), { topic })
        : Effect.void
    }
    failing.set(topic, problem)
    // A retry topic, the template topic where creation is off, and a topic that no send has created yet are rightly absent.
    const expected =
      (problem === "topic-absent" || problem === "no-broker") &&
      (isRetryTopic(topic) || templates.has(topic) || topicRouteTable.get(topic)?.borrowed === true)
    if (expected) return Effect.void
    told.add(topic)
    const text =
      problem === "too-many-queues" && message !== undefined
        ? `${message}${topicRouteTable.has(topic) ? " The route known before stays in use." : ""}`
        : `no route to topic ${topic}: ${problem}`
    return Effect.annotateLogs(Effect.logWarning(text), { topic })
  }

  const run = (topic: string, borrow: Borrow | undefined) =>
    lookup(topic, borrow).pipe(
      Effect.tap(() => {
        readAt.set(topic, now())
        return noteOutcome(topic, undefined)
      }),
      Effect.tapError((error) => {
        // That there is no such topic is an answer too, and may be right for long: the template's, or a borrowed route's.
        if (error._tag === "RouteUnavailable" && error.problem === "topic-absent") readAt.set(topic, now())
        if (error._tag === "AccessDenied") return noteOutcome(topic, "access-denied")
        // That the name servers are away says nothing of the topic, and was told once for all topics.
        return isOutage(error.tries) ? Effect.void : noteOutcome(topic, error.problem, error.message)
      })
    )

  const closed = new ClientClosed({ address: "the name server", sent: false })

  // The lookup belongs to the instance, not to the caller who happened to come first: that one may be interrupted.
  const flight = (topic: string, borrow: Borrow | undefined) => {
    const key = flightKey(topic, borrow)
    return Option.getOrElse(FiberMap.getUnsafe(lookups, key), () => fork(key, run(topic, borrow)))
  }

  const updateTopicRouteInfoFromNameServer = (topic: string, borrow: Borrow | undefined) =>
    Effect.suspend(() =>
      Effect.flatMap(
        Fiber.await(flight(topic, borrow)),
        (exit): Effect.Effect<PublishedRoute, RouteError | ClientClosed> =>
          exit._tag === "Failure" && exit.cause.reasons.some((reason) => reason._tag === "Interrupt")
            ? Effect.fail(closed)
            : exit
      )
    )

  const updateAll = Effect.flatMap(topicsOf(members), (topics) => {
    // What nobody keeps any longer is read no more, and is not old for that.
    for (const topic of readAt.keys()) if (!topics.has(topic)) readAt.delete(topic)
    return Effect.forEach(
      topics,
      // A borrowed route stays until the topic exists; asking for the template again would only repeat it.
      (topic) => Effect.ignore(updateTopicRouteInfoFromNameServer(topic, undefined)),
      { concurrency: POLL_CONCURRENCY, discard: true }
    )
  })

  const cleanOfflineBroker = Effect.sync(() => {
    const named = new Set<string>()
    for (const route of topicRouteTable.values()) {
      for (const broker of route.data.brokerDatas) named.add(broker.brokerName)
    }
    return brokers.retain(named)
  })

  const brokerNameOf: TopicRoute["brokerNameOf"] = (queue) => {
    const { topic } = queue
    const data = topicRouteTable.get(topic)?.data
    if (data?.topicQueueMappingByBroker === undefined) return queue.brokerName
    if (!leaders.has(topic)) leaders.set(topic, RouteQueues.leadersOf(topic, data))
    return leaders.get(topic)?.get(MessageQueue.key(queue)) ?? queue.brokerName
  }

  const self: TopicRoute = {
    topicRouteTable,
    brokerAddrTable: brokers.addresses,
    findBrokerAddressInPublish: brokers.findBrokerAddressInPublish,
    findBrokerAddressInSubscribe: brokers.findBrokerAddressInSubscribe,
    brokerOf: brokers.brokerOf,
    brokerNameOf,
    policy,
    updateTopicRouteInfoFromNameServer,
    requestUpdate: (topic, borrow) => Effect.sync(() => void flight(topic, borrow)),
    updateAll,
    cleanOfflineBroker,
    readAt: (topic) => readAt.get(topic),
    refusedMaster: (brokerName) => brokers.refusedOf(brokerName)?.get(MASTER_ID),
    warningsOf: (topic) => warnings.get(topic) ?? []
  }
  return self
})
