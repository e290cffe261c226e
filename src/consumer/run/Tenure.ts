import { Clock, DateTime, Deferred, Effect, Exit, Fiber, FiberMap, type Scope } from "effect"
import * as ForeignText from "../../message/ForeignText.ts"
import type * as MessageQueue from "../../message/MessageQueue.ts"
import * as StartOffset from "../offset/StartOffset.ts"
import { type CacheTotals, LOCK_MAX_LIVE_MILLIS, ProcessQueue, type QueueMove } from "../queue/ProcessQueue.ts"
import type { QueueLocks } from "../queue/QueueLocks.ts"
import type { TopicStats } from "../queue/TopicStats.ts"
import type { ReceivedMessage } from "../ReceivedMessage.ts"
import type { Moves } from "./Moves.ts"
import type { PositionWrites } from "./PositionWrites.ts"
import type { Room } from "./Room.ts"
import * as Rounds from "./Rounds.ts"
import { type DrainReport, keyOf, loopKey, type OwnedQueue, type RunOptions } from "./RunOptions.ts"

/**
 * Until every other member has had its round, in milliseconds: rounds are a second apart at least, and who had one just
 * before the group changed gives its queues up only in the next. Java waits 500 ms, and reads before that: whatever the old
 * owner finishes later comes twice there.
 */
const OTHERS_ROUND_MILLIS = 1_000
/** What a round, and the write of a position after it, may take besides. */
const HANDOVER_MARGIN_MILLIS = 100
/** The pause after a start offset that could not be read; it doubles up to the second one. */
const LOCATE_PAUSE_MILLIS = 1_000
const MAX_LOCATE_PAUSE_MILLIS = 30_000
/** Characters of why that is: a store says what to do, with the paths of its files. */
const MAX_FAILURE_LENGTH = 1_000
/** Milliseconds that all of the rest may take when the consumer closes and its handlers have had their time. */
const LAST_MILLIS = 5_000
/** Of these, what handlers that are interrupted may take to end: what they finish meanwhile counts. */
const INTERRUPTED_MILLIS = 1_000
/** Milliseconds that locks may take to be given back then, also when nothing is left of the rest. */
const UNLOCK_MILLIS = 1_000

/** What the tenure of queues works with. */
export interface TenureContext {
  readonly options: Pick<
    RunOptions,
    | "cameUpSince"
    | "changed"
    | "config"
    | "consumption"
    | "givenBack"
    | "happened"
    | "instance"
    | "left"
    | "listener"
    | "problem"
    | "store"
    | "taken"
  >
  /** The queues that are owned, by {@link keyOf}. */
  readonly table: Map<string, OwnedQueue>
  readonly totals: CacheTotals
  readonly room: Room
  /** The locks of queues that are consumed in order; undefined where they are not. */
  readonly locks: QueueLocks<ReceivedMessage> | undefined
  readonly positions: PositionWrites
  readonly moves: Pick<Moves, "forget">
  /** How fast a topic is pulled and consumed. */
  readonly stats: (topic: string) => TopicStats
  /** The queue's pull loop. */
  readonly loop: (queue: OwnedQueue) => Effect.Effect<void>
  /** A message of a queue was finished. */
  readonly finished: (queue: OwnedQueue) => void
  /** A position has moved, or a queue has changed hands. */
  readonly check: () => void
}

