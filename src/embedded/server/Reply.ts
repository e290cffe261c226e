import { Effect } from "effect"
import type { DecodeError } from "../../protocol/DecodeError.ts"
import type { RemotingCommand, Response } from "../../protocol/RemotingCommand.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { Channel } from "./RemotingServer.ts"
import type { Handler } from "./Handler.ts"
import * as Remarks from "./Remarks.ts"

/** Answers that many processors give. */

/**
 * The request cannot be read: a field is missing, is no number, or the body is not what the code promises. A real broker
 * answers with the exception that it ran into.
 *
 * Source: RocketMQ `NettyRemotingAbstract`.
 */
export const malformed = ({ detail, field }: DecodeError): Response => ({
  code: ResponseCode.SYSTEM_ERROR,
  remark: field.startsWith("body")
    ? detail.endsWith("it is absent")
      ? Remarks.nullPointer(field)
      : Remarks.unreadableBody(field, detail)
    : detail === "it is absent"
      ? Remarks.missingField(field)
      : Remarks.unreadableField(field, detail)
})

/** A refusal that says nothing but why. */
export const refuse = (code: number, remark: string): Response => ({ code, remark })

/** Success without anything more. */
export const success: Response = { code: ResponseCode.SUCCESS }

/** A handler that answers at once. */
export const sync =
  (answer: (request: RemotingCommand, channel: Channel) => Response): Handler =>
  (request, channel) =>
    Effect.sync(() => answer(request, channel))
