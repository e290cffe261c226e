import * as Arr from "effect/Array"
import { type Cause, Effect, Exit, Fiber, type Pull, Stream } from "effect"
import { callerOf } from "../send/StartSend.ts"

/**
 * Begins something for a caller, and tells its end once, now or later. Gives how it is ended before that: by an effect that
 * is done when nothing of it is left.
 */
export type Start<A, B, E> = (
  caller: Fiber.Fiber<unknown, unknown>,
  a: A,
  done: (exit: Exit.Exit<B, E>) => void
) => () => Effect.Effect<unknown>

/** What was begun and has not been taken downstream. */
interface Slot<B, E> {
  exit: Exit.Exit<B, E> | undefined
  cancel: (() => Effect.Effect<unknown>) | undefined
}

/** Slots that were taken and still lie in the array; then it is made shorter. */
const MAX_TAKEN = 1_024

/**
 * What `Stream.mapEffect` with a concurrency promises, for what is told by callbacks: results in order, the first failure
 * ends it, at most so many under way or waiting to be taken, and an interruption ends those under way. It has one fiber,
 * which pulls the source, and no fiber, scope or place in a queue for each element, which cost more there than a send does.
 *
 * What ends in one turn of the event loop leaves as one chunk: the first end schedules one microtask, the consumer that it
 * wakes makes room, and the next ones begin in the same turn, so that they share a write.
 */
export const mapStart =
  <A, B, E2>(start: Start<A, B, E2>, concurrency: number) =>
  <E, R>(source: Stream.Stream<A, E, R>): Stream.Stream<B, E | E2, R> =>
    Stream.unwrap(
      Effect.gen(function* () {
        const most = Math.max(1, Math.floor(concurrency) || 1)
        // Not the fiber that runs this: a stream may be taken from by several, one after the other.
        const caller = callerOf(yield* Effect.context())
        const pull = yield* Stream.toPull(source)
        /** In the order of the source; those before `head` were taken. */
        const slots: Array<Slot<B, E2>> = []
        let head = 0
        let chunk: ReadonlyArray<A> = []
        let at = 0
        let failure: Cause.Cause<E2> | undefined
        let end: Cause.Cause<E | Cause.Done> | undefined
        let closed = false
        let scheduled = false
        let consumer: (() => void) | undefined
        let puller: (() => void) | undefined

        const hasRoom = () => slots.length - head < most
        const isUsed = () => at === chunk.length

        const isOver = () => end !== undefined && head === slots.length && isUsed()
        /** Whether there is something to be taken: a result, a failure or the end. */
        const canTake = () => failure !== undefined || slots[head]?.exit !== undefined || isOver()

        const flush = () => {
          scheduled = false
          const wake = consumer
          if (wake === undefined || closed || !canTake()) return
          consumer = undefined
          wake()
        }

        const settle = (slot: Slot<B, E2>, exit: Exit.Exit<B, E2>) => {
          if (closed || slot.exit !== undefined) return
          slot.exit = exit
          slot.cancel = undefined
          if (Exit.isFailure(exit)) failure ??= exit.cause
          // Only what is next, or a failure, concerns the consumer.
          if (scheduled || (slot !== slots[head] && failure === undefined)) return
          scheduled = true
          queueMicrotask(flush)
        }

        const begin = (a: A) => {
          if (failure !== undefined) return
          const slot: Slot<B, E2> = { exit: undefined, cancel: undefined }
          slots.push(slot)
          try {
            const cancel = start(caller, a, (exit) => settle(slot, exit))
            if (slot.exit === undefined) slot.cancel = cancel
          } catch (defect) {
            settle(slot, Exit.die(defect))
          }
        }

        const beginMore = () => {
          if (failure === undefined && !closed) {
            const some = chunk.slice(at, at + most - (slots.length - head))
            at += some.length
            for (const a of some) begin(a)
          }
          if (!isUsed() || !hasRoom()) return
          const wake = puller
          puller = undefined
          wake?.()
        }

        // A fiber may pause before it is here: what it would wait for may be there already.
        const wanted = Effect.callback<undefined>((resume) => {
          if (isUsed() && hasRoom()) return resume(Effect.undefined)
          puller = () => resume(Effect.undefined)
        })
        yield* Effect.whileLoop<ReadonlyArray<A> | undefined, E | Cause.Done, R>({
          while: () => true,
          body: () => (isUsed() && hasRoom() ? pull : wanted),
          step: (pulled) => {
            if (pulled === undefined) return
            chunk = pulled
            at = 0
            beginMore()
          }
        }).pipe(
          Effect.catchCause((cause) =>
            Effect.sync(() => {
              end = cause
              flush()
            })
          ),
          Effect.forkScoped({ startImmediately: true })
        )
        yield* Effect.addFinalizer(() =>
          Effect.suspend(() => {
            closed = true
            const ends = slots.map(({ cancel }) => cancel?.() ?? Effect.void)
            return Effect.all([Fiber.interrupt(caller), ...ends], { concurrency: "unbounded", discard: true })
          })
        )

        /** What is there and next; the failure only after it, and the end of the source after all. */
        const take = (): Pull.Pull<Arr.NonEmptyReadonlyArray<B>, E | E2> | undefined => {
          const out: Array<B> = []
          for (let slot = slots[head]; slot?.exit !== undefined && Exit.isSuccess(slot.exit); slot = slots[++head]) {
            out.push(slot.exit.value)
          }
          if (head === slots.length || head > MAX_TAKEN) {
            slots.splice(0, head)
            head = 0
          }
          if (Arr.isArrayNonEmpty(out)) return Effect.succeed(out)
          if (failure !== undefined) return Effect.failCause(failure)
          return end !== undefined && isOver() ? Effect.failCause(end) : undefined
        }
        const ready = Effect.callback<void>((resume) => {
          if (canTake()) return resume(Effect.void)
          consumer = () => resume(Effect.void)
        })
        const next: Pull.Pull<Arr.NonEmptyReadonlyArray<B>, E | E2> = Effect.suspend(() => {
          const taken = take()
          if (taken === undefined) return Effect.flatMap(ready, () => next)
          beginMore()
          return taken
        })
        return Stream.fromPull(Effect.succeed(next))
      })
    )
