import { Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting } from "../Failure.ts"
import { printTable, time } from "../Output.ts"
import { count, json, number } from "../Text.ts"

/** What `topic stats` is asked. */
export interface TopicStatsInput extends Connection {
  readonly topic: string
  readonly json: boolean
}

/** `effect-rocketmq topic stats`: what the queues of a topic hold. */
export const run = (input: TopicStatsInput) =>
  Effect.gen(function* () {
    const { topic } = input
    const admin = yield* MQAdmin
    const stats = yield* admin.examineTopicStats(topic)
    const messages = stats.reduce((sum, { maxOffset, minOffset }) => sum + maxOffset - minOffset, 0)
    if (input.json) {
      yield* Console.log(
        json({
          topic,
          messages,
          queues: stats.map(({ lastUpdateTimestamp, maxOffset, minOffset, queue }) => ({
            brokerName: queue.brokerName,
            queueId: queue.queueId,
            minOffset,
            maxOffset,
            lastUpdateTimestamp
          }))
        })
      )
      return
    }
    yield* printTable(
      ["BROKER", "QUEUE", "MIN", "MAX", "MESSAGES", "LAST STORED"],
      stats.map(({ lastUpdateTimestamp, maxOffset, minOffset, queue }) => [
        queue.brokerName,
        String(queue.queueId),
        String(minOffset),
        String(maxOffset),
        number(maxOffset - minOffset),
        time(lastUpdateTimestamp)
      ]),
      [1, 2, 3, 4]
    )
    yield* Console.error(`${count(messages, "message")} in topic ${topic}`)
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
