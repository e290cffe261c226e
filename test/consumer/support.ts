import { Effect, Layer } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import type { PushConsumerOptions } from "../../src/consumer/ConsumerOptions.ts"
import { DefaultMQPushConsumer } from "../../src/consumer/DefaultMQPushConsumer.ts"
import type { Handler, MessageListener } from "../../src/consumer/MessageListener.ts"
import type { ReceivedMessage } from "../../src/consumer/ReceivedMessage.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, type EmbeddedClusterOptions } from "../../src/testing/index.ts"

/** The name server of a cluster in memory. */
export const namesrvAddr = "127.0.0.1:9876"

/** A cluster in memory with the topic `orders`, whose traffic is recorded, client instances, and a producer. */
export const rig = (options: EmbeddedClusterOptions = {}) =>
  DefaultMQProducer.layer({ producerGroup: "orders-pg", namesrvAddr }).pipe(
    Layer.provideMerge(MQClientManager.layer),
    Layer.provideMerge(
      EmbeddedCluster.layerMemory({
        topics: { orders: {} },
        listen: { namesrvPort: 9_876, brokerPort: 10_911 },
        recordTraffic: true,
        ...options
      })
    )
  )

/** Makes a member of the group `billing`, which reads all of `orders`; the rest is as the options say. */
export const make = <E, R>(
  listener: Handler<E, R> | MessageListener<E, R>,
  options: Partial<PushConsumerOptions> = {}
) =>
  DefaultMQPushConsumer.make(
    { consumerGroup: "billing", subscriptions: [Subscription.all("orders")], namesrvAddr, ...options },
    listener
  )

/** A started member, which is shut down with the scope. */
export const consume = <E>(
  listener: Handler<E, never> | MessageListener<E, never>,
  options: Partial<PushConsumerOptions> = {}
) => Effect.tap(make(listener, options), (consumer) => Effect.acquireRelease(consumer.start, () => consumer.shutdown))

/** The text of a message's body. */
export const text = (message: Pick<ReceivedMessage, "body">) => new TextDecoder().decode(message.body)

/** An offset that was sent to a broker, by a request for that or with a pull. */
export interface Commit {
  readonly queue: string
  readonly offset: number
  readonly by: "update" | "pull"
  readonly time: number
}

/** Every offset of a topic that was sent to brokers, in the order of arrival. */
export const commits = Effect.fnUntraced(function* (topic = "orders") {
  const { traffic } = yield* EmbeddedCluster
  const found = yield* traffic.matching({
    code: [RequestCode.UPDATE_CONSUMER_OFFSET, RequestCode.PULL_MESSAGE],
    topic
  })
  return found.flatMap(({ code, extFields, time }): ReadonlyArray<Commit> => {
    if (extFields === undefined) return []
    if (code === RequestCode.PULL_MESSAGE && (Number(extFields["sysFlag"]) & 1) === 0) return []
    return [
      {
        queue: `${topic}@${extFields["queueId"]}`,
        offset: Number(extFields["commitOffset"]),
        by: code === RequestCode.PULL_MESSAGE ? "pull" : "update",
        time
      }
    ]
  })
})
