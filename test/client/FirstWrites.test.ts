import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as FirstWrites from "../../src/client/FirstWrites.ts"
import { runs } from "../support/rig.ts"

/** A write of one queue's offset: by which client, and how long it takes to the broker, in the broker, and back. */
interface Write {
  readonly client: number
  readonly there: number
  readonly within: number
  readonly back: number
}

/** Tables of offsets that are made as a broker makes them: looked for, and put in place a little later. */
const broker = () => {
  const tables = new Map<string, Map<number, number>>()
  return {
    tables,
    write: (table: string, queueId: number, { back, there, within }: Write) =>
      Effect.gen(function* () {
        yield* Effect.sleep(there)
        const found = tables.get(table)
        yield* Effect.sleep(within)
        if (found === undefined) tables.set(table, new Map([[queueId, queueId]]))
        else found.set(queueId, queueId)
        yield* Effect.sleep(back)
        return queueId
      })
  }
}

/** All writes at the same time; the queues whose offsets the broker has in the end. */
const kept = (writes: ReadonlyArray<Write>, byClient: ReadonlyArray<FirstWrites.FirstWrites | undefined>) =>
  Effect.gen(function* () {
    const { tables, write } = broker()
    const fiber = yield* Effect.forkChild(
      Effect.forEach(
        writes,
        (one, queueId) => {
          const plain = write("a b c", queueId, one)
          return byClient[one.client]?.write("a b c", plain) ?? plain
        },
        { concurrency: "unbounded" }
      )
    )
    yield* TestClock.adjust(10_000)
    const answers = yield* Fiber.join(fiber)
    return { answers, queues: [...(tables.get("a b c")?.keys() ?? [])].toSorted((a, b) => a - b) }
  })

const millis = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** Within a broker it takes less time than on the way there. */
const Writes = Schema.Array(
  Schema.Struct({ client: millis(0, 1), there: millis(5, 9), within: millis(0, 3), back: millis(5, 9) })
).check(Schema.isMaxLength(12))

describe("first writes of a table", () => {
  it.effect.prop(
    "all offsets are kept and answered, of two clients that begin at the same time",
    [Writes],
    ([writes]) =>
      Effect.gen(function* () {
        const { answers, queues } = yield* kept(writes, [FirstWrites.make(), FirstWrites.make()])
        const all = writes.map((_, queueId) => queueId)
        assert.deepStrictEqual(queues, all)
        assert.deepStrictEqual(answers, all)
      }),
    runs(300)
  )

  it.effect("the broker of this test loses them otherwise, as a real one does", () =>
    Effect.gen(function* () {
      const write: Write = { client: 0, there: 5, within: 1, back: 5 }
      assert.deepStrictEqual((yield* kept([write, write], [undefined])).queues, [1])
    })
  )

  it.effect("what is begun is written at once, and once", () =>
    Effect.gen(function* () {
      const first = FirstWrites.make()
      let writes = 0
      const write = Effect.sync(() => ++writes)
      assert.strictEqual(yield* first.write("a", write), 2)
      assert.strictEqual(yield* first.write("a", write), 3)
      assert.strictEqual(yield* first.write("b", write), 5)
      assert.strictEqual(yield* first.write("a", write), 6)
    })
  )

  it.effect("a first write that fails, or is given up, holds up no other, and the next one begins", () =>
    Effect.gen(function* () {
      const first = FirstWrites.make()
      const gate = yield* Deferred.make<void>()
      const failing = yield* Effect.forkChild(
        Effect.exit(first.write("a", Effect.andThen(Deferred.await(gate), Effect.fail("down"))))
      )
      yield* TestClock.adjust(1)
      let writes = 0
      const write = Effect.sync(() => ++writes)
      const waiting = yield* Effect.forkChild(first.write("a", write))
      yield* TestClock.adjust(1)
      assert.strictEqual(writes, 0)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Fiber.join(failing))._tag, "Failure")
      assert.strictEqual(yield* Fiber.join(waiting), 1)

      const hanging = yield* Effect.forkChild(first.write("a", Effect.never))
      yield* TestClock.adjust(1)
      const after = yield* Effect.forkChild(first.write("a", write))
      yield* TestClock.adjust(1)
      yield* Fiber.interrupt(hanging)
      assert.strictEqual(yield* Fiber.join(after), 2)
      assert.strictEqual(yield* first.write("a", write), 4, "the next one begins")
    })
  )

  it.effect("no more than ten thousand tables are remembered", () =>
    Effect.gen(function* () {
      const first = FirstWrites.make()
      let writes = 0
      const write = Effect.sync(() => ++writes)
      for (let table = 0; table <= 10_000; table++) yield* first.write(`${table}`, write)
      assert.strictEqual(writes, 20_002)
      yield* first.write("10000", write)
      assert.strictEqual(writes, 20_003, "remembered")
      yield* first.write("0", write)
      assert.strictEqual(writes, 20_005, "the oldest is forgotten")
    })
  )
})
