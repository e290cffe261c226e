import { Clock, Deferred, Effect, Queue, Random } from "effect"
import type { ApiError, RouteUnavailable } from "../client/ClientError.ts"
import * as ForeignText from "../message/ForeignText.ts"
import * as MessageQueue from "../message/MessageQueue.ts"
import { isRetryTopic } from "../message/MixAll.ts"
import { ResponseCode } from "../protocol/ResponseCode.ts"
import * as PullLoop from "./pull/PullLoop.ts"
import type { CacheTotals, QueueMove } from "./queue/ProcessQueue.ts"
import * as QueueLocks from "./queue/QueueLocks.ts"
import { TopicStats } from "./queue/TopicStats.ts"
import * as CaughtUp from "./run/CaughtUp.ts"
import * as Moves from "./run/Moves.ts"
import * as PositionWrites from "./run/PositionWrites.ts"
import * as Repull from "./run/Repull.ts"
import * as Rooms from "./run/Room.ts"
import { type DrainReport, keyOf, loopKey, type OwnedQueue, type RunOptions } from "./run/RunOptions.ts"
import * as Shares from "./run/Share.ts"
import * as TakeOver from "./run/TakeOver.ts"
import * as Tenures from "./run/Tenure.ts"

/** What may be asked of the one fiber that owns the table of queues. */
type Command =
  | { readonly _tag: "Rebalance"; readonly done: Deferred.Deferred<void> }
  | {
      readonly _tag: "Repull"
      readonly topics: ReadonlySet<string>
      readonly meanwhile: Effect.Effect<void>
      readonly done: Deferred.Deferred<void>
    }
  | { readonly _tag: "Close"; readonly drainMillis: number; readonly done: Deferred.Deferred<DrainReport> }
  | {
      readonly _tag: "Retake"
      readonly queue: OwnedQueue
      readonly move: QueueMove | undefined
      readonly pauseMillis?: number | undefined
      readonly done: Deferred.Deferred<void>
    }
  | { readonly _tag: "Reset"; readonly done: Deferred.Deferred<void> }
  | { readonly _tag: "Seek"; readonly key: string; readonly to: number; readonly done: Deferred.Deferred<boolean> }

/** A pull that is older than this does not come any more: the queue is given up and taken again, as in Java. */
const PULL_MAX_IDLE_MILLIS = 120_000

/** The queues of a consumer: who owns which, and what is done with them. */
export interface ConsumerRun {
  /** One round of rebalance; ends when the queues are taken and given up, not when their hand-over has ended. */
  readonly rebalance: Effect.Effect<void>
  /**
   * Ends the pulls of topics, does something, and pulls them anew: what is asked for there has another filter then. An answer
   * to a pull that asked by the old one would be filtered by it here, and passed over for good.
   */
  readonly repull: (topics: ReadonlySet<string>, meanwhile: Effect.Effect<void>) => Effect.Effect<void>
  /**
   * Has the group read queues of a topic on elsewhere, those of them that are owned: what is cached of them is dropped, and
   * what runs counts for nothing. Ends when that has begun.
   */
  readonly reset: (
    topic: string,
    offsets: ReadonlyArray<readonly [queue: MessageQueue.MessageQueue, offset: number]>
  ) => Effect.Effect<void>
  /** Waits until it is known of every owned queue where it begins, or that this cannot be read now. */
  readonly awaitLocated: Effect.Effect<void>
  /** Begins to write the positions that have moved since they were last written, broker by broker, and waits for none. */
  readonly persist: Effect.Effect<void>
  /** The queues that are owned and those that are being given up: they may still be committed. */
  readonly held: () => ReadonlyArray<OwnedQueue>
  /** Says that all of them may be committed up to their positions. */
  readonly mark: () => void
  /** Writes what may be committed of queues, and waits for the answers. */
  readonly commit: PositionWrites.PositionWrites["all"]
  /** Reads an owned queue on at an offset: what is cached of it is dropped. Gives whether it is owned. */
  readonly seek: (queue: MessageQueue.MessageQueue, to: number) => Effect.Effect<boolean>
  /** Gives everything up, once: see {@link DrainReport}. */
  readonly close: (drainMillis: number) => Effect.Effect<DrainReport>
  /** The queues that are owned, sorted. */
  readonly owned: () => ReadonlyArray<OwnedQueue>
  /** The members of the group by the last answer that named any. */
  readonly members: () => ReadonlyArray<string>
  /** When queues were last taken or given up in a round, in milliseconds since the epoch; undefined before. */
  readonly lastRebalance: () => number | undefined
  /** How fast a topic is pulled and consumed. */
  readonly stats: (topic: string) => TopicStats
  /** What all queues have cached. */
  readonly totals: Readonly<CacheTotals>
  /** Lets the loops look again whether there is room: more is wanted, or a queue is paused no more. */
  readonly lookForRoom: () => void
  /** Lets no pull and no handler begin, or lets them begin again. */
  readonly suspend: (suspended: boolean) => void
  /** Waits until the owned queues have been processed up to where they end now. */
  readonly caughtUp: (options?: CaughtUp.CaughtUpOptions) => Effect.Effect<void, ApiError | RouteUnavailable>
}

