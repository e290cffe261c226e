import * as ClientConfig from "../../client/ClientConfig.ts"
import * as ClientReader from "../../client/ClientReader.ts"
import { RESERVED_CONSUMER_GROUPS } from "../../message/MixAll.ts"
import * as Options from "./LitePullOptions.ts"

/** Reads and checks a lite pull consumer's options. Source of the word: rocketmq-spring `RocketMQProperties.pullConsumer`. */
export const reader = ClientReader.make<Options.LitePullOptions, Options.LitePullConfig>({
  word: "pull-consumer",
  own: Options.ownTable,
  shared: ClientConfig.table,
  required: ["consumerGroup"],
  resolve: ClientReader.withGroup("consumerGroup", RESERVED_CONSUMER_GROUPS, Options.resolve)
})
