import type { Long } from "../../protocol/Long.ts"
import type { PullStatus } from "../../protocol/request/PullMessage.ts"
import type { StoredEntry } from "../store/StoredMessage.ts"
import type { Broker } from "./Broker.ts"
import type * as MessageFilter from "./MessageFilter.ts"

/** Reads messages of a queue for pulls and pops. Source: RocketMQ `DefaultMessageStore.getMessage`. */

/** Entries one look goes over, or as many as it asks for (Java `maxFilterMessageSize`, 16000 bytes of 20 each). */
const MAX_SCANNED = 800

/** What a look at a queue found. */
export interface Found {
  readonly status: PullStatus
  /** RocketMQ's `GetMessageStatus`, which says more. */
  readonly remark: string
  readonly nextBeginOffset: number
  readonly entries: ReadonlyArray<StoredEntry>
}

/** Where to look, and for how many messages at most. */
export interface Look {
  readonly topic: string
  readonly queueId: number
  readonly queueOffset: Long
  readonly maxMsgNums: number
}

/** No message, and where to read on. */
export const nothing = (status: PullStatus, remark: string, nextBeginOffset: number): Found => ({
  status,
  remark,
  nextBeginOffset,
  entries: []
})

const scan = (
  { config, state }: Broker,
  { maxMsgNums, queueId, topic }: Look,
  from: number,
  max: number,
  filter: MessageFilter.MessageFilter
): Found => {
  const maxCount = Math.min(maxMsgNums, config.maxTransferCount)
  const scanned = Math.max(MAX_SCANNED, maxMsgNums)
  const entries: Array<StoredEntry> = []
  let bytes = 0
  let offset = from
  for (; offset < max && offset - from < scanned; offset++) {
    const entry = state.store.read(topic, queueId, offset)
    if (entry === undefined) continue
    // A full answer ends before the next message, whether the filter would let that one pass or not.
    if (entries.length > 0 && (entries.length >= maxCount || bytes + entry.bytes.length > config.maxTransferBytes))
      break
    if (!filter.matches(entry)) continue
    entries.push(entry)
    bytes += entry.bytes.length
  }
  return entries.length === 0
    ? nothing("NO_MATCHED_MSG", "NO_MATCHED_MESSAGE", offset)
    : { status: "FOUND", remark: "FOUND", nextBeginOffset: offset, entries }
}

/** Reads from an offset on. */
export const read = (broker: Broker, look: Look, filter: MessageFilter.MessageFilter): Found => {
  const { queueId, queueOffset, topic } = look
  const { max, min } = broker.state.store.offsets(topic, queueId)
  if (max === 0) return nothing(queueOffset === 0 ? "NO_NEW_MSG" : "OFFSET_ILLEGAL", "NO_MESSAGE_IN_QUEUE", 0)
  if (queueOffset < min) return nothing("OFFSET_ILLEGAL", "OFFSET_TOO_SMALL", min)
  if (queueOffset === max) return nothing("NO_NEW_MSG", "OFFSET_OVERFLOW_ONE", max)
  if (queueOffset > max) return nothing("OFFSET_ILLEGAL", "OFFSET_OVERFLOW_BADLY", max)
  return scan(broker, look, Number(queueOffset), max, filter)
}
