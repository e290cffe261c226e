import { Context, Effect, Equal, Exit, Hash, Layer, Option, RcMap, Scope } from "effect"
import * as TcpWire from "../transport/TcpWire.ts"
import { Wire } from "../transport/Wire.ts"
import { AddressTranslator } from "./AddressTranslator.ts"
import type { ClientConfig } from "./ClientConfig.ts"
import * as ClientConfigs from "./ClientConfig.ts"
import type { InvalidConfig, StartError } from "./ClientError.ts"
import { MQClientInstance, type MQClientInstanceShape } from "./MQClientInstance.ts"
import * as ClientSecurity from "./ClientSecurity.ts"
import { NameServerResolver } from "./NameServerResolver.ts"
import type { Checked } from "./options/OptionTable.ts"
import { resolve } from "./ResolveConfig.ts"
import { RpcHooks } from "./RpcHooks.ts"

/**
 * A key of the table: equal when the instances may be shared. Beside the configuration's own key stand the things that
 * have no name to compare by, and the secrets: the resolver that the addresses come from, the translator, hooks,
 * credentials, certificates and the rule for addresses. The hash, as everything that could be shown, is of the key
 * alone.
 */
class InstanceKey implements Equal.Equal {
  readonly key: string
  readonly config: ClientConfig
  readonly services: ReadonlyArray<unknown>
  constructor(config: ClientConfig, services: ReadonlyArray<unknown>) {
    this.key = ClientConfigs.sharingKey(config)
    this.config = config
    this.services = services
  }
  [Equal.symbol](that: unknown): boolean {
    return (
      that instanceof InstanceKey &&
      that.key === this.key &&
      ClientSecurity.isSame(this.config, that.config) &&
      that.services.length === this.services.length &&
      that.services.every((service, index) => service === this.services[index])
    )
  }
  [Hash.symbol](): number {
    return Hash.string(this.key)
  }
}

/**
 * Holds what is acquired until the scope closes, and gives it back at once where it could not be had: the map keeps the
 * outcome of a lookup for as long as somebody holds it, and nobody should have to close a scope to try again.
 */
const heldOnSuccess = <A, E, R>(acquire: Effect.Effect<A, E, R | Scope.Scope>): Effect.Effect<A, E, R | Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.flatMap(Effect.scope, Scope.fork), (own) =>
      Effect.onExit(restore(Scope.provide(acquire, own)), (exit) =>
        Exit.isFailure(exit) ? Scope.close(own, exit) : Effect.void
      )
    )
  )

/**
 * The client instances of a process (or of a test), by sharing key and counted by reference: the first caller starts
 * one, the others share it, and the last scope to close shuts it down. A start that failed is not kept.
 *
 * Source: RocketMQ `MQClientManager`.
 */
export class MQClientManager extends Context.Service<
  MQClientManager,
  {
    /**
     * The running instance for a checked configuration, held for as long as the scope is open. Name servers come from the
     * configuration, else from `NAMESRV_ADDR`, else from the resolver or the address server. Fails with `InvalidConfig`
     * before the instance's own start, and with the `StartError` of that.
     */
    readonly getOrCreateMQClientInstance: (
      config: Checked<ClientConfig>
    ) => Effect.Effect<MQClientInstanceShape, StartError | InvalidConfig, Scope.Scope>
    /** How many instances there are. */
    readonly size: Effect.Effect<number>
  }
>()("effect-rocketmq/client/MQClientManager") {
  /** Instances on whichever `Wire` is provided. */
  static readonly layer: Layer.Layer<MQClientManager, never, Wire> = Layer.effect(
    MQClientManager,
    Effect.gen(function* () {
      // A lookup sees the services of whoever asks, who may have another wire around: that of the layer counts.
      const wire = yield* Wire
      const factoryTable = yield* RcMap.make({
        lookup: ({ config }: InstanceKey) =>
          Layer.build(MQClientInstance.layerResolved(config)).pipe(
            Effect.provideService(Wire, wire),
            Effect.map(Context.get(MQClientInstance))
          )
      })
      return MQClientManager.of({
        getOrCreateMQClientInstance: Effect.fnUntraced(function* (config: Checked<ClientConfig>) {
          const resolved = yield* resolve(config)
          const resolver = yield* Effect.serviceOption(NameServerResolver)
          const services = [
            resolved.namesrvAddr === undefined ? Option.getOrUndefined(resolver) : undefined,
            yield* AddressTranslator,
            config.remoting.rpcHook,
            ...(yield* RpcHooks)
          ]
          return yield* heldOnSuccess(RcMap.get(factoryTable, new InstanceKey(resolved, services)))
        }),
        size: Effect.map(RcMap.keys(factoryTable), (keys) => [...keys].length)
      })
    })
  )

  /** {@link layer} on TCP: what an application uses. */
  static readonly layerTcp: Layer.Layer<MQClientManager> = Layer.provide(MQClientManager.layer, TcpWire.layer)
}
