import { Clock, Console, Effect, Layer, Random } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { MQClientManager } from "../../client/MQClientManager.ts"
import { DefaultMQPushConsumer } from "../../consumer/DefaultMQPushConsumer.ts"
import type { ReceivedMessage } from "../../consumer/ReceivedMessage.ts"
import * as Subscription from "../../consumer/subscription/Subscription.ts"
import * as Message from "../../message/Message.ts"
import { DefaultMQProducer } from "../../producer/DefaultMQProducer.ts"
import { monotonicMillis } from "../../transport/Deadline.ts"
import { adminLayer, clientOptions, type Connection } from "../Connection.ts"
import { CommandFailed, ExitCode, explain, reporting, tell, UsageError } from "../Failure.ts"
import { toRun } from "../Printed.ts"
import { palette, Screen, withProgress } from "../Screen.ts"
import { emptyStats, generatedBody, type NextMessage, percentile, sendAll } from "../SendRun.ts"
import { duration as span, json, number } from "../Text.ts"

/** What `bench` is asked. */
export interface BenchInput extends Connection {
  /** The topic; one is made for the run when undefined. */
  readonly topic: string | undefined
  readonly makeTopic: boolean
  readonly mode: "both" | "produce" | "consume"
  /** Bytes of a body. */
  readonly size: number
  /** How many sends at once. */
  readonly concurrency: number
  /** Messages a second at most. */
  readonly rate: number | undefined
  /** End after so many messages. */
  readonly count: number | undefined
  /** End after so many milliseconds. */
  readonly duration: number | undefined
  readonly json: boolean
}

/** How long a run is where nothing is said, in milliseconds. */
const DEFAULT_DURATION = 10_000
/** How many messages a run has at most: each has a place in memory for its time. */
const MAX_MESSAGES = 10_000_000
/** How long sends under way, and messages that were sent and did not come yet, are waited for, in milliseconds. */
const DRAIN_MILLIS = 10_000
/** How often it is looked whether all have come, in milliseconds. */
const POLL_MILLIS = 20
/** Queues on each master of a topic that is made for the run. */
const QUEUES = 8
/** The properties by which a run knows its own messages, and when it sent them, on its own clock. */
const RUN = "BENCH_RUN"
const AT = "BENCH_AT"

/** What came to the consumer. */
interface Received {
  messages: number
  bytes: number
  first: number | undefined
  last: number
  /** Milliseconds from a send to the handler, in no order. */
  readonly latencies: Array<number>
}

const SHARES = [
  ["p50", 0.5],
  ["p90", 0.9],
  ["p99", 0.99],
  ["p999", 0.999],
  ["max", 1]
] as const

const round = (n: number) => Math.round(n * 1_000) / 1_000

const millisOf = (latencies: ReadonlyArray<number>) =>
  Object.fromEntries(
    SHARES.map(([name, share]) => [
      `${name}Ms`,
      latencies.length === 0 ? null : round(percentile(latencies, share) ?? 0)
    ])
  )

const latencyText = (latencies: ReadonlyArray<number>): string =>
  SHARES.map(([name, share]) => `${name === "p999" ? "p99.9" : name} ${span(percentile(latencies, share) ?? 0)}`).join(
    ", "
  )

const perSecond = (n: number, millis: number): number => (millis <= 0 ? 0 : n / (millis / 1_000))

/** The messages of a run: so many, for so long, no faster than asked. */
const source = (input: BenchInput, topic: string, runId: string, now: () => number, isOver: () => boolean) => {
  const total = Math.min(input.count ?? MAX_MESSAGES, MAX_MESSAGES)
  const { rate, size } = input
  const body = generatedBody(0, size)
  const begin = now()
  let index = 0
  const next: NextMessage = Effect.suspend(() => {
    if (index >= total || isOver()) return Effect.succeed(undefined)
    const slot = rate === undefined ? 0 : begin + (index * 1_000) / rate - now()
    index++
    const make = Effect.sync(() =>
      isOver() ? undefined : Message.make({ topic, body, properties: { [RUN]: runId, [AT]: String(now()) } })
    )
    return slot > 1 ? Effect.andThen(Effect.sleep(slot), make) : make
  })
  return next
}

