import type { RemotingCommand, Request } from "../protocol/RemotingCommand.ts"
import type { MutableCounters } from "./Counters.ts"
import type { CancelHandle, Resume } from "./Requests.ts"

/** Bytes that a request counts for, apart from its body. */
const HEADER_SIZE = 256

/** A request between its caller's call and its end, which comes exactly once. */
export class Pending<Oneway extends boolean, A> implements CancelHandle {
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
  /** Whether it ends when its bytes have been handed to the socket, and not by an answer. */
  readonly oneway: Oneway
  readonly resume: Resume<A>
  // One function for all requests of a connection: a closure for each would have to be made for each.
  readonly cancel: (this: PendingRequest) => void
  state: "waiting" | "inFlight" | "done" = "waiting"
  /** Its number on the connection; -1 before it has one. */
  opaque = -1
  /** Which hand-over of the connection's writer carries it; -1 while it is not encoded. */
  handOver = -1

  constructor(
    request: Request,
    timeoutMillis: number,
    startedAt: number,
    reads: number,
    mayReplay: boolean,
    cancel: (this: PendingRequest) => void,
    oneway: Oneway,
    resume: Resume<A>
  ) {
    this.request = request
    this.timeoutMillis = timeoutMillis
    this.startedAt = startedAt
    this.deadline = startedAt + timeoutMillis
    this.reads = reads
    this.size = request.body === undefined ? HEADER_SIZE : HEADER_SIZE + request.body.length
    this.mayReplay = mayReplay
    this.oneway = oneway
    this.resume = resume
    this.cancel = cancel
  }
}

/** A request that is answered. */
export type PendingCall = Pending<false, RemotingCommand>

/** A request that ends when its bytes have been handed to the socket. */
export type PendingOneway = Pending<true, void>

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
const SLOTS = 64

/**
 * Makes the table of one connection. Numbers count up from `first`, default 0, to `maxOpaque`, default 2^31-1, and
 * begin again at 0.
 *
 * A ring and not a `Map`: a request lies at the slot that the low bits of its number name, and one that is still there
 * when its slot's turn comes again is put aside. A `Map` of V8 keeps its earlier tables, garbage in the
 * old space, together with their entries: under load half of all requests survived a collection.
 *
 * Source: RocketMQ `NettyRemotingAbstract.responseTable`, which is one for all connections of a client.
 */
export const makeResponseTable = (counters: MutableCounters, maxOpaque = MAX_OPAQUE, first = 0): ResponseTable => {
  let slots: Array<PendingRequest | undefined> = emptySlots(SLOTS)
  /** Requests whose slot was needed for a later one: those that are answered much later than others. */
  const aside = new Map<number, PendingRequest>()
  let size = 0
  let next = first
  let issued = 0
  // The numbers of the requests cancelled last, so that a late answer can be told from one that answers nothing.
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

  const slotOf = (opaque: number): number => opaque & (slots.length - 1)

  const find = (opaque: number): PendingRequest | undefined => {
    const pending = slots[slotOf(opaque)]
    if (pending !== undefined && pending.opaque === opaque) return pending
    return aside.size === 0 ? undefined : aside.get(opaque)
  }

  const put = (pending: PendingRequest) => {
    const slot = slotOf(pending.opaque)
    const before = slots[slot]
    if (before !== undefined) aside.set(before.opaque, before)
    slots[slot] = pending
  }

  const remove = (pending: PendingRequest) => {
    const slot = slotOf(pending.opaque)
    if (slots[slot] === pending) slots[slot] = undefined
    else if (!aside.delete(pending.opaque)) return
    size--
  }

  /** By age: those put aside, then the ring from the slot whose turn is next. */
  const inOrder = (): ReadonlyArray<PendingRequest> => {
    const all = [...aside.values()]
    for (let i = 0; i < slots.length; i++) {
      const pending = slots[slotOf(next + i)]
      if (pending !== undefined) all.push(pending)
    }
    return all
  }

  const grow = () => {
    const before = slots
    slots = emptySlots(before.length * 2)
    for (const pending of before) if (pending !== undefined) put(pending)
  }

  return {
    size: () => size,
    add: (pending) => {
      let opaque = next
      while (find(opaque) !== undefined) opaque = opaque === maxOpaque ? 0 : opaque + 1
      next = opaque === maxOpaque ? 0 : opaque + 1
      issued++
      pending.opaque = opaque
      size++
      if (size * 2 > slots.length) grow()
      put(pending)
    },
    answered: (opaque) => {
      const pending = find(opaque)
      if (pending === undefined || pending.oneway) {
        countUnmatched(opaque)
        return undefined
      }
      remove(pending)
      return pending
    },
    abandon: (pending) => {
      remove(pending)
      abandoned[abandonedAt] = pending.opaque
      abandonedAt = (abandonedAt + 1) % REMEMBERED
    },
    remove,
    values: inOrder,
    takeAll: () => {
      const all = inOrder()
      slots = emptySlots(SLOTS)
      aside.clear()
      size = 0
      return all
    }
  }
}

const emptySlots = (count: number): Array<PendingRequest | undefined> => Array.from({ length: count }, () => undefined)