/**
 * Starts the fiber that owns the table of queues, in the current scope. Rebalances, resets and the close are commands to it,
 * so that none of them meets another half done; pulls and handlers report to it with their queue, and what reports for a
 * queue that is not owned any more counts for nothing.
 *
 * Source: RocketMQ `RebalanceImpl`, `RebalancePushImpl`.
 */
export const make = Effect.fnUntraced(function* (options: RunOptions) {
  const { changed, config, consumption, instance, problem } = options
  const { group } = config
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const table = new Map<string, OwnedQueue>()
  const totals: CacheTotals = { count: 0, bytes: 0 }
  const commands = yield* Queue.unbounded<Command>()
  const topicStats = new Map<string, TopicStats>()
  /** By queue, where it is to be read on. */
  const resets = new Map<string, number>()
  let lastRebalance: number | undefined
  let closed = false
  let closing: Deferred.Deferred<DrainReport> | undefined

  /** Of every topic that is or was subscribed to; a consumer has few. */
  const stats = (topic: string): TopicStats => {
    const known = topicStats.get(topic) ?? new TopicStats(now())
    topicStats.set(topic, known)
    return known
  }

  const ask = <A = void>(command: (done: Deferred.Deferred<A>) => Command): Effect.Effect<A> =>
    Effect.suspend(() => {
      const done = Deferred.makeUnsafe<A>()
      Queue.offerUnsafe(commands, command(done))
      return Deferred.await(done)
    })

  /** Has queues that are owned or being given up read on elsewhere. However many resets come, one command waits. */
  const askReset = (offsets: ReadonlyMap<string, number>): Effect.Effect<void> =>
    Effect.suspend(() => {
      const isAsked = resets.size > 0
      for (const [key, offset] of offsets) resets.set(key, offset)
      return isAsked || resets.size === 0 ? Effect.void : ask((done) => ({ _tag: "Reset", done }))
    })

  const loop = (queue: OwnedQueue, first?: "hold" | "ask") => PullLoop.run(pullContext, queue, first)
  const room = Rooms.make(options, table, totals, now)
  const positions = yield* PositionWrites.make(
    options,
    now,
    (queue, refused) => moves.elsewhere(queue, refused),
    (queue, behind, offset) => PullLoop.carry({ group, instance }, queue, behind, offset)
  )
  const share = Shares.make(options)
  const moves: Moves.Moves = yield* Moves.make(
    options,
    table,
    { now, nowMillis: () => clock.currentTimeMillisUnsafe() },
    (queue, move, pauseMillis) => ask((done) => ({ _tag: "Retake", queue, move, pauseMillis, done })),
    positions.one,
    (queue, to) => askReset(new Map([[keyOf(queue), to]]))
  )
  const caughtUp = CaughtUp.make(instance, table, options, share.members, (queue) =>
    instance.pullMessageService.start(loopKey(group, queue), loop(queue, "ask"))
  )
  const { check } = caughtUp
  const locks = config.isOrderly
    ? yield* QueueLocks.make({
        instance,
        group,
        owned: () => table.values(),
        gained: (queue: OwnedQueue) => {
          consumption.unlocked?.(queue)
          room.wake(queue)
        },
        lost: (queue) => {
          Queue.offerUnsafe(commands, { _tag: "Retake", queue, move: undefined, done: Deferred.makeUnsafe<void>() })
        },
        problem,
        now
      })
    : undefined
  const tenure = yield* Tenures.make({
    options,
    locks,
    table,
    totals,
    room,
    positions,
    moves,
    stats,
    loop,
    // There may be room then, and somebody may wait for it.
    finished: (queue) => {
      room.wake(queue)
      check()
    },
    check
  })

  const pullContext: PullLoop.PullContext = {
    instance,
    group,
    counters: options.counters,
    observer: options.observer,
    pullBatchSizeInBytes: config.pullBatchSizeInBytes,
    pullIntervalMillis: config.pullIntervalMillis,
    failurePauseMillis: config.pullFailurePauseMillis,
    postSubscription: config.postSubscriptionWhenPull,
    litePull: config.litePull === undefined ? undefined : { ...config.litePull, unknownAt: new Set() },
    // A broker may take the offset of a pull after one that was written later, when the queue has a new owner already. A Java
    // member that takes a queue reads where it is before it is given up: it has to be new.
    commitsOnPull: config.offsetsOnBrokers && !config.isOrderly && config.litePull === undefined,
    subscriptionOf: (topic) => options.subscriptions().get(topic),
    room: room.of,
    awaitRoom: room.await,
    found: TakeOver.make(options, room, now),
    passed: (queue, offset) => queue.reach(offset),
    advanced: check,
    outlive: moves.outlive,
    former: moves.former,
    moved: moves.moved,
    introduce: instance.heartbeat.sendHeartbeatToAllBroker,
    tell: (queue, error) => {
      const text = error === undefined ? undefined : ForeignText.clean(error.message)
      const isNoGroup = error?._tag === "BrokerRejected" && error.code === ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST
      queue.lastFailure = isNoGroup ? `${text} ${Shares.createGroup(group)}` : text
      return Effect.andThen(problem(`pull ${keyOf(queue)}`, queue.lastFailure), changed)
    },
    now,
    chance: () => random.nextDoubleUnsafe()
  }

  const rebalance = Effect.gen(function* () {
    if (closed) return
    const subscriptions = options.subscriptions()
    let moved = false
    let unsettled = false
    for (const topic of subscriptions.keys()) {
      const route = instance.routes.topicRouteTable.get(topic)
      const absent = route === undefined || route.borrowed
      yield* problem(`topic ${topic}`, absent && !isRetryTopic(topic) ? `topic ${topic} has no route` : undefined)
      if (absent) continue
      const mine = yield* share.of(topic, route)
      if (mine === undefined) unsettled = true
      // Who is taken into a group is told so, and has a round then.
      if (mine === undefined || mine === "outside") continue
      const round = tenure.round()
      const owned = [...table.values()]
      for (const queue of owned) {
        const { messageQueue } = queue
        if (messageQueue.topic !== topic) continue
        const idle = queue.phase === "pulling" && now() - (queue.lastPullAt ?? now()) > PULL_MAX_IDLE_MILLIS
        if (idle)
          yield* Effect.logError(`the pull of queue ${keyOf(queue)} does not come back: a bug; it is taken again`)
        if (mine.queues.has(keyOf(queue)) && !idle) continue
        moved = true
        yield* tenure.revoke(queue, round)
      }
      for (const [key, messageQueue] of mine.queues) {
        if (table.has(key)) continue
        moved = true
        yield* tenure.take(messageQueue, !mine.alone, undefined, round)
      }
      yield* round.over
    }
    const round = tenure.round()
    const rest = [...table.values()]
    for (const queue of rest) {
      if (subscriptions.has(queue.messageQueue.topic)) continue
      moved = true
      yield* tenure.revoke(queue, round)
    }
    yield* round.over
    if (moved) {
      options.counters.rebalances++
      lastRebalance = clock.currentTimeMillisUnsafe()
      yield* changed
    }
    // Nobody could say who the members are: the next round comes as soon as rounds may, as in Java.
    if (unsettled) yield* instance.rebalanceService.wakeup
  })

  const reset = Effect.suspend(() => {
    const offsets = new Map(resets)
    resets.clear()
    const each = (queues: Iterable<OwnedQueue>, move: (queue: OwnedQueue, offset: number) => Effect.Effect<void>) =>
      Effect.forEach(
        [...queues],
        (queue) => {
          const offset = offsets.get(keyOf(queue))
          return offset === undefined ? Effect.void : move(queue, offset)
        },
        { discard: true }
      )
    return Effect.andThen(each(tenure.leaving(), tenure.abandon), each(table.values(), moves.reset))
  })

  const execute = (command: Command): Effect.Effect<unknown> => {
    if (command._tag === "Close") {
      closed = true
      return Deferred.complete(command.done, tenure.close(command.drainMillis))
    }
    if (command._tag === "Seek") {
      const queue = table.get(command.key)
      if (queue === undefined) return Deferred.succeed(command.done, false)
      const move = {
        from: queue.consumeOffset,
        to: command.to,
        at: clock.currentTimeMillisUnsafe(),
        by: "seek"
      } as const
      return Effect.flatMap(Effect.exit(Effect.as(tenure.retake(queue, move), true)), (exit) =>
        Deferred.done(command.done, exit)
      )
    }
    const work =
      command._tag === "Rebalance"
        ? rebalance
        : command._tag === "Repull"
          ? Repull.repull(options, table, command.topics, command.meanwhile, loop)
          : command._tag === "Reset"
            ? reset
            : tenure.retake(command.queue, command.move, command.pauseMillis)
    return Effect.flatMap(Effect.exit(work), (exit) => Deferred.done(command.done, exit))
  }

  yield* Queue.take(commands).pipe(
    Effect.flatMap(execute),
    Effect.forever,
    Effect.forkScoped({ startImmediately: true })
  )

  const self: ConsumerRun = {
    rebalance: ask((done) => ({ _tag: "Rebalance", done })),
    repull: (topics, meanwhile) => ask((done) => ({ _tag: "Repull", topics, meanwhile, done })),
    reset: (topic, offsets) =>
      Effect.suspend(() => {
        const named = new Map(offsets.map(([queue, offset]) => [MessageQueue.key(queue), offset]))
        const known = new Map<string, number>()
        for (const queue of [...table.values(), ...tenure.leaving()]) {
          const offset = named.get(keyOf(queue))
          if (queue.messageQueue.topic === topic && offset !== undefined) known.set(keyOf(queue), offset)
        }
        return askReset(known)
      }),
    awaitLocated: tenure.awaitLocated,
    persist: Effect.suspend(() => positions.begin(table.values())),
    held: () => [...table.values(), ...tenure.leaving()],
    mark: () => {
      for (const queue of table.values()) queue.mark()
      for (const queue of tenure.leaving()) queue.mark()
    },
    commit: positions.all,
    seek: (queue, to) => ask((done) => ({ _tag: "Seek", key: MessageQueue.key(queue), to, done })),
    close: (drainMillis) =>
      Effect.suspend(() => {
        if (closing !== undefined) return Deferred.await(closing)
        closing = Deferred.makeUnsafe()
        Queue.offerUnsafe(commands, { _tag: "Close", drainMillis, done: closing })
        return Deferred.await(closing)
      }),
    owned: () => [...table.values()].toSorted((a, b) => MessageQueue.compare(a.messageQueue, b.messageQueue)),
    members: share.members,
    lastRebalance: () => lastRebalance,
    stats,
    totals,
    lookForRoom: () => room.wake(),
    suspend: (value) => {
      room.suspend(value)
      consumption.suspend(value)
      if (!value) room.wake()
    },
    caughtUp: caughtUp.wait
  }
  return self
})
