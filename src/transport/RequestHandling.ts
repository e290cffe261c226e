import { Cause, Effect } from "effect"
import * as ForeignText from "../message/ForeignText.ts"
import type { Response } from "../protocol/RemotingCommand.ts"
import { ResponseCode } from "../protocol/ResponseCode.ts"

const MAX_REMARK = 512

/** The answer to a request code without a handler. Source: RocketMQ `NettyRemotingAbstract.processRequestCommand`. */
export const unsupported = (code: number): Response => ({
  code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
  remark: ` request type ${code} not supported`
})

/** The answer to a request whose handler died. Source: RocketMQ `NettyRemotingAbstract.buildProcessRequestHandler`. */
const systemError = (cause: Cause.Cause<never>): Response => {
  const remark = ForeignText.ofThrownWithName(Cause.squash(cause), MAX_REMARK)
  return { code: ResponseCode.SYSTEM_ERROR, remark }
}

/**
 * Runs a handler and hands its answer to `respond`; a handler that dies is answered with code 1 and affects nothing
 * else.
 */
export const answer = (
  handle: () => Effect.Effect<Response | undefined>,
  respond: (response: Response | undefined) => void
): Effect.Effect<void> =>
  Effect.catchCause(
    Effect.flatMap(Effect.suspend(handle), (response) => Effect.sync(() => respond(response))),
    (cause) => (Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.sync(() => respond(systemError(cause))))
  )
