import { Clock, Effect, type Fiber, Random } from "effect"
import { type ApiError, type IllegalServiceState, RouteUnavailable } from "../client/ClientError.ts"
import type { MQClientInstanceShape } from "../client/MQClientInstance.ts"
import { problemOfRoute } from "../client/TopicRoute.ts"
import type { UniqueIds } from "../message/MessageId.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import type { SendResult } from "../message/SendResult.ts"
import type { SendMessageAnswer } from "../protocol/request/SendMessage.ts"
import { ResponseCode } from "../protocol/ResponseCode.ts"
import * as FaultStrategies from "./FaultStrategy.ts"
import { type Outgoing, pack, prepare, wantsPacking } from "./Outgoing.ts"
import type { ProducerConfig } from "./ProducerConfig.ts"
import { forBroker } from "./BrokerRelease.ts"
import { choose } from "./QueueChoice.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import { type Call, callOf, isInvalid, placeOf, resultOf, timeout } from "./SendCall.ts"
import {
  BrokerNotExist,
  InvalidMessage,
  notSent,
  type QueueSelectorFailed,
  SendAttempt,
  SendError,
  type SendReason
} from "./SendError.ts"
import type { SendObserver } from "./SendObserver.ts"
import type { DispatchOptions, SendCounters, Sends } from "./Sends.ts"
import * as SendLimits from "./SendLimit.ts"
import * as SendRequest from "./SendRequest.ts"
import type { TopicPublishInfo } from "./TopicPublishInfo.ts"
import type { TopicPublishInfoTable } from "./TopicPublishInfoTable.ts"

export type { DispatchOptions, SendCounters, Sends } from "./Sends.ts"
export type { SendOptions } from "./SendOptions.ts"

/** A route is not read anew for a failed attempt more than so long, in milliseconds. */
const REFRESH_LIMIT_MILLIS = 1_000

