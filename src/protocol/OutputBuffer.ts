const SLAB_BYTES = 65_536
/** A slab above this is not kept for the next turn. */
const KEPT_BYTES = 4 * 1024 * 1024

/** The longest text of a number. */
export const MAX_NUMBER_BYTES = 25

/** From so many bytes on they are better lent: below, a copy costs less than what a piece of its own costs the socket. */
export const LENT_BYTES = 16_384

/** The most bytes that a UTF-16 unit takes inside JSON text: `\u0001`. */
export const MAX_UNIT_BYTES = 6

const ZERO = 48

/** The bytes of a text that is written often. */
export const fixed = (text: string): Uint8Array => new TextEncoder().encode(text)

/**
 * A growable byte sink for outgoing frames: frames are appended with `encodeInto`, and {@link OutputBuffer.take} hands
 * out all that was written since the last take. Texts that are written for every message are put piece by piece: what
 * stays the same is kept as bytes, and what changes is written without a string in between.
 *
 * Bytes handed out are not written again before a {@link OutputBuffer.reuse}: writing goes on behind them in the same
 * slab until it is full, then in a new slab. So a taken chunk may be kept by a socket while further frames are encoded.
 * Large bytes can be lent instead of copied ({@link OutputBuffer.lend}): they are handed out in their place.
 */
export class OutputBuffer {
  /** The current slab. Writers put bytes at `end` after a `reserve`, then move `end`. */
  bytes: Buffer
  /** First byte of the slab that was written and not yet taken. */
  start = 0
  /** Where the next byte goes. */
  end = 0
  /** What was written and not yet taken before `start`: lent bytes, and what was written before each. */
  private pieces: Array<Uint8Array> = []
  private pieceBytes = 0

  constructor(initialBytes: number) {
    this.bytes = Buffer.allocUnsafeSlow(initialBytes)
  }

  /** Bytes written and not yet taken. */
  get length(): number {
    return this.pieceBytes + this.end - this.start
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

  /** Appends bytes; the room for them must have been reserved, as for everything that is put. */
  putBytes(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.end)
    this.end += bytes.length
  }

  /** Appends bytes without a copy, and without room reserved: whoever lends them must not change them before they are flushed. */
  lend(bytes: Uint8Array): void {
    this.pieces.push(this.written(), bytes)
    this.pieceBytes += this.end - this.start + bytes.length
    this.start = this.end
  }

  /** Appends a number as `String` writes it, {@link MAX_NUMBER_BYTES} at most. */
  putNumber(value: number): void {
    const { bytes } = this
    if (!Number.isSafeInteger(value) || value < 0) {
      this.end += bytes.write(String(value), this.end, "latin1")
      return
    }
    let end = this.end + 1
    for (let more = value; more >= 10; more = Math.floor(more / 10)) end++
    this.end = end
    let left = value
    do {
      const rest = Math.floor(left / 10)
      bytes[--end] = ZERO + (left - rest * 10)
      left = rest
    } while (left > 0)
  }

  /** Appends the inside of a JSON string, as `JSON.stringify` writes it, {@link MAX_UNIT_BYTES} a UTF-16 unit at most. */
  putText(text: string): void {
    const { bytes } = this
    let at = this.end
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      if (unit === 1 || unit === 2) {
        // What separates properties.
        bytes[at] = 92
        bytes[at + 1] = 117
        bytes[at + 2] = ZERO
        bytes[at + 3] = ZERO
        bytes[at + 4] = ZERO
        bytes[at + 5] = ZERO + unit
        at += 6
      } else if (unit === 34 || unit === 92) {
        bytes[at] = 92
        bytes[at + 1] = unit
        at += 2
      } else if (unit >= 32 && unit < 127) {
        bytes[at++] = unit
      } else {
        const quoted = JSON.stringify(text)
        this.end += bytes.write(quoted.slice(1, -1), this.end, "utf8")
        return
      }
    }
    this.end = at
  }

  private written(): Uint8Array {
    return new Uint8Array(this.bytes.buffer, this.bytes.byteOffset + this.start, this.end - this.start)
  }

  /** Hands out everything written since the last take, in its order, and starts anew. Empty when nothing was written. */
  take(): ReadonlyArray<Uint8Array> {
    const taken = this.pieces
    if (this.end > this.start) taken.push(this.written())
    this.pieces = []
    this.pieceBytes = 0
    this.start = this.end
    return taken
  }

  /**
   * Writes over the bytes that were handed out: to be called when nobody needs any of them any more. One slab then
   * serves turn after turn, instead of a new one for each, whose allocation and collection would cost as much as the
   * encoding. A slab that grew for a burst is given up when much less is needed.
   */
  reuse(): void {
    const size = this.bytes.length
    if (this.length > 0) return
    if (size > SLAB_BYTES && (size > KEPT_BYTES || this.end < size >>> 3)) this.bytes = emptySlab
    this.start = 0
    this.end = 0
  }
}

const emptySlab = Buffer.alloc(0)

/** Makes an empty {@link OutputBuffer}; `initialBytes` is the size of its first slab, default 4096. */
export const make = (initialBytes = 4096): OutputBuffer => new OutputBuffer(initialBytes)
