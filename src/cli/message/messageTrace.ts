import { Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { RMQ_SYS_TRACE_TOPIC } from "../../message/MixAll.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting } from "../Failure.ts"
import { printTable } from "../Output.ts"
import { duration, json, moment } from "../Text.ts"

/** What `message trace` is asked. */
export interface MessageTraceInput extends Connection {
  /** The sender's id. */
  readonly id: string
  readonly traceTopic: string | undefined
  readonly json: boolean
}

const HEAD = ["WHAT", "GROUP", "CLIENT", "TIME", "TOOK", "STATUS", "ATTEMPT", "TOPIC", "BROKER"]

/** `effect-rocketmq message trace`: what producers and consumers tell of a message, in one table, oldest first. */
export const trace = (input: MessageTraceInput) =>
  Effect.gen(function* () {
    const { id: msgId, traceTopic = RMQ_SYS_TRACE_TOPIC } = input
    const admin = yield* MQAdmin
    const written = yield* admin.queryMessageTrace(msgId, { traceTopic })
    const upper = msgId.toUpperCase()
    const entries =
      written.length > 0 || upper === msgId ? written : yield* admin.queryMessageTrace(upper, { traceTopic })
    if (input.json) {
      yield* Console.log(
        json({
          msgId,
          entries: entries.map((entry) => ({
            kind: entry.kind,
            group: entry.group,
            clientHost: entry.clientHost,
            time: entry.time ?? null,
            costTime: entry.costTime ?? null,
            status: entry.status,
            attempt: entry.attempt ?? null,
            topic: entry.topic ?? null,
            storeHost: entry.storeHost ?? null
          }))
        })
      )
    } else if (entries.length > 0) {
      const rows = entries.map((entry) => [
        entry.kind,
        entry.group,
        entry.clientHost,
        entry.time === undefined ? "-" : moment(entry.time),
        entry.costTime === undefined ? "-" : duration(entry.costTime),
        entry.status,
        String(entry.attempt ?? "-"),
        entry.topic ?? "-",
        entry.storeHost ?? "-"
      ])
      yield* printTable(HEAD, rows, [4, 6])
    }
    if (entries.length > 0) return
    yield* Console.error(
      `nothing in topic ${traceTopic} tells of this message: clients tell of it with enableTrace only, up to five seconds late`
    )
  }).pipe(Effect.provide(adminLayer(input)), reporting({ ...input, topic: input.traceTopic ?? RMQ_SYS_TRACE_TOPIC }))
