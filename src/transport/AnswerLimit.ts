/** Bytes of answers that a peer may leave unread on one connection of a client: 4 MiB, some 30,000 refusals. */
export const MAX_UNREAD_ANSWER_BYTES = 4 * 1024 * 1024

/**
 * Counts the answers to a peer's requests that the stream has not taken yet. Requests of this end have their own limit;
 * answers come as many as the peer asks for, and a peer that asks and does not read would have them gather without end.
 */
export interface AnswerLimit {
  /** Counts an answer that was appended to this hand-over; false when there are too many now. */
  readonly add: (handOver: number, bytes: number) => boolean
  /** The stream has taken this hand-over and those before it. */
  readonly written: (handOver: number) => void
  /** Bytes that the stream has not taken. */
  readonly unread: () => number
}

/** Makes the count of one connection. */
export const makeAnswerLimit = (maxBytes: number): AnswerLimit => {
  // One entry for what is being written and one for what gathers meanwhile.
  let pending: Array<{ readonly handOver: number; bytes: number }> = []
  let unread = 0
  return {
    add: (handOver, bytes) => {
      const last = pending.at(-1)
      if (last?.handOver === handOver) last.bytes += bytes
      else pending.push({ handOver, bytes })
      unread += bytes
      return unread <= maxBytes
    },
    written: (handOver) => {
      if (unread === 0) return
      pending = pending.filter((entry) => {
        if (entry.handOver > handOver) return true
        unread -= entry.bytes
        return false
      })
    },
    unread: () => unread
  }
}
