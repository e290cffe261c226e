import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { SysFlag } from "../../src/message/SysFlag.ts"
import * as Compression from "../../src/protocol/Compression.ts"
import { DecodeError } from "../../src/protocol/DecodeError.ts"
import * as Lz4 from "../../src/protocol/Lz4.ts"
import * as SendMessage from "../../src/protocol/request/SendMessage.ts"
import { golden, goldenCommand } from "./goldenFrames.ts"

const types = ["ZLIB", "LZ4", "ZSTD"] as const
const int = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

/** Bytes that pack well, and bytes that do not; long enough to leave the main thread. */
const body = Arbitrary.map(
  Arbitrary.all({
    seed: int(0, 65_535),
    length: int(1, 100_000),
    period: int(1, 1_000),
    noise: Arbitrary.schema(Schema.Boolean)
  }),
  ({ length, noise, period, seed }) => {
    let state = seed
    return Uint8Array.from({ length }, (_, i) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
      return noise ? state >> 16 : (i % period) + seed
    })
  }
)

const unpack = (packed: Uint8Array, type: Compression.CompressionType, maxOutputLength?: number) =>
  Compression.decompressEffect(packed, Compression.sysFlagOf(type), { maxOutputLength })

const kindOf = (error: Compression.CompressionError | Compression.CompressionUnavailable) =>
  error._tag === "CompressionError" ? error.kind : error._tag

const without = Effect.provideService(
  Compression.Lz4Library,
  Lz4.fromModule(() => Promise.reject(new Error("Cannot find package 'lz4-napi'")))
)

