import { Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting, UsageError } from "../Failure.ts"
import { printTable } from "../Output.ts"
import { json } from "../Text.ts"

/** What `group update` is asked; what is absent stays as it is. */
export interface GroupUpdateInput extends Connection {
  readonly group: string
  readonly cluster: string | undefined
  readonly retries: number | undefined
  readonly orderly: boolean | undefined
  readonly consume: boolean | undefined
  readonly json: boolean
}

const given = <V>(name: string, value: V | undefined) => (value === undefined ? {} : { [name]: value })

/** `effect-rocketmq group update`: changes a consumer group on every master that has it. */
export const run = (input: GroupUpdateInput) =>
  Effect.gen(function* () {
    const { cluster, consume, group, orderly, retries } = input
    const changes = {
      ...given("retryMaxTimes", retries),
      ...given("consumeMessageOrderly", orderly),
      ...given("consumeEnable", consume)
    }
    if (Object.keys(changes).length === 0) {
      return yield* new UsageError({
        problem: `There is nothing to change of group ${group}.`,
        remedy: "Pass --retries, --orderly or --consume, or one of the last two with --no- in front."
      })
    }
    const admin = yield* MQAdmin
    const now = yield* admin.updateSubscriptionGroup({ groupName: group, clusterName: cluster, ...changes })
    const brokers = now.map(({ brokerName, config }) => ({
      brokerName,
      consumeEnable: config.consumeEnable,
      retryMaxTimes: config.retryMaxTimes,
      retryQueueNums: config.retryQueueNums,
      consumeMessageOrderly: config.consumeMessageOrderly
    }))
    if (input.json) return yield* Console.log(json({ group, brokers }))
    return yield* printTable(
      ["BROKER", "CONSUMES", "RETRIES", "RETRY QUEUES", "ORDERLY"],
      brokers.map((one) => [
        one.brokerName,
        one.consumeEnable ? "yes" : "no",
        String(one.retryMaxTimes),
        String(one.retryQueueNums),
        one.consumeMessageOrderly ? "yes" : "no"
      ]),
      [2, 3]
    )
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
