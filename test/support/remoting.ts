import { Effect } from "effect"
import * as Remoting from "../../src/transport/RemotingClient.ts"
import { invoke, invokeOneway } from "../../src/transport/Requests.ts"
import type { RemotingCommand, Request } from "../../src/protocol/RemotingCommand.ts"
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

export const make = (settings: Partial<Remoting.RemotingClientConfig>, handlers: Remoting.RemotingClientHandlers) =>
  Effect.map(Remoting.make(settings, handlers), (client): RemotingClient => ({
    ...client,
    invoke: (address, request, timeoutMillis) => invoke(client, address, request, timeoutMillis),
    invokeOneway: (address, request, timeoutMillis) => invokeOneway(client, address, request, timeoutMillis)
  }))
