import { Effect } from "effect"
import type { Scope } from "effect"
import type { RemotingCommand, Request, Response } from "../protocol/RemotingCommand.ts"
import type { RemotingError } from "./RemotingError.ts"

/** Answers a request that a server sent; `address` is that server's. The answer to a one-way request is dropped. */
export type RequestHandler = (address: string, request: RemotingCommand) => Effect.Effect<Response>

/** Greets a server on a new connection, with the `invoke` that it is given and no other. */
export type Greeting = (
  address: string,
  invoke: (request: Request, timeoutMillis: number) => Effect.Effect<RemotingCommand, RemotingError>
) => Effect.Effect<void>

/** Called with the address of a connection. */
export type ConnectionListener = (address: string) => Effect.Effect<void>

/**
 * Who handles what happens on the connections of a client. Each handler registers itself when it is made, for
 * as long as its scope is open. Each handler runs in its own fiber; its failures are logged and
 * contained.
 */
export interface Handlers {
  /**
   * Handles the requests of servers that have this code. A code that nobody handles is answered
   * REQUEST_CODE_NOT_SUPPORTED, and SYSTEM_ERROR is the answer where a handler dies. There is one handler for a code:
   * a second one is a mistake in the program, and dies.
   *
   * Source: RocketMQ `RemotingClient.registerProcessor`.
   */
  readonly handle: (code: number, handler: RequestHandler) => Effect.Effect<void, never, Scope.Scope>
  /**
   * Greets on each new connection, one greeting after the other in the order in which they were registered. Nobody else
   * writes to the connection before one of them has sent its first request or all have ended, so that what is sent
   * first is the connection's first frame.
   */
  readonly onConnected: (greeting: Greeting) => Effect.Effect<void, never, Scope.Scope>
  /** Called when a connection is open to all callers. */
  readonly onOpened: (listener: ConnectionListener) => Effect.Effect<void, never, Scope.Scope>
  /** Called when a connection has ended, unless the client closed it. */
  readonly onClosed: (listener: ConnectionListener) => Effect.Effect<void, never, Scope.Scope>
}

/** {@link Handlers}, and what is registered now. */
export interface RegisteredHandlers {
  readonly register: Handlers
  readonly requestHandler: (code: number) => RequestHandler | undefined
  readonly greetings: () => ReadonlyArray<Greeting>
  readonly openedListeners: () => ReadonlyArray<ConnectionListener>
  readonly closedListeners: () => ReadonlyArray<ConnectionListener>
}

/** A list to which entries belong for as long as a scope is open. */
const makeList = <A>() => {
  const entries = new Map<symbol, A>()
  return {
    add: (entry: A) =>
      Effect.asVoid(
        Effect.acquireRelease(
          Effect.sync(() => {
            const key = Symbol()
            entries.set(key, entry)
            return key
          }),
          (key) => Effect.sync(() => entries.delete(key))
        )
      ),
    all: () => [...entries.values()]
  }
}

/** Makes an empty registry. */
export const makeHandlers = (): RegisteredHandlers => {
  const requests = new Map<number, RequestHandler>()
  const greetings = makeList<Greeting>()
  const opened = makeList<ConnectionListener>()
  const closed = makeList<ConnectionListener>()
  return {
    register: {
      handle: (code, handler) =>
        Effect.acquireRelease(
          Effect.suspend(() => {
            if (requests.has(code)) return Effect.die(new Error(`requests with code ${code} have a handler already`))
            requests.set(code, handler)
            return Effect.void
          }),
          () => Effect.sync(() => requests.delete(code))
        ),
      onConnected: greetings.add,
      onOpened: opened.add,
      onClosed: closed.add
    },
    requestHandler: (code) => requests.get(code),
    greetings: greetings.all,
    openedListeners: opened.all,
    closedListeners: closed.all
  }
}
