import { Clock, Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { dlqTopic } from "../../message/MixAll.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting } from "../Failure.ts"
import { toLine } from "../MessageText.ts"
import { read } from "../ReadTopic.ts"
import { palette, Screen } from "../Screen.ts"
import { excerpt, json } from "../Text.ts"
import { hasDeadLetters, reading } from "./dlqAccess.ts"
import { deadLetterJson, filterOf, type Wanted } from "./dlqMessage.ts"

/** What `dlq peek` is asked. */
export interface DlqPeekInput extends Connection, Wanted {
  readonly group: string
  /** How many messages at most. */
  readonly count: number
  /** The newest instead of the oldest. */
  readonly latest: boolean
  readonly grantRead: boolean
  readonly json: boolean
}

/** How much of an origin is shown. */
const SHOWN = 160

/** `effect-rocketmq dlq peek`: the dead letters of a group. */
export const run = (input: DlqPeekInput) =>
  Effect.gen(function* () {
    const admin = yield* MQAdmin
    const { count, group, latest } = input
    const topic = dlqTopic(group)
    const colors = palette((yield* Screen).stdout)
    const filter = filterOf(input, yield* Clock.currentTimeMillis)
    let shown = 0
    const peek = read({ ...filter, topic, offset: latest ? "latest" : "earliest", count }, (one) =>
      Effect.gen(function* () {
        shown++
        const { message, queue } = one
        const origin = admin.originOfDeadLetter(message)
        const replayed = yield* admin.isReplayed({ group, message, brokerName: queue.brokerName })
        if (input.json) {
          yield* Console.log(json(deadLetterJson(one, origin, replayed)))
          return
        }
        const tried = `from ${excerpt(origin ?? "?", SHOWN)}, tried ${message.reconsumeTimes}x${replayed ? ", replayed" : ""}`
        yield* Console.log(`${toLine(one, colors)}  ${colors.dim(tried)}`)
      })
    )
    if (yield* hasDeadLetters(group)) yield* reading(input, peek)
    if (shown === 0) yield* Console.error(`no such dead letters of group ${group}`)
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
