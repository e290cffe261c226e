import { DecodeError } from "../DecodeError.ts"
import * as JavaProperties from "../JavaProperties.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * UPDATE_BROKER_CONFIG (25), client to broker, and UPDATE_NAMESRV_CONFIG (318), client to name server: changes settings
 * of the running server. Answer 0, also for a name that there is not and for a value that is none; NO_PERMISSION (16) for
 * a setting that may not be changed; 1 when the lines cannot be read. A server keeps a value it cannot read as it was.
 *
 * ```text
 * body: one `name=value` a line, escaped as Java's `Properties.load` undoes it
 * ```
 *
 * Source: RocketMQ `AdminBrokerProcessor.updateBrokerConfig`, `DefaultRequestProcessor.updateConfig`.
 */
export type Settings = ReadonlyMap<string, string>

/** Whose settings a request changes. */
export type ConfiguredServer = "broker" | "namesrv"

/** What a client sends. */
export const request = (settings: Settings, server: ConfiguredServer): Request => ({
  code: server === "broker" ? RequestCode.UPDATE_BROKER_CONFIG : RequestCode.UPDATE_NAMESRV_CONFIG,
  extFields: undefined,
  body: JavaProperties.store(settings)
})

/** What a server reads; a request without a body changes nothing. */
export const decodeRequest = (cmd: RemotingCommand): Settings | DecodeError =>
  JavaProperties.read(cmd.body) ??
  new DecodeError({ code: cmd.code, field: "body", detail: "expected lines of name=value" })

/** What a server answers. */
export const response = (): Response => ({ code: ResponseCode.SUCCESS })

/** An answer with code 0 says nothing more. */
export const decodeResponse = (_cmd: RemotingCommand): undefined => undefined
