import { Effect, Latch } from "effect"
import type { Handlers } from "../transport/Handlers.ts"
import type { ClientMembers } from "./ClientMembers.ts"
import * as ConsumerTasks from "./ConsumerTasks.ts"
import * as ConsumerIdsPush from "./push/ConsumerIdsPush.ts"
import { outlivesStep } from "./StartStep.ts"

/** Milliseconds from one round to the next when nobody asks for one (Java `rocketmq.client.rebalance.waitInterval`). */
const WAIT_INTERVAL_MILLIS = 20_000
/** Milliseconds that two rounds are apart at least (Java `rocketmq.client.rebalance.minInterval`). */
const MIN_INTERVAL_MILLIS = 1_000
/**
 * Milliseconds that one consumer's part of a round may take. It asks a broker for the members of the group, and locks
 * queues, topic by topic, within 3 seconds each; what takes as long as three rounds is not slow, it hangs.
 */
export const REBALANCE_LIMIT_MILLIS = 3 * WAIT_INTERVAL_MILLIS

/** The loop that shares out queues among the members of the instance's consumer groups. Source: RocketMQ `RebalanceService`. */
export interface RebalanceService {
  /** Asks for a round soon: after a start, or when the broker says that a group has changed. */
  readonly wakeup: Effect.Effect<void>
  /** Rounds begun so far. */
  readonly rounds: Effect.Effect<number>
  /** The consumer of the group leaves: ends what of its rebalance is under way, within so many milliseconds. */
  readonly leave: ConsumerTasks.ConsumerTasks["leave"]
}

/**
 * Starts the loop in the current scope: a round every 20 seconds, or soon after a {@link RebalanceService.wakeup}, never
 * more than one a second. In a round all consumers rebalance side by side and the loop waits for none of them: one that
 * fails, dies or hangs is logged and costs the others nothing ({@link REBALANCE_LIMIT_MILLIS}). A round that finds a
 * consumer still at it is made up for as soon as that one is done. Brokers ask for a round by saying that a group has
 * changed.
 */
export const start = Effect.fnUntraced(function* (members: ClientMembers, handlers: Pick<Handlers, "handle">) {
  const asked = yield* Latch.make(false)
  let rounds = 0

  const tasks = yield* ConsumerTasks.make(members, {
    name: "doRebalance",
    limitMillis: REBALANCE_LIMIT_MILLIS,
    run: (consumer) => consumer.doRebalance,
    afterMissed: () => Latch.openUnsafe(asked)
  })

  const untilAsked = (millis: number) => Effect.andThen(Effect.timeoutOption(asked.await, millis), asked.close)

  const round = Effect.suspend(() => {
    rounds++
    // What is wrong has been logged, and the consumer gets its next round like the others.
    return Effect.ignore(tasks.startAll)
  })

  yield* untilAsked(WAIT_INTERVAL_MILLIS).pipe(
    Effect.andThen(
      round.pipe(
        Effect.andThen(Effect.sleep(MIN_INTERVAL_MILLIS)),
        Effect.andThen(untilAsked(WAIT_INTERVAL_MILLIS - MIN_INTERVAL_MILLIS)),
        Effect.forever
      )
    ),
    outlivesStep,
    Effect.forkScoped({ startImmediately: true })
  )

  const wakeup = Effect.asVoid(asked.open)
  yield* ConsumerIdsPush.register(handlers, wakeup)

  const self: RebalanceService = {
    wakeup,
    rounds: Effect.sync(() => rounds),
    leave: tasks.leave
  }
  return self
})
