import { Effect, Schema } from "effect"
import type { ExtFields, RemotingCommand, Response, SerializeType } from "../../protocol/RemotingCommand.ts"
import * as RemotingCommands from "../../protocol/RemotingCommand.ts"
import { requestCodeName } from "../../protocol/RequestCode.ts"
import { topicOf } from "./FaultEngine.ts"

/** A request as a server of the cluster saw it, with what it answered. */
export interface RecordedRequest {
  /** 0 up over the whole cluster, in the order of arrival. */
  readonly sequence: number
  /** Milliseconds since the epoch on the cluster's clock. */
  readonly time: number
  /** The name of the server: a broker's (`broker-a`) or a name server's (`namesrv-0`). */
  readonly server: string
  /** What the server is. */
  readonly kind: "nameServer" | "broker"
  /** The server's `host:port`. */
  readonly address: string
  /** The client's `host:port`. */
  readonly remoteAddress: string
  /** The request code. */
  readonly code: number
  /** The name of the code, such as `SEND_MESSAGE_V2`. */
  readonly codeName: string
  /** The request's number on its connection. */
  readonly opaque: number
  /** Whether the client wants no answer. */
  readonly oneway: boolean
  /** The client's language as RocketMQ names it: `JAVA`, `GO`, `NODE_JS`. */
  readonly language: string
  /** The client's release as RocketMQ numbers it: 513 is 5.5.0. */
  readonly version: number
  /** How the header was written. */
  readonly serializeType: SerializeType
  /** The header's fields, as texts; undefined when it has none. */
  readonly extFields: ExtFields | undefined
  /** The topic the request names, under whichever of its names. */
  readonly topic: string | undefined
  /** Bytes of the body. */
  readonly bodyLength: number
  /** Present when the cluster was asked to keep bodies. */
  readonly body: Uint8Array | undefined
  /** The faults that were injected into it. */
  readonly faults: ReadonlyArray<string>
  /** What the server answered; absent while it is handled, when it is oneway, and when a fault kept it from the server. */
  readonly answer: { readonly code: number; readonly remark: string | undefined; readonly time: number } | undefined
}

/** Which recorded requests are meant; what is left out matches everything. */
export interface TrafficMatch {
  /** The request code, or one of several. */
  readonly code?: number | ReadonlyArray<number> | undefined
  /** The server's name. */
  readonly server?: string | undefined
  /** The topic that the request names, under whichever field. */
  readonly topic?: string | undefined
  /** Whether the client wants no answer. */
  readonly oneway?: boolean | undefined
  /** Fields that must be there with exactly this value. */
  readonly extFields?: Readonly<Record<string, string>> | undefined
  /** Anything else that must hold. */
  readonly where?: ((request: RecordedRequest) => boolean) | undefined
}

/** The recorded traffic is not what a test expected. */
export class TrafficMismatch extends Schema.TaggedError<TrafficMismatch>()("TrafficMismatch", {
  /** What was to be found, in words. */
  expected: Schema.String,
  /** How many requests match. */
  found: Schema.Number,
  /** How many older requests are no longer recorded. */
  dropped: Schema.Number,
  /** The newest requests, a line each. */
  recorded: Schema.Array(Schema.String)
}) {
  override get message(): string {
    const seen = this.recorded.length === 0 ? "nothing" : this.recorded.join("\n  ")
    const dropped = this.dropped === 0 ? "" : ` (${this.dropped} older requests are no longer recorded)`
    return `expected ${this.expected}, found ${this.found}${dropped}. The newest requests:\n  ${seen}`
  }
}

/** What the servers of a cluster saw: a bounded record, newest last, to assert on. */
export interface Traffic {
  /** Every request that is still recorded. */
  readonly all: Effect.Effect<ReadonlyArray<RecordedRequest>>
  /** How many requests were recorded and made room for newer ones, the oldest first. */
  readonly dropped: Effect.Effect<number>
  /** Forgets what was recorded; counting begins anew, sequence numbers go on. */
  readonly clear: Effect.Effect<void>
  /** The requests with a code. */
  readonly ofCode: (code: number) => Effect.Effect<ReadonlyArray<RecordedRequest>>
  /** The requests that match. */
  readonly matching: (match: TrafficMatch) => Effect.Effect<ReadonlyArray<RecordedRequest>>
  /** Fails with {@link TrafficMismatch} unless as many requests as said match (at least one by default). */
  readonly expect: (
    match: TrafficMatch,
    count?: { readonly exactly?: number; readonly atLeast?: number; readonly atMost?: number }
  ) => Effect.Effect<ReadonlyArray<RecordedRequest>, TrafficMismatch>
  /** Waits until that many matching requests (default 1) have arrived, those already recorded included. */
  readonly awaitMatching: (match: TrafficMatch, count?: number) => Effect.Effect<ReadonlyArray<RecordedRequest>>
}

/** The side of the record that the servers write. */
export interface TrafficRecorder {
  readonly traffic: Traffic
  readonly request: (
    server: { readonly name: string; readonly kind: "nameServer" | "broker"; readonly address: string },
    request: RemotingCommand,
    remoteAddress: string,
    faults: ReadonlyArray<{ readonly _tag: string }>
  ) => void
  readonly answered: (request: RemotingCommand, response: Response) => void
}

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

