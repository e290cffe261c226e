import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import * as Message from "../../../src/message/Message.ts"
import { SysFlag } from "../../../src/message/SysFlag.ts"
import * as Compression from "../../../src/protocol/Compression.ts"
import { fromModule, Lz4Library } from "../../../src/protocol/Lz4.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { failureOf, onMemory, startProducer, text, timed, valueOf } from "../../support/rig.ts"

const topics = { orders: {} }
const SEND = RequestCode.SEND_MESSAGE_V2
const cluster = { topics, recordTraffic: { bodies: true } } as const
const large = Message.make({ topic: "orders", body: "a body that packs well ".repeat(1_000) })

/** The body that the topic holds, unpacked by its flags. */
const storedBody = Effect.gen(function* () {
  const { messages } = yield* EmbeddedCluster
  const [stored] = yield* messages("orders")
  assert.isDefined(stored)
  return { ...stored, unpacked: yield* Compression.decompressEffect(stored.body, stored.sysFlag) }
})

describe("packed bodies", () => {
  it.effect.each([
    ["ZLIB", SysFlag.COMPRESSION_ZLIB, [0x78, 0x5e]],
    ["ZSTD", SysFlag.COMPRESSION_ZSTD, [0x28, 0xb5, 0x2f, 0xfd]],
    ["LZ4", SysFlag.COMPRESSION_LZ4, [0x04, 0x22, 0x4d, 0x18]]
  ] as const)("%s: flagged as RocketMQ does, and read back", ([compressType, flag, magic]) =>
    Effect.gen(function* () {
      const producer = yield* startProducer({ compressType })
      const copy = structuredClone(large)
      // LZ4 is packed in another thread, so the clock of the test has to wait for it.
      yield* producer.send(large)
      assert.deepStrictEqual({ ...large }, { ...copy }, "the caller's value stays as it was")
      const stored = yield* storedBody
      assert.strictEqual(stored.sysFlag, SysFlag.COMPRESSED | flag)
      assert.deepStrictEqual([...stored.body.subarray(0, magic.length)], [...magic])
      assert.isBelow(stored.body.length, large.body.length / 10)
      assert.isTrue(Buffer.from(stored.unpacked).equals(large.body))
    }).pipe(onMemory(cluster))
  )

  it.effect.each([4_095, 4_096])("a body of %d bytes: packed from compressMsgBodyOverHowmuch on", (size) =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      yield* producer.send(text("orders", "x".repeat(size)))
      const stored = yield* storedBody
      assert.strictEqual(stored.sysFlag, size < 4_096 ? 0 : 769)
      assert.strictEqual(stored.unpacked.length, size)
    }).pipe(onMemory(cluster))
  )

  it.effect("never with Infinity, always with 0", () =>
    Effect.gen(function* () {
      const { messages } = yield* EmbeddedCluster
      const never = yield* startProducer({ producerGroup: "never", compressMsgBodyOverHowmuch: Infinity })
      const always = yield* startProducer({ producerGroup: "always", compressMsgBodyOverHowmuch: 0 })
      const queue = { topic: "orders", brokerName: "broker-a", queueId: 0 }
      yield* never.send(large, { queue })
      yield* always.send(text("orders", "x".repeat(100)), { queue })
      assert.deepStrictEqual(
        (yield* messages("orders")).map(({ sysFlag }) => sysFlag),
        [0, 769]
      )
    }).pipe(onMemory(cluster))
  )

  it.effect("a body that does not become smaller leaves as it is", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      let state = 7
      const body = Uint8Array.from({ length: 10_000 }, () => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
        return state >>> 24
      })
      yield* producer.send({ topic: "orders", body })
      const stored = yield* storedBody
      assert.strictEqual(stored.sysFlag, 0)
      assert.isTrue(Buffer.from(stored.body).equals(body))
    }).pipe(onMemory(cluster))
  )

  it.effect("packed once for a send: every attempt carries the same bytes and the same flag", () =>
    Effect.gen(function* () {
      const { faults, traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.answer(1, "SYSTEM_ERROR")], times: 2 })
      const result = valueOf((yield* timed(producer.send(large))).exit)
      assert.strictEqual(result.attempts, 3)
      const sent = yield* traffic.ofCode(SEND)
      assert.strictEqual(sent.length, 3)
      for (const { body, extFields } of sent) {
        assert.deepStrictEqual(body, sent[0]?.body)
        assert.strictEqual(extFields?.["f"], "769")
      }
      const stored = yield* storedBody
      assert.isTrue(Buffer.from(stored.unpacked).equals(large.body))
    }).pipe(onMemory({ ...cluster, brokers: 2 }))
  )

  it.effect("one-way sends and sends in two steps are packed too", () =>
    Effect.gen(function* () {
      const { messages, traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      yield* producer.sendOneway(large)
      yield* yield* producer.sendQueued(large)
      yield* traffic.expect({ code: SEND, extFields: { f: "769" } }, { exactly: 2 })
      for (const { body, sysFlag } of yield* messages("orders")) {
        const unpacked = Compression.decompress(body, sysFlag)
        assert.isTrue(unpacked instanceof Uint8Array && Buffer.from(unpacked).equals(large.body))
      }
    }).pipe(onMemory(cluster))
  )

  it.effect("a batch is not packed, neither as a whole nor part by part: as Java 5.x does it", () =>
    Effect.gen(function* () {
      const { messages, traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      yield* producer.sendBatch([large, large])
      yield* traffic.expect({ code: RequestCode.SEND_BATCH_MESSAGE, extFields: { f: "0" } }, { exactly: 1 })
      for (const { body, sysFlag } of yield* messages("orders")) {
        assert.strictEqual(sysFlag, 0)
        assert.isTrue(Buffer.from(body).equals(large.body))
      }
    }).pipe(onMemory(cluster))
  )

  it.effect("the size of the body counts before it is packed, as in Java", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer({ maxMessageSize: 10_000 })
      const error = failureOf(yield* Effect.exit(producer.send(large)))
      assert.deepInclude(error.reason, { _tag: "InvalidMessage", field: "body" })
    }).pipe(onMemory(cluster))
  )

  it.effect("the level is kept: more effort, fewer bytes", () =>
    Effect.gen(function* () {
      const { messages } = yield* EmbeddedCluster
      const body = Array.from({ length: 20_000 }, (_, n) => `${(n * n) % 9_973},`).join("")
      const queue = { topic: "orders", brokerName: "broker-a", queueId: 0 }
      for (const compressLevel of [1, 9]) {
        const producer = yield* startProducer({ producerGroup: `level-${compressLevel}`, compressLevel })
        yield* producer.send(text("orders", body), { queue })
      }
      const [fast, best] = yield* messages("orders")
      assert.isBelow(best?.body.length ?? Infinity, fast?.body.length ?? 0)
    }).pipe(onMemory(cluster))
  )

  it.effect("LZ4 without its package is a typed error, and nothing is sent", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer({ compressType: "LZ4" })
      yield* producer.send(text("orders"))
      yield* traffic.clear
      const absent = fromModule(() => Promise.reject(new Error("Cannot find package 'lz4-napi'")))
      const error = failureOf(yield* Effect.exit(producer.send(large).pipe(Effect.provideService(Lz4Library, absent))))
      assert.deepInclude(error.reason, { _tag: "CompressionUnavailable", library: "lz4-napi" })
      assert.deepStrictEqual([error.outcome, error.attempts, error.retryable], ["not-sent", [], false])
      assert.match(error.message, /npm install lz4-napi/)
      assert.deepStrictEqual(yield* traffic.all, [])
      assert.deepInclude((yield* producer.state).counters, { failed: 1, acknowledged: 1 })
      assert.strictEqual((yield* producer.state).inFlight, 0)
    }).pipe(onMemory(cluster))
  )

  it.effect("options without sense are refused at the start", () =>
    Effect.gen(function* () {
      const fields = [
        [{ compressLevel: 23 }, "compressLevel"],
        [{ compressLevel: 1.5 }, "compressLevel"],
        [{ compressMsgBodyOverHowmuch: Number.NaN }, "compressMsgBodyOverHowmuch"]
      ] as const
      for (const [options, path] of fields) {
        const error = failureOf(yield* Effect.exit(startProducer(options)))
        assert.strictEqual(error.reason._tag, "InvalidConfig")
        assert.include(error.message, path)
      }
    }).pipe(onMemory(cluster))
  )
})
