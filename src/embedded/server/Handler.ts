import type { Effect } from "effect"
import type { RemotingCommand, Response } from "../../protocol/RemotingCommand.ts"
import type { Channel } from "./RemotingServer.ts"

/** What answers one request code; `undefined` for no answer. */
export type Handler = (request: RemotingCommand, channel: Channel) => Effect.Effect<Response | undefined>

/** Handlers by request code. */
export type Handlers = ReadonlyMap<number, Handler>
