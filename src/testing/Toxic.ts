import type { Duration } from "effect"
import * as Millis from "../message/Millis.ts"
import type { PassingFrame } from "./FrameCutter.ts"

/** A way through a fault proxy: `upstream` from the client to the server, `downstream` back. */
export type Direction = "upstream" | "downstream"

/** What a fault proxy does to one direction of its connections, as data. */
export type Toxic =
  /** Everything arrives so many milliseconds later, and up to `jitterMillis` more; the order stays. */
  | { readonly _tag: "Latency"; readonly millis: number; readonly jitterMillis: number }
  /** At most so many bytes a second get through. */
  | { readonly _tag: "Bandwidth"; readonly bytesPerSecond: number }
  /** Bytes arrive in pieces of `bytes`, with `delayMillis` between them. */
  | { readonly _tag: "Slicer"; readonly bytes: number; readonly delayMillis: number }
  /** Nothing gets through, and nothing is lost: it arrives when the toxic is removed. */
  | { readonly _tag: "HalfOpen" }
  /** Everything is taken and nothing is delivered. */
  | { readonly _tag: "BlackHole" }
  /** After so many bytes the connection is closed or reset, or the rest is swallowed. */
  | { readonly _tag: "Limit"; readonly bytes: number; readonly end: "close" | "reset" | "silence" }
  /** Chunks are changed; `offset` is where the chunk stands in its connection, in bytes. */
  | { readonly _tag: "Corrupt"; readonly change: (chunk: Uint8Array, offset: number) => Uint8Array }
  /** Whole frames are changed: none, one or several may come of each. */
  | { readonly _tag: "Frames"; readonly change: (frame: PassingFrame) => ReadonlyArray<Uint8Array> }

/** Everything arrives so much later, and up to `jitter` (default 0) more; the order stays. A bare number is milliseconds. */
export const latency = (time: Duration.Input, jitter: Duration.Input = 0): Toxic => ({
  _tag: "Latency",
  millis: Millis.pause(time),
  jitterMillis: Millis.pause(jitter)
})

/** At most so many bytes a second get through; the sender feels it as soon as the buffers on the way are full. */
export const bandwidth = (bytesPerSecond: number): Toxic => ({ _tag: "Bandwidth", bytesPerSecond })

/** Bytes arrive in pieces of `bytes`, with `delay` (default 0) between them; a bare number is milliseconds. */
export const slicer = (bytes: number, delay: Duration.Input = 0): Toxic => ({
  _tag: "Slicer",
  bytes,
  delayMillis: Millis.pause(delay)
})

/**
 * Nothing gets through, not even the end of the connection, and nothing is lost: it arrives when the toxic is removed. As
 * when a cable is out.
 */
export const halfOpen: Toxic = { _tag: "HalfOpen" }

/** Everything is taken and nothing is delivered, the end of the connection included. What is swallowed stays lost. */
export const blackHole: Toxic = { _tag: "BlackHole" }

/**
 * After so many bytes of each connection the connection is closed (the default), reset, or the rest is swallowed
 * (`silence`).
 */
export const limit = (bytes: number, end: "close" | "reset" | "silence" = "close"): Toxic => ({
  _tag: "Limit",
  bytes,
  end
})

/**
 * Bytes are changed by a function of the chunk and of the place of its first byte, counted for each connection from when
 * the toxic came. It may shorten and lengthen, and may change the chunk it is given.
 */
export const corrupt = (change: (chunk: Uint8Array, offset: number) => Uint8Array): Toxic => ({
  _tag: "Corrupt",
  change
})

/** The bytes from `offset` on are replaced by these. */
export const corruptAt = (offset: number, bytes: Uint8Array): Toxic =>
  corrupt((chunk, at) => {
    for (let i = 0; i < bytes.length; i++) {
      const index = offset + i - at
      if (index >= 0 && index < chunk.length) chunk[index] = bytes[i] ?? 0
    }
    return chunk
  })

/**
 * Whole frames of the protocol are replaced: by none, by themselves (`[frame.bytes]`), by several, or by anything else.
 * Bytes that cannot be the beginning of a frame pass as they are.
 */
export const frames = (change: (frame: PassingFrame) => ReadonlyArray<Uint8Array>): Toxic => ({
  _tag: "Frames",
  change
})
