import type { Effect } from "effect"
import type { KVConfig } from "./KVConfig.ts"
import type { LiveNamesrvConfig } from "./NamesrvConfig.ts"
import type { RouteInfo } from "./RouteInfo.ts"

/** What one name server's processors share. */
export interface NameServer {
  readonly routes: RouteInfo
  readonly kv: KVConfig
  /** The release it speaks as. */
  readonly version: number
  /** Its settings. */
  readonly config: LiveNamesrvConfig
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Runs an effect in the background until the server stops. */
  readonly fork: (effect: Effect.Effect<void>) => Effect.Effect<void>
}
