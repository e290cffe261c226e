import { DecodeError } from "../DecodeError.ts"
import * as JavaProperties from "../JavaProperties.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * GET_NAMESRV_CONFIG (319), client to name server: the settings it runs with.
 *
 * ```text
 * no header; answer body: one `name=value` a line
 * ```
 *
 * Source: RocketMQ `DefaultRequestProcessor.getConfig`.
 */
export type GetNamesrvConfigHeader = undefined

/** What a client sends. */
export const request = (): Request => ({ code: RequestCode.GET_NAMESRV_CONFIG, extFields: undefined })

/** The request says nothing more. */
export const decodeRequest = (_cmd: RemotingCommand): undefined => undefined

/** What a name server answers. */
export const response = (config: ReadonlyMap<string, string>): Response => ({
  code: ResponseCode.SUCCESS,
  body: JavaProperties.write(config)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): ReadonlyMap<string, string> | DecodeError =>
  JavaProperties.read(cmd.body) ??
  new DecodeError({
    code: RequestCode.GET_NAMESRV_CONFIG,
    field: "body",
    detail: "expected lines of name=value"
  })
