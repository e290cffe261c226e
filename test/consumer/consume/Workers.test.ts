import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Fiber, Scope } from "effect"
import * as Workers from "../../../src/consumer/consume/Workers.ts"

/** Workers over a list of numbers, and what became of each. */
const rig = Effect.fnUntraced(function* <E, R>(
  concurrency: number,
  handler: (job: number) => Effect.Effect<unknown, E, R>
) {
  const context = yield* Effect.context<Exclude<R, Scope.Scope>>()
  const jobs: Array<number> = []
  const done: Array<number> = []
  const failed: Array<{ readonly job: number; readonly cause: Cause.Cause<E> }> = []
  const workers = yield* Workers.make({
    concurrency,
    next: () => jobs.shift(),
    handler,
    done: (job) => {
      done.push(job)
    },
    failed: (job, cause) => {
      failed.push({ job, cause })
    },
    annotations: (job) => ({ job }),
    context,
    now: () => 0
  })
  const offer = (...more: ReadonlyArray<number>) => {
    for (const job of more) jobs.push(job)
    workers.wake()
  }
  return { workers, offer, jobs, done, failed }
})

describe("Workers", () => {
  it.effect("runs what does not wait on the spot, in order, with one worker at work", () =>
    Effect.gen(function* () {
      const { done, offer, workers } = yield* rig(4, () => Effect.void)
      offer(1, 2, 3)
      assert.deepStrictEqual(done, [1, 2, 3])
      assert.strictEqual(workers.running(), 0)
    })
  )

  it.effect("runs as many at once as there are workers, and no more", () =>
    Effect.gen(function* () {
      const gates = new Map<number, Deferred.Deferred<void>>()
      const { done, offer, workers } = yield* rig(2, (job) =>
        Effect.suspend(() => {
          const gate = Deferred.makeUnsafe<void>()
          gates.set(job, gate)
          return Deferred.await(gate)
        })
      )
      offer(1, 2, 3)
      assert.strictEqual(workers.running(), 2)
      assert.deepStrictEqual([...gates.keys()], [1, 2])
      yield* Deferred.succeed(gates.get(2) ?? assert.fail("not begun"), undefined)
      assert.deepStrictEqual(done, [2])
      assert.deepStrictEqual([...gates.keys()], [1, 2, 3])
      workers.setConcurrency(3)
      offer(4)
      assert.strictEqual(workers.running(), 3)
      workers.setConcurrency(1)
      for (const job of [1, 3, 4]) yield* Deferred.succeed(gates.get(job) ?? assert.fail("not begun"), undefined)
      yield* workers.awaitIdle(() => true)
      offer(5, 6)
      assert.strictEqual(workers.running(), 1, "two of them have ended")
    })
  )

  it.effect("who waits until none runs finds what the last one did", () =>
    Effect.gen(function* () {
      const gates = [yield* Deferred.make<void, string>(), yield* Deferred.make<void, string>()] as const
      const { done, failed, offer, workers } = yield* rig(2, (job) => Deferred.await(job === 1 ? gates[0] : gates[1]))
      const found: Array<readonly [number, number]> = []
      for (const open of [Deferred.succeed(gates[0], undefined), Deferred.fail(gates[1], "no")]) {
        offer(found.length + 1)
        const waiting = yield* Effect.forkChild(
          Effect.andThen(
            workers.awaitIdle(() => true),
            Effect.sync(() => {
              found.push([done.length, failed.length])
            })
          ),
          { startImmediately: true }
        )
        yield* open
        yield* Fiber.join(waiting)
      }
      assert.deepStrictEqual(found, [
        [1, 0],
        [1, 1]
      ])
    })
  )

  it.effect("tells failures, defects and interruptions apart, and goes on", () =>
    Effect.gen(function* () {
      const { done, failed, offer } = yield* rig(1, (job) =>
        job === 1
          ? Effect.fail("no")
          : job === 2
            ? Effect.die("bug")
            : job === 3
              ? Effect.interrupt
              : job === 4
                ? Effect.suspend((): Effect.Effect<void> => {
                    throw new Error("thrown")
                  })
                : Effect.void
      )
      offer(1, 2, 3, 4, 5)
      while (done.length === 0) yield* Effect.yieldNow
      assert.deepStrictEqual(
        failed.map(({ cause, job }) => [job, cause.reasons[0]?._tag]),
        [
          [1, "Fail"],
          [2, "Die"],
          [3, "Interrupt"],
          [4, "Die"]
        ]
      )
      assert.deepStrictEqual(done, [5])
    })
  )

  it.effect("a handler that throws before it gives an effect is a defect", () =>
    Effect.gen(function* () {
      const { done, failed, offer } = yield* rig(1, (job): Effect.Effect<void> => {
        if (job === 1) throw new Error("thrown")
        return Effect.void
      })
      offer(1, 2)
      assert.strictEqual(failed.length, 1)
      assert.deepStrictEqual(done, [2])
    })
  )

  it.effect("an interrupted handler is told of, and another worker takes the place", () =>
    Effect.gen(function* () {
      const { done, failed, offer, workers } = yield* rig(1, (job) => (job === 1 ? Effect.never : Effect.void))
      offer(1)
      assert.strictEqual(
        workers.interrupt((job) => job === 1),
        1
      )
      while (failed.length === 0) yield* Effect.yieldNow
      offer(2)
      assert.deepStrictEqual(done, [2])
    })
  )

  it.effect("a job is done when what its handler acquired is released; the next has a scope of its own", () =>
    Effect.gen(function* () {
      const events: Array<string> = []
      const { done, offer } = yield* rig(1, (job) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            events.push(`acquired ${job}`)
          }),
          () =>
            Effect.sync(() => {
              events.push(`released ${job}, done ${done.includes(job)}`)
            })
        )
      )
      offer(1, 2, 3)
      while (done.length < 3) yield* Effect.yieldNow
      assert.deepStrictEqual(
        events,
        [1, 2, 3].flatMap((job) => [`acquired ${job}`, `released ${job}, done false`])
      )
    })
  )

  it.effect("closing the scope interrupts what runs, and tells of none", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      let interrupted = 0
      const { failed, offer } = yield* rig(2, () =>
        Effect.onInterrupt(Effect.never, () =>
          Effect.sync(() => {
            interrupted++
          })
        )
      ).pipe(Scope.provide(scope))
      offer(1, 2, 3)
      yield* Scope.close(scope, yield* Effect.exit(Effect.void))
      assert.strictEqual(interrupted, 2)
      assert.deepStrictEqual(failed, [])
    })
  )

  it.effect("gives handlers the services of its context", () =>
    Effect.gen(function* () {
      class Name extends Context.Service<Name, string>()("test/Name") {}
      const seen: Array<string> = []
      const { offer } = yield* rig(1, () =>
        Effect.map(Name, (name) => {
          seen.push(name)
        })
      ).pipe(Effect.provideService(Name, "ours"))
      offer(1)
      assert.deepStrictEqual(seen, ["ours"])
    })
  )
})
