import type { Duration } from "effect"
import * as ClientConfig from "../client/ClientConfig.ts"
import * as ClientReader from "../client/ClientReader.ts"
import type { Resolved, TableOf } from "../client/options/Option.ts"
import * as Kinds from "../client/options/OptionKinds.ts"
import * as OptionTable from "../client/options/OptionTable.ts"
import type { OverridesOrConfig } from "../client/options/ReadOptions.ts"

/** The options of an administrator beside those of the client instance under it. */
export interface AdminOnlyOptions {
  /**
   * How long one administrative request may take; default 5 seconds, a bare number is milliseconds (Java `timeoutMillis` of
   * `DefaultMQAdminExt`).
   */
  readonly adminTimeoutMillis?: Duration.Input | undefined
}

/** What a user gives: any option of an administrator or of the client instance under it. */
export interface AdminOptions extends AdminOnlyOptions, ClientConfig.ClientOptions {}

/** The table of {@link AdminOnlyOptions}. */
export const ownTable = {
  adminTimeoutMillis: Kinds.time({
    name: "timeout",
    also: ["timeoutMillis"],
    java: "`timeoutMillis` of `DefaultMQAdminExt`",
    default: 5_000,
    least: 1
  })
} satisfies TableOf<AdminOnlyOptions>

const table = { ...ClientConfig.table, ...ownTable }

/** {@link AdminOptions} with a value for each of them, times in milliseconds. */
export interface AdminConfig extends ClientConfig.ClientConfig, Resolved<typeof ownTable> {}

/** The defaults of {@link AdminConfig}. */
export const defaults: AdminConfig = OptionTable.defaultsOf<AdminConfig>(table)

/** Fills options up with the defaults, and tells everything that cannot be used. */
export const resolve = (options: AdminOptions): OptionTable.Resolution<AdminConfig> =>
  OptionTable.resolve<AdminConfig>(table, options)

/** Options of which each may be a `Config` of its own, or one `Config` of any of them. */
export type Overrides = OverridesOrConfig<AdminOptions>

/**
 * Reads and checks an administrator's options out of the current `ConfigProvider`, below `rocketmq.admin` and, for what
 * belongs to the client instance, below `rocketmq`. The problems have the names under which options were found.
 */
export const reader = ClientReader.make<AdminOptions, AdminConfig>({
  word: "admin",
  own: ownTable,
  shared: ClientConfig.table,
  required: [],
  resolve
})
