import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Scheduler, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { mapStart, type Start } from "../../../src/producer/bulk/Starts.ts"

/** Who answers when it is told to, in whatever order. */
const makePeer = () => {
  const open = new Map<number, (exit: Exit.Exit<string, string>) => void>()
  const begun: Array<number> = []
  const cancelled: Array<number> = []
  const start: Start<number, string, string> = (_, key, done) => {
    begun.push(key)
    open.set(key, done)
    return () =>
      Effect.sync(() => {
        open.delete(key)
        cancelled.push(key)
      })
  }
  const settle = (exit: (key: number) => Exit.Exit<string, string>, keys: ReadonlyArray<number>) => {
    for (const key of keys) {
      const done = open.get(key)
      open.delete(key)
      done?.(exit(key))
    }
  }
  return {
    open,
    begun,
    cancelled,
    start,
    answer: (...keys: ReadonlyArray<number>) => settle((key) => Exit.succeed(`ok ${key}`), keys),
    refuse: (...keys: ReadonlyArray<number>) => settle((key) => Exit.fail(`no ${key}`), keys)
  }
}

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n)

/** Runs a stream in a fiber and keeps its chunks. */
const collect = Effect.fnUntraced(function* <A, E>(stream: Stream.Stream<A, E>) {
  const chunks: Array<ReadonlyArray<A>> = []
  const fiber = yield* Stream.runForEachArray(stream, (chunk) => Effect.sync(() => void chunks.push(chunk))).pipe(
    Effect.forkChild({ startImmediately: true })
  )
  return { chunks, fiber }
})

const turn = Effect.yieldNow

