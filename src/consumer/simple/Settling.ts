import { Duration, Effect, Exit, Option, Semaphore } from "effect"
import { type ApiError, ConfigProblem, InvalidConfig } from "../../client/ClientError.ts"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import type { PopCalls, PoppedPlace, TimedHandle } from "../../client/PopCalls.ts"
import { show } from "../../client/options/Option.ts"
import * as ForeignText from "../../message/ForeignText.ts"
import * as Millis from "../../message/Millis.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { ReceivedMessage } from "../ReceivedMessage.ts"
import type { ConsumerObserver } from "../telemetry/ConsumerObserver.ts"
import { Lease, LEAST_INVISIBLE_MILLIS, MOST_INVISIBLE_MILLIS, type Permission } from "./Lease.ts"
import { process } from "./Processing.ts"
import { mayPass, SettleError, type SettleReason } from "./SimpleError.ts"
import type { ExtendOutcome, PopAckOutcome, PoppedMessage } from "./SimpleShape.ts"

/** The pause before an attempt is made again; it doubles up to the other. In milliseconds. */
const FIRST_PAUSE_MILLIS = 100
const MOST_PAUSE_MILLIS = 1_000

/** Counts, which the consumer shows. */
export interface SettleCounters {
  acked: number
  extended: number
  expired: number
  settleFailures: number
}

/** What acknowledges and extends the messages of a consumer that runs. */
export interface Settling {
  /** A message with its acknowledgement and its extension. */
  readonly leased: (message: ReceivedMessage, timed: TimedHandle) => PoppedMessage
}

/** The milliseconds of a time for which messages are to be hidden; undefined for none. */
export const invisibleMillisOf = (invisible: Duration.Input): number | undefined => {
  const found = Duration.fromInput(invisible)
  const millis = Option.isSome(found) ? Duration.toMillis(found.value) : undefined
  return millis !== undefined && millis >= LEAST_INVISIBLE_MILLIS && millis <= MOST_INVISIBLE_MILLIS
    ? Math.round(millis)
    : undefined
}

/** Why a time cannot be an invisible one. */
export const invalidInvisible = (invisible: unknown): InvalidConfig =>
  new InvalidConfig({
    problems: [
      new ConfigProblem({
        path: "invisible",
        problem: `must be ${Millis.text(LEAST_INVISIBLE_MILLIS)} to ${Millis.text(MOST_INVISIBLE_MILLIS)}, is ${show(invisible)}`
      })
    ]
  })

/**
 * Makes it. Acknowledgements and extensions of one message wait for each other; each is tried again, at pauses that double,
 * until it is answered or the message's time is over.
 *
 * Source: RocketMQ `ConsumeMessagePopConcurrentlyService.processConsumeResult`, which tries once.
 */
