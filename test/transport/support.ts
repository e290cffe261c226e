import { Clock, Effect, Layer, Queue } from "effect"
import type { Cause, Scope } from "effect"
import { encode, makeFrameDecoder } from "../../src/protocol/Frame.ts"
import { emptyBody } from "../../src/protocol/RemotingCommand.ts"
import type { RemotingCommand, Request, Response } from "../../src/protocol/RemotingCommand.ts"
import * as MemoryWire from "../../src/transport/MemoryWire.ts"
import * as TcpWire from "../../src/transport/TcpWire.ts"
import { Wire } from "../../src/transport/Wire.ts"
import type { ByteStream, WireError } from "../../src/transport/Wire.ts"

/** Both wires, for suites that must hold on either. */
export const wires: ReadonlyArray<{ readonly name: string; readonly layer: Layer.Layer<Wire> }> = [
  { name: "MemoryWire", layer: MemoryWire.layer },
  { name: "TcpWire", layer: TcpWire.layer }
]

/** A request without fields. */
export const request = (code: number, body?: Uint8Array): Request => ({ code, extFields: undefined, body })

/** The bytes of an answer to a request with this number. */
export const answerFrame = (opaque: number, response: Response): Uint8Array =>
  encode({
    code: response.code,
    language: "JAVA",
    version: 513,
    opaque,
    flag: 1,
    remark: response.remark,
    extFields: response.extFields,
    body: response.body ?? emptyBody,
    serializeType: "JSON"
  })

/** The bytes of a request that a server sends. */
export const requestFrame = (opaque: number, code: number, flag = 0): Uint8Array =>
  encode({
    code,
    language: "JAVA",
    version: 513,
    opaque,
    flag,
    remark: undefined,
    extFields: undefined,
    body: emptyBody,
    serializeType: "JSON"
  })

/** One connection that a {@link Peer} has accepted; everything on it is done by hand. */
export interface PeerConnection {
  readonly stream: ByteStream
  /** The next frame that arrives. */
  readonly next: Effect.Effect<RemotingCommand, Cause.Done>
  readonly take: (count: number) => Effect.Effect<ReadonlyArray<RemotingCommand>, Cause.Done>
  /** How many frames have arrived that nobody took. */
  readonly unread: Effect.Effect<number>
  readonly write: (...chunks: ReadonlyArray<Uint8Array>) => Effect.Effect<void, WireError>
  readonly answer: (to: RemotingCommand, response?: Response) => Effect.Effect<void, WireError>
  /** Closes the connection. */
  readonly end: Effect.Effect<void>
  /** Waits until the other side has ended it. */
  readonly ended: Effect.Effect<void>
}

/** A server that does nothing by itself: tests read and write its frames. */
export interface Peer {
  readonly address: string
  /** The next connection. */
  readonly accept: Effect.Effect<PeerConnection>
  /** How many connections there have been that nobody took. */
  readonly unaccepted: Effect.Effect<number>
}

/** Listens on the wire; `reading: false` accepts and never reads. */
export const makePeer = (options?: {
  readonly address?: string
  readonly reading?: boolean
}): Effect.Effect<Peer, WireError, Wire | Scope.Scope> =>
  Effect.gen(function* () {
    const wire = yield* Wire
    const accepted = yield* Queue.unbounded<PeerConnection>()
    const { address } = yield* wire.listen(options?.address ?? "127.0.0.1:0", (stream) =>
      Effect.gen(function* () {
        const frames = yield* Queue.unbounded<RemotingCommand, Cause.Done>()
        const decoder = makeFrameDecoder()
        const endRequested = yield* Queue.unbounded<void>()
        const endedByOther = yield* Queue.unbounded<never, Cause.Done>()
        const next = Queue.take(frames)
        const write = (...chunks: ReadonlyArray<Uint8Array>) => stream.write([Buffer.concat(chunks)])
        yield* Queue.offer(accepted, {
          stream,
          next,
          take: (count) => Effect.all(Array.from({ length: count }, () => next)),
          unread: Queue.size(frames),
          write,
          answer: (to, response = { code: 0 }) => write(answerFrame(to.opaque, response)),
          end: Effect.asVoid(Queue.offer(endRequested, undefined)),
          ended: Effect.ignore(Queue.take(endedByOther))
        })
        const read = Effect.forever(
          Effect.map(stream.pull, (chunks) => {
            for (const chunk of chunks)
              for (const command of decoder.push(chunk).commands) Queue.offerUnsafe(frames, command)
          })
        )
        yield* Effect.raceFirst(
          Effect.ignore(options?.reading === false ? Effect.never : read),
          Queue.take(endRequested)
        )
        yield* Queue.end(frames)
        yield* Queue.end(endedByOther)
      })
    )
    return { address, accept: Queue.take(accepted), unaccepted: Queue.size(accepted) }
  })

/** What a {@link recordingLayer} has seen. */
export interface Recording {
  /** Frames per write, in order, of all streams that were dialled. */
  readonly writes: Array<number>
}

/** A wire that notes every write of the dialling side. */
export const recordingLayer = (recording: Recording): Layer.Layer<Wire | MemoryWire.MemoryNetwork> =>
  Layer.effect(
    Wire,
    Effect.gen(function* () {
      const wire = yield* Wire
      return {
        ...wire,
        connect: (address, options) =>
          Effect.map(wire.connect(address, options), (stream) => ({
            ...stream,
            write: (chunks) =>
              Effect.suspend(() => {
                recording.writes.push(makeFrameDecoder().push(Buffer.concat(chunks)).commands.length)
                return stream.write(chunks)
              })
          }))
      }
    })
  ).pipe(Layer.provideMerge(MemoryWire.layer))

/** Milliseconds of the clock the program runs on. */
export const clockMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)
