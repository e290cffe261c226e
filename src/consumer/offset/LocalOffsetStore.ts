import { Effect, Fiber, FileSystem, Option, Path, type PlatformError, Schema, Semaphore } from "effect"
import { createHash } from "node:crypto"
import { ConfigProblem, InvalidConfig } from "../../client/ClientError.ts"
import * as ForeignText from "../../message/ForeignText.ts"
import * as MessageQueue from "../../message/MessageQueue.ts"
import * as LenientJson from "../../protocol/LenientJson.ts"
import { type OffsetStore, OffsetStoreError } from "./OffsetStore.ts"

/**
 * Where a member of a broadcasting group keeps its offsets, which no broker does: in memory, in a file, or in an
 * `OffsetStore` of one's own. Each consumer needs a store of its own.
 *
 * Source: RocketMQ `LocalFileOffsetStore`.
 */

/** Bytes of an offsets file that are read at most; a queue takes about 100. */
const MAX_BYTES = 16 * 1024 * 1024
/** Queues that an offsets file has at most. */
const MAX_QUEUES = 100_000
const MAX_IDENTITY_LENGTH = 255
/** Characters of the identity and of the group that a file's name shows; what tells names apart is the hash behind them. */
const SHOWN_LENGTH = 60

/** An offsets file that cannot be used. It is the cause of an `OffsetStoreError`. */
export class OffsetFileError extends Schema.TaggedError<OffsetFileError>()("OffsetFileError", {
  /**
   * `damaged`: neither it nor its `.bak` can be read; `taken`: another process has opened it since; `absent`: it was to be
   * imported and is not there; `full`: it has as many queues as it may have.
   */
  problem: Schema.Literals(["damaged", "taken", "absent", "full"]),
  /** The file. */
  path: Schema.String,
  /** What was found. */
  detail: Schema.String
}) {
  override get message() {
    return `the offsets file ${this.path} ${this.detail}`
  }
}

/** How the file of {@link file} is found. */
export interface LocalOffsetFileOptions {
  /** The directory of the file; it is made when it is not there. */
  readonly directory: string
  /**
   * Who reads: a text that is the same after a restart and that no other process has, as the name of a host or of a pod of a
   * stateful set; 1 to 255 characters. A process id or a time would make a new member of each start.
   */
  readonly identity: string
  /**
   * An `offsets.json` of a Java client, `<home>/.rocketmq_offsets/<clientId>/<group>/offsets.json`, whose offsets are taken over
   * while there is no file of this client. It must be there then. Its topics must be without a namespace.
   */
  readonly importFrom?: string | undefined
}

/**
 * Offsets in memory: the default of a broadcasting consumer. Each start begins where `consumeFromWhere` says, so what was sent
 * while the process did not run is not read with `last`, and all is read again with `first`.
 */
export const memory = (): OffsetStore => {
  const offsets = new Map<string, number>()
  return {
    load: (group, queue) => Effect.sync(() => offsets.get(`${group} ${MessageQueue.key(queue)}`)),
    persist: (group, { offset, queue }) =>
      Effect.sync(() => void offsets.set(`${group} ${MessageQueue.key(queue)}`, offset))
  }
}

/** The offsets of queues, by the queue's key in the file. */
type Table = Map<string, number>

/** The key of a queue as Java writes it and {@link LenientJson.parse} gives it: JSON, its names sorted. */
const keyOf = ({ brokerName, queueId, topic }: MessageQueue.MessageQueue): string =>
  LenientJson.stringify(
    new Map<string, string | number>([
      ["brokerName", brokerName],
      ["queueId", queueId],
      ["topic", topic]
    ])
  )

/** Reads Java's form, `{"offsetTable":{{"brokerName":"b","queueId":0,"topic":"t"}:7}}`; a text says what is wrong with it. */
const parse = (bytes: Uint8Array): Table | string => {
  if (bytes.length === 0) return "is empty"
  const value = LenientJson.parse(bytes)
  if (value instanceof Error) return `is no JSON: ${ForeignText.clean(value.detail)}`
  const offsets = value instanceof Map ? value.get("offsetTable") : undefined
  if (!(offsets instanceof Map)) return "has no offsetTable"
  if (offsets.size > MAX_QUEUES) return `has more than ${MAX_QUEUES} queues`
  const table: Table = new Map()
  for (const [key, offset] of offsets) {
    if (typeof offset !== "number" || !Number.isSafeInteger(offset)) {
      return `has something else than an offset for queue ${ForeignText.clean(key)}`
    }
    // Below 0 is Java's word for "not known".
    if (offset >= 0) table.set(key, offset)
  }
  return table
}

