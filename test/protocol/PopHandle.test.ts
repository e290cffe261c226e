import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { DecodeError } from "../../src/protocol/DecodeError.ts"
import * as PopHandle from "../../src/protocol/PopHandle.ts"
import { emptyBody, type RemotingCommand, type Request } from "../../src/protocol/RemotingCommand.ts"
import * as BatchAckMessage from "../../src/protocol/request/BatchAckMessage.ts"
import * as PopMessage from "../../src/protocol/request/PopMessage.ts"

const Flag = Schema.Literals(["0", "1", "2"])
const Offset = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))
const Small = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 }))

const Handle = Schema.Struct({
  ckQueueOffset: Offset,
  popTime: Offset,
  invisibleTime: Offset,
  reviveQid: Small,
  retryFlag: Flag,
  brokerName: Schema.Literals(["broker-a", "b", "%!x"]),
  queueId: Small,
  msgQueueOffset: Offset
})

const received = (request: Request): RemotingCommand => ({
  code: request.code,
  language: "JAVA",
  version: 513,
  opaque: 1,
  flag: 0,
  remark: undefined,
  extFields: request.extFields,
  body: request.body ?? emptyBody,
  serializeType: "JSON"
})

/** A text of so many entries. */
const most = (count: number) => Array.from({ length: count }, (_, queueId) => `0 ${queueId} 0`).join(";")

const message = (queueId: number, queueOffset: number, popCk?: string, topic = "t") => ({
  topic,
  queueId,
  queueOffset,
  popCk
})
const texts = (made: ReadonlyArray<PopHandle.PopHandle | undefined>) =>
  made.map((handle) => (handle === undefined ? undefined : PopHandle.encode(handle)))

/** What is read of one entry of a batch. */
const read = (ack: object) =>
  BatchAckMessage.decodeRequest({
    ...received({ code: 200_151, extFields: undefined }),
    body: Buffer.from(JSON.stringify({ brokerName: "b", acks: [{ c: "g", t: "t", ...ack }] }))
  })

describe("a handle", () => {
  it.effect.prop("is read as it was written", { handle: Handle }, ({ handle }) =>
    Effect.sync(() => assert.deepStrictEqual(PopHandle.decode(PopHandle.encode(handle)), handle))
  )

  it.each([
    "",
    "0",
    "0 1 2 3 0 broker-a 0",
    "0 1 2 3 0 broker-a 0 1 2",
    "0 1 2 3 3 broker-a 0 1",
    "0 1 2 3 0  0 1",
    "x 1 2 3 0 b 0 1",
    "0 1 2 99999999999 0 b 0 1",
    "0 1 99999999999999999999 3 0 b 0 1",
    " 0 1 2 3 0 b 0 1"
  ])("is not read from %o", (text) => {
    assert.isUndefined(PopHandle.decode(text))
  })

  it("names the topic that its message lies in", () => {
    assert.deepStrictEqual(
      (["0", "1", "2"] as const).map((flag) => PopHandle.realTopic("g", "t", flag)),
      ["t", "%RETRY%g_t", "%RETRY%g+t"]
    )
  })
})

const keyed = <A extends PopHandle.PopQueue>(some: ReadonlyArray<A>): ReadonlyArray<A> => [
  ...new Map(some.map((one) => [`${one.retryFlag} ${one.queueId}`, one])).values()
]

describe("the offsets of an answer", () => {
  it.effect.prop(
    "are read as they were written",
    {
      starts: Schema.Array(Schema.Struct({ retryFlag: Flag, queueId: Small, offset: Offset })),
      found: Schema.Array(Schema.Struct({ retryFlag: Flag, queueId: Small, offsets: Schema.NonEmptyArray(Offset) })),
      counts: Schema.Array(
        Schema.Struct({ retryFlag: Flag, queueId: Small, offset: Schema.UndefinedOr(Offset), count: Small })
      )
    },
    (given) =>
      Effect.sync(() => {
        const starts = keyed(given.starts)
        const found = keyed(given.found)
        const counts = keyed(given.counts)
        assert.deepStrictEqual(PopHandle.decodeStartOffsets(PopHandle.encodeStartOffsets(starts)), starts)
        assert.deepStrictEqual(PopHandle.decodeMessageOffsets(PopHandle.encodeMessageOffsets(found)), found)
        assert.deepStrictEqual(PopHandle.decodeOrderCounts(PopHandle.encodeOrderCounts(counts)), counts)
      })
  )

  it.each(["0 0", "0 0 0 0", "3 0 0", "0 x 0", "0 0 x", "0 0 0;0 0 1", "0 0 0;", ";", "0 0 0,1"])(
    "are no start offsets in %o",
    (text) => assert.isUndefined(PopHandle.decodeStartOffsets(text))
  )

  it.each(["0 0 ", "0 0 ,", "0 0 1,", "0 0 1,x"])("are no offsets of messages in %o", (text) =>
    assert.isUndefined(PopHandle.decodeMessageOffsets(text))
  )

  it.each(["0 qo 1", "0 qo1% 1", "0 qo1%x 1", "0 qox%1 1", "0 1 x"])("are no counts in %o", (text) =>
    assert.isUndefined(PopHandle.decodeOrderCounts(text))
  )

  it("are read up to a number of entries", () => {
    assert.strictEqual(PopHandle.decodeStartOffsets(most(4_096))?.length, 4_096)
    assert.isUndefined(PopHandle.decodeStartOffsets(most(4_097)))
    assert.isUndefined(PopHandle.decodeMessageOffsets(`0 0 ${Array(4_097).fill(1).join()}`))
  })

  it("that cannot be read fail the answer, and say where", () => {
    const answer: RemotingCommand = {
      ...received({ code: 0, extFields: { popTime: "1", invisibleTime: "2", reviveQid: "3", restNum: "0" } }),
      code: 0
    }
    for (const field of ["startOffsetInfo", "msgOffsetInfo", "orderCountInfo"]) {
      const error = PopMessage.decodeResponse({ ...answer, extFields: { ...answer.extFields, [field]: "x" } })
      assert.instanceOf(error, DecodeError)
      if (error instanceof DecodeError) assert.strictEqual(error.field, field)
    }
    const error = PopMessage.decodeResponse({ ...answer, code: 1 })
    assert.instanceOf(error, DecodeError)
  })
})

