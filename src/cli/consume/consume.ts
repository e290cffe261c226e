import { Clock, Console, Deferred, Effect, Exit, Layer, Option, Scope, Stream } from "effect"
import { make as makeAdmin, type MQAdminShape } from "../../admin/MQAdmin.ts"
import type { ClientOptions } from "../../client/ClientConfig.ts"
import { MQClientManager } from "../../client/MQClientManager.ts"
import * as ConsumeResult from "../../consumer/ConsumeResult.ts"
import type { ConsumerProblem } from "../../consumer/ConsumerState.ts"
import { DefaultMQPushConsumer, type DefaultMQPushConsumerShape } from "../../consumer/DefaultMQPushConsumer.ts"
import type { ConsumeFromWhere } from "../../consumer/offset/StartOffset.ts"
import * as MessageListener from "../../consumer/MessageListener.ts"
import type { ReceivedMessage } from "../../consumer/ReceivedMessage.ts"
import * as Subscription from "../../consumer/subscription/Subscription.ts"
import * as MessageQueue from "../../message/MessageQueue.ts"
import { isRetryTopic, PermName } from "../../message/MixAll.ts"
import { monotonicMillis } from "../../transport/Deadline.ts"
import { clientOptions, type Connection } from "../Connection.ts"
import { type CliFailure, CommandFailed, ExitCode, explain, type Explained, tell, UsageError } from "../Failure.ts"
import { toJson, toLine } from "../MessageText.ts"
import { palette, Screen } from "../Screen.ts"
import { count, duration, json, number, printable } from "../Text.ts"
import * as Stats from "./ConsumeStats.ts"
import { live } from "./LiveLine.ts"

/** What `consume` is asked. */
export interface ConsumeInput extends Connection {
  readonly topic: string
  readonly group: string
  readonly expression: string | undefined
  readonly sql: string | undefined
  readonly from: ConsumeFromWhere
  readonly orderly: boolean
  readonly broadcast: boolean
  readonly concurrency: number
  /** End after so many distinct acknowledged messages. */
  readonly count: number | undefined
  /** End when nothing was delivered for so many milliseconds. */
  readonly idleTimeout: number | undefined
  /** Give each message back at its first so many deliveries. */
  readonly failFirst: number
  /** Wait for a topic that is not there. */
  readonly wait: boolean
  readonly quiet: boolean
  readonly json: boolean
}

/** How long lines that are being printed may take after a signal, in milliseconds. */
const DRAIN_MILLIS = 10_000
/** How long what was given back may take then; whoever waits because enough was consumed is interrupted, in milliseconds. */
const SETTLE_MILLIS = 300
/** How often it is looked whether a topic is there that is waited for, in milliseconds. */
const TOPIC_POLL_MILLIS = 1_000

/** Why a run ended by itself: enough was consumed, nothing came any more, or nobody reads its output. */
type End = "count" | "idle" | "closed"

/** What cannot be together is said, and not taken for something else. */
const unsupported = ({ broadcast, failFirst, orderly }: ConsumeInput): string | undefined =>
  broadcast && failFirst > 0 && !orderly
    ? "--fail-first: where a group broadcasts, a message that was given back does not come again."
    : undefined

/** What is asked for of the topic. */
const subscriptionOf = ({ expression, sql, topic }: ConsumeInput): Subscription.Subscription =>
  sql === undefined ? Subscription.expression(topic, expression ?? "*") : Subscription.sql(topic, sql)

/**
 * Whether the topic is there to be read. Fails when it is not, unless it is to be waited for; when no queue of it may be read;
 * and when access control denies the group.
 */
