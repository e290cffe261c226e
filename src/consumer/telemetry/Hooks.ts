import { type Cause, Context, Effect } from "effect"
import * as HookRunner from "../../client/telemetry/HookRunner.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import { DLQ_GROUP_TOPIC_PREFIX } from "../../message/MixAll.ts"
import type { ConsumeResult } from "../ConsumeResult.ts"
import type { ReceivedMessage } from "../ReceivedMessage.ts"

/** What a hook gets to see of messages that are handed to a handler. Nothing of it may be changed. */
export interface ConsumeMessageContext {
  /** The group, without the namespace. */
  readonly consumerGroup: string
  /** The queue that they were read from. */
  readonly queue: MessageQueue
  /** The messages, at least one; several for a handler of batches. */
  readonly messages: readonly [ReceivedMessage, ...ReadonlyArray<ReceivedMessage>]
}

/**
 * How a handler ended, in Java's words:
 * - `SUCCESS`: it said that all messages are consumed
 * - `FAILED`: it said that some are not
 * - `EXCEPTION`: it failed, died or was interrupted
 * - `TIME_OUT`: it took longer than `consumeTimeout`
 *
 * Source: RocketMQ `ConsumeReturnType`.
 */
export type ConsumeStatus = "SUCCESS" | "TIME_OUT" | "EXCEPTION" | "FAILED"

/** What became of messages. */
export interface ConsumeMessageOutcome {
  /** How the handler ended. */
  readonly status: ConsumeStatus
  /** Whether all messages are consumed. */
  readonly success: boolean
  /** What became of each message, in their order; empty when nobody will know, because the queue was given up. */
  readonly results: ReadonlyArray<ConsumeResult>
  /** With what the handler failed; undefined when it did not. */
  readonly cause: Cause.Cause<unknown> | undefined
  /** Milliseconds that it took. */
  readonly millis: number
}

/**
 * Is called before and after each call of a handler; of a `MessageStream`, when a message is handed out and when it is
 * settled. A hook that fails, dies, or takes longer than a second is logged once and counted, and changes nothing.
 *
 * Source: RocketMQ `ConsumeMessageHook`.
 */
export interface ConsumeMessageHook {
  /** The name by which its failures are logged and counted. */
  readonly hookName: string
  /** Run before the handler, which begins when it has ended. */
  readonly before?: (context: ConsumeMessageContext) => Effect.Effect<void, unknown>
  /** Run when the handler has ended, whichever way. */
  readonly after?: (context: ConsumeMessageContext, outcome: ConsumeMessageOutcome) => Effect.Effect<void, unknown>
}

/** What a hook gets to see of the answer to a pull, after the filter of the subscription. */
export interface FilterMessageContext {
  /** The group, without the namespace. */
  readonly consumerGroup: string
  /** The queue that was pulled. */
  readonly queue: MessageQueue
  /** The messages; the body of one that was sent compressed is still packed (`SysFlag.COMPRESSED`). */
  readonly messages: ReadonlyArray<ReceivedMessage>
}

/**
 * Chooses which messages of an answer are handed to handlers; the others count as finished. A hook that fails, dies, or
 * takes longer than a second lets all pass; it is logged once and counted.
 *
 * Source: RocketMQ `FilterMessageHook`.
 */
export interface FilterMessageHook {
  /** The name by which its failures are logged and counted. */
  readonly hookName: string
  /** Gives those of the messages that pass. What is not of the context counts for nothing. */
  readonly filterMessage: (context: FilterMessageContext) => Effect.Effect<ReadonlyArray<ReceivedMessage>, unknown>
}

/** A message that has gone to the group's dead letters. */
export interface DeadLetterContext {
  /** The group, without the namespace. */
  readonly consumerGroup: string
  /** The message, as its handler got it. */
  readonly message: ReceivedMessage
  /** The topic in which it lies now. */
  readonly deadLetterTopic: string
  /** Whether the handler or the `reconsumePolicy` asked for that, or the redeliveries were used up. */
  readonly because: "asked" | "max-reconsume-times"
  /** What `ConsumeResult.deadLetter` was given; undefined when that was nothing. */
  readonly reason: string | undefined
}

/**
 * Is called when a broker has acknowledged what made a message a dead letter: that this consumer asked for it, or gave the
 * message back for the last time. A client knows no more than the rule by which brokers do that: not whether the copy is
 * there, and nothing of what other members of the group give up. A broker of 4.x that could take only a copy of the
 * message gives it up one time earlier; no hook is called for that one. A hook that fails, dies, or takes longer than a
 * second is logged once and counted.
 */
export interface DeadLetterHook {
  /** The name by which its failures are logged and counted. */
  readonly hookName: string
  /** Run for each message. */
  readonly deadLettered: (context: DeadLetterContext) => Effect.Effect<void, unknown>
}

