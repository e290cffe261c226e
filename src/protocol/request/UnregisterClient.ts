import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * UNREGISTER_CLIENT (35), client to broker: a group of this client ends.
 *
 * ```text
 * clientID        string
 * producerGroup   string   optional; one of the two is set
 * consumerGroup   string   optional
 * ```
 *
 * Source: RocketMQ `UnregisterClientRequestHeader`.
 */
export interface UnregisterClientHeader {
  /** The client that leaves. */
  readonly clientID: string
  /** The producer group that it leaves; absent when it leaves a consumer group. */
  readonly producerGroup?: string | undefined
  /** The consumer group that it leaves; absent when it leaves a producer group. */
  readonly consumerGroup?: string | undefined
}

const header: HeaderCodec.Codec<UnregisterClientHeader> = HeaderCodec.struct({
  clientID: HeaderCodec.string,
  producerGroup: HeaderCodec.optional(HeaderCodec.string),
  consumerGroup: HeaderCodec.optional(HeaderCodec.string)
})

/** What a client sends. */
export const request = (value: UnregisterClientHeader): Request => ({
  code: RequestCode.UNREGISTER_CLIENT,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): UnregisterClientHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (): Response => ({ code: ResponseCode.SUCCESS, extFields: {} })

/** An answer with code 0 says nothing more. */
export const decodeResponse = (_cmd: RemotingCommand): undefined => undefined
