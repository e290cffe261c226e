import { Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting, UsageError } from "../Failure.ts"
import { print } from "./topicConfig.ts"

/** What `topic update` is asked; what is absent stays as it is. */
export interface TopicUpdateInput extends Connection {
  readonly topic: string
  readonly readQueues: number | undefined
  readonly writeQueues: number | undefined
  readonly perm: number | undefined
  readonly order: boolean | undefined
  /** An empty value removes an attribute. */
  readonly attributes: Readonly<Record<string, string>>
  readonly json: boolean
}

/** `effect-rocketmq topic update`: changes a topic on every master that has it. */
export const run = (input: TopicUpdateInput) =>
  Effect.gen(function* () {
    const { order, perm, readQueues, topic, writeQueues } = input
    const attributes = Object.fromEntries(
      Object.entries(input.attributes).map(([name, value]) => [name, value === "" ? undefined : value])
    )
    if (
      [order, perm, readQueues, writeQueues].every((value) => value === undefined) &&
      Object.keys(attributes).length === 0
    ) {
      return yield* new UsageError({
        problem: `There is nothing to change of topic ${topic}.`,
        remedy: "Pass --read-queues, --write-queues, --perm, --order or --attribute."
      })
    }
    const admin = yield* MQAdmin
    const changed = yield* admin.updateTopic({
      topic,
      readQueueNums: readQueues,
      writeQueueNums: writeQueues,
      perm,
      order,
      attributes
    })
    return yield* print(topic, changed, input.json)
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
