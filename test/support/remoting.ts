import { Effect } from "effect"
import * as Remoting from "../../src/transport/RemotingClient.ts"
import { invoke, invokeOneway } from "../../src/transport/Requests.ts"
import type { RemotingCommand, Request } from "../../src/protocol/RemotingCommand.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import type { Handlers, RequestHandler } from "../../src/transport/Handlers.ts"
import type { RemotingError } from "../../src/transport/RemotingError.ts"

export type { RemotingClientConfig } from "../../src/transport/RemotingClient.ts"

/** A remoting client, and its two kinds of requests as effects. */
export interface RemotingClient extends Remoting.RemotingClient {
  readonly invoke: (
    address: string,
    request: Request,
    timeoutMillis: number
  ) => Effect.Effect<RemotingCommand, RemotingError>
  readonly invokeOneway: (
    address: string,
    request: Request,
    timeoutMillis: number
  ) => Effect.Effect<void, RemotingError>
}

/** The codes of every request that a server sends to a client. */
export const pushCodes: ReadonlyArray<number> = [
  RequestCode.CHECK_TRANSACTION_STATE,
  RequestCode.NOTIFY_CONSUMER_IDS_CHANGED,
  RequestCode.RESET_CONSUMER_CLIENT_OFFSET,
  RequestCode.GET_CONSUMER_STATUS_FROM_CLIENT,
  RequestCode.GET_CONSUMER_RUNNING_INFO,
  RequestCode.CONSUME_MESSAGE_DIRECTLY,
  RequestCode.PUSH_REPLY_MESSAGE_TO_CLIENT
]

/** Has one handler take every request of a server. */
export const handleAll = (client: Handlers, handler: RequestHandler) =>
  Effect.forEach(pushCodes, (code) => client.handle(code, handler), { discard: true })

export const make = (settings: Partial<Remoting.RemotingClientConfig>) =>
  Effect.map(Remoting.make(settings), (client): RemotingClient => ({
    ...client,
    invoke: (address, request, timeoutMillis) => invoke(client, address, request, timeoutMillis),
    invokeOneway: (address, request, timeoutMillis) => invokeOneway(client, address, request, timeoutMillis)
  }))
