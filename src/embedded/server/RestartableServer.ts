import { Effect, Exit, Scope, Semaphore } from "effect"
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
  /** The `host:port` of its second listener while it has one. */
  readonly vipAddress: () => string | undefined
  readonly running: () => boolean
  /** Starts it if it does not run; `newPort` lets it take another free port. */
  readonly start: (options?: { readonly newPort?: boolean | undefined }) => Effect.Effect<void, WireError>
  /** Closes its connections and its port. */
  readonly stop: Effect.Effect<void>
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
  /**
   * Ports that the servers of the cluster have or had, this one's added. A client may still know a port that a server left,
   * and would take whoever listens there for that server.
   */
  readonly ports: Set<number>
  /** Serves a second listener two ports below, which Java's clients call the VIP channel; undefined for none. */
  readonly vip?: Handler | undefined
}

interface Running {
  readonly scope: Scope.Closeable
  readonly vipAddress: string | undefined
}

/** How far below a broker's port its second listener is. Source: RocketMQ `MixAll.brokerVIPChannel`. */
const VIP_DISTANCE = 2

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
    const host = advertisedHosts.get(options.host) ?? options.host
    let port = options.port
    let running: Running | undefined
    /** Over both listeners and every start, because channels are told apart by it. */
    let lastChannelId = 0
    if (port !== 0) options.ports.add(port)

    const guarded =
      (handler: Handler): Handler =>
      (request, channel) => {
        const refusal = options.access?.(request, channel.remoteAddress)
        return Effect.map(refusal === undefined ? handler(request, channel) : Effect.succeed(refusal), (response) => {
          if (response !== undefined) options.recorder.answered(request, response)
          return response
        })
      }

    const listen = (at: number, handler: Handler, identity: () => FaultServer) =>
      RemotingServer.listen({
        address: Address.format({ host: options.host, port: at }),
        version: options.version,
        tls: options.tls,
        nextChannelId: () => ++lastChannelId,
        handler: guarded(handler),
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

    const address = (): string => Address.format({ host, port })
    const identity = (): FaultServer => ({ name: options.name, kind: options.kind, address: address() })

    /** Its address when the port was to be had; a broker without one serves all the same. */
    const listenVip: Effect.Effect<string | undefined, never, Wire | Scope.Scope> = Effect.suspend(() => {
      const { ports, vip } = options
      const vipPort = port - VIP_DISTANCE
      if (vip === undefined || vipPort < 1 || ports.has(vipPort)) return Effect.succeed(undefined)
      const vipAddress = Address.format({ host, port: vipPort })
      return listen(vipPort, vip, () => ({ ...identity(), address: vipAddress })).pipe(
        Effect.as(vipAddress),
        Effect.catch((error) =>
          Effect.as(Effect.logDebug(`${options.name} has no second listener: ${error.message}`), undefined)
        )
      )
    })

    const start = (newPort: boolean) =>
      Effect.gen(function* () {
        if (running !== undefined) return
        const scope = yield* Scope.fork(parent)
        const vipAddress = yield* listen(newPort ? 0 : port, options.handler, identity).pipe(
          Effect.tap((server) =>
            Effect.sync(() => {
              const listening = Address.parse(server.address)
              if (listening instanceof Address.AddressError) return
              port = listening.port
              options.ports.add(port)
            })
          ),
          Effect.andThen(listenVip),
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
        running = { scope, vipAddress }
      })

    const stop = Effect.suspend(() => (running === undefined ? Effect.void : Scope.close(running.scope, Exit.void)))

    return {
      address,
      vipAddress: () => running?.vipAddress,
      running: () => running !== undefined,
      start: (startOptions) => permits.withPermit(Effect.uninterruptible(start(startOptions?.newPort ?? false))),
      stop: permits.withPermit(Effect.uninterruptible(stop)),
      fork: (effect) =>
        Effect.suspend(() =>
          running === undefined ? Effect.void : Effect.asVoid(Effect.forkIn(effect, running.scope))
        )
    }
  })
