import { Effect } from "effect"
import * as ClientError from "../client/ClientError.ts"
import { rejected } from "../client/MQClientApi.ts"
import type { MQClientInstanceShape } from "../client/MQClientInstance.ts"
import { problemOf } from "../client/RouteQueues.ts"
import { borrowOf } from "../client/TopicRoute.ts"
import { MASTER_ID } from "../message/MixAll.ts"
import * as GetRouteInfoByTopic from "../protocol/request/GetRouteInfoByTopic.ts"
import type { ProducerConfig } from "./ProducerConfig.ts"

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

/** The route of one topic, as a send would find it. */
const resolve = Effect.fnUntraced(function* (instance: MQClientInstanceShape, config: ProducerConfig, topic: string) {
  const route = yield* instance.routes
    .updateTopicRouteInfoFromNameServer(topic, borrowOf(config))
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
    { concurrency: "unbounded", discard: true }
  )
})

/**
 * Waits until the producer is as ready as its configuration asks: see `Readiness`.
 */
export const awaitReadiness = Effect.fnUntraced(function* (instance: MQClientInstanceShape, config: ProducerConfig) {
  const { readiness } = config
  if (readiness === "lazy") return
  yield* nameServerAnswers(instance)
  if (readiness === "nameServer") return
  const topics = config.topics.length === 0 ? [config.createTopicKey] : config.topics
  const routes = yield* Effect.forEach(topics, (topic) => resolve(instance, config, topic), { concurrency: 16 })
  if (readiness === "routes") return
  yield* register(instance, new Set(routes.flatMap((route) => route.data.brokerDatas.map((b) => b.brokerName))))
})
