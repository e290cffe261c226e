import { assert, layer } from "@effect/vitest"
import { Clock, Effect, Layer, Queue, Redacted } from "effect"
import * as Net from "node:net"
import * as NodeTls from "node:tls"
import NodeTlsDefaults from "node:tls"
import * as MemoryWire from "../../src/transport/MemoryWire.ts"
import * as RemotingClient from "../support/remoting.ts"
import { TlsFailed } from "../../src/transport/RemotingError.ts"
import * as RemotingServer from "../../src/embedded/server/RemotingServer.ts"
import type { TlsOptions, TlsReason, TlsServerOptions } from "../../src/transport/Tls.ts"
import { problemOf } from "../../src/transport/TlsSocket.ts"
import * as TcpWire from "../../src/transport/TcpWire.ts"
import { Wire, WireError } from "../../src/transport/Wire.ts"
import { type Certificate, Certs } from "../support/certificates.ts"
import { request } from "./support.ts"

const DAY = 86_400
/** With these OpenSSL speaks TLS 1.1 too. */
const OLD_CIPHERS = "DEFAULT@SECLEVEL=0"
const nowSeconds = Effect.map(Clock.currentTimeMillis, (millis) => Math.floor(millis / 1000))

/** A server that answers 0 to everything. */
const serve = (tls: TlsServerOptions | undefined, address = "127.0.0.1:0") =>
  RemotingServer.listen({ address, tls, handler: () => Effect.succeed({ code: 0 }) })

const exchange = (address: string, tls?: TlsOptions) =>
  Effect.gen(function* () {
    const client = yield* RemotingClient.make({ connectTimeoutMillis: 3000, tls })
    const answer = yield* client.invoke(address, request(5), 5000)
    assert.strictEqual(answer.code, 0)
  }).pipe(Effect.scoped)

/** The reason for which there was no TLS, as a client of the whole transport is told it. */
const refusedFor = (address: string, tls: TlsOptions) =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(exchange(address, tls))
    if (error._tag !== "TlsFailed") return error._tag
    assert.instanceOf(error, TlsFailed)
    assert.strictEqual(error.outcome, "not-sent")
    assert.include(error.message, address)
    return error.reason
  })

/** A listener by hand; gives its address and what it reads. */
const rawServer = (onSocket: (socket: Net.Socket) => void) =>
  Effect.gen(function* () {
    const read = yield* Queue.unbounded<Buffer>()
    const sockets = new Set<Net.Socket>()
    const server = yield* Effect.acquireRelease(
      Effect.callback<Net.Server>((resume) => {
        const listening = Net.createServer((socket) => {
          sockets.add(socket)
          socket.on("error", () => {})
          socket.on("data", (data) => Queue.offerUnsafe(read, Buffer.from(data)))
          onSocket(socket)
        })
        listening.listen(0, "127.0.0.1", () => resume(Effect.succeed(listening)))
      }),
      (listening) =>
        Effect.callback<void>((resume) => {
          listening.close(() => resume(Effect.void))
          for (const socket of sockets) socket.destroy()
        })
    )
    const bound = server.address()
    return { address: `127.0.0.1:${bound !== null && typeof bound === "object" ? bound.port : 0}`, read }
  })

/** The defaults of Node and OpenSSL allow TLS 1.1 while an effect runs: they alone would refuse it else. */
const withOldDefaults = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const before = { ciphers: NodeTlsDefaults.DEFAULT_CIPHERS, version: NodeTlsDefaults.DEFAULT_MIN_VERSION }
      NodeTlsDefaults.DEFAULT_MIN_VERSION = "TLSv1"
      NodeTlsDefaults.DEFAULT_CIPHERS = OLD_CIPHERS
      return before
    }),
    () => effect,
    ({ ciphers, version }) =>
      Effect.sync(() => {
        NodeTlsDefaults.DEFAULT_MIN_VERSION = version
        NodeTlsDefaults.DEFAULT_CIPHERS = ciphers
      })
  )

