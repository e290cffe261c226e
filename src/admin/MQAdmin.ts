import { Context, Effect, Layer, type Scope } from "effect"
import { AddressTranslator } from "../client/AddressTranslator.ts"
import * as ClientConfig from "../client/ClientConfig.ts"
import type { StartError } from "../client/ClientError.ts"
import { MQClientManager } from "../client/MQClientManager.ts"
import type { ClusterInfo } from "../protocol/ClusterInfo.ts"
import * as GetBrokerClusterInfo from "../protocol/request/GetBrokerClusterInfo.ts"
import { type AdminContext, failing } from "./AdminContext.ts"
import type { AdminError } from "./AdminError.ts"
import * as Messages from "./Messages.ts"
import * as Topics from "./Topics.ts"

/** The options of an {@link MQAdmin}: those of a client, and one of its own. */
export interface AdminConfig extends ClientConfig.ClientConfig {
  /** Milliseconds that one administrative request may take; default 5,000 (Java `timeoutMillis` of `DefaultMQAdminExt`). */
  readonly adminTimeoutMillis: number
}

/** What a user gives: any part of {@link AdminConfig}. */
export type AdminOptions = { readonly [K in keyof AdminConfig]?: AdminConfig[K] | undefined }

/** The defaults of {@link AdminConfig}. */
export const defaults: AdminConfig = { ...ClientConfig.defaults, adminTimeoutMillis: 5_000 }

/** What an administrator of a cluster can ask for. */
export interface MQAdminShape extends Topics.Topics, Messages.Messages {
  /** All clusters and brokers. */
  readonly examineBrokerClusterInfo: Effect.Effect<ClusterInfo, AdminError>
}

/**
 * Administration of a cluster: topics, brokers, offsets, single messages. It needs no group and leaves no trace on the
 * brokers.
 *
 * Source: RocketMQ `DefaultMQAdminExt`, `MQAdminImpl`.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { MQAdmin, MQClientManager } from "effect-rocketmq"
 *
 * const topics = Effect.flatMap(MQAdmin, (admin) => admin.fetchAllTopicList)
 *
 * const admin = MQAdmin.layer({ namesrvAddr: "127.0.0.1:9876" }).pipe(Layer.provide(MQClientManager.layerTcp))
 *
 * Effect.runPromise(topics.pipe(Effect.provide(admin)))
 * ```
 */
export class MQAdmin extends Context.Service<MQAdmin, MQAdminShape>()("effect-rocketmq/admin/MQAdmin") {
  /** An administrator on the client instance of these options, shared with producers that have the same. */
  static readonly layer = (options: AdminOptions): Layer.Layer<MQAdmin, StartError, MQClientManager> =>
    Layer.effect(MQAdmin, make(options))
}

/** {@link MQAdmin.layer} in the current scope. */
export const make = Effect.fnUntraced(function* (
  options: AdminOptions
): Effect.fn.Return<MQAdminShape, StartError, MQClientManager | Scope.Scope> {
  const config = ClientConfig.withDefaults(defaults, options)
  const manager = yield* MQClientManager
  const instance = yield* manager.getOrCreateMQClientInstance(config)
  const { translate } = yield* AddressTranslator
  const context: AdminContext = { instance, timeoutMillis: config.adminTimeoutMillis, translate }
  return MQAdmin.of({
    examineBrokerClusterInfo: instance.api
      .callNameServer(GetBrokerClusterInfo.request(), context.timeoutMillis, GetBrokerClusterInfo.decodeResponse)
      .pipe(failing("list the brokers")),
    ...Topics.make(context),
    ...Messages.make(context)
  })
})
