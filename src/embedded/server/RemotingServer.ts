import { Cause, Clock, Effect, FiberSet, Schema } from "effect"
import type { Scope } from "effect"
import { MAX_FRAME_LENGTH } from "../../protocol/Frame.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import { isOneway } from "../../protocol/RemotingCommand.ts"
import type { RemotingCommand, Request, Response } from "../../protocol/RemotingCommand.ts"
import { makeConnection } from "../../transport/Connection.ts"
import type { Connection } from "../../transport/Connection.ts"
import { makeCounters } from "../../transport/Counters.ts"
import { asWritten, headerText } from "./JavaText.ts"
import { cut, withFaults } from "./FaultAction.ts"
import type { FaultAction } from "./FaultAction.ts"
import * as HeldBytes from "./HeldBytes.ts"
import {
  MAX_CONNECTIONS,
  MAX_HELD_BYTES,
  MAX_REQUESTS,
  MAX_REQUESTS_OF_CONNECTION,
  MAX_UNREAD_BYTES
} from "./Limits.ts"
import * as Remarks from "./Remarks.ts"
import { defaultConfig } from "../../transport/RemotingClientConfig.ts"
import { AnswersNotRead, ConnectionClosed, type RemotingError } from "../../transport/RemotingError.ts"
import { awaited } from "../../transport/Requests.ts"
import type { TlsServerOptions } from "../../transport/Tls.ts"
import { answer } from "../../transport/RequestHandling.ts"
import { Wire } from "../../transport/Wire.ts"
import type { ByteStream, WireError } from "../../transport/Wire.ts"
import { monotonicMillis } from "../../transport/Deadline.ts"

export type { FaultAction } from "./FaultAction.ts"

/**
 * A client has too many requests under way on one connection, so that the server closed it.
 *
 * Source: RocketMQ answers SYSTEM_BUSY when the queues of its threads are full.
 */
export class TooManyUnderWay extends Schema.TaggedError<TooManyUnderWay>()("TooManyUnderWay", {
  /** `host:port` of the client. */
  address: Schema.String,
  /** Requests that were not answered yet, those that wait for the client to read among them. */
  requests: Schema.Number
}) {
  override get message(): string {
    return `${this.address} has ${this.requests} requests under way on one connection, and at most ${MAX_REQUESTS_OF_CONNECTION} are kept; look at that client`
  }
}

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
  /**
   * Waits while the client does not read what was answered already, and asks one caller on after the other: who answers
   * late, and with much, waits here first. Goes on when the channel has ended.
   */
  readonly writable: Effect.Effect<void>
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
  /** How many connections may be open; default 8192. */
  readonly maxConnections?: number | undefined
  /** Bytes that all connections may have it keep together; default 512 MiB. */
  readonly maxHeldBytes?: number | undefined
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
    /** Requests under way on all connections. */
    let underWay = 0
    const maxConnections = options.maxConnections ?? MAX_CONNECTIONS
    /** Connections that are accepted, those among them that are ignored. */
    let open = 0
    let isFull = false
    /** The connections that are served, with what each has this server keep. */
    const heldOf = new Map<Connection, () => number>()
    const held = HeldBytes.make(
      options.maxHeldBytes ?? MAX_HELD_BYTES,
      function* () {
        for (const [connection, bytes] of heldOf) yield [connection, bytes()] as const
      },
      (connection, cause) => end(connection, cause)
    )
    const nextId = options.nextChannelId ?? (() => ++lastId)
    const run = yield* FiberSet.makeRuntime()

    /** The stream, of which each read says, before the next one, how much came in. */
    const counted = (stream: ByteStream): ByteStream => {
      let read = 0
      const pull = Effect.map(stream.pull, (chunks) => {
        read = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
        return chunks
      })
      return {
        ...stream,
        pull: Effect.suspend(() => {
          held.moved(read)
          read = 0
          return pull
        })
      }
    }

    const accept = (stream: ByteStream): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (open >= maxConnections) {
          const told = isFull
          isFull = true
          return told
            ? Effect.void
            : Effect.logWarning(
                `closed a connection of ${stream.remoteAddress}, and closes more: ${open} are open, as many as are kept; look at the clients`
              )
        }
        open++
        return Effect.ensuring(
          serve(stream),
          Effect.sync(() => {
            open--
            isFull = false
          })
        )
      })

    const serve = (stream: ByteStream): Effect.Effect<void> => {
      const decision = options.intercept?.onAccept?.(stream.remoteAddress) ?? "accept"
      if (decision === "refuse") return Effect.void
      if (decision === "ignore") return Effect.never
      const connection = makeConnection({
        address: stream.remoteAddress,
        stream: counted(stream),
        now,
        run,
        counters,
        language: "JAVA",
        version: options.version ?? MQVersion.CURRENT,
        serializeType: "JSON",
        maxFrameLength: options.maxFrameLength ?? MAX_FRAME_LENGTH,
        headerText: (options.version ?? MQVersion.CURRENT) < MQVersion.V5_0_0 ? undefined : headerText,
        maxInFlightRequests: defaultConfig.maxInFlightRequests,
        maxInFlightBytes: defaultConfig.maxInFlightBytes,
        idleTimeoutMillis: options.idleTimeoutMillis ?? DEFAULT_IDLE_MILLIS,
        silentTimeoutsBeforeClose: Infinity,
        pauseReadingAbove: PAUSE_READING_ABOVE,
        maxUnreadAnswerBytes: MAX_UNREAD_BYTES,
        onRequest: (_, command) => handle(command),
        onGoAway: () => undefined,
        onEnd: (_, cause) => {
          channels.delete(channel.id)
          heldOf.delete(connection)
          gate.end()
          if (
            cause instanceof AnswersNotRead ||
            cause instanceof TooManyUnderWay ||
            cause instanceof HeldBytes.TooMuchHeld
          ) {
            run(Effect.logWarning(`closed a connection: ${cause.message}`))
          }
        }
      })
      const gate = makeGate(connection)
      const channel = makeChannel(nextId(), connection, gate)
      channels.set(channel.id, channel)
      let ownUnderWay = 0
      let ownBytes = 0
      heldOf.set(connection, () => ownBytes + connection.unwritten() + connection.unfinished())

      const start = (command: RemotingCommand) => {
        const actions = options.intercept?.onRequest?.(command, channel) ?? []
        const respond = (response: Response | undefined) => {
          if (response === undefined || isOneway(command)) return
          connection.respond(command.opaque, response)
          held.moved(response.body?.length ?? 0)
        }
        const handler = () => options.handler(asWritten(command), channel)
        const handling =
          actions.length === 0 ? answer(handler, respond) : withFaults(actions, { command, connection, handler })
        run(
          Effect.ensuring(
            handling,
            Effect.sync(() => ended(command))
          )
        )
      }

      const ended = (command: RemotingCommand) => {
        underWay--
        ownUnderWay--
        ownBytes -= command.body.length
      }

      const handle = (command: RemotingCommand) => {
        if (ownUnderWay >= MAX_REQUESTS_OF_CONNECTION) {
          end(connection, new TooManyUnderWay({ address: stream.remoteAddress, requests: ownUnderWay }))
        } else if (underWay < MAX_REQUESTS) {
          underWay++
          ownUnderWay++
          ownBytes += command.body.length
          gate.pass(
            () => start(command),
            () => ended(command)
          )
        } else if (!isOneway(command)) {
          connection.respond(command.opaque, { code: ResponseCode.SYSTEM_BUSY, remark: Remarks.OVERLOADED })
        }
      }

      return contained(options.onOpen?.(channel)).pipe(
        Effect.andThen(Effect.raceFirst(connection.run, gate.run)),
        Effect.ensuring(Effect.suspend(() => contained(options.onClose?.(channel))))
      )
    }

    const { address } = yield* wire.listen(options.address, accept, {
      tls: options.tls,
      // As many again may be in their TLS handshake.
      maxSockets: 2 * maxConnections
    })
    return { address, channels: Effect.sync(() => [...channels.values()]) }
  })

