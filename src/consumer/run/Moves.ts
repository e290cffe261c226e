import { Deferred, Effect, Exit, Fiber, FiberMap, type Scope } from "effect"
import * as LogLimit from "../../client/LogLimit.ts"
import type { PullMoved, PullOutcome } from "../../client/PullOutcome.ts"
import type { QueueMove } from "../queue/ProcessQueue.ts"
import { keyOf, type OwnedQueue, type RunOptions } from "./RunOptions.ts"

/** The pause before an offset is believed that moved again within so many milliseconds; it doubles up to the third one. */
const MOVE_PAUSE_MILLIS = 1_000
const MOVED_AGAIN_MILLIS = 120_000
const MAX_MOVE_PAUSE_MILLIS = 30_000

/** A pull that nobody waits for any more, and that a broker may still hold. */
export interface FormerPull {
  /** Whom it asked, and by which filter. */
  readonly asked: string
  /** Waits for its answer. */
  readonly ended: Effect.Effect<void>
}

/** What is done when a queue is to be read on elsewhere. */
export interface Moves {
  /**
   * The broker does not have the offset that was asked for, or somebody has reset it: tells of it, and has the queue taken
   * anew at the offset that the broker names, with a pause where that happens time after time.
   */
  readonly moved: (queue: OwnedQueue, position: PullMoved) => Effect.Effect<void>
  /**
   * Runs a pull, which goes on when nobody waits for it any more: a broker tells of a reset once, in the answer to whatever
   * pull it holds. `asked` says whom it asks, and by which filter.
   */
  readonly outlive: <A, E>(
    queue: OwnedQueue,
    asked: string,
    pull: Effect.Effect<PullOutcome<A>, E>
  ) => Effect.Effect<PullOutcome<A>, E>
  /** The pulls of a queue, in whatever generation, that nobody waits for any more. */
  readonly former: (queue: OwnedQueue) => ReadonlyArray<FormerPull>
  /** Begins to find out from the store where a queue was reset to, since it did not take a position of it. */
  readonly elsewhere: (queue: OwnedQueue, refused: number) => Effect.Effect<void>
  /** Begins to take a queue anew where a tool wants it read on. */
  readonly reset: (queue: OwnedQueue, to: number) => Effect.Effect<void>
  /** The queue is somebody else's. */
  readonly forget: (queue: OwnedQueue) => void
}

/** Whether a queue is read on at an offset as it is. */
const standsAt = ({ cachedCount, consumeOffset, nextOffset }: OwnedQueue, offset: number): boolean =>
  cachedCount === 0 && consumeOffset === offset && nextOffset === offset

/** Whether a queue was reset and has not been read since. */
const isUnread = ({ consumeOffset, lastPullAt, movedBy }: OwnedQueue): boolean =>
  movedBy?.by === "reset" && consumeOffset !== undefined && lastPullAt === undefined

