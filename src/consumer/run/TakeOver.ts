import { Effect, Semaphore } from "effect"
import type { PullPosition } from "../../client/PullOutcome.ts"
import type { MessageExt } from "../../message/MessageExt.ts"
import { RETRY_GROUP_TOPIC_PREFIX } from "../../message/MixAll.ts"
import { SysFlag } from "../../message/SysFlag.ts"
import type { Received } from "../consume/Settle.ts"
import { asReceived } from "../ReceivedMessage.ts"
import type { Room } from "./Room.ts"
import type { OwnedQueue, RunOptions } from "./RunOptions.ts"

/** How many bodies of all queues are unpacked at once. */
const UNPACKED_AT_ONCE = 4

/** Takes what a pull found over into its queue, and offers it to the handlers. */
export const make = (
  options: Pick<
    RunOptions,
    "config" | "consumption" | "counters" | "filter" | "instance" | "redeliveries" | "unreadable"
  >,
  room: Room,
  now: () => number
) => {
  const { consumption, instance } = options
  const retryTopic = RETRY_GROUP_TOPIC_PREFIX + options.config.group
  const unpacking = Semaphore.makeUnsafe(UNPACKED_AT_ONCE)

  const accept = (queue: OwnedQueue, messages: ReadonlyArray<MessageExt>): ReadonlyArray<Received> => {
    const at = now()
    const accepted: Array<Received> = []
    for (const message of messages) {
      const received = asReceived(message, queue.messageQueue, retryTopic)
      const slot = queue.accept(received, message.queueOffset, message.body.length, at)
      if (queue.messageQueue.topic === retryTopic) options.redeliveries.arrived(message)
      if (slot !== undefined) accepted.push(slot)
    }
    return accepted
  }

  /** Hands over a message whose body is packed; what counts for it until then is the instance's budget. */
  const handOver = (queue: OwnedQueue, message: MessageExt) =>
    instance.pulled
      .handOver(message, (unpacked) =>
        Effect.sync(() => {
          if (!queue.revoking && !queue.dropped) consumption.offer(queue, accept(queue, [unpacked]))
        })
      )
      .pipe(
        Effect.catch((error) =>
          Effect.forEach(accept(queue, [message]), (received) => options.unreadable(received, error), { discard: true })
        )
      )

  /**
   * {@link handOver} when there is room: an answer is as long as was asked for, but a kilobyte of it may become 32 MiB. Few
   * at once, so that no more than these come beyond what all queues together may have.
   */
  const handOverWithRoom = (queue: OwnedQueue, message: MessageExt): Effect.Effect<void> =>
    unpacking
      .withPermits(1)(
        Effect.suspend(() => (room.of(queue) > 0 ? Effect.as(handOver(queue, message), true) : Effect.succeed(false)))
      )
      .pipe(
        Effect.flatMap((done) =>
          done || queue.dropped || queue.revoking
            ? Effect.void
            : Effect.andThen(room.await(queue), handOverWithRoom(queue, message))
        )
      )

  return Effect.fnUntraced(function* (
    queue: OwnedQueue,
    { nextBeginOffset }: PullPosition,
    pulled: ReadonlyArray<MessageExt>
  ) {
    if (queue.dropped || queue.revoking) return
    options.counters.received += pulled.length
    let messages = pulled
    if (options.filter !== undefined) {
      messages = yield* options.filter(queue.messageQueue, pulled)
      for (const one of pulled) if (!messages.includes(one)) options.redeliveries.arrived(one)
      options.counters.filtered += pulled.length - messages.length
      // Hooks take their time.
      if (queue.dropped || queue.revoking) return
    }
    if (messages.every(({ sysFlag }) => (sysFlag & SysFlag.COMPRESSED) === 0)) {
      const accepted = accept(queue, messages)
      // What the broker or the filter passed over is finished with what was before it, whoever looks as soon as that is.
      queue.reach(nextBeginOffset)
      consumption.offer(queue, accepted)
    } else {
      // One after the other: the offsets of a queue are taken over in their order.
      for (const message of messages) {
        yield* (message.sysFlag & SysFlag.COMPRESSED) === 0
          ? handOver(queue, message)
          : handOverWithRoom(queue, message)
      }
      queue.reach(nextBeginOffset)
    }
  })
}
