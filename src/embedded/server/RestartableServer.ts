import { Effect, Exit, Scope, Semaphore } from "effect"
import type { Response, RemotingCommand } from "../../protocol/RemotingCommand.ts"
import * as Address from "../../transport/Address.ts"
import type { Channel } from "./RemotingServer.ts"
import * as RemotingServer from "./RemotingServer.ts"
import type { TlsServerOptions } from "../../transport/Tls.ts"
import { Wire } from "../../transport/Wire.ts"
import type { WireError } from "../../transport/Wire.ts"
import type { AccessControl } from "./AccessControl.ts"
import type { Handler } from "./Handler.ts"
import type { FaultEngine, FaultServer } from "./FaultEngine.ts"
import { counters } from "./LiveCounters.ts"
import type { TrafficRecorder } from "./Traffic.ts"

/** A listening server that can be stopped, and started again on the same address. */
export interface RestartableServer {
  /** Its `host:port`; with the port it was given at its first start. */
  readonly address: () => string
  readonly running: () => boolean
  /** Starts it if it does not run; `newPort` lets it take another free port. */
  readonly start: (options?: { readonly newPort?: boolean | undefined }) => Effect.Effect<void, WireError>
  /** Closes its connections and its port. */
  readonly stop: Effect.Effect<void>
  readonly channels: Effect.Effect<ReadonlyArray<Channel>>
  /** Runs an effect in the background until the server stops; nothing happens while it does not run. */
  readonly fork: (effect: Effect.Effect<void>) => Effect.Effect<void>
}

/** What to serve, where, and who watches. */
export interface RestartableServerOptions {
  readonly name: string
  readonly kind: FaultServer["kind"]
  /** The interface to listen on; all of them are advertised to clients as the loopback one. */
  readonly host: string
  /** 0 takes a free port at the first start. */
  readonly port: number
  readonly version: number
  readonly faults: FaultEngine
  readonly recorder: TrafficRecorder
  /** Who may do what; undefined lets everybody do everything. */
  readonly access: AccessControl | undefined
  readonly tls: TlsServerOptions | undefined
  readonly handler: Handler
  readonly onClose: (channel: Channel) => Effect.Effect<void>
}

interface Running {
  readonly scope: Scope.Closeable
  readonly server: RemotingServer.RemotingServer
}

/** A listener's port on another host: what it is advertised as, or where it listens again. */
const withHost = (address: string, host: string): string => {
  const parsed = Address.parse(address)
  return parsed instanceof Address.AddressError ? address : Address.format({ host, port: parsed.port })
}

/** The host under which clients of this machine reach a listener on every interface. */
const advertisedHosts: ReadonlyMap<string, string> = new Map([
  ["0.0.0.0", "127.0.0.1"],
  ["::", "::1"]
])

/** Builds a server that does not run yet; it stops with the scope. */
export const make = (options: RestartableServerOptions): Effect.Effect<RestartableServer, never, Wire | Scope.Scope> =>
  Effect.gen(function* () {
    const wire = yield* Wire
    const parent = yield* Effect.scope
    const permits = yield* Semaphore.make(1)
    let address = Address.format({ host: options.host, port: options.port })
    let running: Running | undefined

    const identity = (): FaultServer => ({ name: options.name, kind: options.kind, address })

    const handle = (request: RemotingCommand, channel: Channel): Effect.Effect<Response | undefined> => {
      const refusal = options.access?.(request, channel.remoteAddress)
      return Effect.map(
        refusal === undefined ? options.handler(request, channel) : Effect.succeed(refusal),
        (response) => {
          if (response !== undefined) options.recorder.answered(request, response)
          return response
        }
      )
    }

    const listen = (newPort: boolean) =>
      RemotingServer.listen({
        address: newPort ? Address.format({ host: options.host, port: 0 }) : withHost(address, options.host),
        version: options.version,
        tls: options.tls,
        handler: handle,
        intercept: {
          onAccept: (remoteAddress) => options.faults.onAccept(identity(), remoteAddress),
          onRequest: (request, channel) => {
            const actions = options.faults.onRequest(identity(), request, channel.remoteAddress)
            options.recorder.request(identity(), request, channel.remoteAddress, actions)
            return actions
          }
        },
        onOpen: () =>
          Effect.sync(() => {
            counters.channels += 1
          }),
        onClose: (channel) =>
          Effect.suspend(() => {
            counters.channels -= 1
            return options.onClose(channel)
          })
      })

    const start = (newPort: boolean) =>
      Effect.gen(function* () {
        if (running !== undefined) return
        const scope = yield* Scope.fork(parent)
        const server = yield* listen(newPort).pipe(
          Effect.provideService(Wire, wire),
          Scope.provide(scope),
          Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : Scope.close(scope, exit)))
        )
        counters.servers += 1
        yield* Scope.addFinalizer(
          scope,
          Effect.sync(() => {
            counters.servers -= 1
            running = undefined
          })
        )
        address = withHost(server.address, advertisedHosts.get(options.host) ?? options.host)
        running = { scope, server }
      })

    const stop = Effect.suspend(() => (running === undefined ? Effect.void : Scope.close(running.scope, Exit.void)))

    return {
      address: () => address,
      running: () => running !== undefined,
      start: (startOptions) => permits.withPermit(Effect.uninterruptible(start(startOptions?.newPort ?? false))),
      stop: permits.withPermit(Effect.uninterruptible(stop)),
      channels: Effect.suspend(() => (running === undefined ? Effect.succeed([]) : running.server.channels)),
      fork: (effect) =>
        Effect.suspend(() =>
          running === undefined ? Effect.void : Effect.asVoid(Effect.forkIn(effect, running.scope))
        )
    }
  })
