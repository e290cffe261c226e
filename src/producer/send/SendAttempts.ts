import { Effect, Exit } from "effect"
import type { ApiError } from "../../client/ClientError.ts"
import type { Heartbeat } from "../../client/Heartbeat.ts"
import type { MQClientApi } from "../../client/MQClientApi.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import type { SendResult } from "../../message/SendResult.ts"
import type { RemotingCommand, Request } from "../../protocol/RemotingCommand.ts"
import type { SendMessageRequests } from "../../protocol/request/SendMessage.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import { awaited, type CancelHandle } from "../../transport/Requests.ts"
import { forBroker } from "./BrokerRelease.ts"
import type { FaultStrategy } from "../queue/FaultStrategy.ts"
import type { ProducerConfig, RetryDecision } from "../ProducerConfig.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import { type Call, isEnded, noteFailure, resultOf, timeout } from "./SendState.ts"
import type { SendError } from "./SendError.ts"
import type { SendTally } from "./SendTally.ts"
import { refreshLimit, type SendTargets, type Target } from "./SendTarget.ts"

/** What the attempts of a producer's sends are made with. */
export interface AttemptContext {
  readonly config: ProducerConfig
  readonly api: MQClientApi
  readonly heartbeat: Heartbeat
  readonly targets: SendTargets
  readonly faults: FaultStrategy
  readonly tally: SendTally
  readonly requestOf: SendMessageRequests
  /** The monotonic clock, in milliseconds. */
  readonly now: () => number
  /** Milliseconds since the epoch, a whole number. */
  readonly wallMillis: () => number
  readonly chance: () => number
  /** Whether the time for sends under way is over: no attempt follows one that fails. */
  readonly isDrained: () => boolean
}

/** How calls of one kind are made: with an answer, or one way. */
export interface Attempts<A> {
  /** All attempts of a call. */
  readonly run: (call: Call) => Effect.Effect<A, SendError>
  /**
   * The same, begun at once, where the call wants nothing before its first attempt: the way of nearly every message.
   * `end` gets the result, or what there is still to do for it; undefined means that it got it already.
   */
  readonly start: (call: Call, end: (result: Effect.Effect<A, SendError>) => void) => CancelHandle | undefined
}

/**
 * Makes the attempts of sends that are acknowledged.
 *
 * Source: RocketMQ `DefaultMQProducerImpl.sendDefaultImpl`, `sendKernelImpl`.
 */
