import { Cause, Effect, Exit } from "effect"
import * as Millis from "../message/Millis.ts"
import { encode, FrameError, makeFrameDecoder, makeRequestEncoder } from "../protocol/Frame.ts"
import { emptyBody, ONEWAY_FLAG, RESPONSE_FLAG } from "../protocol/RemotingCommand.ts"
import type { RemotingCommand, Request, Response, SerializeType } from "../protocol/RemotingCommand.ts"
import { RequestCode } from "../protocol/RequestCode.ts"
import { ResponseCode } from "../protocol/ResponseCode.ts"
import { type AnswerLimit, makeAnswerLimit } from "./AnswerLimit.ts"
import type { MutableCounters } from "./Counters.ts"
import { dueAt, makeDeadline } from "./Deadline.ts"
import type { Run } from "./Deadline.ts"
import { makeFrameWriter } from "./FrameWriter.ts"
import { makeInFlightLimit } from "./InFlightLimit.ts"
import { AnswersNotRead, ConnectionClosed, RequestTimeout, TooManyRequests } from "./RemotingError.ts"
import type { RemotingError } from "./RemotingError.ts"
import type { CancelHandle, Resume } from "./Requests.ts"
import { makeResponseTable, Pending } from "./ResponseTable.ts"
import type { PendingCall, PendingOneway, PendingRequest } from "./ResponseTable.ts"
import type { ByteStream, WireError } from "./Wire.ts"
import type { TextReader } from "../protocol/Utf8.ts"

/** What one end of a connection needs to know. Client and server use the same connection with other settings. */
export interface ConnectionOptions {
  /** The address as its users know it, for errors. */
  readonly address: string
  readonly stream: ByteStream
  /** Monotonic milliseconds. */
  readonly now: () => number
  readonly run: Run
  readonly counters: MutableCounters
  readonly language: string
  readonly version: number
  readonly serializeType: SerializeType
  readonly maxFrameLength: number
  /** Reads the text of headers in JSON; as Java does when absent. */
  readonly headerText?: TextReader | undefined
  readonly maxInFlightRequests: number
  readonly maxInFlightBytes: number
  readonly idleTimeoutMillis: number
  readonly silentTimeoutsBeforeClose: number
  /**
   * Bytes the peer has not taken, above which nothing more is read from it. A server needs this against a client that
   * sends and never reads; a client must not have it, or the two could wait for each other.
   */
  readonly pauseReadingAbove: number
  /**
   * Bytes of answers the peer has not taken, above which the connection ends with {@link AnswersNotRead}. A client needs
   * this against a server that asks and never reads; a server pauses reading instead.
   */
  readonly maxUnreadAnswerBytes: number
  /** Called for each request of the peer, in arrival order. Must not throw and must not take long. */
  readonly onRequest: (connection: Connection, command: RemotingCommand) => void
  /** What a call waits for when the peer answered GO_AWAY; `undefined` passes that answer on. */
  readonly onGoAway: (
    connection: Connection,
    call: PendingCall
  ) => Effect.Effect<RemotingCommand, RemotingError> | undefined
  /** Called for each answer that no request of this connection waits for. Must not throw and must not take long. */
  readonly onUnmatched?: (connection: Connection, command: RemotingCommand) => void
  /** Called once, at the moment from which nothing can be sent any more, before the pending requests fail. */
  readonly onEnd: (connection: Connection, cause: unknown) => void
}

