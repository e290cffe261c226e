import { Clock, Deferred, Effect, Fiber, FiberMap, Queue, Random, Semaphore } from "effect"
import type { ApiError, RouteUnavailable } from "../client/ClientError.ts"
import type { PublishedRoute } from "../client/ClientMembers.ts"
import * as LogLimit from "../client/LogLimit.ts"
import type { MQClientInstanceShape } from "../client/MQClientInstance.ts"
import * as ForeignText from "../message/ForeignText.ts"
import { isRetryTopic, RETRY_GROUP_TOPIC_PREFIX } from "../message/MixAll.ts"
import { SysFlag } from "../message/SysFlag.ts"
import * as MessageQueue from "../message/MessageQueue.ts"
import * as RouteQueues from "../client/RouteQueues.ts"
import type { SubscriptionData } from "../protocol/HeartbeatData.ts"
import type { PullPosition } from "../client/PullOutcome.ts"
import type { MessageExt } from "../message/MessageExt.ts"
import type { Consumption } from "./consume/Consumption.ts"
import type { Received } from "./consume/Settle.ts"
import type { ConsumerCounters } from "./ConsumerCounters.ts"
import type { ConsumerObserver } from "./telemetry/ConsumerObserver.ts"
import type { OffsetStore } from "./offset/OffsetStore.ts"
import * as StartOffset from "./offset/StartOffset.ts"
import * as PullLoop from "./pull/PullLoop.ts"
import { type CacheTotals, ProcessQueue } from "./queue/ProcessQueue.ts"
import { TopicStats } from "./queue/TopicStats.ts"
import type { AllocateStrategy } from "./rebalance/AllocateStrategy.ts"
import { membersOf } from "./rebalance/Members.ts"
import { asReceived, type ReceivedMessage } from "./ReceivedMessage.ts"

/** A queue that is owned, in the present generation. */
export type OwnedQueue = ProcessQueue<ReceivedMessage>

/** What of a consumer's configuration the run works with; times are milliseconds, sizes bytes. */
export interface RunConfig {
  readonly group: string
  readonly strategy: AllocateStrategy
  readonly consumeFromWhere: StartOffset.ConsumeFromWhere
  readonly pullBatchSize: number
  readonly pullBatchSizeInBytes: number
  readonly pullIntervalMillis: number
  readonly pullThresholdForQueue: number
  readonly pullThresholdBytesForQueue: number
  /** Below 0 there is no limit. */
  readonly pullThresholdForTopic: number
  readonly pullThresholdBytesForTopic: number
  readonly pullThresholdForAll: number
  readonly pullThresholdBytesForAll: number
  readonly consumeConcurrentlyMaxSpan: number
  readonly revokeDrainMillis: number
}

/** What a consumer gives up when it closes, and how that went. */
export interface DrainReport {
  /** Handlers that ended by themselves in the time for it. */
  readonly finished: number
  /** Handlers that were interrupted; their messages come again. */
  readonly interrupted: number
  /** Messages that were cached and that no handler had got; they come again. */
  readonly discarded: number
  /** Queues whose last position could not be written: `topic@broker@id`. */
  readonly notPersisted: ReadonlyArray<string>
}

/** What the run works with. */
export interface RunOptions {
  readonly config: RunConfig
  readonly instance: MQClientInstanceShape
  readonly store: OffsetStore
  readonly consumption: Consumption
  readonly counters: ConsumerCounters
  readonly observer: Pick<ConsumerObserver, "received" | "notReceived" | "settle">
  /** A queue was taken, or is no longer owned. */
  readonly taken: (queue: OwnedQueue) => void
  readonly left: (queue: OwnedQueue) => void
  /** What is subscribed to, by topic, the group's retry topic included. */
  readonly subscriptions: () => ReadonlyMap<string, SubscriptionData>
  /** Whether the user has paused a queue or its topic. */
  readonly isPaused: (queue: MessageQueue.MessageQueue) => boolean
  /** Gives a message back that cannot be handed to a handler: its body cannot be unpacked. */
  readonly unreadable: (received: Received, error: Error) => Effect.Effect<void>
  /** Waits until no message of the queue is being given back; none at all when absent. */
  readonly givenBack: (queue?: OwnedQueue) => Effect.Effect<void>
  /** Notes that something is wrong, under a key, or that it is not any more. */
  readonly problem: (key: string, text: string | undefined) => Effect.Effect<void>
  /** The members of the group are others than before. */
  readonly membersChanged: () => void
  /** Something that is seen from outside has changed. */
  readonly changed: Effect.Effect<void>
}

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
      readonly offset: number | undefined
      readonly done: Deferred.Deferred<void>
    }

