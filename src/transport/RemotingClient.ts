import { Cause, Clock, Effect, FiberSet, Random } from "effect"
import type { Scope } from "effect"
import { isOneway } from "../protocol/RemotingCommand.ts"
import type { RemotingCommand, Request } from "../protocol/RemotingCommand.ts"
import { MAX_UNREAD_ANSWER_BYTES } from "./AnswerLimit.ts"
import { makeConnection } from "./Connection.ts"
import type { Connection } from "./Connection.ts"
import { makeCounters } from "./Counters.ts"
import type { RemotingCounters } from "./Counters.ts"
import { monotonicMillis } from "./Deadline.ts"
import { makeEndpoint } from "./Endpoint.ts"
import type { Endpoint } from "./Endpoint.ts"
import { makeHandlers } from "./Handlers.ts"
import type { ConnectionListener, Handlers } from "./Handlers.ts"
import { makeHookedRequests } from "./HookedRequests.ts"
import { AnswersNotRead, ClientClosed, ConnectionClosed, RequestTimeout, withCallersTime } from "./RemotingError.ts"
import type { RemotingError } from "./RemotingError.ts"
import { defaultConfig } from "./RemotingClientConfig.ts"
import type { RemotingClientConfig } from "./RemotingClientConfig.ts"
import { answer, unsupported } from "./RequestHandling.ts"
import { awaited, invoke } from "./Requests.ts"
import type { CancelHandle, Requests, Resume } from "./Requests.ts"
import type { PendingCall, PendingRequest } from "./ResponseTable.ts"
import { Wire } from "./Wire.ts"

export type { RemotingCounters } from "./Counters.ts"
export type { RemotingClientConfig } from "./RemotingClientConfig.ts"

