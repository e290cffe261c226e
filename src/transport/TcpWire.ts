import * as NodeSocket from "@effect/platform-node/NodeSocket"
import { Effect, Exit, FiberSet, Layer } from "effect"
import type { Scope } from "effect"
import { Socket } from "effect/socket"
import * as Dns from "node:dns"
import * as Net from "node:net"
import * as NameList from "../message/NameList.ts"
import * as Millis from "../message/Millis.ts"
import * as Address from "./Address.ts"
import * as NodeError from "./NodeError.ts"
import type { TlsOptions } from "./Tls.ts"
import * as TlsSocket from "./TlsSocket.ts"
import { Wire, WireError } from "./Wire.ts"
import type { ByteStream, WireErrorKind } from "./Wire.ts"

/** Options of {@link layerWith}. */
export interface TcpWireOptions {
  /** Resolves host names instead of `node:dns`; for tests. */
  readonly lookup?: Net.LookupFunction | undefined
}

/** How long a closing socket may take to flush and to see the peer's end before it is destroyed. */
const CLOSE_MILLIS = 200
/** Of several addresses of one host each but the last may take this share of the connect timeout. */
const ATTEMPTS = 3

const kinds: Readonly<Record<string, WireErrorKind>> = {
  ECONNREFUSED: "refused",
  ENOTFOUND: "dns",
  EAI_AGAIN: "dns",
  EAI_FAIL: "dns",
  EAI_NODATA: "dns",
  ENODATA: "dns",
  ETIMEDOUT: "timeout",
  ERR_SOCKET_CONNECTION_TIMEOUT: "timeout",
  ECONNRESET: "reset",
  EPIPE: "reset",
  ECONNABORTED: "reset",
  ERR_STREAM_DESTROYED: "closed",
  ERR_STREAM_WRITE_AFTER_END: "closed",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  EHOSTDOWN: "unreachable",
  ENETDOWN: "unreachable",
  EADDRNOTAVAIL: "address",
  EINVAL: "address",
  ERR_INVALID_IP_ADDRESS: "address",
  EADDRINUSE: "in-use",
  EMFILE: "exhausted",
  ENFILE: "exhausted",
  ENOBUFS: "exhausted",
  ENOMEM: "exhausted",
  ERR_ADDRESS_NOT_ALLOWED: "not-allowed"
}

const kindOf = (cause: unknown): WireErrorKind => {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined
  return (typeof code === "string" ? kinds[code] : undefined) ?? "unknown"
}

/** No address of a host name may be dialled. */
const NOT_ALLOWED = "ERR_ADDRESS_NOT_ALLOWED"

/** A resolver that leaves out what may not be dialled: what stands in a name server's answer is one thing, what DNS makes of it another. */
const onlyReachable =
  (lookup: Net.LookupFunction, mayReach: (ip: string) => boolean): Net.LookupFunction =>
  (host, options, callback) =>
    lookup(host, options, (error, found, family) => {
      if (error !== null) return callback(error, found, family)
      const all = typeof found === "string" ? [{ address: found, family: family ?? Net.isIP(found) }] : found
      const left = all.filter((one) => mayReach(one.address))
      const [first] = left
      if (first === undefined) {
        const addresses = NameList.text(all.map((one) => one.address))
        const refused = new Error(`${host} is ${addresses}, which may not be dialled`)
        return callback(Object.assign(refused, { code: NOT_ALLOWED }), [])
      }
      return typeof found === "string" ? callback(null, first.address, first.family) : callback(null, left)
    })

const wireError = (address: string, operation: WireError["operation"], kind: WireErrorKind, cause: unknown) =>
  new WireError({ address, operation, kind, cause: NodeError.clean(cause) })

const tlsError = (address: string, operation: WireError["operation"], tls: WireError["tls"], cause: unknown) =>
  new WireError({ address, operation, kind: "tls", tls, cause: NodeError.clean(cause) })

const fromSocketError =
  (address: string, operation: "read" | "write") =>
  (error: Socket.SocketError): WireError => {
    const { reason } = error
    const closed =
      reason._tag === "SocketCloseError" || (reason._tag === "SocketWriteError" && kindOf(reason.cause) === "unknown")
    const cause = "cause" in reason && reason.cause !== undefined ? reason.cause : error
    const tls = TlsSocket.reasonOf(cause)
    return tls === undefined
      ? wireError(address, operation, closed ? "closed" : kindOf(cause), cause)
      : tlsError(address, operation, tls, cause)
  }

const ignore = () => {}

const closed = (socket: Net.Socket): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const onClose = () => resume(Effect.void)
    if (socket.closed) return onClose()
    socket.once("close", onClose)
    return Effect.sync(() => {
      socket.off("close", onClose)
    })
  })