const format = (table: Table): Uint8Array =>
  new TextEncoder().encode(
    `${LenientJson.stringify(new Map([["offsetTable", LenientJson.rawKeys([...table])]])).replaceAll(",{", ",\n{")}\n`
  )

/** What tells whether a file is still the one that was read or written: another process that writes replaces it. */
const markOf = ({ ino, mtime, size }: FileSystem.File.Info): string =>
  [Option.getOrUndefined(ino), Option.getOrUndefined(mtime)?.getTime(), size].map(String).join()

/** The offsets of one group, and its file. */
interface GroupFile {
  readonly path: string
  readonly table: Table
  readonly lock: Semaphore.Semaphore
  /** How often the table has changed, and how much of that is in the file. */
  changes: number
  written: number
  /** The {@link markOf} of the file when it was read or written last; undefined where there was none. */
  mark: string | undefined
  /** Whether the file can be read: it becomes the `.bak` then. */
  sound: boolean
}

const isAbsent = (error: PlatformError.PlatformError) => error.reason._tag === "NotFound"

const failed =
  (operation: "load" | "persist", group: string, queue: MessageQueue.MessageQueue) =>
  (cause: PlatformError.PlatformError | OffsetFileError) =>
    new OffsetStoreError({
      operation,
      group,
      queue: MessageQueue.key(queue),
      detail: ForeignText.clean(cause.message, 500),
      cause
    })

/** What is wrong with a file that has no offsets. */
const said = (content: Table | string | undefined) => (typeof content === "string" ? content : "is not there")

const shown = (text: string) => text.replace(/[^A-Za-z0-9_-]+/g, "_").slice(0, SHOWN_LENGTH)

/** The name of a group's file: readable, not longer than file systems allow, and different for each identity and group. */
const nameOf = (identity: string, group: string): string => {
  const hash = createHash("sha256")
    .update(JSON.stringify([identity, group]))
    .digest("hex")
    .slice(0, 16)
  return `${shown(identity)}-${shown(group)}-${hash}.json`
}

/**
 * Offsets in a file, one for each identity and group, in the form of Java's `offsets.json`. It is written aside, flushed to the
 * disk and renamed, and the one before it is kept as `.bak`, which is read when the file is damaged. It is read when the
 * consumer takes its first queue: a file that cannot be read, or whose content is damaged, is a problem in the consumer's
 * state, and no queue is read until it is mended. One that cannot be written is a problem as well; the offsets go on in
 * memory, and are written once that works. Queues that leave the topic's route keep their offsets.
 *
 * A file belongs to the process that opened it last: one that opened it before does not write it any more, and says so as a
 * problem. So two processes with one identity are found, and a restart that overlaps with its predecessor does no harm.
 *
 * Fails with `InvalidConfig` when an option cannot be used.
 */
