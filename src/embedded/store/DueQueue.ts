/** Things that wait for their time: the earliest first, and of one time the first that came. */
export interface DueQueue<A> {
  /** `at` in milliseconds since the epoch. */
  readonly add: (at: number, value: A) => void
  /** The time of the earliest, `undefined` when nothing waits. */
  readonly next: () => number | undefined
  /** Takes out the earliest if it is due. */
  readonly take: (now: number) => A | undefined
  /** Everything that waits, in order. */
  readonly all: () => ReadonlyArray<{ readonly at: number; readonly value: A }>
}

interface Entry<A> {
  readonly at: number
  readonly serial: number
  readonly value: A
}

const before = <A>(a: Entry<A>, b: Entry<A>): boolean => a.at < b.at || (a.at === b.at && a.serial < b.serial)

/** Builds an empty queue: a binary heap. */
export const make = <A>(): DueQueue<A> => {
  const heap: Array<Entry<A>> = []
  let serial = 0

  const swap = (i: number, j: number): void => {
    const a = heap[i]
    const b = heap[j]
    if (a === undefined || b === undefined) return
    heap[i] = b
    heap[j] = a
  }

  const isBefore = (i: number, j: number): boolean => {
    const a = heap[i]
    const b = heap[j]
    return a !== undefined && b !== undefined && before(a, b)
  }

  const rise = (start: number): void => {
    let at = start
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(at, parent)) return
      swap(at, parent)
      at = parent
    }
  }

  const sink = (): void => {
    let at = 0
    for (;;) {
      const left = 2 * at + 1
      const first = isBefore(left + 1, left) ? left + 1 : left
      if (!isBefore(first, at)) return
      swap(at, first)
      at = first
    }
  }

  return {
    add: (at, value) => {
      heap.push({ at, serial: serial++, value })
      rise(heap.length - 1)
    },
    next: () => heap[0]?.at,
    take: (now) => {
      const first = heap[0]
      if (first === undefined || first.at > now) return undefined
      swap(0, heap.length - 1)
      heap.pop()
      sink()
      return first.value
    },
    all: () => heap.toSorted((a, b) => (before(a, b) ? -1 : 1)).map(({ at, value }) => ({ at, value }))
  }
}
