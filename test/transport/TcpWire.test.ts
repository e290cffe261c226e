import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Queue, Scope } from "effect"
import * as Net from "node:net"
import { makeFrameDecoder } from "../../src/protocol/Frame.ts"
import type { RemotingCommand } from "../../src/protocol/RemotingCommand.ts"
import * as DeafPort from "../../src/testing/DeafPort.ts"
import { standStill } from "../support/standStill.ts"
import * as RemotingClient from "../support/remoting.ts"
import { ConnectFailed, ConnectionClosed } from "../../src/transport/RemotingError.ts"
import * as RemotingServer from "../../src/embedded/server/RemotingServer.ts"
import * as TcpWire from "../../src/transport/TcpWire.ts"
import { Wire } from "../../src/transport/Wire.ts"
import type { ByteStream } from "../../src/transport/Wire.ts"
import { answerFrame, request } from "./support.ts"

const forked = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })
const options = { connectTimeoutMillis: 2000 }

/** A plain node server, for what RemotingServer would never do. */
const nodeServer = (onSocket: (socket: Net.Socket) => void, serverOptions: Net.ServerOpts = {}) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly server: Net.Server; readonly sockets: Set<Net.Socket> }>((resume) => {
      const sockets = new Set<Net.Socket>()
      const server = Net.createServer(serverOptions, (socket) => {
        sockets.add(socket)
        socket.on("error", () => {})
        onSocket(socket)
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, sockets })))
    }),
    ({ server, sockets }) =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        for (const socket of sockets) socket.destroy()
      })
  ).pipe(
    Effect.map(({ server }) => {
      const bound = server.address()
      return `127.0.0.1:${bound !== null && typeof bound === "object" ? bound.port : 0}`
    })
  )

const portOf = (address: string) => Number(address.slice(address.lastIndexOf(":") + 1))

/** Answers host names with the given addresses. */
const resolvesTo =
  (...addresses: ReadonlyArray<string>): Net.LookupFunction =>
  (_host, { all }, callback) => {
    const records = addresses.map((address) => ({ address, family: Net.isIP(address) }))
    const [first] = records
    if (all === true) callback(null, records)
    else callback(null, first?.address ?? "", first?.family)
  }

const exchange = (address: string) =>
  Effect.gen(function* () {
    const client = yield* RemotingClient.make({ connectTimeoutMillis: 2000 })
    const answer = yield* client.invoke(address, request(5), 5000)
    assert.strictEqual(answer.code, 0)
  }).pipe(Effect.scoped)

const okServer = (address: string) => RemotingServer.listen({ address, handler: () => Effect.succeed({ code: 0 }) })

const dialError = (address: string, connectTimeoutMillis = 2000) =>
  Effect.flatMap(Wire, (wire) => Effect.scoped(Effect.flip(wire.connect(address, { connectTimeoutMillis }))))

