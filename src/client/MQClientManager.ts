import { Context, Effect, Equal, Hash, Layer, Option, RcMap, Scope } from "effect"
import * as TcpWire from "../transport/TcpWire.ts"
import type { Wire } from "../transport/Wire.ts"
import { AddressTranslator } from "./AddressTranslator.ts"
import type { ClientConfig } from "./ClientConfig.ts"
import * as ClientConfigs from "./ClientConfig.ts"
import type { StartError } from "./ClientError.ts"
import { make as makeInstance, type MQClientInstanceShape } from "./MQClientInstance.ts"
import * as ClientSecurity from "./ClientSecurity.ts"
import { NameServerResolver } from "./NameServerResolver.ts"
import { resolve } from "./ResolveConfig.ts"
import { RpcHooks } from "./RpcHooks.ts"

/**
 * A key of the table: equal when the instances may be shared. Beside the configuration's own key stand the things that
 * have no name to compare by, and the secrets: the resolver that the addresses come from, the translator, hooks,
 * credentials, certificates and the rule for addresses. The hash, as everything that could be shown, is of the key alone.
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
 * The client instances of a process (or of a test), by sharing key and counted by reference: whoever asks first starts
 * one, the others share it, and the last scope to close shuts it down. A start that failed is not kept.
 *
 * Source: RocketMQ `MQClientManager`.
 */
export class MQClientManager extends Context.Service<
  MQClientManager,
  {
    /**
     * The running instance for a configuration, held for as long as the scope is open. Name servers come from the
     * configuration, else from `NAMESRV_ADDR`, else from the resolver or the address server. Fails with `StartError`.
     */
    readonly getOrCreateMQClientInstance: (
      config: ClientConfig
    ) => Effect.Effect<MQClientInstanceShape, StartError, Scope.Scope>
    /** How many instances there are. */
    readonly size: Effect.Effect<number>
  }
>()("effect-rocketmq/client/MQClientManager") {
  /** Instances on whichever `Wire` is provided. */
  static readonly layer: Layer.Layer<MQClientManager, never, Wire> = Layer.effect(
    MQClientManager,
    Effect.gen(function* () {
      const factoryTable = yield* RcMap.make({ lookup: (key: InstanceKey) => makeInstance(key.config) })
      return MQClientManager.of({
        getOrCreateMQClientInstance: Effect.fnUntraced(function* (config: ClientConfig) {
          const resolved = yield* resolve(config)
          const resolver = yield* Effect.serviceOption(NameServerResolver)
          const services = [
            resolved.namesrvAddr === undefined ? Option.getOrUndefined(resolver) : undefined,
            yield* AddressTranslator,
            config.remoting.rpcHook,
            ...(yield* RpcHooks)
          ]
          return yield* RcMap.get(factoryTable, new InstanceKey(resolved, services))
        }),
        size: Effect.map(RcMap.keys(factoryTable), (keys) => [...keys].length)
      })
    })
  )

  /** {@link layer} on TCP: what an application uses. */
  static readonly layerTcp: Layer.Layer<MQClientManager> = Layer.provide(MQClientManager.layer, TcpWire.layer)
}
