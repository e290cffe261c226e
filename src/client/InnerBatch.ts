import * as MessageExts from "../message/MessageExt.ts"
import type { MessageExt } from "../message/MessageExt.ts"
import { SysFlag } from "../message/SysFlag.ts"
import { DecodeError } from "../protocol/DecodeError.ts"
import * as MessageCodec from "../protocol/MessageCodec.ts"
import * as MessageProperties from "../protocol/MessageProperties.ts"
import { RequestCode } from "../protocol/RequestCode.ts"

/**
 * Batches that a broker of 5.x keeps as one message, in topics of the queue type `BatchCQ`: each of its messages has an
 * offset, and a pull from any of them gets the whole batch.
 */
const INNER_BATCH = SysFlag.INNER_BATCH | SysFlag.NEED_UNWRAP

/** Whether the message is a batch that whoever pulls takes apart. */
export const is = ({ sysFlag }: MessageExt): boolean => (sysFlag & INNER_BATCH) === INNER_BATCH

/**
 * The messages of a batch whose body is unpacked: those from the offset `from` on, and no more than `max`. They have the
 * batch's place and times, and properties and bodies of their own, which share memory with the batch's.
 *
 * Source: RocketMQ `MessageDecoder.decodeMessage(MessageExt, List)`.
 */
export const messagesOf = (batch: MessageExt, from: number, max: number): ReadonlyArray<MessageExt> | DecodeError => {
  const first = Math.max(0, from - batch.queueOffset)
  const parts = MessageCodec.decodeBatch(batch.body, RequestCode.PULL_MESSAGE, { from: first, max })
  if (parts instanceof DecodeError) return parts
  const { keys: _, msgId: __, offsetMsgId, tags: ___, transactionId: ____, ...fields } = batch
  return parts.map(({ body, flag, properties }, i) =>
    MessageExts.make(
      {
        ...fields,
        body,
        flag,
        properties: MessageProperties.decode(properties),
        queueOffset: batch.queueOffset + first + i,
        sysFlag: batch.sysFlag & ~SysFlag.NEED_UNWRAP,
        reconsumeTimes: 0,
        bodyCRC: MessageCodec.bodyCRC(body)
      },
      offsetMsgId
    )
  )
}
