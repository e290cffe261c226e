import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, FiberSet, Scope } from "effect"
import { TestClock } from "effect/testing"
import { makeDeadline } from "../../src/transport/Deadline.ts"
import * as MemoryWire from "../../src/transport/MemoryWire.ts"
import * as RemotingClient from "../support/remoting.ts"
import { ConnectionClosed, RequestTimeout, TooManyRequests } from "../../src/transport/RemotingError.ts"
import type { RemotingError } from "../../src/transport/RemotingError.ts"
import { clockMillis, makePeer, request } from "./support.ts"

/** The failure of a call and the time it came. */
const failure = <A>(call: Effect.Effect<A, RemotingError>) =>
  Effect.flatMap(Effect.flip(call), (error) => Effect.map(clockMillis, (at) => ({ error, at })))

const forked = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

describe("Deadline", () => {
  it.effect("sweeps once per deadline, sleeps for the nearest only, and not at all without one", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const run = yield* FiberSet.makeRuntime()
      const sweeps: Array<number> = []
      const later = [120, Infinity]
      const deadline = makeDeadline({
        now: () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6,
        run,
        sweep: (now) => {
          sweeps.push(now)
          return later.shift() ?? Infinity
        }
      })
      assert.isFalse(deadline.isArmed())
      deadline.arm(200)
      deadline.arm(50)
      deadline.arm(100)
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual(sweeps, [50, 120])
      assert.isFalse(deadline.isArmed())
      deadline.arm(1100)
      assert.isTrue(deadline.isArmed())
      deadline.stop()
      deadline.arm(1200)
      assert.isFalse(deadline.isArmed())
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual(sweeps, [50, 120])
    })
  )
})

