import { Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting } from "../Failure.ts"
import { knownGroup } from "../KnownGroup.ts"
import { printTable } from "../Output.ts"
import { json } from "../Text.ts"

/** What `group positions` is asked. */
export interface GroupPositionsInput extends Connection {
  readonly group: string
  readonly topic: string
  /** The one member that is asked; all of them when undefined. */
  readonly client: string | undefined
  readonly json: boolean
}

/** `effect-rocketmq group positions`: how far each member is, as it says itself. */
export const run = (input: GroupPositionsInput) =>
  Effect.gen(function* () {
    const { client, group, topic } = input
    const admin = yield* MQAdmin
    const members = yield* admin.getConsumeStatus(topic, group, client)
    if (members.length === 0) yield* knownGroup(group)
    if (input.json) {
      const shown = members.map(({ clientId, queues }) => ({
        clientId,
        queues: queues.map(({ offset, queue }) => ({ brokerName: queue.brokerName, queueId: queue.queueId, offset }))
      }))
      yield* Console.log(json({ group, topic, members: shown }))
      return
    }
    if (members.length === 0) {
      yield* Console.error(`nobody of group ${group} is online`)
      return
    }
    yield* printTable(
      ["CLIENT", "BROKER", "QUEUE", "POSITION"],
      members.flatMap(({ clientId, queues }) =>
        queues.map(({ offset, queue }) => [clientId, queue.brokerName, String(queue.queueId), String(offset)])
      ),
      [2, 3]
    )
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
