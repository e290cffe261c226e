import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Zlib from "node:zlib"
import { MAX_UNPACKED_BYTES } from "../../src/admin/Bodies.ts"
import { MQAdmin } from "../../src/admin/MQAdmin.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { SysFlag } from "../../src/message/SysFlag.ts"
import * as MessageProperties from "../../src/protocol/MessageProperties.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { brokerAddress, rawClient, sendRequest, utf8 } from "../embedded/support.ts"
import { memoryDuring } from "../support/memory.ts"

const MIB = 1024 * 1024
const ZSTD = SysFlag.COMPRESSED | SysFlag.COMPRESSION_ZSTD
const COUNT = 20
/** A kilobyte that unpacks to 20 MiB: whoever may publish can store it, since brokers do not look at bodies. */
const bomb = Zlib.zstdCompressSync(Buffer.alloc(20 * MIB))
const queue = { topic: "orders", brokerName: "broker-a", queueId: 0 }

const onCluster = Effect.provide(
  Layer.unwrap(Effect.map(EmbeddedCluster, ({ namesrvAddr }) => MQAdmin.layer({ namesrvAddr }))).pipe(
    Layer.provide(MQClientManager.layer),
    Layer.provideMerge(EmbeddedCluster.layerMemory({ topics: { orders: {} } }))
  )
)

const store = Effect.gen(function* () {
  const client = yield* rawClient()
  const address = yield* brokerAddress()
  for (let n = 0; n < COUNT; n++) {
    const properties = MessageProperties.encode({ UNIQ_KEY: `ID-${n}`, KEYS: "k" })
    yield* client.call(address, sendRequest({ queueId: 0, sysFlag: ZSTD, properties }, bomb))
  }
})

describe("bodies that become large", () => {
  it.live("a pull unpacks as many as go into the bound, and says where the rest begins", () =>
    Effect.gen(function* () {
      yield* store
      const admin = yield* MQAdmin
      const first = yield* admin.pull(queue, 0, 32)
      assert.deepStrictEqual(
        first.messages.map(({ body, queueOffset, sysFlag }) => [queueOffset, body.length, sysFlag]),
        [0, 1, 2].map((offset) => [offset, 20 * MIB, 0])
      )
      assert.deepInclude(first, { status: "FOUND", nextBeginOffset: 3, maxOffset: COUNT })
      const { value, peakBytes } = yield* memoryDuring(
        Effect.gen(function* () {
          const offsets: Array<number> = []
          for (let next = 0; next < COUNT;) {
            const { messages, nextBeginOffset } = yield* admin.pull(queue, next, 32)
            offsets.push(...messages.map(({ queueOffset }) => queueOffset))
            next = nextBeginOffset
          }
          return offsets
        })
      )
      assert.deepStrictEqual(
        value,
        Array.from({ length: COUNT }, (_, n) => n)
      )
      // What one pull gives, what the codec gathers, and what the collector has not come to.
      assert.isBelow(peakBytes, 6 * MAX_UNPACKED_BYTES)
    }).pipe(onCluster, Effect.scoped)
  )

  it.live(
    "A23: as they are stored they take no more than they did on the wire, and one is unpacked for the asking",
    () =>
      Effect.gen(function* () {
        yield* store
        const admin = yield* MQAdmin
        const options = { bodies: "stored" } as const
        const { value, peakBytes } = yield* memoryDuring(
          Effect.all([
            Effect.map(admin.pull(queue, 0, 32, options), ({ messages }) => messages),
            admin.queryMessageByKey("orders", "k", options),
            admin.queryMessageByTime("orders", options)
          ])
        )
        for (const messages of value) {
          assert.strictEqual(messages.length, COUNT)
          assert.isTrue(messages.every(({ body, sysFlag }) => body.length === bomb.length && sysFlag === ZSTD))
        }
        assert.isBelow(peakBytes, 8 * MIB)
        const [message = assert.fail()] = value[1]
        const unpacked = yield* admin.unpack(message)
        assert.deepStrictEqual([unpacked.body.length, unpacked.sysFlag, unpacked.msgId], [20 * MIB, 0, "ID-0"])
      }).pipe(onCluster, Effect.scoped)
  )

  it.live("A23: what a query finds beyond the bound stays as it is stored, with its flag", () =>
    Effect.gen(function* () {
      yield* store
      const admin = yield* MQAdmin
      for (const found of [yield* admin.queryMessageByKey("orders", "k"), yield* admin.queryMessageByTime("orders")]) {
        assert.deepStrictEqual(
          found.map(({ body, sysFlag }) => [body.length, sysFlag]),
          found.map((_, n) => (n < 3 ? [20 * MIB, 0] : [bomb.length, ZSTD]))
        )
        assert.strictEqual(found.length, COUNT)
      }
      assert.strictEqual((yield* admin.queryMessageById("orders", "ID-19")).body.length, 20 * MIB)
    }).pipe(onCluster, Effect.scoped)
  )

  it.live("A23: a single body passes, however much of the bound it takes, and a damaged one stays as it is", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      const send = (body: Uint8Array) =>
        Effect.flatMap(brokerAddress(), (address) =>
          client.call(address, sendRequest({ queueId: 0, sysFlag: ZSTD }, body))
        )
      yield* send(utf8("damaged"))
      yield* send(Zlib.zstdCompressSync(Buffer.alloc(32 * MIB)))
      yield* send(Zlib.zstdCompressSync(Buffer.alloc(32 * MIB + 1)))
      const admin = yield* MQAdmin
      const { messages } = yield* admin.pull(queue, 0, 32)
      assert.deepStrictEqual(
        messages.map(({ body, sysFlag }) => [body.length > 1_000_000, sysFlag]),
        [
          [false, ZSTD],
          [true, 0],
          [false, ZSTD]
        ]
      )
    }).pipe(onCluster, Effect.scoped)
  )
})
