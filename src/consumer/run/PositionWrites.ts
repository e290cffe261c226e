import { Effect, FiberMap, type Scope, Semaphore } from "effect"
import type { CarriedPosition } from "../queue/ProcessQueue.ts"
import { keyOf, type OwnedQueue, type RunOptions } from "./RunOptions.ts"

/** How many positions are written to one broker at once. */
const PERSISTS_AT_ONCE = 16

const LEFT = "The queue was given up or taken anew meanwhile; what was not committed comes again."
const NO_LOCK = "The broker's lock of the queue is not held."
const RESET = "Somebody has reset the queue meanwhile; it is read on where that says."

/** Milliseconds after which a broker has taken the position of a pull, and holds the pull if it is not answered. */
const TAKEN_MILLIS = 2_000

/** What came of a write of a position. */
export interface PositionWrite {
  readonly queue: OwnedQueue
  /** Whether nothing is left to be written. */
  readonly written: boolean
  /** Why the group's offset is not what was to be written; undefined when it is. */
  readonly reason?: string | undefined
}

/** Writes of positions to the offset store. */
export interface PositionWrites {
  /**
   * Writes a position, acknowledged, after what is being written of the queue: offsets of a queue reach the broker in their
   * order, none of a generation that is over, and none without the lock that a queue needs: another member may have it.
   * Gives whether it was written.
   */
  readonly one: (queue: OwnedQueue) => Effect.Effect<boolean>
  /**
   * Writes a position for the last time. Where a pull that is under way carries a smaller one, another pull carries this one
   * after it, and it is written once more then: what the broker takes last is where the next owner begins.
   */
  readonly last: (queue: OwnedQueue) => Effect.Effect<PositionWrite>
  /** Writes positions side by side, broker by broker: one that does not answer holds up no other. */
  readonly all: (queues: ReadonlyArray<OwnedQueue>) => Effect.Effect<ReadonlyArray<PositionWrite>>
  /** As {@link PositionWrites.all}, each for the last time. */
  readonly allLast: (queues: ReadonlyArray<OwnedQueue>) => Effect.Effect<ReadonlyArray<PositionWrite>>
  /** Begins to write positions, and waits for none: a broker that does not answer is waited for by its own next write. */
  readonly begin: (queues: Iterable<OwnedQueue>) => Effect.Effect<void>
}

/** Writes positions side by side, broker by broker. */
const sideBySide = (
  queues: ReadonlyArray<OwnedQueue>,
  write: (queue: OwnedQueue) => Effect.Effect<PositionWrite>
): Effect.Effect<ReadonlyArray<PositionWrite>> => {
  const byBroker = Map.groupBy(queues, ({ messageQueue }) => messageQueue.brokerName)
  return Effect.map(
    Effect.forEach(
      byBroker.values(),
      (ofBroker) => Effect.forEach(ofBroker, write, { concurrency: PERSISTS_AT_ONCE }),
      { concurrency: "unbounded" }
    ),
    (all) => all.flat()
  )
}

/** Makes {@link PositionWrites}; what {@link PositionWrites.begin} began ends with the scope. */
export const make = Effect.fnUntraced(function* (
  options: Pick<RunOptions, "config" | "counters" | "observer" | "problem" | "store">,
  now: () => number,
  /** The store did not take a position: somebody has reset the queue. */
  elsewhere: (queue: OwnedQueue, refused: number) => Effect.Effect<void>,
  /** Carries an offset to a broker by a pull, behind another one: see {@link PullLoop.carry}. */
  carry: (queue: OwnedQueue, behind: CarriedPosition, offset: number) => Effect.Effect<number | undefined>
): Effect.fn.Return<PositionWrites, never, Scope.Scope> {
  const { problem, store } = options
  const { group } = options.config
  /** By queue, what makes its writes wait for each other. */
  const persisting = new Map<string, Semaphore.Semaphore>()
  /** By broker, what timer 4 writes. */
  const writing = yield* FiberMap.make<string, void, never>()

  const persistOne = (queue: OwnedQueue, again = false): Effect.Effect<PositionWrite> => {
    const key = keyOf(queue)
    const lock = persisting.get(key) ?? Semaphore.makeUnsafe(1)
    persisting.set(key, lock)
    return lock.withPermits(1)(
      Effect.suspend((): Effect.Effect<PositionWrite> => {
        const offset = queue.committableOffset
        if (offset === undefined || (queue.storedOffset === offset && !again))
          return Effect.succeed({ queue, written: true })
        if (queue.dropped) return Effect.succeed({ queue, written: true, reason: LEFT })
        if (!queue.holdsLock(now())) return Effect.succeed({ queue, written: false, reason: NO_LOCK })
        queue.writing = true
        const write = store.persist(group, { queue: queue.messageQueue, offset }).pipe(
          Effect.ensuring(
            Effect.sync(() => {
              queue.writing = false
            })
          )
        )
        return options.observer.settle("commit", queue.messageQueue, write).pipe(
          Effect.matchEffect({
            onSuccess: (taken) => {
              queue.storedOffset = offset
              if (taken !== "reset") {
                options.counters.commits++
                queue.committedOffset = offset
              }
              return Effect.as(
                Effect.andThen(
                  problem(`persist ${key}`, undefined),
                  taken === "reset" ? elsewhere(queue, offset) : Effect.void
                ),
                { queue, written: true, reason: taken === "reset" ? RESET : undefined }
              )
            },
            onFailure: (error) => {
              options.counters.commitFailures++
              return Effect.as(problem(`persist ${key}`, error.message), {
                queue,
                written: false,
                reason: error.message
              })
            }
          })
        )
      })
    )
  }

  /** A broker tells of a reset once, and has the offset of the pull that it told in its place. */
  const writeReset = (queue: OwnedQueue, offset: number): Effect.Effect<PositionWrite> =>
    Effect.match(store.persist(group, { queue: queue.messageQueue, offset }), {
      onSuccess: () => ({ queue, written: true, reason: RESET }),
      onFailure: ({ message }) => ({ queue, written: false, reason: message })
    })

  const persistLast = (queue: OwnedQueue): Effect.Effect<PositionWrite> =>
    Effect.suspend(() => {
      const { carried, committableOffset } = queue
      const isOvertaken = carried !== undefined && committableOffset !== undefined && carried.offset < committableOffset
      if (!isOvertaken) return persistOne(queue)
      const again = persistOne(queue, true)
      if (now() - carried.at > TAKEN_MILLIS) return again
      // The first tells whether somebody has reset the queue: that pull would put its own offset in the place of it.
      return Effect.flatMap(again, (first) =>
        first.reason === undefined
          ? Effect.flatMap(carry(queue, carried, committableOffset), (reset) =>
              reset === undefined ? again : writeReset(queue, reset)
            )
          : Effect.succeed(first)
      )
    })

  const persistAll = (queues: ReadonlyArray<OwnedQueue>) => sideBySide(queues, (queue) => persistOne(queue))

  return {
    one: (queue) => Effect.map(persistOne(queue), ({ written }) => written),
    last: persistLast,
    all: persistAll,
    allLast: (queues) => sideBySide(queues, persistLast),
    begin: (queues) =>
      Effect.suspend(() =>
        Effect.forEach(
          Map.groupBy(queues, ({ messageQueue }) => messageQueue.brokerName),
          ([broker, ofBroker]) =>
            FiberMap.run(writing, broker, Effect.asVoid(persistAll(ofBroker)), {
              onlyIfMissing: true,
              startImmediately: true
            }),
          { discard: true }
        )
      )
  }
})
