import { Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import type { BrokerTopicConfig } from "../../admin/Topics.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting } from "../Failure.ts"
import { printTable } from "../Output.ts"
import { json } from "../Text.ts"
import { permission } from "./topicRoute.ts"

/** What `topic config` is asked. */
export interface TopicConfigInput extends Connection {
  readonly topic: string
  readonly json: boolean
}

/** Prints a topic as each broker keeps it. */
export const print = Effect.fnUntraced(function* (
  topic: string,
  brokers: ReadonlyArray<BrokerTopicConfig>,
  asJson: boolean
) {
  if (asJson) {
    yield* Console.log(
      json({
        topic,
        brokers: brokers.map(({ brokerName, config }) => ({
          brokerName,
          readQueueNums: config.readQueueNums,
          writeQueueNums: config.writeQueueNums,
          perm: config.perm,
          order: config.order,
          attributes: config.attributes
        }))
      })
    )
    return
  }
  yield* printTable(
    ["BROKER", "READ", "WRITE", "PERMISSION", "ORDER", "ATTRIBUTES"],
    brokers.map(({ brokerName, config }) => [
      brokerName,
      String(config.readQueueNums),
      String(config.writeQueueNums),
      permission(config.perm),
      config.order ? "yes" : "no",
      Object.entries(config.attributes)
        .map(([name, value]) => `${name}=${value}`)
        .join(" ")
    ]),
    [1, 2]
  )
})

/** `effect-rocketmq topic config`: a topic as each of its masters keeps it. */
export const run = (input: TopicConfigInput) =>
  Effect.gen(function* () {
    const admin = yield* MQAdmin
    yield* print(input.topic, yield* admin.examineTopicConfig(input.topic), input.json)
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