/** Makes {@link Moves}; what waits there ends with the scope. */
export const make = Effect.fnUntraced(function* (
  options: Pick<RunOptions, "config" | "counters" | "happened" | "problem" | "store">,
  table: ReadonlyMap<string, OwnedQueue>,
  clock: { readonly now: () => number; readonly nowMillis: () => number },
  /** Takes a queue anew; with a pause before the first pull. */
  retake: (queue: OwnedQueue, move: QueueMove, pauseMillis?: number) => Effect.Effect<void>,
  /** Writes a queue's position. */
  write: (queue: OwnedQueue) => Effect.Effect<unknown>,
  /** A broker has told of a reset of a queue that is owned no more, and may be leaving. */
  late: (queue: OwnedQueue, to: number) => Effect.Effect<void>
): Effect.fn.Return<Moves, never, Scope.Scope> {
  const { happened, problem, store } = options
  const scope = yield* Effect.scope
  const { group } = options.config
  /** By queue, how often in a row it was moved, and when it last was; beside it, how often it was told where it stands. */
  const moves = new Map<string, { readonly count: number; readonly at: number }>()
  /** By queue, who waits to move it. */
  const waiting = yield* FiberMap.make<string, void, never>()
  /** By queue, where a tool wants it read on, newest; undefined while that is being carried out. */
  const wanted = new Map<string, number | undefined>()
  const moveLog = LogLimit.make()
  /** By queue, the pulls that nobody waits for any more. */
  const outlived = new Map<string, ReadonlyArray<FormerPull>>()

  /** Whoever moves an offset time after time must not decide how often it is asked for: gives the milliseconds to wait. */
  const noted = (key: string): number => {
    const last = moves.get(key)
    const count = last !== undefined && clock.now() - last.at < MOVED_AGAIN_MILLIS ? last.count + 1 : 0
    moves.set(key, { count, at: clock.now() })
    return count === 0 ? 0 : Math.min(MAX_MOVE_PAUSE_MILLIS, MOVE_PAUSE_MILLIS * 2 ** Math.min(count - 1, 5))
  }

  const takeReset = (queue: OwnedQueue, to: number, pauseMillis = 0) =>
    Effect.suspend(() => {
      if (table.get(keyOf(queue)) !== queue) return Effect.void
      options.counters.resets++
      const from = queue.consumeOffset
      return moveLog
        .info(`group ${group} reads queue ${keyOf(queue)} on at ${to}, where it was reset to; it was at ${from}`)
        .pipe(
          Effect.andThen(problem(`moved ${keyOf(queue)}`, undefined)),
          Effect.andThen(retake(queue, { from, to, at: clock.nowMillis(), by: "reset" }, pauseMillis))
        )
    })

  const takeMoved = (queue: OwnedQueue, to: number, { maxOffset, minOffset }: PullMoved) =>
    Effect.suspend(() => {
      options.counters.offsetsMoved++
      const from = queue.nextOffset
      const key = keyOf(queue)
      const text = `offset ${from} of queue ${key} is not there; group ${group} reads on at ${to} (${minOffset} to ${maxOffset})`
      return moveLog
        .warn(text)
        .pipe(
          Effect.andThen(to < from ? happened(`moved ${key}`, `${text}: the broker has lost messages`) : Effect.void),
          Effect.andThen(retake(queue, { from, to, at: clock.nowMillis(), by: "broker" }))
        )
    })

  /**
   * Carries out where a tool wants a queue read on. That is written at once, also time after time, for whoever has the queue
   * next: nobody but its owner was told. Only reading waits.
   */
  const carryOut = (key: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      const to = wanted.get(key)
      const queue = table.get(key)
      if (to === undefined || queue === undefined) {
        wanted.delete(key)
        return Effect.void
      }
      wanted.set(key, undefined)
      let act: Effect.Effect<unknown> = Effect.void
      if (isUnread(queue)) {
        queue.movedBy = { from: queue.movedBy?.from, to, at: clock.nowMillis(), by: "reset" }
        queue.locate(to)
        act = write(queue)
      } else if (!standsAt(queue, to)) act = takeReset(queue, to, noted(key))
      return Effect.andThen(
        act,
        Effect.suspend(() => carryOut(key))
      )
    })

  const moved: Moves["moved"] = (asked, position) =>
    Effect.suspend(() => {
      const present = table.get(keyOf(asked))
      const queue = position.reset ? present : asked
      if (queue === undefined) return late(asked, Math.max(0, position.nextBeginOffset))
      if (present !== queue) return Effect.void
      const to = Math.max(0, position.nextBeginOffset)
      // The first pull after a reset tells of it also whoever has its offset from the store.
      if (position.reset && standsAt(queue, to)) return Effect.sleep(noted(`${keyOf(queue)} stands`))
      const pause = noted(keyOf(queue))
      // The broker has forgotten the reset now: written meanwhile, an old position would take its place for good.
      if (position.reset) return takeReset(queue, to, pause)
      if (pause > 0) queue.phase = "waiting"
      return Effect.andThen(Effect.sleep(pause), takeMoved(queue, to, position))
    })

  return {
    moved,
    outlive: (queue, asked, pull) =>
      Effect.suspend(() => {
        const key = keyOf(queue)
        const answered = Deferred.makeUnsafe<void>()
        const self: FormerPull = { asked, ended: Deferred.await(answered) }
        let waits = true
        const end = Effect.sync(() => {
          if (waits) return
          const others = (outlived.get(key) ?? []).filter((one) => one !== self)
          if (others.length === 0) outlived.delete(key)
          else outlived.set(key, others)
          Deferred.doneUnsafe(answered, Exit.void)
        })
        const whole = Effect.tap(Effect.ensuring(pull, end), (answer) =>
          !waits && answer._tag === "OffsetIllegal" && answer.reset ? moved(queue, answer) : Effect.void
        )
        return Effect.flatMap(Effect.forkIn(whole, scope, { startImmediately: true }), (fiber) =>
          Effect.onInterrupt(Fiber.join(fiber), () =>
            Effect.sync(() => {
              if (fiber.pollUnsafe() !== undefined) return
              waits = false
              outlived.set(key, [...(outlived.get(key) ?? []), self])
            })
          )
        )
      }),
    former: (queue) => outlived.get(keyOf(queue)) ?? [],
    elsewhere: (queue, refused) => {
      const find = Effect.gen(function* () {
        for (let failures = 0; !queue.dropped && !queue.revoking; failures++) {
          const found = yield* Effect.result(store.load(group, queue.messageQueue))
          if (found._tag === "Success") {
            if (found.success !== undefined && found.success !== refused) {
              yield* Effect.sleep(noted(keyOf(queue)))
              yield* takeReset(queue, found.success)
            }
            return
          }
          yield* Effect.sleep(Math.min(MAX_MOVE_PAUSE_MILLIS, MOVE_PAUSE_MILLIS * 2 ** Math.min(failures, 5)))
        }
      })
      return Effect.asVoid(FiberMap.run(waiting, `find ${keyOf(queue)}`, find, { onlyIfMissing: true }))
    },
    reset: (queue, to) =>
      Effect.suspend(() => {
        const key = keyOf(queue)
        const isCarried = wanted.has(key)
        if (!isCarried && standsAt(queue, to)) return Effect.void
        wanted.set(key, to)
        return isCarried
          ? Effect.void
          : Effect.asVoid(FiberMap.run(waiting, key, carryOut(key), { startImmediately: true }))
      }),
    forget: (queue) => {
      moves.delete(keyOf(queue))
      moves.delete(`${keyOf(queue)} stands`)
    }
  }
})
