import { Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { PermName } from "../../message/MixAll.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting } from "../Failure.ts"
import { printTable } from "../Output.ts"
import { json } from "../Text.ts"

/** What `topic route` is asked. */
export interface TopicRouteInput extends Connection {
  readonly topic: string
  readonly json: boolean
}

/** A topic's permission in words: `read, write`. */
export const permission = (perm: number): string => {
  const words = [
    (perm & PermName.READ) === 0 ? "" : "read",
    (perm & PermName.WRITE) === 0 ? "" : "write",
    (perm & PermName.INHERIT) === 0 ? "" : "inherit"
  ].filter((word) => word !== "")
  return words.length === 0 ? "none" : words.join(", ")
}

/** `effect-rocketmq topic route`: which brokers have the topic, at which addresses, with how many queues. */
export const run = (input: TopicRouteInput) =>
  Effect.gen(function* () {
    const { topic } = input
    const admin = yield* MQAdmin
    const { brokerDatas, orderTopicConf, queueDatas } = yield* admin.examineTopicRouteInfo(topic)
    const brokers = brokerDatas.toSorted((a, b) => (a.brokerName < b.brokerName ? -1 : 1))
    if (input.json) {
      yield* Console.log(
        json({
          topic,
          orderTopicConf: orderTopicConf ?? null,
          queues: queueDatas.map(({ brokerName, perm, readQueueNums, writeQueueNums }) => ({
            brokerName,
            readQueueNums,
            writeQueueNums,
            perm
          })),
          brokers: brokers.map(({ brokerAddrs, brokerName, cluster }) => ({
            brokerName,
            cluster,
            addresses: Object.fromEntries(brokerAddrs)
          }))
        })
      )
      return
    }
    const rows = brokers.flatMap(({ brokerAddrs, brokerName, cluster }) =>
      [...brokerAddrs].map(([id, address]) => {
        const queues = queueDatas.find((queue) => queue.brokerName === brokerName)
        return [
          brokerName,
          id === 0 ? "master" : `slave ${id}`,
          address,
          cluster,
          String(queues?.readQueueNums ?? 0),
          String(queues?.writeQueueNums ?? 0),
          permission(queues?.perm ?? 0)
        ]
      })
    )
    yield* printTable(["BROKER", "ROLE", "ADDRESS", "CLUSTER", "READ", "WRITE", "PERMISSION"], rows, [4, 5])
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
