import type { PublishedRoute } from "../../client/ClientMembers.ts"
import * as TopicPublishInfo from "./TopicPublishInfo.ts"

/**
 * What a producer knows of the topics it sends to (Java `topicPublishInfoTable`). A topic is in it from the first look-up
 * on, so that timer 2 keeps its route fresh.
 */
export interface TopicPublishInfoTable {
  readonly get: (topic: string) => TopicPublishInfo.TopicPublishInfo | undefined
  /** The entry of a topic, an empty one when it is new. */
  readonly getOrPut: (topic: string) => TopicPublishInfo.TopicPublishInfo
  /** Takes a route for a topic that is in the table; others are not this producer's business. */
  readonly update: (route: PublishedRoute) => void
  readonly topics: () => Iterable<string>
  readonly clear: () => void
}

/** An empty table; `firstTurn` says where the round robin of a new topic begins. */
export const make = (firstTurn: () => number): TopicPublishInfoTable => {
  const table = new Map<string, TopicPublishInfo.TopicPublishInfo>()
  return {
    get: (topic) => table.get(topic),
    getOrPut: (topic) => {
      const known = table.get(topic)
      if (known !== undefined) return known
      const fresh = TopicPublishInfo.empty(topic, firstTurn())
      table.set(topic, fresh)
      return fresh
    },
    update: (route) => {
      const known = table.get(route.topic)
      if (known !== undefined) table.set(route.topic, TopicPublishInfo.fromRoute(known, route))
    },
    topics: () => table.keys(),
    clear: () => table.clear()
  }
}
