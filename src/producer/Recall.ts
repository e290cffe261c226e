import { type Duration, Effect, Schema } from "effect"
import * as Millis from "../message/Millis.ts"
import { ApiError, BrokerNotExist, IllegalServiceState, RouteUnavailable } from "../client/ClientError.ts"
import type { MQClientInstanceShape } from "../client/MQClientInstance.ts"
import { borrowOf } from "../client/TopicRoute.ts"
import { DLQ_GROUP_TOPIC_PREFIX, isRetryTopic, MASTER_ID } from "../message/MixAll.ts"
import * as Namespace from "../message/Namespace.ts"
import * as RecallHandle from "../message/RecallHandle.ts"
import type { ProducerConfig } from "./ProducerConfig.ts"
import { InvalidMessage } from "./send/SendError.ts"
import { badTimeout, isTimeout, timeoutOf } from "./send/SendOptions.ts"
import type { TopicPublishInfoTable } from "./queue/TopicPublishInfo.ts"
import { checkTopic } from "./send/PreparedMessage.ts"

/** The text is no recall handle; nothing was asked of anybody. */
export class InvalidRecallHandle extends Schema.TaggedError<InvalidRecallHandle>()("InvalidRecallHandle", {
  /** The topic that the recall named. */
  topic: Schema.String,
  /** What was given, shortened. */
  recallHandle: Schema.String
}) {
  override get message() {
    return `"${this.recallHandle}" is no recall handle. Pass the recallHandle of the result of a send with an exact time; only brokers from 5.3 on hand one out.`
  }
}

/** The recall's deadline passed before a broker could be asked. */
export class RecallTimeout extends Schema.TaggedError<RecallTimeout>()("RecallTimeout", {
  /** The topic. */
  topic: Schema.String,
  /** Milliseconds that the recall had. */
  timeoutMillis: Schema.Number
}) {
  override get message() {
    return `The route of the topic was not known within ${Millis.text(this.timeoutMillis)}. Raise timeoutMillis if the servers are only slow.`
  }
}

/** Why a message could not be recalled. */
export const RecallReason = Schema.Union([
  IllegalServiceState,
  InvalidMessage,
  InvalidRecallHandle,
  RouteUnavailable,
  BrokerNotExist,
  RecallTimeout,
  ...ApiError.members
])
/** Why a message could not be recalled. */
export type RecallReason = typeof RecallReason.Type

/**
 * A recall that failed. The message will be delivered at its time, or has been, unless the answer to the recall was lost:
 * `outcome` is `unknown` then.
 */
export class RecallError extends Schema.TaggedError<RecallError>()("RecallError", {
  /** The topic that the message is for. */
  topic: Schema.String,
  /** Why; take it apart with `Effect.catchReason`. */
  reason: RecallReason
}) {
  override get message() {
    return `The message of topic "${this.topic}" was not recalled. ${this.reason.message}`
  }
  /** What is known: `not-sent` and `rejected` mean that the message is not recalled. */
  get outcome(): "not-sent" | "rejected" | "unknown" {
    switch (this.reason._tag) {
      case "BrokerRejected":
      case "AccessDenied":
        return "rejected"
      case "UnreadableAnswer":
        return "unknown"
      case "IllegalServiceState":
      case "InvalidMessage":
      case "InvalidRecallHandle":
      case "RouteUnavailable":
      case "BrokerNotExist":
      case "RecallTimeout":
        return "not-sent"
      default:
        return this.reason.outcome
    }
  }
}

/** Options of one recall. */
export interface RecallOptions {
  /** How long it may take; default `sendMsgTimeout`. A bare number is milliseconds. */
  readonly timeoutMillis?: Duration.Input | undefined
}

/** Takes back a message that waits for its time; gives the message's unique id. */
export type Recall = (
  topic: string,
  recallHandle: string,
  options?: RecallOptions
) => Effect.Effect<string, RecallError>

/** Characters of a handle that an error shows. */
const SHOWN = 64

const problemOf = (topic: string): InvalidMessage | undefined =>
  checkTopic(topic) ??
  (isRetryTopic(topic) || topic.startsWith(DLQ_GROUP_TOPIC_PREFIX)
    ? new InvalidMessage({
        topic,
        field: "topic",
        problem: "is one of a group's own, whose messages are not recalled"
      })
    : undefined)

/**
 * Makes the recalls of a producer. `refusal` says why none may begin.
 *
 * Source: RocketMQ `DefaultMQProducerImpl.recallMessage`.
 */
export const make = (
  config: ProducerConfig,
  instance: MQClientInstanceShape,
  table: TopicPublishInfoTable,
  refusal: () => IllegalServiceState | undefined
): Recall => {
  const { api, routes } = instance
  const borrow = borrowOf(config)

  /** The broker that has the message; where routes do not name it, any of the topic, which may be a proxy for it. */
  const addressOf = (topic: string, brokerName: string): string | undefined =>
    routes.findBrokerAddressInPublish(brokerName) ??
    table
      .get(topic)
      ?.route?.data.brokerDatas.map((broker) => routes.brokerAddrTable.get(broker.brokerName)?.get(MASTER_ID))
      .find((address) => address !== undefined)

  const recall = (
    topic: string,
    recallHandle: string,
    { brokerName }: RecallHandle.RecallHandle,
    timeoutMillis: number
  ): Effect.Effect<string, RecallReason> =>
    Effect.suspend((): Effect.Effect<string, RecallReason> => {
      const address = addressOf(topic, brokerName)
      if (address === undefined) {
        const refused = routes.refusedMaster(brokerName)
        return Effect.fail(new BrokerNotExist({ topic, brokerName, refused }))
      }
      const { producerGroup } = config
      return api.recallMessage(address, { producerGroup, topic, recallHandle, brokerName }, timeoutMillis)
    })

  return (given, recallHandle, options) => {
    const topic = Namespace.unwrap(config.namespace, given)
    return Effect.suspend((): Effect.Effect<string, RecallReason> => {
      const refused = refusal() ?? problemOf(topic)
      if (refused !== undefined) return Effect.fail(refused)
      const handle = RecallHandle.decode(recallHandle)
      if (handle === undefined) {
        return Effect.fail(new InvalidRecallHandle({ topic, recallHandle: recallHandle.slice(0, SHOWN) }))
      }
      const timeoutMillis = timeoutOf(config, options)
      if (!isTimeout(timeoutMillis)) return Effect.fail(badTimeout(topic, options?.timeoutMillis))
      const known = table.getOrPut(topic).queues.length > 0
      const ask = recall(topic, recallHandle, handle, timeoutMillis)
      if (known) return ask
      return Effect.andThen(
        routes.updateTopicRouteInfoFromNameServer(topic, borrow).pipe(
          Effect.timeoutOrElse({
            duration: timeoutMillis,
            orElse: () => Effect.fail(new RecallTimeout({ topic, timeoutMillis }))
          })
        ),
        ask
      )
    }).pipe(Effect.mapError((reason) => new RecallError({ topic, reason })))
  }
}
