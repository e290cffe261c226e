import { Effect } from "effect"
import type { CacheTotals } from "../queue/ProcessQueue.ts"
import type { OwnedQueue, RunOptions } from "./RunOptions.ts"

/** Who may pull how much: limits by queue, by topic and over all, and the loops that wait for room. */
export interface Room {
  /** How many messages a queue may ask for now; 0 while it is full, paused, suspended, not locked or given up, with its phase set. */
  readonly of: (queue: OwnedQueue) => number
  /** Waits until there may be room again. */
  readonly await: (queue: OwnedQueue) => Effect.Effect<void>
  /** Lets the loops look again; with a queue, its own and those that are full. */
  readonly wake: (queue?: OwnedQueue) => void
  /** Lets no pull begin, or lets them begin again. */
  readonly suspend: (suspended: boolean) => void
  /** Wakes no loop of the queue any more. */
  readonly forget: (queue: OwnedQueue) => void
}

/** Makes {@link Room} over a table of queues. */
export const make = (
  { config, consumption, isPaused }: Pick<RunOptions, "config" | "consumption" | "isPaused">,
  table: ReadonlyMap<string, OwnedQueue>,
  totals: Readonly<CacheTotals>,
  now: () => number
): Room => {
  const parked = new Map<OwnedQueue, Set<() => void>>()
  let suspended = false

  /** What may still be cached of a queue's topic, in messages; 0 when its bytes are too many. */
  const roomOfTopic = ({ messageQueue: { topic } }: OwnedQueue): number => {
    const { pullThresholdBytesForTopic: mostBytes, pullThresholdForTopic: most } = config
    if (most < 0 && mostBytes < 0) return Infinity
    let count = 0
    let bytes = 0
    for (const one of table.values()) {
      if (one.messageQueue.topic !== topic) continue
      count += one.cachedCount
      bytes += one.cachedBytes
    }
    if (mostBytes >= 0 && bytes >= mostBytes) return 0
    return most < 0 ? Infinity : most - count
  }

  const room = (queue: OwnedQueue): number => {
    if (suspended || queue.revoking || isPaused(queue.messageQueue)) {
      queue.phase = queue.revoking ? "revoking" : "suspended"
      return 0
    }
    if (!queue.holdsLock(now())) {
      queue.phase = "locking"
      return 0
    }
    const left = Math.min(
      config.pullThresholdForQueue - queue.cachedCount,
      roomOfTopic(queue),
      config.pullThresholdForAll - totals.count,
      config.pullBatchSize
    )
    if (
      left <= 0 ||
      !consumption.wants(queue) ||
      queue.cachedBytes >= config.pullThresholdBytesForQueue ||
      totals.bytes >= config.pullThresholdBytesForAll ||
      queue.span >= config.consumeConcurrentlyMaxSpan
    ) {
      queue.phase = "full"
      return 0
    }
    return left
  }

  const awaitRoom = (queue: OwnedQueue) =>
    Effect.callback<void>((resume) => {
      if (queue.dropped || room(queue) > 0) return resume(Effect.void)
      const wake = () => resume(Effect.void)
      const wakes = parked.get(queue) ?? new Set()
      parked.set(queue, wakes.add(wake))
      return Effect.sync(() => {
        wakes.delete(wake)
        if (wakes.size === 0 && parked.get(queue) === wakes) parked.delete(queue)
      })
    })

  return {
    of: room,
    await: awaitRoom,
    wake: (which) => {
      if (parked.size === 0) return
      // Those of now: a loop that still finds no room parks again, at once and in the same map.
      const present = [...parked]
      for (const [queue, wakes] of present) {
        if (which !== undefined && which !== queue && queue.phase !== "full") continue
        parked.delete(queue)
        for (const wake of wakes) wake()
      }
    },
    suspend: (value) => {
      suspended = value
    },
    forget: (queue) => {
      parked.delete(queue)
    }
  }
}
