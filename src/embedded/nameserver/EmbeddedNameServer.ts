import { Effect } from "effect"
import type { Scope } from "effect"
import type { TlsServerOptions } from "../../transport/Tls.ts"
import type { Wire, WireError } from "../../transport/Wire.ts"
import type { AccessControl } from "../server/AccessControl.ts"
import type { FaultEngine } from "../server/FaultEngine.ts"
import * as KVConfig from "./KVConfig.ts"
import * as NamesrvConfig from "./NamesrvConfig.ts"
import * as NameServerProcessor from "./NameServerProcessor.ts"
import * as RestartableServer from "../server/RestartableServer.ts"
import type { RouteInfo } from "./RouteInfo.ts"
import * as RouteInfos from "./RouteInfo.ts"
import type { TrafficRecorder } from "../server/Traffic.ts"

/** One name server of an embedded cluster. */
export interface EmbeddedNameServer {
  /** `namesrv-0`, `namesrv-1`, ... */
  readonly name: string
  /** Its `host:port`; the same after a stop and a start. */
  readonly address: string
  /** Whether it takes connections at present. */
  readonly running: boolean
  /** Closes its connections and its port. */
  readonly stop: Effect.Effect<void>
  /** Starts it again on the same address; the running brokers register with it at once. */
  readonly start: Effect.Effect<void, WireError>
}

/** What the cluster needs of a name server besides. */
export interface NameServerNode extends EmbeddedNameServer {
  readonly routes: RouteInfo
}

/** Builds a name server that does not run yet. `onStarted` registers the brokers. */
export const make = (options: {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly version: number
  readonly orderMessageEnable: boolean
  readonly now: () => number
  readonly faults: FaultEngine
  readonly recorder: TrafficRecorder
  readonly access: AccessControl | undefined
  readonly tls: TlsServerOptions | undefined
  /** Ports that the servers of the cluster have or had; see `RestartableServer`. */
  readonly ports: Set<number>
  readonly onStarted: (routes: RouteInfo) => void
}): Effect.Effect<NameServerNode, never, Wire | Scope.Scope> =>
  Effect.gen(function* () {
    const routes = RouteInfos.make()
    const processor = NameServerProcessor.make({
      routes,
      kv: KVConfig.make(),
      version: options.version,
      config: NamesrvConfig.live({
        version: options.version,
        orderMessageEnable: options.orderMessageEnable,
        address: () => server.address()
      }),
      now: options.now,
      fork: (effect) => server.fork(effect)
    })
    const server: RestartableServer.RestartableServer = yield* RestartableServer.make({
      name: options.name,
      kind: "nameServer",
      host: options.host,
      port: options.port,
      version: options.version,
      faults: options.faults,
      recorder: options.recorder,
      access: options.access,
      tls: options.tls,
      ports: options.ports,
      handler: processor.handle,
      onClose: processor.onClose
    })
    return {
      name: options.name,
      get address() {
        return server.address()
      },
      get running() {
        return server.running()
      },
      routes,
      stop: server.stop,
      start: Effect.suspend(() => {
        if (server.running()) return Effect.void
        // What a name server knows it holds in memory only.
        routes.clear()
        return Effect.tap(server.start(), () => Effect.sync(() => options.onStarted(routes)))
      })
    }
  })
