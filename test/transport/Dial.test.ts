import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Random, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as MemoryWire from "../../src/transport/MemoryWire.ts"
import * as RemotingClient from "../support/remoting.ts"
import { ClientClosed, ConnectFailed, ConnectionClosed, RequestTimeout } from "../../src/transport/RemotingError.ts"
import type { RemotingError } from "../../src/transport/RemotingError.ts"
import { clockMillis, makePeer, request } from "./support.ts"

const failure = <A>(call: Effect.Effect<A, RemotingError>) =>
  Effect.flatMap(Effect.flip(call), (error) => Effect.map(clockMillis, (at) => ({ error, at })))
const forked = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })
const nowhere = "nowhere:1"

/** Microseconds of the pauses after five failed dials. */
const pausesOf = (seed: string) =>
  Effect.gen(function* () {
    const client = yield* RemotingClient.make({})
    const out: Array<number> = []
    for (let attempt = 0; attempt < 5; attempt++) {
      const error = yield* Effect.flip(client.invoke(nowhere, request(1), 1000))
      assert.instanceOf(error, ConnectFailed)
      out.push(Math.round(error.retryAfterMillis * 1000))
      yield* TestClock.adjust(Math.ceil(error.retryAfterMillis))
    }
    return out
  }).pipe(Random.withSeed(seed))

