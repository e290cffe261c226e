import * as MessageCodec from "../../src/protocol/MessageCodec.ts"

/**
 * What a consumer reads in the bench: 8 queues without an end, whose answers are ready made, field for field as a broker
 * of 5.5.0 writes them (`bench.test.ts` compares them with a recorded one). Only offsets and the number of the request are
 * written into a copy.
 */

/** The topic that is read. */
export const SOURCE_TOPIC = "source"
/** Its queues. */
export const SOURCE_QUEUES = 8
/** Messages of an answer. */
export const ANSWER_MESSAGES = 32

/** The end of a queue is always so far ahead. */
const AHEAD = 1_000_000

interface Ready {
  /** The stored messages, one behind the other. */
  readonly stored: Buffer
  /** Where each begins. */
  readonly entries: ReadonlyArray<number>
}

const QUEUE_OFFSET_AT = 20
const COMMIT_LOG_OFFSET_AT = 28

const readyOf = (queueId: number, bodySize: number): Ready => {
  const entries: Array<number> = []
  const all: Array<Uint8Array> = []
  let size = 0
  for (let index = 0; index < ANSWER_MESSAGES; index++) {
    const entry = MessageCodec.encode({
      topic: SOURCE_TOPIC,
      body: Buffer.alloc(bodySize, "x"),
      properties: {
        MSG_REGION: "DefaultRegion",
        UNIQ_KEY: `FD0000000000000000000000000000023E8630946E09725E2021${(queueId * ANSWER_MESSAGES + index).toString(16).toUpperCase().padStart(4, "0")}`,
        CLUSTER: "DefaultCluster",
        TAGS: "TagA",
        KEYS: `Key${index}`,
        WAIT: "true",
        TRACE_ON: "true"
      },
      flag: 0,
      queueId,
      queueOffset: 0,
      commitLogOffset: 0,
      sysFlag: 0,
      bornTimestamp: 1_795_409_971_233,
      bornHost: "127.0.0.1:50500",
      storeTimestamp: 1_795_409_971_258,
      storeHost: "127.0.0.1:10911",
      reconsumeTimes: 0,
      preparedTransactionOffset: 0
    })
    entries.push(size)
    size += entry.length
    all.push(entry)
  }
  return { stored: Buffer.concat(all), entries }
}

const ready = new Map<string, Ready>()

const writeLong = (out: Buffer, value: number, at: number): void => {
  out.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at)
  out.writeUInt32BE(value % 0x1_0000_0000, at + 4)
}

/** The answer to a pull: a frame with 32 messages of a queue from an offset on. */
export const pullAnswer = (opaque: number, queueId: number, offset: number, bodySize: number): Buffer => {
  const key = `${queueId}/${bodySize}`
  let made = ready.get(key)
  if (made === undefined) ready.set(key, (made = readyOf(queueId, bodySize)))
  const { entries, stored } = made
  const next = offset + ANSWER_MESSAGES
  const header = `{"code":0,"extFields":{"suggestWhichBrokerId":"0","groupSysFlag":"0","nextBeginOffset":"${next}","maxOffset":"${next + AHEAD}","minOffset":"0","topicSysFlag":"0"},"flag":1,"language":"JAVA","opaque":${opaque},"remark":"FOUND","serializeTypeCurrentRPC":"JSON","version":513}`
  const bodyAt = 8 + header.length
  const out = Buffer.allocUnsafe(bodyAt + stored.length)
  out.writeInt32BE(out.length - 4, 0)
  out.writeInt32BE(header.length, 4)
  out.write(header, 8, "latin1")
  out.set(stored, bodyAt)
  for (const [index, entry] of entries.entries()) {
    const at = bodyAt + entry
    const queueOffset = offset + index
    writeLong(out, queueOffset, at + QUEUE_OFFSET_AT)
    writeLong(
      out,
      (queueOffset * SOURCE_QUEUES + queueId) * (stored.length / ANSWER_MESSAGES),
      at + COMMIT_LOG_OFFSET_AT
    )
  }
  return out
}
