import type { Effect } from "effect"
import type { InvalidConfig } from "../../client/ClientError.ts"
import type { ConfigName } from "../../client/options/ConfigNames.ts"
import type { OverridesOrConfig } from "../../client/options/ReadOptions.ts"
import type { SimpleConsumerOptions } from "./SimpleOptions.ts"
import { reader } from "./ReadSimpleConfig.ts"

/**
 * A simple consumer's options and their names in a `Config`: those of the spring starter for gRPC where it has the option, else
 * Java's or our own, below `rocketmq.simple-consumer`; the option's own name is read as well. What belongs to the client instance may
 * also stand below `rocketmq`. In the environment, `rocketmq.simple-consumer.await-duration` is
 * `ROCKETMQ_SIMPLE_CONSUMER_AWAIT_DURATION`.
 *
 * Source: rocketmq-v5-client-spring `RocketMQProperties.SimpleConsumer`, RocketMQ `ClientConfig`.
 */

export type { SimpleConsumerConfig, SimpleConsumerOptions } from "./SimpleOptions.ts"
export type { ConfigName } from "../../client/options/ConfigNames.ts"

/** Every option of a simple consumer that can come from `Config`; the tables of docs/configuration.md. */
export const names: ReadonlyArray<ConfigName> = reader.names()

/** Options of which each may be a `Config` of its own, or one `Config` of any of them. */
export type Overrides = OverridesOrConfig<SimpleConsumerOptions>

/**
 * A simple consumer's options out of the current `ConfigProvider`, under {@link names}. What is given in code wins. Fails
 * with `InvalidConfig`, which lists everything that cannot be used at once, each under the name at which it was found. Names
 * below `rocketmq` that nobody reads are warned of.
 */
export const fromConfig = (given: Overrides = {}): Effect.Effect<SimpleConsumerOptions, InvalidConfig> =>
  reader.fromConfig(given)
