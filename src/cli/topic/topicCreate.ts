import { Console, Effect } from "effect"
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
  readonly json: boolean
}

/** `effect-rocketmq topic create`: creates a topic on every master of a cluster, or changes it. */
export const run = (input: TopicCreateInput) =>
  Effect.gen(function* () {
    const { attributes, order, perm, queues, topic } = input
    const admin = yield* MQAdmin
    const created = yield* admin.createTopic({
      topic,
      clusterName: input.cluster,
      readQueueNums: queues,
      perm,
      order,
      attributes
    })
    if (input.json) {
      yield* Console.log(json(created))
      return
    }
    const screen = yield* Screen
    const names = created.brokers.map(({ brokerName }) => brokerName).join(", ")
    yield* Console.log(
      `${palette(screen.stdout).good("ok")} topic ${topic} on ${names}: ${count(queues, "queue")} each, ${permission(perm)}`
    )
    if (!created.routed) {
      yield* Console.error(
        `${palette(screen.stderr).warn("note:")} the name server does not name all of these brokers yet; it takes up to 30 s`
      )
    }
  }).pipe(Effect.provide(adminLayer(input)), reporting({ namesrv: input.namesrv, topic: input.topic }))