const lookAtTopic = Effect.fnUntraced(function* (admin: MQAdminShape, { group, topic, wait }: ConsumeInput) {
  const route = yield* admin.examineTopicRouteInfo(topic).pipe(
    Effect.catchIf(
      ({ reason }) =>
        wait &&
        (reason._tag === "TopicNotFound" ||
          (reason._tag === "RouteUnavailable" && ["topic-absent", "no-broker"].includes(reason.problem))),
      () => Effect.succeed(undefined)
    )
  )
  if (route === undefined) return false
  const readable = route.queueDatas.find(({ perm, readQueueNums }) => (perm & PermName.READ) !== 0 && readQueueNums > 0)
  if (readable === undefined && !wait) {
    const refused: Explained = {
      tag: "RouteUnavailable",
      message: `Topic "${printable(topic)}" has no queue that may be read.`,
      remedy: `If that is not meant: effect-rocketmq topic update ${printable(topic)} --perm rw`,
      exitCode: ExitCode.refused
    }
    return yield* Effect.andThen(
      tell(refused),
      new CommandFailed({ exitCode: refused.exitCode, summary: refused.message })
    )
  }
  if (readable === undefined) return true
  yield* admin.fetchConsumeOffset(group, MessageQueue.make(topic, readable.brokerName, 0)).pipe(
    // Who may not read is told; anything else is the consumer's to try again.
    Effect.catchIf(
      ({ reason }) => reason._tag !== "AccessDenied",
      () => Effect.void
    )
  )
  return true
})

/** Handles what comes: prints it and acknowledges it then, gives it back, or holds it because enough was consumed. */
const makeHandler = (
  input: ConsumeInput,
  stats: Stats.ConsumeStats,
  now: () => number,
  print: (message: ReceivedMessage) => Effect.Effect<void, unknown>,
  ended: Deferred.Deferred<End>
) => {
  const target = input.count ?? Infinity
  /** The distinct messages that were begun, and how many of them are acknowledged; kept only where they are counted. */
  const begun = new Set<string>()
  let distinct = 0
  let printing = 0
  let stopped = false

  const handler = (message: ReceivedMessage) =>
    Effect.suspend((): Effect.Effect<ConsumeResult.ConsumeResult> => {
      // Neither acknowledged nor given back: the next owner of its queue gets it.
      if (stopped) return Effect.never
      Stats.delivered(stats, now())
      if (message.reconsumeTimes < input.failFirst) {
        stats.failed++
        return Effect.succeed(ConsumeResult.reconsumeLater())
      }
      const isNew = target !== Infinity && !begun.has(message.msgId)
      if (isNew) {
        if (begun.size >= target) return Effect.never
        begun.add(message.msgId)
      }
      printing++
      return print(message).pipe(
        Effect.match({
          onSuccess: () => {
            Stats.acknowledged(stats, message, now())
            if (isNew && ++distinct >= target) Deferred.doneUnsafe(ended, Effect.succeed("count"))
            return ConsumeResult.success
          },
          onFailure: () => undefined
        }),
        Effect.flatMap((result) => {
          if (result !== undefined) return Effect.succeed(result)
          stopped = true
          Deferred.doneUnsafe(ended, Effect.succeed("closed"))
          return Effect.never
        }),
        Effect.ensuring(
          Effect.sync(() => {
            printing--
          })
        )
      )
    })

  /** No further message is acknowledged; waits for those that are being printed. */
  const drain = Effect.suspend(() => {
    const isClosed = stopped
    stopped = true
    // Lines that nobody reads any more are not waited for.
    if (isClosed || printing === 0) return Effect.void
    return Effect.sleep(5).pipe(Effect.repeat({ until: () => printing === 0 }), Effect.timeoutOption(DRAIN_MILLIS))
  })
  return { handler, drain }
}

/** Ends when nothing was delivered for so long, counted from the first assignment. */
const idle = (
  millis: number | undefined,
  assigned: Effect.Effect<void>,
  stats: Stats.ConsumeStats,
  now: () => number
): Effect.Effect<End> =>
  millis === undefined
    ? Effect.never
    : Effect.gen(function* () {
        yield* assigned
        const begin = now()
        for (;;) {
          const left = Math.max(begin, stats.lastDelivery ?? begin) + millis - now()
          if (left <= 0) return "idle" as const
          yield* Effect.sleep(left)
        }
      })

