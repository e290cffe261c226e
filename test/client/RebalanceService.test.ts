import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Logger } from "effect"
import { TestClock } from "effect/testing"
import { makeMembers, type MQConsumerInner } from "../../src/client/ClientMembers.ts"
import * as RebalanceService from "../../src/client/RebalanceService.ts"
import { consumer } from "../support/members.ts"
import { ownScope, settle } from "../support/rig.ts"

/** No server is there that could ask for a round. */
const nobody = { handle: () => Effect.void }

/** Registers a consumer whose rebalance is written down with its time, and then does what is given. */
const member = Effect.fnUntraced(function* (
  consumerTable: Map<string, MQConsumerInner>,
  consumerGroup: string,
  doRebalance: Effect.Effect<void> = Effect.void
) {
  const clock = yield* Clock.Clock
  const rounds: Array<number> = []
  const round = Effect.suspend(() => {
    rounds.push(clock.currentTimeMillisUnsafe())
    return doRebalance
  })
  consumerTable.set(consumerGroup, consumer({ consumerGroup, doRebalance: round }))
  return rounds
})

describe("RebalanceService", () => {
  it.effect("A29: makes a round every 20 s, or soon when asked, and never more than one a second", () =>
    Effect.gen(function* () {
      const members = makeMembers()
      yield* member(members.consumerTable, "bad", Effect.die(new Error("bug")))
      yield* member(members.consumerTable, "worse", Effect.interrupt)
      const rounds = yield* member(members.consumerTable, "good")
      const service = yield* RebalanceService.start(members, nobody)
      yield* TestClock.adjust(20_000)
      assert.deepStrictEqual(rounds, [20_000])
      yield* TestClock.adjust(5_000)
      yield* service.wakeup
      yield* settle
      assert.deepStrictEqual(rounds, [20_000, 25_000])
      for (let i = 0; i < 20; i++) {
        yield* service.wakeup
        yield* TestClock.adjust(100)
      }
      assert.deepStrictEqual(rounds.slice(2), [26_000, 27_000])
      assert.strictEqual(yield* service.rounds, 4)
    }).pipe(Effect.scoped)
  )

  it.effect("a consumer that hangs costs the others no round, is told in the log, and gets its own again", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const members = makeMembers()
      const hanging = yield* member(members.consumerTable, "hangs", Effect.never)
      const rounds = yield* member(members.consumerTable, "good")
      yield* RebalanceService.start(members, nobody).pipe(
        Effect.provide(Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))]))
      )
      yield* TestClock.adjust(600_000)
      assert.deepStrictEqual(
        rounds,
        Array.from({ length: 30 }, (_, i) => (i + 1) * 20_000)
      )
      // Interrupted after 60 seconds, and begun anew with the next round.
      assert.deepStrictEqual(hanging.slice(0, 3), [20_000, 80_000, 140_000])
      assert.deepStrictEqual(lines, [
        "doRebalance of group hangs failed: it was interrupted, as it took longer than 60000 ms"
      ])
    }).pipe(Effect.scoped)
  )

  it.effect("what is asked for while a consumer is still at it is made up for when that one is done", () =>
    Effect.gen(function* () {
      const members = makeMembers()
      const slow = yield* member(members.consumerTable, "slow", Effect.sleep(4_500))
      const rounds = yield* member(members.consumerTable, "good")
      const service = yield* RebalanceService.start(members, nobody)
      yield* service.wakeup
      yield* settle
      yield* TestClock.adjust(2_000)
      yield* service.wakeup
      yield* settle
      assert.deepStrictEqual([slow, rounds], [[0], [0, 2_000]])
      yield* TestClock.adjust(2_500)
      yield* settle
      assert.deepStrictEqual(
        [slow, rounds],
        [
          [0, 4_500],
          [0, 2_000, 4_500]
        ]
      )
      yield* TestClock.adjust(10_000)
      assert.deepStrictEqual(slow, [0, 4_500])
    }).pipe(Effect.scoped)
  )

  it.effect("a round is no part of the span in which the loop was started", () =>
    Effect.gen(function* () {
      const parents: Array<string> = []
      const members = makeMembers()
      const parent = Effect.map(Effect.exit(Effect.currentParentSpan), ({ _tag }) => void parents.push(_tag))
      yield* member(members.consumerTable, "cg", parent)
      yield* Effect.withSpan(RebalanceService.start(members, nobody), "rocketmq.start 3.6")
      yield* TestClock.adjust(20_000)
      assert.deepStrictEqual(parents, ["Failure"])
    }).pipe(Effect.scoped)
  )

  it.effect("a consumer that leaves, or the end of the loop, interrupts what is under way", () =>
    Effect.gen(function* () {
      const ends: Array<string> = []
      const hanging = (name: string) => Effect.onInterrupt(Effect.never, () => Effect.sync(() => void ends.push(name)))
      const members = makeMembers()
      yield* member(members.consumerTable, "leaves", hanging("leaves"))
      yield* member(members.consumerTable, "stays", hanging("stays"))
      const { close, value: service } = yield* ownScope(RebalanceService.start(members, nobody))
      yield* TestClock.adjust(20_000)
      members.consumerTable.delete("leaves")
      yield* service.leave("leaves", 500)
      assert.deepStrictEqual(ends, ["leaves"])
      yield* close
      assert.deepStrictEqual(ends, ["leaves", "stays"])
      yield* TestClock.adjust(60_000)
      assert.strictEqual(yield* service.rounds, 1)
    })
  )
})
