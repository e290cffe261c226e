import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Logger, Path, Schema } from "effect"
import * as LocalOffsetStore from "../../../src/consumer/offset/LocalOffsetStore.ts"
import type { OffsetStore, OffsetStoreError } from "../../../src/consumer/offset/OffsetStore.ts"
import * as MessageQueue from "../../../src/message/MessageQueue.ts"
import { disk, type Files } from "./disk.ts"

const queue = (queueId: number, brokerName = "broker-a", topic = "prices") =>
  MessageQueue.make(topic, brokerName, queueId)
const options = (directory: string, identity = "node-7") => ({ directory, identity })

const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
const anyName = Schema.String.check(Schema.isMaxLength(40))

/** A test with a directory of its own. */
const inDirectory = <A, E>(
  test: (
    directory: string,
    fs: FileSystem.FileSystem
  ) => Effect.Effect<A, E, FileSystem.FileSystem | NodeServices.NodeServices>
) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return yield* test(yield* fs.makeTempDirectoryScoped({ prefix: "offsets-" }), fs)
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

/** The one offsets file of a directory. */
const pathIn = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const [name = "none", ...more] = (yield* fs.readDirectory(directory)).filter((one) => one.endsWith(".json"))
  assert.deepStrictEqual(more, [])
  return `${directory}/${name}`
})

const persist = (store: OffsetStore, offsets: Record<number, number>, group = "g") =>
  Effect.forEach(
    Object.entries(offsets),
    ([id, offset]) => store.persist(group, { queue: queue(Number(id)), offset }),
    { concurrency: 16, discard: true }
  )
const load = (store: OffsetStore, queueId: number, group = "g") => store.load(group, queue(queueId))

const causeOf = ({ cause }: OffsetStoreError) => {
  if (!(cause instanceof LocalOffsetStore.OffsetFileError)) throw new Error("no OffsetFileError", { cause })
  return cause
}

describe("offsets in memory", () => {
  it.effect("are kept by group and queue, for as long as the store is there", () =>
    Effect.gen(function* () {
      const store = LocalOffsetStore.memory()
      assert.isUndefined(yield* load(store, 1))
      yield* persist(store, { 1: 7, 2: 0 })
      assert.deepStrictEqual([yield* load(store, 1), yield* load(store, 2)], [7, 0])
      assert.isUndefined(yield* load(store, 1, "other"))
      assert.isUndefined(yield* load(LocalOffsetStore.memory(), 1))
    })
  )
})

