import type { Effect } from "effect"
import * as ClientConfig from "../client/ClientConfig.ts"
import type { InvalidConfig } from "../client/ClientError.ts"
import * as ClientReader from "../client/ClientReader.ts"
import * as OptionTable from "../client/options/OptionTable.ts"
import type { OverridesOrConfig } from "../client/options/ReadOptions.ts"
import { RESERVED_PRODUCER_GROUPS } from "../message/MixAll.ts"
import * as Options from "./ProducerOptions.ts"
import * as Settings from "./TransactionSettings.ts"

/** The options of a transactional producer that can come from a `Config`: those of a producer, and its own. */
export interface TransactionConfigOptions extends Options.ProducerOptions, Settings.TransactionSettings {}

/** {@link TransactionConfigOptions} with a value for each of them, times in milliseconds. */
export interface TransactionConfig extends Options.ProducerConfig, Settings.ResolvedTransactionSettings {}

/** Options of which each may be a `Config` of its own, or one `Config` of any of them. */
export type Overrides = OverridesOrConfig<TransactionConfigOptions>

const table = { ...Options.table, ...Settings.table }

/** Fills options up with the defaults, and tells everything that cannot be used. */
export const resolve = (options: Partial<TransactionConfigOptions>): OptionTable.Resolution<TransactionConfig> => {
  const single = OptionTable.resolve<TransactionConfig>(table, options)
  const { config } = single
  // The brokers then know it before it has sent anything, so that they can ask about messages of an earlier run.
  const readiness = options.readiness === undefined && config.topics.length > 0 ? "registered" : config.readiness
  return Options.complete({ ...single, config: { ...config, readiness } })
}

/** Reads and checks the options of a transactional producer. */
export const reader = ClientReader.make<TransactionConfigOptions, TransactionConfig>({
  word: "producer",
  own: { ...Options.ownTable, ...Settings.table },
  shared: ClientConfig.table,
  required: ["producerGroup"],
  resolve: ClientReader.withGroup("producerGroup", RESERVED_PRODUCER_GROUPS, resolve)
})

/** `ProducerConfig.fromConfig` for a transactional producer. */
export const fromConfig = (given: Overrides = {}): Effect.Effect<TransactionConfigOptions, InvalidConfig> =>
  reader.fromConfig(given)
