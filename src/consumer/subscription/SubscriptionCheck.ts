import { Cause, Clock, Effect, Latch } from "effect"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import * as ForeignText from "../../message/ForeignText.ts"
import { isRetryTopic } from "../../message/MixAll.ts"
import * as Namespace from "../../message/Namespace.ts"
import type { SubscriptionData } from "../../protocol/HeartbeatData.ts"
import * as GetConsumerRunningInfo from "../../protocol/push/GetConsumerRunningInfo.ts"
import * as GetConsumerConnectionList from "../../protocol/request/GetConsumerConnectionList.ts"
import * as Subscription from "./Subscription.ts"

/** Milliseconds from one round of questions to the next at least, and at most where there is somebody to ask. */
const INTERVAL_MILLIS = 60_000
/** Milliseconds that a member may take to answer, its broker in between. */
const TIMEOUT_MILLIS = 6_000
/** Members that one round asks; in a larger group each round asks the next ones. */
const MEMBERS_A_ROUND = 64
/** Members that are asked at once. */
const AT_ONCE = 4
/** Members and topics that one text names. */
const MAX_NAMED = 3

/** What the check works with. */
export interface SubscriptionCheckOptions {
  readonly instance: MQClientInstanceShape
  readonly group: string
  /** What this member subscribes to. */
  readonly subscriptions: () => Iterable<SubscriptionData>
  /** The client ids of the group's members, this one's included. */
  readonly members: () => ReadonlyArray<string>
  /** The addresses of brokers that know the group. */
  readonly brokers: () => ReadonlyArray<string>
  /** Takes what is wrong, as a sentence; undefined when nothing is. */
  readonly tell: (problem: string | undefined) => Effect.Effect<void>
}

/** Finds members of the group that subscribe differently. */
export interface SubscriptionCheck {
  /** The members have changed: they are asked soon. */
  readonly membersChanged: () => void
  /** Why members cannot be asked: the server refuses the question. Undefined while it does not. */
  readonly refused: () => string | undefined
}

/** What a member reads: the filters by topic, without the group's retry topic, which everybody reads. */
type Filters = ReadonlyMap<string, SubscriptionData>

const filtersOf = (subscriptions: Iterable<SubscriptionData>, namespace?: string): Filters => {
  const found = new Map<string, SubscriptionData>()
  for (const one of subscriptions) {
    const topic = Namespace.unwrap(namespace, one.topic)
    if (!isRetryTopic(topic)) found.set(topic, { ...one, topic })
  }
  return found
}

const show = (filters: Filters, topics: ReadonlyArray<string>): string => {
  const named = topics.slice(0, MAX_NAMED).map((topic) => {
    const filter = filters.get(topic)
    return `${ForeignText.clean(topic)} (${filter === undefined ? "not at all" : ForeignText.clean(filter.subString)})`
  })
  return [...named, ...(topics.length > MAX_NAMED ? [`${topics.length - MAX_NAMED} more`] : [])].join(", ")
}

/** The topics that two members read differently, sorted. */
const differences = (a: Filters, b: Filters): ReadonlyArray<string> =>
  [...new Set([...a.keys(), ...b.keys()])].toSorted().filter((topic) => {
    const [one, other] = [a.get(topic), b.get(topic)]
    return one === undefined || other === undefined || !Subscription.isSame(one, other)
  })

/**
 * Starts to look, in the current scope, whether all members of the group subscribe to the same. A broker keeps one filter for
 * each topic of a group, the newest of all members, and filters the messages of everybody by it: where members differ, messages
 * are passed over for ever and nobody hears of it. So each member is asked what it subscribes to (307), soon after the members
 * have changed and once a minute; where one cannot say, what the broker has for the group (203) is compared. A member that is
 * alone asks nobody.
 */
export const make = Effect.fnUntraced(function* (options: SubscriptionCheckOptions) {
  const { brokers, group, instance, members, subscriptions, tell } = options
  const { api, clientId } = instance
  const { namespace } = instance.config
  const clock = yield* Clock.Clock
  const asked = Latch.makeUnsafe(false)
  /** Where in a large group the next round begins. */
  let next = 0
  let lastRound = -Infinity
  let refused: string | undefined

  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

  /** What a member says that it subscribes to; undefined where it, or its broker, does not say. */
  const ask = Effect.fnUntraced(function* (member: string, addresses: ReadonlyArray<string>) {
    for (const address of addresses.slice(0, 2)) {
      const answer = yield* Effect.result(
        api.call(
          address,
          GetConsumerRunningInfo.request({ consumerGroup: group, clientId: member }),
          TIMEOUT_MILLIS,
          GetConsumerRunningInfo.decodeResponse
        )
      )
      if (answer._tag === "Success") return filtersOf(answer.success.subscriptionSet, namespace)
      if (answer.failure._tag === "AccessDenied") {
        refused = answer.failure.message
        return undefined
      }
    }
    return undefined
  })

  /** What brokers have for the group, by whichever member. */
  const ofBroker = Effect.fnUntraced(function* (address: string) {
    const answer = yield* Effect.option(
      api.call(
        address,
        GetConsumerConnectionList.request({ consumerGroup: group }),
        TIMEOUT_MILLIS,
        GetConsumerConnectionList.decodeResponse
      )
    )
    return answer._tag === "None" ? undefined : filtersOf(answer.value.subscriptionTable.values(), namespace)
  })

  const round = Effect.gen(function* () {
    const others = members().filter((member) => member !== clientId)
    const addresses = brokers()
    const [first] = addresses
    if (others.length === 0 || first === undefined || refused !== undefined) {
      yield* tell(undefined)
      return
    }
    lastRound = now()
    const from = next < others.length ? next : 0
    next = from + MEMBERS_A_ROUND
    const chosen = others.slice(from, next)
    const own = filtersOf(subscriptions())
    const answers = yield* Effect.forEach(
      chosen,
      (member) =>
        Effect.map(ask(member, addresses), (filters) => ({ who: `member ${ForeignText.clean(member)}`, filters })),
      { concurrency: AT_ONCE }
    )
    const told = answers.every(({ filters }) => filters !== undefined)
      ? answers
      : [...answers, { who: `another member, by broker ${first},`, filters: yield* ofBroker(first) }]
    const differing = told.flatMap(({ filters, who }) => {
      if (filters === undefined) return []
      const topics = differences(own, filters)
      return topics.length === 0
        ? []
        : [`${who} reads ${show(filters, topics)}, this one (${clientId}) ${show(own, topics)}`]
    })
    const more = differing.length > MAX_NAMED ? `; and ${differing.length - MAX_NAMED} more members` : ""
    yield* tell(
      differing.length === 0
        ? undefined
        : `members of group ${group} subscribe differently: ${differing.slice(0, MAX_NAMED).join("; ")}${more}. ` +
            "Brokers filter for all of them by the newest subscription, and pass over the rest for ever: " +
            "have all members subscribe to the same, or give them groups of their own"
    )
  })

  yield* Effect.gen(function* () {
    yield* Effect.timeoutOption(asked.await, INTERVAL_MILLIS)
    yield* asked.close
    const rest = lastRound + INTERVAL_MILLIS - now()
    if (rest > 0) yield* Effect.sleep(rest)
    yield* Effect.catchCause(round, (cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.failCause(cause)
        : Effect.logWarning("the members were not compared", cause)
    )
  }).pipe(Effect.forever, Effect.forkScoped({ startImmediately: true }))

  const self: SubscriptionCheck = {
    membersChanged: () => Latch.openUnsafe(asked),
    refused: () => refused
  }
  return self
})