/** One open connection: requests in both directions on one byte stream. */
export interface Connection {
  readonly address: string
  readonly remoteAddress: string
  readonly localAddress: string
  /** Sends a request that is answered, in the dialect of `Requests`. */
  readonly start: (
    request: Request,
    timeoutMillis: number,
    mayReplay: boolean,
    resume: Resume<RemotingCommand>
  ) => CancelHandle | undefined
  /** Sends a request that nobody answers, in the same way. */
  readonly startOneway: (request: Request, timeoutMillis: number, resume: Resume<void>) => CancelHandle | undefined
  /** Answers a request of the peer; does nothing when the connection has ended. */
  readonly respond: (opaque: number, response: Response, corrupt?: boolean) => void
  /**
   * Closes the connection as soon as nothing is pending on it. Waiting requests are removed from the line for
   * `reroute`, if given.
   */
  readonly retire: (reroute?: (request: PendingRequest) => void) => void
  /** Ends the connection now: pending requests fail with what `error` makes. */
  readonly shutdown: (error: (sent: boolean) => RemotingError, cause: unknown) => void
  /** Reads and writes until the connection ends, however it does. */
  readonly run: Effect.Effect<void>
  readonly inFlight: () => number
  readonly inFlightBytes: () => number
  readonly waiting: () => number
  readonly unwritten: () => number
  /** Bytes of a frame of the peer of which the end is missing. */
  readonly unfinished: () => number
  /** Waits until the stream has taken what was appended so far; for ever when the connection ends before. */
  readonly drained: Effect.Effect<void>
  /** Whether a deadline is armed. */
  readonly isArmed: () => boolean
  readonly rttMillis: () => number | undefined
}

/** The header byte that names the serialize type, behind the frame length. */
const SERIALIZE_TYPE_AT = 4

/**
 * What takes no place from the sends of an application: brokers hold a pull for 15 seconds, and a handler that sends must
 * not wait for the place that the end of handlers needs. Consumers bound each of them: one pull for each queue, and so many
 * messages that are given back and offsets that are written at once.
 */
const WITHOUT_A_PLACE: ReadonlySet<number> = new Set([
  RequestCode.PULL_MESSAGE,
  RequestCode.LITE_PULL_MESSAGE,
  RequestCode.CONSUMER_SEND_MSG_BACK,
  RequestCode.UPDATE_CONSUMER_OFFSET
])