export const make = (options: {
  readonly group: string
  readonly calls: Pick<PopCalls, "ack" | "changeInvisibleTime">
  readonly instance: Pick<MQClientInstanceShape, "routes">
  readonly observer: Pick<ConsumerObserver, "process" | "processed" | "settle">
  readonly counters: SettleCounters
  /** What one attempt may take, in milliseconds. */
  readonly timeoutMillis: number
  /** Why nothing can be settled any more; undefined while it can. */
  readonly refusal: (action: string) => SettleReason | undefined
  /** Counts work that a shutdown waits for. */
  readonly track: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** The monotonic clock, and the time since the epoch, in milliseconds. */
  readonly now: () => number
  readonly nowMillis: () => number
}): Settling => {
  const { calls, counters, group, instance, now, nowMillis, observer, timeoutMillis } = options

  const expired = (lastFailure: string | undefined) => {
    counters.expired++
    return { _tag: "Expired", lastFailure } as const
  }

  const leased: Settling["leased"] = (message, timed) => {
    const lease = new Lease(timed.handle, timed.began, timed.until)
    const turn = Semaphore.makeUnsafe(1)
    const { brokerName, topic } = message
    const expiresAt = () => Math.round(nowMillis() + lease.until - now())

    const failed = (action: "ack" | "extend", reason: SettleReason) => {
      counters.settleFailures++
      return new SettleError({ group, topic, msgId: ForeignText.clean(message.msgId), action, reason })
    }

    /** Tries again and again; gives what the attempt gave, or that the time was over. */
    const untilOver = Effect.fnUntraced(function* <A>(
      action: "ack" | "extend",
      permitted: () => Permission,
      attempt: (place: PoppedPlace, leftMillis: number) => Effect.Effect<A, ApiError>,
      done: (value: A) => void
    ) {
      let lastFailure: string | undefined
      let pause = FIRST_PAUSE_MILLIS
      while (true) {
        const permission = permitted()
        if (permission._tag === "AlreadyAcked") return permission
        if (permission._tag === "Expired") return expired(lastFailure)
        const address = instance.routes.findBrokerAddressInPublish(brokerName)
        if (address === undefined) {
          lastFailure = `no route names a master of broker ${ForeignText.clean(brokerName)}`
          yield* instance.routes.requestUpdate(topic, undefined)
        } else {
          const place = { consumerGroup: group, topic, handle: permission.handle, address }
          const left = Math.max(1, Math.ceil(Math.min(timeoutMillis, lease.until - now())))
          const exit = yield* Effect.result(observer.settle(action, message.queue, attempt(place, left), message))
          if (exit._tag === "Success") {
            done(exit.success)
            // Whether it was in time is known by our clock alone.
            return undefined
          }
          if (!mayPass(exit.failure)) return yield* failed(action, exit.failure)
          lastFailure = exit.failure.message
        }
        yield* Effect.sleep(Math.max(1, Math.min(pause, lease.until - now())))
        pause = Math.min(MOST_PAUSE_MILLIS, pause * 2)
      }
    })

    const inTurn = <A>(action: "ack" | "extend", self: Effect.Effect<A, SettleError>) =>
      Effect.suspend(() => {
        const refusal = options.refusal(action)
        return refusal === undefined ? options.track(turn.withPermit(self)) : Effect.fail(failed(action, refusal))
      })

    const ack = Effect.gen(function* () {
      let isInTime = false
      const ended = yield* untilOver(
        "ack",
        () => lease.toAck(now()),
        (place, left) => {
          lease.ackSent()
          return calls.ack(place, left)
        },
        () => {
          isInTime = !lease.isOver(now())
          lease.acked()
        }
      )
      if (ended !== undefined) return ended
      if (!isInTime) return expired("the broker answered when its time was over")
      counters.acked++
      return { _tag: "Acked", mayComeAgain: lease.mayComeAgain } satisfies PopAckOutcome
    })

    const extend = Effect.fnUntraced(function* (invisible: Duration.Input) {
      const millis = invisibleMillisOf(invisible)
      if (millis === undefined) return yield* failed("extend", invalidInvisible(invisible))
      const ended = yield* untilOver(
        "extend",
        () => lease.toExtend(now()),
        (place, left) =>
          Effect.onExit(calls.changeInvisibleTime(place, millis, left), (exit) =>
            Effect.sync(() => {
              if (Exit.isFailure(exit) && !isSurelyNotMade(exit)) lease.extensionLost()
            })
          ),
        ({ began, handle, until }) => {
          // By then its broker may have taken it for over, and made a copy of it.
          if (lease.isOver(now())) lease.extensionLost()
          lease.extended(handle, began, until)
        }
      )
      if (ended !== undefined) return ended
      counters.extended++
      return { _tag: "Extended", expiresAt: expiresAt() } satisfies ExtendOutcome
    })

    const held: Omit<PoppedMessage, "process"> = {
      message,
      expiresAt: Effect.sync(expiresAt),
      invisibleMillis: Effect.sync(() => lease.period),
      ack: inTurn("ack", ack),
      extend: (invisible) => inTurn("extend", extend(invisible))
    }
    return { ...held, process: (handler) => options.track(process(held, handler, observer, now)) }
  }
  return { leased }
}

/** Whether a failed extension cannot have been made: it was not sent, or its broker refused it. */
const isSurelyNotMade = (exit: Exit.Failure<unknown, ApiError>): boolean =>
  exit.cause.reasons.every((reason) => {
    if (reason._tag !== "Fail") return false
    const { error } = reason
    return "outcome" in error
      ? error.outcome !== "unknown"
      : error._tag === "BrokerRejected" && error.code !== ResponseCode.SYSTEM_ERROR
  })
