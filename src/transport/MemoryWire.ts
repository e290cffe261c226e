import { Clock, Context, type Duration, Effect, FiberSet, Layer, Random } from "effect"
import type { Scope } from "effect"
import * as Millis from "../message/Millis.ts"
import { makePipe } from "./MemoryPipe.ts"
import type { Pipe } from "./MemoryPipe.ts"
import * as Address from "./Address.ts"
import { Wire, WireError } from "./Wire.ts"
import type { ByteStream, WireErrorKind } from "./Wire.ts"

/**
 * What becomes of an address: `open` is normal; `refuse` fails new dials and leaves connections alone; `blackhole`
 * leaves dials without an answer and holds back the bytes of open connections, both ways, until it is `open` again.
 */
export type Reachability = "open" | "refuse" | "blackhole"

/** The virtual network behind {@link layer}: tests hide, cut and count with it. */
export class MemoryNetwork extends Context.Service<
  MemoryNetwork,
  {
    /** Changes what becomes of a listening address; every address is `open` at first. */
    readonly setReachable: (address: string, reachability: Reachability) => Effect.Effect<void>
    /**
     * How long a dial and each chunk take from now on; default 0, a bare number is milliseconds. With `jitterMillis` each
     * takes up to so much more, drawn from the `Random` that the layer was built with; chunks of one connection keep their order, those of
     * different connections overtake each other. With `address` it is for connections to that address alone.
     */
    readonly setLatency: (
      time: Duration.Input,
      options?: { readonly jitterMillis?: Duration.Input | undefined; readonly address?: string | undefined }
    ) => Effect.Effect<void>
    /**
     * Bytes that arrive in one piece at most, from now on; default no limit. Longer writes arrive as several chunks.
     */
    readonly setSlice: (bytes: number) => Effect.Effect<void>
    /** Resets all connections to a listening address: both ends fail with kind `reset`, unread bytes are lost. */
    readonly cutAll: (address: string) => Effect.Effect<void>
    /** How many connections are open. */
    readonly connections: () => Effect.Effect<number>
    /** How many dials to an address there have been, successful or not. */
    readonly dials: (address: string) => Effect.Effect<number>
  }
>()("effect-rocketmq/transport/MemoryNetwork") {}

interface Connected {
  readonly address: string
  readonly pipes: readonly [Pipe, Pipe]
}

type Accept = (stream: ByteStream, close: () => void) => void

interface Latency {
  readonly millis: number
  readonly jitterMillis: number
}

const NO_LATENCY: Latency = { millis: 0, jitterMillis: 0 }

interface State {
  readonly listeners: Map<string, Accept>
  readonly reachable: Map<string, Reachability>
  readonly connections: Set<Connected>
  readonly dials: Map<string, number>
  /** By address; that of "" is for all that have none of their own. */
  readonly latencies: Map<string, Latency>
  readonly draw: () => number
  sliceBytes: number
  nextListenPort: number
  nextLocalPort: number
}

const wireError = (
  address: string,
  operation: WireError["operation"],
  kind: WireErrorKind,
  detail: string
): WireError => new WireError({ address, operation, kind, cause: new Error(detail) })

/** Fails rather than being ignored: a caller that asks for TLS must never get plain text. */
const noTls = (address: string, operation: WireError["operation"]) =>
  Effect.fail(
    new WireError({
      address,
      operation,
      kind: "tls",
      tls: "no-tls-here",
      cause: new Error("the wire in memory has no TLS")
    })
  )

/** What a dial to an address, or a chunk on a connection to it, takes now. */
const latencyOf = (state: State, address: string): number => {
  const { jitterMillis, millis } = state.latencies.get(address) ?? state.latencies.get("") ?? NO_LATENCY
  return jitterMillis === 0 ? millis : millis + state.draw() * jitterMillis
}

const reading = (pipe: Pipe, localAddress: string, remoteAddress: string) =>
  Effect.mapError(pipe.pull, (kind) => wireError(remoteAddress, "read", kind, `read at ${localAddress}: ${kind}`))

const writing =
  (pipe: Pipe, localAddress: string, remoteAddress: string): ByteStream["write"] =>
  (chunks) =>
    Effect.mapError(pipe.write(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)), (kind) =>
      wireError(remoteAddress, "write", kind, `write at ${localAddress}: ${kind}`)
    )

const isOver = ({ pipes: [up, down] }: Connected): boolean => up.isOver() && down.isOver()

/** Forgets a connection that has ended; one behind a black hole is kept, because its peer has not seen the end yet. */
const forget = (state: State, connected: Connected): void => {
  if (isOver(connected) && state.reachable.get(connected.address) !== "blackhole") state.connections.delete(connected)
}

/** Opens a connection to a listener: two pipes, of which each end reads one and writes the other. */
const open = (state: State, clock: Clock.Clock, address: string, accept: Accept) => {
  const localAddress = `127.0.0.1:${state.nextLocalPort++}`
  const options = { clock, latencyMillis: () => latencyOf(state, address), sliceBytes: () => state.sliceBytes }
  const up = makePipe(options)
  const down = makePipe(options)
  const connected: Connected = { address, pipes: [up, down] }
  state.connections.add(connected)
  const end = (write: Pipe, read: Pipe) => () => {
    write.end()
    read.abandon()
    forget(state, connected)
  }
  const client: ByteStream = {
    remoteAddress: address,
    localAddress,
    pull: reading(down, localAddress, address),
    write: writing(up, localAddress, address),
    isFlushed: () => true
  }
  const server: ByteStream = {
    remoteAddress: localAddress,
    localAddress: address,
    pull: reading(up, address, localAddress),
    write: writing(down, address, localAddress),
    isFlushed: () => true
  }
  accept(server, end(down, up))
  return { client, close: end(up, down) }
}

