import { Effect, Random } from "effect"
import { type ApiError, RouteUnavailable } from "../../client/ClientError.ts"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import * as RouteQueues from "../../client/RouteQueues.ts"
import type { RouteError } from "../../client/TopicRoute.ts"
import type * as MessageQueue from "../../message/MessageQueue.ts"
import { CLIENT_INNER_PRODUCER_GROUP, RETRY_GROUP_TOPIC_PREFIX } from "../../message/MixAll.ts"
import * as MessageProperties from "../../protocol/MessageProperties.ts"
import * as SendMessage from "../../protocol/request/SendMessage.ts"
import type { ClientClosed } from "../../transport/RemotingError.ts"
import { levelOf } from "../ReconsumePolicy.ts"
import type { GiveBack, Received } from "./Settle.ts"

const { MessageConst } = MessageProperties

/** Java's limit where none is set. */
const DEFAULT_MAX_RECONSUME_TIMES = 16
/** The level of the first redelivery; each that follows has the next one. */
const FIRST_LEVEL = 3
/** The greatest limit of redeliveries that can be set. */
const MAX_RECONSUME_TIMES = 1_000_000
/** Milliseconds that a broker may take to store a copy, as in Java. */
const TIMEOUT_MILLIS = 5_000

/** Brokers that are asked in turn to take a copy: Java sends again twice. */
const BROKERS_ASKED = 3

/** Where a copy may be sent to. */
interface Place {
  readonly queue: MessageQueue.MessageQueue
  readonly address: string
}

/**
 * Makes what sends a copy of a message to the group's retry topic, in the name of the instance's inner producer, for when
 * the message's broker cannot take it back: any broker that has the topic may take it, that one last. Where up to three have
 * failed, whoever asks tries again. It takes no place from the sends of the application.
 *
 * Source: RocketMQ `DefaultMQPushConsumerImpl.sendMessageBackAsNormalMessage`.
 */
export const make = Effect.fnUntraced(function* (
  config: { readonly consumerGroup: string; readonly maxReconsumeTimes: number },
  instance: MQClientInstanceShape
) {
  const random = yield* Random.Random
  const topic = RETRY_GROUP_TOPIC_PREFIX + config.consumerGroup
  const most = config.maxReconsumeTimes < 0 ? DEFAULT_MAX_RECONSUME_TIMES : config.maxReconsumeTimes

  /** Queues of the retry topic, one of each broker that can be reached, and where to send to. */
  const places = Effect.fnUntraced(function* (own: string) {
    const route = yield* instance.routes.updateTopicRouteInfoFromNameServer(topic, undefined)
    const { queues } = RouteQueues.writable(topic, route.data)
    const found = [...Map.groupBy(queues, ({ brokerName }) => brokerName)].flatMap(([brokerName, ofBroker]) => {
      const queue = ofBroker[Math.floor(random.nextDoubleUnsafe() * ofBroker.length)]
      const address = instance.routes.findBrokerAddressInPublish(brokerName)
      // The message's own broker has just failed, or is as good as any.
      const order = brokerName === own ? 1 : random.nextDoubleUnsafe()
      return queue === undefined || address === undefined ? [] : [{ queue, address, order }]
    })
    const [first, ...others] = found.toSorted((a, b) => a.order - b.order).slice(0, BROKERS_ASKED)
    return first === undefined
      ? yield* new RouteUnavailable({ topic, problem: "no-writable-queue", tries: [] })
      : { first, others }
  })

  return Effect.fnUntraced(function* (
    { message }: Received,
    to: GiveBack
  ): Effect.fn.Return<void, ApiError | RouteError | ClientClosed> {
    const { first, others } = yield* places(message.brokerName)
    // Whoever sent the message may have counted from anywhere.
    const redeliveries = Math.min(Math.max(0, message.reconsumeTimes), MAX_RECONSUME_TIMES)
    const level = to === "broker" ? FIRST_LEVEL + redeliveries : to === "dead-letter" ? 1 : levelOf(to)
    const kept = Object.entries(message.properties).filter(([name]) => name !== MessageConst.TRANSACTION_PREPARED)
    const properties = {
      ...Object.fromEntries(kept),
      [MessageConst.ORIGIN_MESSAGE_ID]: message.properties[MessageConst.ORIGIN_MESSAGE_ID] ?? message.msgId,
      [MessageConst.RETRY_TOPIC]: message.topic,
      [MessageConst.DELAY_TIME_LEVEL]: String(level)
    }
    const sendTo = ({ address, queue }: Place) =>
      instance.api.call(
        address,
        SendMessage.request(
          {
            producerGroup: CLIENT_INNER_PRODUCER_GROUP,
            topic,
            defaultTopic: instance.config.createTopicKey,
            defaultTopicQueueNums: 4,
            queueId: queue.queueId,
            sysFlag: 0,
            bornTimestamp: message.bornTimestamp,
            flag: message.flag,
            properties: MessageProperties.encode(properties),
            // One more than the greatest number of redeliveries makes the broker put it with the dead letters.
            reconsumeTimes: to === "dead-letter" ? Math.max(redeliveries, most) + 1 : redeliveries + 1,
            maxReconsumeTimes: most,
            unitMode: instance.config.unitMode,
            batch: false,
            brokerName: queue.brokerName
          },
          message.body,
          "V2"
        ),
        TIMEOUT_MILLIS,
        SendMessage.decodeResponse
      )
    yield* Effect.firstSuccessOf([first, ...others].map(sendTo))
  })
})
