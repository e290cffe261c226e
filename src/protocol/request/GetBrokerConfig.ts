import type { DecodeError } from "../DecodeError.ts"
import * as JavaProperties from "../JavaProperties.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * GET_BROKER_CONFIG (26), client to broker: the broker's settings as it runs with them.
 *
 * ```text
 * no header; answer: version, the data version as JSON; body: one `name=value` a line
 * ```
 *
 * Source: RocketMQ `AdminBrokerProcessor.getBrokerConfig`, `MixAll.properties2String`.
 */
export type GetBrokerConfigHeader = undefined

const decoder = new TextDecoder()

/** What a client sends. */
export const request = (): Request => ({ code: RequestCode.GET_BROKER_CONFIG, extFields: undefined })

/** The request says nothing more. */
export const decodeRequest = (_cmd: RemotingCommand): undefined => undefined

/** What a broker answers. */
export const response = (config: ReadonlyMap<string, string>, version: string): Response => ({
  code: ResponseCode.SUCCESS,
  extFields: { version },
  body: JavaProperties.write(config)
})

/** What a client reads of an answer with code 0. A line without `=` says nothing. */
export const decodeResponse = (cmd: RemotingCommand): ReadonlyMap<string, string> | DecodeError => {
  const config = new Map<string, string>()
  for (const line of decoder.decode(cmd.body).split(/\r?\n/)) {
    const at = line.indexOf("=")
    if (at > 0) config.set(line.slice(0, at), line.slice(at + 1))
  }
  return config
}
