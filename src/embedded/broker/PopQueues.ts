import * as MixAll from "../../message/MixAll.ts"
import type { Long } from "../../protocol/Long.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"
import * as PopHandle from "../../protocol/PopHandle.ts"
import type { PopMessageHeader } from "../../protocol/request/PopMessage.ts"
import { InitMode } from "../../protocol/request/PopMessage.ts"
import type { StoredEntry } from "../store/StoredMessage.ts"
import * as StoredMessage from "../store/StoredMessage.ts"
import type { Broker } from "./Broker.ts"
import type * as MessageFilter from "./MessageFilter.ts"
import * as QueueReader from "./QueueReader.ts"

/** Takes messages out of queues for pops: offsets, checkpoints, order. Source: RocketMQ `PopMessageProcessor.popMsgFromQueue`. */

/** What a pop has found so far. */
export interface Popped {
  readonly popTime: number
  readonly reviveQid: number
  /** The messages as they are answered. */
  readonly bodies: Array<Uint8Array>
  readonly startOffsets: Array<PopHandle.StartOffset>
  readonly messageOffsets: Array<PopHandle.MessageOffsets>
  readonly orderCounts: Array<PopHandle.OrderCount>
  /** How many messages there still are in the queues that were looked at. */
  rest: number
  /** Whether it went past messages that are none for it. */
  passed: boolean
}

/** Where a pop may look. */
export interface PopSource {
  readonly topic: string
  readonly retryFlag: PopHandle.RetryFlag
  readonly queueId: number
}

/** Where the group reads on; it keeps nothing. Source: RocketMQ `PopMessageProcessor.getInitOffset`. */
export const peekOffset = (broker: Broker, group: string, source: PopSource, initMode: number): Long => {
  const { offsets, store } = broker.state
  const committed = offsets.query(group, source.topic, source.queueId)
  if (committed !== undefined) return committed
  const { max, min } = store.offsets(source.topic, source.queueId)
  if (initMode === InitMode.MIN || MixAll.isRetryTopic(source.topic)) return min
  // From the last message on; but from the first, where the queue still has it in memory as all is here.
  return min <= 0 ? 0 : Math.max(0, max - 1)
}

/** The messages of a retry topic go out under the topic that is popped, and with their handle. */
const renamed = (entry: StoredEntry, topic: string, handle: PopHandle.PopHandle): Uint8Array => {
  const message = StoredMessage.read(entry)
  if (message === undefined) return entry.bytes
  const properties = { ...message.properties }
  properties[MessageConst.POP_CK] ??= PopHandle.encode(handle)
  return StoredMessage.encode({ ...message, topic, properties }, entry.queueOffset, entry.physicalOffset)
}

/** Takes what a pop still wants out of one queue. */
export const take = (
  broker: Broker,
  header: PopMessageHeader,
  source: PopSource,
  filter: MessageFilter.MessageFilter,
  popped: Popped
): void => {
  const { config, state } = broker
  const { consumerGroup: group, invisibleTime } = header
  const { queueId, retryFlag, topic } = source
  const isOrder = header.order === true
  const queue = { group, topic, queueId }
  const max = (): number => state.store.offsets(topic, queueId).max
  const commit = (offset: Long): boolean => state.offsets.commit(group, topic, queueId, offset)

  const inFlight = state.popped.inFlight(group, topic, queueId)
  const isOver = config.enablePopMessageThreshold && inFlight > config.popInflightMessageThreshold
  if (isOver || !state.popped.hasRoom(group, header.maxMsgNums)) {
    popped.rest += max() - Number(peekOffset(broker, group, source, header.initMode))
    return
  }
  const isNew = state.offsets.query(group, topic, queueId) === undefined
  const offset = peekOffset(broker, group, source, header.initMode)
  // Without room for its offset the group would get the same again and again.
  if (isNew && !commit(offset)) return
  const reset = state.offsets.takeReset(group, topic, queueId)
  if (reset !== undefined) state.ordered.clear(queue)
  const start = reset ?? offset
  if (isOrder && state.ordered.isBlocked(queue, header.attemptId)) return
  const wanted = header.maxMsgNums - popped.bodies.length
  if (wanted <= 0) {
    popped.rest += max() - Number(start)
    return
  }
  const look = { topic, queueId, queueOffset: start, maxMsgNums: wanted }
  const first = QueueReader.read(broker, look, filter)
  const isOutside = first.remark === "OFFSET_TOO_SMALL" || first.remark === "OFFSET_OVERFLOW_BADLY"
  if (isOutside) commit(first.nextBeginOffset)
  const found = isOutside ? QueueReader.read(broker, { ...look, queueOffset: first.nextBeginOffset }, filter) : first
  // The handles name where the pop was to begin, not where it could.
  popped.rest += max() - found.nextBeginOffset
  if (found.entries.length === 0) {
    if (found.remark === "NO_MATCHED_MESSAGE") popped.passed = commit(found.nextBeginOffset)
    return
  }
  const offsets = found.entries.map((entry) => entry.queueOffset)
  if (isOrder) {
    const pop = { attemptId: header.attemptId, popTime: popped.popTime, invisibleTime, offsets }
    const counts = state.ordered.update(queue, pop)
    if (counts === undefined) return
    for (const counted of counts) popped.orderCounts.push({ retryFlag, queueId, ...counted })
    const isAll = counts.length === offsets.length
    const least = isAll ? counts.reduce((most, { count }) => Math.min(most, count), Infinity) : 0
    popped.orderCounts.push({ retryFlag, queueId, offset: undefined, count: least })
    commit(start)
  } else {
    state.popped.add({
      ...queue,
      startOffset: start,
      popTime: popped.popTime,
      reviveQid: popped.reviveQid,
      brokerName: broker.name,
      offsets,
      visibleAt: popped.popTime + Number(invisibleTime)
    })
    commit(found.nextBeginOffset)
  }
  popped.startOffsets.push({ retryFlag, queueId, offset: start })
  popped.messageOffsets.push({ retryFlag, queueId, offsets })
  for (const entry of found.entries) {
    const handle = {
      ckQueueOffset: start,
      popTime: popped.popTime,
      invisibleTime,
      reviveQid: popped.reviveQid,
      retryFlag,
      brokerName: broker.name,
      queueId,
      msgQueueOffset: entry.queueOffset
    }
    popped.bodies.push(retryFlag === "0" ? entry.bytes : renamed(entry, header.topic, handle))
  }
}
