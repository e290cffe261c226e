import type { Effect } from "effect"
import type { InvalidConfig } from "../../client/ClientError.ts"
import type { ConfigName } from "../../client/options/ConfigNames.ts"
import type { OverridesOrConfig } from "../../client/options/ReadOptions.ts"
import type { LitePullOptions } from "./LitePullOptions.ts"
import { reader } from "./ReadLitePullConfig.ts"

/**
 * A lite pull consumer's options and their names in a `Config`: those of rocketmq-spring where it has the option, else Java's
 * or our own, below `rocketmq.pull-consumer`; the option's own name is read as well. What belongs to the client instance may
 * also stand below `rocketmq`. In the environment, `rocketmq.pull-consumer.pull-batch-size` is
 * `ROCKETMQ_PULL_CONSUMER_PULL_BATCH_SIZE`.
 *
 * Source: rocketmq-spring `RocketMQProperties`, RocketMQ `DefaultLitePullConsumer`, `ClientConfig`.
 */

export type { LitePullConfig, LitePullOptions } from "./LitePullOptions.ts"
export type { ConfigName } from "../../client/options/ConfigNames.ts"

/** Every option of a lite pull consumer that can come from `Config`; the tables of docs/configuration.md. */
export const names: ReadonlyArray<ConfigName> = reader.names()

/** Options of which each may be a `Config` of its own, or one `Config` of any of them. */
export type Overrides = OverridesOrConfig<LitePullOptions>

/**
 * A lite pull consumer's options out of the current `ConfigProvider`, under {@link names}. What is given in code wins. Fails
 * with `InvalidConfig`, which lists everything that cannot be used at once, each under the name at which it was found. Names
 * below `rocketmq` that nobody reads are warned of.
 */
export const fromConfig = (given: Overrides = {}): Effect.Effect<LitePullOptions, InvalidConfig> =>
  reader.fromConfig(given)
