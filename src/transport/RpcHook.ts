import type { Effect } from "effect"
import type { RemotingCommand, Request } from "../protocol/RemotingCommand.ts"

/**
 * Sees every request of a client before it is encoded and every answer before the caller gets it; access control signs
 * requests here. A hook costs only clients that have one. Where it throws or fails before a request, that is not sent
 * and ends with `RpcHookFailed`; where it throws at an answer, the caller gets the answer all the same, and one line is
 * logged.
 *
 * Source: RocketMQ `RPCHook`.
 */
export interface RpcHook {
  /**
   * The request to send, usually with further extFields; the given one must not be changed. An effect is awaited
   * within the request's own timeout.
   */
  readonly doBeforeRequest?: (address: string, request: Request) => Request | Effect.Effect<Request, unknown>
  /** Called with the answer to a request; not for one-way requests and failed ones. */
  readonly doAfterResponse?: (address: string, request: Request, response: RemotingCommand) => void
}
