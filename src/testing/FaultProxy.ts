import { Clock, Deferred, Effect, Exit, FiberSet, Latch, Scope, Semaphore } from "effect"
import * as Net from "node:net"
import * as Address from "../transport/Address.ts"
import { WireError } from "../transport/Wire.ts"
import * as DeafPort from "./DeafPort.ts"
import * as ProxyLink from "./ProxyLink.ts"
import type { Direction, Toxic } from "./Toxic.ts"
import { monotonicMillis } from "../transport/Deadline.ts"

export type { PassingFrame } from "./FrameCutter.ts"
export { bandwidth, blackHole, corrupt, corruptAt, frames, halfOpen, latency, limit, slicer } from "./Toxic.ts"
export type { Direction, Toxic } from "./Toxic.ts"

/** What went through a fault proxy since it was made. */
export interface Counters {
  /** Connections that clients opened to it. */
  readonly dials: number
  /** Connections that are open now. */
  readonly open: number
  /** Bytes that the server was given. */
  readonly upstreamBytes: number
  /** Bytes that clients were given. */
  readonly downstreamBytes: number
}

/** A toxic that was put in. */
export interface Installed {
  /** Takes it out; what it holds back goes on its way. */
  readonly remove: Effect.Effect<void>
}

/** A TCP proxy that does harm when it is told to. All of it may change while connections are open. */
export interface FaultProxy {
  /** Where clients connect to, `host:port`; the same for the proxy's whole life. */
  readonly address: string
  /** Puts a toxic into one direction or, without one, into both. Toxics act in the order in which they came. */
  readonly add: (toxic: Toxic, direction?: Direction) => Effect.Effect<Installed>
  /** {@link FaultProxy.add} until the scope closes. */
  readonly scoped: (toxic: Toxic, direction?: Direction) => Effect.Effect<void, never, Scope.Scope>
  /** Takes all toxics out. */
  readonly clear: Effect.Effect<void>
  /** Resets every open connection on both sides (RST). */
  readonly reset: Effect.Effect<void>
  /** Closes every open connection on both sides (FIN). */
  readonly close: Effect.Effect<void>
  /** Refuses dials from now on, and closes what is open, as when the server's process ends. */
  readonly down: Effect.Effect<void>
  /** Leaves dials without an answer from now on (their SYN is dropped); what is open stays so. */
  readonly deaf: Effect.Effect<void, WireError>
  /** Takes connections again. */
  readonly up: Effect.Effect<void, WireError>
  /** Sends new connections to another server. */
  readonly retarget: (target: string) => Effect.Effect<void, WireError>
  /** What has passed so far. */
  readonly counters: Effect.Effect<Counters>
  /** Waits until the counters meet the condition, and returns them. */
  readonly until: (condition: (counters: Counters) => boolean) => Effect.Effect<Counters>
}

/** Options of {@link make}. */
export interface FaultProxyOptions {
  /** The server behind the proxy, `host:port`. */
  readonly target: string
  /** Where to listen; default `127.0.0.1:0`, a free port of the loopback interface. */
  readonly listen?: string | undefined
}

interface ProxiedConnection {
  readonly end: (how: "close" | "reset") => void
  readonly destroy: () => void
}

const ignore = () => {}

/** Resets a socket. A reset while the end of what was written is under way would fail, and leave the socket behind. */
const reset = (socket: Net.Socket): void => {
  if (socket.writableEnded && !socket.writableFinished) socket.once("finish", () => socket.resetAndDestroy())
  else socket.resetAndDestroy()
}

const parse = (address: string): Effect.Effect<Address.Address, WireError> =>
  Effect.suspend(() => {
    const parsed = Address.parse(address)
    return parsed instanceof Address.AddressError
      ? Effect.fail(new WireError({ address, operation: "listen", kind: "address", cause: parsed }))
      : Effect.succeed(parsed)
  })

/** Listens until the scope closes; gives the port. Connections that are open then stay so. */
const listen = (
  { host, port }: Address.Address,
  onConnection: (socket: Net.Socket) => void
): Effect.Effect<number, WireError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Net.Server, WireError>((resume) => {
        const server = Net.createServer({ allowHalfOpen: true, noDelay: true }, onConnection)
        server.once("error", (cause) => {
          const kind = "code" in cause && cause.code === "EADDRINUSE" ? "in-use" : "unknown"
          const address = Address.format({ host, port })
          resume(Effect.fail(new WireError({ address, operation: "listen", kind, cause })))
        })
        server.listen(port, host, () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => void server.close(ignore))
    ),
    (server) => {
      const bound = server.address()
      return bound !== null && typeof bound === "object" ? bound.port : port
    }
  )

/**
 * Starts a proxy in front of a server; it listens, and its connections live, until the scope closes. Delays are of the
 * `Clock`, so on a test's clock they last until the test turns it; jitter is of `Random`.
 *
 * A server that refuses shows to clients as a connection that is reset at once; {@link FaultProxy.down} makes the proxy
 * itself refuse.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { EmbeddedCluster, FaultProxy } from "effect-rocketmq/testing"
 *
 * const slow = Effect.gen(function* () {
 *   const cluster = yield* EmbeddedCluster
 *   const proxy = yield* FaultProxy.make({ target: cluster.namesrvAddr })
 *   yield* proxy.add(FaultProxy.latency(100, 20), "downstream")
 *   return proxy.address
 * })
 * ```
 */