describe("deadlines", () => {
  it.effect("B13: a request without an answer fails at exactly its timeout", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({})
      const fiber = yield* forked(failure(client.invoke(peer.address, request(310), 3000)))
      yield* peer.accept
      yield* TestClock.adjust(2999)
      assert.strictEqual(fiber.pollUnsafe(), undefined)
      yield* TestClock.adjust(1)
      const { at, error } = yield* Fiber.join(fiber)
      assert.strictEqual(at, 3000)
      assert.instanceOf(error, RequestTimeout)
      assert.deepStrictEqual(
        [error.address, error.code, error.timeoutMillis, error.sent],
        [peer.address, 310, 3000, true]
      )
      assert.strictEqual(error.outcome, "unknown")
      assert.include(error.message, "SEND_MESSAGE_V2")
      const [info] = client.connections()
      assert.deepStrictEqual([info?.inFlight, info?.inFlightBytes, info?.waiting], [0, 0, 0])
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("each of many timeouts, nearer ones after farther ones, is kept exactly", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({ silentTimeoutsBeforeClose: 1000 })
      const timeouts = [5000, 100, 3000, 3000, 7, 60_000, 101, 1]
      const fiber = yield* forked(
        Effect.forEach(timeouts, (timeout) => failure(client.invoke(peer.address, request(1), timeout)), {
          concurrency: "unbounded"
        })
      )
      yield* peer.accept
      yield* TestClock.adjust(70_000)
      const ends = yield* Fiber.join(fiber)
      assert.deepStrictEqual(
        ends.map(({ at }) => at),
        timeouts
      )
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("C11: a late answer is counted and dropped", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({})
      const fiber = yield* forked(failure(client.invoke(peer.address, request(1), 1000)))
      const connection = yield* peer.accept
      const late = yield* connection.next
      yield* TestClock.adjust(1000)
      yield* Fiber.join(fiber)
      const next = yield* forked(client.invoke(peer.address, request(2), 1000))
      yield* connection.answer(late)
      const command = yield* connection.next
      assert.notStrictEqual(command.opaque, late.opaque)
      yield* connection.answer(command, { code: 7 })
      assert.strictEqual((yield* Fiber.join(next)).code, 7)
      const counters = client.counters()
      assert.deepStrictEqual([counters.late, counters.duplicate, counters.unknownResponse], [1, 0, 0])
      const [info] = client.connections()
      assert.deepStrictEqual([info?.inFlight, info?.inFlightBytes, info?.waiting], [0, 0, 0])
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("an answer in the very millisecond of the timeout wins if it came first", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({})
      // Sleeps before the client does, so it wakes first.
      const answering = yield* forked(
        Effect.andThen(
          Effect.sleep(1000),
          Effect.flatMap(peer.accept, (connection) =>
            Effect.flatMap(connection.next, (command) => connection.answer(command, { code: 9 }))
          )
        )
      )
      const fiber = yield* forked(client.invoke(peer.address, request(1), 1000))
      yield* TestClock.adjust(1000)
      yield* Fiber.join(answering)
      assert.strictEqual((yield* Fiber.join(fiber)).code, 9)
      assert.strictEqual(client.counters().late, 0)
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("a timeout of zero or less sends nothing", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({})
      const first = yield* forked(client.invoke(peer.address, request(1), 1000))
      const connection = yield* peer.accept
      yield* connection.answer(yield* connection.next)
      yield* Fiber.join(first)
      for (const timeout of [0, -5]) {
        const error = yield* Effect.flip(client.invoke(peer.address, request(2), timeout))
        assert.instanceOf(error, RequestTimeout)
        assert.strictEqual(error.outcome, "not-sent")
      }
      assert.strictEqual(yield* connection.unread, 0)
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("B15: whoever waits for an in-flight place gets it in order, or TooManyRequests in time", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({ maxInFlightRequests: 1 })
      const first = yield* forked(client.invoke(peer.address, request(1), 10_000))
      const connection = yield* peer.accept
      const hurried = yield* forked(failure(client.invoke(peer.address, request(2), 500)))
      const patient = yield* forked(client.invoke(peer.address, request(3), 10_000))
      const [busy] = client.connections()
      assert.deepStrictEqual([busy?.inFlight, busy?.waiting], [1, 2])
      yield* TestClock.adjust(500)
      const { at, error } = yield* Fiber.join(hurried)
      assert.strictEqual(at, 500)
      assert.instanceOf(error, TooManyRequests)
      assert.strictEqual(error.outcome, "not-sent")
      yield* connection.answer(yield* connection.next)
      yield* Fiber.join(first)
      const command = yield* connection.next
      assert.strictEqual(command.code, 3)
      yield* connection.answer(command)
      yield* Fiber.join(patient)
      const [idle] = client.connections()
      assert.deepStrictEqual([idle?.inFlight, idle?.inFlightBytes, idle?.waiting], [0, 0, 0])
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("a request that times out makes room for the next in line, and so does one that gives up the line", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({
        maxInFlightRequests: 2,
        maxInFlightBytes: 1000,
        silentTimeoutsBeforeClose: 100
      })
      const first = yield* forked(failure(client.invoke(peer.address, request(1), 500)))
      const connection = yield* peer.accept
      yield* connection.next
      const large = new Uint8Array(400)
      const head = yield* forked(failure(client.invoke(peer.address, request(2, large), 400)))
      const behind = yield* forked(client.invoke(peer.address, request(3), 10_000))
      yield* forked(client.invoke(peer.address, request(4), 10_000))
      assert.strictEqual((yield* connection.next).code, 2)
      assert.strictEqual(yield* connection.unread, 0)
      yield* TestClock.adjust(400)
      assert.strictEqual((yield* Fiber.join(head)).error._tag, "RequestTimeout")
      assert.strictEqual((yield* connection.next).code, 3)
      yield* TestClock.adjust(100)
      assert.strictEqual((yield* Fiber.join(first)).at, 500)
      assert.strictEqual((yield* connection.next).code, 4)
      yield* Fiber.interrupt(behind)
      // Too large for what is free, it holds up the one behind it until it gives up, one way or the other.
      for (const end of ["interrupt", "timeout"]) {
        const blocking = yield* forked(failure(client.invoke(peer.address, request(5, new Uint8Array(700)), 300)))
        const small = yield* forked(client.invoke(peer.address, request(6), 10_000))
        yield* Effect.yieldNow
        assert.strictEqual(yield* connection.unread, 0)
        if (end === "interrupt") yield* Fiber.interrupt(blocking)
        else yield* TestClock.adjust(300)
        assert.strictEqual((yield* connection.next).code, 6)
        yield* Fiber.interrupt(small)
      }
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("two timeouts in a row on a silent connection close it", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer({ reading: false })
      const client = yield* RemotingClient.make({})
      const long = yield* forked(failure(client.invoke(peer.address, request(1), 60_000)))
      const first = yield* forked(failure(client.invoke(peer.address, request(2), 1000)))
      yield* peer.accept
      yield* TestClock.adjust(1000)
      assert.instanceOf((yield* Fiber.join(first)).error, RequestTimeout)
      assert.strictEqual(client.connections()[0]?.state, "open")
      const second = yield* forked(failure(client.invoke(peer.address, request(3), 1000)))
      yield* TestClock.adjust(1000)
      assert.instanceOf((yield* Fiber.join(second)).error, RequestTimeout)
      const { at, error } = yield* Fiber.join(long)
      assert.strictEqual(at, 2000)
      assert.instanceOf(error, ConnectionClosed)
      assert.strictEqual(error.outcome, "unknown")
      assert.deepStrictEqual(client.connections(), [])
      // The next request dials anew.
      yield* forked(failure(client.invoke(peer.address, request(4), 1000)))
      yield* peer.accept
      assert.strictEqual(client.connections()[0]?.connects, 2)
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("slow answers alone never close a connection on which others are answered", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({})
      yield* forked(client.invoke(peer.address, request(1), 1000))
      const connection = yield* peer.accept
      yield* connection.answer(yield* connection.next)
      for (let round = 0; round < 5; round++) {
        const slow = yield* forked(failure(client.invoke(peer.address, request(2), 1000)))
        yield* connection.next
        yield* TestClock.adjust(500)
        const quick = yield* forked(client.invoke(peer.address, request(3), 1000))
        yield* connection.answer(yield* connection.next)
        yield* Fiber.join(quick)
        yield* TestClock.adjust(500)
        assert.instanceOf((yield* Fiber.join(slow)).error, RequestTimeout)
      }
      const [info] = client.connections()
      assert.deepStrictEqual([info?.state, info?.connects], ["open", 1])
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("a timeout is no sign of silence when anything at all came since the request was sent", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({})
      const quick = yield* forked(client.invoke(peer.address, request(1), 1000))
      const connection = yield* peer.accept
      const slow: Array<Fiber.Fiber<{ readonly error: RemotingError }, unknown>> = []
      for (let n = 0; n < 4; n++) {
        slow.push(yield* forked(failure(client.invoke(peer.address, request(2), 1000))))
        yield* TestClock.adjust(10)
      }
      yield* connection.answer(yield* connection.next)
      yield* Fiber.join(quick)
      yield* TestClock.adjust(2000)
      for (const fiber of slow) assert.instanceOf((yield* Fiber.join(fiber)).error, RequestTimeout)
      assert.strictEqual(client.connections()[0]?.state, "open")
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("a connection on which a request waits is not idle", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({})
      const fiber = yield* forked(client.invoke(peer.address, request(1), 300_000))
      const connection = yield* peer.accept
      const command = yield* connection.next
      yield* TestClock.adjust(250_000)
      yield* connection.answer(command, { code: 4 })
      assert.strictEqual((yield* Fiber.join(fiber)).code, 4)
      yield* TestClock.adjust(240_000)
      assert.deepStrictEqual(client.connections(), [])
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("a connection without traffic is closed after the idle time, and not before", () =>
    Effect.gen(function* () {
      const closed: Array<number> = []
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({})
      yield* client.onClosed(() => Effect.map(clockMillis, (at) => void closed.push(at)))
      const fiber = yield* forked(client.invoke(peer.address, request(1), 3000))
      const connection = yield* peer.accept
      yield* TestClock.adjust(2000)
      yield* connection.answer(yield* connection.next)
      yield* Fiber.join(fiber)
      yield* TestClock.adjust(119_999)
      assert.deepStrictEqual(closed, [])
      yield* TestClock.adjust(1)
      yield* connection.ended
      assert.deepStrictEqual(closed, [122_000])
      assert.deepStrictEqual(client.connections(), [])
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("B15, B16: one-way requests that the peer never takes end at their timeout", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer({ reading: false })
      const client = yield* RemotingClient.make({ maxInFlightBytes: 1_000_000 })
      const body = new Uint8Array(400_000)
      const sends = yield* Effect.forEach([1, 2, 3, 4], (code) =>
        forked(failure(client.invokeOneway(peer.address, request(code, body), 1000)))
      )
      yield* peer.accept
      yield* Effect.yieldNow
      const [info] = client.connections()
      assert.deepStrictEqual([info?.inFlight, info?.waiting], [2, 2])
      assert.isAtMost(info?.inFlightBytes ?? Infinity, 1_000_000)
      yield* TestClock.adjust(1000)
      const errors = yield* Effect.forEach(sends, Fiber.join)
      assert.deepStrictEqual(
        errors.map(({ at, error }) => [at, error._tag, error.outcome]),
        [
          [1000, "RequestTimeout", "unknown"],
          [1000, "RequestTimeout", "unknown"],
          [1000, "TooManyRequests", "not-sent"],
          [1000, "TooManyRequests", "not-sent"]
        ]
      )
      const [after] = client.connections()
      assert.deepStrictEqual([after?.inFlight, after?.inFlightBytes, after?.waiting], [0, 0, 0])
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("B14, B16: what the connection had not taken when it ended was not sent", () =>
    Effect.gen(function* () {
      const network = yield* MemoryWire.MemoryNetwork
      const peer = yield* makePeer({ reading: false })
      const client = yield* RemotingClient.make({})
      const taken = yield* forked(failure(client.invoke(peer.address, request(1, new Uint8Array(300_000)), 5000)))
      yield* peer.accept
      yield* Effect.yieldNow
      const untaken = yield* forked(failure(client.invoke(peer.address, request(2), 5000)))
      const oneway = yield* forked(failure(client.invokeOneway(peer.address, request(3), 5000)))
      yield* Effect.yieldNow
      yield* network.cutAll(peer.address)
      const ends = [yield* Fiber.join(taken), yield* Fiber.join(untaken), yield* Fiber.join(oneway)]
      assert.deepStrictEqual(
        ends.map(({ error }) => [error._tag, error.outcome]),
        [
          ["ConnectionClosed", "unknown"],
          ["ConnectionClosed", "not-sent"],
          ["ConnectionClosed", "not-sent"]
        ]
      )
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("B15: bytes that were given up count until the peer takes them", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer({ reading: false })
      const client = yield* RemotingClient.make({ maxInFlightBytes: 1_000_000 })
      const large = request(1, new Uint8Array(900_000))
      const first = yield* forked(client.invoke(peer.address, large, 5000))
      const connection = yield* peer.accept
      yield* Effect.yieldNow
      yield* Fiber.interrupt(first)
      yield* forked(client.invoke(peer.address, large, 5000))
      const [before] = client.connections()
      assert.deepStrictEqual([before?.inFlight, before?.inFlightBytes, before?.waiting], [0, 0, 1])
      yield* connection.stream.pull
      const [after] = client.connections()
      assert.deepStrictEqual([after?.inFlight, after?.waiting], [1, 0])
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("closing the scope takes the sleeper with it", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const scope = yield* Scope.make()
      const client = yield* Scope.provide(RemotingClient.make({}), scope)
      const fiber = yield* forked(Effect.exit(client.invoke(peer.address, request(1), 3000)))
      yield* peer.accept
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(fiber)))
      yield* TestClock.adjust(10_000)
    }).pipe(Effect.provide(MemoryWire.layer))
  )
})
