import * as MixAll from "../../message/MixAll.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import type { SubscriptionGroupConfig } from "../../protocol/request/SubscriptionGroup.ts"
import { makeConfig } from "../../protocol/request/SubscriptionGroup.ts"
import { MAX_GROUPS } from "../server/Limits.ts"
import type { BrokerConfig } from "./BrokerConfig.ts"
import type { DataVersion } from "../../protocol/TopicConfig.ts"

/** The consumer groups of one broker. Source: RocketMQ `SubscriptionGroupManager`. */
export interface SubscriptionGroups {
  /** The group's configuration; an unknown group is created when the broker may do so, has room for it, and the name is valid. */
  readonly find: (group: string) => SubscriptionGroupConfig | undefined
  /** The group's configuration if it exists. */
  readonly get: (group: string) => SubscriptionGroupConfig | undefined
  readonly put: (config: SubscriptionGroupConfig) => void
  readonly remove: (group: string) => void
  readonly all: () => ReadonlyArray<SubscriptionGroupConfig>
  readonly dataVersion: () => DataVersion
}

/** What the names of groups begin with that are created although no other is. Source: `MixAll.isSysConsumerGroup`. */
const SYSTEM_GROUP_PREFIX = "CID_RMQ_SYS_"

/** The groups every broker has. */
const systemGroups: ReadonlyArray<string> = [
  "TOOLS_CONSUMER",
  "FILTERSRV_CONSUMER",
  "SELF_TEST_C_GROUP",
  "CID_ONS-HTTP-PROXY",
  "CID_ONSAPI_PULL",
  "CID_ONSAPI_PERMISSION",
  "CID_ONSAPI_OWNER",
  "CID_RMQ_SYS_TRANS"
]

/** Builds the table with the groups of the system in it. `now` in milliseconds since the epoch. */
export const make = (options: {
  readonly config: Pick<BrokerConfig, "autoCreateSubscriptionGroup" | "version">
  readonly now: () => number
}): SubscriptionGroups => {
  const table = new Map(systemGroups.map((group) => [group, makeConfig({ groupName: group })]))
  let counter = 0
  let timestamp = options.now()
  const changed = (): void => {
    counter += 1
    timestamp = options.now()
  }
  return {
    find: (group) => {
      const known = table.get(group)
      if (known !== undefined) return known
      const allowed = options.config.autoCreateSubscriptionGroup || group.startsWith(SYSTEM_GROUP_PREFIX)
      if (!allowed || table.size >= MAX_GROUPS) return undefined
      // Before 5.0.0 any name will do.
      const legacy = options.config.version < MQVersion.V5_0_0
      if (!legacy && (group.length > MixAll.GROUP_MAX_LENGTH || !MixAll.isValidName(group))) return undefined
      const created = makeConfig({ groupName: group })
      table.set(group, created)
      changed()
      return created
    },
    get: (group) => table.get(group),
    put: (config) => {
      table.set(config.groupName, config)
      changed()
    },
    remove: (group) => {
      if (table.delete(group)) changed()
    },
    all: () => [...table.values()],
    dataVersion: () => ({ stateVersion: 0, timestamp, counter })
  }
}
