import type { ConsumerData, HeartbeatData, SubscriptionData } from "../../protocol/HeartbeatData.ts"
import { ENTRY_SIZE, MAX_TABLE_SIZE } from "../server/Limits.ts"
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
  /**
   * Takes a heartbeat; undefined, and nothing is taken, when the names and subscriptions of the table would have more than
   * {@link MAX_TABLE_SIZE} characters with it.
   */
  readonly heartbeat: (
    client: { readonly channel: Channel; readonly language: string; readonly version: number },
    data: HeartbeatData,
    now: number
  ) => HeartbeatOutcome | undefined
  /**
   * Takes the client of a connection out of the named groups, whatever it calls itself; the replies to the id that it gives
   * find nobody from then on, even when that client goes on in other groups.
   */
  readonly unregister: (
    client: { readonly channel: Channel; readonly clientId: string | undefined },
    producerGroup: string | undefined,
    consumerGroup: string | undefined
  ) => void
  /** Takes every client of a connection out; returns the consumer groups that lost a member. */
  readonly closed: (channel: Channel) => ReadonlyArray<string>
  /** Takes out what sent no heartbeat for 120 s; returns its connections. Nobody is told, as on a real broker. */
  readonly expire: (now: number) => ReadonlyArray<Channel>
  /** When the next client expires unless it sends a heartbeat; `undefined` without clients. */
  readonly nextExpiry: () => number | undefined
  /** The connection of the producer with that client id: of several the one that came last, and none once that left. */
  readonly producerChannel: (clientId: string) => Channel | undefined
  readonly producerGroups: () => ReadonlyMap<string, ReadonlyArray<ClientChannel>>
  readonly consumerGroups: () => ReadonlyArray<ConsumerGroup>
  readonly consumerGroup: (group: string) => ConsumerGroup | undefined
  readonly clear: () => void
}