/** Tells of each problem once, when it begins. */
const tellProblems = Effect.fnUntraced(function* (consumer: DefaultMQPushConsumerShape) {
  const colors = palette((yield* Screen).stderr)
  let known: ReadonlyArray<ConsumerProblem> = []
  yield* Stream.runForEach(consumer.stateChanges, ({ problems }) => {
    const fresh = problems.filter(({ key }) => known.every((one) => one.key !== key))
    known = problems
    return Effect.forEach(fresh, ({ text }) => Console.error(`${colors.warn("warning:")} ${printable(text)}`), {
      discard: true
    })
  })
})

/** A message as `consume --json` prints it; the shape is frozen. */
export const messageJson = (message: ReceivedMessage) => {
  const { body, encoding, ...shown } = toJson({ message, queue: message.queue })
  const { reconsumeTimes, storeTimestamp } = message
  return { ...shown, storeTimestamp, reconsumeTimes, body, encoding }
}

const round = (n: number) => Math.round(n * 1_000) / 1_000

/** The object that `consume --json` ends with, on standard error; the shape is frozen. */
export const summaryJson = (stats: Stats.ConsumeStats, owned: ReadonlyArray<MessageQueue.MessageQueue>) => ({
  consumed: stats.consumed,
  failed: stats.failed,
  queues: queuesOf(stats, owned),
  seconds: round(Stats.millisOf(stats) / 1_000),
  messagesPerSecond: Math.round(Stats.rateOf(stats))
})

/** The queues that it owned at the end or has read from, with what was acknowledged of each. */
const queuesOf = (stats: Stats.ConsumeStats, owned: ReadonlyArray<MessageQueue.MessageQueue>) => {
  const all = new Map(owned.map((queue) => [MessageQueue.key(queue), { queue, consumed: 0 }]))
  for (const [key, one] of stats.queues) all.set(key, one)
  return [...all.values()]
    .toSorted((a, b) => MessageQueue.compare(a.queue, b.queue))
    .map(({ consumed, queue }) => ({
      topic: queue.topic,
      brokerName: queue.brokerName,
      queueId: queue.queueId,
      consumed
    }))
}

const summaryLines = (input: ConsumeInput, stats: Stats.ConsumeStats): ReadonlyArray<string> => {
  const back = stats.failed === 0 ? "" : `, ${count(stats.failed, "delivery").replace(/ys$/, "ies")} given back`
  const first = `${count(stats.consumed, "message")} of ${printable(input.topic)} consumed by group ${printable(input.group)}${back}`
  return stats.consumed < 2
    ? [first]
    : [first, `${duration(Stats.millisOf(stats))}, ${number(Stats.rateOf(stats))} messages/s`]
}

const tooFew = (input: ConsumeInput, consumed: number): Explained => ({
  tag: "TooFew",
  message: `Nothing was delivered for ${duration(input.idleTimeout ?? 0)}; ${number(consumed)} of ${number(input.count ?? 0)} messages are consumed.`,
  remedy: `See what is left, and who else reads it: effect-rocketmq group progress ${printable(input.group)}, group clients ${printable(input.group)}`,
  exitCode: ExitCode.failed
})

/**
 * `effect-rocketmq consume`: a member of a group until enough is consumed, nothing comes any more, or a signal. A message is
 * acknowledged once its line was accepted by whoever reads standard output.
 */
