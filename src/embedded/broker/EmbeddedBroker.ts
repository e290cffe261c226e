import { Effect } from "effect"
import type { Scope } from "effect"
import { MQVersion } from "../../protocol/MQVersion.ts"
import * as NotifyConsumerIdsChanged from "../../protocol/push/NotifyConsumerIdsChanged.ts"
import type { TopicRouteData } from "../../protocol/TopicRouteData.ts"
import type { Channel } from "../server/RemotingServer.ts"
import type { TlsServerOptions } from "../../transport/Tls.ts"
import type { Wire, WireError } from "../../transport/Wire.ts"
import type { AccessControl } from "../server/AccessControl.ts"
import * as MixAll from "../../message/MixAll.ts"
import * as Alarm from "../store/Alarm.ts"
import type { Broker } from "./Broker.ts"
import type { BrokerConfig, LiveConfig } from "../store/BrokerConfig.ts"
import * as BrokerProcessor from "./BrokerProcessor.ts"
import type { BrokerState } from "../store/BrokerState.ts"
import * as ClientTable from "./ClientTable.ts"
import * as SqlFilter from "../filter/SqlFilter.ts"
import type { FaultEngine } from "../server/FaultEngine.ts"
import * as LongPolling from "./LongPolling.ts"
import type { MessageStore } from "../store/MessageStore.ts"
import * as PopPolling from "./PopPolling.ts"
import * as RebalanceLocks from "./RebalanceLocks.ts"
import * as RestartableServer from "../server/RestartableServer.ts"
import type { TrafficRecorder } from "../server/Traffic.ts"
import * as TransactionChecks from "./TransactionChecks.ts"

/** What becomes of a broker's routes when it stops. */
export interface StopOptions {
  /**
   * `immediate`: the name servers drop it at once, as after a clean shutdown or a broken connection (default).
   * `expiry`: after 120 s, as when its host disappears. `never`: it stays in the routes.
   */
  readonly unregister?: "immediate" | "expiry" | "never" | undefined
}

/** One broker of an embedded cluster. */
export interface EmbeddedBroker {
  /** `broker-a`, `broker-b`, ... unless the options name it. */
  readonly name: string
  /** 0 for a master. */
  readonly id: number
  /** Its `host:port`; the same after a stop and a start, unless a new port was asked for. */
  readonly address: string
  /**
   * The `host:port` of its second listener, which clients with `vipChannelEnabled` send to: two ports below its own.
   * Undefined while it does not run, and when that port is another socket's, or another server's of the cluster.
   */
  readonly vipAddress: string | undefined
  /** Whether it takes connections at present. */
  readonly running: boolean
  /** Its settings, in RocketMQ's words. */
  readonly config: BrokerConfig
  /** What it has stored, for assertions and for making old messages disappear. */
  readonly store: MessageStore
  /** Closes its connections and its port; what it stored stays. */
  readonly stop: (options?: StopOptions) => Effect.Effect<void>
  /** Starts it again, on the same address or on a new port, and registers it with the name servers. */
  readonly start: (options?: { readonly newPort?: boolean | undefined }) => Effect.Effect<void, WireError>
  /** Stops and starts it. */
  readonly restart: (options?: { readonly newPort?: boolean | undefined }) => Effect.Effect<void, WireError>
  /** Makes it refuse sends with code 2 as an overloaded broker does, or not. */
  readonly setBusy: (busy: boolean) => Effect.Effect<void>
}

/** What the cluster needs of a broker besides. */
export interface BrokerNode extends EmbeddedBroker {
  /** What it registers under: its address, without the brackets of IPv6. */
  readonly announced: string
  readonly state: BrokerState
  readonly broker: Broker
}

/** The name servers, as a broker sees them: it tells that it came or went, and asks for routes. */
export interface Registry {
  readonly register: (node: BrokerNode) => void
  readonly unregister: (brokerName: string, brokerId: number, address: string) => void
  readonly route: (topic: string) => TopicRouteData | undefined
}

/** Milliseconds after which a name server drops a broker it hears nothing of. */
const BROKER_EXPIRED_MILLIS = 120_000