const contained = (handler: Effect.Effect<void> | undefined): Effect.Effect<void> =>
  handler === undefined
    ? Effect.void
    : Effect.catchCause(handler, (cause) =>
        Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logWarning("a channel handler failed", cause)
      )

/** What waits until the client has read: one after the other, each only while little is unread. */
interface Gate {
  /** Does it now or later, in the order of the calls; `dropped` instead when the connection ends before. */
  readonly pass: (go: () => void, dropped: () => void) => void
  /** The connection has ended. */
  readonly end: () => void
  /** Lets on what waits, for as long as the connection is open. */
  readonly run: Effect.Effect<never>
}

const makeGate = (connection: Connection): Gate => {
  let waiting: Array<{ readonly go: () => void; readonly dropped: () => void }> = []
  /** How many at the front of `waiting` have gone on. */
  let gone = 0
  let ended = false
  let wake: (() => void) | undefined

  const isOpen = () => connection.unwritten() <= PAUSE_READING_ABOVE

  const someWait = Effect.callback<void>((resume) => {
    if (waiting.length > 0) resume(Effect.void)
    else wake = () => resume(Effect.void)
  })

  const letOn = Effect.sync(() => {
    while (gone < waiting.length && isOpen()) waiting[gone++]?.go()
    if (gone < waiting.length) return
    waiting = []
    gone = 0
  })

  return {
    pass: (go, dropped) => {
      if (ended) dropped()
      else if (waiting.length === 0 && isOpen()) go()
      else {
        waiting.push({ go, dropped })
        wake?.()
        wake = undefined
      }
    },
    end: () => {
      ended = true
      const left = waiting.slice(gone)
      waiting = []
      gone = 0
      for (const { dropped } of left) dropped()
    },
    run: Effect.forever(someWait.pipe(Effect.andThen(connection.drained), Effect.andThen(letOn)))
  }
}

/** Closes a connection for a reason that is told. */
const end = (connection: Connection, cause: Error): void =>
  connection.shutdown((sent) => new ConnectionClosed({ address: connection.address, sent, cause }), cause)

const makeChannel = (id: number, connection: Connection, gate: Gate): Channel => ({
  id,
  remoteAddress: connection.remoteAddress,
  localAddress: connection.localAddress,
  send: (request) => Effect.ignore(awaited<void>((resume) => connection.startOneway(request, SEND_MILLIS, resume))),
  invoke: (request, timeoutMillis) => awaited((resume) => connection.start(request, timeoutMillis, false, resume)),
  writable: Effect.callback((resume) => {
    const go = () => resume(Effect.void)
    gate.pass(go, go)
  }),
  close: Effect.sync(() => cut(connection, "closed by the server"))
})
