import { Effect } from "effect"
import { decodeOffsetMessageId } from "../../message/MessageId.ts"
import * as MixAll from "../../message/MixAll.ts"
import { SysFlag } from "../../message/SysFlag.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import type { Long } from "../../protocol/Long.ts"
import type { ExactFields } from "../../protocol/MessageCodec.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import type { Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { EndTransactionHeader } from "../../protocol/request/EndTransaction.ts"
import * as EndTransaction from "../../protocol/request/EndTransaction.ts"
import * as ResumeCheckHalfMessage from "../../protocol/request/ResumeCheckHalfMessage.ts"
import type { Broker } from "./Broker.ts"
import type { Handler, Handlers } from "../server/Handler.ts"
import * as HalfMessages from "../store/HalfMessages.ts"
import * as Remarks from "../server/Remarks.ts"
import * as Reply from "../server/Reply.ts"
import type { MessageInner } from "../store/StoredMessage.ts"
import * as StoredMessage from "../store/StoredMessage.ts"

const wrong = (remark: string): Response => ({ code: ResponseCode.SYSTEM_ERROR, remark })

/**
 * What consumers see of a committed half message: that it was one, and in 4.x (`legacy`) also where it was to go, which it
 * now is.
 */
const committed = (half: ExactFields, now: number, legacy: boolean): MessageInner | undefined => {
  const { [MessageConst.REAL_QUEUE_ID]: queueId, [MessageConst.REAL_TOPIC]: topic, ...kept } = half.properties
  return topic === undefined || queueId === undefined
    ? undefined
    : {
        ...half,
        topic,
        queueId: Number(queueId),
        properties: legacy ? half.properties : kept,
        sysFlag: (half.sysFlag & ~SysFlag.TRANSACTION_ROLLBACK) | SysFlag.TRANSACTION_COMMIT,
        storeTimestamp: now,
        preparedTransactionOffset: half.commitLogOffset
      }
}

/**
 * The end of transactions (37), and half messages that are to be checked again (323).
 *
 * Source: RocketMQ `EndTransactionProcessor`, `AdminBrokerProcessor.resumeCheckHalfMessage`.
 */
export const handlers = (broker: Broker): Handlers => {
  const { config, state } = broker
  const legacy = config.version < MQVersion.V5_0_0

  const halfAt = (commitLogOffset: Long): ExactFields | undefined => {
    const entry = state.store.byPhysicalOffset(commitLogOffset)
    return entry === undefined ? undefined : StoredMessage.read(entry)
  }

  /** A message that says for how long nobody asks about it is ended within that time, or by a check. */
  const tooLate = (half: ExactFields, header: EndTransactionHeader): boolean =>
    !legacy &&
    header.fromTransactionCheck !== true &&
    HalfMessages.hasOwnImmunity(half.properties) &&
    broker.now() - Number(half.bornTimestamp) > HalfMessages.immunityMillis(half.properties, config.transactionTimeOut)

  const refusal = (half: ExactFields, header: EndTransactionHeader): Response | undefined => {
    if (tooLate(half, header)) return { code: ResponseCode.ILLEGAL_OPERATION }
    if (half.properties[MessageConst.PRODUCER_GROUP] !== header.producerGroup) {
      return wrong(Remarks.PRODUCER_GROUP_WRONG)
    }
    return half.queueOffset === header.tranStateTableOffset ? undefined : wrong(Remarks.STATE_TABLE_OFFSET_WRONG)
  }

  const commit = (half: ExactFields): Response => {
    const message = committed(half, broker.now(), legacy)
    if (message === undefined) return wrong(Remarks.NO_PREPARED_MESSAGE)
    const entry = state.delayed.put(message)
    if (typeof entry === "string") {
      return { code: ResponseCode.MESSAGE_ILLEGAL, remark: Remarks.timerIllegal(config.timerMaxDelaySec) }
    }
    return EndTransaction.response()
  }

  const end: Handler = (request) =>
    Effect.sync(() => {
      if (broker.id !== MixAll.MASTER_ID) return { code: ResponseCode.SLAVE_NOT_AVAILABLE }
      const header = EndTransaction.decodeRequest(request)
      if (header instanceof DecodeError) return Reply.malformed(header)
      const commits = header.commitOrRollback === SysFlag.TRANSACTION_COMMIT
      // A transaction that goes on gets no answer, whoever asks.
      if (header.commitOrRollback === 0) return undefined
      if (!commits && header.commitOrRollback !== SysFlag.TRANSACTION_ROLLBACK) {
        return wrong(Remarks.COMMIT_OR_ROLLBACK_WRONG)
      }
      const half = halfAt(header.commitLogOffset)
      if (half === undefined) return wrong(Remarks.NO_PREPARED_MESSAGE)
      const refused = refusal(half, header)
      if (refused !== undefined) return refused
      const response = commits ? commit(half) : EndTransaction.response()
      if (response.code === ResponseCode.SUCCESS) state.halves.done(half)
      return response
    })

  const resume = Reply.sync((request) => {
    const header = ResumeCheckHalfMessage.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const place = decodeOffsetMessageId(header.msgId)
    const message = place === undefined ? undefined : halfAt(Number(place.offset))
    if (message === undefined) return wrong(Remarks.RESUME_FAILED)
    state.halves.resume(message)
    return ResumeCheckHalfMessage.response()
  })

  return new Map([
    [RequestCode.END_TRANSACTION, end],
    [RequestCode.RESUME_CHECK_HALF_MESSAGE, resume]
  ])
}
