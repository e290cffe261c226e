import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as Net from "node:net"
import { encode } from "../../src/protocol/Frame.ts"
import * as MessageCodec from "../../src/protocol/MessageCodec.ts"
import recorded from "../golden/pull-response-q0.json" with { type: "json" }
import { type Point, tooFast } from "./GrowthPart.ts"
import { readOptions } from "./Options.ts"
import { fill } from "./Page.ts"
import * as SinkProcess from "./SinkProcess.ts"
import { pullAnswer, SOURCE_QUEUES } from "./Source.ts"
import { median } from "./Table.ts"

/** The instrument itself: what it counts, what it flags, and what it leaves as it is. */

const point = (count: number, heapMiB: number, cpuPer100k = 1): Point => ({
  cause: "topics",
  count,
  loads: [{ messagesPerSecond: 1, cpuPer100k, maxRssMiB: 100, heapMiB, failed: 0 }],
  upkeep: undefined,
  failure: undefined
})

const request = (code: number, opaque: number, flag: number, extFields: Record<string, string>, body: Uint8Array) =>
  encode({
    code,
    language: "OTHER",
    version: 513,
    opaque,
    flag,
    remark: undefined,
    extFields,
    body,
    serializeType: "JSON"
  })

/** A batch of messages of one length. */
const batch = (messages: number) => {
  const body = Buffer.alloc(messages * 40)
  for (let index = 0; index < messages; index++) body.writeInt32BE(40, index * 40)
  return body
}

