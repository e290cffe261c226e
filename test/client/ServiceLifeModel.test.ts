import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Exit, Fiber, Logger, Schema, Stream } from "effect"
import {
  DuplicateProducerGroup,
  NoNameServer,
  type StartError,
  type StartReason
} from "../../src/client/ClientError.ts"
import * as ServiceLife from "../../src/client/ServiceLife.ts"
import type { ServiceState } from "../../src/client/ServiceState.ts"
import { countFibers, runs, settle, timed, valueOf } from "../support/rig.ts"

const START_TIMEOUT = 1_000
const DRAIN_TIMEOUT = 300

/** The end of a step: as it should be, a typed failure, the one that lets a start be repeated, a defect, none at all. */
const Trouble = Schema.Literals(["fail", "duplicate", "die", "hang"])

const small = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

/** One start: how long each of its steps takes, and what goes wrong at which of them, if it has so many. */
const Attempt = Schema.Struct({
  turns: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 3 }))).check(
    Schema.isMinLength(1),
    Schema.isMaxLength(4)
  ),
  trouble: Trouble,
  at: small(8),
  /** Whether what was acquired last dies when it is released. */
  releaseDies: Schema.Boolean
})
type Attempt = typeof Attempt.Type

/** What a start does for which no attempt is left. */
const plain: Attempt = { turns: [1, 1], trouble: "fail", at: 8, releaseDies: false }

const Command = Schema.Union([
  Schema.Struct({ _tag: Schema.Literal("start"), callers: small(2) }),
  Schema.Struct({ _tag: Schema.Literal("interruptedStart"), turns: small(30), shared: Schema.Boolean }),
  /** When the last step has been taken, and nobody has been told yet. */
  Schema.Struct({ _tag: Schema.Literal("lateInterruption"), shared: Schema.Boolean }),
  Schema.Struct({
    _tag: Schema.Literal("shutdown"),
    callers: small(2),
    drain: Schema.Literals(["idle", "left", "die"])
  }),
  Schema.Struct({ _tag: Schema.Literal("startRacingShutdown"), turns: small(30) }),
  Schema.Struct({ _tag: Schema.Literal("interruptedShutdown"), turns: small(5) })
])
type Command = typeof Command.Type

const legalMoves = new Set([
  "CREATE_JUST > START_FAILED",
  "START_FAILED > RUNNING",
  "RUNNING > SHUTDOWN_ALREADY",
  // After a duplicate group.
  "START_FAILED > CREATE_JUST"
])

const failures: Readonly<Record<Attempt["trouble"], Effect.Effect<never, StartReason>>> = {
  fail: Effect.fail(new NoNameServer({ looked: ["nowhere"] })),
  duplicate: Effect.fail(new DuplicateProducerGroup({ group: "g", clientId: "c" })),
  die: Effect.die(new Error("a step died")),
  hang: Effect.never
}

const nothingToDo = () => {}

const yields = (turns: number) => Effect.repeat(Effect.yieldNow, { times: turns })

/** A life whose starts are the attempts, one after the other, and what it holds. */
const makeWorld = Effect.fnUntraced(function* (attempts: ReadonlyArray<Attempt>) {
  const held: Array<string> = []
  const wrong: Array<string> = []
  let begun = 0
  let drain: "idle" | "left" | "die" = "idle"
  let released = 0
  let atEnd = nothingToDo

  const resource = (name: string, dies: boolean) =>
    Effect.acquireRelease(
      Effect.sync(() => void held.push(name)),
      () =>
        Effect.suspend(() => {
          const last = held.pop()
          if (last !== name) wrong.push(`${name} released while ${last} was the last`)
          return dies ? Effect.die(new Error("a release died")) : Effect.void
        })
    )

  const life = yield* ServiceLife.make<ReadonlyArray<string>>({
    subject: "service s",
    number: "9",
    startTimeoutMillis: START_TIMEOUT,
    drainTimeoutMillis: DRAIN_TIMEOUT,
    isStartableAfter: (reason) => reason._tag === "DuplicateProducerGroup",
    acquire: Effect.fnUntraced(function* ({ step }) {
      const attempt = attempts[begun++] ?? plain
      for (const [index, turns] of attempt.turns.entries()) {
        const last = attempt.releaseDies && index === attempt.turns.length - 1
        const own = Effect.andThen(yields(turns), resource(`${begun}.${index}`, last))
        yield* step(
          `9.${index + 2}`,
          `step ${index}`,
          index === attempt.at ? Effect.andThen(own, failures[attempt.trouble]) : own
        )
      }
      return [...held]
    }),
    afterRunning: () => Effect.sync(() => atEnd()),
    drains: (_, bound) => [
      Effect.suspend(() => {
        if (drain === "die") return Effect.die(new Error("a drain died"))
        return drain === "left" ? Effect.as(Effect.sleep(bound), 1) : Effect.as(yields(2), 0)
      })
    ],
    released: () => {
      released++
      if (held.length > 0) wrong.push(`released too early: ${held.join(" ")}`)
    }
  })
  return {
    life,
    held,
    wrong,
    begun: () => begun,
    released: () => released,
    onRunning: (run: () => void) => {
      atEnd = run
    },
    drainWith: (how: typeof drain) => {
      drain = how
    }
  }
})

