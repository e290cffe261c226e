import { Clock, Deferred, Effect, Random, Semaphore } from "effect"
import type { IllegalServiceState } from "../../client/ClientError.ts"
import type { Message } from "../../message/Message.ts"
import * as MessageQueue from "../../message/MessageQueue.ts"
import type { SendResult } from "../../message/SendResult.ts"
import { isInvalid, type PreparedMessage } from "../send/PreparedMessage.ts"
import type { Fork } from "./Fork.ts"
import { mayJoin } from "./ProduceAccumulator.ts"
import type { ProducerConfig } from "../ProducerConfig.ts"
import * as SendBatch from "./SendBatch.ts"
import { notSent, type SendError, type SendReason, SendTimeout } from "../send/SendError.ts"
import { check, type CheckedOptions, type SendOptions } from "../send/SendOptions.ts"
import { choose } from "../send/SendTarget.ts"
import type { SendEngine } from "../send/SendEngine.ts"
import { selectOneMessageQueue, type TopicPublishInfoTable } from "../queue/TopicPublishInfo.ts"
import * as ContextPropagation from "../telemetry/ContextPropagation.ts"
import { monotonicMillis } from "../../transport/Deadline.ts"

/**
 * A send in two steps. The outer effect ends when the message has its place in the order of its queue; it waits while too
 * many are under way. The inner one ends when the message is acknowledged. Messages of one queue are stored in the order in
 * which their outer effects ended, one after the other, as a broker handles sends that arrive together in any order.
 *
 * A message with a queue, selector or key stays at its queue. One without gets the next queue in turn, and leaves it when
 * its broker fails: it is then stored elsewhere, behind what is there.
 */
export type SendQueued = (
  message: Message,
  options?: SendOptions
) => Effect.Effect<Effect.Effect<SendResult, SendError>, SendError>

/** A message that has its place. */
interface Queued {
  readonly part: PreparedMessage
  readonly queue: MessageQueue.MessageQueue
  /** Whether it may go to no other queue. */
  readonly pinned: boolean
  readonly timeoutMillis: number
  /** On the monotonic clock, in milliseconds. */
  readonly deadline: number
  readonly done: Deferred.Deferred<SendResult, SendError>
}

/** What waits at one queue, and what has left it and is not acknowledged. */
interface Lane {
  readonly waiting: Array<Queued>
  sending: ReadonlyArray<Queued>
}

const timeout = (topic: string, timeoutMillis: number, during: string) =>
  new SendTimeout({ topic, timeoutMillis, during })

/**
 * Makes the two-step sends of a producer. Each queue with messages that wait has a fiber, which ends with the last of
 * them; it belongs to no caller, but to the producer: what is left over when that has been shut down ends with
 * `illegal`. With `autoBatch` the messages that wait behind one another leave together.
 */
