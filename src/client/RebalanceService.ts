import { Clock, Effect, Latch } from "effect"
import type { ClientMembers } from "./ClientMembers.ts"

/** Milliseconds between two rounds when nobody asks for one (Java `rocketmq.client.rebalance.waitInterval`). */
const WAIT_INTERVAL_MILLIS = 20_000
/** Milliseconds that two rounds are apart at least (Java `rocketmq.client.rebalance.minInterval`). */
const MIN_INTERVAL_MILLIS = 1_000

/** The loop that shares out queues among the members of the instance's consumer groups. Source: RocketMQ `RebalanceService`. */
export interface RebalanceService {
  /** Asks for a round soon: after a start, or when the broker says that a group has changed. */
  readonly wakeup: Effect.Effect<void>
  /** Rounds done so far. */
  readonly rounds: Effect.Effect<number>
}

/**
 * Starts the loop in the current scope: a round every 20 seconds, or soon after a {@link RebalanceService.wakeup}, never
 * more than one a second. A consumer whose round fails is logged and holds up no other.
 */
export const start = Effect.fnUntraced(function* (members: ClientMembers) {
  const clock = yield* Clock.Clock
  const asked = yield* Latch.make(false)
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  let rounds = 0

  const round = Effect.suspend(() =>
    Effect.forEach(
      [...members.consumerTable.values()],
      (consumer) =>
        Effect.catchCause(consumer.doRebalance, (cause) =>
          Effect.annotateLogs(Effect.logWarning(`the rebalance of group ${consumer.consumerGroup} failed`, cause), {
            group: consumer.consumerGroup
          })
        ),
      { discard: true }
    )
  )

  yield* Effect.suspend(() => Effect.timeoutOption(asked.await, WAIT_INTERVAL_MILLIS)).pipe(
    Effect.andThen(asked.close),
    Effect.andThen(
      Effect.suspend(() => {
        const begin = now()
        rounds++
        return Effect.andThen(
          round,
          Effect.suspend(() => Effect.sleep(Math.max(0, MIN_INTERVAL_MILLIS - (now() - begin))))
        )
      })
    ),
    Effect.forever,
    Effect.forkScoped({ startImmediately: true })
  )

  const self: RebalanceService = {
    wakeup: Effect.asVoid(asked.open),
    rounds: Effect.sync(() => rounds)
  }
  return self
})
