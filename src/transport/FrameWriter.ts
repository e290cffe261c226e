import { Array as Arr, Effect } from "effect"
import * as OutputBuffer from "../protocol/OutputBuffer.ts"
import { encodeInto } from "../protocol/Frame.ts"
import type { RemotingCommand, Request } from "../protocol/RemotingCommand.ts"
import type { RequestEncoder } from "../protocol/Frame.ts"
import type { MutableCounters } from "./Counters.ts"
import type { ByteStream, WireError } from "./Wire.ts"

/**
 * Writes frames to one stream: all frames of one event-loop turn, and all that gather during a write, leave in one
 * write.
 */
export interface FrameWriter {
  /** Encodes a frame and schedules the turn's hand-over. Throws, and writes nothing, when it cannot be encoded. */
  readonly append: (command: RemotingCommand) => void
  /** Like `append`, for a request of this connection. */
  readonly appendRequest: (request: Request, opaque: number, flag: number) => void
  /** Like `append`, for bytes that are a frame already. */
  readonly appendBytes: (bytes: Uint8Array) => void
  /** The number of the hand-over that carries what is appended now. */
  readonly handOver: () => number
  /** Bytes appended that the stream has not taken yet. */
  readonly unwritten: () => number
  /** Waits until the stream has taken what was appended so far. */
  readonly drained: Effect.Effect<void>
  /** Does the writing, until the stream fails. */
  readonly run: Effect.Effect<never, WireError>
}

/** Makes the writer of one stream; `onWritten` gets the number of each hand-over that the stream has taken. */
export const makeFrameWriter = (options: {
  readonly stream: ByteStream
  readonly counters: MutableCounters
  readonly encodeRequest: RequestEncoder
  readonly onWritten: (handOver: number) => void
}): FrameWriter => {
  const { counters, encodeRequest, onWritten, stream } = options
  const out = OutputBuffer.make()
  let handOver = 0
  let writing = 0
  let scheduled = false
  let wakeWriter: (() => void) | undefined
  let drainers: Array<() => void> = []

  const flush = () => {
    scheduled = false
    if (out.length === 0) return
    const resume = wakeWriter
    wakeWriter = undefined
    resume?.()
  }

  const appended = () => {
    counters.framesOut++
    if (scheduled) return
    scheduled = true
    queueMicrotask(flush)
  }

  // While a turn is under way its frames wait for the turn's end, even if the writer is free.
  const work = Effect.callback<void>((resume) => {
    if (out.length > 0 && !scheduled) resume(Effect.void)
    else wakeWriter = () => resume(Effect.void)
  })

  const written = () => {
    writing = 0
    if (stream.isFlushed()) out.reuse()
    onWritten(handOver - 1)
    if (out.length > 0 || drainers.length === 0) return
    const waiting = drainers
    drainers = []
    for (const resume of waiting) resume()
  }

  const hand = () => {
    const bytes = out.length
    const chunks = out.take()
    if (!Arr.isReadonlyArrayNonEmpty(chunks)) return Effect.void
    writing = bytes
    handOver++
    counters.writes++
    counters.bytesOut += writing
    return Effect.map(stream.write(chunks), written)
  }

  return {
    append: (command) => {
      // Moves the end of the buffer only when the whole frame is there, so a throw leaves nothing behind.
      encodeInto(out, command)
      appended()
    },
    appendRequest: (request, opaque, flag) => {
      encodeRequest(out, request, opaque, flag)
      appended()
    },
    appendBytes: (bytes) => {
      out.reserve(bytes.length)
      out.bytes.set(bytes, out.end)
      out.end += bytes.length
      appended()
    },
    handOver: () => handOver,
    unwritten: () => out.length + writing,
    drained: Effect.callback((resume) => {
      if (out.length + writing === 0) return resume(Effect.void)
      const drainer = () => resume(Effect.void)
      drainers.push(drainer)
      return Effect.sync(() => {
        drainers = drainers.filter((other) => other !== drainer)
      })
    }),
    run: Effect.forever(Effect.flatMap(work, hand), { disableYield: true })
  }
}