interface Group {
  readonly group: string
  consumeType: string
  messageModel: string
  consumeFromWhere: string
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

/** What a client in a group counts against {@link MAX_TABLE_SIZE}. */
const sizeOfClient = (group: string, { clientId, language }: Pick<ClientChannel, "clientId" | "language">): number =>
  group.length + clientId.length + language.length + ENTRY_SIZE

/** The same for how a group consumes. */
const sizeOfGroup = (group: Pick<ConsumerData, "consumeType" | "messageModel" | "consumeFromWhere">): number =>
  group.consumeType.length + group.messageModel.length + group.consumeFromWhere.length

/** The same for a subscription. */
const sizeOfSubscription = ({ codeSet, expressionType, subString, tagsSet, topic }: SubscriptionData): number => {
  let size = topic.length + subString.length + expressionType.length + ENTRY_SIZE
  for (const tag of tagsSet) size += tag.length + ENTRY_SIZE
  return size + codeSet.length * ENTRY_SIZE
}

/** The same for all that a heartbeat brings, were nothing of it there. */
const sizeOfHeartbeat = (client: ClientChannel, { consumerDataSet, producerDataSet }: HeartbeatData): number => {
  let size = 0
  for (const { groupName } of producerDataSet) size += sizeOfClient(groupName, client)
  for (const consumer of consumerDataSet) {
    size += sizeOfClient(consumer.groupName, client) + sizeOfGroup(consumer)
    for (const subscription of consumer.subscriptionDataSet) size += sizeOfSubscription(subscription)
  }
  return size
}

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

/**
 * Builds an empty table. With `keepEmptyProducerGroups`, as before 5.0.0, a producer group whose last connection broke goes
 * on without members; one whose last member said goodbye is gone.
 */
export const make = (options: { readonly keepEmptyProducerGroups: boolean }): ClientTable => {
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

  /** What the table has now, by {@link MAX_TABLE_SIZE}'s measure. */
  const sizeNow = (): number => {
    let size = 0
    for (const [group, clients] of producers) {
      for (const client of clients.values()) size += sizeOfClient(group, client)
    }
    for (const consumer of consumers.values()) {
      size += sizeOfGroup(consumer)
      for (const client of consumer.channels.values()) size += sizeOfClient(consumer.group, client)
      for (const subscription of consumer.subscriptions.values()) size += sizeOfSubscription(subscription)
    }
    for (const group of fingerprints.keys()) size += group.length + ENTRY_SIZE
    return size
  }
  /** At least what it has: grows with every heartbeat, and is counted anew when that reaches the limit. */
  let size = 0

  const hasRoom = (client: ClientChannel, data: HeartbeatData): boolean => {
    const added = sizeOfHeartbeat(client, data)
    if (size + added > MAX_TABLE_SIZE) size = sizeNow()
    if (size + added > MAX_TABLE_SIZE) return false
    size += added
    return true
  }

  /** Which connection a producer's replies go to. */
  const producerChannels = new Map<string, Channel>()

  const removeProducers = (
    group: string,
    match: (client: ClientChannel) => boolean,
    keepEmpty = options.keepEmptyProducerGroups
  ): void => {
    const clients = producers.get(group)
    if (clients === undefined) return
    for (const [id, client] of clients) {
      if (!match(client)) continue
      clients.delete(id)
      producerChannels.delete(client.clientId)
    }
    if (clients.size === 0 && !keepEmpty) producers.delete(group)
  }

  /** Whether the group lost a member. */
  const removeConsumers = (name: string, match: (client: ClientChannel) => boolean): boolean => {
    const group = consumers.get(name)
    if (group === undefined) return false
    const before = group.channels.size
    for (const [id, client] of group.channels) if (match(client)) group.channels.delete(id)
    if (group.channels.size === 0) consumers.delete(name)
    return group.channels.size < before
  }

  /** Removes matching clients everywhere; returns the consumer groups that lost one. */
  const removeEverywhere = (match: (client: ClientChannel) => boolean): ReadonlyArray<string> => {
    for (const name of producers.keys()) removeProducers(name, match)
    return [...consumers.keys()].filter((name) => removeConsumers(name, match))
  }

  function* everyClient(): Generator<ClientChannel> {
    for (const clients of producers.values()) yield* clients.values()
    for (const group of consumers.values()) yield* group.channels.values()
  }

  /** The client as the table goes on to have it: what it said first, while its id is the same. */
  const kept = (known: ClientChannel | undefined, client: ClientChannel): ClientChannel =>
    known?.clientId === client.clientId ? { ...known, lastUpdate: client.lastUpdate } : client

  const addProducer = (group: string, client: ClientChannel): void => {
    let clients = producers.get(group)
    if (clients === undefined) producers.set(group, (clients = new Map()))
    const known = clients.get(client.channel.id)
    // A producer keeps the id that it first had on a connection.
    clients.set(client.channel.id, known === undefined ? client : { ...known, lastUpdate: client.lastUpdate })
    if (known === undefined) producerChannels.set(client.clientId, client.channel)
  }

  return {
    heartbeat: ({ channel, language, version }, data, now) => {
      const client: ClientChannel = { channel, clientId: data.clientID, language, version, lastUpdate: now }
      if (!hasRoom(client, data)) return undefined
      const changedGroups: Array<string> = []
      // Only a heartbeat of the second version leaves subscriptions out.
      const withoutSub = data.withoutSub && data.heartbeatFingerprint !== 0
      let subscriptionChanged = data.heartbeatFingerprint === 0
      for (const consumer of data.consumerDataSet) {
        const group = groupFor(consumer)
        const known = group.channels.get(channel.id)
        // The last one to speak says how the group consumes.
        group.consumeType = consumer.consumeType
        group.messageModel = consumer.messageModel
        group.consumeFromWhere = consumer.consumeFromWhere
        group.channels.set(channel.id, kept(known, client))
        const resubscribed = withoutSub ? false : updateSubscriptions(group, consumer.subscriptionDataSet)
        if (known === undefined || resubscribed) changedGroups.push(consumer.groupName)
        const fingerprint = fingerprints.get(consumer.groupName)
        if (fingerprint !== undefined && fingerprint !== data.heartbeatFingerprint) subscriptionChanged = true
        fingerprints.set(consumer.groupName, data.heartbeatFingerprint)
      }
      for (const { groupName } of data.producerDataSet) addProducer(groupName, client)
      return { changedGroups, subscriptionChanged }
    },
    unregister: ({ channel, clientId }, producerGroup, consumerGroup) => {
      const match = (client: ClientChannel): boolean => client.channel.id === channel.id
      if (producerGroup !== undefined && (producers.get(producerGroup)?.size ?? 0) > 0) {
        removeProducers(producerGroup, match, false)
        if (clientId !== undefined) producerChannels.delete(clientId)
      }
      if (consumerGroup !== undefined) removeConsumers(consumerGroup, match)
    },
    closed: (channel) => removeEverywhere((client) => client.channel.id === channel.id),
    expire: (now) => {
      const expired = (client: ClientChannel): boolean => now - client.lastUpdate >= CHANNEL_EXPIRED_MILLIS
      const channels = new Map<number, Channel>()
      for (const client of everyClient()) if (expired(client)) channels.set(client.channel.id, client.channel)
      removeEverywhere(expired)
      return [...channels.values()]
    },
    nextExpiry: () => {
      let oldest: number | undefined
      for (const { lastUpdate } of everyClient()) {
        if (oldest === undefined || lastUpdate < oldest) oldest = lastUpdate
      }
      return oldest === undefined ? undefined : oldest + CHANNEL_EXPIRED_MILLIS
    },
    producerChannel: (clientId) => producerChannels.get(clientId),
    producerGroups: () => new Map([...producers].map(([group, clients]) => [group, [...clients.values()]])),
    consumerGroups: () => [...consumers.values()].map(view),
    consumerGroup: (group) => {
      const found = consumers.get(group)
      return found === undefined ? undefined : view(found)
    },
    clear: () => {
      producers.clear()
      producerChannels.clear()
      consumers.clear()
      fingerprints.clear()
    }
  }
}
