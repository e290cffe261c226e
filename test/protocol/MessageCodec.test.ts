import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { deflateSync, zstdCompressSync } from "node:zlib"
import * as MessageExts from "../../src/message/MessageExt.ts"
import type { MessageExt, StoredFields } from "../../src/message/MessageExt.ts"
import { SysFlag } from "../../src/message/SysFlag.ts"
import { CompressionError, decompress } from "../../src/protocol/Compression.ts"
import { DecodeError } from "../../src/protocol/DecodeError.ts"
import * as MessageCodec from "../../src/protocol/MessageCodec.ts"
import { bytes, text } from "./arbitraries.ts"

const fields: StoredFields = {
  topic: "orders",
  body: new TextEncoder().encode("hello rocketmq"),
  properties: { UNIQ_KEY: "0A", TAGS: "标签" },
  flag: -1,
  queueId: 3,
  queueOffset: 4_294_967_296,
  commitLogOffset: 9_007_199_254_740_991,
  sysFlag: 0,
  bornTimestamp: 1_795_409_971_265,
  bornHost: "10.1.2.255:50500",
  storeTimestamp: -1,
  storeHost: "127.0.0.1:10911",
  bodyCRC: 1_932_557_065,
  storeSize: 0,
  reconsumeTimes: 2,
  preparedTransactionOffset: -4_294_967_297
}
const message = MessageExts.make(fields)

const one = (stored: Uint8Array): MessageExt => {
  const { error, messages } = MessageCodec.decodeAll(stored)
  if (error !== undefined) assert.fail(error.message)
  assert.strictEqual(messages.length, 1)
  return messages[0] ?? assert.fail("no message")
}

/** A message as it comes back: size and flags as stored. */
const stored = (value: StoredFields, sysFlag = value.sysFlag): MessageExt =>
  MessageExts.make({ ...value, sysFlag, storeSize: MessageCodec.encode(value).length })

describe("stored messages", () => {
  it("decode undoes encode, body CRC as Java has it", () => {
    assert.deepEqual(one(MessageCodec.encode(message)), stored(message))
  })

  for (const [host, shown] of [
    ["[::1]:1", "[::1]:1"],
    ["[2001:db8::ff00:42:8329]:65535", "[2001:db8::ff00:42:8329]:65535"],
    ["[2001:0db8:0:0:1:0:0:1]:9", "[2001:db8::1:0:0:1]:9"],
    ["[1:2:3:4:5:6:7:8]:9", "[1:2:3:4:5:6:7:8]:9"],
    ["[::ffff:1.2.3.4]:9", "[::ffff:102:304]:9"],
    ["[fe80::1%eth0]:9", "[fe80::1]:9"],
    ["[::]:0", "[::]:0"]
  ] as const) {
    it(`IPv6 ${host}`, () => {
      const flags = SysFlag.COMPRESSED | SysFlag.BORNHOST_V6
      assert.deepEqual(
        one(MessageCodec.encode({ ...message, sysFlag: SysFlag.COMPRESSED, bornHost: host })),
        stored({ ...message, bornHost: shown }, flags)
      )
      assert.deepEqual(
        one(MessageCodec.encode({ ...message, bornHost: host, storeHost: host })),
        stored({ ...message, bornHost: shown, storeHost: shown }, SysFlag.BORNHOST_V6 | SysFlag.STOREHOST_V6)
      )
    })
  }

  it("the host bits follow the hosts; a name has no room and becomes 0.0.0.0", () => {
    const back = one(MessageCodec.encode({ ...message, sysFlag: 48, bornHost: "client.example:1", storeHost: "junk" }))
    assert.strictEqual(back.sysFlag, 0)
    assert.strictEqual(back.bornHost, "0.0.0.0:1")
    assert.strictEqual(back.storeHost, "0.0.0.0:0")
  })

  it("a topic of more than 127 bytes takes the second layout", () => {
    const magic = (topic: string) => Buffer.from(MessageCodec.encode({ ...message, topic })).readInt32BE(4)
    assert.strictEqual(magic("t".repeat(127)), MessageCodec.MESSAGE_MAGIC_V1)
    assert.strictEqual(magic("t".repeat(128)), MessageCodec.MESSAGE_MAGIC_V2)
    const long = { ...message, topic: "标".repeat(100) }
    assert.deepEqual(one(MessageCodec.encode(long)), stored(long))
  })

  it("properties that the length field cannot hold are no message", () => {
    assert.throws(() => MessageCodec.encode({ ...message, properties: { a: "x".repeat(32_768) } }), RangeError)
  })

  it("stops at the first bad entry and keeps those before it", () => {
    const good = MessageCodec.encode(message)
    for (const spoil of [
      (b: Buffer) => b.writeInt32BE(0, 0),
      (b: Buffer) => b.writeInt32BE(-1, 0),
      (b: Buffer) => b.writeInt32BE(2_147_483_647, 0),
      (b: Buffer) => b.writeInt32BE(-875_286_124, 4),
      (b: Buffer) => b.writeInt32BE(48, 36),
      (b: Buffer) => b.writeInt32BE(-1, 84),
      (b: Buffer) => b.writeInt32BE(2_147_483_647, 84),
      (b: Buffer) => b.writeInt8(-1, 102),
      (b: Buffer) => b.writeInt16BE(-1, 109),
      (b: Buffer) => b.writeInt16BE(32_767, 109),
      (b: Buffer) => b.writeInt32BE(2_147_483_647, 20)
    ]) {
      const bad = Buffer.from(good)
      spoil(bad)
      const { error, messages } = MessageCodec.decodeAll(Buffer.concat([good, bad, good]), 11)
      assert.strictEqual(messages.length, 1, String(spoil))
      assert.strictEqual(error?.field, "message[1]")
      assert.strictEqual(error?.code, 11)
    }
    for (let length = 1; length < good.length; length++) {
      const { error, messages } = MessageCodec.decodeAll(good.subarray(0, length))
      assert.strictEqual(messages.length, 0)
      assert.isDefined(error)
    }
  })

  it("Java's hash code", () => {
    assert.strictEqual(MessageCodec.javaHashCode(""), 0)
    assert.strictEqual(MessageCodec.javaHashCode("TagA"), 2_598_919)
    assert.strictEqual(MessageCodec.javaHashCode("Z"), 90)
    assert.strictEqual(MessageCodec.javaHashCode("polygenelubricants"), -2_147_483_648)
  })
})

