import { Cause, Effect, Exit, Fiber, FiberMap, Option, Schema } from "effect"
import * as Millis from "../message/Millis.ts"
import * as ForeignText from "../message/ForeignText.ts"
import type { ClientMembers, MQConsumerInner } from "./ClientMembers.ts"

/** Something that every consumer of an instance has to do again and again: a round of rebalance, for instance. */
export interface ConsumerTask {
  /** Its name in log lines: `doRebalance`. */
  readonly name: string
  /** How long a consumer may take for it before it is interrupted, in milliseconds. */
  readonly limitMillis: number
  /** What is done for one consumer. */
  readonly run: (consumer: MQConsumerInner) => Effect.Effect<void>
  /** Called when one has ended that was still running when it was due again; nothing by default. */
  readonly afterMissed?: () => void
}

/** What some consumers have not done well; the others have. */
export class ConsumersFailed extends Schema.TaggedError<ConsumersFailed>()("ConsumersFailed", {
  /** A sentence for each of them, with its group. */
  problems: Schema.Array(Schema.String)
}) {
  override get message() {
    return this.problems.join("; ")
  }
}

/** A {@link ConsumerTask} of all consumers of an instance, side by side: whatever one of them does costs no other. */
export interface ConsumerTasks {
  /**
   * Starts it for every consumer whose last one has ended, and waits for none. Fails with every consumer whose last one
   * that ended had failed, or which took too long; all are started all the same.
   */
  readonly startAll: Effect.Effect<void, ConsumersFailed>
  /** The consumer of the group leaves: interrupts what runs of it, and waits for the end no longer than so. */
  readonly leave: (group: string, timeoutMillis: number) => Effect.Effect<void>
}

const describe = (cause: Cause.Cause<never>): string => {
  if (Cause.hasInterruptsOnly(cause)) return "it interrupted itself"
  return ForeignText.ofThrownWithName(Cause.squash(cause))
}

/**
 * Makes the task of all consumers registered in `members`; what runs of it ends with the current scope. A consumer that
 * fails or dies is logged with its cause; one that takes longer than the limit is logged and interrupted, and is not
 * started again before it has ended, even where it does not heed the interruption. Each is logged when it begins, not
 * every time, and when it works again.
 */
export const make = Effect.fnUntraced(function* (members: ClientMembers, task: ConsumerTask) {
  const running = yield* FiberMap.make<string>()
  /** By group, what was wrong with the last one that ended or took too long. */
  const problems = new Map<string, string>()
  /** The groups whose task was interrupted and has not ended yet. */
  const interrupted = new Set<string>()
  /** The groups whose task was due while it ran. */
  const missed = new Set<string>()

  const note = (group: string, problem: string | undefined, ...cause: ReadonlyArray<Cause.Cause<never>>) =>
    Effect.suspend(() => {
      if (problem === problems.get(group)) return Effect.void
      if (problem === undefined) problems.delete(group)
      else problems.set(group, problem)
      return Effect.annotateLogs(
        problem === undefined
          ? Effect.logInfo(`${task.name} of group ${group} works again`)
          : Effect.logWarning(`${task.name} of group ${group} failed: ${problem}`, ...cause),
        { group }
      )
    })

  const once = Effect.fnUntraced(function* (group: string, consumer: MQConsumerInner) {
    const fiber = yield* Effect.forkChild(
      Effect.suspend(() => task.run(consumer)),
      { startImmediately: true }
    )
    const exit =
      fiber.pollUnsafe() ??
      Option.getOrUndefined(yield* Effect.timeoutOption(Fiber.await(fiber), Math.max(0, task.limitMillis)))
    if (exit !== undefined) {
      return yield* Exit.isSuccess(exit) ? note(group, undefined) : note(group, describe(exit.cause), exit.cause)
    }
    yield* note(group, `it was interrupted, as it took longer than ${Millis.text(task.limitMillis)}`)
    interrupted.add(group)
    missed.delete(group)
    // Its place stays taken for as long as this takes.
    return yield* Effect.ensuring(
      Fiber.interrupt(fiber),
      Effect.sync(() => interrupted.delete(group))
    )
  })

  const startOne = ([group, consumer]: readonly [string, MQConsumerInner]): Effect.Effect<void> => {
    if (FiberMap.hasUnsafe(running, group)) {
      if (interrupted.has(group))
        return note(group, "it goes on although it was interrupted, and is not started again before it ends")
      missed.add(group)
      return Effect.void
    }
    return Effect.map(FiberMap.run(running, group, once(group, consumer)), (fiber) => {
      // Not by the fiber itself: its place is free only when it has ended.
      fiber.addObserver(() => {
        if (missed.delete(group)) task.afterMissed?.()
      })
    })
  }

  const self: ConsumerTasks = {
    startAll: Effect.suspend(() => Effect.forEach([...members.consumerTable], startOne, { discard: true })).pipe(
      Effect.andThen(
        Effect.suspend(() =>
          problems.size === 0
            ? Effect.void
            : Effect.fail(
                new ConsumersFailed({ problems: [...problems].map(([group, problem]) => `group ${group}: ${problem}`) })
              )
        )
      )
    ),
    leave: (group, timeoutMillis) =>
      Effect.andThen(
        Effect.timeoutOption(FiberMap.remove(running, group), timeoutMillis),
        Effect.sync(() => {
          problems.delete(group)
          missed.delete(group)
        })
      )
  }
  return self
})