/** Makes a connection on an open stream; it works while its `run` does. */
export const makeConnection = (options: ConnectionOptions): Connection => {
  const { address, counters, language, now, serializeType, stream, version } = options
  const decoder = makeFrameDecoder({ maxFrameLength: options.maxFrameLength, headerText: options.headerText })
  const table = makeResponseTable(counters)
  let ended: ((sent: boolean) => RemotingError) | undefined
  let signalEnd: (() => void) | undefined
  let retired = false
  let unwrittenOneways: Array<PendingOneway> = []
  let lastReadAt = now()
  let lastWriteAt = lastReadAt
  let reads = 0
  let silentSweeps = 0
  let rttMillis: number | undefined
  /** From the first answer to a request of the peer on; most connections of a client never answer one. */
  let answers: AnswerLimit | undefined

  const writer = makeFrameWriter({
    stream,
    counters,
    encodeRequest: makeRequestEncoder(options),
    onWritten: (handOver) => {
      lastWriteAt = now()
      answers?.written(handOver)
      if (unwrittenOneways.length > 0) endOneways(handOver)
      if (limit.waiting().size > 0) limit.admitWaiting()
    }
  })

  const transmit = (pending: PendingRequest) => {
    table.add(pending)
    pending.state = "inFlight"
    // Before the append, which may hand over at once.
    pending.handOver = writer.handOver()
    if (pending.oneway) unwrittenOneways.push(pending)
    try {
      writer.appendRequest(pending.request, pending.opaque, pending.oneway ? ONEWAY_FLAG : 0)
    } catch (error) {
      // Such as extFields that are not strings: a mistake of this caller, which must not fail the others.
      table.remove(pending)
      finish(pending)
      pending.resume(Effect.die(error))
    }
  }

  const limit = makeInFlightLimit<PendingRequest>({
    maxRequests: options.maxInFlightRequests,
    maxBytes: options.maxInFlightBytes,
    unwritten: writer.unwritten,
    admit: transmit,
    isFree: ({ request }) => WITHOUT_A_PLACE.has(request.code)
  })

  /** Releases the place of a request that has left the table. */
  const finish = (pending: PendingRequest) => {
    pending.state = "done"
    limit.leave(pending)
    closeIfRetired()
  }

  const closeIfRetired = () => {
    if (retired && table.size() === 0 && limit.waiting().size === 0) end("retired")
  }

  const closed = (cause: unknown) => (sent: boolean) => new ConnectionClosed({ address, sent, cause })

  const endWith = (cause: Error) => shutdown(closed(cause), cause)

  const end = (reason: string) => endWith(new Error(reason))

  const register = (pending: PendingRequest) => {
    if (ended !== undefined) {
      pending.resume(Effect.fail(ended(false)))
      return undefined
    }
    if (pending.timeoutMillis <= 0) {
      pending.resume(Effect.fail(timedOut(pending, false)))
      return undefined
    }
    if (limit.enter(pending)) transmit(pending)
    if (pending.state === "done") return undefined
    deadline.arm(pending.deadline)
    return pending
  }

  /** The caller was interrupted. What was encoded may still go out. */
  const cancel = function (this: PendingRequest) {
    if (this.state === "waiting") {
      this.state = "done"
      limit.forget(this)
      // The first waiter may have been too large for what is free, and the next one may fit.
      limit.admitWaiting()
      closeIfRetired()
    } else if (this.state === "inFlight") {
      table.abandon(this)
      finish(this)
    }
  }

  const endOneways = (handOver: number) => {
    const written = unwrittenOneways
    unwrittenOneways = written.filter((pending) => pending.handOver > handOver)
    for (const pending of written) {
      if (pending.handOver > handOver || pending.state !== "inFlight") continue
      table.remove(pending)
      finish(pending)
      pending.resume(Effect.void)
    }
  }

  const timedOut = (pending: PendingRequest, sent: boolean): RemotingError =>
    new RequestTimeout({ address, code: pending.request.code, timeoutMillis: pending.timeoutMillis, sent })

  /** Ends what is overdue and returns the next deadline. All tables are consistent before the first caller resumes. */
  const sweep = (time: number): number => {
    let silent = false
    const { due: overdue, next } = dueAt(table.values(), time)
    const { due: late, next: nextWaiting } = dueAt(limit.waiting(), time)
    for (const pending of overdue) {
      pending.state = "done"
      silent ||= pending.reads === reads
      table.abandon(pending)
      limit.leaveQuietly(pending)
    }
    for (const pending of late) {
      pending.state = "done"
      limit.forget(pending)
    }
    if (silent && ++silentSweeps >= options.silentTimeoutsBeforeClose) {
      end(`requests timed out ${silentSweeps} times in a row and no byte arrived`)
    } else {
      limit.admitWaiting()
      closeIfRetired()
    }
    for (const pending of overdue) pending.resume(Effect.fail(timedOut(pending, true)))
    for (const { resume, timeoutMillis } of late) resume(Effect.fail(new TooManyRequests({ address, timeoutMillis })))
    return Math.min(next, nextWaiting)
  }

  const deadline = makeDeadline({ now, run: options.run, sweep })

  const onResponse = (command: RemotingCommand) => {
    const pending = table.answered(command.opaque)
    if (pending === undefined) return options.onUnmatched?.(connection, command)
    rttMillis = lastReadAt - pending.startedAt
    const instead = command.code === ResponseCode.GO_AWAY ? options.onGoAway(connection, pending) : undefined
    finish(pending)
    pending.resume(instead ?? Effect.succeed(command))
  }

  const onChunks = (chunks: ReadonlyArray<Uint8Array>): Effect.Effect<void, FrameError> => {
    lastReadAt = now()
    reads++
    silentSweeps = 0
    for (const chunk of chunks) {
      counters.bytesIn += chunk.length
      const { commands, error } = decoder.push(chunk)
      counters.framesIn += commands.length
      for (const command of commands) {
        // A resumed caller may have closed this connection.
        if (ended !== undefined) return Effect.void
        if ((command.flag & RESPONSE_FLAG) !== 0) onResponse(command)
        else options.onRequest(connection, command)
      }
      if (error !== undefined) {
        counters.frameErrors++
        return Effect.fail(error)
      }
    }
    return writer.unwritten() > options.pauseReadingAbove ? writer.drained : Effect.void
  }

  const idle: Effect.Effect<Error> = Effect.suspend(() => {
    const left = Math.max(lastReadAt, lastWriteAt) + options.idleTimeoutMillis - now()
    if (left > 0) return Effect.andThen(Effect.sleep(Math.ceil(left)), idle)
    // Pending requests have their own deadlines.
    if (table.size() > 0) return Effect.andThen(Effect.sleep(options.idleTimeoutMillis), idle)
    return Effect.succeed(new Error(`idle for ${Millis.text(options.idleTimeoutMillis)}`))
  })

  const endSignal = Effect.callback<Error>((resume) => {
    const signal = () => resume(Effect.succeed(new Error("closed here")))
    if (ended === undefined) signalEnd = signal
    else signal()
  })

  const shutdown: Connection["shutdown"] = (error, cause) => {
    if (ended !== undefined) return
    ended = error
    deadline.stop()
    const inFlight = table.takeAll()
    const waiting = limit.takeWaiting()
    const handOver = writer.handOver()
    for (const pending of inFlight) {
      pending.state = "done"
      limit.leaveQuietly(pending)
    }
    for (const pending of waiting) pending.state = "done"
    unwrittenOneways = []
    options.onEnd(connection, cause)
    for (const pending of inFlight) pending.resume(Effect.fail(error(pending.handOver < handOver)))
    for (const pending of waiting) pending.resume(Effect.fail(error(false)))
    signalEnd?.()
  }

  const read = Effect.forever(Effect.flatMap(stream.pull, onChunks), { disableYield: true })
  const untilEnd: Effect.Effect<Error, WireError | FrameError> = Effect.raceAllFirst([
    read,
    writer.run,
    idle,
    endSignal
  ])

  const connection: Connection = {
    address,
    remoteAddress: stream.remoteAddress,
    localAddress: stream.localAddress,
    start: (request, timeoutMillis, mayReplay, resume) =>
      register(new Pending(request, timeoutMillis, now(), reads, mayReplay, cancel, false, resume)),
    startOneway: (request, timeoutMillis, resume) =>
      register(new Pending(request, timeoutMillis, now(), reads, false, cancel, true, resume)),
    respond: (opaque, response, corrupt = false) => {
      if (ended !== undefined) return
      const command: RemotingCommand = {
        code: response.code,
        language,
        version,
        opaque,
        flag: RESPONSE_FLAG,
        remark: response.remark,
        extFields: response.extFields,
        body: response.body ?? emptyBody,
        serializeType
      }
      const handOver = writer.handOver()
      const before = writer.unwritten()
      if (corrupt) {
        const bytes = encode(command)
        bytes[SERIALIZE_TYPE_AT] = 0x7f
        writer.appendBytes(bytes)
      } else {
        writer.append(command)
      }
      answers ??= makeAnswerLimit(options.maxUnreadAnswerBytes)
      if (answers.add(handOver, writer.unwritten() - before)) return
      endWith(new AnswersNotRead({ address, unreadBytes: answers.unread() }))
    },
    retire: (reroute) => {
      retired = true
      for (const pending of reroute === undefined ? [] : limit.takeWaiting()) {
        pending.state = "done"
        reroute?.(pending)
      }
      closeIfRetired()
    },
    shutdown,
    run: Effect.onExit(untilEnd, (exit) =>
      Effect.sync(() => {
        const cause = Exit.isSuccess(exit) ? exit.value : Cause.squash(exit.cause)
        shutdown(closed(cause), cause)
      })
    ).pipe(Effect.exit, Effect.asVoid),
    inFlight: table.size,
    inFlightBytes: limit.bytes,
    waiting: () => limit.waiting().size,
    unwritten: writer.unwritten,
    unfinished: () => decoder.pending,
    drained: writer.drained,
    isArmed: deadline.isArmed,
    rttMillis: () => rttMillis
  }
  return connection
}
