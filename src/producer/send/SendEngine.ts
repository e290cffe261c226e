import { Clock, Effect, Exit, Fiber, Random } from "effect"
import type { IllegalServiceState } from "../../client/ClientError.ts"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import type { UniqueIds } from "../../message/MessageId.ts"
import type { SendResult } from "../../message/SendResult.ts"
import * as FaultStrategies from "../queue/FaultStrategy.ts"
import { type Outgoing, pack, prepare, wantsPacking } from "./Outgoing.ts"
import type { ProducerConfig } from "../ProducerConfig.ts"
import * as SendAttempts from "./SendAttempts.ts"
import { type Call, callOf, isEnded, isInvalid, timeout } from "./SendState.ts"
import { type InvalidMessage, notSent, type SendError } from "./SendError.ts"
import * as SendLimits from "./SendLimit.ts"
import type { SendObserver } from "./SendObserver.ts"
import * as SendOneway from "./SendOneway.ts"
import * as SendRequest from "./SendRequest.ts"
import type { DispatchOptions, Sends } from "./Sends.ts"
import * as SendTally from "./SendTally.ts"
import * as SendTargets from "./SendTarget.ts"
import type { TopicPublishInfoTable } from "../queue/TopicPublishInfoTable.ts"
import * as Drain from "../../client/Drain.ts"

export type { DispatchOptions, SendCounters, Sends } from "./Sends.ts"
export type { SendOptions } from "./SendOptions.ts"

const interrupted = Exit.interrupt()