/**
 * Until every other member has had its round, in milliseconds: rounds are a second apart at least, and who had one just
 * before the group changed gives its queues up only in the next. Java waits 500 ms, and reads before that: whatever the old
 * owner finishes later comes twice there.
 */
const OTHERS_ROUND_MILLIS = 1_000
/** What a round, and the write of a position after it, may take besides. */
const HANDOVER_MARGIN_MILLIS = 100
/** A pull that is older than this does not come any more: the queue is given up and taken again, as in Java. */
const PULL_MAX_IDLE_MILLIS = 120_000
/** The pause before an offset is believed that moved again within so many milliseconds; it doubles up to the third one. */
const MOVE_PAUSE_MILLIS = 1_000
const MOVED_AGAIN_MILLIS = 120_000
const MAX_MOVE_PAUSE_MILLIS = 30_000
/** The pause after a start offset that could not be read; it doubles up to the second one. */
const LOCATE_PAUSE_MILLIS = 1_000
const MAX_LOCATE_PAUSE_MILLIS = 30_000
/** Milliseconds that the last writes of positions may take when the consumer closes. */
const LAST_PERSIST_MILLIS = 5_000
/** How many bodies of all queues are unpacked at once. */
const UNPACKED_AT_ONCE = 4
/** How many positions are written to one broker at once. */
const PERSISTS_AT_ONCE = 16

/** The queues of a consumer: who owns which, and what is done with them. */
export interface ConsumerRun {
  /** One round of rebalance; ends when the queues are taken and given up, not when their hand-over has ended. */
  readonly rebalance: Effect.Effect<void>
  /**
   * Ends the pulls of topics, does something, and pulls them anew: what is asked for there has another filter then. An answer
   * to a pull that asked by the old one would be filtered by it here, and passed over for good.
   */
  readonly repull: (topics: ReadonlySet<string>, meanwhile: Effect.Effect<void>) => Effect.Effect<void>
  /** Waits until it is known of every owned queue where it begins, or that this cannot be read now. */
  readonly awaitLocated: Effect.Effect<void>
  /** Begins to write the positions that have moved since they were last written, broker by broker, and waits for none. */
  readonly persist: Effect.Effect<void>
  /** Gives everything up: see {@link DrainReport}. */
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
  readonly caughtUp: Effect.Effect<void, ApiError | RouteUnavailable>
}

/**
 * Starts the fiber that owns the table of queues, in the current scope. Rebalances, resets and the close are commands to it,
 * so that none of them meets another half done; pulls and handlers report to it with their queue, and what reports for a
 * queue that is not owned any more counts for nothing.
 *
 * Source: RocketMQ `RebalanceImpl`, `RebalancePushImpl`.
 */
