import { Schema } from "effect"
import type { Connection } from "../../transport/Connection.ts"

/** The connections of a server have it keep too much together, so that it closed the one that has most. */
export class TooMuchHeld extends Schema.TaggedError<TooMuchHeld>()("TooMuchHeld", {
  /** `host:port` of the client. */
  address: Schema.String,
  /** Bytes of this connection: unread answers, bodies of requests under way, an unfinished frame. */
  bytes: Schema.Number,
  /** Bytes of all connections of the server. */
  allBytes: Schema.Number,
  /** How many they may be. */
  limit: Schema.Number
}) {
  override get message(): string {
    return `the connections have ${this.allBytes} bytes of unread answers and unanswered requests together, at most ${this.limit} are kept, and ${this.address} has most of all (${this.bytes}); look at that client`
  }
}

/** What the connections of a server have it keep, together. */
export interface HeldBytes {
  /** So many bytes went in or out: now and then all is summed up, and what is too much is ended. */
  readonly moved: (bytes: number) => void
}

/** How often it is summed up: as often as this part of the limit has gone in or out, so that it costs next to nothing. */
const PARTS = 32

/** Makes the watch over connections; `held` has each with its bytes, and `end` closes one. */
export const make = (
  limit: number,
  held: () => Iterable<readonly [connection: Connection, bytes: number]>,
  end: (connection: Connection, cause: TooMuchHeld) => void
): HeldBytes => {
  let moved = 0

  const sumUp = () => {
    const connections = [...held()]
    let allBytes = connections.reduce((sum, [, bytes]) => sum + bytes, 0)
    if (allBytes <= limit) return
    for (const [connection, bytes] of connections.toSorted(([, a], [, b]) => b - a)) {
      end(connection, new TooMuchHeld({ address: connection.remoteAddress, bytes, allBytes, limit }))
      allBytes -= bytes
      if (allBytes <= limit) return
    }
  }

  return {
    moved: (bytes) => {
      moved += bytes
      if (moved < limit / PARTS) return
      moved = 0
      sumUp()
    }
  }
}
