import { Clock, Console, Effect, Exit, Layer, Stdio } from "effect"
import { MQClientManager } from "../../client/MQClientManager.ts"
import * as Message from "../../message/Message.ts"
import type { MessageDelay } from "../../message/MessageDelay.ts"
import * as NameList from "../../message/NameList.ts"
import { DefaultMQProducer, type DefaultMQProducerShape } from "../../producer/DefaultMQProducer.ts"
import { adminLayer, clientOptions, type Connection } from "../Connection.ts"
import {
  CommandFailed,
  type CliFailure,
  ExitCode,
  explain,
  type Explained,
  NotThere,
  tell,
  UsageError
} from "../Failure.ts"
import { selected } from "../ReadTopic.ts"
import { bar, palette, Screen, withProgress } from "../Screen.ts"
import { emptyStats, percentile, type Sender, sendAll, type SendStats } from "../SendRun.ts"
import { count, duration, json, number, table } from "../Text.ts"
import { knownDelay } from "./SendDelay.ts"
import { readsLines, source, type SourceInput } from "./SendSource.ts"

/** What `send` is asked. */
export interface SendInput extends Connection, SourceInput {
  readonly topic: string
  readonly group: string
  readonly tags: string | undefined
  readonly keys: ReadonlyArray<string>
  readonly properties: Readonly<Record<string, string>>
  readonly delay: MessageDelay | undefined
  /** `3`, or `broker-a:3` where several brokers have one; any queue when absent. */
  readonly queue: string | undefined
  /** All messages of one key go to one queue. */
  readonly orderingKey: string | undefined
  /** Whether nobody is to acknowledge the messages. */
  readonly oneway: boolean
  /** How many sends at once; by default 64, or 1 where an ordering key asks for order. */
  readonly concurrency: number | undefined
  /** Milliseconds that one send may take. */
  readonly timeout: number
  readonly json: boolean
}

const DEFAULT_CONCURRENCY = 64
/** How long sends under way may take to end after a signal, in milliseconds. */
const DRAIN_MILLIS = 3_000

/** The way in which the messages are sent: where to, and whether anybody acknowledges them. */
const senderOf = Effect.fnUntraced(function* (input: SendInput, producer: DefaultMQProducerShape) {
  const { oneway, orderingKey, topic } = input
  const queues = input.queue === undefined ? [] : yield* producer.fetchPublishMessageQueues(topic)
  const wanted = selected(queues, input.queue)
  const [queue] = wanted
  if (input.queue !== undefined && wanted.length !== 1) {
    const names = (some: typeof queues) => NameList.text(some.map((q) => `${q.brokerName}:${q.queueId}`))
    return yield* queue === undefined
      ? new NotThere({
          problem: `Topic "${topic}" has no queue ${input.queue} that can be written.`,
          remedy: `It has ${names(queues)}.`
        })
      : new UsageError({
          problem: `Several brokers have a queue ${input.queue}.`,
          remedy: `Name one of ${names(wanted)}.`
        })
  }
  const options = input.queue !== undefined ? { queue } : orderingKey === undefined ? undefined : { orderingKey }
  const sender: Sender = {
    send: oneway
      ? (message) => Effect.as(producer.sendOneway(message, options), undefined)
      : (message) => producer.send(message, options)
  }
  return sender
})

const round = (n: number | undefined) => (n === undefined ? null : Math.round(n * 1_000) / 1_000)

/** The object that `send --json` ends with; the shape is frozen. */
export const toJson = (
  stats: SendStats,
  { error, oneway = false, retries }: { retries: number; oneway?: boolean | undefined; error: Explained | undefined }
) => {
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
    ...(oneway ? { handedOver: stats.handedOver } : {}),
    ...(error === undefined ? {} : { error: { tag: error.tag, message: error.message, remedy: error.remedy } })
  }
}

