import { Cause, Effect } from "effect"
import type { Scope } from "effect"
import type { MessageExt } from "../message/MessageExt.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import type { ConsumerData } from "../protocol/HeartbeatData.ts"
import type { ConsumeMessageDirectlyResult } from "../protocol/push/ConsumeMessageDirectly.ts"
import type { ConsumerRunningInfo } from "../protocol/push/ConsumerRunningInfo.ts"
import type { CheckTransactionStateHeader } from "../protocol/push/CheckTransactionState.ts"
import type { TopicRouteData } from "../protocol/TopicRouteData.ts"

/** A route as it is handed to producers and consumers. */
export interface PublishedRoute {
  /** The topic. */
  readonly topic: string
  /** What a name server says of it. */
  readonly data: TopicRouteData
  /** Whether the topic is unknown and the route is that of the template topic TBW102. */
  readonly borrowed: boolean
}

/**
 * What a client instance needs to know of a producer registered in it.
 *
 * Source: RocketMQ `MQProducerInner`.
 */
export interface MQProducerInner {
  /** The group, as it goes on the wire: within a namespace with its prefix. */
  readonly producerGroup: string
  /** Every topic that the producer ever looked up; timer 2 keeps their routes fresh. */
  readonly publishTopicList: () => Iterable<string>
  /** Takes a route that was just read. */
  readonly updateTopicPublishInfo: (route: PublishedRoute) => void
  /**
   * Takes a broker's question about a half message of the group, whose body is as it was sent, and waits for nothing;
   * `address` is that broker's. Absent for a producer without transactions.
   */
  readonly checkTransactionState?:
    ((address: string, header: CheckTransactionStateHeader, message: MessageExt) => Effect.Effect<void>) | undefined
}

/**
 * What a client instance needs to know of a consumer registered in it.
 *
 * Source: RocketMQ `MQConsumerInner`.
 */
export interface MQConsumerInner {
  /** The group, as it goes on the wire: within a namespace with its prefix. */
  readonly consumerGroup: string
  /** Every topic that the consumer subscribes. */
  readonly subscriptionTopics: () => Iterable<string>
  /** Takes a route that was just read. */
  readonly updateTopicSubscribeInfo: (route: PublishedRoute) => void
  /** The consumer's part of a heartbeat. */
  readonly heartbeatData: () => ConsumerData
  /** One round of sharing out queues; started by the rebalance service, and interrupted when it takes a minute. */
  readonly doRebalance: Effect.Effect<void>
  /** Writes the offsets that were processed; started by timer 4, and interrupted after its period or 10 seconds. */
  readonly persistConsumerOffset: Effect.Effect<void>
  /** Fits the concurrency to the backlog; started by timer 5, and interrupted after a minute. */
  readonly adjustThreadPool: Effect.Effect<void>
  /** What the consumer says of itself to tools; with `jstack`, what its handlers do as well. */
  readonly consumerRunningInfo: (jstack: boolean) => ConsumerRunningInfo
  /** How far the queues of a topic that it has are processed. */
  readonly consumerStatus: (topic: string) => ReadonlyArray<readonly [queue: MessageQueue, offset: number]>
  /** Takes queues of a topic up where somebody wants the group to read them on; those that it has. */
  readonly resetOffset: (
    topic: string,
    offsets: ReadonlyArray<readonly [queue: MessageQueue, offset: number]>
  ) => Effect.Effect<void>
  /**
   * Hands one message to the listener, whatever comes of it: no offset moves, and nothing is given back. Interrupted, or
   * when the consumer is shut down, so is the handler. Undefined for a consumer without a listener.
   */
  readonly consumeMessageDirectly:
    ((message: MessageExt, brokerName: string) => Effect.Effect<ConsumeMessageDirectlyResult>) | undefined
}

/** The producers and consumers of one instance, by group. */
export interface ClientMembers {
  /** The registered producers by their group. */
  readonly producerTable: Map<string, MQProducerInner>
  /** The registered consumers by their group. */
  readonly consumerTable: Map<string, MQConsumerInner>
  /** What of which member throws at present, so that it is logged once. */
  readonly failing: Set<string>
}

/** Empty tables. */
export const makeMembers = (): ClientMembers => ({
  producerTable: new Map(),
  consumerTable: new Map(),
  failing: new Set()
})

/**
 * Asks every member of a table for something, and gives the answers. One that throws is left out, and logged when that
 * begins: what is wrong with one member must not keep the others from being asked.
 */
const askEach = <M, A>(
  { failing }: ClientMembers,
  table: ReadonlyMap<string, M>,
  what: string,
  ask: (member: M) => A
): Effect.Effect<ReadonlyArray<A>> =>
  Effect.suspend(() => {
    const answers: Array<A> = []
    const lines: Array<Effect.Effect<void>> = []
    for (const [group, member] of table) {
      const key = `${what} of group ${group}`
      try {
        answers.push(ask(member))
        failing.delete(key)
      } catch (cause) {
        if (failing.has(key)) continue
        failing.add(key)
        lines.push(Effect.annotateLogs(Effect.logWarning(`${key} failed`, Cause.die(cause)), { group }))
      }
    }
    return lines.length === 0 ? Effect.succeed(answers) : Effect.as(Effect.all(lines, { discard: true }), answers)
  })

/** Every topic that some producer or consumer of the instance has to do with. */
export const topicsOf = (members: ClientMembers): Effect.Effect<ReadonlySet<string>> =>
  Effect.zipWith(
    askEach(members, members.producerTable, "publishTopicList", (producer) => [...producer.publishTopicList()]),
    askEach(members, members.consumerTable, "subscriptionTopics", (consumer) => [...consumer.subscriptionTopics()]),
    (published, subscribed) => new Set([...published, ...subscribed].flat())
  )

/** Hands a route that was just read to every member. */
export const publish = (members: ClientMembers, route: PublishedRoute): Effect.Effect<void> =>
  Effect.andThen(
    askEach(members, members.producerTable, "updateTopicPublishInfo", (producer) =>
      producer.updateTopicPublishInfo(route)
    ),
    Effect.asVoid(
      askEach(members, members.consumerTable, "updateTopicSubscribeInfo", (consumer) =>
        consumer.updateTopicSubscribeInfo(route)
      )
    )
  )

/** The consumers' parts of a heartbeat. */
export const consumerData = (members: ClientMembers): Effect.Effect<ReadonlyArray<ConsumerData>> =>
  askEach(members, members.consumerTable, "heartbeatData", (consumer) => consumer.heartbeatData())

/**
 * Puts a member into its table for as long as the scope is open. A group that is there already is refused with what
 * `taken` gives, and nothing is disturbed; `leave` runs when the member has left the table again.
 */
export const register = <M, E>(options: {
  readonly table: Map<string, M>
  readonly group: string
  readonly member: M
  readonly taken: () => E
  readonly leave: Effect.Effect<void>
  /** Runs when the table has changed. */
  readonly changed: Effect.Effect<void>
}): Effect.Effect<void, E, Scope.Scope> => {
  const { changed, group, leave, member, table, taken } = options
  return Effect.acquireRelease(
    Effect.suspend(() => {
      if (table.has(group)) return Effect.fail(taken())
      table.set(group, member)
      return changed
    }),
    () => Effect.sync(() => table.delete(group)).pipe(Effect.andThen(leave), Effect.andThen(changed))
  )
}
