import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Deferred, Effect, Exit, Fiber, Schema } from "effect"
import * as Zlib from "node:zlib"
import * as Inflater from "../../src/client/Inflater.ts"
import { SysFlag } from "../../src/message/SysFlag.ts"
import * as Compression from "../../src/protocol/Compression.ts"
import { memoryDuring } from "../support/memory.ts"

const MIB = 1024 * 1024
const ZSTD = SysFlag.COMPRESSED | SysFlag.COMPRESSION_ZSTD
const ZLIB = SysFlag.COMPRESSED | SysFlag.COMPRESSION_ZLIB

/** A kilobyte that unpacks to so many bytes of nothing. */
const bomb = (bytes: number): Uint8Array => Zlib.zstdCompressSync(Buffer.alloc(bytes))
const packed = (bytes: number): Uint8Array => Zlib.deflateSync(Buffer.alloc(bytes, "x"))

const forked = <A, E>(self: Effect.Effect<A, E>) => Effect.forkChild(self, { startImmediately: true })

describe("the inflater", () => {
  it.effect("hands a body that is not packed over at once, and holds nothing for it", () =>
    Effect.gen(function* () {
      const inflater = Inflater.make(10)
      const body = Buffer.alloc(1_000)
      const held = yield* inflater.inflate(body, 0, (out) => {
        assert.strictEqual(out, body)
        return Effect.sync(inflater.held)
      })
      assert.strictEqual(held, 0)
    })
  )

  it.effect("holds what a body is until it is handed over, whatever comes of that", () =>
    Effect.gen(function* () {
      const inflater = Inflater.make()
      for (const end of [Effect.void, Effect.fail("no"), Effect.die("bug"), Effect.interrupt]) {
        let held = -1
        const exit = yield* Effect.exit(
          inflater.inflate(packed(5_000), ZLIB, (out) => {
            held = inflater.held()
            assert.strictEqual(out.length, 5_000)
            return end
          })
        )
        assert.deepStrictEqual(exit._tag, end === Effect.void ? "Success" : "Failure")
        assert.strictEqual(held, 5_000)
        assert.strictEqual(inflater.held(), 0)
      }
    })
  )

  it.live("A22: unpacks in line what is short, and the rest off the main thread", () =>
    Effect.gen(function* () {
      const inflater = Inflater.make()
      const short = yield* forked(inflater.inflate(bomb(Compression.INLINE_OUTPUT_BYTES), ZSTD, Effect.succeed))
      assert.isDefined(short.pollUnsafe())
      const bodies = [bomb(Compression.INLINE_OUTPUT_BYTES + 1), bomb(30 * MIB), packed(30 * MIB)]
      for (const [i, body] of bodies.entries()) {
        const long = yield* forked(inflater.inflate(body, i < 2 ? ZSTD : ZLIB, (out) => Effect.succeed(out.length)))
        // It has begun, and the thread is free.
        assert.isUndefined(long.pollUnsafe())
        assert.isAbove(inflater.held(), 0)
        assert.isAbove(yield* Fiber.join(long), Compression.INLINE_OUTPUT_BYTES)
      }
      assert.strictEqual(inflater.held(), 0)
    })
  )

  it.live("keeps hundreds of bodies that become large within the budget, and the others wait", () =>
    Effect.gen(function* () {
      const inflater = Inflater.make()
      let most = 0
      let line = 0
      const body = bomb(30 * MIB)
      const { peakBytes } = yield* memoryDuring(
        Effect.forEach(
          Array.from({ length: 100 }),
          () =>
            inflater.inflate(body, ZSTD, (out) =>
              Effect.sync(() => {
                most = Math.max(most, inflater.held())
                line = Math.max(line, inflater.waiting())
                assert.strictEqual(out.length, 30 * MIB)
              })
            ),
          { concurrency: "unbounded", discard: true }
        )
      )
      assert.isAtMost(most, Inflater.INFLATE_BUDGET_BYTES)
      assert.isAtLeast(line, 90)
      // Without the budget it is three gigabytes and more. A codec gathers pieces and joins them, which doubles what it
      // makes, and the collector lets a hundred megabytes lie before it looks.
      assert.isBelow(peakBytes, 8 * Inflater.INFLATE_BUDGET_BYTES)
      assert.strictEqual(inflater.held(), 0)
      assert.strictEqual(inflater.waiting(), 0)
    })
  )

  it.effect("A22, A23: a body above the budget passes alone, and in turn", () =>
    Effect.gen(function* () {
      const inflater = Inflater.make(70_000)
      const gate = yield* Deferred.make<void>()
      const order: Array<string> = []
      const take = (name: string, bytes: number) =>
        forked(
          inflater.inflate(packed(bytes), ZLIB, (out) => {
            order.push(`${name} ${out.length}`)
            return name === "first" ? Deferred.await(gate) : Effect.void
          })
        )
      yield* take("first", 60_000)
      const large = yield* take("large", 300_000)
      const last = yield* take("last", 10)
      assert.deepStrictEqual(order, ["first 60000"])
      assert.strictEqual(inflater.waiting(), 2)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(large)
      yield* Fiber.join(last)
      assert.sameMembers(order, ["first 60000", "large 300000", "last 10"])
      assert.strictEqual(inflater.held(), 0)
    })
  )

  it.effect("an interruption leaves the line, and lets the next one through", () =>
    Effect.gen(function* () {
      const inflater = Inflater.make(200_000)
      const gate = yield* Deferred.make<void>()
      const first = yield* forked(inflater.inflate(packed(60_000), ZLIB, () => Deferred.await(gate)))
      const large = yield* forked(inflater.inflate(bomb(300_000), ZSTD, () => Effect.void))
      yield* Fiber.interrupt(large)
      assert.strictEqual(inflater.waiting(), 0)
      assert.strictEqual(inflater.held(), 60_000)
      yield* Fiber.interrupt(first)
      assert.strictEqual(inflater.held(), 0)
    })
  )

  it.effect("A26: fails typed for what is no packed body, or too large, and keeps no room", () =>
    Effect.gen(function* () {
      const inflater = Inflater.make()
      const kinds: Array<string> = []
      for (const [body, flag] of [
        [Buffer.from("junk"), ZSTD],
        [Buffer.from("junk"), SysFlag.COMPRESSED | 1024],
        [bomb(Compression.DEFAULT_MAX_OUTPUT_LENGTH + 1), ZSTD]
      ] as const) {
        const error = yield* Effect.flip(inflater.inflate(body, flag, () => Effect.void))
        kinds.push(error._tag === "CompressionError" ? error.kind : error._tag)
      }
      assert.deepStrictEqual(kinds, ["corrupt", "unsupported", "too-large"])
      assert.strictEqual(inflater.held(), 0)
    })
  )

  const Step = Schema.Struct({
    bytes: Schema.Literals([1, 5_000, 70_000, 400_000]),
    end: Schema.Literals(["open", "done", "interrupted"])
  })

  it.effect.prop(
    "whatever comes in whatever order, the budget is kept, nobody is forgotten, and nothing is left",
    { steps: Arbitrary.array(Arbitrary.schema(Step), { minLength: 1, maxLength: 20 }) },
    ({ steps }) =>
      Effect.gen(function* () {
        const budget = 200_000
        const inflater = Inflater.make(budget)
        const gate = yield* Deferred.make<void>()
        const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
        let handed = 0
        for (const { bytes, end } of steps) {
          const fiber = yield* forked(
            inflater.inflate(packed(bytes), ZLIB, (out) => {
              handed++
              assert.strictEqual(out.length, bytes)
              assert.isTrue(inflater.held() <= budget || inflater.held() === bytes)
              return end === "open" ? Deferred.await(gate) : Effect.void
            })
          )
          if (end === "interrupted") yield* Fiber.interrupt(fiber)
          else fibers.push(fiber)
        }
        yield* Deferred.succeed(gate, undefined)
        const exits = yield* Effect.forEach(fibers, (fiber) => Fiber.await(fiber))
        assert.isTrue(exits.every(Exit.isSuccess))
        assert.isAtLeast(handed, fibers.length)
        assert.deepStrictEqual([inflater.held(), inflater.waiting()], [0, 0])
      }),
    { arbitrary: { runs: 60 } }
  )
})
