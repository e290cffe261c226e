import type { Effect } from "effect"
import type { InvalidConfig } from "../client/ClientError.ts"
import type { ConfigName } from "../client/options/ConfigNames.ts"
import type { OverridesOrConfig } from "../client/options/ReadOptions.ts"
import type { ProducerOptions } from "./ProducerOptions.ts"
import { reader } from "./ReadProducerConfig.ts"

/**
 * A producer's options and their names in a `Config`: those of rocketmq-spring where it has the option, else Java's or our
 * own, below `rocketmq.producer`; the option's own name is read as well. What belongs to the client instance may also stand
 * below `rocketmq`. In the environment, `rocketmq.producer.send-message-timeout` is `ROCKETMQ_PRODUCER_SEND_MESSAGE_TIMEOUT`.
 *
 * Source: rocketmq-spring `RocketMQProperties`, RocketMQ `DefaultMQProducer`, `ClientConfig`.
 */

export { defaults } from "./ProducerOptions.ts"
export type { ProducerConfig, ProducerOptions, RetryDecision } from "./ProducerOptions.ts"
export type { ConfigName } from "../client/options/ConfigNames.ts"

/** Every option of a producer, and of a transactional one, that can come from `Config`; the tables of docs/configuration.md. */
export const names: ReadonlyArray<ConfigName> = reader.names()

/** Options of which each may be a `Config` of its own, or one `Config` of any of them. */
export type Overrides = OverridesOrConfig<ProducerOptions>

/**
 * A producer's options out of the current `ConfigProvider`, under {@link names}. What is given in code wins. Fails with
 * `InvalidConfig`, which lists everything that cannot be used at once, each under the name at which it was found; secrets
 * are `Redacted` and appear in no problem. Names below `rocketmq` that nobody reads are warned of.
 */
export const fromConfig = (given: Overrides = {}): Effect.Effect<ProducerOptions, InvalidConfig> =>
  reader.fromConfig(given)
