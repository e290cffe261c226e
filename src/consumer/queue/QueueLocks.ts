import { Effect, Fiber, FiberMap, type Scope } from "effect"
import { type ApiError, RouteUnavailable } from "../../client/ClientError.ts"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import { MASTER_ID } from "../../message/MixAll.ts"
import * as MessageQueues from "../../message/MessageQueue.ts"
import * as Namespace from "../../message/Namespace.ts"
import * as LockBatch from "../../protocol/request/LockBatch.ts"
import type { ProcessQueue } from "./ProcessQueue.ts"

/** How the locks of a consumer's queues are kept. `M` is a message of a queue. */
export interface QueueLocksOptions<M> {
  readonly instance: MQClientInstanceShape
  readonly group: string
  /** The queues that are owned. */
  readonly owned: () => Iterable<ProcessQueue<M>>
  /** The queue is locked, or locked again: its messages may be handled. */
  readonly gained: (queue: ProcessQueue<M>) => void
  /**
   * Another member has the lock of a queue, or may have had it meanwhile: what is cached of it counts no more, and where it
   * begins is to be read again. It waits for nothing.
   */
  readonly lost: (queue: ProcessQueue<M>) => void
  /** Notes that something is wrong, under a key, or that it is not any more. */
  readonly problem: (key: string, text: string | undefined) => Effect.Effect<void>
  /** The monotonic clock, in milliseconds. */
  readonly now: () => number
}

/** The locks that brokers give one member of a group for the queues that it consumes in order. */
export interface QueueLocks<M> {
  /** Asks for the lock of a queue until it is granted or the queue is given up. `refused` follows each time that it is not. */
  readonly acquire: (queue: ProcessQueue<M>, refused: Effect.Effect<void>) => Effect.Effect<void>
  /** Gives locks back, after what is being asked for the queues has been answered; a broker that does not answer lets them expire. */
  readonly release: (queues: ReadonlyArray<ProcessQueue<M>>) => Effect.Effect<void>
}

/** Milliseconds that a broker may take to answer, as in Java. */
const TIMEOUT_MILLIS = 1_000
/** How often it is looked which locks are to be renewed, in milliseconds. */
const LOOK_MILLIS = 1_000
/** The time between two renewals, in milliseconds (Java `rocketmq.client.rebalance.lockInterval`). */
const RENEW_MILLIS = 20_000
/** The pause before a lock is asked for again that another has, in milliseconds, as in Java. */
const REFUSED_PAUSE_MILLIS = 500
/** The pause after a broker that did not answer doubles up to this, in milliseconds. */
const MAX_PAUSE_MILLIS = 8_000
/** A lock lives so long at a broker: whoever renews it later may have missed another owner, in milliseconds. */
const BROKER_LIVE_MILLIS = 60_000
/** Refused for longer, it is no lock that a member left behind, in milliseconds. */
const TOLD_AFTER_MILLIS = BROKER_LIVE_MILLIS + 5_000

/** How the renewals at a broker are called among what brokers are being asked. */
const renewal = (brokerName: string) => `renew ${brokerName}`

/**
 * Starts the renewals in the current scope. They wait for no handler, and no broker for another. A lock is as old as the
 * request that it was granted to: Java counts from the answer.
 *
 * Source: RocketMQ `RebalanceImpl.lock`, `lockAll`, `unlock`, `ConsumeMessageOrderlyService`.
 */
