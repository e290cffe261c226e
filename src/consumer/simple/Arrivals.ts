import { Effect, Fiber, FiberMap, Option } from "effect"
import type { PopCalls, PopTarget } from "../../client/PopCalls.ts"

/** For how long a broker is asked to hold one question, in milliseconds. */
const HOLD_MILLIS = 15_000
/** The pause after a question that failed, or that a broker would not hold, in milliseconds. */
const PAUSE_MILLIS = 1_000
/** The least that a question takes, whatever a broker answers at once, in milliseconds. */
const LEAST_MILLIS = 100

/** Tells when brokers have something to pop. */
export interface Arrivals {
  /** Waits until one of the targets may have something, or it is time to look anyway. */
  readonly wait: (targets: ReadonlyArray<PopTarget>) => Effect.Effect<void>
}

const keyOf = ({ address, subscription }: PopTarget) => `${subscription.topic} ${address}`

/**
 * Makes it in the current scope. A broker holds one question of each topic, however many wait; who stops waiting leaves it
 * there for the next. So brokers, which keep what is not theirs to end, never gather any.
 *
 * Source: RocketMQ `NotificationProcessor`, `PopLongPollingService`.
 */
export const make = Effect.fnUntraced(function* (calls: Pick<PopCalls, "notification">, now: () => number) {
  const asked = yield* FiberMap.make<string, void>()

  const ask = (target: PopTarget) =>
    Effect.suspend(() => {
      const begin = now()
      return Effect.flatMap(Effect.result(calls.notification(target, HOLD_MILLIS)), (answer) => {
        if (answer._tag === "Failure" || answer.success.pollingFull) return Effect.sleep(PAUSE_MILLIS)
        const left = LEAST_MILLIS - (now() - begin)
        // One that is told of at once was there at the look before, and somebody else has it.
        return left > 0 ? Effect.sleep(left) : Effect.void
      })
    })

  /** The question that is held, or a new one. */
  const held = (target: PopTarget) =>
    Effect.suspend(() => {
      const fiber = FiberMap.getUnsafe(asked, keyOf(target))
      return Option.isSome(fiber)
        ? Effect.succeed(fiber.value)
        : FiberMap.run(asked, keyOf(target), ask(target), { startImmediately: true })
    })

  const self: Arrivals = {
    wait: (targets) =>
      Effect.raceAllFirst(
        targets.map((target) => Effect.flatMap(held(target), (fiber) => Effect.asVoid(Fiber.await(fiber))))
      )
  }
  return self
})
