import * as ClientConfig from "../client/ClientConfig.ts"
import * as ClientReader from "../client/ClientReader.ts"
import { RESERVED_PRODUCER_GROUPS } from "../message/MixAll.ts"
import * as Options from "./ProducerOptions.ts"
import * as TransactionSettings from "./TransactionSettings.ts"

/** Reads and checks a producer's options. */
export const reader = ClientReader.make<Options.ProducerOptions, Options.ProducerConfig>({
  word: "producer",
  own: Options.ownTable,
  shared: ClientConfig.table,
  more: TransactionSettings.table,
  required: ["producerGroup"],
  resolve: ClientReader.withGroup("producerGroup", RESERVED_PRODUCER_GROUPS, Options.resolve)
})
