import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Fiber, Logger, Scope } from "effect"
import { TestClock } from "effect/testing"
import { makeMembers } from "../../src/client/ClientMembers.ts"
import * as ConsumerTasks from "../../src/client/ConsumerTasks.ts"
import { advance, countFibers, ownScope, settle } from "../support/rig.ts"
import { consumer } from "../support/members.ts"

/** Tasks of consumers, each given as what it does when it is its turn. */
const rig = Effect.fnUntraced(function* (runs: Readonly<Record<string, Effect.Effect<void>>>) {
  const members = makeMembers()
  for (const [group, run] of Object.entries(runs)) {
    members.consumerTable.set(group, consumer({ consumerGroup: group, doRebalance: run }))
  }
  let missed = 0
  const { close, value: tasks } = yield* ownScope(
    ConsumerTasks.make(members, {
      name: "doRebalance",
      limitMillis: 1_000,
      run: ({ doRebalance }) => doRebalance,
      afterMissed: () => void missed++
    })
  )
  const lines: Array<string> = []
  const logger = Logger.make(({ cause, message }) => {
    lines.push([message, ...cause.reasons.map((reason) => Cause.squash(Cause.fromReasons([reason])))].join(" | "))
  })
  /** A round, and everything that can happen at once. */
  const round = Effect.matchEager(tasks.startAll, { onFailure: (e) => e.problems, onSuccess: () => [] }).pipe(
    Effect.provide(Logger.layer([logger])),
    Effect.tap(settle)
  )
  return { members, tasks, lines, missed: () => missed, close, round }
})

/** Counts how often it was started, and then does what is given. */
const counting = (run: Effect.Effect<void>) => {
  let count = 0
  const begin = Effect.suspend(() => {
    count++
    return run
  })
  return { run: begin, count: () => count }
}

describe("ConsumerTasks", () => {
  it.effect("run side by side: those that hang, die, throw or interrupt themselves cost the others nothing", () =>
    Effect.gen(function* () {
      const good = counting(Effect.sleep(10))
      const { lines, round } = yield* rig({
        hangs: Effect.never,
        dies: Effect.die(new Error("bug")),
        throws: Effect.suspend(() => {
          throw new TypeError("thrown")
        }),
        interrupts: Effect.interrupt,
        good: good.run
      })
      const wrong = [
        "group dies: Error: bug",
        "group throws: TypeError: thrown",
        "group interrupts: it interrupted itself"
      ]
      for (let i = 0; i < 5; i++) {
        assert.deepStrictEqual(yield* round, wrong)
        yield* TestClock.adjust(100)
      }
      assert.strictEqual(good.count(), 5)
      // Each once, with its cause, however often it fails.
      assert.deepStrictEqual(
        lines.map((line) => line.replace(/ \|.*/, "")),
        [
          "doRebalance of group dies failed: Error: bug",
          "doRebalance of group throws failed: TypeError: thrown",
          "doRebalance of group interrupts failed: it interrupted itself"
        ]
      )
      assert.include(lines[0], "| Error: bug")
    })
  )

  it.effect("one that hangs is interrupted after its time and told once, and is never started beside itself", () =>
    Effect.gen(function* () {
      const ends: Array<string> = []
      const hanging = counting(Effect.onInterrupt(Effect.never, () => Effect.sync(() => void ends.push("interrupted"))))
      const { lines, missed, round } = yield* rig({ cg: hanging.run })
      yield* round
      yield* TestClock.adjust(999)
      assert.deepStrictEqual(yield* round, [])
      assert.strictEqual(hanging.count(), 1)
      assert.deepStrictEqual([lines, ends], [[], []])
      yield* TestClock.adjust(1)
      const text = "it was interrupted, as it took longer than 1000 ms"
      assert.deepStrictEqual(lines, [`doRebalance of group cg failed: ${text}`])
      assert.deepStrictEqual(ends, ["interrupted"])
      assert.deepStrictEqual(yield* round, [`group cg: ${text}`])
      assert.strictEqual(hanging.count(), 2)
      yield* TestClock.adjust(1_000)
      assert.deepStrictEqual([lines.length, ends.length], [1, 2])
      // Not made up for: it would only hang again.
      assert.strictEqual(missed(), 0)
    })
  )

  it.effect("one that does not heed the interruption is told so, and waited for, before it is started again", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const deaf = counting(Effect.uninterruptible(Deferred.await(gate)))
      const good = counting(Effect.void)
      const { close, lines, round } = yield* rig({ deaf: deaf.run, good: good.run })
      yield* round
      yield* TestClock.adjust(1_000)
      for (let i = 0; i < 5; i++) {
        const [problem] = yield* round
        assert.include(problem, "is not started again before it ends")
        yield* TestClock.adjust(60_000)
      }
      assert.deepStrictEqual([deaf.count(), good.count()], [1, 6])
      assert.strictEqual(lines.length, 2)
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      yield* round
      assert.strictEqual(deaf.count(), 2)
      assert.deepStrictEqual(yield* round, [])
      assert.strictEqual(lines[2], "doRebalance of group deaf works again")
      yield* close
    })
  )

  it.effect("a round that one misses, because it is still at the last, is made up for when it has ended", () =>
    Effect.gen(function* () {
      const slow = counting(Effect.sleep(500))
      const { missed, round } = yield* rig({ cg: slow.run })
      yield* round
      yield* round
      yield* round
      assert.strictEqual(missed(), 0)
      yield* TestClock.adjust(500)
      assert.deepStrictEqual([slow.count(), missed()], [1, 1])
      yield* round
      yield* TestClock.adjust(500)
      assert.deepStrictEqual([slow.count(), missed()], [2, 1])
    })
  )

  it.effect("what runs of a consumer that leaves is interrupted, and waited for no longer than is said", () =>
    Effect.gen(function* () {
      const ends: Array<string> = []
      const mark = (name: string) => Effect.sync(() => void ends.push(name))
      const { close, members, round, tasks } = yield* rig({
        heeds: Effect.onInterrupt(Effect.never, () => mark("heeds")),
        deaf: Effect.uninterruptible(Effect.sleep(10_000)),
        stays: Effect.onInterrupt(Effect.never, () => mark("stays"))
      })
      yield* round
      const leave = (group: string) => {
        members.consumerTable.delete(group)
        return tasks.leave(group, 500)
      }
      yield* leave("heeds")
      yield* tasks.leave("nobody", 500)
      assert.deepStrictEqual(ends, ["heeds"])
      // As a release runs it: where nothing can be interrupted.
      const leaving = yield* Effect.forkChild(Effect.uninterruptible(leave("deaf")), { startImmediately: true })
      yield* TestClock.adjust(499)
      assert.isUndefined(leaving.pollUnsafe())
      yield* TestClock.adjust(1)
      yield* Fiber.join(leaving)
      yield* advance(10_000, 1_000)
      yield* close
      assert.deepStrictEqual(ends, ["heeds", "stays"])
    })
  )

  it.effect("leave no fiber when the scope closes", () =>
    Effect.gen(function* () {
      const fibers = countFibers()
      yield* Effect.gen(function* () {
        const before = fibers.live()
        const scope = yield* Scope.make()
        const { close, round } = yield* Scope.provide(rig({ a: Effect.never, b: Effect.sleep(10) }), scope)
        yield* round
        assert.isAbove(fibers.live(), before)
        yield* close
        yield* settle
        assert.strictEqual(fibers.live(), before)
      }).pipe(Effect.forkChild({ startImmediately: true }), Effect.flatMap(Fiber.join), fibers.provide)
    })
  )
})