describe("offsets in a file", () => {
  it.effect("are there again after a restart, those of queues that nobody reads any more as well", () =>
    inDirectory((directory) =>
      Effect.gen(function* () {
        const first = yield* LocalOffsetStore.file(options(`${directory}/made/by it`))
        assert.isUndefined(yield* load(first, 1))
        yield* persist(first, { 0: 3, 1: 7, 2: 1_000_000_000_000 })
        const second = yield* LocalOffsetStore.file(options(`${directory}/made/by it`))
        yield* persist(second, { 1: 8 })
        const third = yield* LocalOffsetStore.file(options(`${directory}/made/by it`))
        assert.deepStrictEqual([yield* load(third, 0), yield* load(third, 1), yield* load(third, 2)], [3, 8, 1e12])
        const other = yield* LocalOffsetStore.file(options(`${directory}/made/by it`, "node-8"))
        assert.isUndefined(yield* load(other, 1))
        assert.isUndefined(yield* load(third, 1, "other"))
      })
    )
  )

  it.effect.prop(
    "any names and offsets come back as they were written",
    {
      offsets: Schema.Array(
        Schema.Struct({
          topic: anyName,
          brokerName: anyName,
          queueId: upTo(1_000),
          offset: upTo(Number.MAX_SAFE_INTEGER)
        })
      ).check(Schema.isMaxLength(20))
    },
    ({ offsets }) =>
      inDirectory((directory) =>
        Effect.gen(function* () {
          const first = yield* LocalOffsetStore.file(options(directory))
          const last = new Map<string, { queue: MessageQueue.MessageQueue; offset: number }>()
          for (const { offset, ...one } of offsets) {
            last.set(JSON.stringify(one), { queue: one, offset })
            yield* first.persist("g", { queue: one, offset })
          }
          const second = yield* LocalOffsetStore.file(options(directory))
          for (const { offset, queue: one } of last.values()) assert.strictEqual(yield* second.load("g", one), offset)
        })
      ),
    { arbitrary: { runs: 30 } }
  )

  it.effect("names of any length and kind make names of files that differ and that every system takes", () =>
    inDirectory((directory, fs) =>
      Effect.gen(function* () {
        const identities = ["a", "A", "a/b", "a\\b", "..", "é", "x".repeat(255), `${"x".repeat(254)}y`, "a b", "a_b"]
        for (const [index, identity] of identities.entries()) {
          const store = yield* LocalOffsetStore.file(options(directory, identity))
          yield* persist(store, { 0: index }, "g".repeat(120))
        }
        const names = (yield* fs.readDirectory(directory)).filter((name) => name.endsWith(".json"))
        assert.strictEqual(new Set(names.map((name) => name.toLowerCase())).size, identities.length)
        for (const name of names) assert.match(name, /^[A-Za-z0-9_-]{1,160}\.json$/)
        for (const [index, identity] of identities.entries()) {
          const store = yield* LocalOffsetStore.file(options(directory, identity))
          assert.strictEqual(yield* load(store, 0, "g".repeat(120)), index, identity)
        }
      })
    )
  )

  it.effect("options that cannot be used are told all at once", () =>
    inDirectory(() =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(
          LocalOffsetStore.file({ directory: " ", identity: "x".repeat(256), importFrom: "a\0b" })
        )
        assert.strictEqual(error._tag, "InvalidConfig")
        assert.deepStrictEqual(
          error.problems.map(({ path }) => path),
          ["directory", "identity", "importFrom"]
        )
      })
    )
  )

  for (const [what, content] of [
    ["cut off", '{"offsetTable":{{"brokerName":"broker-a","queueId":1,"top'],
    ["empty", ""],
    ["no JSON", "\u0000\u0000\u0000"],
    ["of another kind", "[]"],
    ["without numbers", '{"offsetTable":{{"brokerName":"broker-a","queueId":1,"topic":"prices"}:"7"}}'],
    ["beyond what numbers hold", '{"offsetTable":{"x":99999999999999999999}}']
  ] as const) {
    it.effect(`a file that is ${what}: its .bak is read; without one nothing is read until it is mended`, () => {
      const lines: Array<unknown> = []
      return inDirectory((directory, fs) =>
        Effect.gen(function* () {
          yield* persist(yield* LocalOffsetStore.file(options(directory)), { 1: 7 })
          // What the second write finds becomes the .bak.
          yield* persist(yield* LocalOffsetStore.file(options(directory)), { 1: 8 })
          const path = yield* pathIn(directory)
          yield* fs.writeFileString(path, content)
          const mended = yield* LocalOffsetStore.file(options(directory))
          assert.strictEqual(yield* load(mended, 1), 7)
          assert.include(String(lines), `${path} `)
          // They were written again at once, and the damaged file has not taken the place of the .bak.
          assert.include(yield* fs.readFileString(path), ":7")
          assert.include(yield* fs.readFileString(`${path}.bak`), ":7")
          yield* persist(mended, { 1: 9 })
          assert.strictEqual(yield* load(yield* LocalOffsetStore.file(options(directory)), 1), 9)

          yield* fs.writeFileString(path, content)
          yield* fs.writeFileString(`${path}.bak`, content)
          const store = yield* LocalOffsetStore.file(options(directory))
          const error = yield* Effect.flip(load(store, 1))
          assert.strictEqual(error.operation, "load")
          assert.deepInclude(causeOf(error), { problem: "damaged", path })
          assert.include(error.message, "restore one of them, or delete both")
          yield* Effect.flip(persist(store, { 1: 10 }))
          assert.strictEqual(yield* fs.readFileString(path), content)
          yield* fs.remove(path)
          yield* fs.remove(`${path}.bak`)
          assert.isUndefined(yield* load(store, 1))
          yield* persist(store, { 1: 10 })
          assert.strictEqual(yield* load(yield* LocalOffsetStore.file(options(directory)), 1), 10)
        })
      ).pipe(Effect.provide(Logger.layer([Logger.make(({ message }) => lines.push(message))])))
    })
  }

  it.effect("what is too long, too many, or no file is not read", () =>
    inDirectory((directory, fs) =>
      Effect.gen(function* () {
        yield* persist(yield* LocalOffsetStore.file(options(directory)), { 1: 7 })
        const path = yield* pathIn(directory)
        const detail = Effect.gen(function* () {
          yield* Effect.ignore(fs.remove(`${path}.bak`))
          return causeOf(yield* Effect.flip(load(yield* LocalOffsetStore.file(options(directory)), 1))).detail
        })
        yield* fs.truncate(path, 16 * 1024 * 1024 + 1)
        assert.include(yield* detail, "is longer than 16777216 bytes")
        const many = Array.from({ length: 100_001 }, (_, id) => `${id}:0`).join()
        yield* fs.writeFileString(path, `{"offsetTable":{${many}}}`)
        assert.include(yield* detail, "has more than 100000 queues")
        yield* fs.remove(path)
        yield* fs.makeDirectory(path)
        assert.include(yield* detail, "is no file")
      })
    )
  )

  it.effect("R28: where nothing can be written the offsets go on in memory, and are written once it works", () =>
    inDirectory((directory, fs) =>
      Effect.gen(function* () {
        // A file where the directory is to be: no user, not even root, can write below it.
        yield* fs.writeFileString(`${directory}/taken`, "")
        const store = yield* LocalOffsetStore.file(options(`${directory}/taken/offsets`))
        const unreadable = yield* Effect.flip(load(store, 1))
        assert.strictEqual(unreadable.operation, "load")
        yield* fs.remove(`${directory}/taken`)
        assert.isUndefined(yield* load(store, 1))
        yield* fs.remove(`${directory}/taken`, { recursive: true })
        yield* fs.writeFileString(`${directory}/taken`, "")
        const error = yield* Effect.flip(persist(store, { 1: 7 }))
        assert.strictEqual(error.operation, "persist")
        assert.include(error.message, `${directory}/taken`)
        assert.strictEqual(yield* load(store, 1), 7)
        yield* fs.remove(`${directory}/taken`)
        yield* persist(store, { 2: 1 })
        const again = yield* LocalOffsetStore.file(options(`${directory}/taken/offsets`))
        assert.deepStrictEqual([yield* load(again, 1), yield* load(again, 2)], [7, 1])
      })
    )
  )

  it.effect("a file belongs to who opened it last: the one before is told, and writes it no more", () =>
    inDirectory((directory) =>
      Effect.gen(function* () {
        const old = yield* LocalOffsetStore.file(options(directory))
        yield* persist(old, { 1: 7 })
        const young = yield* LocalOffsetStore.file(options(directory))
        assert.strictEqual(yield* load(young, 1), 7)
        const error = yield* Effect.flip(persist(old, { 1: 100 }))
        assert.deepInclude(causeOf(error), { problem: "taken" })
        assert.include(error.message, "an identity of its own")
        yield* persist(young, { 1: 8 })
        yield* Effect.flip(persist(old, { 1: 101 }))
        assert.strictEqual(yield* load(yield* LocalOffsetStore.file(options(directory)), 1), 8)
      })
    )
  )

  it.effect("Java's offsets.json is taken over once, and one that is named must be there", () =>
    inDirectory((directory, fs) =>
      Effect.gen(function* () {
        const java = `${directory}/offsets.json.java`
        const from = { ...options(`${directory}/ours`), importFrom: java }
        const absent = yield* Effect.flip(load(yield* LocalOffsetStore.file(from), 0))
        assert.deepInclude(causeOf(absent), { problem: "absent", path: java })
        yield* fs.writeFileString(
          java,
          `{
	"offsetTable":{{
			"brokerName":"broker-a",
			"queueId":0,
			"topic":"prices"
		}:42,{
			"topic":"prices",
			"queueId":1,
			"brokerName":"broker-a"
		}:-1
	}
}`
        )
        const store = yield* LocalOffsetStore.file(from)
        assert.deepStrictEqual([yield* load(store, 0), yield* load(store, 1)], [42, undefined])
        yield* persist(store, { 0: 43 })
        yield* fs.remove(java)
        assert.strictEqual(yield* load(yield* LocalOffsetStore.file(from), 0), 43)
      })
    )
  )

  it.effect("writes of many queues at once are few", () =>
    inDirectory((directory, fs) =>
      Effect.gen(function* () {
        let writes = 0
        const counting = FileSystem.FileSystem.of({
          ...fs,
          open: (path, flags) =>
            Effect.tap(fs.open(path, flags), () => Effect.sync(() => void (writes += path.endsWith(".tmp") ? 1 : 0)))
        })
        const store = yield* LocalOffsetStore.file(options(directory)).pipe(
          Effect.provideService(FileSystem.FileSystem, counting)
        )
        yield* persist(store, Object.fromEntries(Array.from({ length: 256 }, (_, id) => [id, id])))
        assert.isAtMost(writes, 40)
        const again = yield* LocalOffsetStore.file(options(directory))
        for (let id = 0; id < 256; id++) assert.strictEqual(yield* load(again, id), id)
      })
    )
  )

  it.effect("R28: at whatever step the machine dies, the offsets written last, or those before them, are there", () =>
    Effect.gen(function* () {
      let begun = 0
      let damaged = false
      for (let steps = 0; ; steps++) {
        const files: Files = new Map()
        // In a second run the file is damaged at first, and there is a .bak of it.
        if (damaged) {
          const before = disk(files, Infinity)
          for (const offset of [0, 1]) {
            yield* Effect.flatMap(LocalOffsetStore.file(options("/offsets")), (store) =>
              persist(store, { 1: offset })
            ).pipe(Effect.provideService(FileSystem.FileSystem, before.fs))
          }
          for (const [path, file] of files) if (path.endsWith(".json")) file.flushed = false
          before.crash()
        }
        const first = disk(files, steps)
        let acknowledged = 0
        const work = Effect.gen(function* () {
          const store = yield* LocalOffsetStore.file(options("/offsets"))
          for (let offset = 1; offset <= 4; offset++) {
            yield* persist(store, { 1: offset })
            acknowledged = offset
          }
        }).pipe(Effect.provideService(FileSystem.FileSystem, first.fs))
        yield* Effect.forkChild(work, { startImmediately: true })
        for (let turn = 0; turn < 400 && !first.died(); turn++) yield* Effect.yieldNow
        yield* Effect.yieldNow
        first.crash()
        const found = yield* Effect.flatMap(LocalOffsetStore.file(options("/offsets")), (store) => load(store, 1)).pipe(
          Effect.provideService(FileSystem.FileSystem, disk(files, Infinity).fs)
        )
        assert.isAtLeast(found ?? 0, acknowledged, `after ${steps} steps`)
        assert.isAtMost(found ?? 0, acknowledged + 1, `after ${steps} steps`)
        if (found !== undefined && found > 0) begun++
        if (acknowledged < 4) continue
        if (damaged) break
        damaged = true
        steps = -1
      }
      assert.isAbove(begun, 20)
    }).pipe(Effect.provide(Path.layer))
  )
})
