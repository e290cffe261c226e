import { Effect } from "effect"
import { DLQ_GROUP_TOPIC_PREFIX, RETRY_GROUP_TOPIC_PREFIX } from "../message/MixAll.ts"
import * as GetConsumeStats from "../protocol/request/GetConsumeStats.ts"
import * as QueryTopicConsumeByWho from "../protocol/request/QueryTopicConsumeByWho.ts"
import * as QueryTopicsByConsumer from "../protocol/request/QueryTopicsByConsumer.ts"
import * as SubscriptionGroup from "../protocol/request/SubscriptionGroup.ts"
import type { SubscriptionGroupConfig } from "../protocol/request/SubscriptionGroup.ts"
import { type AdminContext, type BrokerAddress, failing, type IfExists, keptOf } from "./AdminContext.ts"
import { type AdminError, GroupAlreadyExists, GroupNotFound } from "./AdminError.ts"
import { type Counted, gather } from "./Gather.ts"
import type { Topics } from "./Topics.ts"

/** A consumer group to create or to change. */
export interface CreateGroupOptions extends Partial<SubscriptionGroupConfig> {
  /** The group's name. */
  readonly groupName: string
  /** The cluster whose masters get it; may be left out where there is only one. */
  readonly clusterName?: string | undefined
  /** What to do where a master has the group already; default `replace`, as Java's `createAndUpdateSubscriptionGroupConfig`. */
  readonly ifExists?: IfExists | undefined
}

/** What to change of a consumer group; what is left out stays as it is on each broker. */
export interface UpdateGroupOptions extends Partial<Omit<SubscriptionGroupConfig, "groupName" | "attributes">> {
  /** The group's name. */
  readonly groupName: string
  /** The cluster; may be left out where there is only one. */
  readonly clusterName?: string | undefined
}

/** A consumer group as one broker keeps it. */
export interface BrokerGroupConfig {
  /** The broker's name. */
  readonly brokerName: string
  /** What it keeps. */
  readonly config: SubscriptionGroupConfig
}

/** A consumer group that was created. */
export interface CreatedGroup {
  /** The group's name. */
  readonly groupName: string
  /** The cluster whose masters have it. */
  readonly clusterName: string
  /** The masters that have it now. */
  readonly brokers: ReadonlyArray<string>
  /** Those of them that had it before and were left as they were, by name; only with `ifExists: "keep"`. */
  readonly kept?: ReadonlyArray<string>
  /** What those masters were told. */
  readonly config: SubscriptionGroupConfig
}

/** A consumer group and the brokers that have it. */
export interface GroupInfo {
  /** The group's name. */
  readonly groupName: string
  /** The masters that have it, by name. */
  readonly brokers: ReadonlyArray<string>
  /** As the first of the brokers keeps it. */
  readonly config: SubscriptionGroupConfig
}

/** How a group is deleted. */
export interface DeleteGroupOptions {
  /** The cluster; may be left out where there is only one. */
  readonly clusterName?: string | undefined
  /** Whether the group's offsets go too, so that one of its name begins anew; default false (mqadmin's `-r`). */
  readonly cleanOffset?: boolean | undefined
}

/** The calls about consumer groups; the names are those of Java's `DefaultMQAdminExt`. */
export interface Groups {
  /** All consumer groups of a cluster, sorted; within a namespace, its groups. */
  readonly getAllSubscriptionGroup: (clusterName?: string) => Effect.Effect<ReadonlyArray<GroupInfo>, AdminError>
  /**
   * Creates a consumer group on every master of a cluster. A group that is there is replaced, unless `ifExists` says
   * otherwise; with `fail` it fails with `GroupAlreadyExists`. Brokers may have made it themselves, at the first heartbeat.
   */
  readonly createSubscriptionGroup: (options: CreateGroupOptions) => Effect.Effect<CreatedGroup, AdminError>
  /**
   * Changes settings of a consumer group on every master of a cluster that has it, and gives what each has now. What is not
   * named stays as it is on each, settings of newer brokers that this client does not know included. A group that none of them
   * has fails with `GroupNotFound`.
   */
  readonly updateSubscriptionGroup: (
    options: UpdateGroupOptions
  ) => Effect.Effect<ReadonlyArray<BrokerGroupConfig>, AdminError>
  /** Deletes a consumer group on every master of a cluster, and its topics for retries and dead letters. */
  readonly deleteSubscriptionGroup: (group: string, options?: DeleteGroupOptions) => Effect.Effect<void, AdminError>
  /** The groups that read a topic, or did once. */
  readonly queryTopicConsumeByWho: (topic: string) => Effect.Effect<ReadonlyArray<string>, AdminError>
  /** The topics that a group reads, or did once. */
  readonly queryTopicsByConsumer: (group: string) => Effect.Effect<ReadonlyArray<string>, AdminError>
}

