import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import * as SimulationRun from "../../src/testing/SimulationRun.ts"
import * as SimulationScheduler from "../../src/testing/SimulationScheduler.ts"
import { runs } from "../support/rig.ts"

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n)

/** Adds numbered tasks and takes them all; gives the order in which they ran. */
const orderOf = (draw: () => number, count: number) => {
  const scheduler = SimulationScheduler.make(draw)
  const order: Array<number> = []
  for (const n of numbers(count)) scheduler.add(() => order.push(n))
  for (let task = scheduler.next(); task !== undefined; task = scheduler.next()) task()
  return order
}

/** After how many operations a fiber has to let others in, so many times. */
const turnsOf = (draw: () => number, count: number) => {
  const scheduler = SimulationScheduler.make(draw)
  const fiber = Effect.runFork(Effect.void)
  return numbers(count).map(() => {
    let operations = 1
    while (!scheduler.shouldYield(fiber)) operations++
    return operations
  })
}

describe("SimulationScheduler", () => {
  it("runs nothing by itself", () => {
    const scheduler = SimulationScheduler.make(SimulationRun.seeded(1))
    const ran: Array<string> = []
    const fiber = Effect.runFork(
      Effect.andThen(
        Effect.yieldNow,
        Effect.sync(() => ran.push("fiber"))
      ),
      { scheduler }
    )
    scheduler.add(() => ran.push("task"))
    assert.deepStrictEqual(ran, [])
    assert.strictEqual(scheduler.ready(), 2)
    while (scheduler.ready() > 0) scheduler.next()?.()
    assert.sameMembers(ran, ["fiber", "task"])
    assert.strictEqual(scheduler.next(), undefined)
    assert.isDefined(fiber.pollUnsafe())
  })

  it.prop(
    "every task runs once, and the same numbers give the same order",
    { seed: Schema.String, count: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 60 })) },
    ({ count, seed }) => {
      const order = orderOf(SimulationRun.seeded(seed), count)
      assert.deepStrictEqual(
        order.toSorted((a, b) => a - b),
        numbers(count)
      )
      assert.deepStrictEqual(orderOf(SimulationRun.seeded(seed), count), order)
    },
    runs(200)
  )

  it("many orders come up, and the one in which tasks were added among them", () => {
    const orders = numbers(300).map((seed) => orderOf(SimulationRun.seeded(seed), 3).join(""))
    assert.deepStrictEqual([...new Set(orders)].toSorted(), ["012", "021", "102", "120", "201", "210"])
  })

  it("nobody waits forever: with tasks coming all the time each is taken in the end", () => {
    for (const seed of numbers(20)) {
      const scheduler = SimulationScheduler.make(SimulationRun.seeded(seed))
      const taken = new Set<number>()
      for (const n of numbers(10)) scheduler.add(() => taken.add(n))
      for (let turn = 0; taken.size < 10; turn++) {
        assert.isBelow(turn, 1_000)
        scheduler.add(() => {})
        scheduler.next()?.()
      }
    }
  })

  it("a fiber lets others in after 1 to 2,048 operations, by strides that differ from seed to seed", () => {
    const longest = numbers(40).map((seed) => Math.max(...turnsOf(SimulationRun.seeded(seed), 60)))
    assert.isAtLeast(Math.min(...longest), 2)
    assert.isAtMost(Math.max(...longest), 2_048)
    assert.isBelow(Math.min(...longest), 10)
    assert.isAbove(Math.max(...longest), 1_000)
    assert.deepStrictEqual(turnsOf(SimulationRun.seeded(7), 60), turnsOf(SimulationRun.seeded(7), 60))
  })

  it("a flush runs everything, and what that adds", () => {
    const scheduler = SimulationScheduler.make(SimulationRun.seeded(1))
    const ran: Array<number> = []
    scheduler.add(() => {
      ran.push(1)
      scheduler.add(() => ran.push(2))
    })
    scheduler.makeDispatcher().flush()
    assert.deepStrictEqual(ran, [1, 2])
  })

  it("two fibers that never wait take turns", () => {
    const scheduler = SimulationScheduler.make(SimulationRun.seeded(3))
    const ran: Array<string> = []
    const busy = (name: string) =>
      Effect.forEach(numbers(2_000), () => Effect.sync(() => ran.push(name)), { discard: true })
    const both = Effect.runFork(Effect.all([busy("a"), busy("b")], { concurrency: 2, discard: true }), { scheduler })
    while (scheduler.ready() > 0) scheduler.next()?.()
    assert.isDefined(both.pollUnsafe())
    assert.strictEqual(ran.length, 4_000)
    const changes = ran.filter((name, index) => index > 0 && name !== ran[index - 1]).length
    assert.isAbove(changes, 1)
    return Effect.runPromise(Fiber.join(both))
  })
})
