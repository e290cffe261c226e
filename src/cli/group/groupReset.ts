import { Clock, Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting, UsageError } from "../Failure.ts"
import { knownGroup } from "../KnownGroup.ts"
import { printTable } from "../Output.ts"
import { json, millisOf, type Moment } from "../Text.ts"

/** What `group reset` is asked. */
export interface GroupResetInput extends Connection {
  readonly group: string
  readonly topic: string
  /** Either a time or one of the ends. */
  readonly at: Moment | undefined
  readonly to: "earliest" | "latest" | undefined
  readonly json: boolean
}

/** `effect-rocketmq group reset`: sets where a group reads a topic on. */
export const run = (input: GroupResetInput) =>
  Effect.gen(function* () {
    const { at, group, topic } = input
    const admin = yield* MQAdmin
    const target = at === undefined ? input.to : millisOf(at, yield* Clock.currentTimeMillis)
    if (target === undefined || (at !== undefined && input.to !== undefined)) {
      return yield* new UsageError({
        problem: "Where the group is to read on was not said, or twice.",
        remedy: "Pass --at <time>, or --to earliest or --to latest."
      })
    }
    // Offsets of a misspelt group would be written, and nobody would read on at them.
    yield* knownGroup(group)
    const reset = yield* admin.resetOffsetByTimestamp({ group, topic, to: target })
    const queues = reset.map(({ offset, queue }) => ({ brokerName: queue.brokerName, queueId: queue.queueId, offset }))
    if (input.json) {
      yield* Console.log(json({ group, topic, queues }))
      return undefined
    }
    return yield* printTable(
      ["BROKER", "QUEUE", "READS ON AT"],
      queues.map(({ brokerName, offset, queueId }) => [brokerName, String(queueId), String(offset)]),
      [1, 2]
    )
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
