import { Effect } from "effect"
import type { Scope } from "effect"
import type { RemotingCommand, Request, Response } from "../protocol/RemotingCommand.ts"
import type { RemotingError } from "./RemotingError.ts"
import type { Wire, WireError } from "./Wire.ts"

/** One client's connection, as a server sees it. Source: RocketMQ `ClientChannelInfo` and netty's `Channel`. */
export interface Channel {
  /** Unique within the server. */
  readonly id: number
  readonly remoteAddress: string
  readonly localAddress: string
  /** Sends a request that nobody answers; does nothing when the channel has ended. */
  readonly send: (request: Request, options: { readonly oneway: true }) => Effect.Effect<void>
  /** Sends a request to the client and waits for its answer. */
  readonly invoke: (request: Request, timeoutMillis: number) => Effect.Effect<RemotingCommand, RemotingError>
  /** Closes the connection. */
  readonly close: Effect.Effect<void>
}

/** What a server does to one request instead of, or besides, handling it. Several are applied in order. */
export type FaultAction =
  /** Do not handle the request; answer this. */
  | { readonly _tag: "Answer"; readonly response: Response }
  /** Wait before handling. */
  | { readonly _tag: "Delay"; readonly millis: number }
  /** Neither handle nor answer. */
  | { readonly _tag: "DropRequest" }
  /** Handle, but do not answer. */
  | { readonly _tag: "DropResponse" }
  /** Answer twice. */
  | { readonly _tag: "DuplicateResponse" }
  /** Answer with a frame whose header cannot be read. */
  | { readonly _tag: "CorruptResponse" }
  /** Close the connection before handling, or after it without an answer. */
  | { readonly _tag: "Cut"; readonly when: "before" | "after" }

/** Where faults are brought in, for tests. */
export interface ServerInterceptor {
  /** `refuse` closes the new connection at once; `ignore` accepts it and never reads. */
  readonly onAccept?: (remoteAddress: string) => "accept" | "refuse" | "ignore"
  /** What to do to a request; empty for nothing special. Called in arrival order. */
  readonly onRequest?: (request: RemotingCommand, channel: Channel) => ReadonlyArray<FaultAction>
}

/** Options of {@link listen}. */
export interface RemotingServerOptions {
  /** `host:port`; port 0 takes a free one. */
  readonly address: string
  /** The `MQVersion` ordinal in each header; default 513 (5.5.0). */
  readonly version?: number | undefined
  /** Milliseconds without a byte in either direction after which a channel is closed; default 120000 (`serverChannelMaxIdleTimeSeconds`). */
  readonly idleTimeoutMillis?: number | undefined
  /** Longest frame that is read, in bytes; default 16 MiB. */
  readonly maxFrameLength?: number | undefined
  /** Handles one request, each in a fiber of its own, started in arrival order; `undefined` for no answer. */
  readonly handler: (request: RemotingCommand, channel: Channel) => Effect.Effect<Response | undefined>
  readonly intercept?: ServerInterceptor | undefined
  /** Runs before the channel's first request is handled. */
  readonly onOpen?: ((channel: Channel) => Effect.Effect<void>) | undefined
  /** Runs when the channel has ended. */
  readonly onClose?: ((channel: Channel) => Effect.Effect<void>) | undefined
}

/** A listening server. */
export interface RemotingServer {
  /** The address it listens on, with the real port. */
  readonly address: string
  /** The channels that are open now. */
  readonly channels: Effect.Effect<ReadonlyArray<Channel>>
}

/** Serves requests until the scope closes. Source: RocketMQ `NettyRemotingServer`. */
export const listen = (_options: RemotingServerOptions): Effect.Effect<RemotingServer, WireError, Wire | Scope.Scope> =>
  Effect.die("not there yet")