export const make = Effect.fnUntraced(function* (
  config: ProducerConfig,
  engine: SendEngine,
  table: TopicPublishInfoTable,
  newId: () => string,
  fork: Fork,
  illegal: () => IllegalServiceState
): Effect.fn.Return<SendQueued> {
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const now = monotonicMillis(clock)
  const chance = () => random.nextDoubleUnsafe()
  const places = Semaphore.makeUnsafe(config.maxQueuedSends)
  /** What waits at each queue; a queue with an entry has a fiber. */
  const lanes = new Map<string, Lane>()

  /** Callers that wait for a place. */
  let queueing = 0
  const leaveQueue = Effect.sync(() => void queueing--)

  /** What leaves next: the first that waits, and with `autoBatch` those behind it that can go with it. */
  const take = ({ waiting }: Lane): ReadonlyArray<Queued> => {
    const [first] = waiting
    if (first === undefined) return []
    let count = 1
    if (config.autoBatch && mayJoin(config, first.part)) {
      let length = SendBatch.partLength(first.part)
      for (const { part, pinned } of waiting.slice(1)) {
        length += SendBatch.partLength(part)
        const fits = length <= config.batchMaxBytes && pinned === first.pinned && mayJoin(config, part)
        if (!fits || !SendBatch.goTogether(first.part.message, part.message)) break
        count++
      }
    }
    return waiting.splice(0, count)
  }

  const end = ({ done }: Queued, exit: Effect.Effect<SendResult, SendError>) => {
    engine.settle()
    Deferred.doneUnsafe(done, exit)
  }

  const transmit = (lane: Lane, batch: ReadonlyArray<Queued>, first: Queued): Effect.Effect<void> => {
    lane.sending = batch
    const parts = batch.map(({ part }) => part)
    const prepared = batch.length === 1 ? first.part : SendBatch.join([first.part, ...parts.slice(1)], newId())
    // The nearest deadline: with a common one, that of the first.
    const timeoutMillis = batch.reduce((least, { deadline }) => Math.min(least, deadline), Infinity) - now()
    const { pinned, queue } = first
    const send: Effect.Effect<SendResult, SendError> =
      timeoutMillis > 0
        ? engine.dispatch(prepared, { queue, unpinned: !pinned, timeoutMillis, accepted: true })
        : Effect.fail(
            notSent(
              prepared.topic,
              timeout(prepared.topic, first.timeoutMillis, "the messages before it"),
              prepared.msgId
            )
          )
    const settled = Effect.matchCause(send, {
      onSuccess: (result) => {
        lane.sending = []
        const results = batch.length === 1 ? [result] : SendBatch.split(result, parts)
        for (const [index, one] of batch.entries()) end(one, Effect.succeed(results[index] ?? result))
      },
      onFailure: (cause) => {
        lane.sending = []
        for (const one of batch) {
          end(
            one,
            Effect.mapError(Effect.failCause(cause), (error) => SendBatch.errorOf(error, one.part))
          )
        }
      }
    })
    return Effect.andThen(settled, places.release(batch.length))
  }

  const work = (key: string, lane: Lane): Effect.Effect<void> =>
    Effect.suspend(() => {
      const batch = take(lane)
      const [first] = batch
      if (first !== undefined) return Effect.andThen(transmit(lane, batch, first), work(key, lane))
      lanes.delete(key)
      return Effect.void
    })

  /** Ends what a lane holds whose producer has ended: what has left may be stored, what waits is not sent. */
  const abandon = (key: string, { sending, waiting }: Lane) =>
    Effect.suspend(() => {
      lanes.delete(key)
      for (const one of sending) end(one, Effect.fail(SendBatch.leftOver(one.part, "unknown", illegal())))
      for (const one of waiting) end(one, Effect.fail(SendBatch.leftOver(one.part, "not-sent", illegal())))
      return places.release(sending.length + waiting.length)
    })

  const enqueue = (queued: Queued) => {
    const key = MessageQueue.key(queued.queue)
    const lane = lanes.get(key)
    if (lane !== undefined) {
      lane.waiting.push(queued)
      return
    }
    const fresh: Lane = { waiting: [queued], sending: [] }
    lanes.set(key, fresh)
    fork(Effect.onInterrupt(work(key, fresh), () => abandon(key, fresh)))
  }

  /** Gives the message its place in the order, in one step. */
  const admit = (part: PreparedMessage, checked: CheckedOptions, deadline: number): Queued | SendReason => {
    const { timeoutMillis } = checked
    const info = table.getOrPut(part.topic)
    const queue =
      checked.queue ??
      (checked.selector === undefined
        ? selectOneMessageQueue(info, undefined)
        : choose(checked.selector, info.queues, part.topic, part.message, chance))
    // The route was looked up; only a change since then can have taken its queues.
    if (queue === undefined) return timeout(part.topic, timeoutMillis, "the choice of a queue")
    if ("_tag" in queue) return queue
    const pinned = checked.queue !== undefined || checked.selector !== undefined
    return { part, queue, pinned, timeoutMillis, deadline, done: Deferred.makeUnsafe() }
  }

  return (message, options) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.withFiber((fiber) => {
        const ready = engine.prepare(message, options)
        const part = isInvalid(ready) ? ready : ContextPropagation.ofCaller(ready, fiber)
        const checked = isInvalid(part) ? part : check(config, part.topic, options ?? {})
        // What is refused is counted as any send that is.
        if (isInvalid(part) || isInvalid(checked)) return Effect.as(engine.dispatch(part, options), Effect.never)
        const { topic } = part
        const { timeoutMillis } = checked
        const deadline = now() + timeoutMillis
        const known = checked.queue !== undefined || (table.get(topic)?.queues.length ?? 0) > 0
        const route = known ? Effect.void : Effect.asVoid(engine.fetchPublishMessageQueues(topic))
        const slow = Effect.suspend(() => {
          queueing++
          return Effect.ensuring(Effect.andThen(route, places.take(1)), leaveQueue)
        }).pipe(
          Effect.timeoutOrElse({
            duration: timeoutMillis,
            orElse: () => Effect.fail(notSent(topic, timeout(topic, timeoutMillis, "waiting for a place"), part.msgId))
          })
        )
        // Nobody overtakes those who wait.
        const wait =
          known && queueing === 0
            ? Effect.flatMap(places.takeIfAvailable(1), (taken) => (taken ? Effect.succeed(1) : slow))
            : slow
        return Effect.flatMap(restore(wait), () => {
          // The producer may have been shut down while the message waited for its place.
          const refusal = engine.accept()
          const queued = refusal ?? admit(part, checked, deadline)
          if ("_tag" in queued && refusal === undefined) engine.settle()
          if ("_tag" in queued) return Effect.andThen(places.release(1), Effect.fail(notSent(topic, queued)))
          enqueue(queued)
          return Effect.succeed(Deferred.await(queued.done))
        })
      })
    )
})
