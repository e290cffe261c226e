import { Clock, Effect, Exit, Fiber, Random } from "effect"
import type { IllegalServiceState } from "../../client/ClientError.ts"
import * as Drain from "../../client/Drain.ts"
import { type Answer, conclude } from "../../client/MQClientApi.ts"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import type { Message } from "../../message/Message.ts"
import type { UniqueIds } from "../../message/MessageId.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import type { SendResult } from "../../message/SendResult.ts"
import { monotonicMillis } from "../../transport/Deadline.ts"
import { makeInFlightLimit } from "../../transport/InFlightLimit.ts"
import type { ProducerConfig } from "../ProducerConfig.ts"
import * as FaultStrategies from "../queue/FaultStrategy.ts"
import type { TopicPublishInfoTable } from "../queue/TopicPublishInfo.ts"
import * as PreparedMessages from "./PreparedMessage.ts"
import { isInvalid, type PreparedMessage, wantsCompression } from "./PreparedMessage.ts"
import * as SendAttempts from "./SendAttempts.ts"
import * as SendCounters from "./SendCounters.ts"
import { type InvalidMessage, notSent, type SendError } from "./SendError.ts"
import type { SendObserver } from "./SendObserver.ts"
import * as SendOneway from "./SendOneway.ts"
import type { SendOptions } from "./SendOptions.ts"
import { type StartSend, startEffect } from "./StartSend.ts"
import * as SendStates from "./SendState.ts"
import { type AwaitedSend, type DispatchOptions, type SendState, timeout } from "./SendState.ts"
import * as SendTargets from "./SendTarget.ts"

/** The sends of one running producer. */
export interface SendEngine {
  readonly send: (message: Message, options?: SendOptions) => Effect.Effect<SendResult, SendError>
  /** {@link send} for a caller that is told of the end by a callback, and ends it early by what this gives. */
  readonly start: StartSend
  readonly sendOneway: (message: Message, options?: SendOptions) => Effect.Effect<void, SendError>
  /** {@link send} of something that was made ready already, or was refused. */
  readonly dispatch: (
    prepared: PreparedMessage | InvalidMessage,
    options?: DispatchOptions
  ) => Effect.Effect<SendResult, SendError>
  /** Checks a message and makes it ready for {@link dispatch}. */
  readonly prepare: (message: Message, options?: SendOptions) => PreparedMessage | InvalidMessage
  /** Takes on something to dispatch later, which a shutdown waits for; gives the refusal when no send may begin. */
  readonly accept: () => IllegalServiceState | undefined
  /** What was accepted has ended. */
  readonly settle: () => void
  /** {@link send} of a message that is changed after it was made ready: further properties and flags, another form. */
  readonly sendAs: (
    message: Message,
    change: (prepared: PreparedMessage) => PreparedMessage | InvalidMessage,
    options?: SendOptions
  ) => Effect.Effect<SendResult, SendError>
  /** The queues of a topic that can be written, looked up when they are not known yet. */
  readonly fetchPublishMessageQueues: (topic: string) => Effect.Effect<ReadonlyArray<MessageQueue>, SendError>
  readonly counters: Readonly<SendCounters.SendCounters>
  readonly inFlight: () => number
  /** What is held against brokers; empty unless `sendLatencyEnable` is set. */
  readonly faults: () => ReadonlyArray<FaultStrategies.FaultState>
  /** No send begins from now on; ends when those under way have ended, or after `timeoutMillis`. Gives how many are left. */
  readonly drain: (timeoutMillis: number, refusal: () => IllegalServiceState) => Effect.Effect<number>
}

/**
 * Makes the sends of a producer that has its instance.
 *
 * The path of a message whose topic is known is one `Effect.callback`: it checks the message, chooses the queue, encodes
 * the frame and waits; the answer is made into the result before the caller's fiber runs on. Everything else (a route to
 * look up, a place to wait for, a body to compress, a watcher, a further attempt) is an effect that follows.
 */
