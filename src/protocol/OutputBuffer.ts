const SLAB_BYTES = 65_536
/** A slab above this is not kept for the next turn. */
const KEPT_BYTES = 4 * 1024 * 1024

/**
 * A growable byte sink for outgoing frames: frames are appended with `encodeInto`, and {@link OutputBuffer.take} hands
 * out all that was written since the last take.
 *
 * Bytes handed out are not written again before a {@link OutputBuffer.reuse}: writing goes on behind them in the same
 * slab until it is full, then in a new slab. So a taken chunk may be kept by a socket while further frames are encoded.
 */
export class OutputBuffer {
  /** The current slab. Writers put bytes at `end` after a `reserve`, then move `end`. */
  bytes: Buffer
  /** First byte of the slab that was written and not yet taken. */
  start = 0
  /** Where the next byte goes. */
  end = 0

  constructor(initialBytes: number) {
    this.bytes = Buffer.allocUnsafeSlow(initialBytes)
  }

  /** Bytes written and not yet taken. */
  get length(): number {
    return this.end - this.start
  }

  /** Makes room for `size` more bytes at `end`. `bytes`, `start` and `end` may change. */
  reserve(size: number): void {
    if (this.bytes.length - this.end >= size) return
    const pending = this.end - this.start
    // Twice the pending bytes: each byte is moved a bounded number of times however much piles up before a take.
    const next = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, pending * 2 + size))
    this.bytes.copy(next, 0, this.start, this.end)
    this.bytes = next
    this.start = 0
    this.end = pending
  }

  /** Hands out everything written since the last take, and starts anew. Empty when nothing was written. */
  take(): Uint8Array {
    const taken = new Uint8Array(this.bytes.buffer, this.bytes.byteOffset + this.start, this.end - this.start)
    this.start = this.end
    return taken
  }

  /**
   * Writes over the bytes that were handed out: to be called when nobody needs any of them any more. One slab then
   * serves turn after turn, instead of a new one for each, whose allocation and collection would cost as much as the
   * encoding. A slab that grew for a burst is given up when much less is needed.
   */
  reuse(): void {
    const pending = this.end - this.start
    const size = this.bytes.length
    if (pending > 0) return
    if (size > SLAB_BYTES && (size > KEPT_BYTES || this.end < size >>> 3)) this.bytes = emptySlab
    this.start = 0
    this.end = 0
  }
}

const emptySlab = Buffer.alloc(0)

/** Makes an empty {@link OutputBuffer}; `initialBytes` is the size of its first slab, default 4096. */
export const make = (initialBytes = 4096): OutputBuffer => new OutputBuffer(initialBytes)
