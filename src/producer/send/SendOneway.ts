import { Effect, Exit } from "effect"
import type { ApiError } from "../../client/ClientError.ts"
import { awaited } from "../../transport/Requests.ts"
import type { AttemptContext, Attempts } from "./SendAttempts.ts"
import { type Call, isEnded, noteFailure } from "./SendState.ts"
import type { SendError } from "./SendError.ts"
import type { Target } from "./SendTarget.ts"

const budgetOf = (call: Call, { begin }: Target) => Math.max(1, Math.ceil(call.deadline - begin))

/**
 * Makes the attempts of sends that nobody acknowledges: one each, after one look-up of the route where that is wanted.
 *
 * Source: RocketMQ `DefaultMQProducerImpl.sendOneway`.
 */
export const make = (context: AttemptContext): Attempts<void> => {
  const { api, now, requestOf, tally, targets, wallMillis } = context
  const { fail } = tally

  /** Where the message goes; an effect when there is something else to do. */
  const aim = (call: Call, begin: number): Target | Effect.Effect<void, SendError> => {
    const info = targets.infoOf(call)
    const target = info === undefined ? undefined : targets.of(call, info, begin)
    if (target?._tag === "Target") return target
    if (target?._tag === "QueueSelectorFailed") return fail(call, target)
    if (call.counted++ > 0) {
      return fail(call, targets.notExist(call, target?.place.brokerName ?? "(no queue to write)"))
    }
    return Effect.matchEffect(targets.lookupFor(call, Math.max(1, call.deadline - now())), {
      onSuccess: () => run(call),
      onFailure: (reason) => fail(call, reason)
    })
  }

  const run = (call: Call): Effect.Effect<void, SendError> => {
    const target = aim(call, now())
    if (Effect.isEffect(target)) return target
    const request = requestOf(call.outgoing, target.place, wallMillis())
    const sent = awaited<void, ApiError>((resume) =>
      api.startSendMessageOneway(target.address, request, budgetOf(call, target), resume)
    )
    return concluded(call, target, sent)
  }

  const concluded = (call: Call, target: Target, sent: Effect.Effect<void, ApiError>): Effect.Effect<void, SendError> =>
    sent.pipe(
      Effect.catch((error) => {
        noteFailure(call, target, error, now() - target.begin)
        return fail(call, error)
      })
    )

  const start: Attempts<void>["start"] = (call, end) => {
    const target = aim(call, call.startedAt)
    if (Effect.isEffect(target)) {
      end(target)
      return undefined
    }
    const request = requestOf(call.outgoing, target.place, wallMillis())
    return api.startSendMessageOneway(target.address, request, budgetOf(call, target), (sent) => {
      end(isEnded(sent) && Exit.isSuccess(sent) ? Effect.void : concluded(call, target, sent))
    })
  }

  return { run, start }
}
