import { Console, Effect } from "effect"
import type { IfExists } from "../../admin/AdminContext.ts"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting } from "../Failure.ts"
import { palette, Screen } from "../Screen.ts"
import { count, json } from "../Text.ts"
import { permission } from "./topicRoute.ts"

/** What `topic create` is asked. */
export interface TopicCreateInput extends Connection {
  readonly topic: string
  readonly cluster: string | undefined
  readonly queues: number
  readonly perm: number
  readonly order: boolean
  /** Attributes of 5.x: `message.type=FIFO`. */
  readonly attributes: Readonly<Record<string, string>>
  /** What to do where a master has it already. */
  readonly ifExists: IfExists
  readonly json: boolean
}

/** `effect-rocketmq topic create`: creates a topic on every master of a cluster. */
export const run = (input: TopicCreateInput) =>
  Effect.gen(function* () {
    const { attributes, ifExists, order, perm, queues, topic } = input
    const admin = yield* MQAdmin
    const created = yield* admin.createTopic({
      topic,
      clusterName: input.cluster,
      readQueueNums: queues,
      perm,
      order,
      attributes,
      ifExists
    })
    if (input.json) {
      yield* Console.log(json(created))
      return
    }
    const screen = yield* Screen
    const { good } = palette(screen.stdout)
    const { kept = [] } = created
    const names = created.brokers.map(({ brokerName }) => brokerName).filter((name) => !kept.includes(name))
    if (kept.length > 0) {
      yield* Console.log(`${good("ok")} topic ${topic} was on ${kept.join(", ")} and stays as it is there`)
    }
    if (names.length > 0) {
      yield* Console.log(
        `${good("ok")} topic ${topic} on ${names.join(", ")}: ${count(queues, "queue")} each, ${permission(perm)}`
      )
    }
    if (!created.routed) {
      yield* Console.error(
        `${palette(screen.stderr).warn("note:")} the name server does not name all of these brokers yet; it takes up to 30 s`
      )
    }
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
