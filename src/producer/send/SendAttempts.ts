import { Cause, Effect, Exit } from "effect"
import type { ApiError } from "../../client/ClientError.ts"
import type { Heartbeat } from "../../client/Heartbeat.ts"
import { type Answer, awaited, type CancelHandle, conclude, type MessageSender } from "../../client/MQClientApi.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import type { SendResult } from "../../message/SendResult.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import type { StoredAnswer } from "../../protocol/request/SendMessage.ts"
import type { ProducerConfig, RetryDecision } from "../ProducerConfig.ts"
import type { FaultStrategy } from "../queue/FaultStrategy.ts"
import type { PreparedMessage } from "./PreparedMessage.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import * as SendCounters from "./SendCounters.ts"
import type { SendError, SendReason } from "./SendError.ts"
import { noteFailure, resultOf, type SendState, timeout } from "./SendState.ts"
import { refreshLimit, type SendTargets, type Target } from "./SendTarget.ts"
import { withCallersTime } from "../../transport/RemotingError.ts"

/** What the attempts of a producer's sends are made with. */
export interface AttemptContext {
  readonly config: ProducerConfig
  readonly sender: MessageSender
  readonly heartbeat: Heartbeat
  readonly targets: SendTargets
  readonly faults: FaultStrategy | undefined
  readonly counters: SendCounters.SendCounters
  /** The monotonic clock, in milliseconds. */
  readonly now: () => number
  /** Milliseconds since the epoch, a whole number. */
  readonly wallMillis: () => number
  readonly chance: () => number
  /** Whether the time for sends under way is over: no attempt follows one that fails. */
  readonly isDrained: () => boolean
}

/**
 * An attempt of a send that begins at a time (on the monotonic clock, in milliseconds), and those that may follow it.
 * `done` gets the result, or what there is still to do for it; undefined means that it got it already.
 */
export type Attempt<A> = <S extends SendState>(
  send: S,
  begin: number,
  done: (send: S, result: Answer<A, SendError>) => void
) => CancelHandle | undefined

/** An attempt as an effect, for a send that had to wait for something before. */
export const attempted = <A>(attempt: Attempt<A>, send: SendState, now: () => number): Effect.Effect<A, SendError> =>
  awaited((resume) => attempt(send, now(), (_, result) => resume(result)))

/**
 * Makes the attempts of sends that are acknowledged.
 *
 * Source: RocketMQ `DefaultMQProducerImpl.sendDefaultImpl`, `sendKernelImpl`.
 */