interface Outcome {
  readonly state: ServiceState
  readonly tag: string | undefined
}

const outcomes: Readonly<Record<Attempt["trouble"], Outcome>> = {
  duplicate: { state: "CREATE_JUST", tag: "DuplicateProducerGroup" },
  fail: { state: "START_FAILED", tag: "NoNameServer" },
  hang: { state: "START_FAILED", tag: "StartTimeout" },
  die: { state: "START_FAILED", tag: "defect" }
}

/** What a start must come to that nobody disturbs. */
const expected = (attempt: Attempt): Outcome =>
  attempt.at < attempt.turns.length ? outcomes[attempt.trouble] : { state: "RUNNING", tag: undefined }

const tagOf = (exit: Exit.Exit<unknown, StartError>): string | undefined => {
  if (Exit.isSuccess(exit)) return undefined
  const [reason] = exit.cause.reasons
  return reason?._tag === "Fail" ? reason.error.reason._tag : reason?._tag === "Die" ? "defect" : "interrupted"
}

const quiet = Effect.provide(Logger.layer([]))

describe("the model of a life", () => {
  it.effect.prop(
    "legal moves only; RUNNING holds all, the other states nothing; what was acquired is released, last first",
    {
      attempts: Arbitrary.schema(Schema.Array(Attempt).check(Schema.isMaxLength(6))),
      commands: Arbitrary.schema(Schema.Array(Command).check(Schema.isMaxLength(8)))
    },
    ({ attempts, commands }) => {
      const fibers = countFibers()
      return Effect.gen(function* () {
        const before = fibers.live()
        const { begun, drainWith, held, life, onRunning, released, wrong } = yield* makeWorld(attempts)
        const moves: Array<string> = []
        const seen: Array<ServiceState> = []
        const watcher = yield* Stream.runForEach(life.serviceStateChanges, (state) =>
          Effect.sync(() => {
            const last = seen.at(-1)
            if (last !== undefined) moves.push(`${last} > ${state}`)
            seen.push(state)
          })
        ).pipe(Effect.forkChild({ startImmediately: true }))
        let changes = 0
        const ticker = yield* Stream.runForEach(life.changes, () => Effect.sync(() => void changes++)).pipe(
          Effect.forkChild({ startImmediately: true })
        )
        yield* settle

        let model = yield* life.serviceState
        assert.strictEqual(model, "CREATE_JUST")
        const check = Effect.gen(function* () {
          yield* settle
          const all = (attempts[begun() - 1] ?? plain).turns.map((_, index) => `${begun()}.${index}`)
          assert.strictEqual(yield* life.serviceState, model)
          assert.deepStrictEqual(held, model === "RUNNING" ? all : [])
          assert.deepStrictEqual(life.running(), model === "RUNNING" ? all : undefined)
          assert.deepStrictEqual(wrong, [])
          assert.deepStrictEqual(
            moves.filter((move) => !legalMoves.has(move)),
            []
          )
          assert.strictEqual(seen.at(-1), model)
          const gone: string = life.refusal("work")?.actual ?? "RUNNING"
          assert.strictEqual(gone, model)
        })

        const run = Effect.fnUntraced(function* (command: Command) {
          const ready = model === "CREATE_JUST"
          const outcome = expected(attempts[begun()] ?? plain)
          switch (command._tag) {
            case "start": {
              const starts = Array.from({ length: command.callers + 1 }, () => Effect.exit(life.start))
              const { exit, millis } = yield* timed(Effect.all(starts, { concurrency: "unbounded" }))
              const [first, ...others] = valueOf(exit).map(tagOf)
              if (!ready) {
                assert.deepStrictEqual(
                  [first, ...others],
                  Array.from(starts, () => "IllegalServiceState")
                )
                return
              }
              model = outcome.state
              assert.strictEqual(first, outcome.tag)
              if (outcome.tag === "StartTimeout") assert.strictEqual(millis, START_TIMEOUT)
              else assert.strictEqual(millis, 0)
              // Who shares a start that ended without a word is told something all the same.
              const shared = outcome.tag === "defect" ? "StartInterrupted" : outcome.tag
              assert.deepStrictEqual(
                others,
                Array.from(others, () => shared)
              )
              return
            }
            case "interruptedStart": {
              const first = yield* Effect.forkChild(life.start, { startImmediately: true })
              const second = command.shared
                ? yield* Effect.forkChild(Effect.exit(life.start), { startImmediately: true })
                : undefined
              yield* yields(command.turns)
              yield* Fiber.interrupt(first)
              const tag = tagOf(yield* Fiber.await(first))
              const told = second === undefined ? undefined : tagOf(yield* Fiber.join(second))
              if (!ready) {
                assert.strictEqual(tag, "IllegalServiceState")
                return
              }
              yield* settle
              const state = yield* life.serviceState
              if (tag !== "interrupted") {
                // It was over by then; nothing takes back what it came to.
                assert.deepStrictEqual({ state, tag }, outcome)
              } else if (second !== undefined) {
                // A success that somebody shares stays theirs.
                if (told === undefined) assert.strictEqual(state, "RUNNING")
                else assert.include(["StartInterrupted", outcome.tag], told)
                if (told === "StartInterrupted") assert.strictEqual(state, "START_FAILED")
              } else {
                assert.include(["START_FAILED", "SHUTDOWN_ALREADY", outcome.state], state)
                assert.notStrictEqual(state, "RUNNING")
              }
              model = state
              return
            }
            case "lateInterruption": {
              if (!ready) return
              const first = yield* Effect.forkChild(life.start, { startImmediately: true })
              onRunning(() => first.interruptUnsafe())
              const second = command.shared
                ? yield* Effect.forkChild(life.start, { startImmediately: true })
                : undefined
              const { exit } = yield* timed(Fiber.await(first))
              onRunning(nothingToDo)
              if (outcome.state !== "RUNNING") {
                assert.strictEqual(tagOf(valueOf(exit)), outcome.tag)
                model = outcome.state
                if (second !== undefined) yield* Fiber.await(second)
                return
              }
              assert.strictEqual(tagOf(valueOf(exit)), "interrupted")
              if (second !== undefined) yield* Fiber.join(second)
              // Whoever shares it has it; whoever was interrupted has nothing that it could shut down.
              model = second === undefined ? "SHUTDOWN_ALREADY" : "RUNNING"
              return
            }
            case "shutdown":
            case "interruptedShutdown": {
              drainWith(command._tag === "shutdown" ? command.drain : "left")
              const callers = command._tag === "shutdown" ? command.callers + 1 : 1
              const left: Array<ServiceState> = []
              const one = Effect.andThen(
                life.shutdown,
                Effect.sync(() => void left.push(life.serviceStateNow()))
              )
              const fiber = yield* Effect.all(
                Array.from({ length: callers }, () => one),
                {
                  concurrency: "unbounded"
                }
              ).pipe(Effect.forkChild({ startImmediately: true }))
              if (command._tag === "interruptedShutdown") {
                yield* yields(command.turns)
                yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
              }
              const { exit, millis } = yield* timed(Fiber.await(fiber))
              if (command._tag === "shutdown") assert.isTrue(Exit.isSuccess(valueOf(exit)))
              // Not before the drain has ended, and not much later.
              const waits = command._tag === "interruptedShutdown" || command.drain === "left"
              if (model === "RUNNING") {
                assert.strictEqual(millis, waits ? DRAIN_TIMEOUT : 0)
                model = "SHUTDOWN_ALREADY"
              } else assert.strictEqual(millis, 0)
              // None returns before it is done, whoever does it.
              if (command._tag === "shutdown")
                assert.deepStrictEqual(
                  left,
                  Array.from(left, () => model)
                )
              return
            }
            case "startRacingShutdown": {
              drainWith("idle")
              const { exit } = yield* timed(
                Effect.all(
                  [Effect.exit(life.start), Effect.andThen(yields(command.turns), Effect.exit(life.shutdown))],
                  { concurrency: "unbounded" }
                )
              )
              const [start, stop] = valueOf(exit)
              assert.isTrue(Exit.isSuccess(stop))
              if (!ready) {
                assert.strictEqual(tagOf(start), "IllegalServiceState")
                if (model === "RUNNING") model = "SHUTDOWN_ALREADY"
                return
              }
              assert.strictEqual(tagOf(start), outcome.tag)
              // The shutdown had waited for the start.
              model = outcome.state === "RUNNING" ? "SHUTDOWN_ALREADY" : outcome.state
            }
          }
        })

        yield* check
        for (const command of commands) {
          yield* run(command)
          yield* check
        }
        drainWith("idle")
        yield* timed(life.shutdown)
        model = model === "RUNNING" ? "SHUTDOWN_ALREADY" : model
        yield* check
        // Each start gave back once, whichever way it ended.
        assert.strictEqual(released(), begun())
        assert.isAtLeast(changes, 1)
        yield* Fiber.interrupt(watcher)
        yield* Fiber.interrupt(ticker)
        yield* settle
        assert.strictEqual(fibers.live(), before)
      }).pipe(Effect.forkChild({ startImmediately: true }), Effect.flatMap(Fiber.join), fibers.provide, quiet)
    },
    runs(400)
  )
})
