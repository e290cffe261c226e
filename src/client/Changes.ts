import { Effect, Queue, Stream } from "effect"
import type { Cause } from "effect"

/**
 * Says when to look again at something that is put together on demand, so that watching it costs nothing while nobody
 * watches. It carries no value: who watches reads what is true when it looks.
 */
export interface Changes {
  /** Something has changed. Waits for nothing. */
  readonly tell: () => void
  /**
   * An element now, and one after every change. Many changes while a watcher is at its last element are one for it; none
   * is lost, and a watcher that is slow costs the others nothing. It never ends by itself.
   */
  readonly signals: Stream.Stream<void>
}

/** A watcher's queue has one place: what lies there makes it look, however much has changed. */
type Watcher = Queue.Queue<void, Cause.Done>

const wake = (watcher: Watcher) => void Queue.offerUnsafe(watcher, undefined)

/** Nobody watches yet. */
export const make = (): Changes => {
  // Not one PubSub for all: from where no effect runs it does not slide, and what one has not taken is lost to the others.
  const watchers = new Set<Watcher>()
  return {
    tell: () => watchers.forEach(wake),
    signals: Stream.callback<void>(
      (queue) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            // Before the first look, so that nothing falls between that look and the watching.
            watchers.add(queue)
            wake(queue)
          }),
          () => Effect.sync(() => watchers.delete(queue))
        ),
      { bufferSize: 1, strategy: "dropping" }
    )
  }
}
