import { Clock, Effect, Latch, type Scope } from "effect"
import type { IllegalServiceState } from "../../client/ClientError.ts"
import { isRetryTopic } from "../../message/MixAll.ts"
import type { Message } from "../../message/Message.ts"
import * as MessageQueue from "../../message/MessageQueue.ts"
import type { SendResult } from "../../message/SendResult.ts"
import { isInvalid, type PreparedMessage, wantsCompression } from "../send/PreparedMessage.ts"
import type { ProducerConfig } from "../ProducerConfig.ts"
import type { Fork } from "./Fork.ts"
import * as SendBatch from "./SendBatch.ts"
import type { SendError } from "../send/SendError.ts"
import { isTimeout, type SendOptions, timeoutOf } from "../send/SendOptions.ts"
import type { SendEngine } from "../send/SendEngine.ts"
import * as ContextPropagation from "../telemetry/ContextPropagation.ts"
import { monotonicMillis } from "../../transport/Deadline.ts"

/**
 * Sends that come at about the same time leave together. A group of messages leaves when the next one would make it too
 * large, or when its first one has waited long enough; every caller gets the result, or the error, of its own message.
 *
 * Source: RocketMQ `ProduceAccumulator`, which looks twice per delay whether a group's time has come.
 */
export interface ProduceAccumulator {
  readonly send: SendEngine["send"]
  /** Sends at once what waits; from now on nothing waits. */
  readonly close: () => void
}

/** A message that waits for its group to leave, or for the answer. */
interface Entry {
  readonly part: PreparedMessage
  readonly length: number
  /** Undefined when the caller was interrupted. */
  resume: ((exit: Effect.Effect<SendResult, SendError>) => void) | undefined
}

/** Messages that leave together: for one topic and queue or key, with the same tag, durability and time to leave in. */
interface Group {
  readonly key: string
  readonly options: SendOptions | undefined
  readonly timeoutMillis: number
  /** On the monotonic clock, in milliseconds. */
  readonly openedAt: number
  entries: Array<Entry>
  length: number
}

/** Whether a message may be in a batch that nobody asked for, as far as itself is concerned. */
export const mayJoin = (config: ProducerConfig, part: PreparedMessage): boolean =>
  part.message.delay === undefined && !isRetryTopic(part.topic) && !wantsCompression(config, part)

const keyOf = ({ tags, topic, waitStoreMsgOK = true }: Message, options: SendOptions | undefined, timeout: number) => {
  const { orderingKey, queue } = options ?? {}
  return JSON.stringify([
    topic,
    waitStoreMsgOK,
    timeout,
    tags,
    queue === undefined ? 0 : MessageQueue.key(queue),
    typeof orderingKey,
    `${orderingKey}`
  ])
}

/**
 * Makes an accumulator; its one fiber lives in the scope and sleeps until the next group is due, or until there is one.
 * A batch that has left belongs to no caller, but to the producer: it goes on whoever is interrupted, and ends with
 * `illegal` when it is left over by the shutdown.
 */
