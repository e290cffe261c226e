/** The messages of one queue that wait: whole answers of pulls, in order, read by a cursor. */
interface Lane<A> {
  readonly chunks: Array<ReadonlyArray<A>>
  at: number
  waiting: number
  /** Whether nothing of it is handed out. */
  held: boolean
}

/**
 * Messages that wait for a handler, handed out one queue after the other, so that one backlog starves nobody. Putting in a
 * whole answer and taking one message are O(1).
 */
export class ReadyList<A> {
  private readonly lanes = new Map<unknown, Lane<A>>()
  private turn: Array<Lane<A>> = []
  private next = 0
  private count = 0

  /** How many messages wait, of all queues. */
  get size(): number {
    return this.count
  }

  /** Puts messages of a queue behind those of it that wait. */
  offer(queue: unknown, messages: ReadonlyArray<A>): void {
    if (messages.length === 0) return
    const lane = this.laneOf(queue)
    if (lane.chunks.length === 0 && !lane.held) this.turn.push(lane)
    lane.chunks.push(messages)
    lane.waiting += messages.length
    this.count += messages.length
  }

  /** The next message, of the queue whose turn it is; undefined when none waits. */
  take(): A | undefined {
    const lane = this.turn[this.next % this.turn.length]
    if (lane === undefined) return undefined
    const message = this.takeFrom(lane)
    this.pass(lane)
    return message
  }

  /** The next message of a queue; undefined when none waits. */
  takeOf(queue: unknown): A | undefined {
    const lane = this.lanes.get(queue)
    if (lane === undefined || lane.waiting === 0) return undefined
    const message = this.takeFrom(lane)
    if (lane.waiting === 0) this.turn = this.turn.filter((one) => one !== lane)
    return message
  }

  /** Up to so many messages of the queue whose turn it is, in order; none when none waits. */
  takeMany(limit: number): ReadonlyArray<A> {
    const lane = this.turn[this.next % this.turn.length]
    if (lane === undefined) return []
    const taken: Array<A> = []
    while (taken.length < limit && lane.waiting > 0) {
      const message = this.takeFrom(lane)
      if (message !== undefined) taken.push(message)
    }
    this.pass(lane)
    return taken
  }

  /** The queue whose turn it is has so many messages waiting. */
  get waitingInTurn(): number {
    return this.turn[this.next % this.turn.length]?.waiting ?? 0
  }

  /** Hands nothing of a queue out, whatever waits or comes, until it is held no more. */
  hold(queue: unknown, held: boolean): void {
    const lane = this.laneOf(queue)
    if (lane.held === held) return
    lane.held = held
    if (lane.waiting === 0) return
    if (held) this.turn = this.turn.filter((one) => one !== lane)
    else this.turn.push(lane)
  }

  /** Forgets what waits of a queue, and gives how many messages that were. */
  drop(queue: unknown): number {
    const lane = this.lanes.get(queue)
    if (lane === undefined) return 0
    this.lanes.delete(queue)
    this.turn = this.turn.filter((one) => one !== lane)
    this.count -= lane.waiting
    return lane.waiting
  }

  private laneOf(queue: unknown): Lane<A> {
    const known = this.lanes.get(queue)
    if (known !== undefined) return known
    const lane: Lane<A> = { chunks: [], at: 0, waiting: 0, held: false }
    this.lanes.set(queue, lane)
    return lane
  }

  private takeFrom(lane: Lane<A>): A | undefined {
    const [chunk] = lane.chunks
    const message = chunk?.[lane.at]
    lane.at++
    lane.waiting--
    this.count--
    if (chunk !== undefined && lane.at >= chunk.length) {
      lane.chunks.shift()
      lane.at = 0
    }
    return message
  }

  /** Gives the turn to the next queue; one that is empty loses its place to the last. */
  private pass(lane: Lane<A>): void {
    const at = this.next % this.turn.length
    if (lane.waiting > 0) {
      this.next = at + 1
      return
    }
    const last = this.turn.pop()
    if (last !== undefined && last !== lane) this.turn[at] = last
    this.next = at
  }
}
