import { Console, Effect } from "effect"
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
  readonly json: boolean
}

/** `effect-rocketmq group create`: creates a consumer group on every master of a cluster, or replaces it. */
export const run = (input: GroupCreateInput) =>
  Effect.gen(function* () {
    const admin = yield* MQAdmin
    const { brokers, clusterName, config, groupName } = yield* admin.createSubscriptionGroup({
      groupName: input.group,
      clusterName: input.cluster,
      retryMaxTimes: input.retries,
      consumeMessageOrderly: input.orderly
    })
    yield* input.json
      ? Console.log(
          json({
            groupName,
            clusterName,
            brokers,
            retryMaxTimes: config.retryMaxTimes,
            consumeMessageOrderly: config.consumeMessageOrderly
          })
        )
      : printDone(`group ${groupName} on ${brokers.join(", ")}: ${config.retryMaxTimes} retries`)
  }).pipe(Effect.provide(adminLayer(input)), reporting({ namesrv: input.namesrv }))
