import { Effect } from "effect"
import { MQVersion } from "../../protocol/MQVersion.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import * as AckProcessor from "./AckProcessor.ts"
import * as AdminProcessor from "./AdminProcessor.ts"
import * as AssignmentProcessor from "./AssignmentProcessor.ts"
import type { Broker } from "./Broker.ts"
import type { Handler, Handlers } from "../server/Handler.ts"
import * as ClientProcessor from "./ClientProcessor.ts"
import * as ConfigProcessor from "./ConfigProcessor.ts"
import * as ConsumptionProcessor from "./ConsumptionProcessor.ts"
import { malformedAt } from "../server/JavaText.ts"
import * as LockProcessor from "./LockProcessor.ts"
import * as OffsetProcessor from "./OffsetProcessor.ts"
import * as PopProcessor from "./PopProcessor.ts"
import * as PullProcessor from "./PullProcessor.ts"
import * as QueryProcessor from "./QueryProcessor.ts"
import * as NotificationProcessor from "./NotificationProcessor.ts"
import * as Remarks from "../server/Remarks.ts"
import * as RecallProcessor from "./RecallProcessor.ts"
import * as RelayProcessor from "./RelayProcessor.ts"
import * as ReplyProcessor from "./ReplyProcessor.ts"
import * as ResetOffsetProcessor from "./ResetOffsetProcessor.ts"
import * as SendBackProcessor from "./SendBackProcessor.ts"
import * as SendProcessor from "./SendProcessor.ts"
import * as StoreProcessor from "./StoreProcessor.ts"
import * as SubscriptionGroupProcessor from "./SubscriptionGroupProcessor.ts"
import * as TopicProcessor from "./TopicProcessor.ts"
import * as TransactionProcessor from "./TransactionProcessor.ts"

/** What brokers before 5.0 do not know, as 4.9.7 answered. */
const newIn5: ReadonlySet<number> = new Set<number>([
  RequestCode.UPDATE_AND_CREATE_TOPIC_LIST,
  RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST,
  RequestCode.QUERY_SUBSCRIPTION_BY_CONSUMER,
  RequestCode.GET_BROKER_HA_STATUS,
  RequestCode.GET_TOPIC_CONFIG,
  RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG,
  RequestCode.QUERY_TOPICS_BY_CONSUMER,
  RequestCode.LITE_PULL_MESSAGE,
  RequestCode.QUERY_ASSIGNMENT,
  RequestCode.POP_MESSAGE,
  RequestCode.ACK_MESSAGE,
  RequestCode.BATCH_ACK_MESSAGE,
  RequestCode.CHANGE_MESSAGE_INVISIBLETIME,
  RequestCode.NOTIFICATION,
  RequestCode.SET_MESSAGE_REQUEST_MODE
])

/** What has JSON in its body. */
const withJson: ReadonlySet<number> = new Set<number>([
  RequestCode.HEART_BEAT,
  RequestCode.CHECK_CLIENT_CONFIG,
  RequestCode.LOCK_BATCH_MQ,
  RequestCode.UNLOCK_BATCH_MQ,
  RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
  RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST,
  RequestCode.UPDATE_AND_CREATE_TOPIC_LIST,
  RequestCode.QUERY_ASSIGNMENT,
  RequestCode.BATCH_ACK_MESSAGE,
  RequestCode.SET_MESSAGE_REQUEST_MODE
])

/** What only the broker's own port serves. */
const ownPort: ReadonlySet<number> = new Set<number>([
  RequestCode.PULL_MESSAGE,
  RequestCode.LITE_PULL_MESSAGE,
  RequestCode.POP_MESSAGE,
  RequestCode.NOTIFICATION
])

const unknown: Handler = ({ code }) =>
  Effect.succeed({ code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED, remark: Remarks.notSupported(code) })

/** What a broker answers; any other code gets 3. */
export interface BrokerProcessor {
  /** On its own port. */
  readonly handle: Handler
  /** On its second listener, the VIP channel. */
  readonly handleVip: Handler
}

/** Everything a broker answers. Source: RocketMQ `BrokerController.registerProcessor`. */
export const make = (broker: Broker): BrokerProcessor => {
  const handlers: Handlers = new Map(
    [
      SendProcessor,
      SendBackProcessor,
      ReplyProcessor,
      RecallProcessor,
      TransactionProcessor,
      PullProcessor,
      PopProcessor,
      AckProcessor,
      NotificationProcessor,
      ClientProcessor,
      OffsetProcessor,
      ResetOffsetProcessor,
      LockProcessor,
      QueryProcessor,
      RelayProcessor,
      TopicProcessor,
      SubscriptionGroupProcessor,
      AdminProcessor,
      AssignmentProcessor,
      ConfigProcessor,
      StoreProcessor,
      ConsumptionProcessor
    ].flatMap((processor) => [...processor.handlers(broker)])
  )
  const handle: Handler = (request, channel) => {
    const legacy = broker.config.version < MQVersion.V5_0_0
    const handler = legacy && newIn5.has(request.code) ? undefined : handlers.get(request.code)
    const malformed = !legacy && withJson.has(request.code) ? malformedAt(request.body) : undefined
    if (malformed !== undefined)
      return Effect.succeed({ code: ResponseCode.SYSTEM_ERROR, remark: Remarks.malformedInput(malformed) })
    return (handler ?? unknown)(request, channel)
  }
  return {
    handle,
    handleVip: (request, channel) => (ownPort.has(request.code) ? unknown : handle)(request, channel)
  }
}
