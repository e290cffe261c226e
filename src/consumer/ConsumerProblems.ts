import { Deferred, Effect, FiberMap, type Scope } from "effect"
import * as ForeignText from "../message/ForeignText.ts"
import { ConsumerFailed } from "./ConsumerFailed.ts"
import type { ConsumerProblem } from "./ConsumerState.ts"

/** How many problems are kept; each is of a queue, a topic or the group. */
const MAX_PROBLEMS = 1_000

/** How long something is shown that has happened and does not last, after the last time. */
const SHOWN_MILLIS = 600_000

/** What a problem means: the consumer goes on, or `failed` and `run` end. */
export type OnProblem = (problem: ConsumerProblem) => "continue" | "fail"

/** What is wrong with a consumer. */
export interface ConsumerProblems {
  /** Notes that something is wrong, under a key, or that it is not any more. */
  readonly note: (key: string, text: string | undefined) => Effect.Effect<void>
  /** Notes something that has happened, and whose end nothing tells: it is shown for ten minutes after the last time. */
  readonly happened: (key: string, text: string) => Effect.Effect<void>
  /** What is wrong now. */
  readonly all: () => ReadonlyArray<ConsumerProblem>
}

/** Makes the list of a consumer's problems, each told in the log when it begins and when it is over. */
export const make = Effect.fnUntraced(function* (options: {
  readonly group: string
  /** Milliseconds since the epoch. */
  readonly nowMillis: () => number
  readonly changed: Effect.Effect<void>
  /** The user's word; undefined: it goes on. */
  readonly onProblem: OnProblem | undefined
  /** Failed by the first problem that is to end the program. */
  readonly failed: Deferred.Deferred<never, ConsumerFailed>
}): Effect.fn.Return<ConsumerProblems, never, Scope.Scope> {
  const { changed, failed, group, nowMillis, onProblem } = options
  const problems = new Map<string, ConsumerProblem>()
  const expiring = yield* FiberMap.make<string, void, never>()

  const judge = (problem: ConsumerProblem) =>
    Effect.suspend(() => {
      if (onProblem === undefined) return Effect.void
      return Effect.matchEffect(
        Effect.try(() => onProblem(problem)),
        {
          onSuccess: (verdict) =>
            verdict === "fail"
              ? Deferred.fail(failed, new ConsumerFailed({ group, key: problem.key, problem: problem.text }))
              : Effect.void,
          onFailure: ({ cause }) =>
            Effect.logError(
              `onProblem of group ${group} threw, the consumer goes on: ${ForeignText.ofThrown(cause, 200)}`
            )
        }
      )
    })

  const note: ConsumerProblems["note"] = (key, text) =>
    Effect.suspend(() => {
      const known = problems.get(key)
      if (text === undefined) {
        if (known === undefined) return Effect.void
        problems.delete(key)
        return Effect.andThen(Effect.logInfo(`group ${group}: ${key} is well again`), changed)
      }
      if (known?.text === text || (known === undefined && problems.size >= MAX_PROBLEMS)) return Effect.void
      const problem: ConsumerProblem = { key, text, since: known?.since ?? nowMillis() }
      problems.set(key, problem)
      // One line when it begins, not one for every change of words.
      if (known !== undefined) return changed
      return Effect.logWarning(`group ${group}: ${text}`).pipe(
        Effect.andThen(changed),
        Effect.andThen(judge(problem)),
        Effect.asVoid
      )
    })

  const expire = (key: string) =>
    Effect.andThen(
      Effect.sleep(SHOWN_MILLIS),
      Effect.suspend(() => (problems.delete(key) ? changed : Effect.void))
    )

  const self: ConsumerProblems = {
    note,
    happened: (key, text) =>
      Effect.andThen(
        note(key, text),
        Effect.suspend(() =>
          problems.has(key)
            ? Effect.asVoid(FiberMap.run(expiring, key, expire(key), { startImmediately: true }))
            : Effect.void
        )
      ),
    all: () => [...problems.values()]
  }
  return self
})