/** The hooks of the consumers that are started with it, in the order in which they run; none by default. */
export const ConsumeMessageHooks: Context.Reference<ReadonlyArray<ConsumeMessageHook>> = Context.Reference(
  "effect-rocketmq/consumer/ConsumeMessageHooks",
  { defaultValue: (): ReadonlyArray<ConsumeMessageHook> => [] }
)

/** The filters of the consumers that are started with it: each gets what the one before it let pass; none by default. */
export const FilterMessageHooks: Context.Reference<ReadonlyArray<FilterMessageHook>> = Context.Reference(
  "effect-rocketmq/consumer/FilterMessageHooks",
  { defaultValue: (): ReadonlyArray<FilterMessageHook> => [] }
)

/** What is told of the dead letters of the consumers that are started with it; none by default. */
export const DeadLetterHooks: Context.Reference<ReadonlyArray<DeadLetterHook>> = Context.Reference(
  "effect-rocketmq/consumer/DeadLetterHooks",
  { defaultValue: (): ReadonlyArray<DeadLetterHook> => [] }
)

/** Milliseconds that one run of a hook may take. */
export const HOOK_LIMIT_MILLIS = 1_000

/** What became of the hooks' runs, for the observable state. */
export interface ConsumeHookCounters {
  /** Runs that failed, died, or were given up. */
  failures: number
}

/** The hooks of a consumer; what there is none of is undefined, so that nothing is spent on it. */
export interface ConsumeHooks {
  readonly counters: Readonly<ConsumeHookCounters>
  readonly before: ((context: ConsumeMessageContext) => Effect.Effect<void>) | undefined
  readonly after: ((context: ConsumeMessageContext, outcome: ConsumeMessageOutcome) => Effect.Effect<void>) | undefined
  /** Gives what all filters let pass. */
  readonly filter: ((context: FilterMessageContext) => Effect.Effect<ReadonlyArray<ReceivedMessage>>) | undefined
  readonly deadLettered:
    | ((
        message: ReceivedMessage,
        because: DeadLetterContext["because"],
        reason: string | undefined
      ) => Effect.Effect<void>)
    | undefined
}

/** Takes the hooks from the context. */
export const make = Effect.fnUntraced(function* (consumerGroup: string): Effect.fn.Return<ConsumeHooks> {
  const hooks = yield* ConsumeMessageHooks
  const filters = yield* FilterMessageHooks
  const mourners = yield* DeadLetterHooks
  const counters: ConsumeHookCounters = { failures: 0 }
  const runner = HookRunner.make({
    group: consumerGroup,
    what: "messages",
    onFailure: () => {
      counters.failures++
    }
  })
  const run = (name: string, hook: () => Effect.Effect<void, unknown>) => runner.run(name, hook, HOOK_LIMIT_MILLIS)

  /** What one filter lets pass; everything when it goes wrong. */
  const pass = ({ filterMessage, hookName }: FilterMessageHook, context: FilterMessageContext) => {
    let passed = context.messages
    const look = () =>
      Effect.map(filterMessage(context), (chosen) => {
        const wanted = new Set(chosen)
        passed = context.messages.filter((message) => wanted.has(message))
      })
    return Effect.map(run(`${hookName}.filterMessage`, look), () => passed)
  }

  return {
    counters,
    before: hooks.some(({ before }) => before !== undefined)
      ? (context) =>
          Effect.forEach(
            hooks,
            ({ before, hookName }) =>
              before === undefined ? Effect.void : run(`${hookName}.before`, () => before(context)),
            { discard: true }
          )
      : undefined,
    after: hooks.some(({ after }) => after !== undefined)
      ? (context, outcome) =>
          Effect.forEach(
            hooks,
            ({ after, hookName }) =>
              after === undefined ? Effect.void : run(`${hookName}.after`, () => after(context, outcome)),
            { discard: true }
          )
      : undefined,
    filter:
      filters.length === 0
        ? undefined
        : (context) =>
            Effect.reduce(
              filters,
              () => context.messages,
              (messages, filter) =>
                messages.length === 0 ? Effect.succeed(messages) : pass(filter, { ...context, messages })
            ),
    deadLettered:
      mourners.length === 0
        ? undefined
        : (message, because, reason) => {
            const deadLetterTopic = DLQ_GROUP_TOPIC_PREFIX + consumerGroup
            const context = { consumerGroup, message, deadLetterTopic, because, reason }
            return Effect.forEach(
              mourners,
              ({ deadLettered, hookName }) => run(`${hookName}.deadLettered`, () => deadLettered(context)),
              { discard: true }
            )
          }
  }
})
