import { Effect, Random } from "effect"
import { type AccessDenied, type ApiError, type BrokerRejected, FilterRefused } from "../../client/ClientError.ts"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import * as ForeignText from "../../message/ForeignText.ts"
import type { SubscriptionData } from "../../protocol/HeartbeatData.ts"
import * as CheckClientConfig from "../../protocol/request/CheckClientConfig.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"

/** Milliseconds that a broker may take to look at a filter, as in Java. */
const TIMEOUT_MILLIS = 3_000
/** Brokers of a topic that are asked until one answers; Java asks one. */
const MAX_ASKED = 3
/** Filters that are asked about at once. */
const AT_ONCE = 4

/** Answers that say nothing about the filter. */
const busy: ReadonlySet<number> = new Set([
  ResponseCode.SYSTEM_BUSY,
  ResponseCode.FLOW_CONTROL,
  ResponseCode.SERVICE_NOT_AVAILABLE
])

const problemOf = ({ code, remark }: BrokerRejected): FilterRefused["problem"] => {
  if (code === ResponseCode.SUBSCRIPTION_PARSE_FAILED) return "unreadable"
  const isOld = code === ResponseCode.REQUEST_CODE_NOT_SUPPORTED
  return isOld || remark.includes("does not support consumer to filter") ? "unsupported" : "other"
}

const refusalOf = (
  error: ApiError,
  { subString, topic }: SubscriptionData
): FilterRefused | AccessDenied | undefined => {
  if (error._tag === "AccessDenied") return error
  if (error._tag !== "BrokerRejected" || busy.has(error.code)) return undefined
  const { address, code, codeName, remark } = error
  const expression = ForeignText.clean(subString)
  return new FilterRefused({ topic, expression, address, problem: problemOf(error), code, codeName, remark })
}

/**
 * Asks a broker of each topic, one at random, whether it can serve the filter, where that is no tag filter (46); another where
 * one does not answer. Fails with a refusal. A topic without brokers so far is not asked about, and a filter about which no
 * broker answers is left to the pulls, which are refused for the same reason.
 *
 * Source: RocketMQ `MQClientInstance.checkClientInBroker`.
 */
export const check = (
  { api, clientId }: Pick<MQClientInstanceShape, "api" | "clientId">,
  group: string,
  subscriptions: Iterable<SubscriptionData>,
  brokersOf: (topic: string) => ReadonlyArray<string>
): Effect.Effect<void, FilterRefused | AccessDenied> => {
  const ask = Effect.fnUntraced(function* (subscriptionData: SubscriptionData) {
    const addresses = yield* Random.shuffle(brokersOf(subscriptionData.topic))
    const request = CheckClientConfig.request({ clientId, group, subscriptionData })
    for (const address of addresses.slice(0, MAX_ASKED)) {
      const answer = yield* Effect.result(api.call(address, request, TIMEOUT_MILLIS, CheckClientConfig.decodeResponse))
      if (answer._tag === "Success") return
      const refusal = refusalOf(answer.failure, subscriptionData)
      if (refusal !== undefined) yield* Effect.fail(refusal)
      yield* Effect.logWarning(
        `whether the filter of topic ${subscriptionData.topic} can be served is not known: ${answer.failure.message}`
      )
    }
  })
  return Effect.forEach(
    [...subscriptions].filter(({ expressionType }) => expressionType !== "TAG"),
    ask,
    { concurrency: AT_ONCE, discard: true }
  )
}
