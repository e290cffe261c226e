/** The calls that a signal may end, and its one listener. */
interface UnderWay {
  readonly calls: Set<() => void>
  readonly listener: () => void
}

/**
 * By signal, what is under way with it. A signal has one listener, however many calls it may end: it looks through all of
 * its listeners for every one that comes or goes. The listener goes with the last call, so that nothing is left on a signal
 * that lives long.
 */
const underWay = new Map<AbortSignal, UnderWay>()

const forget = (signal: AbortSignal, { listener }: UnderWay) => {
  underWay.delete(signal)
  signal.removeEventListener("abort", listener)
}

const attach = (signal: AbortSignal): UnderWay => {
  const one: UnderWay = {
    calls: new Set(),
    listener: () => {
      forget(signal, one)
      for (const abort of one.calls) abort()
    }
  }
  underWay.set(signal, one)
  signal.addEventListener("abort", one.listener)
  return one
}

/** Has something done when a signal that is not aborted yet says so; gives what takes that back. */
export const listen = (signal: AbortSignal, abort: () => void): (() => void) => {
  const one = underWay.get(signal) ?? attach(signal)
  one.calls.add(abort)
  return () => {
    if (one.calls.delete(abort) && one.calls.size === 0 && underWay.get(signal) === one) forget(signal, one)
  }
}
