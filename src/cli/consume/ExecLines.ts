import { Console, Deferred, Duration, Effect, Fiber, Queue, Scope, Semaphore, Stream } from "effect"
import type { Cause } from "effect"
import { ChildProcessSpawner } from "effect/process"
import * as ForeignText from "../../message/ForeignText.ts"
import type { ReceivedMessage } from "../../consumer/ReceivedMessage.ts"
import type { Explained } from "../Failure.ts"
import { palette, Screen } from "../Screen.ts"
import { count, duration } from "../Text.ts"
import { cannotRun, type Handle, spawn, unusable } from "./Exec.ts"

/** An answer has so many characters at most: `ok` or `fail`. */
const MAX_ANSWER = 200
/** So often in a row the process may end without an answer; then none will ever come. */
const MAX_DEATHS = 5
/** The pause before a process that ended without an answer is started again, in milliseconds. */
const PAUSE_MILLIS = 500
/** How long the process may take to end by itself once its input has ended, in milliseconds. */
const END_MILLIS = 2_000

/** One life of the process: what it was asked and has not answered yet, in order. */
interface Life {
  readonly input: Queue.Queue<Uint8Array, Cause.Done>
  readonly asked: Array<Deferred.Deferred<boolean>>
  answers: number
  /** Why it is to end, set from outside. */
  readonly broken: Deferred.Deferred<string>
}

/** Takes the lines out of the chunks of an output; gives what is wrong with it. */
const answering = (life: Life) => {
  const decoder = new TextDecoder()
  let rest = ""
  return (chunk: Uint8Array): string | undefined => {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) {
      const answer = line.trimEnd()
      if (answer !== "ok" && answer !== "fail") return `answered "${ForeignText.excerpt(answer, 60)}"`
      const asked = life.asked.shift()
      if (asked === undefined) return `answered "${answer}" to nothing`
      life.answers++
      Deferred.doneUnsafe(asked, Effect.succeed(answer === "ok"))
    }
    return rest.length > MAX_ANSWER ? "answered a line without end" : undefined
  }
}

/**
 * Runs one process of the user's, which reads a message a line and answers each, in order, with a line `ok` or `fail`. What it
 * has not answered when it ends, answers something else, or is late, is not done, and the next message starts it anew: after
 * such a thing nobody knows which line an answer is for. Where it ends again and again without any answer, the run ends.
 */
export const make = Effect.fnUntraced(function* (
  command: string,
  timeoutMillis: number,
  lineOf: (message: ReceivedMessage) => string
) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const screen = yield* Screen
  const scope = yield* Scope.Scope
  const starting = yield* Semaphore.make(1)
  const hopeless = yield* Deferred.make<never, Explained>()
  const encoder = new TextEncoder()
  let current: { readonly life: Life; readonly fiber: Fiber.Fiber<void> } | undefined
  let deaths = 0

  /** What is told and decided of a life that is over; what it has not answered is not done. */
  const end = (life: Life, why: string) =>
    Effect.gen(function* () {
      if (current?.life === life) current = undefined
      const left = life.asked.splice(0)
      deaths = life.answers > 0 ? 0 : deaths + 1
      const colors = palette(screen.stderr)
      yield* Console.error(
        `${colors.warn("warning:")} the command of --exec-lines ${why}${left.length === 0 ? "" : `; ${count(left.length, "message")} not done`}`
      )
      if (deaths >= MAX_DEATHS) {
        yield* Deferred.fail(hopeless, unusable("exec-lines", `${why}, ${MAX_DEATHS} times without an answer`))
      }
      for (const asked of left) Deferred.doneUnsafe(asked, Effect.succeed(false))
    })

  /** The process from its start to its end. */
  const live = (life: Life) =>
    Effect.gen(function* () {
      const process = yield* spawn(command, { stdin: Stream.fromQueue(life.input), stdout: "pipe" })
      const read = answering(life)
      const reading = Stream.runForEach(process.stdout, (chunk) => {
        const problem = read(chunk)
        return problem === undefined ? Effect.void : Effect.fail(problem)
      }).pipe(
        Effect.andThen(process.exitCode),
        Effect.matchEffect({
          onFailure: (problem) => Effect.succeed(typeof problem === "string" ? problem : "was killed"),
          onSuccess: (code) =>
            cannotRun(code)
              ? Effect.as(
                  Deferred.fail(hopeless, unusable("exec-lines", `cannot be run (exit code ${code})`)),
                  `ended with exit code ${code}`
                )
              : Effect.succeed(`ended with exit code ${code}`)
        })
      )
      // Before it is killed, which may take a while.
      yield* end(life, yield* Effect.raceFirst(reading, Deferred.await(life.broken)))
    }).pipe(
      Effect.scoped,
      Effect.provideService(ChildProcessSpawner.ChildProcessSpawner, spawner),
      Effect.catch((error) => end(life, `could not be started: ${ForeignText.excerpt(error.message, 200)}`))
    )

  const begin = Effect.fnUntraced(function* () {
    const life: Life = {
      input: yield* Queue.unbounded<Uint8Array, Cause.Done>(),
      asked: [],
      answers: 0,
      broken: Deferred.makeUnsafe()
    }
    current = { life, fiber: yield* Effect.forkIn(live(life), scope) }
    return life
  })

  const alive = starting.withPermits(1)(
    Effect.suspend(() => {
      if (current !== undefined) return Effect.succeed(current.life)
      return deaths === 0 ? begin() : Effect.andThen(Effect.sleep(PAUSE_MILLIS), begin())
    })
  )

  const ask = (message: ReceivedMessage) =>
    Effect.flatMap(alive, (life) =>
      Effect.suspend(() => {
        // It may have ended since.
        if (current?.life !== life) return Effect.succeed(false)
        const answer = Deferred.makeUnsafe<boolean>()
        life.asked.push(answer)
        Queue.offerUnsafe(life.input, encoder.encode(`${lineOf(message)}\n`))
        return Deferred.await(answer).pipe(
          Effect.timeoutOrElse({
            duration: timeoutMillis,
            orElse: () =>
              Deferred.succeed(life.broken, `did not answer within ${duration(timeoutMillis)}`).pipe(
                Effect.andThen(Deferred.await(answer))
              )
          })
        )
      })
    )

  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      if (current === undefined) return Effect.void
      const { fiber, life } = current
      current = undefined
      return Queue.end(life.input).pipe(
        Effect.andThen(Effect.timeoutOption(Fiber.await(fiber), Duration.millis(END_MILLIS))),
        Effect.andThen(Fiber.interrupt(fiber))
      )
    })
  )

  const handle: Handle = (message) => Effect.raceFirst(ask(message), Deferred.await(hopeless))
  return handle
})
