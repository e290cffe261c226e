import { Effect } from "effect"
import type { PublishedRoute } from "../../client/ClientMembers.ts"
import * as RouteQueues from "../../client/RouteQueues.ts"
import * as MessageQueue from "../../message/MessageQueue.ts"
import { membersOf } from "../rebalance/Members.ts"
import type { RunOptions } from "./RunOptions.ts"

/** What to do about a group that does not exist where brokers create none by themselves. */
export const createGroup = (group: string): string => `Create it: effect-rocketmq group create ${group}`

const byKey = (queues: ReadonlyArray<MessageQueue.MessageQueue>) =>
  new Map(queues.map((queue) => [MessageQueue.key(queue), queue]))

/** Which queues of a topic are this member's: by the members of the group and the strategy, or all where it broadcasts, or those that the program says. */
export const make = (options: Pick<RunOptions, "assigned" | "config" | "instance" | "membersChanged" | "problem">) => {
  const { config, instance, problem } = options
  const { group } = config
  let members: ReadonlyArray<string> = []
  /** The topics whose brokers do not take this client into the group. */
  const outside = new Set<string>()

  /**
   * The queues of a topic that are this member's share; undefined when that cannot be said now, `outside` when its brokers
   * know nobody of the group, although this client has just called on them.
   */
  const of = Effect.fnUntraced(function* (topic: string, route: PublishedRoute) {
    const assigned = options.assigned?.()
    if (assigned !== undefined) return { alone: true, queues: byKey(assigned.filter((one) => one.topic === topic)) }
    const queues = RouteQueues.readable(route.topic, route.data).toSorted(MessageQueue.compare)
    if (config.broadcasts) return { alone: true, queues: byKey(queues) }
    const ask = membersOf(instance, group, route.data)
    const named = queues.length === 0 ? undefined : yield* ask
    // A broker that was started again knows those that have called on it since.
    const isMissing = named?.includes(instance.clientId) === false && !(named.length === 0 && outside.has(topic))
    const present = isMissing ? yield* Effect.andThen(instance.heartbeat.sendHeartbeatToAllBroker, ask) : named
    if (present === undefined) return undefined
    if (present.length === 0) {
      outside.add(topic)
      yield* problem(
        `member ${topic}`,
        `no broker of topic ${topic} takes this client, ${instance.clientId}, into group ${group}: the group does not exist, and brokers with autoCreateSubscriptionGroup=false create none. ${createGroup(group)}`
      )
      return "outside" as const
    }
    outside.delete(topic)
    const same = present.length === members.length && present.every((member, index) => member === members[index])
    members = present
    if (!same) options.membersChanged()
    yield* problem(
      `member ${topic}`,
      present.includes(instance.clientId)
        ? undefined
        : `no broker of topic ${topic} names this client, ${instance.clientId}, among the members of group ${group}`
    )
    // Nobody but this member, said twice: there is nobody to wait for.
    const alone = present.length === 1 && present[0] === instance.clientId && (yield* ask)?.length === 1
    const share = yield* Effect.result(
      Effect.try(() =>
        config.strategy.allocate({
          consumerGroup: group,
          currentCID: instance.clientId,
          mqAll: queues,
          cidAll: present
        })
      )
    )
    const key = `strategy ${topic}`
    if (share._tag === "Failure") {
      yield* problem(
        key,
        `the strategy ${config.strategy.name} failed for topic ${topic}: ${String(share.failure.cause)}`
      )
      return undefined
    }
    yield* problem(key, undefined)
    return { alone, queues: byKey(share.success) }
  })

  return {
    of,
    /** The members of the group by the last answer that named any. */
    members: () => members
  }
}
