import { Clock, Console, Deferred, Effect, Exit, Layer, Option, Scope, Stream } from "effect"
import { make as makeAdmin, type MQAdminShape } from "../../admin/MQAdmin.ts"
import type { ClientOptions } from "../../client/ClientConfig.ts"
import { MQClientManager } from "../../client/MQClientManager.ts"
import type { ConsumerProblem } from "../../consumer/ConsumerState.ts"
import { DefaultMQPushConsumer, type DefaultMQPushConsumerShape } from "../../consumer/DefaultMQPushConsumer.ts"
import * as MessageListener from "../../consumer/MessageListener.ts"
import type { ReceivedMessage } from "../../consumer/ReceivedMessage.ts"
import { createGroup } from "../../consumer/run/Share.ts"
import * as Subscription from "../../consumer/subscription/Subscription.ts"
import * as MessageQueue from "../../message/MessageQueue.ts"
import { isRetryTopic, PermName } from "../../message/MixAll.ts"
import { monotonicMillis } from "../../transport/Deadline.ts"
import { clientOptions } from "../Connection.ts"
import { type CliFailure, CommandFailed, ExitCode, explain, type Explained, tell, UsageError } from "../Failure.ts"
import { printer } from "../MessageText.ts"
import { toRun } from "../Printed.ts"
import { palette, Screen } from "../Screen.ts"
import { json, printable } from "../Text.ts"
import { type End, makeHandler } from "./ConsumeHandler.ts"
import type { ConsumeInput } from "./ConsumeInput.ts"
import { messageJson, summaryJson, summaryLines, tooFew } from "./ConsumeSummary.ts"
import * as Exec from "./Exec.ts"
import * as ExecLines from "./ExecLines.ts"
import * as Stats from "./ConsumeStats.ts"
import { live } from "./LiveLine.ts"

/** How long what was given back may take then; whoever waits because enough was consumed is interrupted, in milliseconds. */
const SETTLE_MILLIS = 300
/** How often it is looked whether a topic is there that is waited for, in milliseconds. */
const TOPIC_POLL_MILLIS = 1_000

/** What cannot be together is said, and not taken for something else. */
const unsupported = (input: ConsumeInput): { readonly problem: string; readonly remedy: string } | undefined => {
  const { broadcast, exec, execLines, expression, failFirst, orderly, sql } = input
  const [giving] = [
    ...(failFirst > 0 ? ["--fail-first"] : []),
    ...(exec === undefined ? [] : ["--exec"]),
    ...(execLines === undefined ? [] : ["--exec-lines"])
  ]
  if (broadcast && !orderly && giving !== undefined) {
    return {
      problem: `${giving}: where a group broadcasts, a message that was given back does not come again.`,
      remedy: "Leave one of them out, or pass --orderly: there it does."
    }
  }
  if (exec !== undefined && execLines !== undefined) {
    return { problem: "--exec and --exec-lines exclude each other.", remedy: "Pass one of them." }
  }
  if (sql !== undefined && expression !== undefined) {
    return {
      problem: "--sql and --expression: a topic has one filter.",
      remedy: "Leave one of them out; in SQL a tag is the property TAGS."
    }
  }
  return undefined
}

/** What a user's command does with a message, if there is one. */
const commandOf = ({ exec, execLines, execTimeout }: ConsumeInput) =>
  exec !== undefined
    ? Exec.make(exec, execTimeout)
    : execLines !== undefined
      ? ExecLines.make(execLines, execTimeout, (message) => json(messageJson({ message, queue: message.queue })))
      : Effect.succeed(undefined)

/** What is asked for of the topic. */
const subscriptionOf = ({ expression, sql, topic }: ConsumeInput): Subscription.Subscription =>
  sql === undefined ? Subscription.expression(topic, expression ?? "*") : Subscription.sql(topic, sql)

/**
 * Whether the topic is there to be read. Fails when it is not, unless it is to be waited for; when no queue of it may be read;
 * and when access control denies the group.
 */
const lookAtTopic = Effect.fnUntraced(function* (
  admin: MQAdminShape,
  { group, topic, wait, ...reached }: ConsumeInput
) {
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
      remedy: `If that is not meant: ${toRun(reached)`topic update ${topic} --perm rw`}`,
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
const tellProblems = Effect.fnUntraced(function* (consumer: DefaultMQPushConsumerShape, input: ConsumeInput) {
  const colors = palette((yield* Screen).stderr)
  /** The consumer's own words do not know how the cluster was named. */
  const named = (text: string) =>
    text.replace(createGroup(input.group), `Create it: ${toRun(input)`group create ${input.group}`}`)
  let known: ReadonlyArray<ConsumerProblem> = []
  yield* Stream.runForEach(consumer.stateChanges, ({ problems }) => {
    const fresh = problems.filter(({ key }) => known.every((one) => one.key !== key))
    known = problems
    return Effect.forEach(fresh, ({ text }) => Console.error(`${colors.warn("warning:")} ${printable(named(text))}`), {
      discard: true
    })
  })
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
  const ended = Deferred.makeUnsafe<End, Explained>()
  /** A user's command says what is shown, unless something is asked for. */
  const isQuiet =
    input.quiet || ((input.exec ?? input.execLines) !== undefined && !input.json && input.format === undefined)
  const printing = Effect.map(
    printer(input, palette(screen.stdout), messageJson),
    (toText) => (message: ReceivedMessage) => {
      if (isQuiet) return Effect.void
      const text = toText({ message, queue: message.queue })
      return screen.stderr.isTerminal ? Effect.andThen(screen.status(undefined), screen.line(text)) : screen.line(text)
    }
  )

  /** What is being handled ends before anything is closed. */
  let drain: Effect.Effect<unknown> = Effect.void
  /** Set once it runs. */
  let running: DefaultMQPushConsumerShape | undefined

  /** Opens the consumer in a scope. */
  const open = Effect.fnUntraced(function* (scope: Scope.Scope) {
    const wrong = unsupported(input)
    if (wrong !== undefined) return yield* new UsageError(wrong)
    const print = yield* printing
    const handle = yield* Scope.provide(commandOf(input), scope)
    const { drain: drainHandlers, handler } = makeHandler({ input, stats, now, handle, print, ended })
    drain = drainHandlers
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
    yield* Effect.forkScoped(tellProblems(consumer, input), { startImmediately: true })
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
      const exit: Exit.Exit<End, CliFailure | CommandFailed | Explained> = Exit.isFailure(opened)
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
      if (failure !== undefined && "_tag" in failure && failure._tag === "CommandFailed") {
        yield* failure
      } else if (failure !== undefined) {
        const explained = "_tag" in failure ? explain(failure, input) : failure
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
