import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * Has a broker clean its store now, client to broker. Answer 0 once it is done or, for 329, once it is ordered.
 *
 * ```text
 * 306 CLEAN_EXPIRED_CONSUMEQUEUE   queues whose messages are all gone from the log
 * 316 CLEAN_UNUSED_TOPIC           queues of topics that there are no longer
 * 329 DELETE_EXPIRED_COMMITLOG     files of the log that are older than fileReservedTime
 * no header, no body
 * ```
 *
 * Source: RocketMQ `AdminBrokerProcessor`.
 */
export type CleanStoreHeader = "expiredConsumeQueue" | "unusedTopic" | "expiredCommitLog"

const codes = {
  expiredConsumeQueue: RequestCode.CLEAN_EXPIRED_CONSUMEQUEUE,
  unusedTopic: RequestCode.CLEAN_UNUSED_TOPIC,
  expiredCommitLog: RequestCode.DELETE_EXPIRED_COMMITLOG
} as const

/** What a client sends. */
export const request = (what: CleanStoreHeader): Request => ({ code: codes[what], extFields: undefined })

/** The request says nothing more than its code. */
export const decodeRequest = ({ code }: RemotingCommand): CleanStoreHeader =>
  code === codes.expiredConsumeQueue
    ? "expiredConsumeQueue"
    : code === codes.unusedTopic
      ? "unusedTopic"
      : "expiredCommitLog"

/** What a broker answers. */
export const response = (): Response => ({ code: ResponseCode.SUCCESS })

/** An answer with code 0 says nothing more. */
export const decodeResponse = (_cmd: RemotingCommand): undefined => undefined
