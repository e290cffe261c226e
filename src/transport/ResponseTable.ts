import type { Effect } from "effect"
import type { RemotingCommand, Request } from "../protocol/RemotingCommand.ts"
import type { MutableCounters } from "./Counters.ts"
import type { RemotingError } from "./RemotingError.ts"

/** Ends the wait of a caller, whose fiber runs on at once, on the stack of whoever calls this. */
export type Resume<A> = (effect: Effect.Effect<A, RemotingError>) => void

/** A request between its caller's call and its end, which comes exactly once. */
interface Pending {
  readonly request: Request
  readonly timeoutMillis: number
  /** Monotonic milliseconds. */
  readonly startedAt: number
  readonly deadline: number
  /** How many times the connection had been read when it began, to see later whether the peer has been silent since. */
  readonly reads: number
  /** What it counts against the byte limit of the connection. */
  readonly size: number
  /** Whether it may be sent again on a new connection when the peer answers that it goes away. */
  readonly mayReplay: boolean
  state: "waiting" | "inFlight" | "done"
  /** Its number on the connection; -1 before it has one. */
  opaque: number
  /** Which hand-over of the connection's writer carries it; -1 while it is not encoded. */
  handOver: number
}

/** A request that is answered. */
export interface PendingCall extends Pending {
  readonly oneway: false
  readonly resume: Resume<RemotingCommand>
}

/** A request that ends when its bytes have been handed to the socket. */
export interface PendingOneway extends Pending {
  readonly oneway: true
  readonly resume: Resume<void>
}

/** A request that is under way or waits for a place. */
export type PendingRequest = PendingCall | PendingOneway

/** The requests under way on one connection, by `opaque`: a number means nothing on another connection. */
export interface ResponseTable {
  readonly size: () => number
  /** Gives the request a number that no other request of this connection has now. */
  readonly add: (pending: PendingRequest) => void
  /** Finds and removes the call that an answer is for; counts the answer when there is none. */
  readonly answered: (opaque: number) => PendingCall | undefined
  /** Removes a request that ends without its answer, which will count as late if it still comes. */
  readonly abandon: (pending: PendingRequest) => void
  /** Removes a one-way request or one that was never written. */
  readonly remove: (pending: PendingRequest) => void
  readonly values: () => Iterable<PendingRequest>
  /** Empties the table and hands out what was in it. */
  readonly takeAll: () => ReadonlyArray<PendingRequest>
}

const MAX_OPAQUE = 0x7fff_ffff
const REMEMBERED = 1024

/**
 * Makes the table of one connection. Numbers count up from `first`, default 0, to `maxOpaque`, default 2^31-1, and begin
 * again at 0.
 *
 * Source: RocketMQ `NettyRemotingAbstract.responseTable`, which is one for all connections of a client.
 */
export const makeResponseTable = (counters: MutableCounters, maxOpaque = MAX_OPAQUE, first = 0): ResponseTable => {
  let table = new Map<number, PendingRequest>()
  let next = first
  let issued = 0
  // The numbers of requests that were given up last, so that a late answer can be told from a senseless one.
  const abandoned = new Int32Array(REMEMBERED).fill(-1)
  let abandonedAt = 0

  const countUnmatched = (opaque: number) => {
    const at = abandoned.indexOf(opaque)
    if (opaque >= 0 && at >= 0) {
      abandoned[at] = -1
      counters.late++
    } else if (wasIssued(opaque)) counters.duplicate++
    else counters.unknownResponse++
  }

  const wasIssued = (opaque: number): boolean => {
    const ago = next - opaque - 1
    return opaque >= 0 && opaque <= maxOpaque && (ago >= 0 ? ago : ago + maxOpaque + 1) < issued
  }

  return {
    size: () => table.size,
    add: (pending) => {
      let opaque = next
      while (table.has(opaque)) opaque = opaque === maxOpaque ? 0 : opaque + 1
      next = opaque === maxOpaque ? 0 : opaque + 1
      issued++
      pending.opaque = opaque
      table.set(opaque, pending)
    },
    answered: (opaque) => {
      const pending = table.get(opaque)
      if (pending === undefined || pending.oneway) {
        countUnmatched(opaque)
        return undefined
      }
      table.delete(opaque)
      return pending
    },
    abandon: (pending) => {
      table.delete(pending.opaque)
      abandoned[abandonedAt] = pending.opaque
      abandonedAt = (abandonedAt + 1) % REMEMBERED
    },
    remove: (pending) => {
      table.delete(pending.opaque)
    },
    values: () => table.values(),
    takeAll: () => {
      const all = [...table.values()]
      table = new Map()
      return all
    }
  }
}
