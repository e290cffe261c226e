import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Queue } from "effect"
import type { Scope } from "effect"
import { encode } from "../../src/protocol/Frame.ts"
import { FaultProxy, TcpWire, Wire } from "../../src/testing/index.ts"
import type { ByteStream } from "../../src/testing/index.ts"
import { ownScope } from "../support/rig.ts"
import { request } from "../transport/support.ts"

/** A server that tells of its streams, a proxy in front of it, and a way to dial the proxy. */
const rig = Effect.gen(function* () {
  const wire = yield* Wire
  const accepted = yield* Queue.unbounded<ByteStream>()
  const server = yield* wire.listen("127.0.0.1:0", (stream) =>
    Effect.andThen(Queue.offer(accepted, stream), Effect.never)
  )
  const proxy = yield* FaultProxy.make({ target: server.address })
  const dial = wire.connect(proxy.address, { connectTimeoutMillis: 5000 })
  /** A connection through the proxy, both ends. */
  const connect = Effect.gen(function* () {
    const client = yield* dial
    return { client, server: yield* Queue.take(accepted) }
  })
  return { proxy, dial, connect, accepted, wire }
})

const bytes = (text: string) => Buffer.from(text)

const frame = (code: number) =>
  encode({
    ...request(code),
    opaque: code,
    flag: 0,
    remark: undefined,
    language: "OTHER",
    version: 1,
    body: bytes("body"),
    serializeType: "JSON"
  })

/** So many bytes of a stream, as chunks. */
const chunks = (stream: ByteStream, length: number) =>
  Effect.gen(function* () {
    const read: Array<Uint8Array> = []
    for (let got = 0; got < length;) {
      for (const chunk of yield* stream.pull) {
        read.push(chunk)
        got += chunk.length
      }
    }
    return read
  })

const text = (stream: ByteStream, length: number) =>
  Effect.map(chunks(stream, length), (read) => Buffer.concat(read).toString())

/** Everything up to the end of a stream, and how it ended. */
const untilEnd = (stream: ByteStream) =>
  Effect.gen(function* () {
    const read: Array<Uint8Array> = []
    for (;;) {
      const exit = yield* Effect.exit(stream.pull)
      if (Exit.isSuccess(exit)) read.push(...exit.value)
      else {
        const error = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
        return { text: Buffer.concat(read).toString(), kind: error?.kind }
      }
    }
  })

const test = (name: string, body: Effect.Effect<void, unknown, Wire | Scope.Scope>) =>
  it.live(name, () => Effect.scoped(body).pipe(Effect.provide(TcpWire.layer)))

const elapsed = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const begin = performance.now()
    return Effect.map(self, (value) => ({ value, millis: performance.now() - begin }))
  })

/**
 * Two toxics that change nothing, around another one in the upstream: `arrived` ends when so many bytes have come up to it,
 * and whatever it lets through at once has passed; `passed` says how many came out behind it.
 */
const around = (proxy: FaultProxy.FaultProxy, toxic: FaultProxy.Toxic, count: number) =>
  Effect.gen(function* () {
    const all = yield* Deferred.make<void>()
    let before = 0
    let behind = 0
    yield* proxy.add(
      FaultProxy.corrupt((chunk) => {
        before += chunk.length
        if (before >= count) Deferred.doneUnsafe(all, Effect.void)
        return chunk
      }),
      "upstream"
    )
    const installed = yield* proxy.add(toxic, "upstream")
    yield* proxy.add(
      FaultProxy.corrupt((chunk) => {
        behind += chunk.length
        return chunk
      }),
      "upstream"
    )
    // The chunk goes on in the turn in which it came.
    const arrived = Effect.andThen(
      Deferred.await(all),
      Effect.promise(() => new Promise(setImmediate))
    )
    return { arrived, passed: () => behind, remove: installed.remove }
  })