describe("batches", () => {
  const part = Arbitrary.all({
    flag: Arbitrary.schema(Schema.Int.check(Schema.isInt32())),
    body: bytes,
    properties: text
  })

  it.effect.prop(
    "decode undoes encode, and any cut is an error",
    { parts: Arbitrary.array(part, { maxLength: 4 }) },
    ({ parts }) =>
      Effect.sync(() => {
        const encoded = MessageCodec.encodeBatch(parts)
        assert.deepEqual(MessageCodec.decodeBatch(encoded), parts)
        if (encoded.length > 0) {
          assert.instanceOf(MessageCodec.decodeBatch(encoded.subarray(0, encoded.length - 1)), DecodeError)
        }
      })
  )

  it("refuses lengths that lie", () => {
    const good = Buffer.from(
      MessageCodec.encodeBatch([{ flag: 0, body: Uint8Array.of(1), properties: "a\u0001b\u0002" }])
    )
    for (const [at, size] of [
      [0, 4],
      [16, 4],
      [21, 2]
    ] as const) {
      for (const value of [-1, 32_767]) {
        const bad = Buffer.from(good)
        bad.writeIntBE(value, at, size)
        assert.instanceOf(MessageCodec.decodeBatch(bad), DecodeError, `${value} at ${at}`)
      }
    }
  })
})

const kindOf = (result: Uint8Array | CompressionError): string =>
  result instanceof CompressionError
    ? `${result.compression} ${result.kind}`
    : Buffer.from(result).toString().slice(0, 9)

describe("compression", () => {
  const plain = Buffer.from("compress-".repeat(1000))

  it("unpacks by the flags", () => {
    assert.strictEqual(decompress(plain, 0), plain)
    assert.strictEqual(kindOf(decompress(deflateSync(plain), SysFlag.COMPRESSED)), "compress-")
    assert.strictEqual(
      kindOf(decompress(deflateSync(plain), SysFlag.COMPRESSED | SysFlag.COMPRESSION_ZLIB)),
      "compress-"
    )
    assert.strictEqual(
      kindOf(decompress(zstdCompressSync(plain), SysFlag.COMPRESSED | SysFlag.COMPRESSION_ZSTD)),
      "compress-"
    )
  })

  it("refuses what it cannot, must not or should not unpack", () => {
    assert.strictEqual(kindOf(decompress(plain, SysFlag.COMPRESSED | SysFlag.COMPRESSION_LZ4)), "LZ4 unsupported")
    assert.strictEqual(kindOf(decompress(plain, SysFlag.COMPRESSED | 1024)), "UNKNOWN unsupported")
    for (const flags of [SysFlag.COMPRESSED, SysFlag.COMPRESSED | SysFlag.COMPRESSION_ZSTD]) {
      const packed = flags === SysFlag.COMPRESSED ? deflateSync(plain) : zstdCompressSync(plain)
      assert.match(kindOf(decompress(plain, flags)), /corrupt$/)
      assert.match(kindOf(decompress(packed.subarray(0, packed.length - 5), flags)), /corrupt$/)
      assert.match(kindOf(decompress(packed, flags, { maxOutputLength: 8999 })), /too-large$/)
      assert.strictEqual(kindOf(decompress(packed, flags, { maxOutputLength: 9000 })), "compress-")
    }
    // 64 MiB of zeros in 64 KiB: above the limit of 32 MiB.
    const bomb = deflateSync(Buffer.alloc(64 * 1024 * 1024))
    assert.strictEqual(kindOf(decompress(bomb, SysFlag.COMPRESSED)), "ZLIB too-large")
  })
})