/** How queues are taken and given up; called by the one fiber that owns their table. */
export interface Tenure {
  /**
   * Takes a queue: a new generation, its place in the table, and its loop. With `handover` it waits first until its old owner
   * has given it up, and with locks in any case until it has the queue's; with a move it begins where that says.
   */
  readonly take: (
    messageQueue: MessageQueue.MessageQueue,
    handover: boolean,
    move?: QueueMove,
    round?: Rounds.Round
  ) => Effect.Effect<void>
  /**
   * Gives a queue up: no pull and no handler begins from now on, its position is written at once for who takes it, what runs
   * may end for a moment, in order for as long as the lock is held, and then the position is written for the last time and
   * the lock given back.
   */
  readonly revoke: (queue: OwnedQueue, round: Rounds.Round) => Effect.Effect<void>
  /** Begins what a round of rebalance does to a topic. */
  readonly round: Rounds.Rounds["begin"]
  /**
   * Takes a queue that is owned anew, elsewhere or at where it stands in the store; what runs counts for nothing. With a pause
   * it is pulled only after that; where it stands is written before.
   */
  readonly retake: (queue: OwnedQueue, move: QueueMove | undefined, pauseMillis?: number) => Effect.Effect<void>
  /** The queues that are being given up. */
  readonly leaving: () => Iterable<OwnedQueue>
  /** A queue that is being given up is to be read on elsewhere: that is written, and nothing more of it. */
  readonly abandon: (queue: OwnedQueue, to: number) => Effect.Effect<void>
  /** Gives everything up. */
  readonly close: (drainMillis: number) => Effect.Effect<DrainReport>
  /** Waits until it is known of every owned queue where it begins, or that this cannot be read now. */
  readonly awaitLocated: Effect.Effect<void>
}

