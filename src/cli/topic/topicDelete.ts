import { Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting, UsageError } from "../Failure.ts"
import { printDone } from "../Output.ts"
import { json } from "../Text.ts"

/** What `topic delete` is asked. */
export interface TopicDeleteInput extends Connection {
  readonly topic: string
  /** Whether it is meant. */
  readonly yes: boolean
  readonly json: boolean
}

/** `effect-rocketmq topic delete`: deletes a topic with its messages. */
export const run = (input: TopicDeleteInput) =>
  Effect.gen(function* () {
    const { topic } = input
    if (!input.yes) {
      return yield* new UsageError({
        problem: `Topic ${topic} and its messages would be gone for good.`,
        remedy: "Pass --yes if that is meant."
      })
    }
    const admin = yield* MQAdmin
    // A name that nobody has is a misspelt one more often than one that is gone already.
    yield* admin.examineTopicRouteInfo(topic)
    yield* admin.deleteTopic(topic)
    return yield* input.json ? Console.log(json({ topic, deleted: true })) : printDone(`topic ${topic} is deleted`)
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
