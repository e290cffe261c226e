/** What a `RemotingClient` has counted since it was made. */
export interface RemotingCounters {
  /** Answers to requests that had timed out or been interrupted. */
  readonly late: number
  /** Second answers to one request. */
  readonly duplicate: number
  /** Answers to requests that were never sent on that connection. */
  readonly unknownResponse: number
  /** Requests of servers that were answered with code 3. */
  readonly unsupportedRequest: number
  /** Connections closed because of bytes that are no frame. */
  readonly frameErrors: number
  /** Successful dials of an address that had been connected before. */
  readonly reconnects: number
  /** Bytes read. */
  readonly bytesIn: number
  /** Bytes written. */
  readonly bytesOut: number
  /** Chunks handed to sockets: with many callers far fewer than frames. */
  readonly writes: number
  /** Requests and answers written. */
  readonly framesOut: number
  /** Requests and answers read. */
  readonly framesIn: number
}

/** The same, while it is being counted. */
export type MutableCounters = { -readonly [K in keyof RemotingCounters]: RemotingCounters[K] }

/** All zero. */
export const makeCounters = (): MutableCounters => ({
  late: 0,
  duplicate: 0,
  unknownResponse: 0,
  unsupportedRequest: 0,
  frameErrors: 0,
  reconnects: 0,
  bytesIn: 0,
  bytesOut: 0,
  writes: 0,
  framesOut: 0,
  framesIn: 0
})