/** A topic and a group of the run's own, which are gone at its end. */
const withTopic = Effect.fnUntraced(function* (input: BenchInput, runId: string) {
  const admin = yield* MQAdmin
  if (input.topic !== undefined) {
    // An unknown topic is told, and not made by the first send.
    yield* admin.examineTopicRouteInfo(input.topic)
    return input.topic
  }
  const topic = `bench-${runId}`
  yield* Effect.acquireRelease(admin.createTopic({ topic, readQueueNums: QUEUES, ifExists: "fail" }), () =>
    admin
      .deleteTopic(topic)
      .pipe(Effect.catch((error) => Console.error(`topic ${topic} is left behind: ${error.message}`)))
  )
  return topic
})

/** `effect-rocketmq bench`: how fast a cluster takes and gives messages. */
export const run = (input: BenchInput) =>
  Effect.gen(function* () {
    const { mode } = input
    if ((input.topic === undefined) !== input.makeTopic) {
      return yield* new UsageError({
        problem: input.makeTopic ? "--make-topic makes a topic, and one was named." : "No topic was named.",
        remedy: "Name a topic that may be filled, or pass --make-topic: it is deleted at the end."
      })
    }
    if (mode === "consume" && input.makeTopic) {
      return yield* new UsageError({ problem: "A topic that is made has nothing to read.", remedy: "Name a topic." })
    }
    const screen = yield* Screen
    const admin = yield* MQAdmin
    const now = monotonicMillis(yield* Clock.Clock)
    const runId = (yield* Random.nextIntBetween(0x1000_0000, 0x7fff_ffff)).toString(16)
    const topic = yield* withTopic(input, runId)
    const group = `bench-${runId}`
    const limit = input.duration ?? (input.count === undefined ? DEFAULT_DURATION : Infinity)
    const options = yield* clientOptions(input)
    const sent = emptyStats()
    const received: Received = { messages: 0, bytes: 0, first: undefined, last: 0, latencies: [] }
    const manager = yield* Layer.build(MQClientManager.layer)

    const handler = (message: ReceivedMessage) =>
      Effect.sync(() => {
        const { body, properties } = message
        if (mode === "both" && properties[RUN] !== runId) return
        const at = now()
        received.messages++
        received.bytes += body.length
        received.first ??= at
        received.last = at
        if (mode === "both" && received.latencies.length < MAX_MESSAGES) {
          received.latencies.push(Math.max(0, at - Number(properties[AT])))
        }
      })
    if (mode !== "produce") {
      // The group is the run's own, and goes with it.
      yield* Effect.addFinalizer(() =>
        Effect.tapError(admin.deleteSubscriptionGroup(group, { cleanOffset: true }), (e) =>
          Console.error(e.message)
        ).pipe(Effect.ignore)
      )
      yield* Layer.build(
        DefaultMQPushConsumer.layer(
          {
            ...options,
            consumerGroup: group,
            subscriptions: [Subscription.all(topic)],
            consumeFromWhere: mode === "both" ? "last" : "first",
            readiness: "assigned"
          },
          handler
        )
      ).pipe(Effect.provide(manager))
    }

    const begin = now()
    const isOver = () => now() - begin >= limit
    const produce = Effect.gen(function* () {
      const producer = yield* DefaultMQProducer
      const next = source(input, topic, runId, now, isOver)
      yield* sendAll(producer, next, sent, { concurrency: input.concurrency, drainMillis: DRAIN_MILLIS })
    }).pipe(
      Effect.provide(DefaultMQProducer.layer({ ...options, producerGroup: group, drainTimeoutMillis: 0 })),
      Effect.provide(manager)
    )
    /** Until all have come, or nothing comes any more. */
    const consume = Effect.suspend(() => {
      const target = mode === "both" ? sent.acknowledged : (input.count ?? Infinity)
      const quietSince = Math.max(now(), begin)
      return Effect.sleep(POLL_MILLIS).pipe(
        Effect.repeat({
          until: () =>
            received.messages >= target ||
            (mode === "consume" && isOver()) ||
            now() - Math.max(quietSince, received.last) >= DRAIN_MILLIS
        })
      )
    })
    const line = () =>
      mode === "consume"
        ? `${number(received.messages)} read`
        : `${number(sent.acknowledged)} acknowledged${sent.failed === 0 ? "" : `, ${number(sent.failed)} failed`}${mode === "both" ? `, ${number(received.messages)} read` : ""}`
    yield* withProgress(
      line,
      Effect.gen(function* () {
        if (mode !== "consume") yield* produce
        if (mode !== "produce") yield* consume
      })
    )

    const readMillis = received.last - (received.first ?? received.last)
    const missing = mode === "both" ? Math.max(0, sent.acknowledged - received.messages) : 0
    if (input.json) {
      const produced =
        mode === "consume"
          ? null
          : {
              sent: sent.sent,
              acknowledged: sent.acknowledged,
              failed: sent.failed,
              seconds: round(sent.elapsedMillis / 1_000),
              messagesPerSecond: Math.round(perSecond(sent.acknowledged, sent.elapsedMillis)),
              ...millisOf(sent.latencies)
            }
      const consumed =
        mode === "produce"
          ? null
          : {
              messages: received.messages,
              missing,
              seconds: round(readMillis / 1_000),
              messagesPerSecond: Math.round(perSecond(received.messages, readMillis)),
              ...(mode === "both" ? millisOf(received.latencies) : {})
            }
      const { concurrency, rate, size } = input
      yield* Console.log(
        json({ topic, mode, size, concurrency, rate: rate ?? null, produce: produced, consume: consumed })
      )
    } else {
      const colors = palette(screen.stdout)
      if (mode !== "consume") {
        const rate = perSecond(sent.acknowledged, sent.elapsedMillis)
        yield* Console.log(
          `produce  ${colors.accent(number(rate))} messages/s, ${(perSecond(sent.bytes, sent.elapsedMillis) / 1_048_576).toFixed(1)} MiB/s, ${number(sent.acknowledged)} acknowledged, ${number(sent.failed)} failed`
        )
        if (sent.latencies.length > 0)
          yield* Console.log(`         send to acknowledgement: ${latencyText(sent.latencies)}`)
      }
      if (mode !== "produce") {
        yield* Console.log(
          `consume  ${colors.accent(number(perSecond(received.messages, readMillis)))} messages/s, ${number(received.messages)} read${missing === 0 ? "" : `, ${number(missing)} missing`}`
        )
        if (mode === "both" && received.latencies.length > 0) {
          yield* Console.log(`         send to handler: ${latencyText(received.latencies)}`)
        }
      }
    }
    if (sent.firstError !== undefined) {
      const explained = explain(sent.firstError, { ...input, topic })
      yield* tell(explained)
      yield* new CommandFailed({
        exitCode: sent.acknowledged > 0 ? ExitCode.failed : explained.exitCode,
        summary: explained.message
      })
    }
    if (missing > 0) {
      const message = `${number(missing)} messages were acknowledged, and did not come within ${span(DRAIN_MILLIS)}.`
      yield* tell({
        tag: "Missing",
        message,
        remedy: `See what is there: ${toRun(input)`topic stats ${topic}`}`,
        exitCode: ExitCode.failed
      })
      yield* new CommandFailed({ exitCode: ExitCode.failed, summary: message })
    }
    return undefined
  }).pipe(Effect.scoped, Effect.provide(adminLayer(input)), reporting(input))
