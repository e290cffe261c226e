import * as ClientConfig from "../client/ClientConfig.ts"
import * as ClientReader from "../client/ClientReader.ts"
import { RESERVED_CONSUMER_GROUPS } from "../message/MixAll.ts"
import * as Options from "./ConsumerOptions.ts"

/** Reads and checks a push consumer's options. */
export const reader = ClientReader.make<Options.PushConsumerOptions, Options.PushConsumerConfig>({
  word: "consumer",
  own: Options.ownTable,
  shared: ClientConfig.table,
  required: ["consumerGroup", "subscriptions"],
  resolve: ClientReader.withGroup("consumerGroup", RESERVED_CONSUMER_GROUPS, Options.resolve)
})