describe("TcpWire", () => {
  it.live("bytes there and back, and both addresses", () =>
    Effect.gen(function* () {
      const wire = yield* Wire
      const accepted = yield* Queue.unbounded<ByteStream>()
      const { address } = yield* wire.listen("127.0.0.1:0", (stream) =>
        Effect.andThen(Queue.offer(accepted, stream), Effect.never)
      )
      const client = yield* wire.connect(address, options)
      const server = yield* Queue.take(accepted)
      assert.deepStrictEqual([client.remoteAddress, client.localAddress], [server.localAddress, server.remoteAddress])
      assert.strictEqual(client.remoteAddress, address)
      yield* client.write([Buffer.from("there")])
      assert.strictEqual(Buffer.concat(yield* server.pull).toString(), "there")
      yield* server.write([Buffer.from("and back")])
      assert.strictEqual(Buffer.concat(yield* client.pull).toString(), "and back")
    }).pipe(Effect.provide(TcpWire.layer))
  )

  it.live("localhost by name, and IPv6 where the host has it", () =>
    Effect.gen(function* () {
      const named = yield* okServer("localhost:0")
      yield* exchange(named.address)
      const six = yield* Effect.result(okServer("[::1]:0"))
      if (six._tag === "Success") {
        assert.match(six.success.address, /^\[::1\]:[1-9][0-9]*$/)
        yield* exchange(six.success.address)
      } else assert.strictEqual(six.failure.kind, "address")
    }).pipe(Effect.provide(TcpWire.layer))
  )

  it.live("H2: a name with several addresses: one that refuses costs nothing but a try", () =>
    Effect.gen(function* () {
      const server = yield* okServer("127.0.0.1:0")
      yield* exchange(`two.addresses.test:${portOf(server.address)}`)
    }).pipe(Effect.provide(TcpWire.layerWith({ lookup: resolvesTo("127.0.0.2", "127.0.0.1") })))
  )

  it.live("H2: a name whose IPv6 address is dead falls back to IPv4", () =>
    Effect.gen(function* () {
      const server = yield* okServer("127.0.0.1:0")
      yield* exchange(`six.first.test:${portOf(server.address)}`)
    }).pipe(Effect.provide(TcpWire.layerWith({ lookup: resolvesTo("::1", "127.0.0.1") })))
  )

  it.live("refused: a port nobody listens on, at each address of the name", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { address } = yield* Scope.provide(okServer("127.0.0.1:0"), scope)
      yield* Scope.close(scope, Exit.void)
      const error = yield* dialError(address)
      assert.deepStrictEqual([error.kind, error.operation, error.address], ["refused", "connect", address])
      assert.strictEqual((yield* dialError(`all.refuse.test:${portOf(address)}`)).kind, "refused")
    }).pipe(Effect.provide(TcpWire.layerWith({ lookup: resolvesTo("127.0.0.2", "127.0.0.3") })))
  )

  it.live("H1: a name that does not resolve", () =>
    Effect.gen(function* () {
      const error = yield* dialError("no.such.host.test:9876")
      assert.strictEqual(error.kind, "dns")
      const client = yield* RemotingClient.make({})
      const failed = yield* Effect.flip(client.invoke("no.such.host.test:9876", request(1), 1000))
      assert.instanceOf(failed, ConnectFailed)
      assert.strictEqual(failed.kind, "dns")
      assert.include(failed.message, "host name")
    }).pipe(
      Effect.provide(
        TcpWire.layerWith({
          lookup: (host, _options, callback) =>
            callback(Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: "ENOTFOUND" }), "")
        })
      )
    )
  )

  it.live(
    "H1: a name to which the resolver says nothing ends at the connect timeout, and says that it was the name",
    () =>
      Effect.gen(function* () {
        const error = yield* dialError("slow.resolver.test:1", 30)
        assert.strictEqual(error.kind, "dns")
        assert.include(String(error.cause), "resolver")
      }).pipe(Effect.provide(silent))
  )

  it.live("a dial without an answer ends at the connect timeout", () =>
    Effect.gen(function* () {
      const port = yield* DeafPort.listen("127.0.0.1", 0)
      assert.strictEqual((yield* dialError(`127.0.0.1:${port}`, 30)).kind, "timeout")
      assert.strictEqual((yield* dialError(`localhost:${port}`, 30)).kind, "timeout")
    }).pipe(Effect.provide(TcpWire.layerWith({ lookup: resolvesTo("127.0.0.1") })))
  )

  it.live("of a name's addresses, only those are dialled that may be reached", () =>
    Effect.gen(function* () {
      const server = yield* okServer("127.0.0.1:0")
      const wire = yield* Wire
      const asked: Array<string> = []
      const mayReach = (ip: string) => {
        asked.push(ip)
        return ip === "127.0.0.1"
      }
      const port = portOf(server.address)
      const { remoteAddress } = yield* wire.connect(`several.test:${port}`, { ...options, mayReach })
      assert.strictEqual(remoteAddress, `127.0.0.1:${port}`)
      assert.sameMembers(asked, ["169.254.169.254", "127.0.0.1"])
      // An address that is no name is nobody's business here.
      yield* wire.connect(`127.0.0.1:${port}`, { ...options, mayReach: () => false })
      const error = yield* Effect.flip(wire.connect(`none.test:${port}`, { ...options, mayReach: () => false }))
      assert.deepStrictEqual([error.kind, error.operation], ["not-allowed", "connect"])
      assert.include(String(error.cause), "none.test is 169.254.169.254, 127.0.0.1, which may not be dialled")
    }).pipe(Effect.scoped, Effect.provide(TcpWire.layerWith({ lookup: resolvesTo("169.254.169.254", "127.0.0.1") })))
  )

  it.live("closing the client while it dials takes no time", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const client = yield* Scope.provide(RemotingClient.make({ connectTimeoutMillis: 60_000 }), scope)
      const call = yield* forked(Effect.flip(client.invoke("black.hole.test:1", request(1), 60_000)))
      const [took] = yield* Effect.timed(Scope.close(scope, Exit.void))
      assert.strictEqual((yield* Fiber.join(call))._tag, "ClientClosed")
      assert.isBelow(Duration.toMillis(took), 100)
    }).pipe(Effect.provide(silent))
  )

  it.live("text that is no address", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* dialError("localhost")).kind, "address")
      const wire = yield* Wire
      const error = yield* Effect.flip(wire.listen("localhost", () => Effect.void))
      assert.deepStrictEqual([error.kind, error.operation], ["address", "listen"])
    }).pipe(Effect.provide(TcpWire.layer))
  )

  it.live("a port that is taken", () =>
    Effect.gen(function* () {
      const server = yield* okServer("127.0.0.1:0")
      const error = yield* Effect.flip(okServer(server.address))
      assert.deepStrictEqual([error.kind, error.operation, error.address], ["in-use", "listen", server.address])
      assert.include(error.message, "port 0")
    }).pipe(Effect.provide(TcpWire.layer))
  )

  it.live("B14: reset by the peer", () =>
    Effect.gen(function* () {
      const address = yield* nodeServer((socket) => socket.once("data", () => socket.resetAndDestroy()))
      const client = yield* RemotingClient.make({})
      const error = yield* Effect.flip(client.invoke(address, request(1), 5000))
      assert.instanceOf(error, ConnectionClosed)
      assert.deepStrictEqual([error.outcome, error.sent], ["unknown", true])
      assert.include(error.message, "reset")
    }).pipe(Effect.provide(TcpWire.layer))
  )

  it.live("B15: a peer that never reads: writes suspend, and what waits stays bounded", () =>
    Effect.gen(function* () {
      const address = yield* nodeServer(() => {}, { pauseOnConnect: true })
      const client = yield* RemotingClient.make({ maxInFlightBytes: 4 * 1024 * 1024 })
      const body = new Uint8Array(64 * 1024)
      const calls = yield* Effect.forEach(Array.from({ length: 1000 }), (_, n) =>
        forked(
          n % 2 === 0
            ? Effect.asVoid(client.invoke(address, request(1, body), 60_000))
            : client.invokeOneway(address, request(1, body), 60_000)
        )
      )
      // Until nothing moves any more.
      let last = -1
      for (;;) {
        const { bytesOut } = client.counters()
        if (bytesOut === last) break
        last = bytesOut
        yield* Effect.sleep(20)
      }
      const [info] = client.connections()
      assert.isDefined(info)
      assert.isAbove(info.waiting, 0)
      assert.isAtMost(info.inFlightBytes, 4 * 1024 * 1024)
      yield* Effect.forEach(calls, Fiber.interrupt, { concurrency: "unbounded" })
      const [after] = client.connections()
      assert.deepStrictEqual([after?.inFlight, after?.inFlightBytes, after?.waiting], [0, 0, 0])
      // What was given up still lies in the writer, and lets nobody pass.
      const late = yield* forked(client.invoke(address, request(1, new Uint8Array(4 * 1024 * 1024)), 60_000))
      assert.strictEqual(client.connections()[0]?.waiting, 1)
      yield* Fiber.interrupt(late)
    }).pipe(Effect.provide(TcpWire.layer))
  )

  it.live("bytes that node still holds are not written over", () =>
    Effect.gen(function* () {
      const sockets: Array<Net.Socket> = []
      const address = yield* nodeServer((socket) => sockets.push(socket), { pauseOnConnect: true })
      const client = yield* RemotingClient.make({})
      const received: Array<RemotingCommand> = []
      // Small frames, a few per turn, until the kernel takes no more and node holds the rest; then some on top.
      let [code, last, stalled] = [0, -1, 0]
      while (stalled < 20) {
        for (let n = 0; n < 5; n++) {
          const body = new Uint8Array(1500).fill(code % 251)
          yield* forked(Effect.exit(client.invoke(address, request(code++, body), 60_000)))
        }
        yield* Effect.yieldNow
        const { bytesOut } = client.counters()
        stalled = bytesOut === last ? stalled + 1 : 0
        last = bytesOut
        if (code === 4000) break
      }
      const all = yield* Deferred.make<void>()
      const decoder = makeFrameDecoder()
      for (const socket of sockets) {
        socket.on("data", (chunk) => {
          const { commands, error } = decoder.push(chunk)
          received.push(...commands)
          if (error !== undefined || received.length === code) Deferred.doneUnsafe(all, Effect.void)
        })
        socket.resume()
      }
      yield* Deferred.await(all)
      assert.strictEqual(received.length, code)
      received.forEach((command, n) => {
        assert.strictEqual(command.code, n)
        assert.isTrue(command.body.length === 1500 && command.body.every((byte) => byte === n % 251), `body ${n}`)
      })
    }).pipe(Effect.provide(TcpWire.layer))
  )

  it.live("a peer that resets while the socket is being closed does no harm", () =>
    Effect.gen(function* () {
      const ended = yield* Deferred.make<void>()
      const address = yield* nodeServer(
        (socket) => {
          socket.resume()
          socket.on("end", () => {
            socket.resetAndDestroy()
            Deferred.doneUnsafe(ended, Effect.void)
          })
        },
        { allowHalfOpen: true }
      )
      const wire = yield* Wire
      yield* Effect.scoped(wire.connect(address, options))
      yield* Deferred.await(ended)
    }).pipe(Effect.provide(TcpWire.layer))
  )

  it.live("H6: an answer that had arrived while this process was busy wins over the timeout", () =>
    Effect.gen(function* () {
      const address = yield* nodeServer((socket) => {
        let opaque = 0
        socket.on("data", () => {
          socket.write(answerFrame(opaque++, { code: 0 }))
          if (opaque !== 2) return
          // The event loop stands still from before the deadline until long after it.
          standStill(150)
        })
      })
      const client = yield* RemotingClient.make({})
      yield* client.invoke(address, request(1), 5000)
      assert.strictEqual((yield* client.invoke(address, request(2), 50)).code, 0)
      assert.strictEqual(client.counters().late, 0)
    }).pipe(Effect.provide(TcpWire.layer))
  )

  it.live("a peer that does not close its end is destroyed after 200 ms", () =>
    Effect.gen(function* () {
      const address = yield* nodeServer(() => {}, { allowHalfOpen: true, pauseOnConnect: true })
      const wire = yield* Wire
      const scope = yield* Scope.make()
      yield* Scope.provide(wire.connect(address, options), scope)
      const started = performance.now()
      yield* Scope.close(scope, Exit.void)
      const took = performance.now() - started
      assert.isAbove(took, 150)
      assert.isBelow(took, 1000)
    }).pipe(Effect.provide(TcpWire.layer))
  )
})

/** A wire whose dials get stuck in name resolution: a black hole without leaving this process. */
const silent = TcpWire.layerWith({ lookup: () => {} })
