import type { ConsumerData, HeartbeatData, SubscriptionData } from "../../protocol/HeartbeatData.ts"
import type { Channel } from "../server/RemotingServer.ts"

/** Milliseconds after its last heartbeat at which a client is forgotten (Java `channelExpiredTimeout`). */
export const CHANNEL_EXPIRED_MILLIS = 120_000

/** One client on one connection. Source: RocketMQ `ClientChannelInfo`. */
export interface ClientChannel {
  readonly channel: Channel
  readonly clientId: string
  readonly language: string
  readonly version: number
  /** Milliseconds since the epoch of its last heartbeat. */
  readonly lastUpdate: number
}

/** A consumer group with a live client. Source: RocketMQ `ConsumerGroupInfo`. */
export interface ConsumerGroup {
  readonly group: string
  readonly consumeType: string
  readonly messageModel: string
  readonly consumeFromWhere: string
  readonly channels: ReadonlyArray<ClientChannel>
  readonly subscriptions: ReadonlyMap<string, SubscriptionData>
}

/** What a heartbeat changed. */
export interface HeartbeatOutcome {
  /** Consumer groups whose members or subscriptions changed. */
  readonly changedGroups: ReadonlyArray<string>
  /** Whether the client shall send its subscriptions again (`IS_SUB_CHANGE` of a V2 heartbeat). */
  readonly subscriptionChanged: boolean
}

/** The live clients of one broker, by group. Source: RocketMQ `ProducerManager`, `ConsumerManager`. */
export interface ClientTable {
  readonly heartbeat: (
    client: { readonly channel: Channel; readonly language: string; readonly version: number },
    data: HeartbeatData,
    now: number
  ) => HeartbeatOutcome
  /** Takes a client out of the named groups; returns the consumer group when it lost a member. */
  readonly unregister: (
    clientId: string,
    producerGroup: string | undefined,
    consumerGroup: string | undefined
  ) => ReadonlyArray<string>
  /** Takes every client of a connection out; returns the consumer groups that lost a member. */
  readonly closed: (channel: Channel) => ReadonlyArray<string>
  /** Takes out what sent no heartbeat for 120 s. */
  readonly expire: (now: number) => {
    readonly channels: ReadonlyArray<Channel>
    readonly changedGroups: ReadonlyArray<string>
  }
  /** When the next client expires unless it sends a heartbeat; `undefined` without clients. */
  readonly nextExpiry: () => number | undefined
  /** The connection of the producer with that client id, the latest if there are several. */
  readonly producerChannel: (clientId: string) => Channel | undefined
  readonly producerGroups: () => ReadonlyMap<string, ReadonlyArray<ClientChannel>>
  readonly consumerGroups: () => ReadonlyArray<ConsumerGroup>
  readonly consumerGroup: (group: string) => ConsumerGroup | undefined
  readonly clear: () => void
}

interface Group extends Omit<ConsumerGroup, "channels" | "subscriptions"> {
  readonly channels: Map<number, ClientChannel>
  readonly subscriptions: Map<string, SubscriptionData>
}

const view = (group: Group): ConsumerGroup => ({
  group: group.group,
  consumeType: group.consumeType,
  messageModel: group.messageModel,
  consumeFromWhere: group.consumeFromWhere,
  channels: [...group.channels.values()],
  subscriptions: group.subscriptions
})

/** Takes the newer of each subscription and drops those no longer named; says whether topics came or went. */
const updateSubscriptions = (group: Group, data: ReadonlyArray<SubscriptionData>): boolean => {
  let changed = false
  const named = new Set<string>()
  for (const subscription of data) {
    named.add(subscription.topic)
    const known = group.subscriptions.get(subscription.topic)
    if (known === undefined) changed = true
    if (known === undefined || subscription.subVersion > known.subVersion) {
      group.subscriptions.set(subscription.topic, subscription)
    }
  }
  for (const topic of group.subscriptions.keys()) {
    if (!named.has(topic)) {
      group.subscriptions.delete(topic)
      changed = true
    }
  }
  return changed
}

