import { Effect } from "effect"
import { RouteUnavailable } from "../../client/ClientError.ts"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import { MASTER_ID } from "../../message/MixAll.ts"
import * as MessageQueue from "../../message/MessageQueue.ts"
import * as QueryConsumerOffset from "../../protocol/request/QueryConsumerOffset.ts"
import * as UpdateConsumerOffset from "../../protocol/request/UpdateConsumerOffset.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import { type OffsetStore, OffsetStoreError } from "./OffsetStore.ts"

/** Milliseconds that reading or writing an offset may take, as in Java. */
const TIMEOUT_MILLIS = 5_000

const failed = (operation: "load" | "persist", group: string, queue: MessageQueue.MessageQueue) => (cause: Error) =>
  new OffsetStoreError({ operation, group, queue: MessageQueue.key(queue), detail: cause.message, cause })

/**
 * The offsets of a group on the brokers, in clustering mode: QUERY_CONSUMER_OFFSET (14), UPDATE_CONSUMER_OFFSET (15).
 *
 * `setZeroIfNotFound: false` asks a broker of 5.x to say "not found" even for a queue so young that its first message is
 * still in memory; with true it answers 0 for those, as brokers of 4.x do in any case.
 *
 * Source: RocketMQ `RemoteBrokerOffsetStore`.
 */
export const make = (instance: MQClientInstanceShape, setZeroIfNotFound: boolean): OffsetStore => {
  const { api, routes } = instance

  /** The queue's broker: its master, or a slave where none is known; looked up once more where neither is. */
  const addressOf = ({ brokerName, topic }: MessageQueue.MessageQueue) =>
    Effect.suspend(() => {
      const find = () => routes.findBrokerAddressInSubscribe(brokerName, MASTER_ID, false)?.address
      const known = find()
      if (known !== undefined) return Effect.succeed(known)
      return Effect.flatMap(Effect.ignore(routes.updateTopicRouteInfoFromNameServer(topic, undefined)), () => {
        const found = find()
        return found === undefined
          ? Effect.fail(new RouteUnavailable({ topic, problem: "no-master", tries: [] }))
          : Effect.succeed(found)
      })
    })

  return {
    commitsOnPull: true,
    load: (group, queue) =>
      Effect.flatMap(addressOf(queue), (address) =>
        api.call(
          address,
          QueryConsumerOffset.request({
            consumerGroup: group,
            topic: queue.topic,
            queueId: queue.queueId,
            setZeroIfNotFound,
            brokerName: queue.brokerName
          }),
          TIMEOUT_MILLIS,
          QueryConsumerOffset.decodeResponse
        )
      ).pipe(
        // No queue is as long as that: what is beyond a safe integer was never written by a consumer.
        Effect.map(({ offset }) => (typeof offset === "bigint" || offset < 0 ? undefined : offset)),
        Effect.catchIf(
          (error) => error._tag === "BrokerRejected" && error.code === ResponseCode.QUERY_NOT_FOUND,
          () => Effect.succeed(undefined)
        ),
        Effect.mapError(failed("load", group, queue))
      ),
    persist: (group, { offset, queue }) =>
      Effect.flatMap(addressOf(queue), (address) =>
        api.call(
          address,
          UpdateConsumerOffset.request({
            consumerGroup: group,
            topic: queue.topic,
            queueId: queue.queueId,
            commitOffset: offset,
            brokerName: queue.brokerName
          }),
          TIMEOUT_MILLIS,
          UpdateConsumerOffset.decodeResponse
        )
      ).pipe(Effect.mapError(failed("persist", group, queue)))
  }
}