export const make = Effect.fnUntraced(function* <M>(
  options: QueueLocksOptions<M>
): Effect.fn.Return<QueueLocks<M>, never, Scope.Scope> {
  const { gained, group, instance, lost, now, problem } = options
  /** What brokers are being asked: by queue for a first lock, by broker for renewals. */
  const asking = yield* FiberMap.make<string, void, never>()
  /** By broker, when it is asked next. */
  const dueAt = new Map<string, number>()

  const call = (
    brokerName: string,
    queues: ReadonlyArray<ProcessQueue<M>>,
    operation: LockBatch.LockBatchOperation
  ): Effect.Effect<ReadonlySet<string>, ApiError | RouteUnavailable> =>
    Effect.suspend((): Effect.Effect<ReadonlySet<string>, ApiError | RouteUnavailable> => {
      const address = instance.routes.findBrokerAddressInSubscribe(brokerName, MASTER_ID, true)?.address
      if (address === undefined) {
        const topic = queues[0]?.messageQueue.topic ?? ""
        return Effect.fail(new RouteUnavailable({ topic, problem: "no-master", tries: [] }))
      }
      const request = LockBatch.request(
        {
          clientId: instance.clientId,
          consumerGroup: group,
          mqSet: queues.map(({ messageQueue }) => messageQueue)
        },
        operation
      )
      if (operation === "unlock") {
        return Effect.as(
          instance.api.call(address, request, TIMEOUT_MILLIS, () => undefined),
          new Set<string>()
        )
      }
      return Effect.map(
        instance.api.call(address, request, TIMEOUT_MILLIS, LockBatch.decodeResponse),
        ({ lockOKMQSet }) =>
          new Set(
            lockOKMQSet.map((queue) =>
              MessageQueues.key({ ...queue, topic: Namespace.unwrap(instance.config.namespace, queue.topic) })
            )
          )
      )
    })

  const lock = (brokerName: string, queues: ReadonlyArray<ProcessQueue<M>>) =>
    Effect.suspend(() => {
      const askedAt = now()
      for (const queue of queues) queue.lockAsked = true
      return Effect.map(call(brokerName, queues, "lock"), (granted) => {
        const answeredAt = now()
        for (const queue of queues) {
          if (queue.dropped) continue
          const before = queue.lockedAt
          const isGranted = granted.has(queue.name)
          const isLost = before !== undefined && (!isGranted || answeredAt - before > BROKER_LIVE_MILLIS)
          queue.lockedAt = isGranted && !isLost ? askedAt : undefined
          if (isLost) lost(queue)
          else if (isGranted) gained(queue)
        }
      })
    })

  const acquire: QueueLocks<M>["acquire"] = Effect.fnUntraced(function* (queue, refused) {
    const { brokerName } = queue.messageQueue
    const key = `lock ${queue.name}`
    const since = now()
    for (let failures = 0; !queue.dropped && queue.lockedAt === undefined;) {
      queue.phase = "locking"
      let failure: string | undefined
      // A queue that is given up waits for the answer before its lock is given back; this loop does not.
      const asked = lock(brokerName, [queue]).pipe(
        Effect.catch((error) =>
          Effect.sync(() => {
            failure = error.message
          })
        )
      )
      yield* Fiber.await(yield* FiberMap.run(asking, queue.name, asked, { startImmediately: true }))
      if (queue.lockedAt !== undefined) break
      failures = failure === undefined ? 0 : failures + 1
      queue.lastFailure = failure
      const told =
        failure ??
        (now() - since < TOLD_AFTER_MILLIS
          ? undefined
          : `another member of group ${group} keeps the lock of queue ${queue.name}`)
      yield* problem(key, told)
      yield* refused
      yield* Effect.sleep(Math.min(MAX_PAUSE_MILLIS, REFUSED_PAUSE_MILLIS * 2 ** Math.min(failures, 4)))
    }
    queue.lastFailure = undefined
    yield* problem(key, undefined)
  })

  /** Begins to renew the locks at the brokers where it is time for that. One that does not answer is asked again soon. */
  const renew = Effect.suspend(() => {
    const at = now()
    const locked = [...options.owned()].filter(({ lockedAt }) => lockedAt !== undefined)
    const byBroker = Map.groupBy(locked, ({ messageQueue }) => messageQueue.brokerName)
    const left = [...dueAt.keys()].filter((brokerName) => !byBroker.has(brokerName))
    for (const brokerName of left) dueAt.delete(brokerName)
    const forget = Effect.forEach(left, (brokerName) => problem(`locks ${brokerName}`, undefined), { discard: true })
    const ask = Effect.forEach(
      byBroker,
      ([brokerName, queues]) => {
        if (at < (dueAt.get(brokerName) ?? 0)) return Effect.void
        const next = (pause: number, failure: string | undefined) => {
          dueAt.set(brokerName, at + pause)
          return problem(`locks ${brokerName}`, failure)
        }
        const asked = Effect.matchEffect(lock(brokerName, queues), {
          onSuccess: () => next(RENEW_MILLIS, undefined),
          onFailure: (error) => next(LOOK_MILLIS, error.message)
        })
        return FiberMap.run(asking, renewal(brokerName), asked, { onlyIfMissing: true, startImmediately: true })
      },
      { discard: true }
    )
    return Effect.andThen(forget, ask)
  })

  const awaitAnswer = (key: string) =>
    Effect.flatMap(FiberMap.get(asking, key), (fiber) =>
      fiber._tag === "Some" ? Fiber.await(fiber.value) : Effect.void
    )

  const release: QueueLocks<M>["release"] = (queues) =>
    Effect.forEach(
      Map.groupBy(
        queues.filter(({ lockAsked }) => lockAsked),
        ({ messageQueue }) => messageQueue.brokerName
      ),
      Effect.fnUntraced(function* ([brokerName, ofBroker]) {
        yield* awaitAnswer(renewal(brokerName))
        for (const { name } of ofBroker) yield* awaitAnswer(name)
        // What is not given back expires.
        yield* Effect.ignore(call(brokerName, ofBroker, "unlock"))
        for (const queue of ofBroker) queue.lockedAt = undefined
      }),
      { concurrency: "unbounded", discard: true }
    )

  yield* Effect.sleep(LOOK_MILLIS).pipe(
    Effect.andThen(renew),
    Effect.forever,
    Effect.forkScoped({ startImmediately: true })
  )

  return { acquire, release }
})
