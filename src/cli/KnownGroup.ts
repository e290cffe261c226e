import { Effect } from "effect"
import { MQAdmin } from "../admin/MQAdmin.ts"
import { GroupNotFound } from "../admin/AdminError.ts"

/**
 * Fails with `GroupNotFound` where no broker of any cluster has the group: brokers answer a question about a misspelt group
 * with nothing, as about one that has read nothing. Who may not list the groups is not told.
 */
export const knownGroup = Effect.fnUntraced(
  function* (group: string) {
    const admin = yield* MQAdmin
    const { clusterAddrTable } = yield* admin.examineBrokerClusterInfo
    for (const cluster of clusterAddrTable.keys()) {
      const groups = yield* admin.getAllSubscriptionGroup(cluster)
      if (groups.some(({ groupName }) => groupName === group)) return
    }
    yield* new GroupNotFound({ group })
  },
  Effect.catchIf(
    (error) => error._tag === "AdminError" && error.reason._tag === "AccessDenied",
    () => Effect.void
  )
)

/** Lets a call that found nobody online say so only where there is such a group. */
export const ofKnownGroup =
  (group: string) =>
  <A, E extends { readonly _tag: string; readonly reason?: { readonly _tag: string } }, R>(
    self: Effect.Effect<A, E, R>
  ) =>
    self.pipe(
      Effect.catch((error) =>
        error.reason?._tag === "ConsumerNotOnline"
          ? Effect.andThen(knownGroup(group), Effect.fail(error))
          : Effect.fail(error)
      )
    )
