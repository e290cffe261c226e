import { Context, Effect } from "effect"
import type { Scope } from "effect"
import type { RemotingCommand, Request, Response, SerializeType } from "../protocol/RemotingCommand.ts"
import type { RemotingError } from "./RemotingError.ts"
import type { RpcHook } from "./RpcHook.ts"
import type { Wire } from "./Wire.ts"

/** Settings of a {@link RemotingClient}. Source: RocketMQ `NettyClientConfig` where a field is named. */
export interface RemotingClientConfig {
  /** Milliseconds a dial may take; default 3000 (`connectTimeoutMillis`). */
  readonly connectTimeoutMillis: number
  /** Requests under way on one connection, beyond which callers wait; default 4096 (`clientAsyncSemaphoreValue`, there 65535). */
  readonly maxInFlightRequests: number
  /** Bytes under way on one connection, beyond which callers wait; default 64 MiB. A request counts its body and 256. */
  readonly maxInFlightBytes: number
  /** Milliseconds without a byte in either direction after which a connection is closed; default 120000 (`clientChannelMaxIdleTimeSeconds`). */
  readonly idleTimeoutMillis: number
  /** Longest frame that is read, in bytes, the length field included; default 16 MiB (`com.rocketmq.remoting.frameMaxLength`). */
  readonly maxFrameLength: number
  /** How many times in a row requests may time out on a wholly silent connection before it is closed; default 2. */
  readonly silentTimeoutsBeforeClose: number
  /** Pause before an address is dialled again after a failed dial, doubled with each failure; default 100 to 3000 ms. */
  readonly reconnectBackoffMillis: { readonly initial: number; readonly max: number }
  /** The `LanguageCode` name in each header; default "OTHER". */
  readonly language: string
  /** The `MQVersion` ordinal in each header; default 513 (5.5.0). */
  readonly version: number
  /** How headers are written; default "JSON" (`rocketmq.serialize.type`). Both forms are read. */
  readonly serializeType: SerializeType
  /** Sees every request and answer; none by default. */
  readonly rpcHook?: RpcHook | undefined
}

/** The state of one address of a {@link RemotingClient}. */
export interface ConnectionInfo {
  readonly address: string
  /** This end of the open connection, or of the last one. */
  readonly localAddress: string | undefined
  readonly state: "connecting" | "open" | "backing-off"
  /** Requests under way. */
  readonly inFlight: number
  readonly inFlightBytes: number
  /** Callers that wait for the dial or for an in-flight place. */
  readonly waiting: number
  /** Successful dials so far. */
  readonly connects: number
  /** Why the last dial failed or the last connection ended, if one did. */
  readonly lastFailure: string | undefined
  /** Milliseconds from the last answered request to its answer. */
  readonly rttMillis: number | undefined
}

/** What a {@link RemotingClient} has counted since it was made. */
export interface RemotingCounters {
  /** Answers to requests that had timed out or been interrupted. */
  readonly late: number
  /** Second answers to one request. */
  readonly duplicate: number
  /** Answers to requests that were never sent on that connection. */
  readonly unknownResponse: number
  /** Requests of servers that were answered with code 3. */
  readonly unsupportedRequest: number
  /** Connections closed because of bytes that are no frame. */
  readonly frameErrors: number
  /** Successful dials of an address that had been connected before. */
  readonly reconnects: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** Chunks handed to sockets: with many callers far fewer than frames. */
  readonly writes: number
  readonly framesOut: number
  readonly framesIn: number
}

/** What the owner of a {@link RemotingClient} wants to be told. */
export interface RemotingClientHandlers {
  /**
   * Runs in a fiber of its own whenever a connection is open. Nobody else writes to it before this effect has sent its
   * first request or ended, so what it sends first is the connection's first frame. It must use the given `invoke`.
   */
  readonly onConnected?: (
    address: string,
    invoke: (request: Request, timeoutMillis: number) => Effect.Effect<RemotingCommand, RemotingError>
  ) => Effect.Effect<void>
  /** Answers a request of the server, in a fiber of its own; `undefined` for a code it does not know. */
  readonly onRequest?: (address: string, request: RemotingCommand) => Effect.Effect<Response | undefined>
  /** Runs in a fiber of its own when a connection has ended, for whatever reason but the client's own close. */
  readonly onClosed?: (address: string) => Effect.Effect<void>
}

/**
 * Sends requests to addresses and hands back the answers: one connection per address, opened on demand.
 *
 * Source: RocketMQ `NettyRemotingClient`.
 */
export class RemotingClient extends Context.Service<
  RemotingClient,
  {
    /**
     * Sends a request and waits for its answer, at most `timeoutMillis`. Interruption frees the request's place at once;
     * a request that was encoded but not yet written may still go out.
     */
    readonly invoke: (
      address: string,
      request: Request,
      timeoutMillis: number
    ) => Effect.Effect<RemotingCommand, RemotingError>
    /** Sends a request that nobody answers; succeeds when its bytes have been handed to the socket. */
    readonly invokeOneway: (
      address: string,
      request: Request,
      timeoutMillis: number
    ) => Effect.Effect<void, RemotingError>
    /** Closes the connection of an address; its pending requests fail with `ConnectionClosed`. */
    readonly closeAddress: (address: string) => Effect.Effect<void>
    /** Closes the connections of all other addresses, each as soon as its pending requests have ended. */
    readonly retain: (addresses: ReadonlySet<string>) => Effect.Effect<void>
    /** One entry per address that has, opens, or waits to reopen a connection. */
    readonly connections: Effect.Effect<ReadonlyArray<ConnectionInfo>>
    /** A snapshot of the counters. */
    readonly counters: Effect.Effect<RemotingCounters>
  }
>()("effect-rocketmq/transport/RemotingClient") {}

/** Makes a {@link RemotingClient} that lives in the scope. */
export const make = (
  _config: Partial<RemotingClientConfig>,
  _handlers: RemotingClientHandlers
): Effect.Effect<RemotingClient["Service"], never, Wire | Scope.Scope> => Effect.die("not there yet")
