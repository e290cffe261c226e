import { Console, Effect } from "effect"
import type { IfExists } from "../../admin/AdminContext.ts"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting } from "../Failure.ts"
import { printDone } from "../Output.ts"
import { json } from "../Text.ts"

/** What `group create` is asked. */
export interface GroupCreateInput extends Connection {
  readonly group: string
  readonly cluster: string | undefined
  /** How often a message is tried again before it is given up. */
  readonly retries: number
  /** Whether messages of a queue are retried in order. */
  readonly orderly: boolean
  /** What to do where a master has it already. */
  readonly ifExists: IfExists
  readonly json: boolean
}

/** `effect-rocketmq group create`: creates a consumer group on every master of a cluster. */
export const run = (input: GroupCreateInput) =>
  Effect.gen(function* () {
    const admin = yield* MQAdmin
    const { brokers, clusterName, config, groupName, kept } = yield* admin.createSubscriptionGroup({
      groupName: input.group,
      clusterName: input.cluster,
      retryMaxTimes: input.retries,
      consumeMessageOrderly: input.orderly,
      ifExists: input.ifExists
    })
    yield* input.json
      ? Console.log(
          json({
            groupName,
            clusterName,
            brokers,
            retryMaxTimes: config.retryMaxTimes,
            consumeMessageOrderly: config.consumeMessageOrderly,
            kept
          })
        )
      : printDone(
          kept?.length === brokers.length
            ? `group ${groupName} was on ${kept.join(", ")} and stays as it is`
            : `group ${groupName} on ${brokers.filter((name) => kept?.includes(name) !== true).join(", ")}: ${config.retryMaxTimes} retries`
        )
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
