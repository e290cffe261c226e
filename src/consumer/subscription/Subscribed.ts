import type { SubscriptionData } from "../../protocol/HeartbeatData.ts"
import { dataOf, isSame, type Subscription } from "./Subscription.ts"

/** What a consumer that runs subscribes to, as heartbeats and pulls carry it. */
export interface Subscribed {
  /** By topic. */
  readonly present: () => ReadonlyMap<string, SubscriptionData>
  /**
   * Takes over what is wanted now, and gives the topics that are new and those with another filter, which have a higher
   * `subVersion` than before.
   */
  readonly update: () => { readonly added: ReadonlyArray<string>; readonly changed: ReadonlySet<string> }
}

/** Makes it of what is `wanted` now. Of two subscriptions of a group brokers take the one with the higher `subVersion`. */
export const make = (wanted: () => ReadonlyArray<Subscription>, nowMillis: () => number): Subscribed => {
  let version = nowMillis()
  let present: ReadonlyMap<string, SubscriptionData> = new Map(wanted().map((one) => [one.topic, dataOf(one, version)]))
  return {
    present: () => present,
    update: () => {
      version = Math.max(version + 1, nowMillis())
      const before = present
      present = new Map(
        wanted().map((one) => {
          const known = before.get(one.topic)
          const data = dataOf(one, version)
          return [one.topic, known !== undefined && isSame(known, data) ? known : data]
        })
      )
      const others = [...present].filter(([topic, data]) => before.get(topic) !== data).map(([topic]) => topic)
      return {
        added: others.filter((topic) => !before.has(topic)),
        changed: new Set(others.filter((topic) => before.has(topic)))
      }
    }
  }
}
