import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"

/**
 * NOTIFY_CONSUMER_IDS_CHANGED (40), broker to client, one-way: a member of a consumer group came or went, so queues are
 * to be shared out anew.
 *
 * ```text
 * consumerGroup   string
 * ```
 *
 * Source: RocketMQ `NotifyConsumerIdsChangedRequestHeader`.
 */
export interface NotifyConsumerIdsChangedHeader {
  /** The consumer group that gained or lost a member, or whose subscriptions changed. */
  readonly consumerGroup: string
}

const header: HeaderCodec.Codec<NotifyConsumerIdsChangedHeader> = HeaderCodec.struct({
  consumerGroup: HeaderCodec.string
})

/** What a broker sends. */
export const request = (value: NotifyConsumerIdsChangedHeader): Request => ({
  code: RequestCode.NOTIFY_CONSUMER_IDS_CHANGED,
  extFields: header.encode(value)
})

/** What a client reads. */
export const decodeRequest = (cmd: RemotingCommand): NotifyConsumerIdsChangedHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)
