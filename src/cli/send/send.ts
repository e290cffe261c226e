import { Console, Effect, Exit, type Cause, Layer, Queue, Stdio, Stream } from "effect"
import { MQClientManager } from "../../client/MQClientManager.ts"
import * as Message from "../../message/Message.ts"
import { DefaultMQProducer } from "../../producer/DefaultMQProducer.ts"
import { clientOptions, type Connection } from "../Connection.ts"
import { CommandFailed, type CliFailure, ExitCode, explain, type Explained, tell, UsageError } from "../Failure.ts"
import { bar, palette, Screen, withProgress } from "../Screen.ts"
import { emptyStats, generatedBody, type NextMessage, percentile, sendAll, type SendStats } from "../SendRun.ts"
import { count, duration, json, number, table } from "../Text.ts"

/** What `send` is asked. */
export interface SendInput extends Connection {
  readonly topic: string
  readonly group: string
  readonly tags: string | undefined
  readonly keys: ReadonlyArray<string>
  readonly properties: Readonly<Record<string, string>>
  /** How many messages; the lines of standard input when this, `size` and `body` are absent. */
  readonly count: number | undefined
  /** Bytes of a generated body. */
  readonly size: number | undefined
  readonly body: string | undefined
  readonly concurrency: number
  /** Milliseconds that one send may take. */
  readonly timeout: number
  readonly json: boolean
}

/** Bytes of a generated body when `--size` is absent. */
const DEFAULT_SIZE = 1_024
/** How long sends under way may take to end after a signal, in milliseconds. */
const DRAIN_MILLIS = 3_000

/** The lines of standard input as they come; blank ones are counted and left out, because RocketMQ takes no empty body. */
const lines = Effect.fnUntraced(function* (onBlank: () => void) {
  const stdio = yield* Stdio.Stdio
  const queue = yield* Queue.bounded<string, Cause.Done | UsageError>(1_024)
  yield* stdio.stdin.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.runForEach((line) => (line === "" ? Effect.sync(onBlank) : Queue.offer(queue, line))),
    Effect.matchEffect({
      onSuccess: () => Queue.end(queue),
      onFailure: (error) =>
        Queue.fail(
          queue,
          new UsageError({
            problem: `Standard input cannot be read: ${error.message}`,
            remedy: "Pipe lines into the command, or pass --body or --count."
          })
        )
    }),
    Effect.forkScoped
  )
  return Effect.catchTag(Queue.take(queue), "Done", () => Effect.succeed(undefined))
})

/** The messages to send, and how many there will be where that is known. */
const source = Effect.fnUntraced(function* (input: SendInput, onBlank: () => void) {
  const { body, size } = input
  const make = (content: Uint8Array | string) =>
    Message.make({
      topic: input.topic,
      body: content,
      tags: input.tags,
      keys: input.keys.length === 0 ? undefined : input.keys,
      properties: input.properties
    })
  if (body === undefined && size === undefined && input.count === undefined) {
    const line = yield* lines(onBlank)
    const next: NextMessage<UsageError> = Effect.map(line, (text) => (text === undefined ? undefined : make(text)))
    return { next, total: undefined }
  }
  const total = input.count ?? 1
  let index = 0
  const next: NextMessage<UsageError> = Effect.sync(() => {
    const i = index++
    return i >= total ? undefined : make(body ?? generatedBody(i, size ?? DEFAULT_SIZE))
  })
  return { next, total }
})

const round = (n: number | undefined) => (n === undefined ? null : Math.round(n * 1_000) / 1_000)

/** The object that `send --json` ends with; the shape is frozen. */
export const toJson = (stats: SendStats, retries: number, error: Explained | undefined) => {
  const seconds = stats.elapsedMillis / 1_000
  return {
    sent: stats.sent,
    acknowledged: stats.acknowledged,
    failed: stats.failed,
    unknown: stats.unknown,
    retries,
    seconds: round(seconds),
    messagesPerSecond: seconds === 0 ? 0 : Math.round(stats.acknowledged / seconds),
    p50Ms: round(percentile(stats.latencies, 0.5)),
    p99Ms: round(percentile(stats.latencies, 0.99)),
    ...(error === undefined ? {} : { error: { tag: error.tag, message: error.message, remedy: error.remedy } })
  }
}

const interrupted: Explained = {
  tag: "Interrupted",
  message: "The command was interrupted before everything was sent.",
  remedy: "Send the rest again.",
  exitCode: ExitCode.failed
}

