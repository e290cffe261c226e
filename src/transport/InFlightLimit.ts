/**
 * Bounds the requests in flight on one connection, by count and by bytes; a request that finds no place waits in line.
 */
export interface InFlightLimit<W extends { size: number }> {
  /** Takes a place, or puts the request in line and returns false. */
  readonly enter: (request: W) => boolean
  /** Releases a place, which may admit the first waiter before this returns. */
  readonly leave: (request: W) => void
  /** Changes how much a request that has a place takes up, which may admit the first waiter before this returns. */
  readonly resize: (request: W, size: number) => void
  /** Releases places without admitting a waiter yet: follow with {@link InFlightLimit.admitWaiting}. */
  readonly leaveQuietly: (request: W) => void
  /** Admits as many waiters as fit now, in order. */
  readonly admitWaiting: () => void
  /** Removes a waiter that never had a place; admits none. */
  readonly forget: (request: W) => void
  /** Empties the line and returns its waiters in order. */
  readonly takeWaiting: () => ReadonlyArray<W>
  readonly waiting: () => ReadonlySet<W>
  readonly count: () => number
  readonly bytes: () => number
}

/**
 * Makes the limit of one connection. A request larger than `maxBytes` passes when it is alone. `unwritten` bytes, which
 * the peer has not taken yet, count against `maxBytes` as well: cancelled requests leave them behind.
 *
 * Source: RocketMQ `NettyRemotingAbstract.semaphoreAsync`, which counts requests only.
 */
export const makeInFlightLimit = <W extends { size: number }>(options: {
  readonly maxRequests: number
  readonly maxBytes: number
  readonly unwritten: () => number
  readonly admit: (request: W) => void
  /** Whether a request takes no place, because whoever makes such requests bounds them; by default none is. */
  readonly isFree?: ((request: W) => boolean) | undefined
}): InFlightLimit<W> => {
  const { admit, isFree = () => false, maxBytes, maxRequests, unwritten } = options
  const waiting = new Set<W>()
  let count = 0
  let bytes = 0

  const fits = (size: number): boolean => {
    if (count >= maxRequests) return false
    const pending = Math.max(bytes, unwritten())
    return pending + size <= maxBytes || pending === 0
  }

  const admitWaiting = () => {
    for (const request of waiting) {
      if (!fits(request.size)) return
      waiting.delete(request)
      count++
      bytes += request.size
      admit(request)
    }
  }

  const leaveQuietly = (request: W) => {
    if (isFree(request)) return
    count--
    bytes -= request.size
  }

  return {
    enter: (request) => {
      if (isFree(request)) return true
      if (waiting.size === 0 && fits(request.size)) {
        count++
        bytes += request.size
        return true
      }
      waiting.add(request)
      return false
    },
    leave: (request) => {
      leaveQuietly(request)
      if (waiting.size > 0) admitWaiting()
    },
    resize: (request, size) => {
      if (!isFree(request)) bytes += size - request.size
      request.size = size
      if (waiting.size > 0) admitWaiting()
    },
    leaveQuietly,
    admitWaiting,
    forget: (request) => {
      waiting.delete(request)
    },
    takeWaiting: () => {
      const all = [...waiting]
      // Emptied in place, so that an admission in progress does not continue with them.
      waiting.clear()
      return all
    },
    waiting: () => waiting,
    count: () => count,
    bytes: () => bytes
  }
}
