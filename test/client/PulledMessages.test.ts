import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as Zlib from "node:zlib"
import * as Inflater from "../../src/client/Inflater.ts"
import * as PulledMessages from "../../src/client/PulledMessages.ts"
import * as PullOutcome from "../../src/client/PullOutcome.ts"
import type { StoredFields } from "../../src/message/MessageExt.ts"
import { SysFlag } from "../../src/message/SysFlag.ts"
import * as MessageCodec from "../../src/protocol/MessageCodec.ts"
import type { PullMessageAnswer, PullMessageHeader, PullStatus } from "../../src/protocol/request/PullMessage.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"

const ADDRESS = "127.0.0.1:10911"

const stored = (queueOffset: number, over: Partial<StoredFields> = {}): Uint8Array =>
  MessageCodec.encode({
    topic: "orders",
    body: Buffer.from(`body ${queueOffset}`),
    properties: { UNIQ_KEY: `ID${queueOffset}` },
    flag: 0,
    queueId: 7,
    queueOffset,
    commitLogOffset: queueOffset * 100,
    sysFlag: 0,
    bornTimestamp: 1,
    bornHost: "10.0.0.1:2",
    storeTimestamp: 3,
    storeHost: ADDRESS,
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
    ...over
  })

const request = (over: Partial<PulledMessages.PullRequest> = {}): PulledMessages.PullRequest => ({
  consumerGroup: "cg",
  topic: "orders",
  queueId: 3,
  queueOffset: 0,
  maxMsgNums: 32,
  sysFlag: 4,
  commitOffset: 0,
  suspendTimeoutMillis: 0,
  subscription: "*",
  subVersion: 0,
  ...over
})

const position = { nextBeginOffset: 100, minOffset: 1, maxOffset: 200, suggestWhichBrokerId: 1 }

/** A door to a broker that gives this answer, and what it was asked. */
const door = (answer: Partial<PullMessageAnswer>, namespace?: string) => {
  const asked: Array<PullMessageHeader> = []
  const pulled = PulledMessages.make(
    {
      pullMessage: (_address, header) =>
        Effect.sync(() => {
          asked.push(header)
          return PullOutcome.ofAnswer({ ...position, status: "FOUND", body: new Uint8Array(0), ...answer })
        })
    },
    Inflater.make(),
    namespace
  )
  return { pulled, asked, pull: (over?: Partial<PulledMessages.PullRequest>) => pulled.pull(ADDRESS, request(over), 1) }
}

const found = (outcome: Effect.Success<ReturnType<PulledMessages.PulledMessages["pull"]>>) =>
  outcome._tag === "Found" ? outcome : assert.fail(outcome._tag)

