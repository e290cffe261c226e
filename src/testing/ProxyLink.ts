import { Cause, Effect, Random } from "effect"
import type { Latch } from "effect"
import type * as Net from "node:net"
import * as FrameCutter from "./FrameCutter.ts"
import type { Toxic } from "./Toxic.ts"

/** A toxic that is in force in a direction of a proxy. */
export interface ActiveToxic {
  readonly toxic: Toxic
  /** Opens when the toxic is taken out. */
  readonly removed: Latch.Latch
}

/** What arrives on one end of a connection: bytes, or how it ended. */
type Packet = Uint8Array | "end" | "reset"

/** One direction of one connection. */
export interface LinkOptions {
  readonly source: Net.Socket
  readonly sink: Net.Socket
  /** The toxics of the direction, in the order in which they act. */
  readonly toxics: () => ReadonlyArray<ActiveToxic>
  /** Told of bytes that were delivered. */
  readonly delivered: (bytes: number) => void
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** Ends the connection on both sides. */
  readonly cut: (how: "close" | "reset") => void
}

/** The toxics that do something to bytes and nothing to the end of a connection. */
type ByteToxic = Exclude<Toxic, { readonly _tag: "HalfOpen" | "BlackHole" | "Latency" }>

/** Bytes that wait in a link, above which its source is not read. */
const HIGH_WATER = 64 * 1024
/** How many pieces a second a limited bandwidth is made of. */
const PIECES_A_SECOND = 50

/** Buffers what a socket gives; `take` suspends while there is nothing. */
const makeInbox = (source: Net.Socket, now: () => number) => {
  const packets: Array<{ readonly packet: Packet; readonly at: number }> = []
  let size = 0
  let resume: (() => void) | undefined
  const put = (packet: Packet) => {
    packets.push({ packet, at: now() })
    resume?.()
  }
  source.on("data", (chunk: Uint8Array) => {
    size += chunk.length
    if (size > HIGH_WATER) source.pause()
    put(chunk)
  })
  source.on("end", () => put("end"))
  source.on("error", () => put("reset"))
  const wait = Effect.callback<void>((done) => {
    resume = () => done(Effect.void)
    if (packets.length > 0) resume()
    return Effect.sync(() => {
      resume = undefined
    })
  })
  const take = Effect.gen(function* () {
    for (;;) {
      const next = packets.shift()
      if (next === undefined) {
        yield* wait
        continue
      }
      if (typeof next.packet !== "string") {
        size -= next.packet.length
        if (size <= HIGH_WATER && source.isPaused()) source.resume()
      }
      return next
    }
  })
  return { take }
}

const inPieces = (bytes: Uint8Array, size: number): ReadonlyArray<Uint8Array> =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))

/** Hands bytes to the kernel; returns when it has taken them, or when the socket is no more. */
const write = (sink: Net.Socket, bytes: Uint8Array): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (sink.destroyed || sink.writableEnded) return resume(Effect.void)
    const done = () => {
      sink.off("close", done)
      resume(Effect.void)
    }
    sink.once("close", done)
    sink.write(bytes, done)
    return Effect.sync(() => {
      sink.off("close", done)
    })
  })

/**
 * Makes what carries bytes from one socket to the other, through the toxics, until the direction has ended. The source is
 * listened to at once.
 */
