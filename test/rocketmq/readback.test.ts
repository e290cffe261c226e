/** 20,000 messages of every size, sent by this client and read back by RocketMQ's own Java client. */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, References } from "effect"
import { createHash } from "node:crypto"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as Message from "../../src/message/Message.ts"
import type { SendResult } from "../../src/message/SendResult.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { isReserved } from "../../src/protocol/MessageProperties.ts"
import * as JavaClient from "./JavaClient.ts"
import { RocketMQ } from "./RocketMQServer.ts"

/** Another seed makes other messages; a failure names it. */
const SEED = Number(process.env["READBACK_SEED"] ?? 20_260_730)

const TOPIC = "readback"

/** How many messages of which sizes in bytes: most are small, a few as large as 1 MiB; about 80 MiB in all. */
const classes: ReadonlyArray<{ readonly count: number; readonly from: number; readonly to: number }> = [
  { count: 17_000, from: 1, to: 300 },
  { count: 2_500, from: 300, to: 8_192 },
  { count: 440, from: 8_192, to: 65_536 },
  { count: 50, from: 65_536, to: 1_048_576 },
  { count: 5, from: 1, to: 1 },
  { count: 5, from: 1_048_576, to: 1_048_576 }
]

/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
const randomFrom = (seed: number) => {
  let state = seed >>> 0
  return (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Ranges of code points: ASCII, controls, Latin, Greek, Cyrillic, Hebrew, Arabic, marks, kana, Han, Hangul, emoji, private use. */
const scripts: ReadonlyArray<readonly [number, number]> = [
  [0x20, 0x7e],
  [0x03, 0x1f],
  [0xa0, 0x24f],
  [0x370, 0x3ff],
  [0x400, 0x4ff],
  [0x5d0, 0x5ea],
  [0x620, 0x64a],
  [0x300, 0x36f],
  [0x2000, 0x206f],
  [0x3041, 0x30ff],
  [0x4e00, 0x9fff],
  [0xac00, 0xd7a3],
  [0xe000, 0xf8ff],
  [0xfe00, 0xfeff],
  [0x1f300, 0x1faff],
  [0x20000, 0x2a6df],
  [0x10fffd, 0x10fffd]
]

const makeMessages = (seed: number): ReadonlyArray<Message.Message> => {
  const random = randomFrom(seed)
  const int = (from: number, to: number) => from + Math.floor(random() * (to - from + 1))
  const text = (least: number, most: number): string => {
    let out = ""
    for (let left = int(least, most); left > 0; left--) {
      const [from, to] = scripts[int(0, scripts.length - 1)] ?? [0x20, 0x7e]
      out += String.fromCodePoint(int(from, to))
    }
    // A name or value that is blank is refused, so that every text has something to see.
    return `${out}·`
  }
  const word = (least: number, most: number) => text(least, most).replaceAll(" ", "_")
  const body = (size: number): Uint8Array => {
    const bytes = new Uint8Array(size)
    for (let i = 0; i < size; i++) bytes[i] = random() * 256
    return bytes
  }
  const sizes = classes.flatMap(({ count, from, to }) => Array.from({ length: count }, () => int(from, to)))
  // Large and small ones mixed, so that they share connections, writes and frames' edges.
  for (let i = sizes.length - 1; i > 0; i--) {
    const j = int(0, i)
    const size = sizes[i] ?? 1
    sizes[i] = sizes[j] ?? 1
    sizes[j] = size
  }
  return sizes.map((size) => ({
    topic: TOPIC,
    body: body(size),
    ...(random() < 0.5 ? { tags: text(1, 8) } : {}),
    ...(random() < 0.5 ? { keys: Array.from({ length: int(1, 3) }, () => word(1, 8)) } : {}),
    ...(random() < 0.2 ? { flag: int(-(2 ** 31), 2 ** 31 - 1) } : {}),
    properties: Object.fromEntries(Array.from({ length: int(0, 4) }, () => [text(1, 10), text(1, 30)]))
  }))
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

/** A message as both sides can tell it. */
const told = (message: Message.Message, result: SendResult) => ({
  msgId: result.msgId,
  offsetMsgId: result.offsetMsgId,
  place: `${result.queue.brokerName}/${result.queue.queueId}/${result.queueOffset}`,
  bodyLength: message.body.length,
  bodySha256: sha256(message.body),
  keys: message.keys?.join(" "),
  tags: message.tags,
  flag: message.flag ?? 0,
  properties: { ...message.properties }
})

const read = (message: JavaClient.JavaMessage): ReturnType<typeof told> => ({
  msgId: message.msgId,
  offsetMsgId: message.offsetMsgId,
  place: `${message.brokerName}/${message.queueId}/${message.queueOffset}`,
  bodyLength: message.bodyLength,
  bodySha256: message.bodySha256 ?? "",
  keys: message.keys,
  tags: message.tags,
  flag: message.flag,
  properties: Object.fromEntries(Object.entries(message.properties).filter(([name]) => !isReserved(name)))
})

const services = Layer.mergeAll(
  RocketMQ.layer({ version: "5.5.0", brokers: [{ name: "broker-a" }, { name: "broker-b" }] }),
  MQClientManager.layerTcp,
  Layer.succeed(References.MinimumLogLevel, "Error")
)

layer(services, { excludeTestServices: true, timeout: "10 minutes" })("RocketMQ 5.5.0", (test) => {
  test.effect("the Java client reads 20,000 messages of 1 B to 1 MiB as this client sent them", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* RocketMQ
      const messages = makeMessages(SEED)
      assert.strictEqual(messages.length, 20_000)
      const producer = yield* DefaultMQProducer.make({
        producerGroup: "readback-group",
        namesrvAddr,
        startTimeoutMillis: 60_000,
        sendMsgTimeout: 120_000
      })
      yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
      const expected = yield* Effect.forEach(
        messages,
        (message) => Effect.map(producer.send(message), (result) => told(message, result)),
        { concurrency: 128 }
      )
      assert.isTrue(
        expected.some(({ bodyLength }) => bodyLength === 1) &&
          expected.some(({ bodyLength }) => bodyLength === 1_048_576)
      )

      const found = yield* JavaClient.read({ namesrvAddr, topic: TOPIC, digest: true, timeoutMillis: 300_000 })
      const byId = new Map(found.map((message) => [message.msgId, read(message)]))
      for (const message of expected) {
        assert.deepStrictEqual(byId.get(message.msgId), message, `seed ${SEED}, message ${message.msgId}`)
      }
      assert.strictEqual(found.length, expected.length)
      assert.strictEqual(byId.size, expected.length)
    })
  )
})
