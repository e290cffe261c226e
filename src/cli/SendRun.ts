import { Clock, Duration, Effect, Exit, Fiber, Scope } from "effect"
import type { Message } from "../message/Message.ts"
import type { SendResult } from "../message/SendResult.ts"
import type { SendError } from "../producer/send/SendError.ts"
import { monotonicMillis } from "../transport/Deadline.ts"

/** Where the messages of a run come from: the next one, or undefined at the end. */
export type NextMessage<E = never> = Effect.Effect<Message | undefined, E>

/** A body of so many bytes that says which message it is. */
export const generatedBody = (index: number, size: number): Uint8Array => {
  const body = Buffer.alloc(size, "abcdefghijklmnopqrstuvwxyz0123456789 ")
  body.write(`message ${index} `, 0)
  return body
}

/** What a run of sends has come to, while it goes on and afterwards. */
export interface SendStats {
  sent: number
  acknowledged: number
  /** Not acknowledged, for whatever reason. */
  failed: number
  /** Of those, the ones that may be stored all the same. */
  unknown: number
  /** Handed to a connection, by sends that nobody acknowledges. */
  handedOver: number
  bytes: number
  firstError: SendError | undefined
  last: SendResult | undefined
  /** Milliseconds from the first send to the last answer. */
  elapsedMillis: number
  /** Milliseconds of each acknowledged send, in no order. */
  readonly latencies: Array<number>
}

/** How one message is sent; a way that nobody acknowledges has no result. */
export interface Sender {
  readonly send: (message: Message) => Effect.Effect<SendResult | undefined, SendError>
}

/** Nothing sent yet. */
export const emptyStats = (): SendStats => ({
  sent: 0,
  acknowledged: 0,
  failed: 0,
  unknown: 0,
  handedOver: 0,
  bytes: 0,
  firstError: undefined,
  last: undefined,
  elapsedMillis: 0,
  latencies: []
})

/** The latency that a share of the sends stayed below, in milliseconds; undefined without sends. */
export const percentile = (latencies: ReadonlyArray<number>, share: number): number | undefined => {
  const sorted = Float64Array.from(latencies).toSorted()
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))]
}

/**
 * Sends every message of a source, so many at once, and counts into `stats`. When it is interrupted it takes no further
 * message and gives those under way `drainMillis` to end; what is left then counts as unknown.
 */
export const sendAll = Effect.fnUntraced(function* <E>(
  producer: Sender,
  next: NextMessage<E>,
  stats: SendStats,
  options: {
    readonly concurrency: number
    readonly drainMillis: number
    readonly onResult?: ((message: Message, result: SendResult) => void) | undefined
  }
) {
  const clock = yield* Clock.Clock
  const now = monotonicMillis(clock)
  const begin = now()
  let stopped = false

  const one = (message: Message) =>
    Effect.suspend(() => {
      const sentAt = now()
      stats.sent++
      return Effect.match(producer.send(message), {
        onSuccess: (result) => {
          if (result === undefined) {
            stats.handedOver++
            stats.elapsedMillis = now() - begin
            return
          }
          stats.acknowledged++
          stats.bytes += message.body.length
          stats.last = result
          stats.latencies.push(now() - sentAt)
          stats.elapsedMillis = now() - begin
          options.onResult?.(message, result)
        },
        onFailure: (error) => {
          stats.failed++
          if (error.outcome === "unknown") stats.unknown++
          stats.firstError ??= error
          stats.elapsedMillis = now() - begin
        }
      })
    })

  const worker: Effect.Effect<void, E> = Effect.gen(function* () {
    for (;;) {
      const message = yield* next
      if (message === undefined || stopped) return
      yield* one(message)
    }
  })

  // The workers live in a scope of their own: an interruption stops them between two sends and not within one.
  return yield* Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const workers = yield* Effect.forEach(Array.from({ length: options.concurrency }), () =>
        Effect.forkIn(Effect.interruptible(worker), scope, { startImmediately: true })
      )
      const exit = yield* Effect.exit(restore(Fiber.joinAll(workers)))
      stopped = true
      const underWay = () => stats.sent - stats.acknowledged - stats.handedOver - stats.failed
      const drained = Effect.suspend(() => (underWay() === 0 ? Effect.void : Effect.sleep(DRAIN_POLL_MILLIS))).pipe(
        Effect.repeat({ until: () => underWay() === 0 }),
        Effect.timeoutOption(Duration.millis(options.drainMillis))
      )
      yield* drained
      yield* Scope.close(scope, Exit.void)
      const left = underWay()
      stats.failed += left
      stats.unknown += left
      return yield* Effect.asVoid(exit)
    })
  )
})

/** How often a run that was interrupted looks whether the sends under way have ended, in milliseconds. */
const DRAIN_POLL_MILLIS = 10
