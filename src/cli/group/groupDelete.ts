import { Console, Effect } from "effect"
import { GroupNotFound } from "../../admin/AdminError.ts"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting, UsageError } from "../Failure.ts"
import { printDone } from "../Output.ts"
import { json } from "../Text.ts"

/** What `group delete` is asked. */
export interface GroupDeleteInput extends Connection {
  readonly group: string
  readonly cluster: string | undefined
  /** Whether the group's offsets go too. */
  readonly offsets: boolean
  /** Whether it is meant. */
  readonly yes: boolean
  readonly json: boolean
}

/** `effect-rocketmq group delete`: deletes a consumer group with its retry and dead-letter topics. */
export const run = (input: GroupDeleteInput) =>
  Effect.gen(function* () {
    const { group } = input
    if (!input.yes) {
      return yield* new UsageError({
        problem: `Group ${group}, its retries and its dead letters would be gone for good.`,
        remedy: "Pass --yes if that is meant."
      })
    }
    const admin = yield* MQAdmin
    const known = yield* admin.getAllSubscriptionGroup(input.cluster)
    if (!known.some(({ groupName }) => groupName === group)) {
      return yield* new GroupNotFound({ group })
    }
    yield* admin.deleteSubscriptionGroup(group, { clusterName: input.cluster, cleanOffset: input.offsets })
    return yield* input.json ? Console.log(json({ group, deleted: true })) : printDone(`group ${group} is deleted`)
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
