import { Cause, Clock, Effect, Fiber, FiberSet } from "effect"
import * as ForeignText from "../message/ForeignText.ts"
import { AUTO_CREATE_TOPIC_KEY_TOPIC, isRetryTopic, MASTER_ID, PermName } from "../message/MixAll.ts"
import type { TopicRouteData } from "../protocol/TopicRouteData.ts"
import * as Address from "../transport/Address.ts"
import { ClientClosed } from "../transport/RemotingError.ts"
import { AddressTranslator, type BrokerEndpoint } from "./AddressTranslator.ts"
import type { AccessDenied } from "./AccessDenied.ts"
import { NameServerTry, type RouteProblem, RouteUnavailable } from "./ClientError.ts"
import { type ClientMembers, type PublishedRoute, topicsOf } from "./ClientMembers.ts"
import type { MQClientApi } from "./MQClientApi.ts"
import { isOutage } from "./NameServer.ts"

/** The routes and broker addresses that one client instance knows. */
export interface TopicRoute {
  /** topic -> the route last read. */
  readonly topicRouteTable: ReadonlyMap<string, PublishedRoute>
  /** broker name -> broker id -> address, translated. */
  readonly brokerAddrTable: ReadonlyMap<string, ReadonlyMap<number, string>>
  /** The address of a broker's master. */
  readonly findBrokerAddressInPublish: (brokerName: string) => string | undefined
  /** The broker that has the address, as name and id. */
  readonly brokerOf: (address: string) => { readonly brokerName: string; readonly brokerId: number } | undefined
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
  /** When the topic's route was last read, on the monotonic clock in milliseconds. */
  readonly readAt: (topic: string) => number | undefined
  /** The address of a broker's master that routes name and `allowAddress` refuses. */
  readonly refusedMaster: (brokerName: string) => string | undefined
}

/** Why a route cannot be had. */
export type RouteError = RouteUnavailable | AccessDenied

/** How a missing topic is routed: through the template topic, with at most so many queues a broker. */
export interface Borrow {
  /** Queues of the borrowed route at most, as the topic will get so many. */
  readonly defaultTopicQueueNums: number
}

/** How many refused addresses are logged; a hostile name server has more. */
const MAX_TOLD = 100
/** How many topics timer 2 reads at once. */
const POLL_CONCURRENCY = 16

/** Why a route cannot be sent over, or undefined when it can. */
export const problemOfRoute = (route: TopicRouteData): RouteProblem | undefined => {
  const writable = route.queueDatas.filter((q) => (q.perm & PermName.WRITE) !== 0 && q.writeQueueNums > 0)
  if (writable.length === 0) return "no-writable-queue"
  const masters = new Set(route.brokerDatas.filter((b) => b.brokerAddrs.has(MASTER_ID)).map((b) => b.brokerName))
  return writable.some((q) => masters.has(q.brokerName)) ? undefined : "no-master"
}

/** Whether a route knows of no queue or of no broker at all. */
const isEmpty = ({ brokerDatas, queueDatas }: TopicRouteData): boolean =>
  queueDatas.length === 0 || brokerDatas.length === 0

/** A route without the brokers whose names could do something to a terminal. */
const readable = (route: TopicRouteData): TopicRouteData => {
  const { brokerDatas, orderTopicConf, queueDatas } = route
  const names = [...brokerDatas, ...queueDatas].map(({ brokerName }) => brokerName)
  if (ForeignText.isClean(orderTopicConf ?? "") && names.every(ForeignText.isClean)) return route
  return {
    ...route,
    orderTopicConf: ForeignText.isClean(orderTopicConf ?? "") ? orderTopicConf : undefined,
    brokerDatas: brokerDatas.filter(({ brokerName }) => ForeignText.isClean(brokerName)),
    queueDatas: queueDatas.filter(({ brokerName }) => ForeignText.isClean(brokerName))
  }
}

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
const flightKey = (topic: string, borrow: Borrow | undefined) => `${topic} ${borrow?.defaultTopicQueueNums ?? ""}`

/**
 * Makes the route tables of an instance.
 *
 * Source: RocketMQ `MQClientInstance.updateTopicRouteInfoFromNameServer`.
 */