const connect =
  (state: State, clock: Clock.Clock): Wire["Service"]["connect"] =>
  (address, { connectTimeoutMillis, tls }) => {
    if (tls !== undefined) return noTls(address, "connect")
    const dial: Effect.Effect<ByteStream, WireError, Scope.Scope> = Effect.gen(function* () {
      const target = Address.parse(address)
      if (target instanceof Address.AddressError) {
        return yield* new WireError({ address, operation: "connect", kind: "address", cause: target })
      }
      state.dials.set(address, (state.dials.get(address) ?? 0) + 1)
      // At least one turn of the event loop, as with a real socket.
      yield* Effect.yieldNow
      const latencyMillis = latencyOf(state, address)
      if (latencyMillis > 0) yield* clockSleep(clock, latencyMillis)
      const reachability = state.reachable.get(address)
      if (reachability === "blackhole") return yield* Effect.never
      const accept = state.listeners.get(address)
      if (accept === undefined || reachability === "refuse") {
        return yield* wireError(address, "connect", "refused", "nobody listens on the virtual network")
      }
      const opened = yield* Effect.acquireRelease(
        Effect.sync(() => open(state, clock, address, accept)),
        ({ close }) => Effect.sync(close)
      )
      return opened.client
    })
    return Effect.timeoutOrElse(dial, {
      duration: connectTimeoutMillis,
      orElse: () =>
        Effect.fail(
          wireError(address, "connect", "timeout", `not connected after ${Millis.text(connectTimeoutMillis)}`)
        )
    })
  }

const clockSleep = (clock: Clock.Clock, millis: number) =>
  Effect.provideService(Effect.sleep(millis), Clock.Clock, clock)

const listen = (state: State): Wire["Service"]["listen"] =>
  Effect.fnUntraced(function* (address, onConnection, options) {
    if (options?.tls !== undefined) return yield* noTls(address, "listen")
    const target = Address.parse(address)
    if (target instanceof Address.AddressError) {
      return yield* new WireError({ address, operation: "listen", kind: "address", cause: target })
    }
    const at = (port: number): string => Address.format({ ...target, port })
    while (target.port === 0 && state.listeners.has(at(state.nextListenPort))) state.nextListenPort++
    const bound = at(target.port === 0 ? state.nextListenPort++ : target.port)
    if (state.listeners.has(bound)) {
      return yield* wireError(bound, "listen", "in-use", "another listener of the virtual network has this address")
    }
    const run = yield* FiberSet.makeRuntime()
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        state.listeners.set(bound, (stream, close) => {
          const accepted = Effect.acquireRelease(Effect.succeed(stream), () => Effect.sync(close))
          run(Effect.scoped(Effect.flatMap(accepted, onConnection)))
        })
      }),
      () => Effect.sync(() => state.listeners.delete(bound))
    )
    return { address: bound }
  })

const network = (state: State): MemoryNetwork["Service"] => {
  const each = (address: string, f: (pipe: Pipe) => void) => {
    for (const connected of state.connections) {
      if (connected.address === address) connected.pipes.forEach(f)
    }
  }
  return {
    setReachable: (address, reachability) =>
      Effect.sync(() => {
        state.reachable.set(address, reachability)
        each(address, (pipe) => pipe.hold(reachability === "blackhole"))
        for (const connected of state.connections) forget(state, connected)
      }),
    setLatency: (time, options) =>
      Effect.sync(() => {
        state.latencies.set(options?.address ?? "", {
          millis: Millis.pause(time),
          jitterMillis: Millis.pause(options?.jitterMillis ?? 0)
        })
      }),
    setSlice: (bytes) =>
      Effect.sync(() => {
        state.sliceBytes = bytes
      }),
    cutAll: (address) =>
      Effect.sync(() => {
        const pipes: Array<Pipe> = []
        for (const connected of state.connections) {
          if (connected.address !== address) continue
          state.connections.delete(connected)
          for (const pipe of connected.pipes) pipes.push(pipe)
        }
        for (const tell of pipes.map((pipe) => pipe.reset())) tell()
      }),
    connections: () => Effect.sync(() => [...state.connections].filter((connected) => !isOver(connected)).length),
    dials: (address) => Effect.sync(() => state.dials.get(address) ?? 0)
  }
}

/**
 * The wire in memory: no sockets, no real time, one network per build of the layer. Addresses are any `host:port` text,
 * and port 0 picks one. A stream holds 256 KiB per direction; then writes wait for the reader. It works under
 * TestClock.
 */
export const layer: Layer.Layer<Wire | MemoryNetwork> = Layer.effectContext(
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const random = yield* Random.Random
    const state: State = {
      listeners: new Map(),
      reachable: new Map(),
      connections: new Set(),
      dials: new Map(),
      latencies: new Map(),
      draw: () => random.nextDoubleUnsafe(),
      sliceBytes: Infinity,
      nextListenPort: 40_000,
      nextLocalPort: 50_000
    }
    return Context.make(Wire, { connect: connect(state, clock), listen: listen(state) }).pipe(
      Context.add(MemoryNetwork, network(state))
    )
  })
)