export const make = (context: AttemptContext): Attempt<SendResult> => {
  const { chance, config, counters, faults, heartbeat, isDrained, now, sender, targets, wallMillis } = context
  const retryDecision = RetryPolicy.decider(config.retryPolicy)

  const fail = (send: SendState, reason: SendReason) => SendCounters.fail(counters, send, reason)

  const mayRetry = (send: SendState) => send.counted <= config.retryTimesWhenSendFailed && !isDrained()

  /** The time that an attempt may take, which is counted already. */
  const budgetOf = (send: SendState, { begin, info }: Target): number => {
    const remaining = send.deadline - begin
    // This one and those that may follow it.
    const attemptsLeft = config.retryTimesWhenSendFailed + 2 - send.counted
    if (config.sendMsgMaxTimeoutPerRequest !== undefined && attemptsLeft > 1) {
      return Math.min(remaining, config.sendMsgMaxTimeoutPerRequest)
    }
    return info.brokerCount > 1 && attemptsLeft > 1 ? Math.ceil(remaining / attemptsLeft) : Math.ceil(remaining)
  }

  /** Where the attempt that begins now goes; an effect when there is something else to do. */
  const aim = (send: SendState, begin: number): Target | Effect.Effect<SendResult, SendError> => {
    const info = targets.infoOf(send)
    if (info === undefined) return cold(send)
    if (send.deadline <= begin) {
      return fail(send, send.failures.at(-1)?.cause ?? timeout(send, "waiting for an attempt"))
    }
    const target = targets.of(send, info, begin)
    if (target === undefined) return cold(send)
    if (target._tag === "QueueSelectorFailed") return fail(send, target)
    if (target._tag === "WithoutMaster") return withoutMaster(send, target.place)
    send.attempts++
    send.counted++
    if (send.attempts > 1) counters.retries++
    return target
  }

  const attempt: Attempt<SendResult> = (send, begin, done) => {
    const target = aim(send, begin)
    if (Effect.isEffect(target)) {
      done(send, target)
      return undefined
    }
    const { prepared } = send
    if (prepared.legacyProperties === undefined) return transmit(send, target, prepared, done)
    const ready = forRelease(heartbeat, prepared, target.address, refreshLimit(send, now()))
    done(
      send,
      Effect.flatMap(ready, (message) =>
        awaited((resume) => transmit(send, target, message, (_, result) => resume(result)))
      )
    )
    return undefined
  }

  const transmit = <S extends SendState>(
    send: S,
    target: Target,
    message: PreparedMessage,
    done: (send: S, result: Answer<SendResult, SendError>) => void
  ): CancelHandle | undefined =>
    sender.start(target.address, message, target.place, wallMillis(), budgetOf(send, target), (answer) =>
      done(send, conclude(answer, concluded, send, target))
    )

  const again = (send: SendState) => attempted(attempt, send, now)

  const concluded = (
    exit: Exit.Exit<StoredAnswer, ApiError>,
    send: SendState,
    target: Target
  ): Effect.Effect<SendResult, SendError> => {
    if (Exit.isSuccess(exit)) return answered(send, target, exit.value)
    const error = Cause.findError(exit.cause)
    // In the caller's fiber: what decides on retries may be the user's own.
    return error._tag === "Success"
      ? Effect.suspend(() => failed(send, target, withCallersTime(send.timeoutMillis)(error.success)))
      : Exit.failCause(error.failure)
  }

  const answered = (send: SendState, target: Target, answer: StoredAnswer): Effect.Effect<SendResult, SendError> => {
    const { begin, info, place, queue } = target
    faults?.answered(place.brokerName, begin)
    counters.acknowledged++
    const result = resultOf(send, queue, answer, info.borrowed)
    return answer.status !== "SEND_OK" && config.retryAnotherBrokerWhenNotStoreOK && mayRetry(send)
      ? orBetter(result, next(send, place.brokerName, Effect.void))
      : Exit.succeed(result)
  }

  /** The next attempt, after `pause`. */
  const next = (
    send: SendState,
    brokerName: string,
    pause: Effect.Effect<void>
  ): Effect.Effect<SendResult, SendError> => {
    send.lastBroker = brokerName
    if (!send.pinned) send.fixedQueue = undefined
    return Effect.andThen(pause, again(send))
  }

  /** A message that is stored already keeps its result when no better one comes: the error that it comes to counts for nothing. */
  const orBetter = (
    stored: SendResult,
    repeated: Effect.Effect<SendResult, SendError>
  ): Effect.Effect<SendResult, SendError> => {
    counters.acknowledged--
    return repeated.pipe(
      Effect.catch((error) => {
        counters.failed--
        if (error.outcome === "unknown") counters.unknown--
        counters.acknowledged++
        return Effect.succeed(stored)
      })
    )
  }

  const failed = (send: SendState, target: Target, error: ApiError): Effect.Effect<SendResult, SendError> => {
    noteFailure(send, target, error, now() - target.begin)
    return Effect.flatMap(retryDecision(error), (decision) => decided(send, target, error, decision))
  }

  const decided = (
    send: SendState,
    { begin, place: { brokerName } }: Target,
    error: ApiError,
    decision: RetryDecision
  ): Effect.Effect<SendResult, SendError> => {
    const remaining = send.deadline - now()
    // What is refused for its own sake says nothing of the broker.
    if (decision !== "fail") faults?.failed(brokerName, now() - begin, error._tag === "BrokerRejected")
    if (decision === "fail" || isDrained()) return fail(send, error)
    if (decision === "busy-once" && send.busy > 0) return fail(send, error)
    if (decision === "busy" || decision === "busy-once") {
      send.counted--
      const pause = Math.ceil(RetryPolicy.busyPause(++send.busy, chance()))
      return pause >= remaining ? fail(send, error) : next(send, brokerName, Effect.sleep(pause))
    }
    if (!mayRetry(send)) return fail(send, error)
    const alone = send.pinned || targets.brokerCount(send) < 2
    // With nowhere else to go, it is no use to come back before the address may be dialled again.
    const pause = error._tag === "ConnectFailed" && alone ? Math.ceil(error.retryAfterMillis) + 1 : 0
    if (pause >= remaining) return fail(send, error)
    const refreshed = decision === "refresh" ? refreshAfter(send, begin, error, alone) : Effect.void
    // Side by side: one after the other, the two could take more time than is left.
    const before =
      pause > 0 ? Effect.all([refreshed, Effect.sleep(pause)], { concurrency: 2, discard: true }) : refreshed
    return next(send, brokerName, before)
  }

  /** A broker that cannot be reached says nothing of the others: where there are others, they are tried at once. */
  const refreshAfter = (send: SendState, begin: number, error: ApiError, alone: boolean): Effect.Effect<void> =>
    error._tag === "BrokerRejected" || alone ? targets.refresh(send, begin) : targets.requestUpdate(send)

  /** A queue whose broker has no known master: the route may be old, and another broker may have one. */
  const withoutMaster = (send: SendState, { brokerName }: MessageQueue): Effect.Effect<SendResult, SendError> => {
    send.counted++
    return send.counted === 1 || mayRetry(send)
      ? next(send, brokerName, targets.refresh(send, now()))
      : fail(send, targets.notExist(send, brokerName))
  }

  /** A topic whose route is not known. */
  const cold = (send: SendState): Effect.Effect<SendResult, SendError> => {
    const remaining = send.deadline - now()
    if (remaining <= 0) return fail(send, timeout(send, "the route look-up"))
    return Effect.matchEffect(targets.lookupFor(send, remaining), {
      onSuccess: () => again(send),
      onFailure: (reason) => fail(send, reason)
    })
  }

  return attempt
}

/**
 * A message as the release of the broker at an address understands it. A broker that has not told its release yet is
 * asked by a heartbeat, for so many milliseconds at most, and taken for one of 5.x when it does not answer.
 */
const forRelease = (
  heartbeat: Heartbeat,
  prepared: PreparedMessage,
  address: string,
  limitMillis: number
): Effect.Effect<PreparedMessage> => {
  const known = () => {
    const version = heartbeat.table.get(address)?.version
    if (version === undefined) return undefined
    const { legacyProperties: properties } = prepared
    return properties === undefined || version >= MQVersion.V5_0_0 ? prepared : { ...prepared, properties }
  }
  return Effect.suspend(() => {
    const ready = known()
    if (ready !== undefined) return Effect.succeed(ready)
    const asked = Effect.ignore(Effect.timeoutOption(heartbeat.sendHeartbeat(address), limitMillis))
    return Effect.map(asked, () => known() ?? prepared)
  })
}
