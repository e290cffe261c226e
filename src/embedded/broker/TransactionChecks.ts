import { Effect } from "effect"
import { encodeOffsetMessageId } from "../../message/MessageId.ts"
import * as MessageCodec from "../../protocol/MessageCodec.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import * as CheckTransactionState from "../../protocol/push/CheckTransactionState.ts"
import type { ClientTable } from "./ClientTable.ts"
import { HALF_TOPIC } from "../store/HalfMessages.ts"

/**
 * Asks producers what became of their half messages (39): of each group one client, another one each time. A half message
 * whose group has no client counts as asked about, as on a real broker.
 *
 * Source: RocketMQ `AbstractTransactionalMessageCheckListener`, `ProducerManager.getAvailableChannel`.
 */
export const make = (options: {
  readonly brokerName: string
  readonly version: number
  readonly clients: ClientTable
}): ((halves: ReadonlyArray<MessageCodec.ExactFields>) => Effect.Effect<void>) => {
  let turn = 0
  const legacy = options.version < MQVersion.V5_0_0

  const ask = (half: MessageCodec.ExactFields): Effect.Effect<void> =>
    Effect.suspend(() => {
      const { properties } = half
      const group = properties[MessageConst.PRODUCER_GROUP] ?? ""
      const channels = options.clients.producerGroups().get(group) ?? []
      const client = channels[++turn % Math.max(1, channels.length)]
      if (client === undefined) return Effect.void
      const uniqueKey = properties[MessageConst.UNIQ_KEY]
      const request = CheckTransactionState.request(
        {
          ...(legacy ? {} : { topic: HALF_TOPIC, brokerName: options.brokerName }),
          tranStateTableOffset: half.queueOffset,
          commitLogOffset: half.commitLogOffset,
          msgId: uniqueKey,
          transactionId: uniqueKey,
          offsetMsgId: encodeOffsetMessageId(half.storeHost, half.commitLogOffset)
        },
        MessageCodec.encode({
          ...half,
          topic: properties[MessageConst.REAL_TOPIC] ?? half.topic,
          queueId: Number(properties[MessageConst.REAL_QUEUE_ID] ?? half.queueId),
          properties: { ...properties, [MessageConst.WAIT_STORE_MSG_OK]: "false" }
        })
      )
      return client.channel.send(request, { oneway: true })
    })

  return (halves) => Effect.forEach(halves, ask, { discard: true })
}
