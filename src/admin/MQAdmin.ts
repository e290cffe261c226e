import { Context, Effect, Layer, type Scope } from "effect"
import * as ClientConfig from "../client/ClientConfig.ts"
import { ConfigProblem, InvalidConfig, type StartError } from "../client/ClientError.ts"
import { MQClientManager } from "../client/MQClientManager.ts"
import * as ServiceLife from "../client/ServiceLife.ts"
import * as Contexts from "./AdminContext.ts"
import * as Brokers from "./Brokers.ts"
import * as Clients from "./Clients.ts"
import * as Groups from "./Groups.ts"
import * as Messages from "./Messages.ts"
import * as Offsets from "./Offsets.ts"
import * as Queries from "./Queries.ts"
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
export interface MQAdminShape
  extends
    Brokers.Brokers,
    Topics.Topics,
    Groups.Groups,
    Clients.Clients,
    Messages.Messages,
    Queries.Queries,
    Offsets.Offsets {}

/**
 * Administration of a cluster: topics, groups, brokers, offsets, single messages. It needs no group and leaves no trace on the
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

/** Every problem of an administrator's configuration, the client's part included. */
const problems = (config: AdminConfig): ReadonlyArray<ConfigProblem> => {
  const { adminTimeoutMillis } = config
  const found = ClientConfig.problems(config)
  if (Number.isFinite(adminTimeoutMillis) && adminTimeoutMillis > 0) return found
  const problem = `must be a number of milliseconds above 0, is ${adminTimeoutMillis}`
  return [...found, new ConfigProblem({ path: "adminTimeoutMillis", problem })]
}

const check = (config: AdminConfig) =>
  Effect.suspend(() => {
    const found = problems(config)
    return found.length === 0 ? Effect.void : Effect.fail(new InvalidConfig({ problems: found }))
  })

/** {@link MQAdmin.layer} in the current scope. */
export const make = Effect.fnUntraced(function* (
  options: AdminOptions
): Effect.fn.Return<MQAdminShape, StartError, MQClientManager | Scope.Scope> {
  const config = ClientConfig.withDefaults(defaults, options)
  const manager = yield* MQClientManager
  const life = yield* ServiceLife.make<MQAdminShape>({
    subject: "administrator",
    number: "4",
    acquire: (context) => acquire(config, manager, context)
  })
  return yield* life.startScoped
})

/** Steps 4.2 and 4.3 of docs/startup.md; what they acquire is held by the scope. */
const acquire = Effect.fnUntraced(function* (
  config: AdminConfig,
  manager: MQClientManager["Service"],
  { step }: ServiceLife.LifeContext
): Effect.fn.Return<MQAdminShape, StartError, Scope.Scope> {
  yield* step("4.2", "check the configuration", check(config))
  const instance = yield* step("4.3", "get or create MQClientInstance", manager.getOrCreateMQClientInstance(config))
  const context = Contexts.make(instance, {
    timeoutMillis: config.adminTimeoutMillis,
    namespace: instance.config.namespace
  })
  const topics = Topics.make(context)
  const messages = Messages.make(context)
  const offsets = Offsets.make(context, messages)
  return MQAdmin.of({
    ...Brokers.make(context),
    ...topics,
    ...Groups.make(context, topics),
    ...Clients.make(context),
    ...messages,
    ...offsets,
    ...Queries.make(context, messages, offsets)
  })
})
