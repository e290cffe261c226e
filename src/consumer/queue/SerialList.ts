/** The messages of one lane that wait, in order, read by a cursor. */
interface Lane<A> {
  readonly name: unknown
  items: Array<A>
  at: number
  /** Whether one of it was taken and has not ended. */
  busy: boolean
}

/** Messages that have been read before the list of a lane is cut. */
const CUT_AT = 1_024

/**
 * Messages that wait for a handler and of which only one of each lane is handed out at a time: the next of a lane follows
 * when the one before has ended. A lane is a queue, or a key. Lanes take turns.
 */
export class SerialList<A> {
  private readonly lanes = new Map<unknown, Lane<A>>()
  /** The lanes of which one may be taken, as far as is known; the first has the turn. */
  private readonly turn = new Set<Lane<A>>()
  /** The messages that were taken and have not ended. */
  private readonly taken = new Map<A, Lane<A>>()
  private readonly laneOf: (message: A) => unknown
  private readonly isOpen: (message: A) => boolean
  private count = 0

  /** `laneOf` names a message's lane; `isOpen` says whether it may be taken now: where it may not, {@link open} says when. */
  constructor(laneOf: (message: A) => unknown, isOpen: (message: A) => boolean = () => true) {
    this.laneOf = laneOf
    this.isOpen = isOpen
  }

  /** How many messages wait, of all lanes. */
  get size(): number {
    return this.count
  }

  /** Puts messages behind those of their lanes that wait. */
  offer(messages: ReadonlyArray<A>): void {
    for (const message of messages) {
      const name = this.laneOf(message)
      let lane = this.lanes.get(name)
      if (lane === undefined) this.lanes.set(name, (lane = { name, items: [], at: 0, busy: false }))
      lane.items.push(message)
      if (!lane.busy) this.turn.add(lane)
      this.count++
    }
  }

  /** The next message of the lane whose turn it is; undefined when none may be taken. */
  take(): A | undefined {
    for (const lane of this.turn) {
      this.turn.delete(lane)
      const message = lane.items[lane.at]
      if (message === undefined || !this.isOpen(message)) continue
      lane.at++
      if (lane.at >= CUT_AT) {
        lane.items = lane.items.slice(lane.at)
        lane.at = 0
      }
      lane.busy = true
      this.count--
      this.taken.set(message, lane)
      return message
    }
    return undefined
  }

  /** A message that was taken has ended: the next of its lane may be taken. Says nothing of one that has ended before. */
  end(message: A): void {
    const lane = this.taken.get(message)
    if (lane === undefined) return
    this.taken.delete(message)
    lane.busy = false
    if (lane.at < lane.items.length) this.turn.add(lane)
    else this.lanes.delete(lane.name)
  }

  /** Puts messages before all that wait in the lane of one that was taken. */
  putBack(message: A, messages: ReadonlyArray<A>): void {
    const lane = this.taken.get(message)
    if (lane === undefined) return
    lane.items = [...messages, ...lane.items.slice(lane.at)]
    lane.at = 0
    this.count += messages.length
  }

  /** The messages of a lane may be taken again. */
  open(name: unknown): void {
    const lane = this.lanes.get(name)
    if (lane !== undefined && !lane.busy) this.turn.add(lane)
  }

  /** Forgets those that wait and match, and gives how many they were. */
  drop(which: (message: A) => boolean): number {
    const before = this.count
    for (const lane of this.lanes.values()) {
      const left = lane.items.slice(lane.at).filter((message) => !which(message))
      this.count += left.length - (lane.items.length - lane.at)
      lane.items = left
      lane.at = 0
      if (left.length > 0) continue
      this.turn.delete(lane)
      if (!lane.busy) this.lanes.delete(lane.name)
    }
    return before - this.count
  }
}