/** Builds a broker that does not run yet. */
export const make = (options: {
  readonly name: string
  readonly id: number
  readonly config: LiveConfig
  readonly state: BrokerState
  readonly host: string
  readonly port: number
  readonly now: () => number
  readonly draw: () => number
  readonly faults: FaultEngine
  readonly recorder: TrafficRecorder
  readonly access: AccessControl | undefined
  readonly tls: TlsServerOptions | undefined
  readonly registry: Registry
  /** Ports that the servers of the cluster have or had; see `RestartableServer`. */
  readonly ports: Set<number>
}): Effect.Effect<BrokerNode, never, Wire | Scope.Scope> =>
  Effect.gen(function* () {
    const { id, name, now, registry, state } = options
    const config = options.config.current
    const clusterScope = yield* Effect.scope
    const legacy = config.version < MQVersion.V5_0_0
    const clients = ClientTable.make({ keepEmptyProducerGroups: legacy })
    const polling = LongPolling.make()
    const pops = PopPolling.make({ config, latest: false, now })
    const notifications = PopPolling.make({ config, latest: true, now })
    let busy = false
    let bootTimestamp = now()
    let watching = false
    /** Counts starts, so that the expiry of an earlier stop does not hit a broker that is back. */
    let starts = 0

    const notifyConsumerIdsChanged = (group: string): Effect.Effect<void> =>
      Effect.suspend(() => {
        const found = clients.consumerGroup(group)
        // Members of a broadcasting group do not share queues; before 5.0.0 they were told all the same.
        const told = found === undefined || (!legacy && found.messageModel === "BROADCASTING") ? [] : found.channels
        return Effect.forEach(
          told,
          ({ channel }) => channel.send(NotifyConsumerIdsChanged.request({ consumerGroup: group }), { oneway: true }),
          { discard: true }
        )
      })

    const expireClients: Effect.Effect<void> = Effect.suspend(() => {
      const due = clients.nextExpiry()
      if (due === undefined) {
        watching = false
        return Effect.void
      }
      return Effect.sleep(Math.max(0, due - now())).pipe(
        Effect.andThen(
          Effect.suspend(() => {
            // Nobody is told: the client is out of its groups before its connection ends.
            return Effect.forEach(clients.expire(now()), (channel) => channel.close, { discard: true })
          })
        ),
        Effect.andThen(expireClients)
      )
    })

    // Java joins host and port with a colon, whatever the host is.
    const announced = () => server.address().replace(/[[\]]/g, "")

    const broker: Broker = {
      name,
      id,
      config,
      updateConfig: options.config.update,
      state,
      clients,
      locks: RebalanceLocks.make(),
      polling,
      pops,
      notifications,
      compileFilter: SqlFilter.compiler(config.version < MQVersion.V5_0_0),
      now,
      draw: options.draw,
      address: () => server.address(),
      announced,
      route: registry.route,
      register: () => registry.register(node),
      // Every broker has a topic of its name.
      replicas: () =>
        registry.route(name)?.brokerDatas.find((data) => data.brokerName === name)?.brokerAddrs ??
        new Map<number, string>(),
      busy: () => busy,
      bootTimestamp: () => bootTimestamp,
      notifyConsumerIdsChanged,
      watchClients: Effect.suspend(() => {
        if (watching || clients.nextExpiry() === undefined) return Effect.void
        watching = true
        return server.fork(expireClients)
      })
    }

    const ask = TransactionChecks.make({ brokerName: name, version: config.version, clients })

    /** What the master does when its time comes: slaves share its state and do nothing. */
    const alarm = Alarm.make({
      now,
      next: () => {
        const times = [state.delayed, state.halves, state.popped].map((one) => one.next() ?? Infinity)
        const next = times.reduce((first, time) => Math.min(first, time))
        return next === Infinity ? undefined : next
      },
      work: Effect.suspend(() => {
        state.delayed.deliver()
        state.popped.revive()
        return ask(state.halves.check())
      })
    })

    const onClose = (channel: Channel): Effect.Effect<void> =>
      Effect.suspend(() => {
        for (const waits of [polling, pops, notifications]) waits.drop(channel.id)
        return Effect.forEach(clients.closed(channel), notifyConsumerIdsChanged, { discard: true })
      })

    const processor = BrokerProcessor.make(broker)
    const server: RestartableServer.RestartableServer = yield* RestartableServer.make({
      name,
      kind: "broker",
      host: options.host,
      port: options.port,
      version: config.version,
      faults: options.faults,
      recorder: options.recorder,
      access: options.access,
      tls: options.tls,
      handler: processor.handle,
      onClose,
      ports: options.ports,
      vip: processor.handleVip
    })

    const subscriptions: Array<() => void> = []

    const start: EmbeddedBroker["start"] = (startOptions) =>
      Effect.suspend(() => {
        if (server.running()) return Effect.void
        return Effect.tap(server.start(startOptions), () =>
          Effect.suspend(() => {
            starts += 1
            bootTimestamp = now()
            for (const { notify } of [polling, pops, notifications]) subscriptions.push(state.store.subscribe(notify))
            registry.register(node)
            if (id !== MixAll.MASTER_ID) return Effect.void
            subscriptions.push(state.onDueChange(alarm.ring))
            state.halves.started(bootTimestamp)
            return server.fork(alarm.run)
          })
        )
      })

    const unregister = (mode: NonNullable<StopOptions["unregister"]>): Effect.Effect<void> => {
      const address = announced()
      const drop = Effect.sync(() => registry.unregister(name, id, address))
      if (mode === "immediate") return drop
      if (mode === "never") return Effect.void
      const stoppedAt = starts
      return Effect.sleep(BROKER_EXPIRED_MILLIS).pipe(
        Effect.andThen(Effect.suspend(() => (starts === stoppedAt ? drop : Effect.void))),
        Effect.forkIn(clusterScope),
        Effect.asVoid
      )
    }

    const stop: EmbeddedBroker["stop"] = (stopOptions) =>
      Effect.suspend(() => {
        if (!server.running()) return Effect.void
        for (const unsubscribe of subscriptions.splice(0)) unsubscribe()
        // First the routes, as a real broker's shutdown does, so that no client is sent to a port that is closing.
        return unregister(stopOptions?.unregister ?? "immediate").pipe(
          Effect.andThen(server.stop),
          Effect.andThen(
            Effect.sync(() => {
              clients.clear()
              watching = false
            })
          )
        )
      })

    const node: BrokerNode = {
      name,
      id,
      get address() {
        return server.address()
      },
      get announced() {
        return announced()
      },
      get vipAddress() {
        return server.vipAddress()
      },
      get running() {
        return server.running()
      },
      config,
      store: state.store,
      state,
      broker,
      stop,
      start,
      restart: (restartOptions) => Effect.andThen(stop(), start(restartOptions)),
      setBusy: (value) =>
        Effect.sync(() => {
          busy = value
        })
    }
    return node
  })