describe("handlesOf", () => {
  const info: PopHandle.PopInfo = {
    popTime: 100,
    invisibleTime: 10,
    reviveQid: 3,
    startOffsets: [
      { retryFlag: "0", queueId: 0, offset: 5 },
      { retryFlag: "0", queueId: 1, offset: 0 }
    ],
    messageOffsets: [
      { retryFlag: "0", queueId: 0, offsets: [5, 7] },
      { retryFlag: "0", queueId: 1, offsets: [0] }
    ]
  }
  it("finds each message's offset by its rank in its queue, whatever their order in the answer", () => {
    assert.deepStrictEqual(texts(PopHandle.handlesOf("b", info, [message(0, 7), message(1, 0), message(0, 5)])), [
      "5 100 10 3 0 b 0 7",
      "0 100 10 3 0 b 1 0",
      "5 100 10 3 0 b 0 5"
    ])
  })

  it("keeps the handle that a message brings along, and makes none of one that is none", () => {
    const own = "1 90 10 2 1 b 0 1"
    assert.deepStrictEqual(
      texts(PopHandle.handlesOf("b", info, [message(0, 1, own), message(0, 5), message(0, 7, "x")])),
      [own, "5 100 10 3 0 b 0 5", undefined]
    )
  })

  it("makes none where the answer does not name a queue or an offset", () => {
    assert.deepStrictEqual(PopHandle.handlesOf("b", info, [message(2, 0)]), [undefined])
    const three = PopHandle.handlesOf("b", info, [message(1, 0), message(1, 1)])
    assert.deepStrictEqual(texts(three), ["0 100 10 3 0 b 1 0", undefined])
    assert.deepStrictEqual(PopHandle.handlesOf("b", { ...info, messageOffsets: undefined }, [message(0, 5)]), [
      undefined
    ])
  })

  it("reads the flag off the topic where a broker does not rewrite it", () => {
    const retry: PopHandle.PopInfo = {
      ...info,
      startOffsets: [{ retryFlag: "1", queueId: 0, offset: 2 }],
      messageOffsets: [{ retryFlag: "1", queueId: 0, offsets: [2] }]
    }
    assert.deepStrictEqual(texts(PopHandle.handlesOf("b", retry, [message(0, 2, undefined, "%RETRY%g_t")])), [
      "2 100 10 3 1 b 0 2"
    ])
  })

  it("begins at the first message of a queue for a broker that does not say where it began", () => {
    const old = { ...info, startOffsets: undefined, messageOffsets: undefined }
    assert.deepStrictEqual(texts(PopHandle.handlesOf("b", old, [message(0, 4), message(0, 6), message(1, 9)])), [
      "4 100 10 3 0 b 0 4",
      "4 100 10 3 0 b 0 6",
      "9 100 10 3 0 b 1 9"
    ])
  })
})

describe("BATCH_ACK_MESSAGE", () => {
  const Index = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 200 }))

  it.effect.prop("reads the messages that were written", { some: Schema.Array(Index) }, ({ some }) =>
    Effect.sync(() => {
      const indexes = [...new Set(some)].toSorted((a, b) => a - b)
      const body: BatchAckMessage.BatchAckMessageBody = {
        brokerName: "b",
        acks: [
          {
            consumerGroup: "g",
            topic: "t",
            retryFlag: "1",
            startOffset: 3,
            queueId: 1,
            reviveQueueId: 2,
            popTime: 4,
            invisibleTime: 5,
            indexes
          }
        ]
      }
      assert.deepStrictEqual(BatchAckMessage.decodeRequest(received(BatchAckMessage.request(body))), body)
      assert.deepStrictEqual(body.acks.map(BatchAckMessage.realTopicOf), ["%RETRY%g_t"])
    })
  )

  it("refuses more bits than a pop has offsets, and a flag that there is none of", () => {
    assert.notInstanceOf(read({ b: Buffer.alloc(8_192).toString("base64") }), DecodeError)
    for (const ack of [{ b: Buffer.alloc(8_193).toString("base64") }, { r: "3" }]) {
      assert.instanceOf(read(ack), DecodeError)
    }
  })
})
