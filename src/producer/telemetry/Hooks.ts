import { Clock, Context, Effect, Exit } from "effect"
import { monotonicMillis } from "../../transport/Deadline.ts"
import * as HookRunner from "../../client/telemetry/HookRunner.ts"
import type { MessageType } from "../../client/telemetry/MessageType.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import type { SendResult } from "../../message/SendResult.ts"
import type { PreparedMessage } from "../send/PreparedMessage.ts"
import type { SendError, SendForbidden } from "../send/SendError.ts"
import type { ObservedSend } from "../send/SendObserver.ts"
import type { MessageFacts } from "./TelemetryFacts.ts"

/** What a hook gets to see of a send. Nothing of it may be changed. */
export interface SendMessageContext {
  /** The group, as the options name it. */
  readonly producerGroup: string
  /** The topic, without namespace. */
  readonly topic: string
  /** The unique id; those of the parts, joined by commas, for a batch. */
  readonly msgId: string
  /** What kind of message it is. */
  readonly messageType: MessageType
  /** The tag; undefined when it has none. */
  readonly tags: string | undefined
  /** The business keys; empty when it has none. */
  readonly keys: ReadonlyArray<string>
  /** All properties as they leave, those of RocketMQ included. */
  readonly properties: Readonly<Record<string, string>>
  /** The body as it leaves: compressed, or the encoded parts of a batch. */
  readonly body: Uint8Array
  /** Whether nobody waits for an acknowledgement. */
  readonly oneway: boolean
  /** The queue that was asked for, if one was. */
  readonly queue: MessageQueue | undefined
}

/** How a send ended: its result (none for a one-way send), its error, or that it was interrupted. */
export type SendMessageOutcome = Exit.Exit<SendResult | undefined, SendError>

/**
 * Is called before and after each send, all its attempts together (Java calls it for each attempt). A hook that fails,
 * dies, or takes longer than the send may is logged once and counted, and changes nothing for the send.
 *
 * Source: RocketMQ `SendMessageHook`.
 */
export interface SendMessageHook {
  /** The name by which its failures are logged and counted. */
  readonly hookName: string
  /** Run before the first attempt. */
  readonly before?: (context: SendMessageContext) => Effect.Effect<void, unknown>
  /** Run when the send has ended, whichever way. */
  readonly after?: (context: SendMessageContext, outcome: SendMessageOutcome) => Effect.Effect<void, unknown>
}

/**
 * May refuse a send before its first attempt: its `SendForbidden` becomes the reason of the `SendError`. A hook that dies
 * or takes longer than the send may refuses nothing; it is logged once and counted.
 *
 * Source: RocketMQ `CheckForbiddenHook`.
 */
export interface CheckForbiddenHook {
  /** The name by which its failures are logged and counted. */
  readonly hookName: string
  /** Fails when the message must not be sent. */
  readonly checkForbidden: (context: SendMessageContext) => Effect.Effect<void, SendForbidden>
}

/** The hooks of the producers that are started with it, in the order in which they run; none by default. */
export const SendMessageHooks: Context.Reference<ReadonlyArray<SendMessageHook>> = Context.Reference(
  "effect-rocketmq/producer/SendMessageHooks",
  { defaultValue: (): ReadonlyArray<SendMessageHook> => [] }
)

/** The checks of the producers that are started with it, in the order in which they run; none by default. */
export const CheckForbiddenHooks: Context.Reference<ReadonlyArray<CheckForbiddenHook>> = Context.Reference(
  "effect-rocketmq/producer/CheckForbiddenHooks",
  { defaultValue: (): ReadonlyArray<CheckForbiddenHook> => [] }
)

/** What became of the hooks' runs, for the observable state. */
export interface HookCounters {
  /** Runs that failed, died, or were given up. */
  failures: number
  /** Sends that a check refused. */
  refused: number
}

/** Runs the hooks of a producer around its sends. */
export interface SendHooks {
  readonly counters: Readonly<HookCounters>
  readonly around: <A extends SendResult | void>(
    send: ObservedSend,
    facts: MessageFacts,
    run: (prepared: PreparedMessage) => Effect.Effect<A, SendError>
  ) => Effect.Effect<A, SendError>
}

/** What a hook may take after a send whose time is up, in milliseconds. */
export const HOOK_GRACE_MILLIS = 100

const outcomeOf = (exit: Exit.Exit<SendResult | void, SendError>): SendMessageOutcome =>
  Exit.map(exit, (value) => (typeof value === "object" ? value : undefined))

/** Takes the hooks from the context; undefined when there are none, so that sends go by without a look. */
export const make = Effect.fnUntraced(function* (producerGroup: string): Effect.fn.Return<SendHooks | undefined> {
  const hooks = yield* SendMessageHooks
  const checks = yield* CheckForbiddenHooks
  if (hooks.length === 0 && checks.length === 0) return undefined
  const clock = yield* Clock.Clock
  const now = monotonicMillis(clock)
  const counters: HookCounters = { failures: 0, refused: 0 }
  const runner = HookRunner.make({
    group: producerGroup,
    what: "sends",
    onFailure: () => {
      counters.failures++
    }
  })

  /** The refusal of a check, if it refuses. */
  const refusal = (
    check: CheckForbiddenHook,
    context: SendMessageContext,
    limitMillis: number
  ): Effect.Effect<SendForbidden | undefined> => {
    let found: SendForbidden | undefined
    const run = () =>
      Effect.catchTag(check.checkForbidden(context), "SendForbidden", (forbidden) =>
        Effect.sync(() => {
          found = forbidden
        })
      )
    return Effect.map(runner.run(`${check.hookName}.checkForbidden`, run, limitMillis), () => found)
  }

  const around: SendHooks["around"] = (send, facts, run) => {
    const deadline = now() + send.timeoutMillis
    const context: SendMessageContext = {
      producerGroup,
      topic: send.prepared.topic,
      msgId: send.prepared.msgId,
      messageType: facts.type,
      tags: facts.tags,
      keys: facts.keys,
      properties: facts.properties,
      body: send.prepared.body,
      oneway: send.oneway,
      queue: send.queue
    }
    const before = Effect.gen(function* () {
      for (const check of checks) {
        const forbidden = yield* refusal(check, context, deadline - now())
        if (forbidden !== undefined) return forbidden
      }
      for (const hook of hooks) {
        const { before: begin } = hook
        if (begin !== undefined) yield* runner.run(`${hook.hookName}.before`, () => begin(context), deadline - now())
      }
      return undefined
    })
    const after = (outcome: SendMessageOutcome) =>
      Effect.forEach(
        hooks,
        ({ after: end, hookName }) =>
          end === undefined
            ? Effect.void
            : runner.run(
                `${hookName}.after`,
                () => end(context, outcome),
                Math.max(HOOK_GRACE_MILLIS, deadline - now())
              ),
        { discard: true }
      )
    return Effect.flatMap(before, (forbidden) => {
      if (forbidden !== undefined) {
        counters.refused++
        return send.refuse(forbidden)
      }
      return Effect.onExit(run(send.prepared), (exit) => after(outcomeOf(exit)))
    })
  }
  return { counters, around }
})