/** Ends the socket and waits until the peer has ended too, at most {@link CLOSE_MILLIS}: then it is destroyed. */
const close = (socket: Net.Socket): Effect.Effect<void> =>
  Effect.suspend(() => {
    // Nothing reads from now on; unread bytes would hide the peer's end.
    socket.resume()
    socket.end()
    const destroyed = Effect.suspend(() => {
      socket.destroy()
      return closed(socket)
    })
    return Effect.raceFirst(closed(socket), Effect.delay(destroyed, CLOSE_MILLIS))
  })

/** Where a dial goes; `onResolved` is called when the host name is resolved. */
interface Target extends Net.TcpNetConnectOpts {
  readonly onResolved: () => void
}

/** Dials. Interruptible at any point; a socket that did not connect is destroyed. */
const dial = (address: string, options: Target): Effect.Effect<Net.Socket, WireError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Net.Socket, WireError>((resume) => {
      const socket = new Net.Socket()
      // For the socket's whole life: an error event without a listener would end the process.
      socket.on("error", ignore)
      socket.once("lookup", options.onResolved)
      socket.connect(options)
      const onError = (cause: Error) => {
        socket.off("connect", onConnect)
        resume(Effect.fail(wireError(address, "connect", kindOf(cause), cause)))
      }
      const onConnect = () => {
        socket.off("error", onError)
        resume(Effect.succeed(socket))
      }
      socket.once("error", onError)
      socket.once("connect", onConnect)
      return Effect.sync(() => {
        socket.destroy()
      })
    }),
    close,
    { interruptible: true }
  )

const closeHandshaken = ({ socket }: { readonly socket: Net.Socket }): Effect.Effect<void> => close(socket)

/** {@link dial}, then the TLS handshake. Whatever is wrong with it, no byte goes out in plain text. */
const dialTls = Effect.fnUntraced(function* (
  address: string,
  options: Target,
  tls: TlsOptions
): Effect.fn.Return<Net.Socket, WireError, Scope.Scope> {
  const problem = TlsSocket.problemOf(tls)
  if (problem !== undefined) return yield* tlsError(address, "connect", "options", new Error(problem))
  const { ended, socket } = yield* Effect.acquireRelease(handshake(address, options, tls), closeHandshaken, {
    interruptible: true
  })
  yield* Effect.raceFirst(TlsSocket.accepted(socket), ended)
  return socket
})

/** A socket that has verified the server, and an effect that fails when the connection ends. */
const handshake = (address: string, options: Target, tls: TlsOptions) =>
  Effect.suspend(() => {
    const socket = TlsSocket.connect(options, tls)
    socket.once("lookup", options.onResolved)
    let connected = false
    let failure: Error | undefined
    socket.on("error", (cause) => {
      failure ??= cause
    })
    socket.once("connect", () => {
      connected = true
    })
    const ended = Effect.callback<never, WireError>((resume) => {
      const onClose = () => {
        const cause = failure ?? new Error("the connection ended during the TLS handshake")
        const error = connected
          ? tlsError(address, "connect", TlsSocket.handshakeReason(cause, socket), cause)
          : wireError(address, "connect", kindOf(cause), cause)
        resume(Effect.fail(error))
      }
      if (socket.closed) return onClose()
      socket.once("close", onClose)
      return Effect.sync(() => {
        socket.off("close", onClose)
      })
    })
    const secured = Effect.callback<void>((resume) => {
      socket.once("secureConnect", () => resume(Effect.void))
    })
    return Effect.raceFirst(secured, ended).pipe(
      Effect.onExit((exit) =>
        Effect.sync(() => {
          if (Exit.isFailure(exit)) socket.destroy()
        })
      ),
      Effect.as({ ended, socket })
    )
  })

const endpoint = (host: string | undefined, port: number | undefined): string =>
  Address.format({ host: (host ?? "").replace(/^::ffff:(?=[0-9.]+$)/, ""), port: port ?? 0 })

const toByteStream = Effect.fnUntraced(function* (
  socket: Net.Socket
): Effect.fn.Return<ByteStream, WireError, Scope.Scope> {
  const remoteAddress = endpoint(socket.remoteAddress, socket.remotePort)
  const localAddress = endpoint(socket.localAddress, socket.localPort)
  const onRead = fromSocketError(remoteAddress, "read")
  const onWrite = fromSocketError(remoteAddress, "write")
  const duplex = yield* NodeSocket.fromDuplex(Effect.succeed(socket))
  const pull = yield* Effect.mapError(Socket.readerBytes(duplex), onRead)
  const { writeAll } = yield* duplex.writer
  return {
    remoteAddress,
    localAddress,
    pull: Effect.mapError(pull, onRead),
    write: (chunks) => Effect.mapError(writeAll(chunks), onWrite),
    isFlushed: () => socket.writableLength === 0
  }
})

