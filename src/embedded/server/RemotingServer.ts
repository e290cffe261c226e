import { Cause, Clock, Effect, FiberSet } from "effect"
import type { Scope } from "effect"
import { MAX_FRAME_LENGTH } from "../../protocol/Frame.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import { isOneway } from "../../protocol/RemotingCommand.ts"
import type { RemotingCommand, Request, Response } from "../../protocol/RemotingCommand.ts"
import { makeConnection } from "../../transport/Connection.ts"
import type { Connection } from "../../transport/Connection.ts"
import { makeCounters } from "../../transport/Counters.ts"
import { asWritten } from "./JavaText.ts"
import { cut, withFaults } from "./FaultAction.ts"
import type { FaultAction } from "./FaultAction.ts"
import { defaultConfig } from "../../transport/RemotingClientConfig.ts"
import type { RemotingError } from "../../transport/RemotingError.ts"
import { awaited } from "../../transport/Requests.ts"
import type { TlsServerOptions } from "../../transport/Tls.ts"
import { answer } from "../../transport/RequestHandling.ts"
import { Wire } from "../../transport/Wire.ts"
import type { ByteStream, WireError } from "../../transport/Wire.ts"
import { monotonicMillis } from "../../transport/Deadline.ts"

export type { FaultAction } from "./FaultAction.ts"

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
  /** Speaks TLS; plain text when absent. */
  readonly tls?: TlsServerOptions | undefined
  /** Gives each channel its number, which must be unique where channels of several servers meet; default 1 up. */
  readonly nextChannelId?: (() => number) | undefined
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

const DEFAULT_IDLE_MILLIS = 120_000
/** A peer that does not read its answers is not read either, above this. */
const PAUSE_READING_ABOVE = 8 * 1024 * 1024
/** How long a one-way request to a client may wait for the socket. */
const SEND_MILLIS = 3000

/** Serves requests until the scope closes, and then closes all channels. Source: RocketMQ `NettyRemotingServer`. */
export const listen = (options: RemotingServerOptions): Effect.Effect<RemotingServer, WireError, Wire | Scope.Scope> =>
  Effect.gen(function* () {
    const wire = yield* Wire
    const clock = yield* Clock.Clock
    const now = monotonicMillis(clock)
    const counters = makeCounters()
    const channels = new Map<number, Channel>()
    let lastId = 0
    const nextId = options.nextChannelId ?? (() => ++lastId)
    const run = yield* FiberSet.makeRuntime()

    const serve = (stream: ByteStream): Effect.Effect<void> => {
      const decision = options.intercept?.onAccept?.(stream.remoteAddress) ?? "accept"
      if (decision === "refuse") return Effect.void
      if (decision === "ignore") return Effect.never
      const connection = makeConnection({
        address: stream.remoteAddress,
        stream,
        now,
        run,
        counters,
        language: "JAVA",
        version: options.version ?? MQVersion.CURRENT,
        serializeType: "JSON",
        maxFrameLength: options.maxFrameLength ?? MAX_FRAME_LENGTH,
        maxInFlightRequests: defaultConfig.maxInFlightRequests,
        maxInFlightBytes: defaultConfig.maxInFlightBytes,
        idleTimeoutMillis: options.idleTimeoutMillis ?? DEFAULT_IDLE_MILLIS,
        silentTimeoutsBeforeClose: Infinity,
        pauseReadingAbove: PAUSE_READING_ABOVE,
        maxUnreadAnswerBytes: Infinity,
        onRequest: (_, command) => handle(command, connection, channel),
        onGoAway: () => undefined,
        onEnd: () => channels.delete(channel.id)
      })
      const channel = makeChannel(nextId(), connection)
      channels.set(channel.id, channel)
      return contained(options.onOpen?.(channel)).pipe(
        Effect.andThen(connection.run),
        Effect.ensuring(Effect.suspend(() => contained(options.onClose?.(channel))))
      )
    }

    const handle = (command: RemotingCommand, connection: Connection, channel: Channel) => {
      const actions = options.intercept?.onRequest?.(command, channel) ?? []
      const respond = (response: Response | undefined) => {
        if (response !== undefined && !isOneway(command)) connection.respond(command.opaque, response)
      }
      const handler = () => options.handler(asWritten(command), channel)
      run(actions.length === 0 ? answer(handler, respond) : withFaults(actions, { command, connection, handler }))
    }

    const { address } = yield* wire.listen(options.address, (stream) => Effect.suspend(() => serve(stream)), {
      tls: options.tls
    })
    return { address, channels: Effect.sync(() => [...channels.values()]) }
  })

const contained = (handler: Effect.Effect<void> | undefined): Effect.Effect<void> =>
  handler === undefined
    ? Effect.void
    : Effect.catchCause(handler, (cause) =>
        Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logWarning("a channel handler failed", cause)
      )

const makeChannel = (id: number, connection: Connection): Channel => ({
  id,
  remoteAddress: connection.remoteAddress,
  localAddress: connection.localAddress,
  send: (request) => Effect.ignore(awaited<void>((resume) => connection.startOneway(request, SEND_MILLIS, resume))),
  invoke: (request, timeoutMillis) => awaited((resume) => connection.start(request, timeoutMillis, false, resume)),
  close: Effect.sync(() => cut(connection, "closed by the server"))
})
