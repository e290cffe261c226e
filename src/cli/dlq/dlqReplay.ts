import { Clock, Console, Effect } from "effect"
import type { ReplayOutcome } from "../../admin/DeadLetters.ts"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import type { ReadMessage } from "../../admin/QueueReader.ts"
import { dlqTopic } from "../../message/MixAll.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { CommandFailed, ExitCode, reporting, tell } from "../Failure.ts"
import { toLine } from "../MessageText.ts"
import { read } from "../ReadTopic.ts"
import { palette, Screen } from "../Screen.ts"
import { count, json, number } from "../Text.ts"
import { hasDeadLetters, reading } from "./dlqAccess.ts"
import { filterOf, type Wanted } from "./dlqMessage.ts"

/** What `dlq replay` is asked. */
export interface DlqReplayInput extends Connection, Wanted {
  readonly group: string
  readonly to: "group" | "topic"
  /** How many are replayed at most; all that are there when undefined. */
  readonly count: number | undefined
  readonly dryRun: boolean
  readonly grantRead: boolean
  readonly json: boolean
}

/** What became of a dead letter, as it is shown. */
type Result = ReplayOutcome | "would-send"

const words: Readonly<Record<Result, string>> = {
  sent: "sent",
  "would-send": "would be sent",
  "already-replayed": "replayed before",
  "no-origin": "nothing says where it came from",
  "not-indexed": "sent, and not found by its key"
}

/** `effect-rocketmq dlq replay`: sends dead letters once more, each of them once. */
export const run = (input: DlqReplayInput) =>
  Effect.gen(function* () {
    const admin = yield* MQAdmin
    const { dryRun, group, to } = input
    const screen = yield* Screen
    const colors = palette(screen.stdout)
    const filter = filterOf(input, yield* Clock.currentTimeMillis)
    const done: Record<Result, number> = {
      sent: 0,
      "would-send": 0,
      "already-replayed": 0,
      "no-origin": 0,
      "not-indexed": 0
    }
    const most = input.count ?? Infinity
    let isOver = false

    const one = Effect.fnUntraced(function* (letter: ReadMessage) {
      const { message, queue } = letter
      const replay = { group, message, brokerName: queue.brokerName, to } as const
      const origin = admin.originOfDeadLetter(message)
      const dry = Effect.map(admin.isReplayed(replay), (is): Result =>
        is ? "already-replayed" : origin === undefined ? "no-origin" : "would-send"
      )
      // A signal does not come between a send and its answer.
      const result: Result = yield* dryRun ? dry : Effect.uninterruptible(admin.replayDeadLetter(replay))
      done[result]++
      isOver = result === "not-indexed" || done.sent + done["would-send"] >= most
      if (!input.json) {
        const unpacked = yield* admin.unpack(message)
        yield* Console.log(`${toLine({ queue, message: unpacked }, colors)}  ${colors.dim(words[result])}`)
        return
      }
      yield* Console.log(
        json({
          group,
          brokerName: queue.brokerName,
          queueId: queue.queueId,
          queueOffset: message.queueOffset,
          msgId: message.msgId,
          originTopic: origin ?? null,
          to,
          result
        })
      )
    })

    const conclude = Effect.suspend(() => {
      const { "already-replayed": before, "no-origin": unknown, sent, "would-send": would } = done
      return Console.error(
        input.json
          ? json({ sent: sent + done["not-indexed"], wouldSend: would, alreadyReplayed: before, noOrigin: unknown })
          : `${dryRun ? `${count(would, "dead letter")} would be sent` : `${count(sent + done["not-indexed"], "dead letter")} sent`} to ${to === "group" ? `group ${group}` : "the topics they came from"}, ${number(before)} replayed before${unknown === 0 ? "" : `, ${number(unknown)} without an origin`}`
      )
    })

    const all = read(
      { ...filter, topic: dlqTopic(group), offset: "earliest", count: Infinity },
      (letter) => (isOver ? Effect.succeed(false) : Effect.as(one(letter), true)),
      "stored"
    )
    const isThere = yield* hasDeadLetters(group)
    yield* (isThere ? reading(input, all) : Effect.void).pipe(Effect.ensuring(conclude))
    if (done["not-indexed"] > 0) {
      const message =
        "A replay was stored and is not found by its key, so that a further run would send it again. Nothing more was sent."
      yield* tell({
        tag: "NotIndexed",
        message,
        remedy: "Set messageIndexEnable=true on the brokers, or see whether they are behind with their index.",
        exitCode: ExitCode.failed
      })
      return yield* new CommandFailed({ exitCode: ExitCode.failed, summary: message })
    }
    if (done["no-origin"] > 0) {
      return yield* new CommandFailed({ exitCode: ExitCode.failed, summary: "some have no origin" })
    }
    return undefined
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