const connect =
  (options: TcpWireOptions): Wire["Service"]["connect"] =>
  (address, { connectTimeoutMillis, mayReach, tls }) =>
    Effect.suspend(() => {
      const target = Address.parse(address)
      if (target instanceof Address.AddressError) {
        return Effect.fail(wireError(address, "connect", "address", target))
      }
      let resolved = Net.isIP(target.host) !== 0
      const netOptions = {
        ...target,
        onResolved: () => {
          resolved = true
        },
        noDelay: true,
        autoSelectFamily: true,
        autoSelectFamilyAttemptTimeout: Math.max(10, Math.ceil(connectTimeoutMillis / ATTEMPTS)),
        ...(mayReach !== undefined
          ? { lookup: onlyReachable(options.lookup ?? Dns.lookup, mayReach) }
          : options.lookup === undefined
            ? {}
            : { lookup: options.lookup })
      }
      const socket = tls === undefined ? dial(address, netOptions) : dialTls(address, netOptions, tls)
      const inTime = Effect.timeoutOrElse(socket, {
        duration: connectTimeoutMillis,
        orElse: () =>
          Effect.fail(
            wireError(
              address,
              "connect",
              resolved ? "timeout" : "dns",
              new Error(
                `${resolved ? "not connected" : "no answer of the resolver"} after ${Millis.text(connectTimeoutMillis)}`
              )
            )
          )
      })
      return Effect.flatMap(inTime, toByteStream)
    })

const bind = (server: Net.Server, address: string, target: Address.Address): Effect.Effect<void, WireError> =>
  Effect.callback((resume) => {
    const onError = (cause: Error) => resume(Effect.fail(wireError(address, "listen", kindOf(cause), cause)))
    server.once("error", onError)
    server.listen(target.port, target.host, () => {
      server.off("error", onError)
      resume(Effect.void)
    })
  })

const listen: Wire["Service"]["listen"] = Effect.fnUntraced(function* (address, onConnection, options = {}) {
  const { maxSockets, tls } = options
  const target = Address.parse(address)
  if (target instanceof Address.AddressError) {
    return yield* wireError(address, "listen", "address", target)
  }
  const server = Net.createServer({ noDelay: true })
  server.on("error", ignore)
  if (maxSockets !== undefined) server.maxConnections = maxSockets
  // Closing runs upwards: accept no more, end the connections, wait until node has seen all of them end.
  yield* Effect.addFinalizer(() =>
    Effect.callback<void>((resume) => {
      server.close(() => resume(Effect.void))
    })
  )
  const serve = (socket: Net.Socket) => {
    socket.on("error", ignore)
    const accepted = Effect.acquireRelease(Effect.succeed(socket), close)
    run(Effect.scoped(Effect.flatMap(Effect.flatMap(accepted, toByteStream), onConnection)))
  }
  const later: TlsSocket.Later = (millis, action) => {
    const fiber = run(Effect.delay(Effect.sync(action), millis))
    return () => fiber.interruptUnsafe()
  }
  const secured =
    tls === undefined
      ? undefined
      : yield* Effect.acquireRelease(
          Effect.try({
            try: () => TlsSocket.acceptor(tls, later, serve),
            catch: (cause) => tlsError(address, "listen", "options", cause)
          }),
          (acceptor) => Effect.sync(acceptor.close)
        )
  const run = yield* FiberSet.makeRuntime()
  yield* Effect.acquireRelease(bind(server, address, target), () => Effect.sync(() => void server.close(ignore)))
  server.on("connection", (socket) => {
    socket.on("error", ignore)
    if (secured === undefined) serve(socket)
    else secured.accept(socket)
  })
  const bound = server.address()
  const port = bound !== null && typeof bound === "object" ? bound.port : target.port
  return { address: Address.format({ host: target.host, port }) }
})

/** {@link layer} with options. */
export const layerWith = (options: TcpWireOptions): Layer.Layer<Wire> =>
  Layer.succeed(Wire, { connect: connect(options), listen })

/**
 * The wire over TCP, on node's sockets, and over TLS where that is asked for. Host names are resolved to all their
 * addresses, which are tried in turn; delay is off (TCP_NODELAY). Closing a stream ends its socket and waits for it, at
 * most 200 ms.
 */
export const layer: Layer.Layer<Wire> = layerWith({})
