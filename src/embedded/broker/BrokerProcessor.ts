import { Effect } from "effect"
import { MQVersion } from "../../protocol/MQVersion.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import * as AdminProcessor from "./AdminProcessor.ts"
import type { Broker } from "./Broker.ts"
import type { Handler, Handlers } from "../server/Handler.ts"
import * as ClientProcessor from "./ClientProcessor.ts"
import * as ConsumptionProcessor from "./ConsumptionProcessor.ts"
import * as LockProcessor from "./LockProcessor.ts"
import * as OffsetProcessor from "./OffsetProcessor.ts"
import * as PullProcessor from "./PullProcessor.ts"
import * as QueryProcessor from "./QueryProcessor.ts"
import * as Remarks from "../server/Remarks.ts"
import * as RecallProcessor from "./RecallProcessor.ts"
import * as ReplyProcessor from "./ReplyProcessor.ts"
import * as ResetOffsetProcessor from "./ResetOffsetProcessor.ts"
import * as SendBackProcessor from "./SendBackProcessor.ts"
import * as SendProcessor from "./SendProcessor.ts"
import * as SubscriptionGroupProcessor from "./SubscriptionGroupProcessor.ts"
import * as TopicProcessor from "./TopicProcessor.ts"
import * as TransactionProcessor from "./TransactionProcessor.ts"

/** What brokers before 5.0 do not know, as 4.9.7 answered. */
const newIn5: ReadonlySet<number> = new Set<number>([
  RequestCode.GET_TOPIC_CONFIG,
  RequestCode.QUERY_TOPICS_BY_CONSUMER,
  RequestCode.LITE_PULL_MESSAGE
])

/** Everything a broker answers; any other code gets 3. Source: RocketMQ `BrokerController.registerProcessor`. */
export const make = (broker: Broker): Handler => {
  const handlers: Handlers = new Map(
    [
      SendProcessor,
      SendBackProcessor,
      ReplyProcessor,
      RecallProcessor,
      TransactionProcessor,
      PullProcessor,
      ClientProcessor,
      OffsetProcessor,
      ResetOffsetProcessor,
      LockProcessor,
      QueryProcessor,
      TopicProcessor,
      SubscriptionGroupProcessor,
      AdminProcessor,
      ConsumptionProcessor
    ].flatMap((processor) => [...processor.handlers(broker)])
  )
  return (request, channel) => {
    const known = broker.config.version >= MQVersion.V5_0_0 || !newIn5.has(request.code)
    const handler = known ? handlers.get(request.code) : undefined
    return handler === undefined
      ? Effect.succeed({
          code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
          remark: Remarks.notSupported(request.code)
        })
      : handler(request, channel)
  }
}
