import type { Effect } from "effect"
import type { TopicRouteData } from "../../protocol/TopicRouteData.ts"
import type * as SqlFilter from "../filter/SqlFilter.ts"
import type { BrokerConfig } from "../store/BrokerConfig.ts"
import type { BrokerState } from "../store/BrokerState.ts"
import type { ClientTable } from "./ClientTable.ts"
import type { LongPolling } from "./LongPolling.ts"
import type { PopPolling } from "./PopPolling.ts"
import type { RebalanceLocks } from "./RebalanceLocks.ts"

/** What the processors of one embedded broker share. Source: RocketMQ `BrokerController`. */
export interface Broker {
  readonly name: string
  /** 0 for the master. */
  readonly id: number
  /** Its settings as they are now. */
  readonly config: BrokerConfig
  /** Changes settings, by RocketMQ's names. */
  readonly updateConfig: (settings: ReadonlyMap<string, string>) => void
  readonly state: BrokerState
  readonly clients: ClientTable
  readonly locks: RebalanceLocks
  readonly polling: LongPolling
  /** Pops that wait. */
  readonly pops: PopPolling
  /** Requests to be told of messages that wait (`NOTIFICATION`). */
  readonly notifications: PopPolling
  /** Makes a filter by properties. */
  readonly compileFilter: SqlFilter.Compiler
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** The next random number, 0 to 1, of the cluster's seed. */
  readonly draw: () => number
  /** `host:port` under which clients reach it. */
  readonly address: () => string
  /** The same as it tells it to others: an IPv6 address has no brackets, as in Java. */
  readonly announced: () => string
  /** The route of a topic over all brokers, as the name servers know it. */
  readonly route: (topic: string) => TopicRouteData | undefined
  /** Tells the name servers again which topics it has. */
  readonly register: () => void
  /** The running brokers of its name, as the name servers know them: id and `host:port`. */
  readonly replicas: () => ReadonlyMap<number, string>
  /** Whether it refuses sends as an overloaded broker does. */
  readonly busy: () => boolean
  /** Milliseconds since the epoch of its start. */
  readonly bootTimestamp: () => number
  /** Tells every client of a consumer group that its members changed (40). */
  readonly notifyConsumerIdsChanged: (group: string) => Effect.Effect<void>
  /** Sees to it that clients which stop sending heartbeats are forgotten in time. */
  readonly watchClients: Effect.Effect<void>
}