export const file = Effect.fnUntraced(function* (
  options: LocalOffsetFileOptions
): Effect.fn.Return<OffsetStore, InvalidConfig, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const { directory, identity, importFrom } = options
  const lengths = { directory: 4_096, identity: MAX_IDENTITY_LENGTH, importFrom: 4_096 }
  const problems = Object.entries(lengths).flatMap(([path, most]) => {
    const value: unknown = Reflect.get(options, path)
    if (value === undefined && path === "importFrom") return []
    return typeof value === "string" && value.trim() !== "" && value.length <= most && !value.includes("\0")
      ? []
      : [new ConfigProblem({ path, problem: `must be a text of 1 to ${most} characters` })]
  })
  if (problems.length > 0) return yield* new InvalidConfig({ problems })
  const folder = paths.resolve(directory)
  const groups = new Map<string, GroupFile>()
  const opening = Semaphore.makeUnsafe(1)

  /** A file's offsets, or what is wrong with it; undefined when it is not there. */
  const readOne = (path: string) =>
    Effect.gen(function* () {
      const info = yield* fs.stat(path)
      const mark = markOf(info)
      if (info.type !== "File") return { mark, content: "is no file" }
      if (Number(info.size) > MAX_BYTES) return { mark, content: `is longer than ${MAX_BYTES} bytes` }
      return { mark, content: parse(yield* fs.readFile(path)) }
    }).pipe(Effect.catchIf(isAbsent, () => Effect.succeed(undefined)))

  /** The offsets of a file or of its `.bak`; undefined when neither is there. */
  const read = Effect.fnUntraced(function* (path: string) {
    const own = yield* readOne(path)
    if (own !== undefined && typeof own.content !== "string") return { mark: own.mark, table: own.content, sound: true }
    const backup = yield* readOne(`${path}.bak`)
    if (own === undefined && backup === undefined) return undefined
    const detail = said(own?.content)
    const table = backup?.content
    if (table === undefined || typeof table === "string") {
      return yield* new OffsetFileError({
        problem: "damaged",
        path,
        detail: `${detail}, and its .bak ${said(table)}; restore one of them, or delete both to begin where consumeFromWhere says`
      })
    }
    yield* Effect.logWarning(`the offsets file ${path} ${detail}; its .bak is read, which may be some seconds older`)
    return { mark: own?.mark, table, sound: false }
  })

  /** Writes the table aside, makes it lie on the disk, and puts it in the file's place. */
  const write = Effect.fnUntraced(function* (group: GroupFile) {
    const { path, table } = group
    const upTo = group.changes
    yield* fs.makeDirectory(folder, { recursive: true })
    const present = yield* fs.stat(path).pipe(
      Effect.map(markOf),
      Effect.catchIf(isAbsent, () => Effect.succeed(undefined))
    )
    if (present !== undefined && present !== group.mark) {
      yield* new OffsetFileError({
        problem: "taken",
        path,
        detail: "was opened by another process, or by another store of this one; each needs an identity of its own"
      })
    }
    const aside = `${path}.tmp`
    const mark = yield* Effect.scoped(
      Effect.gen(function* () {
        const handle = yield* fs.open(aside, { flag: "w" })
        yield* handle.writeAll(format(table))
        yield* handle.sync
        return markOf(yield* handle.stat)
      })
    )
    // Between the two renames there is the .bak alone, which is read then.
    if (present !== undefined && group.sound) yield* fs.rename(path, `${path}.bak`)
    yield* fs.rename(aside, path)
    group.mark = mark
    group.sound = true
    group.written = upTo
    // Some systems flush no directories; there the renames are on the disk a little later.
    yield* Effect.ignore(Effect.scoped(Effect.flatMap(fs.open(folder, { flag: "r" }), (handle) => handle.sync)))
  })

  /** Writes what is not in the file yet. Who waits may be interrupted; a write that has begun is always ended. */
  const flush = (group: GroupFile, upTo: number) =>
    Effect.flatMap(
      Effect.forkDetach(
        group.lock.withPermits(1)(Effect.suspend(() => (group.written >= upTo ? Effect.void : write(group)))),
        { startImmediately: true }
      ),
      Fiber.join
    )

  const open = Effect.fnUntraced(function* (group: string) {
    const known = groups.get(group)
    if (known !== undefined) return known
    const path = paths.join(folder, nameOf(identity, group))
    const own = yield* read(path)
    const imported =
      own !== undefined || importFrom === undefined
        ? undefined
        : ((yield* read(importFrom)) ??
          (yield* new OffsetFileError({
            problem: "absent",
            path: importFrom,
            detail: "is to be imported and is not there"
          })))
    const opened: GroupFile = {
      path,
      table: own?.table ?? imported?.table ?? new Map(),
      lock: Semaphore.makeUnsafe(1),
      changes: 1,
      written: 0,
      mark: own?.mark,
      sound: own?.sound === true
    }
    groups.set(group, opened)
    // From now on it is this process's. Where that fails, so does the next write, which tells.
    yield* Effect.ignore(flush(opened, 1))
    return opened
  })
  const opened = (group: string) => opening.withPermits(1)(open(group))

  const store: OffsetStore = {
    load: (group, queue) =>
      opened(group).pipe(
        Effect.map(({ table }) => table.get(keyOf(queue))),
        Effect.mapError(failed("load", group, queue))
      ),
    persist: (group, { offset, queue }) =>
      opened(group).pipe(
        Effect.flatMap((present) => {
          const { table } = present
          if (table.size >= MAX_QUEUES && !table.has(keyOf(queue))) {
            const detail = `has ${MAX_QUEUES} queues, the most that it may have`
            return Effect.fail(new OffsetFileError({ problem: "full", path: present.path, detail }))
          }
          table.set(keyOf(queue), offset)
          return flush(present, ++present.changes)
        }),
        Effect.mapError(failed("persist", group, queue))
      )
  }
  return store
})
