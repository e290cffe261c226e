import { Effect } from "effect"
import { MASTER_ID } from "../message/MixAll.ts"
import * as GetRouteInfoByTopic from "../protocol/request/GetRouteInfoByTopic.ts"
import * as ClientError from "./ClientError.ts"
import { HEARTBEATS_AT_ONCE } from "./Heartbeat.ts"
import { rejected } from "./MQClientApi.ts"
import type { MQClientInstanceShape } from "./MQClientInstance.ts"
import { problemOf } from "./RouteQueues.ts"
import type { TopicRoute } from "./TopicRoute.ts"

/**
 * What "started" means.
 *
 * - `lazy`: nothing was asked of any server (Java's way).
 * - `nameServer`: a name server has answered; a producer's default.
 * - `routes`: the routes of the option `topics` are known as well.
 * - `registered`: every master on those routes has acknowledged a heartbeat as well.
 */
export type Readiness = "lazy" | "nameServer" | "routes" | "registered"

/** What a start waits for. */
export interface ReadinessOptions {
  readonly level: Readiness
  /** The topics whose routes are to be known, for `routes` and `registered`. */
  readonly topics: ReadonlyArray<string>
  /** How a topic that nobody has may be routed through the template topic; undefined where it may not. */
  readonly borrow: Parameters<TopicRoute["updateTopicRouteInfoFromNameServer"]>[1]
}

/**
 * Asks the name servers for anything at all: whoever answers is reachable and speaks the protocol, and lets this user in.
 */
const nameServerAnswers = ({ config, nameServer }: MQClientInstanceShape) => {
  const request = GetRouteInfoByTopic.request({ topic: config.createTopicKey, acceptStandardJsonOnly: true })
  return Effect.flatMap(nameServer.invoke(request, config.mqClientApiTimeout), ({ address, response }) => {
    const refusal = rejected(address, request.code, response)
    return refusal._tag === "AccessDenied" ? Effect.fail(refusal) : Effect.void
  })
}

/** The route of one topic, as its user would find it. */
const resolve = Effect.fnUntraced(function* (
  instance: MQClientInstanceShape,
  borrow: ReadinessOptions["borrow"],
  topic: string
) {
  const route = yield* instance.routes
    .updateTopicRouteInfoFromNameServer(topic, borrow)
    .pipe(
      Effect.catchTag("ClientClosed", () =>
        Effect.fail(new ClientError.RouteUnavailable({ topic, problem: "name-server-silent", tries: [] }))
      )
    )
  const problem = problemOf(route.data)
  if (problem !== undefined) return yield* new ClientError.RouteUnavailable({ topic, problem, tries: [] })
  return route
})

/** A heartbeat to every master of the routes, each acknowledged. */
const register = Effect.fnUntraced(function* (instance: MQClientInstanceShape, brokerNames: ReadonlySet<string>) {
  yield* Effect.forEach(
    brokerNames,
    (brokerName) => {
      const address = instance.routes.brokerAddrTable.get(brokerName)?.get(MASTER_ID)
      return address === undefined
        ? Effect.void
        : Effect.mapError(instance.heartbeat.sendHeartbeat(address), (cause) =>
            cause._tag === "AccessDenied" ? cause : new ClientError.BrokerNotRegistered({ brokerName, address, cause })
          )
    },
    { concurrency: HEARTBEATS_AT_ONCE, discard: true }
  )
})

/** Waits until a client is as ready as is asked for: see {@link Readiness}. */
export const awaitReadiness = Effect.fnUntraced(function* (
  instance: MQClientInstanceShape,
  { borrow, level, topics }: ReadinessOptions
) {
  if (level === "lazy") return
  yield* nameServerAnswers(instance)
  if (level === "nameServer") return
  const routes = yield* Effect.forEach(topics, (topic) => resolve(instance, borrow, topic), { concurrency: 16 })
  if (level === "routes") return
  yield* register(instance, new Set(routes.flatMap((route) => route.data.brokerDatas.map((b) => b.brokerName))))
})