export const make = Effect.fnUntraced(function* (
  config: ProducerConfig,
  instance: MQClientInstanceShape,
  table: TopicPublishInfoTable,
  uniqueIds: UniqueIds,
  observer?: SendObserver
) {
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const now = monotonicMillis(clock)
  // A whole number, as the header needs it, whatever the clock of the program counts in.
  const wallMillis = () => Math.floor(clock.currentTimeMillisUnsafe())
  const chance = () => random.nextDoubleUnsafe()
  const faults = yield* FaultStrategies.make(config, instance, now, table.topics)
  const counters = SendCounters.make()
  const places = makeInFlightLimit<SendState>({
    maxRequests: config.backPressureForAsyncSendNum,
    maxBytes: config.backPressureForAsyncSendSize,
    unwritten: () => 0,
    admit: (send) => {
      send.admitted = true
      send.onAdmitted?.()
    }
  })
  const prepareMessage = PreparedMessages.make(config, uniqueIds)
  const recorder = observer?.recorder
  /** Sends begun or accepted, and not ended. */
  let inFlight = 0
  /** Waits for them, once a shutdown has begun. */
  let draining: Drain.Drain | undefined
  let refusal: (() => IllegalServiceState) | undefined
  let drained = false

  const targets = SendTargets.make(config, instance, table, faults, now, chance)
  const context: SendAttempts.AttemptContext = {
    config,
    sender: instance.api.messageSender({
      producerGroup: config.producerGroup,
      defaultTopic: config.createTopicKey,
      defaultTopicQueueNums: config.defaultTopicQueueNums,
      unitMode: config.unitMode
    }),
    heartbeat: instance.heartbeat,
    targets,
    faults,
    counters,
    now,
    wallMillis,
    chance,
    isDrained: () => drained
  }
  const acknowledged = SendAttempts.make(context)
  const oneway = SendOneway.make(context)

  /** Compresses a large body, once for all attempts, and goes on. */
  const compressed = <A>(send: SendState, attempt: SendAttempts.Attempt<A>): Effect.Effect<A, SendError> =>
    wantsCompression(config, send.prepared)
      ? Effect.matchEffect(PreparedMessages.compress(config, send.prepared), {
          onSuccess: (prepared) => {
            send.prepared = prepared
            return SendAttempts.attempted(attempt, send, now)
          },
          onFailure: (reason) => SendCounters.fail(counters, send, reason)
        })
      : SendAttempts.attempted(attempt, send, now)

  const observed = <A extends SendResult | void>(
    send: SendState,
    attempt: SendAttempts.Attempt<A>,
    { around }: SendObserver,
    fiber: Fiber.Fiber<unknown, unknown>
  ): Effect.Effect<A, SendError> =>
    around(
      {
        fiber,
        prepared: send.prepared,
        oneway: attempt === oneway,
        queue: send.fixedQueue,
        timeoutMillis: send.timeoutMillis,
        refuse: (reason) => SendCounters.fail(counters, send, reason)
      },
      (prepared) => {
        send.prepared = prepared
        return compressed(send, attempt)
      }
    )

  /** A send that has to wait for a place in flight, within its deadline. */
  const whenAdmitted = <A>(send: SendState, sending: Effect.Effect<A, SendError>): Effect.Effect<A, SendError> => {
    const place = Effect.callback<void>((resume) => {
      if (send.admitted) return resume(Effect.void)
      send.onAdmitted = () => resume(Effect.void)
      return Effect.sync(() => {
        send.onAdmitted = undefined
      })
    })
    return Effect.flatMap(Effect.timeoutOption(place, Math.max(1, send.deadline - now())), (waited) =>
      waited._tag === "Some"
        ? sending
        : SendCounters.fail(counters, send, timeout(send, "waiting for a place in flight"))
    )
  }

  /** Begins a send, unless the producer or the message does not allow it, and counts it until it has ended. */
  const begin = <A extends SendResult | void>(
    prepared: PreparedMessage | InvalidMessage,
    topic: string,
    options: DispatchOptions | undefined,
    attempt: SendAttempts.Attempt<A>,
    resume: AwaitedSend<A>["resume"],
    caller: Fiber.Fiber<unknown, unknown> | undefined = observer === undefined ? undefined : Fiber.getCurrent()
  ): Effect.Effect<void> | undefined => {
    counters.sends++
    if (refusal !== undefined && (options?.accepted !== true || drained)) {
      resume(SendCounters.refuse(counters, topic, refusal()))
      return undefined
    }
    const send = isInvalid(prepared) ? prepared : SendStates.begin(config, prepared, options, now(), resume)
    if (isInvalid(send)) {
      resume(SendCounters.refuse(counters, topic, send))
      return undefined
    }
    if (!send.accepted) inFlight++
    send.admitted = places.enter(send)
    const watcher = caller !== undefined && observer?.active(caller) === true ? observer : undefined
    if (send.admitted && watcher === undefined && !wantsCompression(config, send.prepared)) {
      const handle = attempt(send, send.startedAt, end)
      return handle === undefined
        ? undefined
        : Effect.sync(() => {
            // An interruption of what followed comes by here as well, and has ended the send there.
            if (send.resumed) return
            handle.cancel()
            ended(Exit.interrupt(), send)
          })
    }
    // What waits first begins when it has waited: its attempt then has the time that is left.
    const sending = Effect.suspend(() =>
      watcher === undefined || caller === undefined
        ? compressed(send, attempt)
        : observed(send, attempt, watcher, caller)
    )
    end(send, send.admitted ? sending : whenAdmitted(send, sending))
    return undefined
  }

  const end = <A>(send: AwaitedSend<A>, result: Answer<A, SendError>): void => {
    send.resumed = true
    send.resume(conclude(result, ended<A>, send, undefined))
  }

  const ended = <A>(exit: Exit.Exit<A, SendError>, send: SendState): Exit.Exit<A, SendError> => {
    if (send.admitted) places.leave(send)
    else {
      places.forget(send)
      // The next in line may fit where this one did not.
      places.admitWaiting()
    }
    if (recorder !== undefined) {
      const { count, topic } = send.prepared
      const millis = now() - send.startedAt
      if (Exit.isSuccess(exit)) recorder.succeeded(topic, millis, count)
      else recorder.failed(topic, exit.cause, millis, count)
    }
    if (!send.accepted) settle()
    return exit
  }

  const settle = () => {
    inFlight--
    draining?.leave()
  }

  const prepare: SendEngine["prepare"] = (message, options) =>
    prepareMessage(message, wallMillis(), options?.orderingKey)

  const drain: SendEngine["drain"] = (timeoutMillis, refuseWith) =>
    Effect.suspend(() => {
      refusal = refuseWith
      if (inFlight === 0) return Effect.succeed(0)
      draining ??= Drain.make(inFlight)
      return Effect.map(draining.drain(timeoutMillis), (left) => {
        drained = true
        return left
      })
    })

  const self: SendEngine = {
    send: (message, options) =>
      Effect.callback((resume) => begin(prepare(message, options), message.topic, options, acknowledged, resume)),
    start: (caller, message, options, done) => {
      let left: (() => Effect.Effect<unknown>) | undefined
      const resume = (result: Effect.Effect<SendResult, SendError>) => {
        left = startEffect(caller, result, done)
      }
      const cancel = begin(prepare(message, options), message.topic, options, acknowledged, resume, caller)
      return () => left?.() ?? cancel ?? Effect.void
    },
    sendOneway: (message, options) =>
      Effect.callback((resume) => begin(prepare(message, options), message.topic, options, oneway, resume)),
    dispatch: (prepared, options) =>
      Effect.callback((resume) => begin(prepared, prepared.topic, options, acknowledged, resume)),
    sendAs: (message, change, options) =>
      Effect.callback((resume) => {
        const prepared = prepare(message, options)
        const changed = isInvalid(prepared) ? prepared : change(prepared)
        return begin(changed, message.topic, options, acknowledged, resume)
      }),
    prepare,
    accept: () => {
      if (refusal !== undefined) return refusal()
      inFlight++
      return undefined
    },
    settle,
    fetchPublishMessageQueues: (topic) =>
      Effect.suspend(() => (refusal === undefined ? targets.lookup(topic) : Effect.fail(refusal()))).pipe(
        Effect.map((info) => info.queues),
        Effect.mapError((reason) => notSent(topic, reason))
      ),
    counters,
    inFlight: () => inFlight,
    faults: faults?.state ?? (() => []),
    drain
  }
  return self
})
