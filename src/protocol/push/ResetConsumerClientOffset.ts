import * as Body from "../BodyCodec.ts"
import { DecodeError } from "../DecodeError.ts"
import type { RemotingCommand, Request } from "../RemotingCommand.ts"
import {
  type ResetOffsetBody,
  resetOffsetBody,
  type ResetOffsetHeader,
  resetOffsetHeader
} from "../request/ResetOffset.ts"
import { RequestCode } from "../RequestCode.ts"

/**
 * RESET_CONSUMER_CLIENT_OFFSET (220), broker to client, one-way: the group reads on at these offsets. Brokers of 5.x send
 * it only when they do not keep the reset themselves (Java `useServerSideResetOffset`, default true).
 *
 * ```text
 * header as INVOKE_BROKER_TO_RESET_OFFSET (222); body {"offsetTable":{{queue}:0}}
 * ```
 *
 * Source: RocketMQ `ResetOffsetRequestHeader`, `ResetOffsetBody`.
 */
export interface ResetConsumerClientOffset {
  /** Which group and topic. */
  readonly header: ResetOffsetHeader
  /** The new position in each queue. */
  readonly body: ResetOffsetBody
}

/** What a broker sends. */
export const request = (header: ResetOffsetHeader, body: ResetOffsetBody): Request => ({
  code: RequestCode.RESET_CONSUMER_CLIENT_OFFSET,
  extFields: resetOffsetHeader.encode(header),
  body: Body.encode(resetOffsetBody, body)
})

/** What a client reads. */
export const decodeRequest = (cmd: RemotingCommand): ResetConsumerClientOffset | DecodeError => {
  const header = resetOffsetHeader.decode(cmd.code, cmd.extFields)
  if (header instanceof DecodeError) return header
  const body = Body.decode(resetOffsetBody, cmd.code, cmd.body)
  return body instanceof DecodeError ? body : { header, body }
}