/**
 * Makes the sends of a producer that has its instance.
 *
 * The path of a message whose topic is known is one `Effect.callback`: it checks the message, chooses the queue, encodes
 * the frame and waits; the answer is made into the result before the caller's fiber runs on. Everything else (a route to
 * look up, a place to wait for, a body to pack, a watcher, a further attempt) is an effect that follows.
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
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  // A whole number, as the header needs it, whatever the clock of the program counts in.
  const wallMillis = () => Math.floor(clock.currentTimeMillisUnsafe())
  const chance = () => random.nextDoubleUnsafe()
  const faults = yield* FaultStrategies.make(config, instance, now, table.topics)
  const tally = SendTally.make()
  const { counters, fail, refuse } = tally
  const pending = Drain.make()
  const places = SendLimits.make({
    maxSends: config.backPressureForAsyncSendNum,
    maxBytes: config.backPressureForAsyncSendSize
  })
  let refusal: (() => IllegalServiceState) | undefined
  let drained = false

  const targets = SendTargets.make(config, instance, table, faults, now, chance)
  const context: SendAttempts.AttemptContext = {
    config,
    api: instance.api,
    heartbeat: instance.heartbeat,
    targets,
    faults,
    tally,
    requestOf: SendRequest.make(config),
    now,
    wallMillis,
    chance,
    isDrained: () => drained
  }
  const acknowledged = SendAttempts.make(context)
  const oneway = SendOneway.make(context)

  /** Packs a large body, once for all attempts, and goes on. */
  const packed = <A>(call: Call, { run }: SendAttempts.Attempts<A>): Effect.Effect<A, SendError> =>
    wantsPacking(config, call.outgoing)
      ? Effect.matchEffect(pack(config, call.outgoing), {
          onSuccess: (outgoing) => {
            call.outgoing = outgoing
            return run(call)
          },
          onFailure: (reason) => fail(call, reason)
        })
      : run(call)

  const observed = <A extends SendResult | void>(
    call: Call,
    attempts: SendAttempts.Attempts<A>,
    { around }: SendObserver,
    fiber: Fiber.Fiber<unknown, unknown>
  ): Effect.Effect<A, SendError> =>
    around(
      {
        fiber,
        outgoing: call.outgoing,
        oneway: attempts === oneway,
        queue: call.fixedQueue,
        timeoutMillis: call.timeoutMillis,
        refuse: (reason) => fail(call, reason)
      },
      (outgoing) => {
        call.outgoing = outgoing
        return packed(call, attempts)
      }
    )

  /** A send that has to wait for a place in flight, within its deadline. */
  const admitted = <A>(call: Call, sending: Effect.Effect<A, SendError>): Effect.Effect<A, SendError> =>
    Effect.flatMap(Effect.timeoutOption(places.wait(call), Math.max(1, call.deadline - now())), (waited) =>
      waited._tag === "Some" ? sending : fail(call, timeout(call, "waiting for a place in flight"))
    )

  /** Begins a send, unless the producer or the message does not allow it, and counts it until it has ended. */
  const begin = <A extends SendResult | void>(
    outgoing: Outgoing | InvalidMessage,
    topic: string,
    options: DispatchOptions | undefined,
    attempts: SendAttempts.Attempts<A>,
    resume: (result: Effect.Effect<A, SendError>) => void
  ): Effect.Effect<void> | undefined => {
    counters.sends++
    if (refusal !== undefined && (options?.accepted !== true || drained)) {
      resume(refuse(topic, refusal()))
      return undefined
    }
    const call = isInvalid(outgoing) ? outgoing : callOf(config, outgoing, options, now())
    if (isInvalid(call)) {
      resume(refuse(topic, call))
      return undefined
    }
    if (!call.accepted) pending.enter()
    places.take(call)
    let handedOn = false
    const end = (result: Effect.Effect<A, SendError>) => {
      handedOn = true
      if (isEnded(result)) {
        ended(call, result)
        resume(result)
      } else {
        resume(
          Effect.onExitPrimitive(result, (exit) => {
            ended(call, exit)
            return undefined
          })
        )
      }
    }
    const fiber = observer === undefined ? undefined : Fiber.getCurrent()
    const watcher = fiber !== undefined && observer?.active(fiber) === true ? observer : undefined
    if (call.admitted && watcher === undefined && !wantsPacking(config, call.outgoing)) {
      const started = attempts.start(call, end)
      return started === undefined
        ? undefined
        : Effect.sync(() => {
            // An interruption of what followed comes by here as well, and has been counted there.
            if (handedOn) return
            started.cancel()
            ended(call, interrupted)
          })
    }
    // What waits first begins when it has waited: its attempt then has the time that is left.
    const sending = Effect.suspend(() =>
      watcher === undefined || fiber === undefined ? packed(call, attempts) : observed(call, attempts, watcher, fiber)
    )
    end(call.admitted ? sending : admitted(call, sending))
    return undefined
  }

  const ended = (call: Call, exit: Exit.Exit<unknown, SendError>) => {
    places.release(call)
    observer?.ended?.(call.outgoing, exit, now() - call.startedAt)
    if (!call.accepted) pending.leave()
  }

  const prepared: Sends["prepare"] = (message, options) =>
    prepare(config, message, uniqueIds, wallMillis(), options?.orderingKey)

  const drain: Sends["drain"] = (timeoutMillis, refuseWith) =>
    Effect.suspend(() => {
      refusal = refuseWith
      if (pending.count() === 0) return Effect.succeed(0)
      return Effect.map(pending.drain(timeoutMillis), (left) => {
        drained = true
        return left
      })
    })

  const self: Sends = {
    send: (message, options) =>
      Effect.callback((resume) => begin(prepared(message, options), message.topic, options, acknowledged, resume)),
    sendOneway: (message, options) =>
      Effect.callback((resume) => begin(prepared(message, options), message.topic, options, oneway, resume)),
    dispatch: (outgoing, options) =>
      Effect.callback((resume) => begin(outgoing, outgoing.topic, options, acknowledged, resume)),
    sendAs: (message, change, options) =>
      Effect.callback((resume) => {
        const outgoing = prepared(message, options)
        const changed = isInvalid(outgoing) ? outgoing : change(outgoing)
        return begin(changed, message.topic, options, acknowledged, resume)
      }),
    prepare: prepared,
    accept: () => {
      if (refusal !== undefined) return refusal()
      pending.enter()
      return undefined
    },
    settle: pending.leave,
    fetchPublishMessageQueues: (topic) =>
      Effect.suspend(() => (refusal === undefined ? targets.lookup(topic) : Effect.fail(refusal()))).pipe(
        Effect.map((info) => info.queues),
        Effect.mapError((reason) => notSent(topic, reason))
      ),
    counters,
    inFlight: pending.count,
    faults: faults.state,
    drain
  }
  return self
})
