import { Cause, Effect, Exit } from "effect"
import type { ApiError } from "../../client/ClientError.ts"
import { conclude } from "../../client/MQClientApi.ts"
import { type Attempt, type AttemptContext, attempted } from "./SendAttempts.ts"
import * as SendCounters from "./SendCounters.ts"
import type { SendError, SendReason } from "./SendError.ts"
import { noteFailure, type SendState } from "./SendState.ts"
import type { Target } from "./SendTarget.ts"

const budgetOf = (send: SendState, { begin }: Target) => Math.max(1, Math.ceil(send.deadline - begin))

/**
 * Makes the attempts of sends that nobody acknowledges: one each, after one look-up of the route where that is wanted.
 *
 * Source: RocketMQ `DefaultMQProducerImpl.sendOneway`.
 */
export const make = (context: AttemptContext): Attempt<void> => {
  const { counters, now, sender, targets, wallMillis } = context

  const fail = (send: SendState, reason: SendReason) => SendCounters.fail(counters, send, reason)

  /** Where the message goes; an effect when there is something else to do. */
  const aim = (send: SendState, begin: number): Target | Effect.Effect<void, SendError> => {
    const info = targets.infoOf(send)
    const target = info === undefined ? undefined : targets.of(send, info, begin)
    if (target?._tag === "Target") return target
    if (target?._tag === "QueueSelectorFailed") return fail(send, target)
    if (send.counted++ > 0) {
      return fail(send, targets.notExist(send, target?.place.brokerName ?? "(no queue to write)"))
    }
    return Effect.matchEffect(targets.lookupFor(send, Math.max(1, send.deadline - now())), {
      onSuccess: () => attempted(attempt, send, now),
      onFailure: (reason) => fail(send, reason)
    })
  }

  const attempt: Attempt<void> = (send, begin, done) => {
    const target = aim(send, begin)
    if (Effect.isEffect(target)) {
      done(send, target)
      return undefined
    }
    const { address, place } = target
    return sender.startOneway(address, send.prepared, place, wallMillis(), budgetOf(send, target), (sent) =>
      done(send, conclude(sent, concluded, send, target))
    )
  }

  const concluded = (
    exit: Exit.Exit<void, ApiError>,
    send: SendState,
    target: Target
  ): Effect.Effect<void, SendError> => {
    if (Exit.isSuccess(exit)) return Exit.void
    const error = Cause.findError(exit.cause)
    if (error._tag === "Failure") return Exit.failCause(error.failure)
    return Effect.suspend(() => {
      noteFailure(send, target, error.success, now() - target.begin)
      return fail(send, error.success)
    })
  }

  return attempt
}
