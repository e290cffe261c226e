import { Clock, Effect, FileSystem, Semaphore, Stdio, Stream } from "effect"
import type { Message } from "../../message/Message.ts"
import { monotonicMillis } from "../../transport/Deadline.ts"
import { UsageError } from "../Failure.ts"
import { generatedBody, type NextMessage } from "../SendRun.ts"

/** What the bodies are made of. */
export interface SourceInput {
  /** Bytes of a generated body. */
  readonly size: number | undefined
  readonly body: string | undefined
  /** The file whose bytes are one body; `-` is standard input. */
  readonly file: string | undefined
  /** How many messages; the lines of standard input when this and all of the others are absent. */
  readonly count: number | undefined
  /** Messages per second, at most. */
  readonly rate: number | undefined
}

/** Whether the messages are the lines of standard input. */
export const readsLines = ({ body, count, file, size }: SourceInput): boolean =>
  [body, count, file, size].every((value) => value === undefined)

/** Bytes of a generated body when `--size` is absent. */
const DEFAULT_SIZE = 1_024

/** Bytes that one body may have here; what brokers take (4 MiB, unless they are set otherwise) is the producer's to say. */
const MAX_BODY = 64 * 1_024 * 1_024

const LF = 10
const CR = 13

/**
 * Cuts bytes into lines, which end with LF or CR LF and stay the bytes that they were: a CR elsewhere, NUL and what is no
 * UTF-8 belong to a line.
 */
export const lineCutter = () => {
  let parts: Array<Uint8Array> = []
  let held = 0
  const join = (last: Uint8Array): Uint8Array => {
    const line = parts.length === 0 ? last : Buffer.concat([...parts, last])
    parts = []
    held = 0
    return line
  }
  return {
    /** The lines that end within these bytes, which must not change any more. */
    push: (bytes: Uint8Array): ReadonlyArray<Uint8Array> => {
      const lines: Array<Uint8Array> = []
      let from = 0
      for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, from)) {
        const line = join(bytes.subarray(from, at))
        lines.push(line.at(-1) === CR ? line.subarray(0, -1) : line)
        from = at + 1
      }
      if (from < bytes.length) {
        parts.push(bytes.subarray(from))
        held += bytes.length - from
      }
      return lines
    },
    /** The last line, where it has no end. */
    end: (): Uint8Array | undefined => (held === 0 ? undefined : join(new Uint8Array())),
    /** Bytes of the line that has not ended yet. */
    held: () => held
  }
}

const unreadable = (what: string, message: string, remedy: string) =>
  new UsageError({ problem: `${what} cannot be read: ${message}`, remedy })

/** Takes the lines of standard input as they come; blank ones are counted and left out, because RocketMQ takes no empty body. */
const lines = Effect.fnUntraced(function* (onBlank: () => void) {
  const { stdin } = yield* Stdio.Stdio
  const pull = yield* Stream.toPull(stdin)
  // Whoever sends next waits for the one who reads.
  const turn = yield* Semaphore.make(1)
  const cutter = lineCutter()
  let ready: ReadonlyArray<Uint8Array> = []
  let at = 0
  let ended = false

  const read = pull.pipe(
    Effect.map((chunks) => {
      ready = chunks.flatMap(cutter.push)
    }),
    Effect.catchTag("Done", () =>
      Effect.sync(() => {
        ended = true
        const last = cutter.end()
        ready = last === undefined ? [] : [last]
      })
    ),
    Effect.catchTag("PlatformError", (error) =>
      Effect.fail(
        unreadable("Standard input", error.message, "Pipe lines into the command, or pass --body or --count.")
      )
    )
  )

  const next = Effect.gen(function* () {
    for (;;) {
      while (at < ready.length) {
        const line = ready[at++]
        if (line !== undefined && line.length > 0) return line
        onBlank()
      }
      if (ended) return undefined
      if (cutter.held() > MAX_BODY) {
        return yield* new UsageError({
          problem: `A line of standard input is longer than ${MAX_BODY} bytes.`,
          remedy: "Lines end with LF, and a message is 4 MiB at most unless the brokers are set otherwise."
        })
      }
      at = 0
      yield* read
    }
  })
  return turn.withPermits(1)(next)
})

/** All bytes of a file, or of standard input for `-`, as they are. */
const whole = Effect.fnUntraced(function* (path: string) {
  const what = path === "-" ? "Standard input" : `--file ${path}`
  const bytes =
    path === "-" ? (yield* Stdio.Stdio).stdin : (yield* FileSystem.FileSystem).stream(path, { chunkSize: 1 << 18 })
  const chunks: Array<Uint8Array> = []
  let held = 0
  yield* bytes.pipe(
    Stream.runForEach((chunk) => {
      chunks.push(chunk)
      held += chunk.length
      return held <= MAX_BODY
        ? Effect.void
        : Effect.fail(unreadable(what, `it has more than ${MAX_BODY} bytes`, "A message is one body; send less."))
    }),
    Effect.catchTag("PlatformError", (error) =>
      Effect.fail(unreadable(what, error.message, "Name a file that you may read."))
    )
  )
  return Buffer.concat(chunks)
})

/** Lets a source give no more messages per second than it may; after a pause up to so many milliseconds' worth at once. */
const BURST_MILLIS = 100

const paced = Effect.fnUntraced(function* <E, R>(next: Effect.Effect<Message | undefined, E, R>, rate: number) {
  const now = monotonicMillis(yield* Clock.Clock)
  const interval = 1_000 / rate
  let free = now()
  return Effect.tap(next, (message) =>
    Effect.suspend(() => {
      if (message === undefined) return Effect.void
      const at = Math.max(free, now() - BURST_MILLIS)
      free = at + interval
      const wait = at - now()
      return wait > 0 ? Effect.sleep(wait) : Effect.void
    })
  )
})

/** The messages to send, and how many there will be where that is known. */
export const source = Effect.fnUntraced(function* (
  input: SourceInput,
  make: (body: Uint8Array | string) => Message,
  onBlank: () => void
) {
  const { body, file, rate, size } = input
  const limited = (next: NextMessage<UsageError>) => (rate === undefined ? Effect.succeed(next) : paced(next, rate))
  if (readsLines(input)) {
    const line = yield* lines(onBlank)
    const next = Effect.map(line, (bytes) => (bytes === undefined ? undefined : make(bytes)))
    return { next: yield* limited(next), total: undefined }
  }
  const content = file === undefined ? body : yield* whole(file)
  const total = input.count ?? 1
  let index = 0
  const next: NextMessage<UsageError> = Effect.sync(() => {
    const i = index++
    return i >= total ? undefined : make(content ?? generatedBody(i, size ?? DEFAULT_SIZE))
  })
  return { next: yield* limited(next), total }
})
