import type { RemotingCommand, Request } from "../protocol/RemotingCommand.ts"

/**
 * Sees every request of a client before it is encoded and every answer before the caller gets it; access control signs
 * requests here. Both functions are synchronous and must not throw: a throw ends that one call with a defect.
 *
 * Source: RocketMQ `RPCHook`.
 */
export interface RpcHook {
  /** Returns the request to send, usually with further extFields; the given one must not be changed. */
  readonly doBeforeRequest?: (address: string, request: Request) => Request
  /** Is told of the answer to a request; not called for one-way requests and failed ones. */
  readonly doAfterResponse?: (address: string, request: Request, response: RemotingCommand) => void
}