export const make = Effect.fnUntraced(function* (
  config: ProducerConfig,
  engine: SendEngine,
  newId: () => string,
  fork: Fork,
  illegal: () => IllegalServiceState
): Effect.fn.Return<ProduceAccumulator, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const now = monotonicMillis(clock)
  /** In the order in which they were opened, which is that in which they are due. */
  const groups = new Map<string, Group>()
  const waiting = Latch.makeUnsafe(false)
  const { batchMaxBytes, batchMaxDelayMs, totalBatchMaxBytes } = config
  let held = 0
  let closed = false

  const end = ({ length, resume }: Entry, exit: Effect.Effect<SendResult, SendError>) => {
    held -= length
    engine.settle()
    resume?.(exit)
  }

  const transmit = (group: Group, entries: readonly [Entry, ...Array<Entry>]) => {
    const [first] = entries
    const timeoutMillis = Math.max(1, group.timeoutMillis - (now() - group.openedAt))
    const options = { ...group.options, timeoutMillis, accepted: true }
    const parts = entries.map((entry) => entry.part)
    const send = engine.dispatch(
      entries.length === 1 ? first.part : SendBatch.join([first.part, ...parts.slice(1)], newId()),
      options
    )
    return Effect.matchCause(send, {
      onSuccess: (result) => {
        const results = entries.length === 1 ? [result] : SendBatch.split(result, parts)
        for (const [index, entry] of entries.entries()) end(entry, Effect.succeed(results[index] ?? result))
      },
      onFailure: (cause) => {
        for (const entry of entries) {
          end(
            entry,
            Effect.mapError(Effect.failCause(cause), (error) => SendBatch.errorOf(error, entry.part))
          )
        }
      }
    })
  }

  const flush = (group: Group) => {
    groups.delete(group.key)
    const [first, ...more] = group.entries
    if (first === undefined) return
    const left = Effect.sync(() => {
      for (const entry of [first, ...more]) {
        end(entry, Effect.fail(SendBatch.leftOver(entry.part, "unknown", illegal())))
      }
    })
    fork(Effect.onInterrupt(transmit(group, [first, ...more]), () => left))
  }

  const add = (group: Group, entry: Entry) => {
    group.entries.push(entry)
    group.length += entry.length
  }

  const open = (key: string, options: SendOptions | undefined, timeoutMillis: number): Group => {
    const group: Group = { key, options, timeoutMillis, openedAt: now(), entries: [], length: 0 }
    groups.set(key, group)
    return group
  }

  /** Takes the message of a caller who gave up out of its group, if it has not left. */
  const cancel = (key: string, group: Group, entry: Entry) => {
    entry.resume = undefined
    if (groups.get(key) !== group) return
    group.entries = group.entries.filter((other) => other !== entry)
    group.length -= entry.length
    end(entry, Effect.interrupt)
  }

  const join = (part: PreparedMessage, length: number, options: SendOptions | undefined, timeoutMillis: number) =>
    Effect.callback<SendResult, SendError>((resume) => {
      const entry: Entry = { part, length, resume }
      const key = keyOf(part.message, options, timeoutMillis)
      const before = groups.get(key)
      if (before !== undefined && before.length + length > batchMaxBytes) flush(before)
      const group = groups.get(key) ?? open(key, options, timeoutMillis)
      held += length
      add(group, entry)
      if (group.length >= batchMaxBytes) flush(group)
      // Only now, as the fiber runs on at once: on a machine that stood still meanwhile the group is due already.
      else waiting.openUnsafe()
      return Effect.sync(() => cancel(key, group, entry))
    })

  const send: SendEngine["send"] = (message, options) =>
    Effect.withFiber((fiber) => {
      const timeoutMillis = timeoutOf(config, options)
      // One that waits for others must have time left when it leaves; what is wrong with the options, the send will say.
      if (closed || options?.selector !== undefined || !(timeoutMillis > batchMaxDelayMs && isTimeout(timeoutMillis))) {
        return engine.send(message, options)
      }
      const part = engine.prepare(message, options)
      if (isInvalid(part) || !mayJoin(config, part)) return engine.dispatch(part, options)
      const length = SendBatch.partLength(part)
      if (length > batchMaxBytes || held + length > totalBatchMaxBytes || engine.accept() !== undefined) {
        return engine.dispatch(part, options)
      }
      return join(ContextPropagation.ofCaller(part, fiber), length, options, timeoutMillis)
    })

  const tick = Effect.suspend(() => {
    const [first] = groups.values()
    if (first === undefined) {
      waiting.closeUnsafe()
      return waiting.await
    }
    const left = first.openedAt + batchMaxDelayMs - now()
    if (left > 0) return Effect.sleep(Math.ceil(left))
    flush(first)
    return Effect.void
  })
  yield* Effect.forkScoped(Effect.forever(tick, { disableYield: true }), { startImmediately: true })

  return {
    send,
    close: () => {
      closed = true
      for (const group of groups.values()) flush(group)
    }
  }
})
