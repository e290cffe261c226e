import { Effect, Fiber } from "effect"
import * as ForeignText from "../message/ForeignText.ts"
import { FrameError } from "../protocol/FrameError.ts"
import type { Connection } from "./Connection.ts"
import type { Run } from "./Deadline.ts"
import { AnswersNotRead, ConnectFailed, ConnectionClosed, TlsFailed } from "./RemotingError.ts"
import type { RemotingError } from "./RemotingError.ts"
import type { Resume } from "./Requests.ts"
import { WireError } from "./Wire.ts"

/** One address of a client: its connection, or the dial for it, or the pause before the next dial. */
export interface Endpoint {
  readonly address: string
  /** The open connection, if there is one: every send looks here first, so that it is a property. */
  readonly connection: Connection | undefined
  readonly state: () => "connecting" | "open" | "backing-off" | "idle"
  /** The open connection, dialled if need be; fails at once in the pause after a failed dial. */
  readonly awaitConnection: Effect.Effect<Connection, RemotingError>
  /** The dial has succeeded; callers go on waiting until {@link Endpoint.opened}. */
  readonly dialled: (connection: Connection) => void
  /** From now on any caller may use the connection. */
  readonly opened: (connection: Connection) => void
  readonly dialFailed: (error: WireError) => void
  /** The connection takes no more requests; the next request dials anew. */
  readonly lost: (connection: Connection, cause: unknown) => void
  /** Fails every caller that waits for the connection. */
  readonly failWaiting: (error: (sent: boolean) => RemotingError) => void
  /** Ends the dial or the connection, and waits until the socket is closed. */
  readonly close: (error: (sent: boolean) => RemotingError) => Effect.Effect<void>
  readonly waiting: () => number
  readonly connects: () => number
  readonly lastFailure: () => string | undefined
  readonly localAddress: () => string | undefined
}

/**
 * Makes the state of one address. `dial` opens a connection and works until it ends; it is started at most once at a
 * time. The pause after the n-th failed dial in a row is between half of and the whole of initial * 2^(n-1), at most
 * max.
 *
 * A connection that the peer closes early and without a single answer counts as a failed dial; otherwise a peer that
 * takes connections only to end them (a proxy without a server behind it) would be dialled as fast as there are
 * callers. The first one does not count: a restart looks the same.
 *
 * Source: RocketMQ `NettyRemotingClient.channelTables`, whose clients dial again without a pause.
 */
export const makeEndpoint = (options: {
  readonly address: string
  readonly now: () => number
  readonly run: Run
  readonly random: () => number
  readonly backoffMillis: { readonly initial: number; readonly max: number }
  readonly dial: (endpoint: Endpoint) => Effect.Effect<void>
}): Endpoint => {
  const { address, backoffMillis, now, random, run } = options
  let dialledConnection: Connection | undefined
  let fiber: Fiber.Fiber<void> | undefined
  let connecting = false
  let waiting = new Set<Resume<Connection>>()
  let dialledAt = -Infinity
  let failures = 0
  let retryAt = -Infinity
  let lastError: WireError | undefined
  let lastFailure: string | undefined
  let connects = 0
  let localAddress: string | undefined

  const wake = (result: Effect.Effect<Connection, RemotingError>) => {
    const woken = waiting
    waiting = new Set()
    for (const resume of woken) resume(result)
  }

  const failWaiting: Endpoint["failWaiting"] = (error) => {
    if (waiting.size > 0) wake(Effect.fail(error(false)))
  }

  const refusal = (error: WireError): ConnectFailed | TlsFailed => {
    const retryAfterMillis = Math.max(0, retryAt - now())
    return error.kind === "tls"
      ? new TlsFailed({ address, reason: error.tls ?? "other", retryAfterMillis, cause: error })
      : new ConnectFailed({ address, kind: error.kind, retryAfterMillis, cause: error })
  }

  /** Backs off from the address, longer each time. */
  const rest = (error: WireError, times: number) => {
    lastError = error
    retryAt = now() + Math.min(backoffMillis.max, backoffMillis.initial * 2 ** times) * (0.5 + random() / 2)
  }

  const noteEnd = (connection: Connection, cause: unknown) => {
    if (connection.rttMillis() !== undefined || now() - dialledAt >= backoffMillis.max) {
      failures = 0
      return
    }
    // A connection that this client closed itself, for instance after a timeout, says nothing about how the peer takes
    // dials.
    const peers = cause instanceof WireError || cause instanceof FrameError || cause instanceof AnswersNotRead
    if (!peers || failures++ === 0) return
    rest(
      cause instanceof WireError ? cause : new WireError({ address, operation: "read", kind: "closed", cause }),
      failures - 2
    )
  }

  const startDial = () => {
    connecting = true
    fiber = run(options.dial(endpoint))
  }

  const endpoint: Omit<Endpoint, "connection"> & { connection: Connection | undefined } = {
    address,
    connection: undefined,
    state: () =>
      endpoint.connection !== undefined ? "open" : connecting ? "connecting" : now() < retryAt ? "backing-off" : "idle",
    awaitConnection: Effect.callback((resume) => {
      if (endpoint.connection !== undefined) return resume(Effect.succeed(endpoint.connection))
      if (!connecting && lastError !== undefined && now() < retryAt) return resume(Effect.fail(refusal(lastError)))
      waiting.add(resume)
      if (!connecting) startDial()
      return Effect.sync(() => {
        waiting.delete(resume)
      })
    }),
    dialled: (connection) => {
      dialledConnection = connection
      dialledAt = now()
      retryAt = -Infinity
      connects++
      localAddress = connection.localAddress
    },
    opened: (connection) => {
      if (dialledConnection !== connection || endpoint.connection === connection) return
      connecting = false
      endpoint.connection = connection
      wake(Effect.succeed(connection))
    },
    dialFailed: (error) => {
      rest(error, failures++)
      connecting = false
      lastFailure = ForeignText.ofThrown(error)
      if (waiting.size > 0) wake(Effect.fail(refusal(error)))
    },
    lost: (connection, cause) => {
      if (dialledConnection !== connection) return
      lastFailure = ForeignText.ofThrown(cause)
      noteEnd(connection, cause)
      dialledConnection = undefined
      endpoint.connection = undefined
      if (!connecting) return
      connecting = false
      failWaiting((sent) => new ConnectionClosed({ address, sent, cause }))
    },
    failWaiting,
    close: (error) =>
      Effect.suspend(() => {
        connecting = false
        failWaiting(error)
        return fiber === undefined ? Effect.void : Fiber.interrupt(fiber)
      }),
    waiting: () => waiting.size,
    connects: () => connects,
    lastFailure: () => lastFailure,
    localAddress: () => localAddress
  }
  return endpoint
}
