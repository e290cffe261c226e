import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Queue, References, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as MemoryWire from "../../src/transport/MemoryWire.ts"
import * as SimulationRun from "../../src/testing/SimulationRun.ts"
import { Wire, WireError } from "../../src/transport/Wire.ts"
import type { ByteStream } from "../../src/transport/Wire.ts"
import { settle } from "../support/rig.ts"
import { clockMillis } from "./support.ts"

const forked = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })
const bytes = (...values: ReadonlyArray<number>) => new Uint8Array(values)
const connectOptions = { connectTimeoutMillis: 3000 }

/** A listener whose connections stay open until the test's end, and a connection to it. */
const connected = Effect.gen(function* () {
  const wire = yield* Wire
  const accepted = yield* Queue.unbounded<ByteStream>()
  const { address } = yield* wire.listen("broker:0", (stream) =>
    Effect.andThen(Queue.offer(accepted, stream), Effect.never)
  )
  const client = yield* wire.connect(address, connectOptions)
  const server = yield* Queue.take(accepted)
  return { address, client, server, wire }
})

describe("MemoryWire", () => {
  it.effect("bytes arrive in order, in their chunks, and are not shared", () =>
    Effect.gen(function* () {
      const { client, server } = yield* connected
      const chunk = bytes(1, 2, 3)
      yield* client.write([chunk])
      yield* client.write([bytes(4)])
      chunk.fill(9)
      assert.deepStrictEqual(
        (yield* server.pull).map((each) => [...each]),
        [[1, 2, 3], [4]]
      )
      const pulling = yield* forked(client.pull)
      yield* server.write([bytes(5)])
      assert.deepStrictEqual([...((yield* Fiber.join(pulling))[0] ?? [])], [5])
      assert.strictEqual(client.localAddress, server.remoteAddress)
      assert.strictEqual(client.remoteAddress, server.localAddress)
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("a write suspends while more than 256 KiB wait, and goes on when they are read", () =>
    Effect.gen(function* () {
      const { client, server } = yield* connected
      yield* client.write([new Uint8Array(262_144)])
      const blocked = yield* forked(client.write([bytes(1)]))
      assert.strictEqual(blocked.pollUnsafe(), undefined)
      const read = yield* server.pull
      assert.strictEqual(Buffer.concat(read).length, 262_145)
      yield* Fiber.join(blocked)
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("closing one end: what was written can still be read, then both directions are over", () =>
    Effect.gen(function* () {
      const wire = yield* Wire
      const network = yield* MemoryWire.MemoryNetwork
      const accepted = yield* Queue.unbounded<ByteStream>()
      const { address } = yield* wire.listen("broker:0", (stream) =>
        Effect.andThen(Queue.offer(accepted, stream), Effect.never)
      )
      const scope = yield* Scope.make()
      const client = yield* Scope.provide(wire.connect(address, connectOptions), scope)
      const server = yield* Queue.take(accepted)
      assert.strictEqual(yield* network.connections(), 1)
      yield* client.write([bytes(1)])
      const pulling = yield* forked(Effect.flip(client.pull))
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual([...((yield* server.pull)[0] ?? [])], [1])
      assert.strictEqual((yield* Effect.flip(server.pull)).kind, "closed")
      assert.strictEqual((yield* Effect.flip(server.write([bytes(2)]))).kind, "reset")
      yield* Fiber.join(pulling)
      assert.strictEqual(yield* network.connections(), 0)
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("cutAll resets both ends of an address and no other", () =>
    Effect.gen(function* () {
      const network = yield* MemoryWire.MemoryNetwork
      const one = yield* connected
      const two = yield* connected
      const pulling = yield* forked(Effect.flip(one.client.pull))
      yield* one.server.write([bytes(1)]).pipe(Effect.andThen(one.client.write([bytes(2)])))
      yield* network.cutAll(one.address)
      yield* Fiber.interrupt(pulling)
      for (const stream of [one.client, one.server]) {
        assert.strictEqual((yield* Effect.flip(stream.pull)).kind, "reset")
        assert.strictEqual((yield* Effect.flip(stream.write([bytes(1)]))).kind, "reset")
      }
      yield* two.client.write([bytes(3)])
      assert.deepStrictEqual([...((yield* two.server.pull)[0] ?? [])], [3])
      assert.strictEqual(yield* network.connections(), 1)
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("refuse and blackhole", () =>
    Effect.gen(function* () {
      const network = yield* MemoryWire.MemoryNetwork
      const { address, client, server, wire } = yield* connected
      yield* network.setReachable(address, "refuse")
      const refused = yield* Effect.flip(wire.connect(address, connectOptions))
      assert.instanceOf(refused, WireError)
      assert.deepStrictEqual([refused.kind, refused.operation, refused.address], ["refused", "connect", address])
      yield* client.write([bytes(1)])
      assert.strictEqual((yield* server.pull).length, 1)

      yield* network.setReachable(address, "blackhole")
      const dialling = yield* forked(Effect.scoped(Effect.flip(wire.connect(address, connectOptions))))
      yield* client.write([bytes(2)])
      const pulling = yield* forked(server.pull)
      yield* TestClock.adjust(3000)
      assert.strictEqual((yield* Fiber.join(dialling)).kind, "timeout")
      assert.strictEqual(pulling.pollUnsafe(), undefined)

      yield* network.setReachable(address, "open")
      assert.deepStrictEqual([...((yield* Fiber.join(pulling))[0] ?? [])], [2])
      assert.strictEqual(yield* network.dials(address), 3)
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("a close behind a black hole arrives at the other end when it opens, after what was written", () =>
    Effect.gen(function* () {
      const wire = yield* Wire
      const network = yield* MemoryWire.MemoryNetwork
      const accepted = yield* Queue.unbounded<ByteStream>()
      const { address } = yield* wire.listen("broker:0", (stream) =>
        Effect.andThen(Queue.offer(accepted, stream), Effect.never)
      )
      const scope = yield* Scope.make()
      const client = yield* Scope.provide(wire.connect(address, connectOptions), scope)
      const server = yield* Queue.take(accepted)
      const pulling = yield* forked(server.pull)
      yield* network.setReachable(address, "blackhole")
      yield* client.write([bytes(1)])
      yield* Scope.close(scope, Exit.void)
      yield* settle
      assert.strictEqual(pulling.pollUnsafe(), undefined)

      yield* network.setReachable(address, "open")
      assert.deepStrictEqual([...((yield* Fiber.join(pulling))[0] ?? [])], [1])
      assert.strictEqual((yield* Effect.flip(server.pull)).kind, "closed")
      assert.strictEqual(yield* network.connections(), 0)
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("a reader that has to let others in between looking and lying down is woken all the same", () =>
    Effect.gen(function* () {
      const { client, server } = yield* connected
      for (let budget = 4; budget <= 20; budget++) {
        // It looks, finds nothing, and has used up its turn, wherever that is; then the bytes come.
        const pulling = yield* Effect.forkChild(
          Effect.provideService(server.pull, References.MaxOpsBeforeYield, budget),
          { startImmediately: true }
        )
        yield* client.write([bytes(budget)])
        yield* settle
        assert.deepStrictEqual(pulling.pollUnsafe(), Exit.succeed([bytes(budget)]), `after ${budget} operations`)
      }
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("whatever the order of fibers, everything that is written is read, and nobody is forgotten", () =>
    Effect.gen(function* () {
      const chunk = new Uint8Array(100_000)
      const program = Effect.gen(function* () {
        const { client, server } = yield* connected
        // More than lies in a pipe at once, so that writers wait as well.
        const writing = Effect.forEach([1, 2, 3, 4, 5, 6], () => client.write([chunk]), { discard: true })
        const reading = Effect.gen(function* () {
          let got = 0
          while (got < 600_000) for (const { length } of yield* server.pull) got += length
          return got
        })
        const [got] = yield* Effect.all([reading, writing], { concurrency: 2 })
        return got
      }).pipe(Effect.scoped, Effect.provide(MemoryWire.layer, { local: true }))
      for (let seed = 1; seed <= 100; seed++) {
        const { exit } = yield* SimulationRun.run(seed, program)
        assert.deepStrictEqual(exit, Exit.succeed(600_000), `seed ${seed}`)
      }
    })
  )

  it.effect("latency delays dials and chunks, and keeps their order", () =>
    Effect.gen(function* () {
      const network = yield* MemoryWire.MemoryNetwork
      const { address, client, server, wire } = yield* connected
      yield* network.setLatency(40)
      const dialling = yield* forked(Effect.scoped(Effect.andThen(wire.connect(address, connectOptions), clockMillis)))
      yield* client.write([bytes(1)])
      const pulling = yield* forked(
        Effect.gen(function* () {
          const first = yield* server.pull
          const firstAt = yield* clockMillis
          const second = yield* server.pull
          return [first.length, firstAt, second.length, yield* clockMillis]
        })
      )
      yield* TestClock.adjust(10)
      yield* client.write([bytes(2)])
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(yield* Fiber.join(pulling), [1, 40, 1, 50])
      assert.strictEqual(yield* Fiber.join(dialling), 40)
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("port 0 picks a free port, a taken one is in use, and a closed one is free again", () =>
    Effect.gen(function* () {
      const wire = yield* Wire
      const scope = yield* Scope.make()
      const one = yield* Scope.provide(
        wire.listen("broker:0", () => Effect.void),
        scope
      )
      const two = yield* wire.listen("broker:0", () => Effect.void)
      assert.notStrictEqual(one.address, two.address)
      const error = yield* Effect.flip(wire.listen(one.address, () => Effect.void))
      assert.deepStrictEqual([error.kind, error.operation], ["in-use", "listen"])
      yield* Scope.close(scope, Exit.void)
      yield* wire.listen(one.address, () => Effect.void)
      assert.strictEqual((yield* Effect.flip(wire.listen("broker", () => Effect.void))).kind, "address")
      assert.strictEqual((yield* Effect.flip(wire.connect("broker", connectOptions))).kind, "address")
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("each build of the layer is a network of its own", () =>
    Effect.gen(function* () {
      const address = yield* Effect.map(connected, (each) => each.address).pipe(
        Effect.scoped,
        Effect.provide(MemoryWire.layer, { local: true })
      )
      const dial = Effect.flatMap(Wire, (wire) => Effect.flip(wire.connect(address, connectOptions)))
      const error = yield* dial.pipe(Effect.scoped, Effect.provide(MemoryWire.layer, { local: true }))
      assert.strictEqual(error.kind, "refused")
    })
  )
})
