import { Context, Effect, Layer, type Scope } from "effect"
import { StartError } from "../client/ClientError.ts"
import { MQClientManager } from "../client/MQClientManager.ts"
import { accept, type Resolution } from "../client/options/OptionTable.ts"
import * as ServiceLife from "../client/ServiceLife.ts"
import { type AdminConfig, type AdminOptions, type Overrides, reader, resolve } from "./AdminConfig.ts"
import * as Contexts from "./AdminContext.ts"
import * as AccessCalls from "./AccessCalls.ts"
import * as Acls from "./Acls.ts"
import * as Users from "./Users.ts"
import * as Brokers from "./Brokers.ts"
import * as Clients from "./Clients.ts"
import * as DeadLetters from "./DeadLetters.ts"
import * as Groups from "./Groups.ts"
import * as Members from "./Members.ts"
import * as Messages from "./Messages.ts"
import * as NameServers from "./NameServers.ts"
import * as Offsets from "./Offsets.ts"
import * as Queries from "./Queries.ts"
import { guarded } from "./TextGuard.ts"
import * as Topics from "./Topics.ts"
import * as Traces from "./Traces.ts"

/** What an administrator of a cluster can ask for. */
export interface MQAdminShape
  extends
    Brokers.Brokers,
    NameServers.NameServers,
    Users.Users,
    Acls.Acls,
    Topics.Topics,
    Groups.Groups,
    Clients.Clients,
    DeadLetters.DeadLetters,
    Members.Members,
    Messages.Messages,
    Queries.Queries,
    Traces.Traces,
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

  /**
   * {@link layer} with options from `Config`, under the names in docs/configuration.md (`ROCKETMQ_ADMIN_TIMEOUT`,
   * `NAMESRV_ADDR`, ...). Options given here win; each may be a value or a `Config` of its own. Everything that cannot be
   * used is told at once, by an `InvalidConfig`.
   */
  static readonly layerConfig = (options?: Overrides): Layer.Layer<MQAdmin, StartError, MQClientManager> =>
    Layer.effect(
      MQAdmin,
      Effect.flatMap(reader.readConfig(options), (resolution) =>
        Effect.andThen(acceptRead(resolution), start(resolution))
      )
    )
}

/** {@link MQAdmin.layer} in the current scope. */
export const make = (options: AdminOptions): Effect.Effect<MQAdminShape, StartError, MQClientManager | Scope.Scope> =>
  Effect.suspend(() => start(resolve(options)))

/** Refuses options that were read and cannot be used, as a start that names where each was found. */
const acceptRead = (resolution: Resolution<AdminConfig>) =>
  Effect.mapError(
    accept(resolution),
    (reason) => new StartError({ step: "4.2", name: "check the configuration", reason })
  )

const start = Effect.fnUntraced(function* (resolution: Resolution<AdminConfig>) {
  const manager = yield* MQClientManager
  const life = yield* ServiceLife.make<MQAdminShape>({
    subject: "administrator",
    number: "4",
    acquire: (context) => acquire(resolution, manager, context)
  })
  return yield* life.startScoped
})

/** Steps 4.2 and 4.3 of docs/startup.md; what they acquire is held by the scope. */
const acquire = Effect.fnUntraced(function* (
  resolution: Resolution<AdminConfig>,
  manager: MQClientManager["Service"],
  { step }: ServiceLife.LifeContext
): Effect.fn.Return<MQAdminShape, StartError, Scope.Scope> {
  const config = yield* step("4.2", "check the configuration", accept(resolution))
  const instance = yield* step("4.3", "get or create MQClientInstance", manager.getOrCreateMQClientInstance(config))
  const context = Contexts.make(instance, {
    timeoutMillis: config.adminTimeoutMillis,
    namespace: instance.config.namespace
  })
  const topics = Topics.make(context)
  const messages = Messages.make(context)
  const offsets = Offsets.make(context, messages)
  const clients = Clients.make(context)
  const queries = Queries.make(context, messages, offsets)
  const deadLetters = DeadLetters.make(context, queries)
  const access = AccessCalls.make(context)
  const calls = guarded({
    ...Brokers.make(context),
    ...NameServers.make(context),
    ...Users.make(access),
    ...Acls.make(access),
    ...topics,
    ...Groups.make(context, topics),
    ...clients,
    ...messages,
    ...offsets,
    ...queries,
    ...Members.make(context, clients, queries),
    ...deadLetters,
    ...Traces.make(queries)
  })
  // These two ask nobody.
  return MQAdmin.of({
    ...calls,
    unpack: messages.unpack,
    originOfDeadLetter: deadLetters.originOfDeadLetter
  })
})