export const make = (context: AttemptContext): Attempts<SendResult> => {
  const { api, chance, config, faults, heartbeat, isDrained, now, requestOf, tally, targets, wallMillis } = context
  const { counters, fail } = tally
  const retryDecision = RetryPolicy.decider(config.retryPolicy)

  const mayRetry = (call: Call) => call.counted <= config.retryTimesWhenSendFailed && !isDrained()

  /** The time that an attempt may take, which is counted already. */
  const budgetOf = (call: Call, { begin, info }: Target): number => {
    const remaining = call.deadline - begin
    // This one and those that may follow it.
    const attemptsLeft = config.retryTimesWhenSendFailed + 2 - call.counted
    if (config.sendMsgMaxTimeoutPerRequest !== undefined && attemptsLeft > 1) {
      return Math.min(remaining, config.sendMsgMaxTimeoutPerRequest)
    }
    return info.brokerCount > 1 && attemptsLeft > 1 ? Math.ceil(remaining / attemptsLeft) : Math.ceil(remaining)
  }

  /** Where the attempt that begins now goes; an effect when there is something else to do. */
  const aim = (call: Call, begin: number): Target | Effect.Effect<SendResult, SendError> => {
    const info = targets.infoOf(call)
    if (info === undefined) return cold(call)
    if (call.deadline <= begin) {
      return fail(call, call.failures.at(-1)?.cause ?? timeout(call, "waiting for an attempt"))
    }
    const target = targets.of(call, info, begin)
    if (target === undefined) return cold(call)
    if (target._tag === "QueueSelectorFailed") return fail(call, target)
    if (target._tag === "WithoutMaster") return withoutMaster(call, target.place)
    call.attempts++
    call.counted++
    if (call.attempts > 1) counters.retries++
    return target
  }

  const run = (call: Call): Effect.Effect<SendResult, SendError> => {
    const target = aim(call, now())
    return Effect.isEffect(target) ? target : transmit(call, target)
  }

  const transmit = (call: Call, target: Target): Effect.Effect<SendResult, SendError> => {
    const { address, place } = target
    const { outgoing } = call
    const ready =
      outgoing.legacyProperties === undefined
        ? Effect.succeed(outgoing)
        : forBroker(heartbeat, outgoing, address, refreshLimit(call, now()))
    return Effect.flatMap(ready, (sent) => {
      const request = requestOf(sent, place, wallMillis())
      const answer = awaited<RemotingCommand, ApiError>((resume) =>
        api.startSendMessage(address, request, budgetOf(call, target), resume)
      )
      return concluded(call, target, request, answer)
    })
  }

  const concluded = (
    call: Call,
    target: Target,
    request: Request,
    answer: Effect.Effect<RemotingCommand, ApiError>
  ): Effect.Effect<SendResult, SendError> =>
    Effect.matchEffect(answer, {
      onSuccess: (response) => answered(call, target, request, response),
      onFailure: (error) => failed(call, target, error)
    })

  const start: Attempts<SendResult>["start"] = (call, end) => {
    const target = aim(call, call.startedAt)
    if (Effect.isEffect(target) || call.outgoing.legacyProperties !== undefined) {
      end(Effect.isEffect(target) ? target : transmit(call, target))
      return undefined
    }
    const request = requestOf(call.outgoing, target.place, wallMillis())
    return api.startSendMessage(target.address, request, budgetOf(call, target), (answer) => {
      end(
        isEnded(answer) && Exit.isSuccess(answer)
          ? answered(call, target, request, answer.value)
          : concluded(call, target, request, answer)
      )
    })
  }

  const answered = (
    call: Call,
    target: Target,
    request: Request,
    response: RemotingCommand
  ): Effect.Effect<SendResult, SendError> => {
    const { address, begin, info, place, queue } = target
    const answer = api.readStored(address, request, response)
    // In the caller's fiber: what decides on retries may be the user's own.
    if ("_tag" in answer) return Effect.suspend(() => failed(call, target, answer))
    faults.answered(place.brokerName, begin)
    counters.acknowledged++
    const { code } = response
    const result = resultOf(call, queue, code, answer, info.borrowed)
    return code !== ResponseCode.SUCCESS && config.retryAnotherBrokerWhenNotStoreOK && mayRetry(call)
      ? orBetter(result, again(call, place.brokerName, Effect.void))
      : Effect.succeed(result)
  }

  /** The next attempt, after `pause`. */
  const again = (call: Call, brokerName: string, pause: Effect.Effect<void>): Effect.Effect<SendResult, SendError> => {
    call.lastBroker = brokerName
    if (!call.pinned) call.fixedQueue = undefined
    return Effect.andThen(
      pause,
      Effect.suspend(() => run(call))
    )
  }

  /** A message that is stored already keeps its result when no better one comes. */
  const orBetter = (
    stored: SendResult,
    repeated: Effect.Effect<SendResult, SendError>
  ): Effect.Effect<SendResult, SendError> => {
    tally.retract()
    return repeated.pipe(
      Effect.catch((error) => {
        tally.restore(error)
        return Effect.succeed(stored)
      })
    )
  }

  const failed = (call: Call, target: Target, error: ApiError): Effect.Effect<SendResult, SendError> => {
    noteFailure(call, target, error, now() - target.begin)
    return Effect.flatMap(retryDecision(error), (decision) => decided(call, target, error, decision))
  }

  const decided = (
    call: Call,
    { begin, place: { brokerName } }: Target,
    error: ApiError,
    decision: RetryDecision
  ): Effect.Effect<SendResult, SendError> => {
    const remaining = call.deadline - now()
    // What is refused for its own sake says nothing of the broker.
    if (decision !== "fail") faults.failed(brokerName, now() - begin, error._tag === "BrokerRejected")
    if (decision === "fail" || isDrained()) return fail(call, error)
    if (decision === "busy-once" && call.busy > 0) return fail(call, error)
    if (decision === "busy" || decision === "busy-once") {
      call.counted--
      const pause = Math.ceil(RetryPolicy.busyPause(++call.busy, chance()))
      return pause >= remaining ? fail(call, error) : again(call, brokerName, Effect.sleep(pause))
    }
    if (!mayRetry(call)) return fail(call, error)
    const alone = call.pinned || targets.brokerCount(call) < 2
    // With nowhere else to go, it is no use to come back before the address may be dialled again.
    const pause = error._tag === "ConnectFailed" && alone ? Math.ceil(error.retryAfterMillis) + 1 : 0
    if (pause >= remaining) return fail(call, error)
    const refreshed = decision === "refresh" ? refreshAfter(call, begin, error, alone) : Effect.void
    // Side by side: one after the other, the two could take more time than is left.
    const before =
      pause > 0 ? Effect.all([refreshed, Effect.sleep(pause)], { concurrency: 2, discard: true }) : refreshed
    return again(call, brokerName, before)
  }

  /** A broker that cannot be reached says nothing of the others: where there are others, they are tried at once. */
  const refreshAfter = (call: Call, begin: number, error: ApiError, alone: boolean): Effect.Effect<void> =>
    error._tag === "BrokerRejected" || alone ? targets.refresh(call, begin) : targets.requestUpdate(call)

  /** A queue whose broker has no known master: the route may be old, and another broker may have one. */
  const withoutMaster = (call: Call, { brokerName }: MessageQueue): Effect.Effect<SendResult, SendError> => {
    call.counted++
    return call.counted === 1 || mayRetry(call)
      ? again(call, brokerName, targets.refresh(call, now()))
      : fail(call, targets.notExist(call, brokerName))
  }

  /** A topic whose route is not known. */
  const cold = (call: Call): Effect.Effect<SendResult, SendError> => {
    const remaining = call.deadline - now()
    if (remaining <= 0) return fail(call, timeout(call, "the route look-up"))
    return Effect.matchEffect(targets.lookupFor(call, remaining), {
      onSuccess: () => run(call),
      onFailure: (reason) => fail(call, reason)
    })
  }

  return { run, start }
}
