import { Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting } from "../Failure.ts"
import { knownGroup } from "../KnownGroup.ts"
import { printTable, time } from "../Output.ts"
import { count, json, number } from "../Text.ts"

/** What `group progress` is asked. */
export interface GroupProgressInput extends Connection {
  readonly group: string
  readonly topic: string | undefined
  readonly json: boolean
}

/** `effect-rocketmq group progress`: how far a group has read, and what is left. */
export const run = (input: GroupProgressInput) =>
  Effect.gen(function* () {
    const admin = yield* MQAdmin
    // Brokers answer nothing about topics and groups that are not there, or zeros.
    if (input.topic !== undefined) yield* admin.examineTopicRouteInfo(input.topic)
    const { consumeTps, group, lag, queues } = yield* admin.examineConsumeStats(input.group, input.topic)
    if (queues.every(({ consumerOffset }) => consumerOffset <= 0)) yield* knownGroup(input.group)
    if (input.json) {
      yield* Console.log(
        json({
          group,
          lag,
          consumeTps,
          queues: queues.map(({ queue, ...offsets }) => ({
            topic: queue.topic,
            brokerName: queue.brokerName,
            queueId: queue.queueId,
            brokerOffset: offsets.brokerOffset,
            consumerOffset: offsets.consumerOffset,
            pullOffset: offsets.pullOffset,
            lag: offsets.lag,
            lastTimestamp: offsets.lastTimestamp
          }))
        })
      )
      return
    }
    if (queues.length === 0) {
      yield* Console.error(`group ${group} has committed no offset`)
      return
    }
    yield* printTable(
      ["TOPIC", "BROKER", "QUEUE", "STORED", "READ", "LAG", "LAST READ"],
      queues.map(({ brokerOffset, consumerOffset, lag: behind, lastTimestamp, queue }) => [
        queue.topic,
        queue.brokerName,
        String(queue.queueId),
        String(brokerOffset),
        String(consumerOffset),
        number(behind),
        time(lastTimestamp)
      ]),
      [2, 3, 4, 5]
    )
    yield* Console.error(`${count(lag, "message")} behind, ${consumeTps.toFixed(1)} read per second`)
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
