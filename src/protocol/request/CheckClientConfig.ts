import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import { type SubscriptionData, subscriptionData } from "../HeartbeatData.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * CHECK_CLIENT_CONFIG (46), client to broker: whether the broker can serve a filter that is no tag filter. Answer 0,
 * SYSTEM_ERROR (1) when it has no such filters, or SUBSCRIPTION_PARSE_FAILED (23).
 *
 * ```text
 * no header; body {"clientId":"...","group":"...","subscriptionData":{...}}
 * ```
 *
 * Source: RocketMQ `CheckClientRequestBody`.
 */
export interface CheckClientConfigHeader {
  /** The client that asks; brokers write it to their log. */
  readonly clientId?: string | undefined
  /** Its consumer group; brokers write it to their log. */
  readonly group?: string | undefined
  /**
   * The subscription to be checked. Tags always pass, as does a request without one; SQL92 must be allowed by the broker
   * and be readable.
   */
  readonly subscriptionData?: SubscriptionData | undefined
}

const body: Body.RequiredBody<CheckClientConfigHeader> = Body.struct({
  clientId: Body.optional(Body.string),
  group: Body.optional(Body.string),
  subscriptionData: Body.optional(subscriptionData)
})

/** The body of a request. */
export const encodeBody = (value: CheckClientConfigHeader): Uint8Array => Body.encode(body, value)

/** Reads the body of a request. */
export const decodeBody = (bytes: Uint8Array): CheckClientConfigHeader | DecodeError =>
  Body.decode(body, RequestCode.CHECK_CLIENT_CONFIG, bytes)

/** What a client sends. */
export const request = (value: CheckClientConfigHeader): Request => ({
  code: RequestCode.CHECK_CLIENT_CONFIG,
  extFields: undefined,
  body: encodeBody(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): CheckClientConfigHeader | DecodeError => decodeBody(cmd.body)

/** What a broker answers. */
export const response = (): Response => ({ code: ResponseCode.SUCCESS })

/** An answer with code 0 says nothing more. */
export const decodeResponse = (_cmd: RemotingCommand): undefined => undefined