const connect = (address: string) =>
  Effect.acquireRelease(
    Effect.callback<Net.Socket>((resume) => {
      const socket = Net.connect(Number(address.split(":")[1]), "127.0.0.1", () => resume(Effect.succeed(socket)))
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** Waits for so many answers. */
const answers = (socket: Net.Socket, count: number) =>
  Effect.callback<void>((resume) => {
    let text = ""
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1")
      if (text.split('"opaque"').length > count) resume(Effect.void)
    })
  })

const sink = Effect.acquireRelease(
  Effect.promise(() => SinkProcess.start()),
  (started) => Effect.promise(() => started.stop())
)

/** What stands in the frame of an answer to a pull. */
const split = (frame: Buffer) => {
  const bodyAt = 8 + frame.readInt32BE(4)
  assert.strictEqual(frame.readInt32BE(0), frame.length - 4)
  const header: { readonly extFields: Record<string, string> } = JSON.parse(frame.toString("utf8", 8, bodyAt))
  return { header, ...MessageCodec.decodeAll(frame.subarray(bodyAt)) }
}

describe("bench", () => {
  it("takes the middle of rounds", () => {
    assert.strictEqual(median([3, 1, 2]), 2)
    assert.strictEqual(median([4, 1, 2, 3]), 2.5)
    assert.isNaN(median([]))
  })

  it("flags memory that grows faster than its cause, and only that", () => {
    assert.deepStrictEqual(tooFast([point(1, 20), point(100, 30), point(1_000, 120)]), [])
    assert.deepStrictEqual(tooFast([point(1, 20), point(100, 30), point(1_000, 220)]), [
      "memory held (MiB) from 100 to 1000 topics: 0.21 for each, 0.10 before"
    ])
  })

  it("does not take noise for growth", () => {
    assert.deepStrictEqual(tooFast([point(1, 20), point(2, 19.9), point(4, 22)]), [])
  })

  it("flags CPU for a message", () => {
    assert.deepStrictEqual(tooFast([point(1, 20, 2), point(100, 20, 1), point(1_000, 20, 1.6)]), [
      "CPU for a message at 1000 topics: 1.60 times the least before"
    ])
  })

  it("writes between the marks and keeps every word around them", () => {
    const page = "before\n\n<!-- bench:modes -->\n\nold\n\n<!-- /bench:modes -->\n\nafter $1\n"
    assert.strictEqual(
      fill(page, new Map([["modes", "new $&"]])),
      page.replace("old", () => "new $&")
    )
    assert.throws(() => fill(page, new Map([["start", ""]])), /no marks for start/)
  })

  it("refuses names and numbers that it does not know", () => {
    assert.throws(() => readOptions(["--modes", "1KiB,2KiB"]), /does not know 2KiB/)
    assert.throws(() => readOptions(["--rounds", "none"]), /--rounds must be a number/)
    assert.deepStrictEqual(readOptions(["--peers", "go,bare"]).peers, ["bare", "go"])
  })

  it.live("the sink counts messages, batches and one-ways, whatever the chunks", () =>
    Effect.gen(function* () {
      const { address, take } = yield* sink
      const socket = yield* connect(address)
      // `flag` is also a field of the message: that of the header counts.
      const frames = Buffer.concat([
        request(10, 1, 0, { flag: "2" }, Buffer.alloc(70_000)),
        request(310, 2, 2, { f: "0" }, Buffer.alloc(10)),
        request(320, 3, 0, { m: "true" }, batch(32)),
        request(34, 4, 0, {}, Buffer.alloc(5))
      ])
      const answered = yield* Effect.forkScoped(answers(socket, 3), { startImmediately: true })
      for (let at = 0; at < frames.length; at += 977) {
        yield* Effect.callback<void>((resume) => {
          socket.write(frames.subarray(at, at + 977), () => setImmediate(() => resume(Effect.void)))
        })
      }
      yield* Fiber.join(answered)
      const counts = yield* Effect.promise(() => take())
      assert.strictEqual(counts.messages, 34)
      assert.deepStrictEqual(counts.requests, { 10: 1, 310: 1, 320: 1, 34: 1 })
      assert.strictEqual(counts.firstSendDepth, 1)
    })
  )

  it.live("the sink tells which round trip a first message came in", () =>
    Effect.gen(function* () {
      const { address, take } = yield* sink
      const socket = yield* connect(address)
      for (const opaque of [1, 2]) {
        const answered = yield* Effect.forkScoped(answers(socket, 1), { startImmediately: true })
        socket.write(request(105, opaque, 0, { topic: "bench" }, Buffer.alloc(0)))
        yield* Fiber.join(answered)
      }
      socket.write(request(310, 3, 2, {}, Buffer.alloc(0)))
      const last = yield* Effect.forkScoped(answers(socket, 1), { startImmediately: true })
      socket.write(request(34, 4, 0, {}, Buffer.alloc(0)))
      yield* Fiber.join(last)
      assert.strictEqual((yield* Effect.promise(() => take())).firstSendDepth, 3)
    })
  )

  it("the source's answers are those of a broker of 5.5.0 field for field, and go on without an end", () => {
    const real = split(Buffer.from(recorded.hex, "hex"))
    for (const [queueId, offset] of [
      [0, 0],
      [SOURCE_QUEUES - 1, 5_000_000_000]
    ] as const) {
      const ours = split(pullAnswer(96, queueId, offset, 1024))
      assert.deepStrictEqual(Object.keys(ours.header), Object.keys(real.header))
      assert.deepStrictEqual(Object.keys(ours.header.extFields), Object.keys(real.header.extFields))
      assert.deepStrictEqual({ ...ours.header, extFields: {} }, { ...real.header, extFields: {} })
      assert.strictEqual(ours.header.extFields["nextBeginOffset"], String(offset + 32))
      assert.isUndefined(ours.error)
      assert.deepStrictEqual(
        ours.messages.map(({ body, queueId: queue, queueOffset }) => [queue, queueOffset, body.length]),
        Array.from({ length: 32 }, (_, index) => [queueId, offset + index, 1024])
      )
      for (const message of ours.messages) {
        assert.deepStrictEqual(Object.keys(message.properties), Object.keys(real.messages[0]?.properties ?? {}))
        assert.strictEqual(message.bodyCRC, MessageCodec.bodyCRC(message.body))
        assert.strictEqual(message.msgId.length, real.messages[0]?.msgId.length)
      }
    }
  })

  it.live("the sink is a broker with a group of one member, and counts what it gives out", () =>
    Effect.gen(function* () {
      const { address, take } = yield* sink
      const socket = yield* connect(address)
      const texts: Array<string> = []
      socket.on("data", (chunk) => void texts.push(chunk.toString("latin1")))
      const answered = yield* Effect.forkScoped(answers(socket, 5), { startImmediately: true })
      for (const frame of [
        request(34, 1, 0, {}, Buffer.from('{"clientID":"one@bench"}')),
        request(105, 2, 0, { topic: "source" }, Buffer.alloc(0)),
        request(105, 3, 0, { topic: "%RETRY%bench-cg" }, Buffer.alloc(0)),
        request(38, 4, 0, { consumerGroup: "bench-cg" }, Buffer.alloc(0)),
        request(11, 5, 0, { topic: "source", queueId: "3", queueOffset: "64" }, Buffer.alloc(0))
      ]) {
        socket.write(frame)
      }
      yield* Fiber.join(answered)
      const all = texts.join("")
      assert.include(all, '"readQueueNums":8')
      assert.include(all, '"code":17')
      assert.include(all, '{"consumerIdList":["one@bench"]}')
      assert.include(all, '"nextBeginOffset":"96"')
      assert.strictEqual((yield* Effect.promise(() => take())).messages, 32)
    })
  )
})
