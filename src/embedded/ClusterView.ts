import type { MessageExt } from "../message/MessageExt.ts"
import type { BrokerState } from "./store/BrokerState.ts"
import type { ClientChannel } from "./broker/ClientTable.ts"
import type { BrokerNode } from "./broker/EmbeddedBroker.ts"
import * as HalfMessages from "./store/HalfMessages.ts"
import * as StoredMessage from "./store/StoredMessage.ts"

/** What a test looks at in an embedded cluster, besides the messages themselves. */

/** A client some broker knows by its heartbeats. */
export interface LiveClient {
  /** The broker that knows it, by name. */
  readonly broker: string
  /** 0 for a master, from 1 on for slaves. */
  readonly brokerId: number
  /** As what it is registered; a client that is both is listed twice. */
  readonly kind: "producer" | "consumer"
  /** Its producer or consumer group. */
  readonly group: string
  /** The client's id, as its heartbeats tell it. */
  readonly clientId: string
  /** Its `host:port` as the broker sees it. */
  readonly address: string
  /** The client's language as RocketMQ names it: `JAVA`, `GO`, `NODE_JS`. */
  readonly language: string
  /** The client's release as RocketMQ numbers it: 513 is 5.5.0. */
  readonly version: number
  /** Milliseconds since the epoch of its last heartbeat. */
  readonly lastHeartbeat: number
}

/** A message that waits on a broker for its delay level or its time of delivery. */
export interface DelayedMessage {
  /** The broker that keeps it, by name. */
  readonly broker: string
  /** Milliseconds since the epoch at which it is delivered. */
  readonly deliverAt: number
  /** As it lies under the topic of waiting messages; its properties REAL_TOPIC and REAL_QID say where it goes. */
  readonly message: MessageExt
}

/** A half message that is neither committed nor rolled back. */
export interface HalfMessage {
  /** The broker that keeps it, by name. */
  readonly broker: string
  /** How often the broker asked about it. */
  readonly checks: number
  /** As it lies under the topic of half messages; its properties REAL_TOPIC and REAL_QID say where it goes. */
  readonly message: MessageExt
}

/** The clients one broker knows. */
export const liveClients = (node: BrokerNode): ReadonlyArray<LiveClient> => {
  const { clients } = node.broker
  const row =
    (kind: LiveClient["kind"], group: string) =>
    (client: ClientChannel): LiveClient => ({
      broker: node.name,
      brokerId: node.id,
      kind,
      group,
      clientId: client.clientId,
      address: client.channel.remoteAddress,
      language: client.language,
      version: client.version,
      lastHeartbeat: client.lastUpdate
    })
  return [
    ...[...clients.producerGroups()].flatMap(([group, channels]) => channels.map(row("producer", group))),
    ...clients.consumerGroups().flatMap(({ channels, group }) => channels.map(row("consumer", group)))
  ]
}

/** What waits on one broker for its time. */
export const delayedMessages = (state: BrokerState): ReadonlyArray<DelayedMessage> =>
  state.delayed
    .waiting()
    .flatMap(({ deliverAt, entry }) =>
      StoredMessage.decode(entry).map((message) => ({ broker: state.brokerName, deliverAt, message }))
    )

/** The half messages of one broker that nobody ended. */
export const halfMessages = (state: BrokerState): ReadonlyArray<HalfMessage> =>
  state.halves
    .pending()
    .flatMap(StoredMessage.decode)
    .map((message) => ({
      broker: state.brokerName,
      checks: HalfMessages.checkTimes(message.properties),
      message
    }))