/**
 * Makes the sends of a producer that has its instance.
 *
 * The path of a message whose topic is known has no generator, span or timer of its own: one synchronous step chooses
 * the queue and builds the request, and one suspension waits for the answer.
 *
 * Source: RocketMQ `DefaultMQProducerImpl.sendDefaultImpl`, `sendKernelImpl`.
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
  const { api, heartbeat, routes } = instance
  const borrow = config.borrowRoute ? { defaultTopicQueueNums: config.defaultTopicQueueNums } : undefined
  const counters: SendCounters = { sends: 0, acknowledged: 0, failed: 0, unknown: 0, retries: 0 }
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  // A whole number, as the header needs it, whatever the clock of the program counts in.
  const wallMillis = () => Math.floor(clock.currentTimeMillisUnsafe())
  const chance = () => random.nextDoubleUnsafe()
  const faults = yield* FaultStrategies.make(config, instance, now, table.topics)
  const places = SendLimits.make({
    maxSends: config.backPressureForAsyncSendNum,
    maxBytes: config.backPressureForAsyncSendSize
  })
  const requestOf = SendRequest.make(config)
  const retryDecision = RetryPolicy.decider(config.retryPolicy)
  let inFlight = 0
  let refusal: (() => IllegalServiceState) | undefined
  /** The time for sends under way is over: no attempt follows one that fails. */
  let drained = false
  let onIdle: (() => void) | undefined

  const fail = (call: Call, reason: SendReason): Effect.Effect<never, SendError> => {
    counters.failed++
    if (call.outcome === "unknown") counters.unknown++
    return Effect.fail(
      new SendError({
        topic: call.outgoing.topic,
        msgId: call.outgoing.msgId,
        outcome: call.outcome,
        attempts: call.failures,
        reason
      })
    )
  }

  const refused = (topic: string, reason: IllegalServiceState | InvalidMessage) => {
    counters.failed++
    return Effect.fail(notSent(topic, reason))
  }

  const succeed = (
    call: Call,
    brokerName: string,
    code: number,
    answer: SendMessageAnswer,
    borrowed: boolean
  ): SendResult => {
    counters.acknowledged++
    return resultOf(call, brokerName, code, answer, borrowed)
  }

  /** The time that the next attempt may take. */
  const budgetOf = (call: Call, info: TopicPublishInfo, remaining: number): number => {
    // This one, which is counted already, and those that may follow it.
    const attemptsLeft = config.retryTimesWhenSendFailed + 2 - call.counted
    if (config.sendMsgMaxTimeoutPerRequest !== undefined && attemptsLeft > 1) {
      return Math.min(remaining, config.sendMsgMaxTimeoutPerRequest)
    }
    return info.brokerCount > 1 && attemptsLeft > 1 ? Math.ceil(remaining / attemptsLeft) : Math.ceil(remaining)
  }

  /** The route of a topic that has no usable entry; fails with what is wrong with it. */
  const lookup = (topic: string): Effect.Effect<TopicPublishInfo, SendReason> =>
    Effect.flatMap(
      routes.updateTopicRouteInfoFromNameServer(topic, borrow),
      (route): Effect.Effect<TopicPublishInfo, SendReason> => {
        const info = table.getOrPut(topic)
        if (info.route !== route) table.update(route)
        const fresh = table.getOrPut(topic)
        if (fresh.queues.length > 0) return Effect.succeed(fresh)
        const problem = problemOfRoute(route.data) ?? "no-writable-queue"
        return Effect.fail(new RouteUnavailable({ topic, problem, tries: [] }))
      }
    )

  const refreshLimit = (call: Call) => Math.max(0, Math.min(REFRESH_LIMIT_MILLIS, call.deadline - now()))

  /** Reads the route again, unless that was done since the attempt began. Whatever comes of it, the send goes on. */
  const refresh = (call: Call, since: number): Effect.Effect<void> => {
    const { topic } = call.outgoing
    const readAt = routes.readAt(topic)
    if (readAt !== undefined && readAt > since) return Effect.void
    return Effect.ignore(
      Effect.timeoutOption(routes.updateTopicRouteInfoFromNameServer(topic, borrow), refreshLimit(call))
    )
  }

  const attempt = (call: Call): Effect.Effect<SendResult, SendError> => {
    const info = table.get(call.outgoing.topic)
    if (info === undefined || (info.queues.length === 0 && call.fixedQueue === undefined)) return cold(call)
    const begin = now()
    const remaining = call.deadline - begin
    if (remaining <= 0) return fail(call, call.failures.at(-1)?.cause ?? timeout(call, "waiting for an attempt"))
    const queue = queueOf(call, info)
    if (queue === undefined) return cold(call)
    if ("_tag" in queue) return fail(call, queue)
    const place = placeOf(info, queue)
    const { brokerName } = place
    const address = routes.findBrokerAddressInPublish(brokerName)
    if (address === undefined) return withoutMaster(call, place)
    call.attempts++
    call.counted++
    if (call.attempts > 1) counters.retries++
    const transmit = (outgoing: Outgoing) =>
      api.sendMessage(address, requestOf(outgoing, place, wallMillis()), budgetOf(call, info, remaining))
    const { outgoing } = call
    return Effect.matchEffect(
      outgoing.legacyProperties === undefined
        ? transmit(outgoing)
        : Effect.flatMap(forBroker(heartbeat, outgoing, address, refreshLimit(call)), transmit),
      {
        onSuccess: ({ answer, code }) => {
          faults.answered(brokerName, now() - begin)
          const result = succeed(call, queue.brokerName, code, answer, info.borrowed)
          return code !== ResponseCode.SUCCESS && config.retryAnotherBrokerWhenNotStoreOK && mayRetry(call)
            ? again(call, brokerName, Effect.void, result)
            : Effect.succeed(result)
        },
        onFailure: (error) => failed(call, place, address, begin, error)
      }
    )
  }

  const queueOf = (call: Call, info: TopicPublishInfo): MessageQueue | QueueSelectorFailed | undefined => {
    if (call.fixedQueue !== undefined) return call.fixedQueue
    if (call.selector === undefined) return faults.selectOneMessageQueue(info, call.lastBroker)
    const chosen = choose(call.selector, info.queues, info.topic, call.outgoing.message, chance)
    if (!("_tag" in chosen)) call.fixedQueue = chosen
    return chosen
  }

  /** Packs a large body, once for all attempts, and goes on. */
  const packed = <A>(call: Call, run: (call: Call) => Effect.Effect<A, SendError>): Effect.Effect<A, SendError> =>
    wantsPacking(config, call.outgoing)
      ? Effect.matchEffect(pack(config, call.outgoing), {
          onSuccess: (outgoing) => run({ ...call, outgoing }),
          onFailure: (reason) => fail(call, reason)
        })
      : run(call)

  const start = (call: Call) => packed(call, attempt)

  const mayRetry = (call: Call) => call.counted <= config.retryTimesWhenSendFailed && !drained

  /** The next attempt, after `pause`. A message that is stored already keeps its result when no better one comes. */
  const again = (
    call: Call,
    brokerName: string,
    pause: Effect.Effect<void>,
    stored?: SendResult
  ): Effect.Effect<SendResult, SendError> => {
    call.lastBroker = brokerName
    if (!call.pinned) call.fixedQueue = undefined
    const repeated = Effect.andThen(
      pause,
      Effect.suspend(() => attempt(call))
    )
    if (stored === undefined) return repeated
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

  /** Writes a failed attempt down. */
  const note = (call: Call, queue: MessageQueue, address: string, begin: number, error: ApiError) => {
    const outcome = RetryPolicy.outcomeOf(error)
    call.outcome = RetryPolicy.worst(call.outcome, outcome)
    call.failures.push(
      new SendAttempt({
        brokerName: queue.brokerName,
        queueId: queue.queueId,
        address,
        elapsedMillis: now() - begin,
        outcome,
        cause: error
      })
    )
  }

  const failed = (
    call: Call,
    queue: MessageQueue,
    address: string,
    begin: number,
    error: ApiError
  ): Effect.Effect<SendResult, SendError> => {
    note(call, queue, address, begin, error)
    return Effect.flatMap(retryDecision(error), (decision) => decided(call, queue, begin, error, decision))
  }

  const decided = (
    call: Call,
    queue: MessageQueue,
    begin: number,
    error: ApiError,
    decision: RetryPolicy.RetryDecision
  ): Effect.Effect<SendResult, SendError> => {
    const remaining = call.deadline - now()
    // What is refused for its own sake says nothing of the broker.
    if (decision !== "fail") faults.failed(queue.brokerName, now() - begin, error._tag === "BrokerRejected")
    if (decision === "fail" || drained) return fail(call, error)
    if (decision === "busy-once" && call.busy > 0) return fail(call, error)
    if (decision === "busy" || decision === "busy-once") {
      call.counted--
      const pause = Math.ceil(RetryPolicy.busyPause(++call.busy, random.nextDoubleUnsafe()))
      return pause >= remaining ? fail(call, error) : again(call, queue.brokerName, Effect.sleep(pause))
    }
    if (!mayRetry(call)) return fail(call, error)
    const info = table.get(call.outgoing.topic)
    const alone = call.pinned || info === undefined || info.brokerCount < 2
    // With nowhere else to go, it is no use to come back before the address may be dialled again.
    const pause = error._tag === "ConnectFailed" && alone ? Math.ceil(error.retryAfterMillis) + 1 : 0
    if (pause >= remaining) return fail(call, error)
    const refreshed = decision === "refresh" ? refreshAfter(call, begin, error, alone) : Effect.void
    // Side by side: one after the other, the two could take more time than is left.
    const before =
      pause > 0 ? Effect.all([refreshed, Effect.sleep(pause)], { concurrency: 2, discard: true }) : refreshed
    return again(call, queue.brokerName, before)
  }

  /** A broker that cannot be reached says nothing of the others: where there are others, they are tried at once. */
  const refreshAfter = (call: Call, begin: number, error: ApiError, alone: boolean): Effect.Effect<void> =>
    error._tag === "BrokerRejected" || alone ? refresh(call, begin) : routes.requestUpdate(call.outgoing.topic, borrow)

  const notExist = ({ outgoing: { topic } }: Call, brokerName: string) =>
    new BrokerNotExist({ topic, brokerName, refused: routes.refusedMaster(brokerName) })

  /** A queue whose broker has no known master: the route may be old, and another broker may have one. */
  const withoutMaster = (call: Call, queue: MessageQueue): Effect.Effect<SendResult, SendError> => {
    call.counted++
    call.lastBroker = queue.brokerName
    if (!call.pinned) call.fixedQueue = undefined
    return call.counted === 1 || mayRetry(call)
      ? Effect.andThen(
          refresh(call, now()),
          Effect.suspend(() => attempt(call))
        )
      : fail(call, notExist(call, queue.brokerName))
  }

  /** A topic whose route is not known: one look-up, however many wait for it, within this send's deadline. */
  const cold = (call: Call): Effect.Effect<SendResult, SendError> => {
    const remaining = call.deadline - now()
    if (remaining <= 0) return fail(call, timeout(call, "the route look-up"))
    return lookup(call.outgoing.topic).pipe(
      Effect.timeoutOrElse({ duration: remaining, orElse: () => Effect.fail(timeout(call, "the route look-up")) }),
      Effect.matchEffect({ onSuccess: () => attempt(call), onFailure: (reason) => fail(call, reason) })
    )
  }

  /** Begins a send, unless the producer or the message does not allow it, and counts it until it has ended. */
  const begin = <A extends SendResult | void>(
    fiber: Fiber.Fiber<unknown, unknown>,
    topic: string,
    outgoing: Outgoing | InvalidMessage,
    options: DispatchOptions | undefined,
    run: (call: Call) => Effect.Effect<A, SendError>,
    isOneway = false
  ): Effect.Effect<A, SendError> => {
    counters.sends++
    const accepted = options?.accepted === true
    if (refusal !== undefined && (!accepted || drained)) return refused(topic, refusal())
    const call = isInvalid(outgoing) ? outgoing : callOf(config, outgoing, options, now())
    if (isInvalid(call)) return refused(topic, call)
    if (!accepted) inFlight++
    const place = places.take(call.outgoing.body.length)
    const sending = () =>
      observer?.active(fiber) === true
        ? observer.around(
            {
              fiber,
              outgoing: call.outgoing,
              oneway: isOneway,
              queue: call.fixedQueue,
              timeoutMillis: call.timeoutMillis,
              refuse: (reason) => fail(call, reason)
            },
            (observed) => run(observed === call.outgoing ? call : { ...call, outgoing: observed })
          )
        : run(call)
    // What waits first begins when it has waited: its attempt then has the time that is left.
    const sent = place.admitted ? sending() : admitted(call, place, Effect.suspend(sending))
    return Effect.onExitPrimitive(sent, (exit) => {
      places.release(place)
      observer?.ended?.(call.outgoing, exit, now() - call.deadline + call.timeoutMillis)
      if (!accepted) settle()
      return undefined
    })
  }

  /** A send that has to wait for a place in flight, within its deadline. */
  const admitted = <A>(
    call: Call,
    place: SendLimits.SendPlace,
    sending: Effect.Effect<A, SendError>
  ): Effect.Effect<A, SendError> =>
    Effect.flatMap(Effect.timeoutOption(places.wait(place), Math.max(1, call.deadline - now())), (waited) =>
      waited._tag === "Some" ? sending : fail(call, timeout(call, "waiting for a place in flight"))
    )

  const settle = () => {
    inFlight--
    if (inFlight === 0) onIdle?.()
  }

  const prepared: Sends["prepare"] = (message, options) =>
    prepare(config, message, uniqueIds, wallMillis(), options?.orderingKey)

  const send: Sends["send"] = (message, options) =>
    Effect.withFiber((fiber) => begin(fiber, message.topic, prepared(message, options), options, start))

  const sendOneway: Sends["sendOneway"] = (message, options) =>
    Effect.withFiber((fiber) => begin(fiber, message.topic, prepared(message, options), options, startOneway, true))

  const dispatch: Sends["dispatch"] = (outgoing, options) =>
    Effect.withFiber((fiber) => begin(fiber, outgoing.topic, outgoing, options, start))

  const sendAs: Sends["sendAs"] = (message, change, options) =>
    Effect.withFiber((fiber) => {
      const outgoing = prepared(message, options)
      return begin(fiber, message.topic, isInvalid(outgoing) ? outgoing : change(outgoing), options, start)
    })

  const startOneway = (call: Call) => packed(call, oneway)

  const oneway = (call: Call): Effect.Effect<void, SendError> => {
    const info = table.get(call.outgoing.topic)
    const queue =
      info === undefined || (info.queues.length === 0 && call.fixedQueue === undefined)
        ? undefined
        : queueOf(call, info)
    if (queue !== undefined && "_tag" in queue) return fail(call, queue)
    const place = info === undefined || queue === undefined ? undefined : placeOf(info, queue)
    const address = place === undefined ? undefined : routes.findBrokerAddressInPublish(place.brokerName)
    if (place === undefined || address === undefined) {
      return call.counted++ > 0
        ? fail(call, notExist(call, place?.brokerName ?? "(no queue to write)"))
        : lookup(call.outgoing.topic).pipe(
            Effect.timeoutOrElse({
              duration: Math.max(1, call.deadline - now()),
              orElse: () => Effect.fail(timeout(call, "the route look-up"))
            }),
            Effect.matchEffect({ onSuccess: () => oneway(call), onFailure: (reason) => fail(call, reason) })
          )
    }
    const request = requestOf(call.outgoing, place, wallMillis())
    const attemptBegan = now()
    return Effect.matchEffect(api.sendMessageOneway(address, request, Math.max(1, Math.ceil(call.deadline - now()))), {
      onSuccess: () => Effect.void,
      onFailure: (error) => {
        note(call, place, address, attemptBegan, error)
        return fail(call, error)
      }
    })
  }

  const drain: Sends["drain"] = (timeoutMillis, refuse) =>
    Effect.suspend(() => {
      refusal = refuse
      if (inFlight === 0) return Effect.succeed(0)
      const idle = Effect.callback<void>((resume) => {
        onIdle = () => resume(Effect.void)
        return Effect.sync(() => {
          onIdle = undefined
        })
      })
      return Effect.map(Effect.timeoutOption(idle, timeoutMillis), () => {
        drained = true
        return inFlight
      })
    })

  const self: Sends = {
    send,
    sendOneway,
    dispatch,
    sendAs,
    prepare: prepared,
    accept: () => {
      if (refusal !== undefined) return refusal()
      inFlight++
      return undefined
    },
    settle,
    fetchPublishMessageQueues: (topic) =>
      Effect.suspend(() => (refusal === undefined ? lookup(topic) : Effect.fail(refusal()))).pipe(
        Effect.map((info) => info.queues),
        Effect.mapError((reason) => notSent(topic, reason))
      ),
    counters,
    inFlight: () => inFlight,
    faults: faults.state,
    drain
  }
  return self
})