describe("FaultProxy", () => {
  test(
    "carries bytes both ways, the end too, and counts",
    Effect.gen(function* () {
      const { connect, proxy } = yield* rig
      const { close, value } = yield* ownScope(connect)
      yield* value.client.write([bytes("there")])
      assert.strictEqual(yield* text(value.server, 5), "there")
      yield* value.server.write([bytes("and back")])
      assert.strictEqual(yield* text(value.client, 8), "and back")
      assert.deepStrictEqual(yield* proxy.counters, { dials: 1, open: 1, upstreamBytes: 5, downstreamBytes: 8 })
      yield* Effect.forkChild(close)
      assert.deepStrictEqual(yield* untilEnd(value.server), { text: "", kind: "closed" })
    })
  )

  test(
    "latency delays and keeps the order; removed, it delays no longer what it was holding",
    Effect.gen(function* () {
      const { connect, proxy } = yield* rig
      const { client, server } = yield* connect
      const slow = yield* proxy.add(FaultProxy.latency(30, 20), "upstream")
      const { millis, value } = yield* elapsed(
        Effect.gen(function* () {
          for (const word of ["a", "b", "c", "d"]) {
            yield* client.write([bytes(word)])
            yield* Effect.yieldNow
          }
          return yield* text(server, 4)
        })
      )
      assert.strictEqual(value, "abcd")
      assert.isAtLeast(millis, 29)
      yield* slow.remove
      const endless = yield* around(proxy, FaultProxy.latency(3_600_000), 4)
      yield* client.write([bytes("held")])
      yield* endless.arrived
      assert.strictEqual(endless.passed(), 0)
      yield* endless.remove
      assert.strictEqual(yield* text(server, 4), "held")
    })
  )

  test(
    "bandwidth limits one direction and not the other",
    Effect.gen(function* () {
      const { connect, proxy } = yield* rig
      const { client, server } = yield* connect
      yield* proxy.add(FaultProxy.bandwidth(100_000), "downstream")
      const fast = Buffer.alloc(400_000, 1)
      yield* Effect.forkChild(client.write([fast]))
      yield* chunks(server, fast.length)
      yield* Effect.forkChild(server.write([Buffer.alloc(10_000, 2)]))
      const { millis } = yield* elapsed(chunks(client, 10_000))
      assert.isAtLeast(millis, 90)
    })
  )

  test(
    "slicer delivers the same bytes in pieces",
    Effect.gen(function* () {
      const { connect, proxy } = yield* rig
      const { client, server } = yield* connect
      yield* proxy.scoped(FaultProxy.slicer(1, 1), "upstream")
      yield* client.write([bytes("one by one")])
      const read = yield* chunks(server, 10)
      assert.strictEqual(Buffer.concat(read).toString(), "one by one")
      assert.isAbove(read.length, 4)
    })
  )

  test(
    "half-open lets nothing through, the end neither, and loses nothing",
    Effect.gen(function* () {
      const { connect, proxy } = yield* rig
      const { close, value } = yield* ownScope(connect)
      const { client, server } = value
      const back = yield* proxy.add(FaultProxy.halfOpen, "downstream")
      const cable = yield* around(proxy, FaultProxy.halfOpen, 4)
      yield* client.write([bytes("late")])
      yield* close
      yield* cable.arrived
      assert.strictEqual(cable.passed(), 0)
      const { open, upstreamBytes } = yield* proxy.counters
      assert.deepStrictEqual([open, upstreamBytes], [1, 0])
      yield* back.remove
      yield* cable.remove
      assert.deepStrictEqual(yield* untilEnd(server), { text: "late", kind: "closed" })
    })
  )

  test(
    "a black hole swallows one direction; what it swallowed stays lost",
    Effect.gen(function* () {
      const { connect, proxy } = yield* rig
      const { client, server } = yield* connect
      const arrived = yield* Deferred.make<void>()
      const witness = FaultProxy.corrupt((chunk) => {
        Deferred.doneUnsafe(arrived, Effect.void)
        return chunk
      })
      yield* proxy.add(witness, "upstream")
      const hole = yield* proxy.add(FaultProxy.blackHole, "upstream")
      yield* client.write([bytes("lost")])
      yield* Deferred.await(arrived)
      yield* server.write([bytes("the other way")])
      assert.strictEqual(yield* text(client, 13), "the other way")
      yield* hole.remove
      yield* client.write([bytes("found")])
      assert.strictEqual(yield* text(server, 5), "found")
      assert.strictEqual((yield* proxy.counters).upstreamBytes, 5)
    })
  )

  for (const [then, kind] of [
    ["close", "closed"],
    ["reset", "reset"]
  ] as const) {
    test(
      `limit lets exactly so many bytes through, then ${then}`,
      Effect.gen(function* () {
        const { connect, proxy } = yield* rig
        yield* proxy.add(FaultProxy.limit(6, then), "downstream")
        const { client, server } = yield* connect
        yield* server.write([bytes("abc")])
        yield* server.write([bytes("defghi")])
        assert.deepStrictEqual(yield* untilEnd(client), { text: "abcdef", kind })
      })
    )
  }

  test(
    "limit with silence: the rest is swallowed, the connection stays",
    Effect.gen(function* () {
      const { connect, proxy } = yield* rig
      yield* proxy.add(FaultProxy.limit(2, "silence"), "downstream")
      const { client, server } = yield* connect
      yield* server.write([bytes("abcd")])
      assert.strictEqual(yield* text(client, 2), "ab")
      yield* client.write([bytes("still there")])
      assert.strictEqual(yield* text(server, 11), "still there")
      assert.strictEqual((yield* proxy.counters).open, 1)
    })
  )

  test(
    "corrupt changes bytes at their place, wherever chunks end",
    Effect.gen(function* () {
      const { connect, proxy } = yield* rig
      yield* proxy.add(FaultProxy.slicer(2), "upstream")
      yield* proxy.add(FaultProxy.corruptAt(3, bytes("XYZ")), "upstream")
      const { client, server } = yield* connect
      yield* client.write([bytes("0123456789")])
      assert.strictEqual(yield* text(server, 10), "012XYZ6789")
    })
  )

  test(
    "frames are seen whole and can be dropped, doubled and replaced; a removed toxic gives back what it kept",
    Effect.gen(function* () {
      const { connect, proxy } = yield* rig
      const { client, server } = yield* connect
      const seen: Array<number | undefined> = []
      const half = 20
      const toxic = yield* around(
        proxy,
        FaultProxy.frames(({ bytes: whole, command, index }) => {
          seen.push(command?.code)
          return index === 0 ? [] : [whole, whole]
        }),
        frame(1).length + frame(2).length + half
      )
      const both = Buffer.concat([frame(1), frame(2)])
      yield* client.write([both.subarray(0, 50)])
      yield* client.write([both.subarray(50)])
      const twice = Buffer.concat(yield* chunks(server, 2 * frame(2).length))
      assert.isTrue(twice.equals(Buffer.concat([frame(2), frame(2)])))
      assert.deepStrictEqual(seen, [1, 2])
      yield* client.write([frame(3).subarray(0, half)])
      yield* toxic.arrived
      assert.strictEqual(toxic.passed(), twice.length)
      yield* toxic.remove
      yield* client.write([frame(3).subarray(half)])
      assert.isTrue(Buffer.concat(yield* chunks(server, frame(3).length)).equals(frame(3)))
    })
  )

  test(
    "reset and close end what is open, each in its way; new connections are not concerned",
    Effect.gen(function* () {
      const { connect, proxy } = yield* rig
      const first = yield* connect
      yield* proxy.reset
      assert.strictEqual((yield* untilEnd(first.client)).kind, "reset")
      assert.strictEqual((yield* untilEnd(first.server)).kind, "reset")
      const second = yield* connect
      yield* proxy.close
      assert.strictEqual((yield* untilEnd(second.client)).kind, "closed")
      assert.strictEqual((yield* untilEnd(second.server)).kind, "closed")
      yield* connect
      yield* proxy.close
      yield* proxy.reset
      yield* proxy.until(({ open }) => open === 0)
      const third = yield* connect
      yield* third.client.write([bytes("on")])
      assert.strictEqual(yield* text(third.server, 2), "on")
      assert.strictEqual((yield* proxy.counters).dials, 4)
    })
  )

  test(
    "down refuses and ends what is open, deaf leaves dials without an answer, up takes them again at the same address",
    Effect.gen(function* () {
      const { connect, dial, proxy, wire } = yield* rig
      const { client } = yield* connect
      yield* proxy.down
      assert.strictEqual((yield* untilEnd(client)).kind, "closed")
      assert.strictEqual((yield* Effect.flip(dial)).kind, "refused")
      yield* proxy.deaf
      const silent = yield* Effect.flip(wire.connect(proxy.address, { connectTimeoutMillis: 50 }))
      assert.strictEqual(silent.kind, "timeout")
      yield* proxy.up
      yield* proxy.up
      const again = yield* connect
      yield* again.client.write([bytes("hello")])
      assert.strictEqual(yield* text(again.server, 5), "hello")
    })
  )

  test(
    "a server that refuses shows as a reset; a new target is for new connections",
    Effect.gen(function* () {
      const { accepted, connect, dial, proxy, wire } = yield* rig
      const kept = yield* connect
      const nowhere = yield* ownScope(wire.listen("127.0.0.1:0", () => Effect.never))
      yield* nowhere.close
      yield* proxy.retarget(nowhere.value.address)
      assert.strictEqual((yield* untilEnd(yield* dial)).kind, "reset")
      const other = yield* wire.listen("127.0.0.1:0", (stream) =>
        Effect.andThen(Queue.offer(accepted, stream), Effect.never)
      )
      yield* proxy.retarget(other.address)
      const fresh = yield* connect
      assert.strictEqual(fresh.server.localAddress, other.address)
      yield* kept.client.write([bytes("old")])
      assert.strictEqual(yield* text(kept.server, 3), "old")
    })
  )

  test(
    "a toxic that throws ends its connection and no other",
    Effect.gen(function* () {
      const { connect, proxy } = yield* rig
      const { client } = yield* connect
      const bad = yield* proxy.add(
        FaultProxy.corrupt(() => {
          throw new Error("a bug in the toxic")
        }),
        "upstream"
      )
      yield* client.write([bytes("x")])
      assert.strictEqual((yield* untilEnd(client)).kind, "reset")
      yield* bad.remove
      const next = yield* connect
      yield* next.client.write([bytes("y")])
      assert.strictEqual(yield* text(next.server, 1), "y")
    })
  )

  test(
    "addresses that are none, and ports that are taken, are typed errors",
    Effect.gen(function* () {
      const { proxy } = yield* rig
      const wrong = yield* Effect.flip(FaultProxy.make({ target: "nowhere" }))
      assert.deepStrictEqual([wrong._tag, wrong.kind], ["WireError", "address"])
      const taken = yield* Effect.flip(FaultProxy.make({ target: proxy.address, listen: proxy.address }))
      assert.deepStrictEqual([taken._tag, taken.kind], ["WireError", "in-use"])
    })
  )

  test(
    "when its scope closes nothing is open any more, whatever it was doing",
    Effect.gen(function* () {
      const wire = yield* Wire
      const server = yield* wire.listen("127.0.0.1:0", () => Effect.never)
      const { close, value: proxy } = yield* ownScope(FaultProxy.make({ target: server.address }))
      yield* proxy.add(FaultProxy.halfOpen)
      const client = yield* wire.connect(proxy.address, { connectTimeoutMillis: 5000 })
      yield* client.write([bytes("stuck")])
      yield* proxy.deaf
      yield* close
      const { kind } = yield* untilEnd(client)
      assert.include(["closed", "reset"], kind)
      assert.strictEqual(
        (yield* Effect.flip(wire.connect(proxy.address, { connectTimeoutMillis: 5000 }))).kind,
        "refused"
      )
    })
  )
})
