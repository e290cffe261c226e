/**
 * Up to where a queue may be committed: the smallest offset that is not finished, or the one behind the last when all are.
 * A ring of slots, one for each message taken over, each with the offset to go on from once it is done. What a pull left
 * out (filtered by the broker, deleted) needs no slot: the next slot, or {@link Position.reach}, covers it.
 *
 * Offsets of a queue arrive ascending, so taking one over and finishing one are O(1), amortised, without a tree.
 */
export class Position {
  private done = new Uint8Array(64)
  private offsets = new Float64Array(64)
  private after = new Float64Array(64)
  private since = new Float64Array(64)
  private head = 0
  private tail = 0
  /** The next offset that is not finished. */
  value: number

  constructor(value: number) {
    this.value = value
  }

  /** Slots that are not done, or done behind one that is not. */
  get outstanding(): number {
    return this.tail - this.head
  }

  /** The offset of the oldest message that is not finished; undefined when there is none. */
  get oldest(): number | undefined {
    return this.head === this.tail ? undefined : this.offsets[this.head & (this.offsets.length - 1)]
  }

  /** The offset of the newest message taken over that is still in the ring; undefined when there is none. */
  get newest(): number | undefined {
    return this.head === this.tail ? undefined : this.offsets[(this.tail - 1) & (this.offsets.length - 1)]
  }

  /** When the oldest message that is not finished was taken over; undefined when there is none. */
  get oldestSince(): number | undefined {
    return this.head === this.tail ? undefined : this.since[this.head & (this.since.length - 1)]
  }

  /** Takes a message over, at a time, and gives its slot. Offsets must come ascending. */
  accept(offset: number, now = 0): number {
    if (this.tail - this.head === this.done.length) this.grow()
    const at = this.tail & (this.done.length - 1)
    this.offsets[at] = offset
    this.after[at] = offset + 1
    this.since[at] = now
    return this.tail++
  }

  /** Whether a slot is done. */
  isDone(slot: number): boolean {
    return slot < this.head || (slot < this.tail && this.done[slot & (this.done.length - 1)] === 1)
  }

  /**
   * Says that everything before `offset` that has no slot is finished: the broker passed it over. It counts once what was
   * taken over before is done.
   */
  reach(offset: number): boolean {
    if (this.head === this.tail) {
      if (offset <= this.value) return false
      this.value = offset
      return true
    }
    const last = (this.tail - 1) & (this.after.length - 1)
    if (offset > (this.after[last] ?? 0)) this.after[last] = offset
    return false
  }

  /** Marks a slot done; true if the position moved. Twice the same slot, or one long past, changes nothing. */
  finish(slot: number): boolean {
    if (slot < this.head || slot >= this.tail) return false
    const mask = this.done.length - 1
    this.done[slot & mask] = 1
    if (slot !== this.head) return false
    while (this.head < this.tail && this.done[this.head & mask] === 1) {
      this.done[this.head & mask] = 0
      const next = this.after[this.head & mask] ?? this.value
      if (next > this.value) this.value = next
      this.head++
    }
    return true
  }

  private grow(): void {
    const { after, done, offsets, since } = this
    const size = done.length * 2
    this.done = new Uint8Array(size)
    this.offsets = new Float64Array(size)
    this.after = new Float64Array(size)
    this.since = new Float64Array(size)
    for (let slot = this.head; slot < this.tail; slot++) {
      const from = slot & (done.length - 1)
      const to = slot & (size - 1)
      this.done[to] = done[from] ?? 0
      this.offsets[to] = offsets[from] ?? 0
      this.after[to] = after[from] ?? 0
      this.since[to] = since[from] ?? 0
    }
  }
}