/** The state of one address of a {@link RemotingClient}. */
export interface ConnectionInfo {
  /** `host:port` of the peer. */
  readonly address: string
  /** This end of the open connection, or of the last one. */
  readonly localAddress: string | undefined
  /** Being opened, open, or waiting until it may be dialled again. */
  readonly state: "connecting" | "open" | "backing-off"
  /** Requests under way. */
  readonly inFlight: number
  /** Bytes of the requests that wait for their answer. */
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

/**
 * Sends requests to addresses and hands back the answers: one connection per address, opened on demand.
 *
 * Source: RocketMQ `NettyRemotingClient`.
 */
export interface RemotingClient extends Requests, Handlers {
  /** Closes the connection of an address; its pending requests fail with `ConnectionClosed`. */
  readonly closeAddress: (address: string) => Effect.Effect<void>
  /**
   * Gives up the open connection of an address: it closes as soon as its pending requests have ended, and the next
   * request dials anew.
   */
  readonly retire: (address: string) => Effect.Effect<void>
  /**
   * Says that an address is one of those that a host name stands for: with TLS the certificate found there has to be
   * for the name, as it would be if the name had been dialled.
   */
  readonly nameHost: (address: string, host: string) => void
  /** Closes the connections of all other addresses, each as soon as its pending requests have ended. */
  readonly retain: (addresses: ReadonlySet<string>) => Effect.Effect<void>
  /** One entry per address that has, opens, or waits to reopen a connection: a snapshot. */
  readonly connections: () => ReadonlyArray<ConnectionInfo>
  /** A snapshot of the counters. */
  readonly counters: () => RemotingCounters
}

/**
 * Makes a {@link RemotingClient} that lives in the scope. Closing the scope fails what is pending with `ClientClosed`,
 * aborts dials, closes all sockets and waits for them.
 */
export const make = Effect.fnUntraced(function* (
  settings: Partial<RemotingClientConfig>
): Effect.fn.Return<RemotingClient, never, Wire | Scope.Scope> {
  const config = { ...defaultConfig, ...settings }
  const wire = yield* Wire
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const now = monotonicMillis(clock)
  const counters = makeCounters()
  const endpoints = new Map<string, Endpoint>()
  const live = new Set<Connection>()
  const hostNames = new Map<string, string>()
  const hooked = makeHookedRequests(config.rpcHook, now)
  const handlers = makeHandlers()
  let closed = false
  const run = yield* FiberSet.makeRuntime()
  yield* Effect.addFinalizer(() => Effect.sync(close))

  const close = () => {
    closed = true
    for (const connection of live) {
      connection.shutdown((sent) => new ClientClosed({ address: connection.address, sent }), new Error("client closed"))
    }
    for (const endpoint of endpoints.values()) {
      endpoint.failWaiting((sent) => new ClientClosed({ address: endpoint.address, sent }))
    }
  }

  const endpointOf = (address: string): Endpoint => {
    const known = endpoints.get(address)
    if (known !== undefined) return known
    const endpoint = makeEndpoint({
      address,
      now,
      run,
      random: () => random.nextDoubleUnsafe(),
      backoffMillis: config.reconnectBackoffMillis,
      dial
    })
    endpoints.set(address, endpoint)
    return endpoint
  }

  const dial = Effect.fnUntraced(
    function* (endpoint: Endpoint) {
      const { address } = endpoint
      const servername = config.tls?.servername ?? hostNames.get(address)
      const { mayReach } = config
      const stream = yield* wire.connect(address, {
        connectTimeoutMillis: config.connectTimeoutMillis,
        tls: config.tls === undefined || servername === undefined ? config.tls : { ...config.tls, servername },
        mayReach: mayReach === undefined ? undefined : (ip) => mayReach(address, ip)
      })
      const connection = makeConnection({
        ...config,
        address,
        stream,
        now,
        run,
        counters,
        pauseReadingAbove: Infinity,
        maxUnreadAnswerBytes: MAX_UNREAD_ANSWER_BYTES,
        onRequest,
        onGoAway,
        onUnmatched,
        onEnd: (ended, cause) => {
          live.delete(ended)
          endpoint.lost(ended, cause)
          if (cause instanceof AnswersNotRead) run(Effect.logWarning(`closed a connection: ${cause.message}`))
          if (!closed) tell(handlers.closedListeners(), address)
        }
      })
      live.add(connection)
      if (endpoint.connects() > 0) counters.reconnects++
      endpoint.dialled(connection)
      greet(endpoint, connection)
      yield* connection.run
    },
    Effect.scoped,
    (dialled, endpoint) => dialled.pipe(Effect.catch((error) => Effect.sync(() => endpoint.dialFailed(error))))
  )

  const tell = (listeners: ReadonlyArray<ConnectionListener>, address: string) => {
    for (const listener of listeners) run(watched(() => listener(address)))
  }

  /** Lets the greetings send before anybody else, and then everybody. */
  const greet = (endpoint: Endpoint, connection: Connection) => {
    const { address } = endpoint
    let open = false
    const opened = () => {
      if (open) return
      open = true
      endpoint.opened(connection)
      if (endpoint.connection === connection) tell(handlers.openedListeners(), address)
      // `retain` gave the address up while it was being dialled: serve those who wait, and close.
      if (endpoints.get(address) !== endpoint) connection.retire()
    }
    const greetings = handlers.greetings()
    if (greetings.length === 0) return opened()
    const first = {
      start: hooked.start((_, sent, left, resume) => {
        const handle = connection.start(sent, left, false, resume)
        opened()
        return handle
      })
    }
    const send = (request: Request, timeoutMillis: number) => invoke(first, address, request, timeoutMillis)
    const all = Effect.forEach(greetings, (greeting) => watched(() => greeting(address, send)), { discard: true })
    run(Effect.ensuring(all, Effect.sync(opened)))
  }

  const onRequest = (connection: Connection, command: RemotingCommand) => {
    run(
      answer(
        () => handlers.requestHandler(command.code)?.(connection.address, command) ?? Effect.succeed(undefined),
        (response) => {
          if (response === undefined) counters.unsupportedRequest++
          if (!isOneway(command)) connection.respond(command.opaque, response ?? unsupported(command.code))
        }
      )
    )
  }

  const onUnmatched = ({ address }: Connection, { code, opaque }: RemotingCommand) => {
    run(Effect.logDebug(`an answer of ${address} was dropped: nobody waits for number ${opaque} (code ${code})`))
  }

  const onGoAway = (connection: Connection, call: PendingCall) => {
    endpoints.get(connection.address)?.lost(connection, new Error("the server goes away"))
    connection.retire((pending) => {
      if (pending.oneway) pending.resume(replayOneway(connection.address, pending))
      else pending.resume(replay(connection.address, pending))
    })
    return call.mayReplay ? replay(connection.address, call) : undefined
  }

  const replay = (address: string, { deadline, request, timeoutMillis }: PendingRequest) =>
    onceOpen<RemotingCommand>(address, request.code, deadline - now(), (connection, left, resume) =>
      connection.start(request, left, false, resume)
    ).pipe(Effect.mapError(withCallersTime(timeoutMillis)))

  const replayOneway = (address: string, { deadline, request, timeoutMillis }: PendingRequest) =>
    onceOpen<void>(address, request.code, deadline - now(), (connection, left, resume) =>
      connection.startOneway(request, left, resume)
    ).pipe(Effect.mapError(withCallersTime(timeoutMillis)))

  /** The slow way: waits for the dial within the caller's time, then sends in the time that is left. */
  const onceOpen = <A>(
    address: string,
    code: number,
    timeoutMillis: number,
    begin: (connection: Connection, leftMillis: number, resume: Resume<A>) => CancelHandle | undefined
  ): Effect.Effect<A, RemotingError> =>
    Effect.suspend(() => {
      if (closed) return Effect.fail(new ClientClosed({ address, sent: false }))
      const deadline = now() + timeoutMillis
      return endpointOf(address).awaitConnection.pipe(
        Effect.timeoutOrElse({
          duration: Math.max(0, timeoutMillis),
          orElse: () => Effect.fail(new RequestTimeout({ address, code, timeoutMillis, sent: false }))
        }),
        Effect.flatMap((connection) => awaited<A>((resume) => begin(connection, deadline - now(), resume))),
        Effect.mapError(withCallersTime(timeoutMillis))
      )
    })

  // The hot path: a Map hit, then the connection registers the request and encodes its frame.
  const start: Requests["start"] = (address, request, timeoutMillis, resume) => {
    const open = endpoints.get(address)?.connection
    if (open !== undefined) return open.start(request, timeoutMillis, true, resume)
    resume(
      onceOpen(address, request.code, timeoutMillis, (connection, left, resumed) =>
        connection.start(request, left, true, resumed)
      )
    )
    return undefined
  }

  const startOneway: Requests["startOneway"] = (address, request, timeoutMillis, resume) => {
    const open = endpoints.get(address)?.connection
    if (open !== undefined) return open.startOneway(request, timeoutMillis, resume)
    resume(
      onceOpen(address, request.code, timeoutMillis, (connection, left, resumed) =>
        connection.startOneway(request, left, resumed)
      )
    )
    return undefined
  }

  const self: RemotingClient = {
    start: hooked.start(start),
    startOneway: hooked.startOneway(startOneway),
    nameHost: (address, host) => {
      hostNames.set(address, host)
    },
    closeAddress: (address) =>
      Effect.suspend(() => {
        const endpoint = endpoints.get(address)
        endpoints.delete(address)
        const cause = new Error("closed by this client")
        const error = (sent: boolean) => new ConnectionClosed({ address, sent, cause })
        for (const connection of live) {
          if (connection.address === address) connection.shutdown(error, cause)
        }
        return endpoint === undefined ? Effect.void : endpoint.close(error)
      }),
    retire: (address) =>
      Effect.sync(() => {
        const endpoint = endpoints.get(address)
        const connection = endpoint?.connection
        if (endpoint === undefined || connection === undefined) return
        endpoint.lost(connection, new Error("dropped by this client"))
        connection.retire()
      }),
    retain: (addresses) =>
      Effect.sync(() => {
        for (const [address, endpoint] of endpoints) {
          if (addresses.has(address)) continue
          endpoints.delete(address)
          const connection = endpoint.connection
          if (connection !== undefined) connection.retire()
        }
      }),
    ...handlers.register,
    connections: () => [...endpoints.values()].flatMap(info),
    counters: () => ({ ...counters })
  }
  return self
})

/** Runs what was registered: whatever it does wrong is logged and goes no further. */
const watched = (handler: () => Effect.Effect<void>): Effect.Effect<void> =>
  Effect.catchCause(Effect.suspend(handler), (cause) =>
    Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logWarning("a connection handler failed", cause)
  )

const info = (endpoint: Endpoint): ReadonlyArray<ConnectionInfo> => {
  const state = endpoint.state()
  if (state === "idle") return []
  const connection = endpoint.connection
  return [
    {
      address: endpoint.address,
      localAddress: endpoint.localAddress(),
      state,
      inFlight: connection?.inFlight() ?? 0,
      inFlightBytes: connection?.inFlightBytes() ?? 0,
      waiting: endpoint.waiting() + (connection?.waiting() ?? 0),
      connects: endpoint.connects(),
      lastFailure: endpoint.lastFailure(),
      rttMillis: connection?.rttMillis()
    }
  ]
}
