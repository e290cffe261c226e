import type { ReadMessage } from "../../admin/QueueReader.ts"
import { toJson } from "../MessageText.ts"
import type { ReadFilter } from "../ReadTopic.ts"
import { millisOf, type Moment } from "../Text.ts"

/** Which dead letters are wanted. */
export interface Wanted {
  readonly since: Moment | undefined
  readonly until: Moment | undefined
  readonly tag: string | undefined
  readonly key: string | undefined
}

/** The same with points in time. */
export const filterOf = ({ key, since, tag, until }: Wanted, now: number): ReadFilter => ({
  key,
  tag,
  since: since === undefined ? undefined : millisOf(since, now),
  until: until === undefined ? undefined : millisOf(until, now)
})

/** A dead letter as `dlq peek --json` prints it; the shape is frozen. */
export const deadLetterJson = (read: ReadMessage, originTopic: string | undefined, replayed: boolean) => {
  const { body, encoding, ...shown } = toJson(read)
  const { properties, reconsumeTimes, storeTimestamp } = read.message
  return {
    ...shown,
    storeTimestamp,
    reconsumeTimes,
    originTopic: originTopic ?? null,
    originMsgId: properties["ORIGIN_MESSAGE_ID"] ?? properties["DLQ_ORIGIN_MESSAGE_ID"] ?? null,
    replayed,
    body,
    encoding
  }
}