/** Makes the calls about groups. Source: RocketMQ `DefaultMQAdminExtImpl`, `DeleteSubscriptionGroupCommand`. */
export const make = (context: AdminContext, { deleteTopic }: Pick<Topics, "deleteTopic">): Groups => {
  const { allMasters, instance, isOurs, masters, mastersOf, timeoutMillis, unwrap, wrap } = context
  const { api } = instance

  const unwrapConfig = (config: SubscriptionGroupConfig): SubscriptionGroupConfig => ({
    ...config,
    groupName: unwrap(config.groupName)
  })

  /** The groups of each broker, in the brokers' order. */
  const groupsOn = (brokers: ReadonlyArray<BrokerAddress>) =>
    gather("the groups", brokers, ({ address }, counted) =>
      api.call(
        address,
        SubscriptionGroup.request({ operation: "list" }),
        timeoutMillis,
        counted(SubscriptionGroup.decodeListResponse)
      )
    )

  /** The masters that have a group which is to be created and stay as they are. */
  const existingOn = Effect.fnUntraced(function* (
    brokers: ReadonlyArray<BrokerAddress>,
    group: string,
    ifExists: IfExists
  ) {
    if (ifExists === "replace") return new Set<string>()
    const tables = yield* groupsOn(brokers)
    const found = brokers
      .filter((_, index) => tables[index]?.subscriptionGroupTable.has(wrap(group)) === true)
      .map(({ brokerName }) => brokerName)
    if (ifExists === "fail" && found.length > 0) return yield* new GroupAlreadyExists({ group, brokers: found })
    return new Set(found)
  })

  const getAllSubscriptionGroup = Effect.fnUntraced(function* (clusterName: string | undefined) {
    const { brokers } = yield* masters(clusterName)
    const tables = yield* groupsOn(brokers)
    const groups = new Map<string, { brokers: Array<string>; config: SubscriptionGroupConfig }>()
    brokers.forEach(({ brokerName }, index) => {
      for (const config of tables[index]?.subscriptionGroupTable.values() ?? []) {
        if (!isOurs(config.groupName)) continue
        const known = groups.get(config.groupName)
        if (known === undefined) groups.set(config.groupName, { brokers: [brokerName], config: unwrapConfig(config) })
        else known.brokers.push(brokerName)
      }
    })
    return [...groups.values()]
      .map(({ brokers: names, config }): GroupInfo => ({ groupName: config.groupName, brokers: names, config }))
      .toSorted((a, b) => (a.groupName < b.groupName ? -1 : 1))
  })

  const createSubscriptionGroup = Effect.fnUntraced(function* (
    options: CreateGroupOptions
  ): Effect.fn.Return<CreatedGroup, AdminError> {
    const { clusterName: wanted, ifExists = "replace", ...given } = options
    const operation = `create group ${given.groupName}`
    const { brokers, clusterName } = yield* masters(wanted).pipe(failing(operation))
    const config = SubscriptionGroup.makeConfig(given)
    const request = SubscriptionGroup.request({
      operation: "update",
      config: { ...config, groupName: wrap(given.groupName) }
    })
    const kept = yield* existingOn(brokers, given.groupName, ifExists).pipe(failing(operation))
    const done: Array<string> = []
    for (const { address, brokerName } of brokers) {
      if (!kept.has(brokerName)) {
        yield* api.call(address, request, timeoutMillis, () => undefined).pipe(failing(operation, done))
      }
      done.push(brokerName)
    }
    return { groupName: given.groupName, clusterName, brokers: done, ...keptOf(ifExists, kept), config }
  })

  const updateSubscriptionGroup = Effect.fnUntraced(function* ({
    clusterName,
    groupName,
    ...changes
  }: UpdateGroupOptions): Effect.fn.Return<ReadonlyArray<BrokerGroupConfig>, AdminError> {
    const operation = `update group ${groupName}`
    const { brokers } = yield* masters(clusterName).pipe(failing(operation))
    const tables = yield* gather("the groups", brokers, ({ address }, counted) =>
      api.call(
        address,
        SubscriptionGroup.request({ operation: "list" }),
        timeoutMillis,
        counted(SubscriptionGroup.decodeStoredResponse)
      )
    ).pipe(failing(operation))
    const found = brokers.flatMap((broker, index) => {
      const stored = tables[index]?.get(wrap(groupName))
      return stored === undefined ? [] : [{ ...broker, stored }]
    })
    if (found.length === 0) return yield* failing(operation)(Effect.fail(new GroupNotFound({ group: groupName })))
    const done: Array<string> = []
    for (const { address, brokerName, stored } of found) {
      yield* api
        .call(address, SubscriptionGroup.changeRequest(stored, changes), timeoutMillis, () => undefined)
        .pipe(failing(operation, done))
      done.push(brokerName)
    }
    const now = yield* groupsOn(found).pipe(failing(operation, done))
    return found.flatMap(({ brokerName }, index): ReadonlyArray<BrokerGroupConfig> => {
      const config = now[index]?.subscriptionGroupTable.get(wrap(groupName))
      return config === undefined ? [] : [{ brokerName, config: unwrapConfig(config) }]
    })
  })

  const deleteSubscriptionGroup = Effect.fnUntraced(function* (
    group: string,
    { cleanOffset = false, clusterName }: DeleteGroupOptions
  ): Effect.fn.Return<void, AdminError> {
    const operation = `delete group ${group}`
    const { brokers } = yield* masters(clusterName).pipe(failing(operation))
    const request = SubscriptionGroup.request({ operation: "delete", groupName: wrap(group), cleanOffset })
    const done: Array<string> = []
    for (const { address, brokerName } of brokers) {
      yield* api.call(address, request, timeoutMillis, () => undefined).pipe(failing(operation, done))
      done.push(brokerName)
    }
    yield* deleteTopic(RETRY_GROUP_TOPIC_PREFIX + group)
    yield* deleteTopic(DLQ_GROUP_TOPIC_PREFIX + group)
  })

  const names = (lists: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> =>
    [...new Set(lists.flat().filter(isOurs).map(unwrap))].toSorted()

  const queryTopicConsumeByWho = Effect.fnUntraced(function* (topic: string) {
    const request = QueryTopicConsumeByWho.request({ topic })
    const lists = yield* gather(`the groups of topic ${topic}`, yield* mastersOf(topic), ({ address }, counted) =>
      Effect.map(
        api.call(address, request, timeoutMillis, counted(QueryTopicConsumeByWho.decodeResponse)),
        ({ groupList }) => groupList
      )
    )
    return names(lists)
  })

  const topicsOn = (address: string, group: string, counted: Counted) =>
    Effect.flatMap(context.isModern(address), (modern) =>
      modern
        ? Effect.map(
            api.call(
              address,
              QueryTopicsByConsumer.request({ group }),
              timeoutMillis,
              counted(QueryTopicsByConsumer.decodeResponse)
            ),
            ({ topicList }) => topicList
          )
        : // Brokers before 5.0 tell them with the group's offsets only.
          Effect.map(
            api.call(
              address,
              GetConsumeStats.request({ consumerGroup: group }),
              timeoutMillis,
              counted(GetConsumeStats.decodeResponse)
            ),
            ({ offsetTable }) => offsetTable.map(([queue]) => queue.topic)
          )
    )

  const queryTopicsByConsumer = Effect.fnUntraced(function* (group: string) {
    const lists = yield* gather(`the topics of group ${group}`, yield* allMasters, ({ address }, counted) =>
      topicsOn(address, group, counted)
    )
    return names(lists)
  })

  return {
    getAllSubscriptionGroup: (clusterName) => getAllSubscriptionGroup(clusterName).pipe(failing("list the groups")),
    createSubscriptionGroup,
    updateSubscriptionGroup,
    deleteSubscriptionGroup: (group, options = {}) => deleteSubscriptionGroup(group, options),
    queryTopicConsumeByWho: (topic) =>
      queryTopicConsumeByWho(topic).pipe(failing(`list the groups that read topic ${topic}`)),
    queryTopicsByConsumer: (group) =>
      queryTopicsByConsumer(group).pipe(failing(`list the topics that group ${group} reads`))
  }
}
