import { Effect } from "effect"
import { MASTER_ID } from "../message/MixAll.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import type { Long } from "../protocol/Long.ts"
import * as QueryConsumerOffset from "../protocol/request/QueryConsumerOffset.ts"
import * as UpdateConsumerOffset from "../protocol/request/UpdateConsumerOffset.ts"
import { ResponseCode } from "../protocol/ResponseCode.ts"
import type { ClientClosed } from "../transport/RemotingError.ts"
import { type ApiError, BrokerNotExist } from "./ClientError.ts"
import * as FirstWrites from "./FirstWrites.ts"
import { absentOn } from "./MQClientApi.ts"
import type { MQClientInstanceShape } from "./MQClientInstance.ts"
import type { RouteError, TopicRoute } from "./TopicRoute.ts"

/** What finding a queue's broker and asking it can end with. */
export type QueueError = RouteError | ClientClosed | BrokerNotExist | ApiError

/**
 * The address of a queue's broker: its master, or a slave where there is no master. The route is read anew where neither is
 * known.
 */
export const addressOf = Effect.fnUntraced(function* (
  routes: TopicRoute,
  queue: MessageQueue
): Effect.fn.Return<string, RouteError | ClientClosed | BrokerNotExist> {
  const { topic } = queue
  // A logical queue of a static topic is where its route says, which has to be known for that.
  const known = () => routes.findBrokerAddressInSubscribe(routes.brokerNameOf(queue), MASTER_ID, false)?.address
  const address = known()
  if (address !== undefined) return address
  yield* routes.updateTopicRouteInfoFromNameServer(topic, undefined)
  const brokerName = routes.brokerNameOf(queue)
  return known() ?? (yield* new BrokerNotExist({ topic, brokerName, refused: routes.refusedMaster(brokerName) }))
})

/** The offsets of consumer groups on the brokers, for consumers and administrators. */
export interface ConsumerOffsets {
  /**
   * Where a group reads a queue on (14); undefined when it never committed. With `setZeroIfNotFound` a broker says 0 for
   * a queue so young that its first message is still in memory; brokers of 4.x do so in any case.
   */
  readonly query: (
    group: string,
    queue: MessageQueue,
    setZeroIfNotFound: boolean
  ) => Effect.Effect<Long | undefined, QueueError>
  /**
   * Sets where a group reads a queue on (15), acknowledged. A broker takes any offset, but none while a reset waits for the
   * queue's next pull: then it says so.
   */
  readonly update: (
    group: string,
    queue: MessageQueue,
    offset: Long
  ) => Effect.Effect<UpdateConsumerOffset.UpdateConsumerOffsetAnswer, QueueError>
}

/** Makes the requests about offsets. Source: RocketMQ `RemoteBrokerOffsetStore`. */
export const make = (
  { api, routes }: Pick<MQClientInstanceShape, "api" | "routes">,
  timeoutMillis: number
): ConsumerOffsets => {
  const first = FirstWrites.make()
  return {
    query: (group, queue, setZeroIfNotFound) =>
      Effect.flatMap(addressOf(routes, queue), (address) =>
        api
          .call(
            address,
            QueryConsumerOffset.request({
              consumerGroup: group,
              topic: queue.topic,
              queueId: queue.queueId,
              setZeroIfNotFound,
              brokerName: queue.brokerName
            }),
            timeoutMillis,
            QueryConsumerOffset.decodeResponse
          )
          .pipe(absentOn(ResponseCode.QUERY_NOT_FOUND))
      ).pipe(Effect.map((answer) => answer?.offset)),
    update: (group, queue, offset) =>
      first.write(
        // None of the three names has a space.
        `${queue.brokerName} ${queue.topic} ${group}`,
        Effect.flatMap(addressOf(routes, queue), (address) =>
          api.call(
            address,
            UpdateConsumerOffset.request({
              consumerGroup: group,
              topic: queue.topic,
              queueId: queue.queueId,
              commitOffset: offset,
              brokerName: queue.brokerName
            }),
            timeoutMillis,
            UpdateConsumerOffset.decodeResponse
          )
        )
      )
  }
}