export const make = (options: FaultProxyOptions): Effect.Effect<FaultProxy, WireError, Scope.Scope> =>
  Effect.gen(function* () {
    let target = yield* parse(options.target)
    const wanted = yield* parse(options.listen ?? "127.0.0.1:0")
    const clock = yield* Clock.Clock
    const now = monotonicMillis(clock)
    const permits = yield* Semaphore.make(1)
    const toxics: Record<Direction, ReadonlyArray<ProxyLink.ActiveToxic>> = { upstream: [], downstream: [] }
    const connections = new Set<ProxiedConnection>()
    const counters = { dials: 0, open: 0, upstreamBytes: 0, downstreamBytes: 0 }
    const waiting = new Set<{ readonly accepts: (now: Counters) => boolean; readonly done: Deferred.Deferred<void> }>()

    const count = (key: keyof Counters, by: number) => {
      counters[key] += by
      for (const waiter of waiting) if (waiter.accepts(counters)) Deferred.doneUnsafe(waiter.done, Effect.void)
    }

    // Released last: nothing runs, and no socket is open, when the scope has closed.
    const run = yield* FiberSet.makeRuntime()
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const connection of connections) connection.destroy()
      })
    )

    const proxied = (client: Net.Socket) => {
      const server = Net.connect({ ...target, allowHalfOpen: true, noDelay: true })
      const both = [client, server]
      const connection: ProxiedConnection = {
        end: (how) => {
          for (const socket of both) {
            if (how === "close") socket.destroySoon()
            else reset(socket)
          }
        },
        destroy: () => {
          for (const socket of both) socket.destroy()
        }
      }
      connections.add(connection)
      count("dials", 1)
      count("open", 1)
      const link = (direction: Direction, source: Net.Socket, sink: Net.Socket) =>
        run(
          ProxyLink.make({
            now,
            source,
            sink,
            toxics: () => toxics[direction],
            delivered: (bytes) => count(direction === "upstream" ? "upstreamBytes" : "downstreamBytes", bytes),
            cut: connection.end
          })
        )
      const links = [link("upstream", client, server), link("downstream", server, client)]
      let left = both.length
      for (const socket of both) {
        socket.on("close", () => {
          if (--left > 0) return
          connections.delete(connection)
          for (const fiber of links) fiber.interruptUnsafe()
          count("open", -1)
        })
      }
    }

    // The one that holds the port at the moment: a listener, a deaf one, or nobody.
    let holder = yield* Scope.fork(yield* Effect.scope)
    const parent = yield* Effect.scope
    const port = yield* Scope.provide(listen(wanted, proxied), holder)
    const own = { host: wanted.host, port }
    let state: "up" | "down" | "deaf" = "up"

    const become = (next: typeof state, hold: Effect.Effect<number, WireError, Scope.Scope> | undefined) =>
      permits.withPermit(
        Effect.uninterruptible(
          Effect.suspend(() => {
            if (state === next) return Effect.void
            return Effect.gen(function* () {
              yield* Scope.close(holder, Exit.void)
              holder = yield* Scope.fork(parent)
              state = "down"
              if (hold !== undefined) yield* Scope.provide(hold, holder)
              state = next
            })
          })
        )
      )

    const end = (how: "close" | "reset") =>
      Effect.sync(() => {
        for (const connection of connections) connection.end(how)
      })

    const add: FaultProxy["add"] = (toxic, direction) =>
      Effect.sync(() => {
        const active: ProxyLink.ActiveToxic = { toxic, removed: Latch.makeUnsafe() }
        const directions: ReadonlyArray<Direction> = direction === undefined ? ["upstream", "downstream"] : [direction]
        for (const each of directions) toxics[each] = [...toxics[each], active]
        return { remove: Effect.sync(() => takeOut(active)) }
      })

    const takeOut = (active: ProxyLink.ActiveToxic) => {
      for (const each of ["upstream", "downstream"] as const) {
        toxics[each] = toxics[each].filter((other) => other !== active)
      }
      active.removed.openUnsafe()
    }

    const self: FaultProxy = {
      address: Address.format(own),
      add,
      scoped: (toxic, direction) => Effect.asVoid(Effect.acquireRelease(add(toxic, direction), ({ remove }) => remove)),
      clear: Effect.sync(() => {
        for (const active of [...toxics.upstream, ...toxics.downstream]) takeOut(active)
      }),
      reset: end("reset"),
      close: end("close"),
      down: Effect.andThen(Effect.orDie(become("down", undefined)), end("close")),
      deaf: become("deaf", DeafPort.listen(own.host, own.port)),
      up: become("up", listen(own, proxied)),
      retarget: (address) =>
        Effect.map(parse(address), (parsed) => {
          target = parsed
        }),
      counters: Effect.sync(() => ({ ...counters })),
      until: (condition) =>
        Effect.suspend(() => {
          if (condition(counters)) return Effect.succeed({ ...counters })
          const waiter = { accepts: condition, done: Deferred.makeUnsafe<void>() }
          waiting.add(waiter)
          return Deferred.await(waiter.done).pipe(
            Effect.ensuring(Effect.sync(() => waiting.delete(waiter))),
            Effect.map(() => ({ ...counters }))
          )
        })
    }
    return self
  })
