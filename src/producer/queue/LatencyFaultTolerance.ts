/** Latencies in milliseconds, and how long a broker that answered so slowly is passed over. Source: RocketMQ `MQFaultStrategy`. */
const LATENCY_MAX = [50, 100, 550, 1_800, 3_000, 5_000, 15_000] as const
const NOT_AVAILABLE_DURATION = [0, 0, 2_000, 5_000, 6_000, 10_000, 30_000] as const
/** The latency that a broker which failed counts as having had, in milliseconds. */
const ISOLATION_LATENCY = 10_000

/** How long a broker is passed over after an answer that took `latencyMillis`, in milliseconds. */
export const notAvailableDuration = (latencyMillis: number): number => {
  for (let i = LATENCY_MAX.length - 1; i >= 0; i--) {
    if (latencyMillis >= (LATENCY_MAX[i] ?? Number.POSITIVE_INFINITY)) return NOT_AVAILABLE_DURATION[i] ?? 0
  }
  return 0
}

/** What is held against a broker. */
export interface FaultItem {
  readonly brokerName: string
  /** Of the last attempt, in milliseconds. */
  readonly latencyMillis: number
  /** Until when it is passed over, on the monotonic clock in milliseconds. */
  readonly notAvailableUntil: number
  /** Whether the last attempt, or the detector's last probe, reached it. */
  readonly reachable: boolean
  /** When the detector probes it next, on the monotonic clock in milliseconds. */
  readonly probeAt: number
}

/** The brokers that were slow or failed. Source: RocketMQ `LatencyFaultToleranceImpl`. */
export interface LatencyFaultTolerance {
  /** Notes what an attempt came to; `isolate` for one that failed. */
  readonly updateFaultItem: (brokerName: string, latencyMillis: number, isolate: boolean, reachable: boolean) => void
  readonly isAvailable: (brokerName: string) => boolean
  readonly isReachable: (brokerName: string) => boolean
  readonly setReachable: (brokerName: string, reachable: boolean) => void
  readonly remove: (brokerName: string) => void
  /** The items to probe now; each is due again `detectIntervalMillis` later. */
  readonly takeDue: (detectIntervalMillis: number) => ReadonlyArray<FaultItem>
  readonly items: () => ReadonlyArray<FaultItem>
}

/** Nothing held against anybody. `now` is the monotonic clock in milliseconds. */
export const make = (now: () => number): LatencyFaultTolerance => {
  const table = new Map<string, FaultItem>()
  const change = (brokerName: string, part: Partial<FaultItem>) => {
    const item = table.get(brokerName)
    if (item !== undefined) table.set(brokerName, { ...item, ...part })
  }
  return {
    updateFaultItem: (brokerName, latencyMillis, isolate, reachable) => {
      const at = now()
      const before = table.get(brokerName)
      const duration = notAvailableDuration(isolate ? ISOLATION_LATENCY : latencyMillis)
      // A healthy broker that nothing is held against needs no entry.
      if (before === undefined && duration === 0 && reachable) return
      table.set(brokerName, {
        brokerName,
        latencyMillis,
        notAvailableUntil: Math.max(before?.notAvailableUntil ?? 0, duration === 0 ? 0 : at + duration),
        reachable,
        probeAt: before?.probeAt ?? at
      })
    },
    isAvailable: (brokerName) => now() >= (table.get(brokerName)?.notAvailableUntil ?? 0),
    isReachable: (brokerName) => table.get(brokerName)?.reachable ?? true,
    setReachable: (brokerName, reachable) => change(brokerName, { reachable }),
    remove: (brokerName) => void table.delete(brokerName),
    takeDue: (detectIntervalMillis) => {
      const at = now()
      const due = [...table.values()].filter((item) => item.probeAt <= at)
      for (const { brokerName } of due) change(brokerName, { probeAt: at + detectIntervalMillis })
      return due
    },
    items: () => [...table.values()]
  }
}