describe("mapStart", () => {
  it.effect("gives results in order, those of one turn as one chunk", () =>
    Effect.gen(function* () {
      const peer = makePeer()
      const { chunks, fiber } = yield* collect(mapStart(peer.start, 8)(Stream.fromIterable(numbers(6))))
      peer.answer(2, 1)
      yield* turn
      assert.deepStrictEqual(chunks, [])
      peer.answer(0, 5)
      yield* turn
      assert.deepStrictEqual(chunks, [["ok 0", "ok 1", "ok 2"]])
      peer.answer(4, 3)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(chunks[1], ["ok 3", "ok 4", "ok 5"])
    })
  )

  it.effect(
    "has no more than so many under way or waiting to be taken, and begins the next in the turn that makes room",
    () =>
      Effect.gen(function* () {
        const peer = makePeer()
        const { fiber } = yield* collect(mapStart(peer.start, 3)(Stream.fromIterable(numbers(7))))
        assert.deepStrictEqual(peer.begun, [0, 1, 2])
        peer.answer(1, 2)
        yield* turn
        assert.deepStrictEqual(peer.begun, [0, 1, 2])
        peer.answer(0)
        yield* turn
        assert.deepStrictEqual(peer.begun, [0, 1, 2, 3, 4, 5])
        peer.answer(3, 4, 5)
        yield* turn
        peer.answer(6)
        yield* Fiber.join(fiber)
      })
  )

  it.effect("waits for who takes the results", () =>
    Effect.gen(function* () {
      const peer = makePeer()
      const gate = yield* Deferred.make<void>()
      const fiber = yield* mapStart(
        peer.start,
        2
      )(Stream.fromIterable(numbers(9))).pipe(
        Stream.runForEach(() => Deferred.await(gate)),
        Effect.forkChild({ startImmediately: true })
      )
      peer.answer(0, 1)
      yield* turn
      peer.answer(2, 3)
      yield* turn
      assert.deepStrictEqual(peer.begun, [0, 1, 2, 3])
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect(
    "ends with the first failure: what is before it comes, what is under way is ended, nothing more begins",
    () =>
      Effect.gen(function* () {
        const peer = makePeer()
        const { chunks, fiber } = yield* collect(mapStart(peer.start, 4)(Stream.fromIterable(numbers(9))))
        peer.answer(0)
        peer.refuse(2)
        assert.strictEqual(yield* Effect.flip(Fiber.join(fiber)), "no 2")
        assert.deepStrictEqual(chunks, [["ok 0"]])
        assert.deepStrictEqual(peer.begun, [0, 1, 2, 3])
        assert.deepStrictEqual(peer.cancelled, [1, 3])
      })
  )

  it.effect("begins nothing behind one that fails at once", () =>
    Effect.gen(function* () {
      const begun: Array<number> = []
      const stream = mapStart<number, string, string>((_, key, done) => {
        begun.push(key)
        done(key === 1 ? Exit.fail("no 1") : Exit.succeed(`ok ${key}`))
        return () => Effect.void
      }, 5)(Stream.fromIterable(numbers(5)))
      const { chunks, fiber } = yield* collect(stream)
      assert.strictEqual(yield* Effect.flip(Fiber.join(fiber)), "no 1")
      assert.deepStrictEqual([begun, chunks], [[0, 1], [["ok 0"]]])
    })
  )

  it.effect("ends with the failure of its source when what is under way has ended", () =>
    Effect.gen(function* () {
      const peer = makePeer()
      const source = Stream.concat(Stream.fromIterable(numbers(2)), Stream.fail("source"))
      const { chunks, fiber } = yield* collect(mapStart(peer.start, 4)(source))
      peer.answer(1)
      yield* turn
      assert.isUndefined(fiber.pollUnsafe())
      peer.answer(0)
      assert.strictEqual(yield* Effect.flip(Fiber.join(fiber)), "source")
      assert.deepStrictEqual(chunks, [["ok 0", "ok 1"]])
    })
  )

  it.effect("an interruption ends all under way and closes the source; who answers later is not heard", () =>
    Effect.gen(function* () {
      const peer = makePeer()
      let closed = false
      const source = Stream.concat(Stream.fromIterable(numbers(3)), Stream.never).pipe(
        Stream.ensuring(Effect.sync(() => void (closed = true)))
      )
      const { chunks, fiber } = yield* collect(mapStart(peer.start, 8)(source))
      const late = peer.open.get(1)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(peer.cancelled, [0, 1, 2])
      assert.isTrue(closed)
      late?.(Exit.succeed("late"))
      yield* turn
      assert.deepStrictEqual(chunks, [])
    })
  )

  it.effect("interrupts a pull of the source that is under way", () =>
    Effect.gen(function* () {
      let interrupted = false
      const waiting = Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (interrupted = true)))
      const { fiber } = yield* collect(mapStart(makePeer().start, 2)(Stream.fromEffect(waiting)))
      yield* Fiber.interrupt(fiber)
      assert.isTrue(interrupted)
    })
  )

  it.effect("ends what is not wanted any more", () =>
    Effect.gen(function* () {
      const peer = makePeer()
      const stream = mapStart(peer.start, 4)(Stream.fromIterable(numbers(9))).pipe(Stream.take(1))
      const { chunks, fiber } = yield* collect(stream)
      peer.answer(0)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(chunks, [["ok 0"]])
      assert.strictEqual(peer.open.size, 0)
    })
  )

  it.effect("a source that waits holds back no result", () =>
    Effect.gen(function* () {
      const peer = makePeer()
      const { chunks, fiber } = yield* collect(mapStart(peer.start, 4)(Stream.concat(Stream.make(0), Stream.never)))
      peer.answer(0)
      yield* turn
      assert.deepStrictEqual(chunks, [["ok 0"]])
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("a second answer changes nothing", () =>
    Effect.gen(function* () {
      const peer = makePeer()
      const { chunks, fiber } = yield* collect(mapStart(peer.start, 2)(Stream.fromIterable(numbers(4))))
      const again = peer.open.get(0)
      peer.answer(0, 1)
      again?.(Exit.succeed("wrong"))
      yield* turn
      again?.(Exit.fail("wrong"))
      yield* turn
      peer.answer(3, 2)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(chunks, [
        ["ok 0", "ok 1"],
        ["ok 2", "ok 3"]
      ])
    })
  )

  it.effect("what throws is a defect; what answers at once takes no stack, however much of it there is", () =>
    Effect.gen(function* () {
      const thrown = yield* Stream.make(1).pipe(
        mapStart<number, number, never>(() => {
          throw new Error("a bug")
        }, 2),
        Stream.runDrain,
        Effect.exit
      )
      assert.isTrue(Exit.isFailure(thrown) && Cause.hasDies(thrown.cause))
      const sum = yield* Stream.range(1, 20_000).pipe(
        mapStart<number, number, never>((_, n, done) => {
          done(Exit.succeed(n))
          return () => Effect.void
        }, 7),
        Stream.runFold(
          () => 0,
          (a, b) => a + b
        )
      )
      assert.strictEqual(sum, 200_010_000)
    })
  )

  it.effect.each([0, -1, Number.NaN, 0.5])("has one under way with a concurrency of %s", (concurrency) =>
    Effect.gen(function* () {
      const peer = makePeer()
      const { fiber } = yield* collect(mapStart(peer.start, concurrency)(Stream.fromIterable(numbers(3))))
      assert.deepStrictEqual(peer.begun, [0])
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("has all under way without a bound", () =>
    Effect.gen(function* () {
      const peer = makePeer()
      const { fiber } = yield* collect(mapStart(peer.start, Infinity)(Stream.fromIterable(numbers(3_000))))
      assert.strictEqual(peer.begun.length, 3_000)
      peer.answer(...numbers(3_000))
      yield* Fiber.join(fiber)
    })
  )

  it("tells what is begun who runs the stream", async () => {
    class Caller extends Context.Service<Caller, string>()("test/Caller") {}
    const seen: Array<string> = []
    const stream = mapStart<number, number, never>((caller, n, done) => {
      seen.push(Context.getOrElse(caller.context, Caller, () => "nobody"))
      queueMicrotask(() => done(Exit.succeed(n)))
      return () => Effect.void
    }, 2)(Stream.fromIterable(numbers(4)))
    await Effect.runPromise(Effect.provideService(Stream.runDrain(stream), Caller, "me"))
    assert.deepStrictEqual(seen.splice(0), ["me", "me", "me", "me"])
    // An iterator has a fiber for each of its steps.
    const results: Array<number> = []
    for await (const n of Stream.toAsyncIterableWith(stream, Context.make(Caller, "I"))) results.push(n)
    assert.deepStrictEqual([results, seen], [numbers(4), ["I", "I", "I", "I"]])
  })

  it.effect.prop(
    "agrees with Stream.mapEffect, whoever answers when, and whatever the chunks",
    {
      latencies: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4 }))),
      concurrency: Schema.Int.check(Schema.isBetween({ minimum: 2, maximum: 9 })),
      chunk: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 7 })),
      fails: Schema.Int.check(Schema.isBetween({ minimum: -1, maximum: 12 })),
      // A fiber may have to pause at any of its steps; with fewer than three between two pauses none gets anywhere.
      opsBeforeYield: Schema.Literals([3, 4, 5, 7, 2_048])
    },
    ({ chunk, concurrency, fails, latencies, opsBeforeYield }) =>
      Effect.gen(function* () {
        /** Ends after so many turns. */
        const work = (n: number): Effect.Effect<number, string> => {
          const wait = Effect.forEach(numbers(latencies[n] ?? 0), () => turn, { discard: true })
          return Effect.andThen(wait, n === fails ? Effect.fail(`no ${n}`) : Effect.succeed(n))
        }
        const source = Stream.rechunk(Stream.fromIterable(numbers(latencies.length)), chunk)
        const run = Effect.fnUntraced(function* (stream: Stream.Stream<number, string>) {
          const got: Array<number> = []
          const exit = yield* Effect.exit(Stream.runForEach(stream, (n) => Effect.sync(() => void got.push(n))))
          return { got, exit: Exit.asVoid(exit) }
        })
        const expected = yield* run(Stream.mapEffect(source, work, { concurrency }))
        const ours = yield* run(
          mapStart<number, number, string>((_, n, done) => {
            const fiber = Effect.runFork(work(n))
            fiber.addObserver(done)
            return () => Fiber.interrupt(fiber)
          }, concurrency)(source)
        )
        assert.deepStrictEqual(ours.exit, expected.exit)
        // Where it fails, how much comes before it is a matter of who was faster.
        if (Exit.isSuccess(expected.exit)) assert.deepStrictEqual(ours.got, expected.got)
        else assert.deepStrictEqual(ours.got, numbers(ours.got.length))
      }).pipe(Effect.provideService(Scheduler.MaxOpsBeforeYield, opsBeforeYield)),
    { arbitrary: { runs: 200 } }
  )

  it.effect("cancels all at once at the end: the slowest decides how long that takes", () =>
    Effect.gen(function* () {
      const cancelled: Array<number> = []
      const start: Start<number, string, string> = (_, key) => () =>
        Effect.andThen(
          Effect.sleep("1 second"),
          Effect.sync(() => void cancelled.push(key))
        )
      const { fiber } = yield* collect(mapStart(start, 8)(Stream.fromIterable(numbers(5))))
      const end = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(cancelled, numbers(5))
      yield* Fiber.join(end)
    })
  )
})
