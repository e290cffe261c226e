import { Effect } from "effect"
import type { RemotingCommand, Request } from "../protocol/RemotingCommand.ts"
import type { RemotingError } from "./RemotingError.ts"

/** Resumes a waiting caller, whose fiber runs on at once, on the stack of this call. */
export type Resume<A, E = RemotingError> = (effect: Effect.Effect<A, E>) => void

/** A request that was started, for the caller that waits for it. */
export interface CancelHandle {
  /** Its caller no longer waits: frees its place. What was encoded may still go out. */
  cancel(): void
}

/**
 * The one way in which every layer between the API and the socket takes requests: `resume` is called once, with the
 * answer, the error, or what is still to be waited for, and not after the handle's `cancel`; undefined instead of a
 * handle when that has happened already. A layer that changes requests or answers wraps these two, and nothing is
 * wrapped twice: a caller that wants an effect makes it with {@link invoke} or {@link invokeOneway}; one with an
 * `Effect.callback` of its own calls `start`.
 */
export interface Requests {
  /** Sends a request that is answered, within `timeoutMillis` milliseconds. */
  readonly start: (
    address: string,
    request: Request,
    timeoutMillis: number,
    resume: Resume<RemotingCommand>
  ) => CancelHandle | undefined
  /** Sends a request that nobody answers; it has succeeded when its bytes have been handed to the socket. */
  readonly startOneway: (
    address: string,
    request: Request,
    timeoutMillis: number,
    resume: Resume<void>
  ) => CancelHandle | undefined
}

/** Begins a request and waits for its end; an interruption cancels it. */
export const awaited = <A, E = RemotingError>(
  start: (resume: Resume<A, E>) => CancelHandle | undefined
): Effect.Effect<A, E> =>
  Effect.callback((resume) => {
    const handle = start(resume)
    return handle === undefined ? undefined : Effect.sync(() => handle.cancel())
  })

/**
 * Sends a request and waits for its answer, at most `timeoutMillis`. Interruption frees the request's place at once; a
 * request that was encoded but not yet written may still go out.
 */
export const invoke = (
  requests: Pick<Requests, "start">,
  address: string,
  request: Request,
  timeoutMillis: number
): Effect.Effect<RemotingCommand, RemotingError> =>
  awaited((resume) => requests.start(address, request, timeoutMillis, resume))

/** Sends a request that nobody answers; succeeds when its bytes have been handed to the socket. */
export const invokeOneway = (
  requests: Pick<Requests, "startOneway">,
  address: string,
  request: Request,
  timeoutMillis: number
): Effect.Effect<void, RemotingError> =>
  awaited((resume) => requests.startOneway(address, request, timeoutMillis, resume))