export const make = Effect.fnUntraced(function* (options: RunOptions) {
  const { changed, config, consumption, instance, problem, store } = options
  const { group } = config
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const table = new Map<string, OwnedQueue>()
  const totals: CacheTotals = { count: 0, bytes: 0 }
  const commands = yield* Queue.unbounded<Command>()
  /** By queue, the hand-over of a generation that is being given up. */
  const revoking = yield* FiberMap.make<string, void, never>()
  /** By broker, what timer 4 writes. */
  const writing = yield* FiberMap.make<string, void, never>()
  const parked = new Map<OwnedQueue, Set<() => void>>()
  const waiters = new Set<() => void>()
  const located = new Map<OwnedQueue, Deferred.Deferred<void>>()
  const topicStats = new Map<string, TopicStats>()
  /** By queue, what makes its writes wait for each other. */
  const persisting = new Map<string, Semaphore.Semaphore>()
  /** By queue, how often in a row its broker had another offset, and when it last had. */
  const moves = new Map<string, { readonly count: number; readonly at: number }>()
  const moveLog = LogLimit.make()
  const unpacking = Semaphore.makeUnsafe(UNPACKED_AT_ONCE)
  let members: ReadonlyArray<string> = []
  let toldYoung = false
  let lastRebalance: number | undefined
  let generation = 0
  let suspended = false
  let closed = false

  /** Of every topic that is or was subscribed to; a consumer has few. */
  const stats = (topic: string): TopicStats => {
    const known = topicStats.get(topic) ?? new TopicStats(now())
    topicStats.set(topic, known)
    return known
  }

  const retryTopic = RETRY_GROUP_TOPIC_PREFIX + group
  const keyOf = (queue: OwnedQueue) => MessageQueue.key(queue.messageQueue)
  const loopKey = (queue: OwnedQueue) => `${group}@${keyOf(queue)}`
  /** How long a new owner waits before it reads where its queue begins: the old one has written it by then. */
  const handoverMillis = OTHERS_ROUND_MILLIS + config.revokeDrainMillis + HANDOVER_MARGIN_MILLIS
  const isOurs = (queue: OwnedQueue) => table.get(keyOf(queue)) === queue

  /** Lets the loops of the queues look again whether there is room. */
  const unpark = (which?: OwnedQueue) => {
    // Those of now: a loop that still finds no room parks again, at once and in the same map.
    const present = [...parked]
    for (const [queue, wakes] of present) {
      if (which !== undefined && which !== queue && queue.phase !== "full") continue
      parked.delete(queue)
      for (const wake of wakes) wake()
    }
  }

  const check = () => {
    if (waiters.size > 0) for (const waiter of waiters) waiter()
  }

  /** A message of a queue was finished: there may be room, and somebody may wait for that. */
  const finished = (queue: OwnedQueue) => {
    if (parked.size > 0) unpark(queue)
    check()
  }

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
    if (suspended || queue.revoking || options.isPaused(queue.messageQueue)) {
      queue.phase = queue.revoking ? "revoking" : "suspended"
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

  /**
   * Writes a position, acknowledged, after what is being written of the queue: offsets of a queue reach the broker in their
   * order, and none of a generation that is over. Gives whether it was written.
   */
  const persistOne = (queue: OwnedQueue) => {
    const key = keyOf(queue)
    const lock = persisting.get(key) ?? Semaphore.makeUnsafe(1)
    persisting.set(key, lock)
    return lock.withPermits(1)(
      Effect.suspend(() => {
        const offset = queue.consumeOffset
        if (offset === undefined || queue.dropped || queue.storedOffset === offset) return Effect.succeed(true)
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
            onSuccess: () => {
              options.counters.commits++
              queue.storedOffset = offset
              queue.committedOffset = offset
              return Effect.as(problem(`persist ${key}`, undefined), true)
            },
            onFailure: (error) => {
              options.counters.commitFailures++
              return Effect.as(problem(`persist ${key}`, error.message), false)
            }
          })
        )
      })
    )
  }

  /** Writes positions side by side, broker by broker: one that does not answer holds up no other. */
  const persistAll = (queues: ReadonlyArray<OwnedQueue>) => {
    const byBroker = Map.groupBy(queues, ({ messageQueue }) => messageQueue.brokerName)
    return Effect.map(
      Effect.forEach(
        byBroker.values(),
        (ofBroker) =>
          Effect.forEach(ofBroker, (queue) => Effect.map(persistOne(queue), (written) => ({ queue, written })), {
            concurrency: PERSISTS_AT_ONCE
          }),
        { concurrency: "unbounded" }
      ),
      (all) => all.flat()
    )
  }

  const accept = (queue: OwnedQueue, message: MessageExt): ReadonlyArray<Received> => {
    const slot = queue.accept(
      asReceived(message, queue.messageQueue, retryTopic),
      message.queueOffset,
      message.body.length,
      now()
    )
    return slot === undefined ? [] : [slot]
  }

  /** Hands over a message whose body is packed; what counts for it until then is the instance's budget. */
  const handOver = (queue: OwnedQueue, message: MessageExt) =>
    instance.pulled
      .handOver(message, (unpacked) =>
        Effect.sync(() => {
          if (!queue.revoking && !queue.dropped) consumption.offer(queue, accept(queue, unpacked))
        })
      )
      .pipe(
        Effect.catch((error) =>
          Effect.forEach(accept(queue, message), (received) => options.unreadable(received, error), { discard: true })
        )
      )

  /**
   * {@link handOver} when there is room: an answer is as long as was asked for, but a kilobyte of it may become 32 MiB. Few
   * at once, so that no more than these come beyond what all queues together may have.
   */
  const handOverWithRoom = (queue: OwnedQueue, message: MessageExt): Effect.Effect<void> =>
    unpacking
      .withPermits(1)(
        Effect.suspend(() => (room(queue) > 0 ? Effect.as(handOver(queue, message), true) : Effect.succeed(false)))
      )
      .pipe(
        Effect.flatMap((done) =>
          done || queue.dropped || queue.revoking
            ? Effect.void
            : Effect.andThen(awaitRoom(queue), handOverWithRoom(queue, message))
        )
      )

  const found = Effect.fnUntraced(function* (
    queue: OwnedQueue,
    { nextBeginOffset }: PullPosition,
    messages: ReadonlyArray<MessageExt>
  ) {
    if (queue.dropped || queue.revoking) return
    options.counters.received += messages.length
    if (messages.every(({ sysFlag }) => (sysFlag & SysFlag.COMPRESSED) === 0)) {
      consumption.offer(
        queue,
        messages.flatMap((message) => accept(queue, message))
      )
    } else {
      // One after the other: the offsets of a queue are taken over in their order.
      for (const message of messages) {
        yield* (message.sysFlag & SysFlag.COMPRESSED) === 0
          ? handOver(queue, message)
          : handOverWithRoom(queue, message)
      }
    }
    // What the broker or the filter passed over is finished with what was before it.
    queue.reach(nextBeginOffset)
    check()
  })

  const pullContext: PullLoop.PullContext = {
    instance,
    group,
    counters: options.counters,
    observer: options.observer,
    pullBatchSizeInBytes: config.pullBatchSizeInBytes,
    pullIntervalMillis: config.pullIntervalMillis,
    commitsOnPull: store.commitsOnPull,
    subscriptionOf: (topic) => options.subscriptions().get(topic),
    room,
    awaitRoom,
    found,
    passed: (queue, offset) => {
      queue.reach(offset)
      check()
    },
    moved: (queue, position) =>
      Effect.suspend(() => {
        const from = queue.nextOffset
        const to = Math.max(0, position.nextBeginOffset)
        const key = keyOf(queue)
        const last = moves.get(key)
        const count = last !== undefined && now() - last.at < MOVED_AGAIN_MILLIS ? last.count + 1 : 0
        moves.set(key, { count, at: now() })
        options.counters.offsetsMoved++
        // A broker that moves an offset time after time must not decide how often it is asked.
        const pause = count === 0 ? 0 : Math.min(MAX_MOVE_PAUSE_MILLIS, MOVE_PAUSE_MILLIS * 2 ** Math.min(count - 1, 5))
        if (pause > 0) queue.phase = "waiting"
        const text = `offset ${from} of queue ${key} is not there; group ${group} reads on at ${to} (${position.minOffset} to ${position.maxOffset})`
        return moveLog
          .warn(text)
          .pipe(
            Effect.andThen(to < from ? problem(`moved ${key}`, `${text}: the broker has lost messages`) : Effect.void),
            Effect.andThen(Effect.sleep(pause)),
            Effect.andThen(ask((done) => ({ _tag: "Retake", queue, offset: to, done })))
          )
      }),
    introduce: instance.heartbeat.sendHeartbeatToAllBroker,
    tell: (queue, error) => {
      queue.lastFailure = error === undefined ? undefined : ForeignText.clean(error.message)
      return Effect.andThen(problem(`pull ${keyOf(queue)}`, queue.lastFailure), changed)
    },
    now,
    chance: () => random.nextDoubleUnsafe()
  }

  /** Finds out where a queue begins, for as long as that takes, and writes it where it was decided now. */
  const locate = Effect.fnUntraced(function* (queue: OwnedQueue) {
    const key = keyOf(queue)
    const known = located.get(queue)
    for (let failures = 0; !queue.dropped; failures++) {
      const start = yield* Effect.result(
        StartOffset.resolve(instance, store, group, queue.messageQueue, config.consumeFromWhere)
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
        if (isNew) yield* persistOne(queue)
        else {
          queue.storedOffset = offset
          queue.committedOffset = offset
        }
        break
      }
      queue.phase = "failing"
      queue.lastFailure = ForeignText.clean(start.failure.message)
      yield* problem(`locate ${key}`, queue.lastFailure)
      if (known !== undefined) yield* Deferred.succeed(known, undefined)
      yield* Effect.sleep(Math.min(MAX_LOCATE_PAUSE_MILLIS, LOCATE_PAUSE_MILLIS * 2 ** Math.min(failures, 5)))
    }
    if (known !== undefined) yield* Deferred.succeed(known, undefined)
    yield* changed
  })

  /** Takes a queue: a new generation, its place in the table, and its loop. */
  const take = (messageQueue: MessageQueue.MessageQueue, handover: boolean, at?: number) =>
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
      table.set(key, queue)
      options.taken(queue)
      const known = Deferred.makeUnsafe<void>()
      located.set(queue, known)
      const arrive = Effect.gen(function* () {
        // A generation of ours that is still being given up ends first.
        yield* FiberMap.get(revoking, key).pipe(
          Effect.flatMap((fiber) => (fiber._tag === "Some" ? Effect.asVoid(Fiber.await(fiber.value)) : Effect.void))
        )
        if (handover) yield* Effect.sleep(handoverMillis)
        if (at === undefined) yield* locate(queue)
        else {
          queue.locate(at)
          yield* persistOne(queue)
          yield* Deferred.succeed(known, undefined)
        }
        yield* PullLoop.run(pullContext, queue)
      })
      return instance.pullMessageService.start(loopKey(queue), arrive)
    })

  /** Waits until handlers have ended, and until what they gave back lies with a broker: else it would come once more. */
  const awaitSettled = (queue?: OwnedQueue) => Effect.andThen(consumption.awaitIdle(queue), options.givenBack(queue))

  const forget = (queue: OwnedQueue) => {
    queue.drop()
    options.left(queue)
    consumption.drop(queue)
    located.delete(queue)
    parked.delete(queue)
    unpark()
    check()
  }

  /**
   * Gives a queue up: no pull and no handler begins from now on, its position is written at once for who takes it, what runs
   * may end for a moment, and then the position is written for the last time.
   */
  const revoke = (queue: OwnedQueue) =>
    Effect.suspend(() => {
      const key = keyOf(queue)
      queue.revoking = true
      queue.phase = "revoking"
      table.delete(key)
      consumption.drop(queue)
      const leave = Effect.gen(function* () {
        yield* persistOne(queue)
        yield* Effect.timeoutOption(awaitSettled(queue), config.revokeDrainMillis)
        yield* persistOne(queue)
        forget(queue)
        consumption.interrupt(queue)
        moves.delete(key)
        for (const problemKey of ["persist", "locate", "pull", "moved"])
          yield* problem(`${problemKey} ${key}`, undefined)
      })
      return Effect.andThen(
        instance.pullMessageService.stop(loopKey(queue)),
        Effect.asVoid(FiberMap.run(revoking, key, leave, { startImmediately: true }))
      )
    })

  /** The queues of a topic that are this member's share; undefined when that cannot be said now. */
  const shareOf = Effect.fnUntraced(function* (topic: string, route: PublishedRoute) {
    const queues = RouteQueues.readable(route.topic, route.data).toSorted(MessageQueue.compare)
    const ask = membersOf(instance, group, route.data)
    const named = queues.length === 0 ? undefined : yield* ask
    // A broker that was started again knows those that have called on it since.
    const isMissing = named !== undefined && !named.includes(instance.clientId)
    const present = isMissing ? yield* Effect.andThen(instance.heartbeat.sendHeartbeatToAllBroker, ask) : named
    if (present === undefined) return undefined
    const same = present.length === members.length && present.every((member, index) => member === members[index])
    members = present
    if (!same) options.membersChanged()
    yield* problem(
      `member ${topic}`,
      present.includes(instance.clientId)
        ? undefined
        : `no broker of topic ${topic} names this client, ${instance.clientId}, among the members of group ${group}`
    )
    // Nobody but this member, said twice: there is nobody to wait for.
    const alone = present.length === 1 && present[0] === instance.clientId && (yield* ask)?.length === 1
    const share = yield* Effect.result(
      Effect.try(() =>
        config.strategy.allocate({
          consumerGroup: group,
          currentCID: instance.clientId,
          mqAll: queues,
          cidAll: present
        })
      )
    )
    const key = `strategy ${topic}`
    if (share._tag === "Failure") {
      yield* problem(
        key,
        `the strategy ${config.strategy.name} failed for topic ${topic}: ${String(share.failure.cause)}`
      )
      return undefined
    }
    yield* problem(key, undefined)
    return { alone, queues: new Map(share.success.map((queue) => [MessageQueue.key(queue), queue])) }
  })

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
      const share = yield* shareOf(topic, route)
      if (share === undefined) {
        unsettled = true
        continue
      }
      const owned = [...table.values()]
      for (const queue of owned) {
        const { messageQueue } = queue
        if (messageQueue.topic !== topic) continue
        const idle = queue.phase === "pulling" && now() - (queue.lastPullAt ?? now()) > PULL_MAX_IDLE_MILLIS
        if (idle)
          yield* Effect.logError(`the pull of queue ${keyOf(queue)} does not come back: a bug; it is taken again`)
        if (share.queues.has(keyOf(queue)) && !idle) continue
        moved = true
        yield* revoke(queue)
      }
      for (const [key, messageQueue] of share.queues) {
        if (table.has(key)) continue
        moved = true
        yield* take(messageQueue, !share.alone)
      }
    }
    const rest = [...table.values()]
    for (const queue of rest) {
      if (subscriptions.has(queue.messageQueue.topic)) continue
      moved = true
      yield* revoke(queue)
    }
    if (moved) {
      options.counters.rebalances++
      lastRebalance = clock.currentTimeMillisUnsafe()
      yield* changed
    }
    // Nobody could say who the members are: the next round comes as soon as rounds may, as in Java.
    if (unsettled) yield* instance.rebalanceService.wakeup
  })

  const close = Effect.fnUntraced(function* (drainMillis: number) {
    closed = true
    const queues = [...table.values()]
    const begun = consumption.running()
    for (const queue of queues) {
      queue.revoking = true
      queue.phase = "revoking"
    }
    let discarded = 0
    for (const queue of queues) discarded += consumption.drop(queue)
    yield* Effect.forEach(queues, (queue) => instance.pullMessageService.stop(loopKey(queue)), {
      concurrency: "unbounded",
      discard: true
    })
    yield* Effect.timeoutOption(awaitSettled(), drainMillis)
    const interrupted = consumption.running()
    const written = yield* Effect.timeoutOption(
      Effect.andThen(FiberMap.awaitEmpty(revoking), persistAll(queues)),
      LAST_PERSIST_MILLIS
    )
    for (const queue of queues) forget(queue)
    table.clear()
    consumption.interrupt()
    const missing =
      written._tag === "Some" ? written.value.filter((one) => !one.written).map((one) => one.queue) : queues
    const report: DrainReport = {
      finished: Math.max(0, begun - interrupted),
      interrupted,
      discarded,
      notPersisted: missing.filter((queue) => queue.storedOffset !== queue.consumeOffset).map(keyOf)
    }
    return report
  })

  const retake = (queue: OwnedQueue, offset: number | undefined) =>
    Effect.suspend(() => {
      if (!isOurs(queue) || closed) return Effect.void
      const { messageQueue } = queue
      // Not its loop's own wish to be waited for: that is what asks.
      return Effect.andThen(
        Effect.sync(() => {
          table.delete(keyOf(queue))
          forget(queue)
          consumption.interrupt(queue)
        }),
        take(messageQueue, false, offset)
      )
    })

  const repull = Effect.fnUntraced(function* (topics: ReadonlySet<string>, meanwhile: Effect.Effect<void>) {
    const queues = [...table.values()].filter(
      (queue) => topics.has(queue.messageQueue.topic) && queue.consumeOffset !== undefined
    )
    yield* Effect.forEach(queues, (queue) => instance.pullMessageService.stop(loopKey(queue)), { discard: true })
    yield* meanwhile
    yield* Effect.forEach(
      queues,
      (queue) => instance.pullMessageService.start(loopKey(queue), PullLoop.run(pullContext, queue)),
      { discard: true }
    )
  })

  const execute = (command: Command): Effect.Effect<unknown> => {
    if (command._tag === "Close") return Deferred.completeWith(command.done, close(command.drainMillis))
    const work =
      command._tag === "Rebalance"
        ? rebalance
        : command._tag === "Repull"
          ? repull(command.topics, command.meanwhile)
          : retake(command.queue, command.offset)
    return Effect.flatMap(Effect.exit(work), (exit) => Deferred.done(command.done, exit))
  }

  const ask = <A = void>(command: (done: Deferred.Deferred<A>) => Command): Effect.Effect<A> =>
    Effect.suspend(() => {
      const done = Deferred.makeUnsafe<A>()
      Queue.offerUnsafe(commands, command(done))
      return Deferred.await(done)
    })

  yield* Queue.take(commands).pipe(
    Effect.flatMap(execute),
    Effect.forever,
    Effect.forkScoped({ startImmediately: true })
  )

  const caughtUp = Effect.gen(function* () {
    const ends = yield* Effect.forEach(
      [...table.values()],
      (queue) => Effect.map(StartOffset.maxOffset(instance, queue.messageQueue), (end) => ({ queue, end })),
      { concurrency: PERSISTS_AT_ONCE }
    )
    // A queue that was given up meanwhile is somebody else's to process.
    const isDone = () => ends.every(({ end, queue }) => queue.dropped || (queue.consumeOffset ?? -1) >= end)
    const context = yield* Effect.context()
    /** By queue, the offset from which it was asked at once. */
    const asked = new Map<OwnedQueue, number>()
    yield* Effect.callback<void>((resume) => {
      const waiter = () => {
        if (isDone()) {
          waiters.delete(waiter)
          return resume(Effect.void)
        }
        for (const { end, queue } of ends) {
          // A broker holds a pull for as long as nothing comes that the filter lets pass: it is asked once more, and answers.
          if (queue.dropped || queue.phase !== "pulling" || queue.cachedCount > 0 || queue.nextOffset >= end) continue
          if (asked.get(queue) === queue.nextOffset) continue
          asked.set(queue, queue.nextOffset)
          Effect.runForkWith(context)(
            instance.pullMessageService.start(loopKey(queue), PullLoop.run(pullContext, queue, "ask"))
          )
        }
      }
      waiters.add(waiter)
      waiter()
      return Effect.sync(() => {
        waiters.delete(waiter)
      })
    })
  })

  const self: ConsumerRun = {
    rebalance: ask((done) => ({ _tag: "Rebalance", done })),
    repull: (topics, meanwhile) => ask((done) => ({ _tag: "Repull", topics, meanwhile, done })),
    awaitLocated: Effect.suspend(() =>
      Effect.forEach([...located.values()], (one) => Deferred.await(one), { concurrency: "unbounded", discard: true })
    ),
    persist: Effect.suspend(() =>
      Effect.forEach(
        Map.groupBy(table.values(), ({ messageQueue }) => messageQueue.brokerName),
        // A broker that does not answer is waited for by nobody but its own next write.
        ([broker, ofBroker]) =>
          FiberMap.run(writing, broker, Effect.asVoid(persistAll(ofBroker)), {
            onlyIfMissing: true,
            startImmediately: true
          }),
        { discard: true }
      )
    ),
    close: (drainMillis) => ask<DrainReport>((done) => ({ _tag: "Close", drainMillis, done })),
    owned: () => [...table.values()].toSorted((a, b) => MessageQueue.compare(a.messageQueue, b.messageQueue)),
    members: () => members,
    lastRebalance: () => lastRebalance,
    stats,
    totals,
    lookForRoom: () => unpark(),
    suspend: (value) => {
      suspended = value
      consumption.suspend(value)
      if (!value) unpark()
    },
    caughtUp
  }
  return self
})