/** Builds an empty table. */
export const make = (): ClientTable => {
  const producers = new Map<string, Map<number, ClientChannel>>()
  const consumers = new Map<string, Group>()
  /** What each group's last heartbeat said its subscriptions are; 0 after one of the first version. */
  const fingerprints = new Map<string, number>()

  const groupFor = (data: ConsumerData): Group => {
    const known = consumers.get(data.groupName)
    if (known !== undefined) return known
    const group: Group = {
      group: data.groupName,
      consumeType: data.consumeType,
      messageModel: data.messageModel,
      consumeFromWhere: data.consumeFromWhere,
      channels: new Map(),
      subscriptions: new Map()
    }
    consumers.set(data.groupName, group)
    return group
  }

  /** Removes matching clients everywhere; returns the consumer groups that lost one. */
  const removeWhere = (
    match: (client: ClientChannel) => boolean,
    inProducers: (group: string) => boolean,
    inConsumers: (group: string) => boolean
  ): ReadonlyArray<string> => {
    for (const [name, clients] of producers) {
      if (!inProducers(name)) continue
      for (const [id, client] of clients) if (match(client)) clients.delete(id)
      if (clients.size === 0) producers.delete(name)
    }
    const changed: Array<string> = []
    for (const [name, group] of consumers) {
      if (!inConsumers(name)) continue
      const before = group.channels.size
      for (const [id, client] of group.channels) if (match(client)) group.channels.delete(id)
      if (group.channels.size < before) changed.push(name)
      if (group.channels.size === 0) consumers.delete(name)
    }
    return changed
  }

  function* everyClient(): Generator<ClientChannel> {
    for (const clients of producers.values()) yield* clients.values()
    for (const group of consumers.values()) yield* group.channels.values()
  }

  return {
    heartbeat: ({ channel, language, version }, data, now) => {
      const client: ClientChannel = { channel, clientId: data.clientID, language, version, lastUpdate: now }
      for (const { groupName } of data.producerDataSet) {
        const clients = producers.get(groupName)
        if (clients === undefined) producers.set(groupName, new Map([[channel.id, client]]))
        else clients.set(channel.id, client)
      }
      const changedGroups: Array<string> = []
      let subscriptionChanged = data.heartbeatFingerprint === 0
      for (const consumer of data.consumerDataSet) {
        const group = groupFor(consumer)
        const joined = !group.channels.has(channel.id)
        group.channels.set(channel.id, client)
        const resubscribed = data.withoutSub ? false : updateSubscriptions(group, consumer.subscriptionDataSet)
        if (joined || resubscribed) changedGroups.push(consumer.groupName)
        const fingerprint = fingerprints.get(consumer.groupName)
        if (fingerprint !== undefined && fingerprint !== data.heartbeatFingerprint) subscriptionChanged = true
        fingerprints.set(consumer.groupName, data.heartbeatFingerprint)
      }
      return { changedGroups, subscriptionChanged }
    },
    unregister: (clientId, producerGroup, consumerGroup) =>
      removeWhere(
        (client) => client.clientId === clientId,
        (group) => group === producerGroup,
        (group) => group === consumerGroup
      ),
    closed: (channel) =>
      removeWhere(
        (client) => client.channel.id === channel.id,
        () => true,
        () => true
      ),
    expire: (now) => {
      const channels = new Map<number, Channel>()
      for (const client of everyClient()) {
        if (now - client.lastUpdate >= CHANNEL_EXPIRED_MILLIS) channels.set(client.channel.id, client.channel)
      }
      const changedGroups = removeWhere(
        (client) => now - client.lastUpdate >= CHANNEL_EXPIRED_MILLIS,
        () => true,
        () => true
      )
      return { channels: [...channels.values()], changedGroups }
    },
    nextExpiry: () => {
      let oldest: number | undefined
      for (const { lastUpdate } of everyClient()) {
        if (oldest === undefined || lastUpdate < oldest) oldest = lastUpdate
      }
      return oldest === undefined ? undefined : oldest + CHANNEL_EXPIRED_MILLIS
    },
    producerChannel: (clientId) => {
      let found: ClientChannel | undefined
      for (const clients of producers.values()) {
        for (const client of clients.values()) {
          if (client.clientId === clientId && (found === undefined || client.lastUpdate >= found.lastUpdate)) {
            found = client
          }
        }
      }
      return found?.channel
    },
    producerGroups: () => new Map([...producers].map(([group, clients]) => [group, [...clients.values()]])),
    consumerGroups: () => [...consumers.values()].map(view),
    consumerGroup: (group) => {
      const found = consumers.get(group)
      return found === undefined ? undefined : view(found)
    },
    clear: () => {
      producers.clear()
      consumers.clear()
      fingerprints.clear()
    }
  }
}
