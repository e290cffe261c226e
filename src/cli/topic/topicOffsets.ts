import { Clock, Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting } from "../Failure.ts"
import { printTable } from "../Output.ts"
import { json, millisOf, type Moment } from "../Text.ts"

/** What `topic offsets` is asked. */
export interface TopicOffsetsInput extends Connection {
  readonly topic: string
  readonly at: Moment
  readonly json: boolean
}

/** `effect-rocketmq topic offsets`: in each queue, the first message that was stored at a time or later. */
export const run = (input: TopicOffsetsInput) =>
  Effect.gen(function* () {
    const { topic } = input
    const timestamp = millisOf(input.at, yield* Clock.currentTimeMillis)
    const admin = yield* MQAdmin
    const queues = yield* Effect.forEach(
      yield* admin.fetchSubscribeMessageQueues(topic),
      (queue) =>
        Effect.map(admin.searchOffset(queue, timestamp), (offset) => ({
          brokerName: queue.brokerName,
          queueId: queue.queueId,
          offset
        })),
      { concurrency: 8 }
    )
    if (input.json) {
      yield* Console.log(json({ topic, timestamp, queues }))
      return
    }
    yield* printTable(
      ["BROKER", "QUEUE", "OFFSET"],
      queues.map(({ brokerName, offset, queueId }) => [brokerName, String(queueId), String(offset)]),
      [1, 2]
    )
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
