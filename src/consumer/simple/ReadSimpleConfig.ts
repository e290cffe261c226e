import * as ClientConfig from "../../client/ClientConfig.ts"
import * as ClientReader from "../../client/ClientReader.ts"
import { RESERVED_CONSUMER_GROUPS } from "../../message/MixAll.ts"
import * as Options from "./SimpleOptions.ts"

/** Reads and checks a simple consumer's options. Source of the word: rocketmq-v5-client-spring `RocketMQProperties.SimpleConsumer`. */
export const reader = ClientReader.make<Options.SimpleConsumerOptions, Options.SimpleConsumerConfig>({
  word: "simple-consumer",
  own: Options.ownTable,
  shared: ClientConfig.table,
  required: ["consumerGroup"],
  resolve: ClientReader.withGroup("consumerGroup", RESERVED_CONSUMER_GROUPS, Options.resolve)
})