describe("compression", () => {
  it("flags are RocketMQ's", () => {
    assert.deepEqual(types.map(Compression.sysFlagOf), [769, 257, 513])
    for (const type of types) {
      assert.strictEqual(Compression.compressionOf(Compression.sysFlagOf(type) | SysFlag.TRANSACTION_PREPARED), type)
    }
    assert.strictEqual(Compression.clearCompressed(769 | 4), 768 | 4)
    assert.isUndefined(Compression.compressionOf(Compression.clearCompressed(513)))
    assert.strictEqual(Compression.compressionOf(SysFlag.COMPRESSED), "ZLIB")
  })

  for (const [name, type, magic, text] of [
    ["lz4", "LZ4", "04224d18", "LZ4-compress-".repeat(400)],
    ["zstd", "ZSTD", "28b52ffd", "ZSTD-compress-".repeat(400)],
    ["zlib", "ZLIB", "785e", undefined]
  ] as const) {
    it.effect(`reads what the Java client packed with ${name}, and packs alike`, () =>
      Effect.gen(function* () {
        const cmd = goldenCommand(golden(`send-v2-request-${name}`))
        const header = SendMessage.decodeRequest(cmd)
        if (header instanceof DecodeError) assert.fail(header.message)
        assert.strictEqual(header.sysFlag, Compression.sysFlagOf(type))
        const plain = yield* Compression.decompressEffect(cmd.body, header.sysFlag)
        if (text === undefined) assert.isAbove(plain.length, 4_096)
        else assert.strictEqual(Buffer.from(plain).toString(), text)
        const packed = yield* Compression.compress(plain, { type })
        for (const bytes of [cmd.body, packed]) {
          assert.strictEqual(Buffer.from(bytes).toString("hex", 0, magic.length / 2), magic)
        }
        assert.deepEqual(yield* unpack(packed, type), plain)
      })
    )
  }

  it.effect.prop(
    "unpacking undoes packing, whatever the size, and equal bodies become equal bytes",
    [body, Schema.Literals(types), int(-1, 10)],
    Effect.fnUntraced(function* ([bytes, type, level]) {
      const packed = yield* Compression.compress(bytes, { type, level })
      const again = yield* Compression.compress(bytes.slice(), { type, level })
      assert.isTrue(Buffer.from(packed).equals(again))
      const back = yield* unpack(packed, type)
      assert.isTrue(Buffer.from(back).equals(bytes))
      assert.strictEqual(Object.getPrototypeOf(back), Uint8Array.prototype)
      if (type !== "LZ4") {
        const sync = Compression.decompress(packed, Compression.sysFlagOf(type))
        assert.isTrue(sync instanceof Uint8Array && Buffer.from(sync).equals(bytes))
      }
    }),
    { arbitrary: { runs: 40 } }
  )

  it.effect("the level counts, and ZLIB 5 is the default", () =>
    Effect.gen(function* () {
      const bytes = Buffer.from(Array.from({ length: 4_000 }, (_, i) => `${i * i} `).join(""))
      assert.deepEqual(
        yield* Compression.compress(bytes),
        yield* Compression.compress(bytes, { type: "ZLIB", level: 5 })
      )
      for (const [outside, within] of [
        [-1, 0],
        [10, 9]
      ] as const) {
        const [a, b] = [outside, within].map((level) => Compression.compress(bytes, { level }))
        assert.deepEqual(a && (yield* a), b && (yield* b))
      }
      assert.isBelow(
        (yield* Compression.compress(bytes, { level: 9 })).length,
        (yield* Compression.compress(bytes, { level: 1 })).length
      )
    })
  )

  it.effect.prop(
    "a limit is an error at one byte below the length, and none at the length",
    [body, Schema.Literals(types)],
    Effect.fnUntraced(function* ([bytes, type]) {
      const packed = yield* Compression.compress(bytes, { type })
      assert.strictEqual((yield* unpack(packed, type, bytes.length)).length, bytes.length)
      if (bytes.length > 1) {
        const error = yield* Effect.flip(unpack(packed, type, bytes.length - 1))
        assert.strictEqual(kindOf(error), "too-large")
        assert.include(error.message, `${bytes.length - 1} bytes`)
      }
    }),
    { arbitrary: { runs: 40 } }
  )

  it.effect("a small body that would fill the memory is refused, LZ4 too", () =>
    Effect.gen(function* () {
      const zeros = new Uint8Array(64 * 1024 * 1024)
      for (const type of types) {
        const error = yield* Effect.flip(unpack(yield* Compression.compress(zeros, { type }), type))
        assert.strictEqual(kindOf(error), "too-large", type)
      }
    })
  )

  it.effect("a body that was cut anywhere is corrupt, never shorter", () =>
    Effect.gen(function* () {
      const bytes = Buffer.from("LZ4-compress-".repeat(400))
      for (const type of types) {
        const packed = yield* Compression.compress(bytes, { type })
        for (let end = 1; end < packed.length; end++) {
          const error = yield* Effect.flip(unpack(packed.subarray(0, end), type))
          assert.strictEqual(kindOf(error), "corrupt", `${type} ${end} of ${packed.length}`)
        }
      }
    })
  )

  it.effect("LZ4 frames: several, with gaps to skip, and nothing else behind them", () =>
    Effect.gen(function* () {
      const one = yield* Compression.compress(Buffer.from("one "), { type: "LZ4" })
      const two = yield* Compression.compress(Buffer.from("two"), { type: "LZ4" })
      const skipped = Buffer.from("502a4d1803000000616263", "hex")
      const packed = Buffer.concat([one, skipped, two])
      assert.strictEqual(Buffer.from(yield* unpack(packed, "LZ4")).toString(), "one two")
      assert.strictEqual(kindOf(yield* Effect.flip(unpack(packed, "LZ4", 6))), "too-large")
      for (const tail of ["00", "04224d18", "502a4d18ffffffff", "616263646566676869"]) {
        const error = yield* Effect.flip(unpack(Buffer.concat([one, Buffer.from(tail, "hex")]), "LZ4"))
        assert.strictEqual(kindOf(error), "corrupt", tail)
      }
    })
  )

  it.effect.prop(
    "damaged LZ4 is an error or bytes within the limit",
    [body, int(0, 1_000_000), int(1, 255)],
    Effect.fnUntraced(function* ([bytes, position, change]) {
      const packed = Uint8Array.from(yield* Compression.compress(bytes, { type: "LZ4" }))
      const at = position % packed.length
      packed[at] = (packed[at] ?? 0) ^ change
      const result = yield* Effect.result(unpack(packed, "LZ4", 200_000))
      if (result._tag === "Success") assert.isAtMost(result.success.length, 200_000)
      else assert.include(["corrupt", "too-large"], kindOf(result.failure))
    }),
    { arbitrary: { runs: 200 } }
  )

  it.effect("bodies that are not packed, empty ones and unknown types", () =>
    Effect.gen(function* () {
      const bytes = Buffer.from("plain")
      assert.strictEqual(yield* Compression.decompressEffect(bytes, 0), bytes)
      assert.strictEqual((yield* unpack(new Uint8Array(0), "LZ4")).length, 0)
      const error = yield* Effect.flip(Compression.decompressEffect(bytes, SysFlag.COMPRESSED | 1024))
      assert.strictEqual(kindOf(error), "unsupported")
    })
  )

  it.effect("without the package LZ4 is a typed error that says what to install, and the rest works", () =>
    Effect.gen(function* () {
      const bytes = Buffer.from("body")
      const packed = yield* Compression.compress(bytes, { type: "LZ4" })
      for (const attempt of [Compression.compress(bytes, { type: "LZ4" }), unpack(packed, "LZ4")]) {
        const error = yield* Effect.flip(without(attempt))
        assert.strictEqual(error._tag, "CompressionUnavailable")
        assert.include(error.message, "npm install lz4-napi")
      }
      assert.isAbove((yield* without(Compression.compress(bytes))).length, 0)
    })
  )

  it.effect("another codec can be provided", () =>
    Effect.gen(function* () {
      const codec = {
        compressFrame: () => Promise.resolve(Uint8Array.of(7)),
        decompressFrame: () => Promise.reject(new Error())
      }
      const packed = yield* Compression.compress(Buffer.from("x"), { type: "LZ4" }).pipe(
        Effect.provideService(Compression.Lz4Library, Effect.succeed(codec))
      )
      assert.deepEqual(packed, Uint8Array.of(7))
    })
  )
})