const summary = (topic: string, stats: SendStats, retries: number): ReadonlyArray<string> => {
  const { last } = stats
  const unknown = stats.unknown === 0 ? "" : ` (${number(stats.unknown)} of them may be stored)`
  const text = [
    `${count(stats.sent, "message")} sent to ${topic}: ${number(stats.acknowledged)} acknowledged, ${number(stats.failed)} failed${unknown}, ${retries === 1 ? "1 retry" : `${number(retries)} retries`}`
  ]
  if (stats.acknowledged > 1) {
    const rate = stats.acknowledged / (stats.elapsedMillis / 1_000)
    text.push(
      `${duration(stats.elapsedMillis)}, ${number(rate)} messages/s, latency p50 ${duration(percentile(stats.latencies, 0.5) ?? 0)}, p99 ${duration(percentile(stats.latencies, 0.99) ?? 0)}`
    )
  }
  if (last !== undefined && stats.sent === 1) {
    const { brokerName, queueId } = last.queue
    text.push(`msgId        ${last.msgId}`, `offsetMsgId  ${last.offsetMsgId}`)
    text.push(`stored at    ${brokerName}:${queueId}:${last.queueOffset} (broker:queue:offset), ${last.status}`)
  }
  return text
}

/**
 * `effect-rocketmq send`: sends messages and says what became of them. On a signal it takes no further message, waits for
 * those under way, and then gives its summary all the same.
 */
export const run = Effect.fnUntraced(function* (input: SendInput) {
  const screen = yield* Screen
  const stats = emptyStats()
  let blank = 0
  let retries = 0

  const sending = Effect.gen(function* () {
    if (input.count === undefined && input.size === undefined && input.body === undefined) {
      const stdio = yield* Stdio.Stdio
      if (yield* stdio.stdinIsTerminal) yield* Console.error("Type one message a line; Ctrl-D ends.")
    }
    const producer = yield* DefaultMQProducer
    const { next, total } = yield* source(input, () => blank++)
    const counted = Effect.map(producer.state, ({ counters }) => {
      retries = counters.retries
    })
    yield* withProgress(
      (colors, columns) => {
        const done = stats.acknowledged + stats.failed
        const text = ` ${number(done)}${total === undefined ? "" : ` / ${number(total)}`} sent${stats.failed === 0 ? "" : `, ${colors.bad(`${number(stats.failed)} failed`)}`}`
        return total === undefined ? text : colors.accent(bar(done / total, Math.min(40, columns - 40))) + text
      },
      sendAll(producer, next, stats, { concurrency: input.concurrency, drainMillis: DRAIN_MILLIS })
    ).pipe(Effect.ensuring(counted))
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.unwrap(
        Effect.map(clientOptions(input), (options) =>
          DefaultMQProducer.layer({
            ...options,
            producerGroup: input.group,
            sendMsgTimeout: input.timeout,
            drainTimeoutMillis: 0
          })
        )
      ).pipe(Layer.provide(MQClientManager.layer))
    )
  )

  const conclude = Effect.fnUntraced(function* (error: CliFailure | "interrupted" | undefined) {
    const hints = { namesrv: input.namesrv, topic: input.topic }
    const explained = error === "interrupted" ? interrupted : error === undefined ? undefined : explain(error, hints)
    if (blank > 0) yield* Console.error(`${count(blank, "blank line")} left out: RocketMQ takes no empty body`)
    if (input.json) {
      yield* Console.log(json(toJson(stats, retries, explained)))
    } else if (stats.sent > 0 || explained === undefined) {
      const [first = "", ...rest] = summary(input.topic, stats, retries)
      const colors = palette(screen.stdout)
      yield* Console.log(explained === undefined ? `${colors.good("ok")} ${first}` : first)
      // Among them is the id that the broker gave.
      for (const line of table(rest.map((text) => [text]))) yield* Console.log(line)
    }
    if (explained === undefined) return
    if (explained !== interrupted) yield* tell(explained)
    // Some got through: that is what the exit code says, whatever stopped the others.
    const exitCode = stats.acknowledged > 0 ? ExitCode.failed : explained.exitCode
    yield* new CommandFailed({ exitCode, summary: explained.message })
  })

  if (input.count !== undefined && input.count < 1) {
    return yield* conclude(
      new UsageError({ problem: "There is nothing to send: --count is below 1.", remedy: "Pass --count 1 or more." })
    )
  }
  return yield* Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.exit(restore(sending)), (exit): Effect.Effect<void, CommandFailed> => {
      if (Exit.isSuccess(exit)) return conclude(stats.firstError)
      const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")
      if (failure !== undefined) return conclude(failure.error)
      if (exit.cause.reasons.some((reason) => reason._tag === "Die"))
        return Effect.failCause(exit.cause).pipe(Effect.orDie)
      return Effect.andThen(Effect.ignore(conclude("interrupted")), Effect.interrupt)
    })
  )
})