/** What Node's own client agrees on with a server; undefined when on nothing. */
const agreed = (address: string, options: NodeTls.ConnectionOptions) =>
  Effect.callback<string | undefined>((resume) => {
    const [host, port] = address.split(":")
    const socket = NodeTls.connect({ ...options, host, port: Number(port), rejectUnauthorized: false })
    socket.once("secureConnect", () => resume(Effect.succeed(socket.getProtocol() ?? undefined)))
    socket.once("error", () => resume(Effect.succeed(undefined)))
    return Effect.sync(() => socket.destroy())
  })

layer(Layer.merge(TcpWire.layer, Certs.layer), { excludeTestServices: true })("TLS", (it) => {
  it.effect("a certificate of a given authority, by name and by address", () =>
    Effect.gen(function* () {
      const { ca, server } = yield* Certs
      const { address } = yield* serve(server)
      yield* exchange(address, { ca: ca.cert })
      yield* exchange(address.replace("127.0.0.1", "localhost"), { ca: [ca.cert] })
    })
  )

  it.effect("large bodies there and back, many at once", () =>
    Effect.gen(function* () {
      const { ca, server } = yield* Certs
      const { address } = yield* RemotingServer.listen({
        address: "127.0.0.1:0",
        tls: server,
        handler: ({ body }) => Effect.succeed({ code: 0, body })
      })
      const client = yield* RemotingClient.make({ tls: { ca: ca.cert } })
      yield* Effect.forEach(
        Array.from({ length: 40 }, (_, index) => Buffer.alloc(200_000, index + 1)),
        (body) =>
          Effect.map(client.invoke(address, request(5, body), 10_000), (answer) =>
            assert.isTrue(body.equals(answer.body))
          ),
        { concurrency: "unbounded" }
      )
    })
  )

  it.effect("H4: each certificate that is not good has its reason", () =>
    Effect.gen(function* () {
      const certs = yield* Certs
      const now = yield* nowSeconds
      const stranger = yield* certs.stranger
      const cases: ReadonlyArray<readonly [Certificate, TlsReason]> = [
        [yield* certs.signed({ from: now - 3 * DAY, until: now - DAY }), "expired"],
        [yield* certs.signed({ from: now + DAY, until: now + 2 * DAY }), "not-yet-valid"],
        [yield* certs.selfSigned(), "self-signed"],
        [stranger.cert, "untrusted"],
        [yield* certs.signed({ names: "DNS:broker.example" }), "wrong-host"]
      ]
      for (const [certificate, reason] of cases) {
        const { address } = yield* serve(certificate)
        assert.strictEqual(yield* refusedFor(address, { ca: certs.ca.cert }), reason)
        // Without an own authority too: those of Node do not know it.
        assert.notStrictEqual(yield* refusedFor(address, {}), "plain-server")
        yield* exchange(address, { insecure: true })
      }
    })
  )

  it.effect("a name for an address: servername is asked for and must be in the certificate", () =>
    Effect.gen(function* () {
      const certs = yield* Certs
      const certificate = yield* certs.signed({ names: "DNS:broker.example" })
      const { address } = yield* serve(certificate)
      yield* exchange(address, { ca: certs.ca.cert, servername: "broker.example" })
      assert.strictEqual(yield* refusedFor(address, { ca: certs.ca.cert, servername: "other.example" }), "wrong-host")
    })
  )

  it.effect("an address that is one of a host name's: the certificate has to be for the name", () =>
    Effect.gen(function* () {
      const certs = yield* Certs
      const { address } = yield* serve(yield* certs.signed({ names: "DNS:namesrv.example" }))
      for (const [host, good] of [
        ["namesrv.example", true],
        ["other.example", false]
      ] as const) {
        const outcome = yield* Effect.gen(function* () {
          const client = yield* RemotingClient.make({ tls: { ca: certs.ca.cert } })
          client.nameHost(address, host)
          return yield* Effect.result(client.invoke(address, request(5), 5000))
        }).pipe(Effect.scoped)
        assert.strictEqual(outcome._tag, good ? "Success" : "Failure")
      }
    })
  )

  it.effect("a self-signed certificate that is given as the authority is good", () =>
    Effect.gen(function* () {
      const certs = yield* Certs
      const own = yield* certs.selfSigned()
      const { address } = yield* serve(own)
      yield* exchange(address, { ca: own.cert })
    })
  )

  it.effect("H4: a client certificate: missing, of a stranger, right", () =>
    Effect.gen(function* () {
      const { ca, client, server, stranger } = yield* Certs
      const { address } = yield* serve({ ...server, ca: ca.cert, requestCert: true })
      const passphrase = Redacted.make("pass")
      assert.strictEqual(yield* refusedFor(address, { ca: ca.cert }), "client-cert")
      const { cert: other } = yield* stranger
      assert.notStrictEqual(yield* refusedFor(address, { ca: ca.cert, cert: other.cert, key: other.key }), "untrusted")
      yield* exchange(address, { ca: ca.cert, cert: client.cert, key: client.key, passphrase })
    })
  )

  it.effect("H4: a server without TLS: nothing of RocketMQ is written to it, however it ends", () =>
    Effect.gen(function* () {
      const plain = yield* serve(undefined)
      assert.strictEqual(yield* refusedFor(plain.address, {}), "plain-server")
      yield* exchange(plain.address)
      for (const onSocket of [
        (socket: Net.Socket) => socket.destroy(),
        (socket: Net.Socket) => socket.once("data", () => socket.end()),
        (socket: Net.Socket) => socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))
      ]) {
        const { address, read } = yield* rawServer(onSocket)
        assert.strictEqual(yield* refusedFor(address, { insecure: true }), "plain-server")
        for (const bytes of yield* Queue.clear(read)) assert.strictEqual(bytes[0], 0x16)
      }
    })
  )

  it.effect("H4: a server that never answers the handshake: the connect timeout", () =>
    Effect.gen(function* () {
      const { address } = yield* rawServer(() => {})
      const wire = yield* Wire
      const error = yield* Effect.flip(wire.connect(address, { connectTimeoutMillis: 150, tls: {} }))
      assert.strictEqual(error.kind, "timeout")
    }).pipe(Effect.scoped)
  )

  it.effect("a server that refuses the connection is no matter of TLS", () =>
    Effect.gen(function* () {
      const { address } = yield* Effect.scoped(rawServer(() => {}))
      const error = yield* Effect.flip(exchange(address, {}))
      assert.strictEqual(error._tag, "ConnectFailed")
    })
  )

  it.effect("a server that speaks TLS 1.1 at most", () =>
    Effect.gen(function* () {
      const { server } = yield* Certs
      const address = yield* Effect.acquireRelease(
        Effect.callback<NodeTls.Server>((resume) => {
          const old = NodeTls.createServer({
            cert: server.cert,
            key: Redacted.value(server.key),
            minVersion: "TLSv1",
            maxVersion: "TLSv1.1",
            ciphers: OLD_CIPHERS
          })
          old.on("tlsClientError", () => {})
          old.on("secureConnection", (socket) => socket.on("error", () => {}))
          old.listen(0, "127.0.0.1", () => resume(Effect.succeed(old)))
        }),
        (old) => Effect.sync(() => void old.close())
      ).pipe(
        Effect.map((old) => {
          const bound = old.address()
          return `127.0.0.1:${bound !== null && typeof bound === "object" ? bound.port : 0}`
        })
      )
      assert.strictEqual(yield* withOldDefaults(agreed(address, {})), "TLSv1.1")
      assert.strictEqual(yield* withOldDefaults(refusedFor(address, { insecure: true })), "protocol")
    })
  )

  it.effect("a client that speaks TLS 1.1 at most is not served", () =>
    Effect.gen(function* () {
      const { address } = yield* withOldDefaults(Effect.flatMap(Certs, ({ server }) => serve(server)))
      assert.strictEqual(yield* agreed(address, {}), "TLSv1.3")
      assert.strictEqual(yield* agreed(address, { maxVersion: "TLSv1.2" }), "TLSv1.2")
      const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: OLD_CIPHERS } as const
      assert.isUndefined(yield* agreed(address, old))
    })
  )

  it.effect("an enforcing server does not serve plain clients, a permissive one serves both", () =>
    Effect.gen(function* () {
      const { ca, server } = yield* Certs
      const enforcing = yield* serve(server)
      const error = yield* Effect.flip(exchange(enforcing.address))
      assert.strictEqual(error._tag, "ConnectionClosed")
      const permissive = yield* serve({ ...server, mode: "permissive" })
      yield* exchange(permissive.address)
      yield* exchange(permissive.address, { ca: ca.cert })
    })
  )

  it.effect("H4: a refused handshake is not tried again at once", () =>
    Effect.gen(function* () {
      let connections = 0
      const { address } = yield* rawServer((socket) => {
        connections++
        socket.destroy()
      })
      const client = yield* RemotingClient.make({ tls: {}, reconnectBackoffMillis: { initial: 60_000, max: 60_000 } })
      for (let i = 0; i < 5; i++) {
        const error = yield* Effect.flip(client.invoke(address, request(5), 1000))
        assert.strictEqual(error._tag, "TlsFailed")
        if (error._tag === "TlsFailed") assert.isAbove(error.retryAfterMillis, 0)
      }
      assert.strictEqual(connections, 1)
    }).pipe(Effect.scoped)
  )

  it.effect("options that cannot be used are said to be so, without what is in them", () =>
    Effect.gen(function* () {
      const { ca, client, server } = yield* Certs
      const wrong: ReadonlyArray<TlsOptions> = [
        { cert: client.cert },
        { key: server.key },
        { ca: "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----" },
        { cert: server.cert, key: Redacted.make("no key") },
        { cert: client.cert, key: client.key, passphrase: Redacted.make("not the word") },
        { cert: client.cert, key: client.key },
        { cert: client.cert, key: server.key },
        { servername: " " }
      ]
      for (const options of wrong) {
        const problem = problemOf(options)
        assert.isString(problem, JSON.stringify(options))
        assert.notInclude(problem ?? "", "not the word")
      }
      assert.strictEqual(problemOf({ ca: ca.cert, cert: server.cert, key: server.key }), undefined)
      const { address } = yield* serve(server)
      assert.strictEqual(yield* refusedFor(address, { cert: client.cert }), "options")
      const listening = yield* Effect.flip(serve({ cert: server.cert, key: Redacted.make("no key") }))
      assert.strictEqual(listening.tls, "options")
    })
  )

  it.effect("closing a server ends the handshakes that are under way", () =>
    Effect.gen(function* () {
      const { server } = yield* Certs
      for (const mode of ["enforcing", "permissive"] as const) {
        const closed = yield* Effect.gen(function* () {
          const { address } = yield* serve({ ...server, mode })
          const socket = Net.connect(Number(address.split(":")[1]), "127.0.0.1")
          yield* Effect.callback<void>((resume) => {
            socket.once("connect", () => resume(Effect.void))
          })
          socket.on("error", () => {})
          socket.resume()
          return Effect.callback<void>((resume) => {
            if (socket.closed) return resume(Effect.void)
            socket.once("close", () => resume(Effect.void))
          })
        }).pipe(Effect.scoped)
        yield* Effect.timeout(closed, 2000)
      }
    })
  )

  it.effect("the wire in memory refuses TLS, and does not leave it out", () =>
    Effect.gen(function* () {
      const { server } = yield* Certs
      const wire = yield* Wire
      yield* wire.listen("broker:1", () => Effect.never)
      const dialled = yield* Effect.flip(wire.connect("broker:1", { connectTimeoutMillis: 100, tls: {} }))
      const listened = yield* Effect.flip(wire.listen("broker:2", () => Effect.never, { tls: server }))
      for (const error of [dialled, listened]) {
        assert.instanceOf(error, WireError)
        assert.deepStrictEqual([error.kind, error.tls], ["tls", "no-tls-here"])
      }
    }).pipe(Effect.provide(MemoryWire.layer), Effect.scoped)
  )
})