export const make = Effect.fnUntraced(function* (
  api: MQClientApi,
  members: ClientMembers,
  timeoutMillis: number,
  allowAddress: ((address: string) => boolean) | undefined
) {
  const clock = yield* Clock.Clock
  const translator = yield* AddressTranslator
  const lookups = yield* FiberSet.make<PublishedRoute, RouteError>()
  const fork = yield* FiberSet.runtime(lookups)()
  const topicRouteTable = new Map<string, PublishedRoute>()
  const readAt = new Map<string, number>()
  const brokerAddrTable = new Map<string, ReadonlyMap<number, string>>()
  const inFlight = new Map<string, Fiber.Fiber<PublishedRoute, RouteError>>()
  const failing = new Map<string, RouteProblem | "access-denied">()
  /** broker name -> broker id -> address that may not be dialled. */
  const refusedTable = new Map<string, ReadonlyMap<number, string>>()
  const toldRefused = new Set<string>()

  /** Only `host:port`. A rule that throws allows nothing: what it would have said is not known. */
  const mayDial = (address: string): boolean => {
    if ("_tag" in Address.parse(address)) return false
    try {
      return allowAddress === undefined || allowAddress(address)
    } catch {
      return false
    }
  }

  /** Once an address: a route that names it comes back with every poll. */
  const tellRefused = (brokerName: string, address: string, why: string) => {
    if (toldRefused.has(address) || toldRefused.size === MAX_TOLD) return Effect.void
    toldRefused.add(address)
    return Effect.annotateLogs(
      Effect.logWarning(`the address ${address} of broker ${brokerName} ${why} and is not dialled`),
      { broker: address }
    )
  }

  /** What the translator makes of an address. One that throws makes nothing of it, and the address is refused. */
  const translate = (endpoint: BrokerEndpoint): Effect.Effect<string | undefined> =>
    Effect.catchCause(
      Effect.suspend(() => translator.translate(endpoint)),
      (cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.interrupt
          : Effect.as(
              tellRefused(
                endpoint.brokerName,
                ForeignText.clean(endpoint.address),
                `cannot be translated (${ForeignText.clean(String(Cause.squash(cause)))})`
              ),
              undefined
            )
    )

  /** Takes the addresses of a route, translated; gives the route without those that may not be dialled. */
  const takeAddresses = Effect.fnUntraced(function* (route: TopicRouteData) {
    const brokerDatas: Array<TopicRouteData["brokerDatas"][number]> = []
    for (const broker of route.brokerDatas) {
      const { brokerName } = broker
      const addresses = new Map<number, string>()
      const refused = new Map<number, string>()
      for (const [brokerId, address] of broker.brokerAddrs) {
        const translated = yield* translate({ brokerName, brokerId, address })
        if (translated !== undefined && mayDial(translated)) {
          addresses.set(brokerId, translated)
        } else {
          const shown = ForeignText.clean(translated ?? address)
          refused.set(brokerId, shown)
          yield* tellRefused(brokerName, shown, "is not allowed")
        }
      }
      brokerAddrTable.set(brokerName, addresses)
      refusedTable.set(brokerName, refused)
      brokerDatas.push(
        refused.size === 0
          ? broker
          : { ...broker, brokerAddrs: new Map([...broker.brokerAddrs].filter(([id]) => !refused.has(id))) }
      )
    }
    return { ...route, brokerDatas }
  })

  const accept = Effect.fnUntraced(function* (read: PublishedRoute) {
    const { topic } = read
    const route = { ...read, data: yield* takeAddresses(readable(read.data)) }
    topicRouteTable.set(topic, route)
    for (const producer of members.producerTable.values()) producer.updateTopicPublishInfo(route)
    for (const consumer of members.consumerTable.values()) consumer.updateTopicSubscribeInfo(route)
    if (problemOfRoute(route.data) === "no-master" && problemOfRoute(read.data) === undefined) {
      const names = route.data.brokerDatas.map((broker) => broker.brokerName)
      const refused = names.flatMap((name) => [...(refusedTable.get(name)?.values() ?? [])])
      return yield* new RouteUnavailable({ topic, problem: "address-not-allowed", tries: [], refused })
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
    const own = yield* read(topic)
    const known = topicRouteTable.get(topic)
    if (own !== undefined) {
      // A name server that has just started answers with an empty view; a good table is worth more than that.
      if (isEmpty(own) && known !== undefined && problemOfRoute(known.data) === undefined) return known
      return yield* accept({ topic, data: own, borrowed: false })
    }
    // A topic that has a route of its own keeps it: its brokers may only be away for a while, and a borrowed route would
    // let a send create the topic on others.
    const hasOwn = known !== undefined && !known.borrowed && problemOfRoute(known.data) === undefined
    const template = borrow === undefined || hasOwn ? undefined : yield* read(AUTO_CREATE_TOPIC_KEY_TOPIC)
    if (borrow === undefined || template === undefined) {
      return yield* new RouteUnavailable({ topic, problem: "topic-absent", tries: [] })
    }
    return yield* accept({ topic, data: borrowed(template, borrow), borrowed: true })
  })

  const noteOutcome = (topic: string, problem: RouteProblem | "access-denied" | undefined) => {
    const before = failing.get(topic)
    if (problem === before) return Effect.void
    if (problem === undefined) {
      failing.delete(topic)
      return Effect.annotateLogs(Effect.logInfo(`the route of topic ${topic} can be read again`), { topic })
    }
    failing.set(topic, problem)
    // A retry topic, the template topic where creation is off, and a topic that no send has created yet are rightly absent.
    const expected =
      problem === "topic-absent" &&
      (isRetryTopic(topic) || topic === AUTO_CREATE_TOPIC_KEY_TOPIC || topicRouteTable.get(topic)?.borrowed === true)
    return expected
      ? Effect.void
      : Effect.annotateLogs(Effect.logWarning(`no route to topic ${topic}: ${problem}`), { topic })
  }

  const run = (topic: string, borrow: Borrow | undefined) =>
    lookup(topic, borrow).pipe(
      Effect.tap(() => {
        readAt.set(topic, Number(clock.monotonicTimeNanosUnsafe()) / 1e6)
        return noteOutcome(topic, undefined)
      }),
      Effect.tapError((error) => {
        if (error._tag === "AccessDenied") return noteOutcome(topic, "access-denied")
        // That the name servers are away says nothing of the topic, and was told once for all topics.
        return isOutage(error.tries) ? Effect.void : noteOutcome(topic, error.problem)
      }),
      Effect.ensuring(Effect.sync(() => inFlight.delete(flightKey(topic, borrow))))
    )

  const closed = new ClientClosed({ address: "the name server", sent: false })

  // The lookup belongs to the instance, not to the caller who happened to come first: that one may be interrupted.
  const flight = (topic: string, borrow: Borrow | undefined) => {
    const key = flightKey(topic, borrow)
    const known = inFlight.get(key)
    if (known !== undefined) return known
    const fiber = fork(run(topic, borrow))
    if (fiber.pollUnsafe() === undefined) inFlight.set(key, fiber)
    return fiber
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

  const updateAll = Effect.suspend(() =>
    Effect.forEach(
      topicsOf(members),
      // A borrowed route stays until the topic exists; asking for the template again would only repeat it.
      (topic) => Effect.ignore(updateTopicRouteInfoFromNameServer(topic, undefined)),
      { concurrency: POLL_CONCURRENCY, discard: true }
    )
  )

  const cleanOfflineBroker = Effect.sync(() => {
    const named = new Set<string>()
    for (const route of topicRouteTable.values()) {
      for (const broker of route.data.brokerDatas) named.add(broker.brokerName)
    }
    const left = new Set<string>()
    for (const [brokerName, addresses] of brokerAddrTable) {
      if (!named.has(brokerName)) {
        brokerAddrTable.delete(brokerName)
        refusedTable.delete(brokerName)
      } else for (const address of addresses.values()) left.add(address)
    }
    return left
  })

  const self: TopicRoute = {
    topicRouteTable,
    brokerAddrTable,
    findBrokerAddressInPublish: (brokerName) => brokerAddrTable.get(brokerName)?.get(MASTER_ID),
    brokerOf: (address) => {
      for (const [brokerName, addresses] of brokerAddrTable) {
        for (const [brokerId, known] of addresses) if (known === address) return { brokerName, brokerId }
      }
      return undefined
    },
    updateTopicRouteInfoFromNameServer,
    requestUpdate: (topic, borrow) => Effect.sync(() => void flight(topic, borrow)),
    updateAll,
    cleanOfflineBroker,
    readAt: (topic) => readAt.get(topic),
    refusedMaster: (brokerName) => refusedTable.get(brokerName)?.get(MASTER_ID)
  }
  return self
})
