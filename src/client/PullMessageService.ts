import { Cause, Clock, Effect, FiberMap, Schedule } from "effect"
import { outlivesStep } from "./StartStep.ts"
import * as ForeignText from "../message/ForeignText.ts"
import * as Millis from "../message/Millis.ts"
import { monotonicMillis } from "../transport/Deadline.ts"

/** Milliseconds after which a pull loop that died is started again (Java `pullTimeDelayMillsWhenException`). */
const RESTART_PAUSE_MILLIS = 3_000
/** A loop that lived for so long, in milliseconds, is told of again when it dies just as it did before. */
const TOLD_AGAIN_AFTER_MILLIS = 60_000

/**
 * The pull loops of an instance's consumers, one for each queue that a consumer owns. A loop asks for messages only when
 * there is room for them, so that nothing queues up here.
 *
 * Source: RocketMQ `PullMessageService`, one thread that carries out the pulls of all queues.
 */
export interface PullMessageService {
  /**
   * Runs the loop of a queue until it ends by itself or is stopped; `key` names consumer group and queue. A loop that dies
   * is logged and started again after 3 seconds: a queue that is owned and not pulled by anybody would stand still without
   * a sign. What runs under the key already is stopped first, so that a queue is never pulled twice at once.
   */
  readonly start: (key: string, loop: Effect.Effect<void>) => Effect.Effect<void>
  /** Stops the loop under the key, if there is one, and waits for its end. */
  readonly stop: (key: string) => Effect.Effect<void>
  /** How many loops there are, those that wait to be started again included. */
  readonly size: Effect.Effect<number>
}

/** Makes the table of loops; those that are left when the current scope closes are interrupted. */
export const start = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const loops = yield* FiberMap.make<string, void, never>()
  const now = monotonicMillis(clock)

  const supervised = (key: string, loop: Effect.Effect<void>) => {
    let begin = now()
    let told: string | undefined
    const died = (cause: Cause.Cause<never>) =>
      Effect.suspend(() => {
        const text = ForeignText.ofThrownWithName(Cause.squash(cause))
        if (text === told && now() - begin < TOLD_AGAIN_AFTER_MILLIS) return Effect.void
        told = text
        return Effect.annotateLogs(
          Effect.logWarning(
            `the pull loop of ${key} died, and is started again in ${Millis.text(RESTART_PAUSE_MILLIS)}`,
            cause
          ),
          { queue: key }
        )
      })
    return Effect.suspend(() => {
      begin = now()
      return loop
    }).pipe(
      Effect.sandbox,
      Effect.tapError(died),
      Effect.retry(Schedule.spaced(RESTART_PAUSE_MILLIS)),
      Effect.orDie,
      outlivesStep
    )
  }

  const self: PullMessageService = {
    start: (key, loop) =>
      Effect.andThen(FiberMap.remove(loops, key), Effect.asVoid(FiberMap.run(loops, key, supervised(key, loop)))),
    stop: (key) => FiberMap.remove(loops, key),
    size: FiberMap.size(loops)
  }
  return self
})
