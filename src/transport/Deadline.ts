import { Effect } from "effect"
import type { Clock, Fiber } from "effect"

/** The monotonic clock in milliseconds, fractions included: what every deadline, latency and age is measured by. */
export const monotonicMillis = (clock: Clock.Clock) => (): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

/** Starts an effect in a fiber that ends with its owner's scope. */
export type Run = <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>

/** What is due at a time (monotonic milliseconds), and the next deadline of the rest, `Infinity` for none. */
export const dueAt = <A extends { readonly deadline: number }>(
  all: Iterable<A>,
  time: number
): { readonly due: ReadonlyArray<A>; readonly next: number } => {
  const due: Array<A> = []
  let next = Infinity
  for (const one of all) {
    if (one.deadline <= time) due.push(one)
    else if (one.deadline < next) next = one.deadline
  }
  return { due, next }
}

/** One sleeping fiber for many deadlines: it is armed for the earliest, and not at all when there is none. */
export interface Deadline {
  /** Makes sure that a sweep happens at this time (monotonic milliseconds) or before. */
  readonly arm: (at: number) => void
  readonly isArmed: () => boolean
  readonly stop: () => void
}

/**
 * Makes a {@link Deadline}. `sweep` ends what is overdue and returns the next deadline, `Infinity` for none.
 *
 * Source: RocketMQ `NettyRemotingAbstract.scanResponseTable`, which looks every second instead.
 */
export const makeDeadline = (options: {
  readonly now: () => number
  readonly run: Run
  readonly sweep: (now: number) => number
}): Deadline => {
  const { now, run, sweep } = options
  let armedFor = Infinity
  let sleeper: Fiber.Fiber<void> | undefined

  const wake = () => {
    sleeper = undefined
    armedFor = Infinity
    arm(sweep(now()))
  }

  const arm = (at: number) => {
    if (at >= armedFor) return
    sleeper?.interruptUnsafe()
    armedFor = at
    // One turn of the event loop after the sleep: an answer that had already arrived when this process was too busy to
    // look is read in that turn, and wins over the timeout.
    sleeper = run(
      Effect.andThen(
        Effect.sleep(Math.max(0, Math.ceil(at - now()))),
        Effect.andThen(Effect.yieldNow, Effect.sync(wake))
      )
    )
  }

  return {
    arm,
    isArmed: () => sleeper !== undefined,
    stop: () => {
      sleeper?.interruptUnsafe()
      sleeper = undefined
      // The deadline is never armed again.
      armedFor = -Infinity
    }
  }
}