describe("pulled messages", () => {
  it.effect("an answer is one of four outcomes, each with where the queue stands and whom to ask next", () =>
    Effect.gen(function* () {
      const tags: Readonly<Record<PullStatus, PullOutcome.PullOutcome<unknown>["_tag"]>> = {
        FOUND: "Found",
        NO_NEW_MSG: "NoNewMessage",
        NO_MATCHED_MSG: "NoMatchedMessage",
        OFFSET_ILLEGAL: "OffsetIllegal"
      }
      for (const status of ["FOUND", "NO_NEW_MSG", "NO_MATCHED_MSG", "OFFSET_ILLEGAL"] as const) {
        const { asked, pull } = door({ status })
        const outcome = yield* pull()
        assert.strictEqual(outcome._tag, tags[status])
        assert.deepInclude(outcome, status === "FOUND" ? { ...position, messages: [] } : position)
        assert.deepStrictEqual(asked, [request()])
      }
    })
  )

  it.effect("the offsets of a static topic's queue: what the answer says is added to each", () =>
    Effect.gen(function* () {
      const body = Buffer.concat([stored(5), stored(6)])
      const logical = found(yield* door({ body, offsetDelta: 50 }).pull({ queueId: 9 }))
      assert.deepStrictEqual(
        logical.messages.map(({ queueId, queueOffset }) => [queueId, queueOffset]),
        [
          [9, 55],
          [9, 56]
        ]
      )
      assert.strictEqual(logical.nextBeginOffset, position.nextBeginOffset)
      const physical = found(yield* door({ body }).pull())
      assert.deepStrictEqual(
        physical.messages.map(({ queueOffset }) => queueOffset),
        [5, 6]
      )
    })
  )

  it.effect("of tags with one hash only those that were asked for stay", () =>
    Effect.gen(function* () {
      // "Aa" and "BB" have the same hash in Java.
      const body = Buffer.concat(
        ["Aa", "BB", undefined, "Aa"].map((tag, i) =>
          stored(i, { properties: { UNIQ_KEY: `${i}`, ...(tag === undefined ? {} : { TAGS: tag }) } })
        )
      )
      const { asked, pull } = door({ body })
      const offsets = (tags: ReadonlySet<string> | undefined) =>
        Effect.map(pull({ tags }), (outcome) => found(outcome).messages.map(({ queueOffset }) => queueOffset))
      assert.deepStrictEqual(yield* offsets(new Set(["Aa"])), [0, 3])
      assert.deepStrictEqual(yield* offsets(new Set(["BB", "C"])), [1])
      assert.deepStrictEqual(yield* offsets(new Set(["C"])), [])
      assert.deepStrictEqual(yield* offsets(new Set()), [0, 1, 2, 3])
      assert.deepStrictEqual(yield* offsets(undefined), [0, 1, 2, 3])
      assert.isTrue(asked.every((header) => !("tags" in header)))
    })
  )

  it.effect("names lose the namespace, and nothing else changes", () =>
    Effect.gen(function* () {
      const properties = { UNIQ_KEY: "A", PGROUP: "ns%pg", RETRY_TOPIC: "ns%t", KEYS: "ns%k" }
      const body = stored(1, { topic: "%RETRY%ns%cg", properties })
      const [message = assert.fail()] = found(yield* door({ body }, "ns").pull()).messages
      assert.strictEqual(message.topic, "%RETRY%cg")
      assert.deepStrictEqual({ ...message.properties }, { ...properties, PGROUP: "pg", RETRY_TOPIC: "t" })
      const [read = assert.fail()] = yield* door({}, "ns").pulled.read(ADDRESS, RequestCode.QUERY_MESSAGE, body, 1)
      assert.strictEqual(read.topic, "%RETRY%cg")
      assert.strictEqual(read.queueId, 7)
    })
  )

  it.effect("A25: no more messages are read than were asked for, and the rest is where the next pull begins", () =>
    Effect.gen(function* () {
      const body = Buffer.concat(Array.from({ length: 1_000 }, (_, i) => stored(i)))
      const { messages, nextBeginOffset } = found(yield* door({ body, offsetDelta: 50 }).pull({ maxMsgNums: 2 }))
      assert.deepStrictEqual([messages.length, nextBeginOffset], [2, 52])
      assert.strictEqual((yield* door({}).pulled.read(ADDRESS, RequestCode.QUERY_MESSAGE, body, 3)).length, 3)
    })
  )

  it.effect(
    "A25: messages before where was asked, or twice, are left out, the others in order, and the next pull is behind",
    () =>
      Effect.gen(function* () {
        const body = Buffer.concat([2, 7, 5, 7, 9, 8, 0].map((offset) => stored(offset)))
        const offsets = (over: Partial<PullMessageAnswer>, queueOffset: number) =>
          Effect.map(door({ body, ...over }).pull({ queueOffset }), (outcome) => {
            const { messages, nextBeginOffset } = found(outcome)
            return [messages.map((message) => message.queueOffset), nextBeginOffset]
          })
        assert.deepStrictEqual(yield* offsets({}, 5), [[5, 7, 8, 9], 100])
        assert.deepStrictEqual(yield* offsets({ nextBeginOffset: 3 }, 5), [[5, 7, 8, 9], 10])
        assert.deepStrictEqual(yield* offsets({ nextBeginOffset: 3 }, 10), [[], 10])
        assert.deepStrictEqual(yield* offsets({ offsetDelta: 50, nextBeginOffset: -1 }, 55), [[55, 57, 58, 59], 60])
      })
  )

  it.effect(
    "A25: an entry that cannot be read is passed over by nobody: the next pull begins there, and then fails",
    () =>
      Effect.gen(function* () {
        const bad = stored(2)
        bad[4] = 0
        const first = found(yield* door({ body: Buffer.concat([stored(0), stored(1), bad, stored(3)]) }).pull())
        assert.deepStrictEqual([first.messages.length, first.nextBeginOffset], [2, 2])
        const error = yield* Effect.flip(door({ body: Buffer.concat([bad, stored(3)]) }).pull())
        assert.deepInclude(error, { _tag: "UnreadableAnswer", address: ADDRESS, request: "PULL_MESSAGE" })
        const query = yield* Effect.flip(door({}).pulled.read(ADDRESS, RequestCode.QUERY_MESSAGE, bad, 1))
        assert.deepInclude(query, { _tag: "UnreadableAnswer", request: "QUERY_MESSAGE" })
      })
  )

  it.effect("who is resumed by an answer gives the read loop back before anything is read", () =>
    Effect.gen(function* () {
      const { pull, pulled } = door({ body: stored(0) })
      for (const call of [pull(), pulled.read(ADDRESS, RequestCode.QUERY_MESSAGE, stored(0), 1)]) {
        const fiber = yield* Effect.forkChild(call, { startImmediately: true })
        assert.isUndefined(fiber.pollUnsafe())
        yield* Fiber.join(fiber)
      }
    })
  )

  it.effect("A23: bodies stay packed until one is wanted, and are held until they are handed over", () =>
    Effect.gen(function* () {
      const packed = Zlib.zstdCompressSync(Buffer.alloc(50_000, "x"))
      const sysFlag = SysFlag.COMPRESSED | SysFlag.COMPRESSION_ZSTD | SysFlag.TRANSACTION_COMMIT
      const inflater = Inflater.make()
      const pulled = PulledMessages.make(
        {
          pullMessage: () =>
            Effect.succeed(
              PullOutcome.ofAnswer({ ...position, status: "FOUND", body: stored(0, { body: packed, sysFlag }) })
            )
        },
        inflater,
        undefined
      )
      const [message = assert.fail()] = found(yield* pulled.pull(ADDRESS, request(), 1)).messages
      assert.deepStrictEqual([Buffer.from(message.body), message.sysFlag], [packed, sysFlag])
      assert.strictEqual(inflater.held(), 0)
      const held = yield* pulled.handOver(message, (unpacked) => {
        assert.strictEqual(unpacked.body.length, 50_000)
        assert.strictEqual(unpacked.sysFlag, SysFlag.TRANSACTION_COMMIT)
        assert.strictEqual(unpacked.msgId, "ID0")
        return Effect.sync(inflater.held)
      })
      assert.strictEqual(held, 50_000)
      assert.strictEqual(inflater.held(), 0)
      const unpacked = yield* pulled.unpack(message)
      assert.strictEqual(unpacked.body.length, 50_000)
      assert.strictEqual(yield* pulled.unpack(unpacked), unpacked)
      const error = yield* Effect.flip(pulled.unpack({ ...message, body: Buffer.from("damaged") }))
      assert.deepInclude(error, { _tag: "CompressionError", kind: "corrupt" })
    })
  )
})
