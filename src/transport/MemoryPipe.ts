import { Clock, Duration, Effect } from "effect"
import type { WireErrorKind } from "./Wire.ts"

/** Bytes that wait in a pipe before a write suspends. */
const CAPACITY = 262_144

/** One direction of a virtual connection: bytes in order, bounded, with the ends a TCP stream has. */
export interface Pipe {
  /** All chunks that have arrived, at least one; `closed` after the writer's end, `reset` after a cut. */
  readonly pull: Effect.Effect<ReadonlyArray<Uint8Array>, WireErrorKind>
  /** Puts a copy of the chunk into the pipe, and suspends while more than the capacity lies in it. */
  readonly write: (chunk: Uint8Array) => Effect.Effect<void, WireErrorKind>
  /** The writer closes: what lies in the pipe can still be read. */
  readonly end: () => void
  /** The reader closes: writes fail from now on. */
  readonly abandon: () => void
  /**
   * Both ends fail with `reset`, and what lies in the pipe is lost. Returns what notifies them: a caller that resets
   * both directions calls it afterwards, or the end that is notified first would close the other direction.
   */
  readonly reset: () => () => void
  /** While held, nothing arrives. */
  readonly hold: (held: boolean) => void
  /** Whether either end has closed. */
  readonly isOver: () => boolean
}

type Resume<A> = (effect: Effect.Effect<A, WireErrorKind>) => void

/** Makes one direction of a virtual connection. */
export const makePipe = (options: {
  readonly clock: Clock.Clock
  /** Milliseconds that a chunk takes; a later one never arrives before an earlier one. */
  readonly latencyMillis: () => number
  /** Bytes that a chunk has at most. */
  readonly sliceBytes: () => number
}): Pipe => {
  const { clock, latencyMillis, sliceBytes } = options
  /**
   * In whole nanoseconds: with fractions of milliseconds a chunk could be due a little after the sleep that waits for
   * it.
   */
  const now = () => Number(clock.monotonicTimeNanosUnsafe())
  let chunks: Array<{ readonly bytes: Uint8Array; readonly due: number }> = []
  let size = 0
  let lastDue = 0
  let held = false
  let ended = false
  let failure: WireErrorKind | undefined
  let reader: (() => void) | undefined
  let writers: Array<Resume<void>> = []

  const wakeReader = () => {
    const wake = reader
    reader = undefined
    wake?.()
  }
  const wakeWriters = (result: Effect.Effect<void, WireErrorKind>) => {
    const woken = writers
    writers = []
    for (const resume of woken) resume(result)
  }

  /** The chunks that are due by now; the rest stays. */
  const takeDue = (): ReadonlyArray<Uint8Array> => {
    const time = now()
    let due = 0
    const taken: Array<Uint8Array> = []
    for (; due < chunks.length; due++) {
      const chunk = chunks[due]
      if (chunk === undefined || chunk.due > time) break
      taken.push(chunk.bytes)
      size -= chunk.bytes.length
    }
    chunks = due === chunks.length ? [] : chunks.slice(due)
    return taken
  }

  const pull: Pipe["pull"] = Effect.suspend(() => {
    if (failure !== undefined) return Effect.fail(failure)
    const first = held ? undefined : chunks[0]
    if (first !== undefined) {
      const early = first.due - now()
      if (early > 0) return Effect.andThen(clock.sleep(Duration.nanos(BigInt(early))), pull)
      const taken = takeDue()
      if (writers.length > 0 && size <= CAPACITY) wakeWriters(Effect.void)
      return Effect.succeed(taken)
    }
    if (ended && !held) return Effect.fail("closed" as const)
    return Effect.flatMap(
      // The fiber may have yielded since it looked, so it looks again in the step in which it suspends.
      Effect.callback<void>((resume) => {
        if (failure !== undefined || (!held && (chunks.length > 0 || ended))) return resume(Effect.void)
        reader = () => resume(Effect.void)
        return Effect.sync(() => {
          reader = undefined
        })
      }),
      () => pull
    )
  })

  const write: Pipe["write"] = (chunk) =>
    Effect.suspend(() => {
      if (failure !== undefined) return Effect.fail(failure)
      if (ended) return Effect.fail("closed" as const)
      const slice = sliceBytes()
      for (let start = 0; start < chunk.length; start += slice) {
        lastDue = Math.max(lastDue, now() + Math.round(latencyMillis() * 1e6))
        chunks.push({ bytes: chunk.slice(start, Math.min(start + slice, chunk.length)), due: lastDue })
      }
      size += chunk.length
      if (!held) wakeReader()
      if (size <= CAPACITY) return Effect.void
      return Effect.callback<void, WireErrorKind>((resume) => {
        if (failure !== undefined) return resume(Effect.fail(failure))
        if (ended) return resume(Effect.fail("closed"))
        if (size <= CAPACITY) return resume(Effect.void)
        writers.push(resume)
        return Effect.sync(() => {
          writers = writers.filter((writer) => writer !== resume)
        })
      })
    })

  const fail = (kind: WireErrorKind) => {
    if (failure !== undefined) return () => {}
    failure = kind
    chunks = []
    size = 0
    return () => {
      wakeReader()
      wakeWriters(Effect.fail(kind))
    }
  }

  return {
    pull,
    write,
    end: () => {
      if (ended) return
      ended = true
      wakeWriters(Effect.fail("closed"))
      if (!held) wakeReader()
    },
    abandon: () => fail(ended ? "closed" : "reset")(),
    reset: () => fail("reset"),
    hold: (value) => {
      held = value
      if (!held) wakeReader()
    },
    isOver: () => ended || failure !== undefined
  }
}
