import { Effect } from "effect"
import * as GetBrokerClusterInfo from "../protocol/request/GetBrokerClusterInfo.ts"
import type { MQClientApi } from "./MQClientApi.ts"
import type { RouteProblem } from "./RouteProblem.ts"

/**
 * Why a name server has no route of a topic: it knows no broker at all, or some and none with the topic. It answers the same
 * in both cases, so that it is asked for its brokers; one that does not say leaves it at the topic.
 */
export const absence = (
  api: Pick<MQClientApi, "callNameServer">,
  timeoutMillis: number
): Effect.Effect<Extract<RouteProblem, "no-broker" | "topic-absent">> =>
  api.callNameServer(GetBrokerClusterInfo.request(), timeoutMillis, GetBrokerClusterInfo.decodeResponse).pipe(
    Effect.match({
      onSuccess: ({ brokerAddrTable }) => (brokerAddrTable.size === 0 ? "no-broker" : "topic-absent"),
      onFailure: () => "topic-absent"
    })
  )
