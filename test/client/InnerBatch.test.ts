import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import * as Zlib from "node:zlib"
import * as Inflater from "../../src/client/Inflater.ts"
import * as PulledMessages from "../../src/client/PulledMessages.ts"
import * as PullOutcome from "../../src/client/PullOutcome.ts"
import type { StoredFields } from "../../src/message/MessageExt.ts"
import { SysFlag } from "../../src/message/SysFlag.ts"
import * as MessageCodec from "../../src/protocol/MessageCodec.ts"
import * as MessageProperties from "../../src/protocol/MessageProperties.ts"

const ADDRESS = "127.0.0.1:10911"
const INNER = SysFlag.INNER_BATCH | SysFlag.NEED_UNWRAP

const stored = (queueOffset: number, over: Partial<StoredFields> = {}): Uint8Array =>
  MessageCodec.encode({
    topic: "ns%orders",
    body: Buffer.from("plain"),
    properties: { UNIQ_KEY: `ID${queueOffset}`, INNER_NUM: "3" },
    flag: 0,
    queueId: 7,
    queueOffset,
    commitLogOffset: queueOffset * 100,
    sysFlag: 0,
    bornTimestamp: 1,
    bornHost: "10.0.0.1:2",
    storeTimestamp: 3,
    storeHost: ADDRESS,
    reconsumeTimes: 2,
    preparedTransactionOffset: 0,
    ...over
  })

const batchBody = (from: number, count: number) =>
  MessageCodec.encodeBatch(
    Array.from({ length: count }, (_, i) => ({
      flag: i,
      body: Buffer.from(`part ${from + i}`),
      properties: MessageProperties.encode({ UNIQ_KEY: `P${from + i}`, TAGS: i % 2 === 0 ? "even" : "odd", KEYS: "k" })
    }))
  )

const batch = (queueOffset: number, count: number, over: Partial<StoredFields> = {}) =>
  stored(queueOffset, { body: batchBody(queueOffset, count), sysFlag: INNER, ...over })

const packed = (queueOffset: number, count: number) =>
  batch(queueOffset, count, {
    body: Zlib.deflateSync(batchBody(queueOffset, count)),
    sysFlag: INNER | SysFlag.COMPRESSED
  })

const pull = (
  entries: ReadonlyArray<Uint8Array>,
  {
    nextBeginOffset = 100,
    ...over
  }: Partial<PulledMessages.PullRequest> & { readonly nextBeginOffset?: number; readonly offsetDelta?: number } = {}
) => {
  const { offsetDelta, ...request } = over
  const door = PulledMessages.make(
    {
      pullMessage: () =>
        Effect.succeed(
          PullOutcome.ofAnswer({
            status: "FOUND",
            body: Buffer.concat(entries),
            nextBeginOffset,
            minOffset: 0,
            maxOffset: 200,
            suggestWhichBrokerId: 0,
            ...(offsetDelta === undefined ? {} : { offsetDelta })
          })
        )
    },
    Inflater.make(),
    "ns"
  )
  return Effect.map(
    door.pull(
      ADDRESS,
      {
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
        ...request
      },
      1
    ),
    (outcome) => (outcome._tag === "Found" ? outcome : assert.fail(outcome._tag))
  )
}

const offsets = ({ messages }: Effect.Success<ReturnType<typeof pull>>) => messages.map((one) => one.queueOffset)

describe("a batch that a broker keeps as one message", () => {
  it.effect("comes as its messages, each with an offset, properties and a body of its own", () =>
    Effect.gen(function* () {
      const { messages, nextBeginOffset } = yield* pull([stored(4), batch(5, 3), stored(8)], {
        queueOffset: 4,
        nextBeginOffset: 9
      })
      assert.strictEqual(nextBeginOffset, 9)
      assert.deepStrictEqual(
        messages.map(({ body, queueOffset }) => [queueOffset, Buffer.from(body).toString()]),
        [
          [4, "plain"],
          [5, "part 5"],
          [6, "part 6"],
          [7, "part 7"],
          [8, "plain"]
        ]
      )
      assert.deepInclude(messages[2], {
        topic: "orders",
        msgId: "P6",
        tags: "odd",
        keys: ["k"],
        flag: 1,
        queueId: 3,
        sysFlag: SysFlag.INNER_BATCH,
        commitLogOffset: 500,
        bornHost: "10.0.0.1:2",
        storeTimestamp: 3,
        reconsumeTimes: 0,
        properties: { UNIQ_KEY: "P6", TAGS: "odd", KEYS: "k" }
      })
    })
  )

  it.effect("is filtered by the tags of its messages, and begun where the pull begins", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(offsets(yield* pull([batch(5, 4)], { tags: new Set(["odd"]) })), [6, 8])
      assert.deepStrictEqual(offsets(yield* pull([batch(5, 4)], { queueOffset: 7 })), [7, 8])
      assert.deepStrictEqual(offsets(yield* pull([batch(5, 4)], { queueOffset: 107, offsetDelta: 100 })), [107, 108])
    })
  )

  it.effect("gives no more than was asked for; the next pull goes on inside of it", () =>
    Effect.gen(function* () {
      const first = yield* pull([batch(5, 100), stored(105)], { queueOffset: 5, maxMsgNums: 4, nextBeginOffset: 106 })
      assert.deepStrictEqual([offsets(first), first.nextBeginOffset], [[5, 6, 7, 8], 9])
      const last = yield* pull([batch(5, 100), stored(105)], { queueOffset: 103, maxMsgNums: 4, nextBeginOffset: 106 })
      assert.deepStrictEqual([offsets(last), last.nextBeginOffset], [[103, 104, 105], 106])
    })
  )

  it.effect("is unpacked first; one that was packed is the last of an answer", () =>
    Effect.gen(function* () {
      const found = yield* pull([stored(4), packed(5, 3), packed(8, 3), stored(11)], { nextBeginOffset: 12 })
      assert.deepStrictEqual([offsets(found), found.nextBeginOffset], [[4, 5, 6, 7], 8])
      assert.strictEqual(Buffer.from(found.messages[1]?.body ?? []).toString(), "part 5")
      assert.strictEqual(found.messages[1]?.sysFlag, SysFlag.INNER_BATCH)
      // One that has nothing from the offset on does not hold up the pull.
      const behind = yield* pull([packed(0, 3), packed(8, 3)], { queueOffset: 8, nextBeginOffset: 11 })
      assert.deepStrictEqual([offsets(behind), behind.nextBeginOffset], [[8, 9, 10], 11])
    })
  )

  it.effect("that cannot be taken apart stays one message, and a warning says so", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => lines.push([message].flat().map(String).join(" ")))
    return Effect.gen(function* () {
      const broken = batch(5, 3, { body: Buffer.from("no batch at all, whatever it is\u001b") })
      const unpackable = batch(6, 3, { body: Buffer.from("not packed"), sysFlag: INNER | SysFlag.COMPRESSED })
      const found = yield* pull([broken, unpackable], { nextBeginOffset: 7 })
      assert.deepStrictEqual([offsets(found), found.nextBeginOffset], [[5, 6], 7])
      assert.lengthOf(lines, 2)
      assert.match(
        lines[0] ?? "",
        /the batch at offset 5 of topic ns%orders on 127\.0\.0\.1:10911 cannot be taken apart/
      )
    }).pipe(Effect.provide(Layer.merge(Layer.empty, Logger.layer([logger]))))
  })
})
