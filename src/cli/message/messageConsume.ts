import { Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting } from "../Failure.ts"
import { json, table } from "../Text.ts"
import { ofKnownGroup } from "../KnownGroup.ts"
import { inAnyCase } from "./MessageIds.ts"

/** What `message consume` is asked. */
export interface MessageConsumeInput extends Connection {
  readonly topic: string
  /** A sender's id, or an offset message id. */
  readonly id: string
  readonly group: string
  /** The member; any that is online when undefined. */
  readonly client: string | undefined
  readonly json: boolean
}

/** `effect-rocketmq message consume`: has a member of a group process one message, whatever comes of it. */
export const run = (input: MessageConsumeInput) =>
  Effect.gen(function* () {
    const { client, group, id, topic } = input
    const admin = yield* MQAdmin
    const made = yield* inAnyCase(id, (msgId) =>
      admin.consumeMessageDirectly({ topic, msgId, group, clientId: client })
    ).pipe(ofKnownGroup(group))
    const shown = {
      group,
      topic,
      id,
      clientId: made.clientId,
      consumeResult: made.consumeResult,
      remark: made.remark ?? null,
      order: made.order,
      autoCommit: made.autoCommit,
      spentTimeMills: made.spentTimeMills
    }
    if (input.json) {
      yield* Console.log(json(shown))
      return
    }
    const lines = table(Object.entries(shown).map(([name, value]) => [name, String(value ?? "-")]))
    for (const line of lines) yield* Console.log(line)
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
