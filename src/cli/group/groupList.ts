import { Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting } from "../Failure.ts"
import { printTable } from "../Output.ts"
import { count, json } from "../Text.ts"

/** What `group list` is asked. */
export interface GroupListInput extends Connection {
  readonly cluster: string | undefined
  /** Whether the groups of the system are listed too. */
  readonly all: boolean
  readonly json: boolean
}

// The groups that every broker makes for itself and for RocketMQ's tools.
const isOfSystem = (group: string): boolean =>
  /^CID_(?:ONSAPI|ONS-HTTP|RMQ_SYS|SYS_RMQ|DefaultHeartBeat)/.test(group) ||
  ["TOOLS_CONSUMER", "FILTERSRV_CONSUMER", "SELF_TEST_C_GROUP", "__MONITOR_CONSUMER", "DEFAULT_CONSUMER"].includes(
    group
  )

/** `effect-rocketmq group list`: the consumer groups and the brokers that have them. */
export const run = (input: GroupListInput) =>
  Effect.gen(function* () {
    const admin = yield* MQAdmin
    const every = yield* admin.getAllSubscriptionGroup(input.cluster)
    const groups = input.all ? every : every.filter(({ groupName }) => !isOfSystem(groupName))
    if (input.json) {
      yield* Console.log(
        json({
          groups: groups.map(({ brokers, config, groupName }) => ({
            groupName,
            brokers,
            consumeEnable: config.consumeEnable,
            retryMaxTimes: config.retryMaxTimes,
            retryQueueNums: config.retryQueueNums
          }))
        })
      )
      return
    }
    yield* printTable(
      ["GROUP", "BROKERS", "ENABLED", "RETRIES"],
      groups.map(({ brokers, config, groupName }) => [
        groupName,
        brokers.join(", "),
        config.consumeEnable ? "yes" : "no",
        String(config.retryMaxTimes)
      ]),
      [3]
    )
    const hidden = every.length - groups.length
    if (hidden > 0) yield* Console.error(`${count(hidden, "group")} of the system not shown (--all shows them)`)
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