/** Makes {@link Tenure}; hand-overs under way end with the scope. */
export const make = Effect.fnUntraced(function* (context: TenureContext): Effect.fn.Return<Tenure, never, Scope.Scope> {
  const { check, finished, locks, loop, moves, options, positions, room, stats, table, totals } = context
  const { changed, config, consumption, instance, problem, store } = options
  const { group } = config
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  /** By queue, the hand-over of a generation that is being given up. */
  const revoking = yield* FiberMap.make<string, void, never>()
  const leaving = new Set<OwnedQueue>()
  const rounds = yield* Rounds.make(options, table)
  const located = new Map<OwnedQueue, Deferred.Deferred<void>>()
  /** How long a new owner waits before it reads where its queue begins: the old one has written it by then. */
  const handoverMillis = OTHERS_ROUND_MILLIS + config.revokeDrainMillis + rounds.handoverMillis + HANDOVER_MARGIN_MILLIS
  let toldYoung = false
  let generation = 0

  /** Where a queue begins for which the group has no offset: one that came up meanwhile has nothing that is to be passed over. */
  const startOf = (queue: MessageQueue.MessageQueue): StartOffset.StartPlace => {
    const since = config.consumeFromWhere === "last" ? options.cameUpSince(queue) : undefined
    return since === undefined ? config.consumeFromWhere : { timestamp: DateTime.makeUnsafe(since) }
  }

  /** Finds out where a queue begins, for as long as that takes, and writes it where it was decided now. */
  const locate = Effect.fnUntraced(function* (queue: OwnedQueue) {
    const key = keyOf(queue)
    const { messageQueue } = queue
    const known = located.get(queue)
    for (let failures = 0; !queue.dropped; failures++) {
      const start = yield* Effect.result(
        StartOffset.resolve(instance, store, group, messageQueue, startOf(messageQueue), config.offsetsOnBrokers)
      )
      if (start._tag === "Success") {
        const { isNew, offset, young } = start.success
        queue.locate(offset)
        queue.lastFailure = undefined
        yield* problem(`locate ${key}`, undefined)
        if (young !== undefined && !toldYoung) {
          toldYoung = true
          yield* Effect.logInfo(
            `group ${group} begins queue ${key} at its first message although consumeFromWhere is last: its broker is of a release before 5.0, which says 0 for a queue so young that its first message is still in memory. ${young} message(s) are read that were there before; other queues may be as young`
          )
        }
        if (isNew) yield* positions.one(queue)
        else {
          queue.storedOffset = offset
          queue.committedOffset = offset
        }
        break
      }
      queue.phase = "failing"
      queue.lastFailure = ForeignText.clean(start.failure.message, MAX_FAILURE_LENGTH)
      yield* problem(`locate ${key}`, queue.lastFailure)
      if (known !== undefined) yield* Deferred.succeed(known, undefined)
      yield* Effect.sleep(Math.min(MAX_LOCATE_PAUSE_MILLIS, LOCATE_PAUSE_MILLIS * 2 ** Math.min(failures, 5)))
    }
    if (known !== undefined) yield* Deferred.succeed(known, undefined)
    yield* changed
  })

  /** `after` is its generation before that, whose handler may still run. */
  const take = (
    messageQueue: MessageQueue.MessageQueue,
    handover: boolean,
    move?: QueueMove,
    within?: Rounds.Round,
    after?: OwnedQueue,
    pauseMillis = 0
  ) =>
    Effect.suspend(() => {
      const queue: OwnedQueue = new ProcessQueue(
        messageQueue,
        ++generation,
        now(),
        stats(messageQueue.topic),
        totals,
        finished
      )
      const key = keyOf(queue)
      queue.needsLock = locks !== undefined
      queue.marksOnly = config.marksOnly
      queue.movedBy = move
      table.set(key, queue)
      options.taken(queue)
      const known = Deferred.makeUnsafe<void>()
      located.set(queue, known)
      rounds.take(within, queue, known)
      const arrive = Effect.gen(function* () {
        // A generation of ours that is still being given up ends first.
        yield* FiberMap.get(revoking, key).pipe(
          Effect.flatMap((fiber) => (fiber._tag === "Some" ? Effect.asVoid(Fiber.await(fiber.value)) : Effect.void))
        )
        // A lock is granted when its old owner has given it back, and has written where the queue stands.
        if (locks !== undefined && after !== undefined) yield* consumption.awaitIdle(after)
        if (locks !== undefined)
          yield* locks.acquire(queue, Effect.andThen(Deferred.succeed(known, undefined), changed))
        else if (handover) yield* Effect.sleep(handoverMillis)
        if (move === undefined) yield* locate(queue)
        else {
          if (move.by === "seek" && after !== undefined) queue.relocate(move.to, after)
          else {
            queue.locate(move.to)
            yield* positions.one(queue)
          }
          yield* problem(`locate ${key}`, undefined)
          yield* Deferred.succeed(known, undefined)
        }
        if (pauseMillis > 0) {
          queue.phase = "waiting"
          yield* Effect.sleep(pauseMillis)
        }
        yield* rounds.awaitAssigned(within)
        yield* loop(queue)
      })
      return instance.pullMessageService.start(loopKey(group, queue), arrive)
    })

  /** Waits until handlers have ended, and until what they gave back lies with a broker: else it would come once more. */
  const awaitSettled = (queue?: OwnedQueue) => Effect.andThen(consumption.awaitIdle(queue), options.givenBack(queue))

  const forget = (queue: OwnedQueue) => {
    queue.drop()
    options.left(queue)
    consumption.drop(queue)
    const known = located.get(queue)
    if (known !== undefined) Deferred.doneUnsafe(known, Exit.void)
    located.delete(queue)
    room.forget(queue)
    room.wake()
    check()
  }

  /** How long what runs of a queue may go on that is given up. */
  const drainOf = ({ lockedAt }: OwnedQueue): number =>
    lockedAt === undefined
      ? config.revokeDrainMillis
      : Math.max(config.revokeDrainMillis, lockedAt + LOCK_MAX_LIVE_MILLIS - now())

  /** Gives the locks of queues back whose positions are written and of which no handler runs; the others expire. */
  const unlock = (queues: ReadonlyArray<OwnedQueue>) => {
    if (locks === undefined) return Effect.void
    const written = queues.filter(({ committableOffset, storedOffset }) => storedOffset === committableOffset)
    return Effect.forEach(
      written,
      (queue) =>
        Effect.map(Effect.timeoutOption(consumption.awaitIdle(queue), INTERRUPTED_MILLIS), (idle) =>
          idle._tag === "Some" ? [queue] : []
        ),
      { concurrency: "unbounded" }
    ).pipe(Effect.flatMap((idle) => locks.release(idle.flat())))
  }

  /** The end of a hand-over. */
  const left = Effect.fnUntraced(function* (queue: OwnedQueue) {
    leaving.delete(queue)
    forget(queue)
    consumption.interrupt(queue)
    yield* unlock([queue])
    moves.forget(queue)
    for (const problemKey of ["persist", "lock", "locate", "pull", "moved", "unreadable"])
      yield* problem(`${problemKey} ${keyOf(queue)}`, undefined)
  })

  const revoke = (queue: OwnedQueue, within: Rounds.Round) =>
    Effect.suspend(() => {
      const key = keyOf(queue)
      queue.revoking = true
      queue.phase = "revoking"
      table.delete(key)
      consumption.drop(queue)
      leaving.add(queue)
      const ready = Deferred.makeUnsafe<void>()
      const awaitTold = rounds.giveUp(within, queue, ready)
      const leave = Effect.gen(function* () {
        yield* positions.one(queue)
        yield* Effect.timeoutOption(awaitSettled(queue), drainOf(queue))
        yield* Deferred.succeed(ready, undefined)
        yield* awaitTold
        yield* positions.last(queue)
        yield* left(queue)
      }).pipe(Effect.ensuring(Deferred.succeed(ready, undefined)))
      return Effect.andThen(
        instance.pullMessageService.stop(loopKey(group, queue)),
        Effect.asVoid(FiberMap.run(revoking, key, leave, { startImmediately: true }))
      )
    })

  const close = Effect.fnUntraced(function* (drainMillis: number) {
    const queues = [...table.values()]
    const begun = consumption.running()
    for (const queue of queues) {
      queue.revoking = true
      queue.phase = "revoking"
    }
    let discarded = 0
    for (const queue of queues) discarded += consumption.drop(queue)
    yield* Effect.forEach(queues, (queue) => instance.pullMessageService.stop(loopKey(group, queue)), {
      concurrency: "unbounded",
      discard: true
    })
    yield* Effect.timeoutOption(awaitSettled(), drainMillis)
    const since = now()
    const interrupted = consumption.interrupt()
    // One that cannot be interrupted, or does not end, holds up nobody.
    if (interrupted > 0) yield* Effect.timeoutOption(awaitSettled(), INTERRUPTED_MILLIS)
    yield* rounds.close(queues)
    const written = yield* Effect.timeoutOption(
      Effect.all([positions.allLast(queues), FiberMap.awaitEmpty(revoking)], { concurrency: "unbounded" }),
      LAST_MILLIS - (now() - since)
    )
    for (const queue of queues) forget(queue)
    table.clear()
    yield* Effect.timeoutOption(unlock(queues), Math.max(UNLOCK_MILLIS, LAST_MILLIS - (now() - since)))
    const missing =
      written._tag === "Some" ? written.value[0].filter((one) => !one.written).map((one) => one.queue) : queues
    const report: DrainReport = {
      finished: Math.max(0, begun - interrupted),
      interrupted,
      discarded,
      notPersisted: missing.filter((queue) => queue.storedOffset !== queue.committableOffset).map(keyOf)
    }
    return report
  })

  const retake: Tenure["retake"] = (queue, move, pauseMillis) =>
    Effect.suspend(() => {
      if (table.get(keyOf(queue)) !== queue) return Effect.void
      const { messageQueue } = queue
      // Not its loop's own wish to be waited for: that is what asks.
      return Effect.andThen(
        Effect.sync(() => {
          table.delete(keyOf(queue))
          forget(queue)
          consumption.interrupt(queue)
        }),
        take(messageQueue, false, move, undefined, queue, pauseMillis)
      )
    })

  return {
    round: rounds.begin,
    take,
    revoke,
    retake,
    leaving: () => leaving,
    abandon: (queue, to) =>
      Effect.suspend(() => {
        if (!leaving.has(queue)) return Effect.void
        // Nothing is to be written of what it was, so that nothing keeps its lock.
        queue.storedOffset = queue.committableOffset
        queue.drop()
        const { lockedAt, messageQueue, needsLock, stats: rates } = queue
        const last: OwnedQueue = new ProcessQueue(messageQueue, ++generation, now(), rates, totals, finished)
        last.needsLock = needsLock
        last.lockedAt = lockedAt
        last.locate(to)
        return Effect.asVoid(
          FiberMap.run(revoking, keyOf(queue), Effect.andThen(positions.one(last), left(queue)), {
            startImmediately: true
          })
        )
      }),
    close,
    awaitLocated: Effect.suspend(() =>
      Effect.forEach([...located.values()], (one) => Deferred.await(one), { concurrency: "unbounded", discard: true })
    )
  }
})