export const run = Effect.fnUntraced(function* (input: ConsumeInput) {
  const screen = yield* Screen
  const clock = yield* Clock.Clock
  const now = monotonicMillis(clock)
  const stats = Stats.emptyStats()
  const ended = Deferred.makeUnsafe<End>()
  const colors = palette(screen.stdout)
  const print = (message: ReceivedMessage) => {
    if (input.quiet) return Effect.void
    const read = { message, queue: message.queue }
    const text = input.json ? json(messageJson(message)) : toLine(read, colors)
    return screen.stderr.isTerminal ? Effect.andThen(screen.status(undefined), screen.line(text)) : screen.line(text)
  }
  const { drain, handler } = makeHandler(input, stats, now, print, ended)

  /** Set once it runs. */
  let running: DefaultMQPushConsumerShape | undefined

  /** Opens the consumer in a scope. */
  const open = Effect.fnUntraced(function* (scope: Scope.Scope) {
    const problem = unsupported(input)
    if (problem !== undefined) {
      return yield* new UsageError({ problem, remedy: "Leave the flag out, or take another client for it." })
    }
    if (input.sql !== undefined && input.expression !== undefined) {
      return yield* new UsageError({
        problem: "--sql and --expression: a topic has one filter.",
        remedy: "Leave one of them out; in SQL a tag is the property TAGS."
      })
    }
    const options: ClientOptions = {
      ...(yield* clientOptions(input)),
      // For all clients of the instance, which is made by the first of them.
      pollNameServerInterval: input.wait ? TOPIC_POLL_MILLIS : undefined
    }
    const manager = yield* Layer.buildWithScope(MQClientManager.layer, scope)
    const admin = yield* makeAdmin(options).pipe(Effect.provide(manager), Scope.provide(scope))
    const isThere = yield* lookAtTopic(admin, input)
    const consumer = yield* DefaultMQPushConsumer.make(
      {
        ...options,
        consumerGroup: input.group,
        subscriptions: [subscriptionOf(input)],
        messageModel: input.broadcast ? "BROADCASTING" : "CLUSTERING",
        consumeFromWhere: input.from,
        concurrency: input.concurrency,
        drainTimeoutMillis: SETTLE_MILLIS
      },
      input.orderly ? MessageListener.orderly(handler) : handler
    ).pipe(Effect.provide(manager))
    yield* Scope.addFinalizer(scope, consumer.shutdown)
    // It may have acknowledged messages before its start has ended: a signal waits, so that their offsets are written.
    yield* Effect.uninterruptible(
      Effect.map(consumer.start, () => {
        running = consumer
      })
    )
    return { consumer, isThere }
  })

  const untilEnd = Effect.fnUntraced(function* (consumer: DefaultMQPushConsumerShape, isThere: boolean) {
    const assigned = isThere
      ? Effect.void
      : Stream.filter(consumer.stateChanges, ({ queues }) =>
          queues.some(({ queue }) => !isRetryTopic(queue.topic))
        ).pipe(Stream.runHead, Effect.asVoid)
    yield* Effect.forkScoped(tellProblems(consumer), { startImmediately: true })
    return yield* live(
      { stats, target: input.count, state: consumer.state },
      Effect.raceFirst(Deferred.await(ended), idle(input.idleTimeout, assigned, stats, now))
    )
  }, Effect.scoped)

  const conclude = Effect.fnUntraced(function* (
    problem: Explained | undefined,
    owned: ReadonlyArray<MessageQueue.MessageQueue> | undefined
  ) {
    if (problem !== undefined) yield* tell(problem)
    if (owned === undefined) return
    if (input.json) yield* Console.error(json(summaryJson(stats, owned)))
    else for (const line of summaryLines(input, stats)) yield* Console.error(line)
  })

  return yield* Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const opened = yield* Effect.exit(restore(open(scope)))
      const exit: Exit.Exit<End, CliFailure | CommandFailed> = Exit.isFailure(opened)
        ? Exit.failCause(opened.cause)
        : yield* Effect.exit(restore(untilEnd(opened.value.consumer, opened.value.isThere)))
      yield* drain
      const owned = running === undefined ? undefined : yield* running.assignment
      yield* Scope.close(scope, Exit.void)
      if (Exit.isSuccess(exit)) {
        const problem = exit.value === "idle" && input.count !== undefined ? tooFew(input, stats.consumed) : undefined
        yield* conclude(problem, owned)
        if (problem !== undefined) yield* new CommandFailed({ exitCode: problem.exitCode, summary: problem.message })
        return
      }
      const failure = Option.getOrUndefined(Exit.findErrorOption(exit))
      if (failure?._tag === "CommandFailed") {
        yield* failure
      } else if (failure !== undefined) {
        const explained = explain(failure, { namesrv: input.namesrv, topic: input.topic })
        yield* conclude(explained, owned)
        yield* new CommandFailed({ exitCode: explained.exitCode, summary: explained.message })
      } else {
        // A signal, or a defect: what was done is told all the same.
        yield* conclude(undefined, owned)
        yield* Effect.orDie(Effect.failCause(exit.cause))
      }
    })
  )
})
