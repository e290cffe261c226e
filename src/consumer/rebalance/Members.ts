import { Effect, Random } from "effect"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import { MASTER_ID } from "../../message/MixAll.ts"
import type { TopicRouteData } from "../../protocol/TopicRouteData.ts"
import * as GetConsumerListByGroup from "../../protocol/request/GetConsumerListByGroup.ts"

/** Milliseconds that a broker may take to name the members of a group, as in Java. */
const TIMEOUT_MILLIS = 3_000
/** A group has at most so many members; those beyond are left out, and so are their queues' owners everywhere else. */
const MAX_MEMBERS = 65_536

/** What a broker says, with SYSTEM_ERROR, of a group of which nobody has called on it. */
const NOBODY = "no consumer for this group"

/** The addresses of a route's brokers: their masters, or slaves where there is none. */
export const addressesOf = (instance: MQClientInstanceShape, route: TopicRouteData): ReadonlyArray<string> =>
  route.brokerDatas.flatMap(({ brokerName }) => {
    const address = instance.routes.findBrokerAddressInSubscribe(brokerName, MASTER_ID, false)?.address
    return address === undefined ? [] : [address]
  })

/**
 * The client ids of a group's members, sorted, as a broker of the topic knows them: one at random, and another where that
 * one does not name any; those that did not answer the last heartbeat come last. Empty when brokers know nobody of the group,
 * undefined when none could say: nothing may be given up on either.
 *
 * Source: RocketMQ `MQClientInstance.findConsumerIdList`.
 */
export const membersOf = Effect.fnUntraced(function* (
  instance: MQClientInstanceShape,
  group: string,
  route: TopicRouteData
) {
  const isSilent = (address: string) => (instance.heartbeat.table.get(address)?.failures ?? 0) > 0
  const addresses = yield* Random.shuffle(addressesOf(instance, route))
  let isNobody = false
  // A broker that does not answer heartbeats is asked last: a round must not wait for it.
  for (const address of addresses.toSorted((a, b) => Number(isSilent(a)) - Number(isSilent(b))).slice(0, 2)) {
    const answer = yield* Effect.result(
      instance.api.call(
        address,
        GetConsumerListByGroup.request({ consumerGroup: group }),
        TIMEOUT_MILLIS,
        GetConsumerListByGroup.decodeResponse
      )
    )
    if (answer._tag === "Failure") {
      if (answer.failure._tag === "BrokerRejected" && answer.failure.remark.startsWith(NOBODY)) isNobody = true
      continue
    }
    const { consumerIdList } = answer.success
    if (consumerIdList.length > 0) return [...new Set(consumerIdList)].toSorted().slice(0, MAX_MEMBERS)
    isNobody = true
  }
  return isNobody ? [] : undefined
})
