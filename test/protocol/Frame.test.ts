import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { encode, FrameError, makeFrameDecoder, MAX_FRAME_LENGTH } from "../../src/protocol/Frame.ts"
import type { RemotingCommand } from "../../src/protocol/RemotingCommand.ts"
import { command } from "./arbitraries.ts"
import { golden, goldenBytes, goldenCommand, goldenNames } from "./goldenFrames.ts"

const request: RemotingCommand = {
  code: 310,
  language: "OTHER",
  version: 513,
  opaque: 1,
  flag: 0,
  remark: undefined,
  extFields: { b: "topic" },
  body: Uint8Array.of(1, 2, 3),
  serializeType: "JSON"
}

const lengthField = (length: number): Uint8Array => {
  const out = Buffer.alloc(4)
  out.writeInt32BE(length, 0)
  return out
}

/** Feeds bytes cut at the given sizes, over and over. */
const feed = (bytes: Uint8Array, sizes: ReadonlyArray<number>) => {
  const decoder = makeFrameDecoder()
  const commands: Array<RemotingCommand> = []
  let error: FrameError | undefined
  let at = 0
  for (let i = 0; at < bytes.length; i++) {
    const size = Math.max(1, sizes[i % sizes.length] ?? 1)
    const result = decoder.push(Uint8Array.from(bytes.subarray(at, at + size)))
    commands.push(...result.commands)
    error ??= result.error
    at += size
  }
  return { commands, error, pending: decoder.pending }
}

const bytesOf = (names: ReadonlyArray<string>): Uint8Array =>
  Buffer.concat(names.map((name) => goldenBytes(golden(name))))

describe("FrameDecoder", () => {
  const all = bytesOf(goldenNames)
  const expected = goldenNames.map((name) => goldenCommand(golden(name)))

  for (const size of [1, 2, 3, 5, 7, 4096, 1_000_000]) {
    it(`C8: all recorded frames in chunks of ${size}`, () => {
      const { commands, error, pending } = feed(all, [size])
      assert.isUndefined(error)
      assert.strictEqual(pending, 0)
      assert.deepEqual(commands, expected)
    })
  }

  it.effect.prop(
    "C8: the cuts of a stream change nothing",
    {
      cmds: Arbitrary.array(command("JSON"), { maxLength: 5 }),
      binary: Arbitrary.array(command("ROCKETMQ"), { maxLength: 5 }),
      sizes: Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 300 }))), {
        minLength: 1,
        maxLength: 8
      })
    },
    ({ binary, cmds, sizes }) =>
      Effect.sync(() => {
        const bytes = Buffer.concat([...cmds, ...binary].map(encode))
        assert.deepEqual(feed(bytes, sizes), feed(bytes, [bytes.length]))
        assert.strictEqual(feed(bytes, sizes).commands.length, cmds.length + binary.length)
      }),
    { arbitrary: { runs: 200 } }
  )

  it("C1, C2: refuses a length before anything of the frame is kept", () => {
    for (const length of [-1, -2_147_483_648, 0, 1, 3, 2_147_483_647, MAX_FRAME_LENGTH - 3, 0x16030100]) {
      const decoder = makeFrameDecoder()
      const { commands, error } = decoder.push(Buffer.concat([lengthField(length), Buffer.alloc(1000)]))
      assert.strictEqual(error?.kind, "length", String(length))
      assert.strictEqual(commands.length, 0)
      assert.strictEqual(decoder.pending, 0)
      const cut = feed(lengthField(length), [1])
      assert.strictEqual(cut.error?.kind, "length", String(length))
      assert.strictEqual(cut.pending, 0)
    }
  })

  it("C1: takes the longest frame and refuses one byte more", () => {
    const header = encode({ ...request, body: new Uint8Array(0) }).length
    const longest = encode({ ...request, body: new Uint8Array(MAX_FRAME_LENGTH - header) })
    assert.strictEqual(longest.length, MAX_FRAME_LENGTH)
    const { commands, error } = makeFrameDecoder().push(longest)
    assert.isUndefined(error)
    assert.strictEqual(commands[0]?.body.length, MAX_FRAME_LENGTH - header)
    const tooLong = encode({ ...request, body: new Uint8Array(MAX_FRAME_LENGTH - header + 1) })
    assert.strictEqual(makeFrameDecoder().push(tooLong).error?.kind, "length")
    assert.strictEqual(makeFrameDecoder({ maxFrameLength: 64 }).push(longest).error?.kind, "length")
  })

  it("gives the frames before a bad one, then only the error", () => {
    const good = encode(request)
    const decoder = makeFrameDecoder()
    const first = decoder.push(Buffer.concat([good, good, lengthField(-1), good]))
    assert.strictEqual(first.commands.length, 2)
    assert.strictEqual(first.error?.kind, "length")
    const second = decoder.push(good)
    assert.strictEqual(second.commands.length, 0)
    assert.strictEqual(second.error, first.error)
  })

  it("the body of a frame that lies whole in a chunk is a view into it", () => {
    const chunk = encode(request)
    const [cmd] = makeFrameDecoder().push(chunk).commands
    assert.strictEqual(cmd?.body.buffer, chunk.buffer)
    assert.strictEqual(cmd?.body.constructor, Uint8Array)
  })

  it("C8: a cut frame does not depend on its chunks any more", () => {
    const bytes = encode(request)
    const first = Uint8Array.from(bytes.subarray(0, bytes.length - 1))
    const decoder = makeFrameDecoder()
    decoder.push(first)
    first.fill(0)
    assert.deepEqual(decoder.push(bytes.subarray(bytes.length - 1)).commands, [request])
  })

  it("C8: 16 MiB in chunks of 1 KiB, and of 17 bytes, in linear time", () => {
    const frame = encode({ ...request, body: new Uint8Array(MAX_FRAME_LENGTH - 1000).fill(7) })
    const start = performance.now()
    for (const size of [1024, 17]) {
      const decoder = makeFrameDecoder()
      let found = 0
      let most = 0
      for (let at = 0; at < frame.length; at += size) {
        found += decoder.push(frame.subarray(at, at + size)).commands.length
        most = Math.max(most, decoder.pending)
      }
      assert.strictEqual(found, 1)
      assert.isAtMost(most, MAX_FRAME_LENGTH)
    }
    // Copying what is there again for each chunk would take minutes.
    assert.isBelow(performance.now() - start, 15_000)
  })

  it("C1: keeps memory in proportion to the bytes that came, not to the length they promise", () => {
    const decoders = Array.from({ length: 200 }, () => makeFrameDecoder())
    const before = process.memoryUsage().arrayBuffers
    for (const decoder of decoders) decoder.push(Buffer.concat([lengthField(MAX_FRAME_LENGTH - 4), Buffer.alloc(100)]))
    assert.isBelow(process.memoryUsage().arrayBuffers - before, 200 * 128 * 1024)
    assert.isTrue(decoders.every((decoder) => decoder.pending === 104))
  })

  it("says what to check", () => {
    const error = makeFrameDecoder().push(Buffer.from("HTTP/1.1 400 Bad Request\r\n")).error
    assert.instanceOf(error, FrameError)
    assert.include(error?.message ?? "", "name server or broker")
  })
})