const interrupted: Explained = {
  tag: "Interrupted",
  message: "The command was interrupted before everything was sent.",
  remedy: "Send the rest again.",
  exitCode: ExitCode.failed
}

const summary = ({ oneway, topic }: SendInput, stats: SendStats, retries: number): ReadonlyArray<string> => {
  const { last } = stats
  if (oneway) {
    const failed = stats.failed === 0 ? "" : `, ${number(stats.failed)} failed`
    return [`${count(stats.handedOver, "message")} handed over for ${topic}${failed}: nobody acknowledges them`]
  }
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
  const concurrency = input.concurrency ?? (input.orderingKey === undefined ? DEFAULT_CONCURRENCY : 1)
  let blank = 0
  let retries = 0

  const { delay } = input
  const checking =
    delay === undefined || delay._tag === "Level"
      ? Effect.void
      : Effect.gen(function* () {
          yield* knownDelay(input.topic, delay, yield* Clock.currentTimeMillis)
        }).pipe(Effect.provide(adminLayer(input)))

  const sending = Effect.gen(function* () {
    if (readsLines(input)) {
      const stdio = yield* Stdio.Stdio
      if (yield* stdio.stdinIsTerminal) {
        yield* Console.error("Waiting for lines: each is a message, Enter sends it, Ctrl-D ends.")
      }
    }
    const producer = yield* DefaultMQProducer
    const sender = yield* senderOf(input, producer)
    const make = (body: Uint8Array | string) =>
      Message.make({
        topic: input.topic,
        body,
        tags: input.tags,
        keys: input.keys.length === 0 ? undefined : input.keys,
        properties: input.properties,
        delay: input.delay
      })
    const { next, total } = yield* source(input, make, () => blank++)
    const counted = Effect.map(producer.state, ({ counters }) => {
      retries = counters.retries
    })
    yield* withProgress(
      (colors, columns) => {
        const done = stats.acknowledged + stats.handedOver + stats.failed
        const text = ` ${number(done)}${total === undefined ? "" : ` / ${number(total)}`} sent${stats.failed === 0 ? "" : `, ${colors.bad(`${number(stats.failed)} failed`)}`}`
        return total === undefined ? text : colors.accent(bar(done / total, Math.min(40, columns - 40))) + text
      },
      sendAll(sender, next, stats, { concurrency, drainMillis: DRAIN_MILLIS })
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
    const explained = error === "interrupted" ? interrupted : error === undefined ? undefined : explain(error, input)
    if (blank > 0) yield* Console.error(`${count(blank, "blank line")} left out: RocketMQ takes no empty body`)
    if (input.json) {
      yield* Console.log(json(toJson(stats, { retries, oneway: input.oneway, error: explained })))
    } else if (stats.sent > 0 || explained === undefined) {
      const [first = "", ...rest] = summary(input, stats, retries)
      const colors = palette(screen.stdout)
      yield* Console.log(explained === undefined ? `${colors.good("ok")} ${first}` : first)
      // Among them is the id that the broker gave.
      for (const line of table(rest.map((text) => [text]))) yield* Console.log(line)
    }
    if (explained === undefined) return
    if (explained !== interrupted) yield* tell(explained)
    // Some got through: that is what the exit code says, whatever stopped the others.
    const exitCode = stats.acknowledged + stats.handedOver > 0 ? ExitCode.failed : explained.exitCode
    yield* new CommandFailed({ exitCode, summary: explained.message })
  })

  return yield* Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      Effect.exit(restore(Effect.andThen(checking, sending))),
      (exit): Effect.Effect<void, CommandFailed> => {
        if (Exit.isSuccess(exit)) return conclude(stats.firstError)
        const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")
        if (failure !== undefined) return conclude(failure.error)
        if (exit.cause.reasons.some((reason) => reason._tag === "Die"))
          return Effect.failCause(exit.cause).pipe(Effect.orDie)
        return Effect.andThen(Effect.ignore(conclude("interrupted")), Effect.interrupt)
      }
    )
  )
})