describe("dialling", () => {
  it.effect("one dial for many callers, and a failed one wakes them all", () =>
    Effect.gen(function* () {
      const network = yield* MemoryWire.MemoryNetwork
      const client = yield* RemotingClient.make({})
      yield* network.setReachable(nowhere, "blackhole")
      const fibers = yield* Effect.forEach([1, 2, 3, 4, 5], (code) =>
        forked(failure(client.invoke(nowhere, request(code), 10_000)))
      )
      assert.deepStrictEqual(
        client.connections().map(({ state, waiting }) => [state, waiting]),
        [["connecting", 5]]
      )
      yield* TestClock.adjust(3000)
      for (const fiber of fibers) {
        const { at, error } = yield* Fiber.join(fiber)
        assert.strictEqual(at, 3000)
        assert.instanceOf(error, ConnectFailed)
        assert.deepStrictEqual([error.kind, error.outcome, error.address], ["timeout", "not-sent", nowhere])
        assert.isAbove(error.retryAfterMillis, 0)
      }
      assert.strictEqual(yield* network.dials(nowhere), 1)
      assert.strictEqual(client.connections()[0]?.state, "backing-off")
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("a caller gives up waiting for the dial at its own timeout; the dial goes on for the others", () =>
    Effect.gen(function* () {
      const network = yield* MemoryWire.MemoryNetwork
      const client = yield* RemotingClient.make({})
      yield* network.setReachable(nowhere, "blackhole")
      const hurried = yield* forked(failure(client.invoke(nowhere, request(1), 700)))
      const patient = yield* forked(failure(client.invoke(nowhere, request(2), 10_000)))
      const interrupted = yield* forked(client.invoke(nowhere, request(3), 10_000))
      yield* Fiber.interrupt(interrupted)
      assert.strictEqual(client.connections()[0]?.waiting, 2)
      yield* TestClock.adjust(700)
      const { at, error } = yield* Fiber.join(hurried)
      assert.strictEqual(at, 700)
      assert.instanceOf(error, RequestTimeout)
      assert.deepStrictEqual([error.sent, error.outcome], [false, "not-sent"])
      assert.strictEqual(patient.pollUnsafe(), undefined)
      yield* TestClock.adjust(2300)
      assert.instanceOf((yield* Fiber.join(patient)).error, ConnectFailed)
      assert.strictEqual(yield* network.dials(nowhere), 1)
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("a black hole costs other addresses nothing", () =>
    Effect.gen(function* () {
      const network = yield* MemoryWire.MemoryNetwork
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({})
      yield* network.setReachable(nowhere, "blackhole")
      yield* forked(Effect.exit(client.invoke(nowhere, request(1), 10_000)))
      const fiber = yield* forked(client.invoke(peer.address, request(2), 10_000))
      const connection = yield* peer.accept
      yield* connection.answer(yield* connection.next)
      yield* Fiber.join(fiber)
      assert.strictEqual(yield* clockMillis, 0)
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("after a failed dial the address rests, longer each time, and success resets that", () =>
    Effect.gen(function* () {
      const network = yield* MemoryWire.MemoryNetwork
      const client = yield* RemotingClient.make({})
      const pauses: Array<number> = []
      for (let attempt = 0; attempt < 8; attempt++) {
        const error = yield* Effect.flip(client.invoke("late:1", request(1), 1000))
        assert.instanceOf(error, ConnectFailed)
        assert.strictEqual(error.kind, "refused")
        pauses.push(error.retryAfterMillis)
        yield* TestClock.adjust(Math.floor(error.retryAfterMillis / 2))
        const early = yield* Effect.flip(client.invoke("late:1", request(1), 1000))
        assert.instanceOf(early, ConnectFailed)
        assert.isBelow(early.retryAfterMillis, error.retryAfterMillis)
        assert.strictEqual(yield* network.dials("late:1"), attempt + 1)
        yield* TestClock.adjust(Math.ceil(early.retryAfterMillis))
      }
      pauses.forEach((pause, attempt) => {
        const whole = Math.min(3000, 100 * 2 ** attempt)
        assert.isAtLeast(pause, whole / 2)
        assert.isAtMost(pause, whole)
      })
      const peer = yield* makePeer({ address: "late:1" })
      const fiber = yield* forked(client.invoke("late:1", request(1), 1000))
      const connection = yield* peer.accept
      yield* connection.answer(yield* connection.next)
      yield* Fiber.join(fiber)
      yield* network.setReachable("late:1", "refuse")
      yield* connection.end
      yield* Effect.yieldNow
      const again = yield* Effect.flip(client.invoke("late:1", request(1), 1000))
      assert.instanceOf(again, ConnectFailed)
      assert.isAtMost(again.retryAfterMillis, 100)
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("the pauses come from Random: one seed, one sequence", () =>
    Effect.gen(function* () {
      const [a, b, c] = [yield* pausesOf("a"), yield* pausesOf("a"), yield* pausesOf("c")]
      assert.deepStrictEqual(a, b)
      assert.notDeepEqual(a, c)
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("an address that is none fails without a dial", () =>
    Effect.gen(function* () {
      const client = yield* RemotingClient.make({})
      const error = yield* Effect.flip(client.invoke("no-port", request(1), 1000))
      assert.instanceOf(error, ConnectFailed)
      assert.strictEqual(error.kind, "address")
      assert.include(error.message, "host:port")
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("L13: closing the scope aborts a dial at once", () =>
    Effect.gen(function* () {
      const network = yield* MemoryWire.MemoryNetwork
      const scope = yield* Scope.make()
      const client = yield* Scope.provide(RemotingClient.make({}), scope)
      yield* network.setReachable(nowhere, "blackhole")
      const fiber = yield* forked(failure(client.invoke(nowhere, request(1), 10_000)))
      yield* Scope.close(scope, Exit.void)
      const { at, error } = yield* Fiber.join(fiber)
      assert.strictEqual(at, 0)
      assert.instanceOf(error, ClientClosed)
      assert.strictEqual(error.outcome, "not-sent")
      assert.instanceOf(yield* Effect.flip(client.invoke(nowhere, request(1), 10_000)), ClientClosed)
      assert.instanceOf(yield* Effect.flip(client.invokeOneway(nowhere, request(1), 10_000)), ClientClosed)
      assert.strictEqual(yield* network.dials(nowhere), 1)
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("closeAddress aborts the dial and fails who waits for it", () =>
    Effect.gen(function* () {
      const network = yield* MemoryWire.MemoryNetwork
      const client = yield* RemotingClient.make({})
      yield* network.setReachable(nowhere, "blackhole")
      const fiber = yield* forked(failure(client.invoke(nowhere, request(1), 10_000)))
      yield* client.closeAddress(nowhere)
      const { error } = yield* Fiber.join(fiber)
      assert.instanceOf(error, ConnectionClosed)
      assert.strictEqual(error.outcome, "not-sent")
      assert.deepStrictEqual(client.connections(), [])
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("retain lets an address that is being dialled serve its callers, and then closes it", () =>
    Effect.gen(function* () {
      const network = yield* MemoryWire.MemoryNetwork
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({})
      yield* network.setLatency(50)
      const fiber = yield* forked(client.invoke(peer.address, request(1), 10_000))
      yield* client.retain(new Set())
      assert.deepStrictEqual(client.connections(), [])
      yield* TestClock.adjust(100)
      const connection = yield* peer.accept
      yield* connection.answer(yield* connection.next)
      yield* TestClock.adjust(50)
      yield* Fiber.join(fiber)
      yield* connection.ended
      assert.strictEqual(yield* network.connections(), 0)
    }).pipe(Effect.provide(MemoryWire.layer))
  )
})

describe("onConnected", () => {
  it.effect("sends the first frame, before whoever waited for the dial", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const answers: Array<number> = []
      const client = yield* RemotingClient.make({})
      yield* client.onConnected((address, invoke) =>
        Effect.gen(function* () {
          assert.strictEqual(address, peer.address)
          // It may take its time: the others wait.
          yield* Effect.sleep(100)
          answers.push((yield* invoke(request(34), 3000)).code)
          answers.push((yield* invoke(request(34), 3000)).code)
        }).pipe(Effect.orDie)
      )
      const fibers = yield* Effect.forEach([1, 2], (code) => forked(client.invoke(peer.address, request(code), 10_000)))
      const connection = yield* peer.accept
      assert.strictEqual(client.connections()[0]?.state, "connecting")
      assert.strictEqual(yield* connection.unread, 0)
      yield* TestClock.adjust(100)
      const first = yield* connection.take(3)
      assert.deepStrictEqual(
        first.map(({ code }) => code),
        [34, 1, 2]
      )
      for (const command of first) yield* connection.answer(command)
      yield* Effect.forEach(fibers, Fiber.join)
      yield* connection.answer(yield* connection.next, { code: 5 })
      yield* Effect.yieldNow
      assert.deepStrictEqual(answers, [0, 5])
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("one that sends nothing, or dies, holds nobody up", () =>
    Effect.gen(function* () {
      for (const onConnected of [() => Effect.void, () => Effect.die(new Error("bug in the handler"))]) {
        const peer = yield* makePeer()
        const client = yield* RemotingClient.make({})
        yield* client.onConnected(onConnected)
        const fiber = yield* forked(client.invoke(peer.address, request(1), 1000))
        const connection = yield* peer.accept
        yield* connection.answer(yield* connection.next)
        yield* Fiber.join(fiber)
      }
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("a connection that ends before it has sent fails who waits", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({})
      yield* client.onConnected(() => Effect.never)
      const fiber = yield* forked(failure(client.invoke(peer.address, request(1), 1000)))
      const connection = yield* peer.accept
      yield* connection.end
      const { error } = yield* Fiber.join(fiber)
      assert.instanceOf(error, ConnectionClosed)
      assert.strictEqual(error.outcome, "not-sent")
      assert.deepStrictEqual(client.connections(), [])
    }).pipe(Effect.provide(MemoryWire.layer))
  )
})