export const make = (options: LinkOptions): Effect.Effect<void> => {
  const inbox = makeInbox(options.source, options.now)
  return Effect.gen(function* () {
    const { cut, delivered, now, sink, toxics } = options
    /** Bytes that each toxic saw, and the frames that it put together. */
    const seen = new Map<ActiveToxic, number>()
    const cutters = new Map<ActiveToxic, FrameCutter.FrameCutter>()
    const state = { ended: false }

    const pause = ({ removed }: ActiveToxic, millis: number): Effect.Effect<void> =>
      millis <= 0 ? Effect.void : Effect.asVoid(Effect.raceFirst(Effect.sleep(millis), removed.await))

    const end = (how: "end" | "reset") =>
      Effect.sync(() => {
        if (state.ended) return
        state.ended = true
        if (how === "end") sink.end()
        else cut("reset")
      })

    const deliver = (packet: Packet): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (typeof packet === "string") return end(packet)
        if (state.ended) return Effect.void
        return Effect.map(write(sink, packet), () => delivered(packet.length))
      })

    /** Hands a packet, which came at `at`, to the toxics of the list, one after the other, and then to the sink. */
    const pass = (packet: Packet, at: number, list: ReadonlyArray<ActiveToxic>): Effect.Effect<void> =>
      Effect.suspend(() => {
        const [active, ...rest] = list
        if (active === undefined) return deliver(packet)
        const { toxic } = active
        const on = (next: Packet) => pass(next, at, rest)
        if (toxic._tag === "HalfOpen") return Effect.andThen(active.removed.await, on(packet))
        if (toxic._tag === "BlackHole") return Effect.void
        if (toxic._tag === "Latency") {
          const due = at + toxic.millis
          return Effect.flatMap(Random.next, (chance) =>
            Effect.andThen(pause(active, due + chance * toxic.jitterMillis - now()), on(packet))
          )
        }
        return typeof packet === "string" ? on(packet) : passBytes(packet, active, toxic, on)
      })

    const passBytes = (
      bytes: Uint8Array,
      active: ActiveToxic,
      toxic: ByteToxic,
      on: (bytes: Uint8Array) => Effect.Effect<void>
    ): Effect.Effect<void> => {
      const offset = seen.get(active) ?? 0
      seen.set(active, offset + bytes.length)
      switch (toxic._tag) {
        case "Bandwidth": {
          const { bytesPerSecond } = toxic
          return Effect.forEach(
            inPieces(bytes, Math.max(1, Math.ceil(bytesPerSecond / PIECES_A_SECOND))),
            (piece) => Effect.andThen(pause(active, (piece.length / bytesPerSecond) * 1000), on(piece)),
            { discard: true }
          )
        }
        case "Slicer": {
          // A turn of the event loop, so that even without a delay the pieces are read one by one.
          const gap = toxic.delayMillis > 0 ? pause(active, toxic.delayMillis) : Effect.yieldNow
          return Effect.forEach(inPieces(bytes, toxic.bytes), (piece) => Effect.andThen(on(piece), gap), {
            discard: true
          })
        }
        case "Limit":
          return passUpTo(bytes, toxic.bytes - offset, toxic.end, on)
        case "Corrupt":
          return on(toxic.change(Uint8Array.from(bytes), offset))
        default: {
          const cutter = cutters.get(active) ?? FrameCutter.make()
          cutters.set(active, cutter)
          return Effect.forEach(
            cutter.push(bytes).flatMap((piece) => (piece instanceof Uint8Array ? [piece] : toxic.change(piece))),
            on,
            { discard: true }
          )
        }
      }
    }

    const passUpTo = (
      bytes: Uint8Array,
      left: number,
      how: "close" | "reset" | "silence",
      on: (bytes: Uint8Array) => Effect.Effect<void>
    ): Effect.Effect<void> =>
      Effect.andThen(
        left > 0 ? on(bytes.subarray(0, left)) : Effect.void,
        Effect.sync(() => {
          if (bytes.length < left || how === "silence" || state.ended) return
          state.ended = true
          cut(how)
        })
      )

    /** What toxics that are gone had kept back. */
    const takeRests = (list: ReadonlyArray<ActiveToxic>): ReadonlyArray<Uint8Array> =>
      [...cutters].flatMap(([active, cutter]) => {
        if (list.includes(active)) return []
        cutters.delete(active)
        const rest = cutter.takeRest()
        return rest.length === 0 ? [] : [rest]
      })

    while (!state.ended) {
      const { at, packet } = yield* inbox.take
      const list = toxics()
      for (const rest of takeRests(list)) yield* pass(rest, at, list)
      yield* pass(packet, at, list)
      if (typeof packet === "string") return
    }
  }).pipe(
    Effect.catchCause((cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.void
        : Effect.andThen(
            Effect.logWarning("a toxic of a fault proxy failed", cause),
            Effect.sync(() => options.cut("reset"))
          )
    )
  )
}