const matches = (match: TrafficMatch, request: RecordedRequest): boolean => {
  const { code } = match
  if (code !== undefined && (typeof code === "number" ? request.code !== code : !code.includes(request.code))) {
    return false
  }
  if (match.server !== undefined && match.server !== request.server) return false
  if (match.topic !== undefined && match.topic !== request.topic) return false
  if (match.oneway !== undefined && match.oneway !== request.oneway) return false
  for (const [name, value] of Object.entries(match.extFields ?? {})) {
    if (request.extFields?.[name] !== value) return false
  }
  return match.where === undefined || match.where(request)
}

const line = (request: RecordedRequest): string =>
  [
    request.time,
    request.server,
    request.code,
    request.codeName,
    `from ${request.remoteAddress}`,
    ...(request.topic === undefined ? [] : [`topic ${request.topic}`]),
    ...(request.faults.length === 0 ? [] : [`faults ${request.faults.join(",")}`]),
    ...(request.answer === undefined ? [] : [`answered ${request.answer.code}`])
  ].join(" ")

const describe = (match: TrafficMatch): string =>
  JSON.stringify(match, (_, value: unknown) => (typeof value === "function" ? "<predicate>" : value))

/** What a request counts besides its texts and its body. */
const REQUEST_BYTES = 256

/** The bytes that a request counts; a character counts one. */
const bytesOf = (request: RecordedRequest): number => {
  let bytes = REQUEST_BYTES + (request.body?.length ?? 0) + (request.answer?.remark?.length ?? 0)
  for (const name in request.extFields) bytes += name.length + (request.extFields[name]?.length ?? 0)
  return bytes
}

/**
 * Builds a recorder that keeps the newest `limit` requests (0 keeps none), and of them as many as take `maxBytes`. Bodies
 * are kept only when asked, because they are the bulk.
 */
export const make = (options: {
  readonly limit: number
  readonly maxBytes: number
  readonly bodies: boolean
  readonly now: () => number
}): TrafficRecorder => {
  let records: Array<Mutable<RecordedRequest> | undefined> = []
  /** Where in `records` the oldest one lies; those before it are dropped. */
  let first = 0
  let bytes = 0
  let dropped = 0
  let sequence = 0
  const pending = new WeakMap<RemotingCommand, Mutable<RecordedRequest>>()
  const watchers = new Set<(request: RecordedRequest) => void>()

  const all = (): ReadonlyArray<RecordedRequest> => records.slice(first).filter((record) => record !== undefined)

  const makeRoom = () => {
    while (records.length - first > options.limit || bytes > options.maxBytes) {
      const oldest = records[first]
      if (oldest === undefined) break
      records[first++] = undefined
      bytes -= bytesOf(oldest)
      dropped++
    }
    if (first <= records.length / 2) return
    records = records.slice(first)
    first = 0
  }
  const select = (match: TrafficMatch): ReadonlyArray<RecordedRequest> =>
    all().filter((request) => matches(match, request))

  return {
    request: (server, request, remoteAddress, faults) => {
      if (options.limit <= 0) return
      const record: Mutable<RecordedRequest> = {
        sequence: sequence++,
        time: options.now(),
        server: server.name,
        kind: server.kind,
        address: server.address,
        remoteAddress,
        code: request.code,
        codeName: requestCodeName(request.code),
        opaque: request.opaque,
        oneway: RemotingCommands.isOneway(request),
        language: request.language,
        version: request.version,
        serializeType: request.serializeType,
        extFields: request.extFields,
        topic: topicOf(request),
        bodyLength: request.body.length,
        body: options.bodies ? request.body.slice() : undefined,
        faults: faults.map((fault) => fault._tag),
        answer: undefined
      }
      records.push(record)
      bytes += bytesOf(record)
      makeRoom()
      pending.set(request, record)
      for (const watcher of watchers) watcher(record)
    },
    answered: (request, response) => {
      const record = pending.get(request)
      if (record === undefined || record.oneway) return
      const before = bytesOf(record)
      record.answer = { code: response.code, remark: response.remark, time: options.now() }
      if (record.sequence < (records[first]?.sequence ?? Infinity)) return
      bytes += bytesOf(record) - before
      makeRoom()
    },
    traffic: {
      all: Effect.sync(all),
      clear: Effect.sync(() => {
        records = []
        first = bytes = dropped = 0
      }),
      dropped: Effect.sync(() => dropped),
      ofCode: (code) => Effect.sync(() => select({ code })),
      matching: (match) => Effect.sync(() => select(match)),
      expect: (match, count) =>
        Effect.suspend(() => {
          const found = select(match)
          const least = count?.exactly ?? count?.atLeast ?? (count?.atMost === undefined ? 1 : 0)
          const most = count?.exactly ?? count?.atMost ?? Infinity
          if (found.length >= least && found.length <= most) return Effect.succeed(found)
          const wanted = least === most ? `${least}` : most === Infinity ? `at least ${least}` : `${least} to ${most}`
          return Effect.fail(
            new TrafficMismatch({
              expected: `${wanted} requests matching ${describe(match)}`,
              found: found.length,
              dropped,
              recorded: all().slice(-20).map(line)
            })
          )
        }),
      awaitMatching: (match, count = 1) =>
        Effect.callback<ReadonlyArray<RecordedRequest>>((resume) => {
          const found = [...select(match)]
          if (found.length >= count) {
            resume(Effect.succeed(found))
            return Effect.void
          }
          const watcher = (request: RecordedRequest): void => {
            if (!matches(match, request)) return
            found.push(request)
            if (found.length < count) return
            watchers.delete(watcher)
            // In a later turn: the server is still in the middle of this request.
            queueMicrotask(() => resume(Effect.succeed(found)))
          }
          watchers.add(watcher)
          return Effect.sync(() => {
            watchers.delete(watcher)
          })
        })
    }
  }
}
