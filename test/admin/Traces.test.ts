import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { MQAdmin } from "../../src/admin/MQAdmin.ts"
import { entriesOf } from "../../src/admin/Traces.ts"
import * as ConsumeResult from "../../src/consumer/ConsumeResult.ts"
import * as Message from "../../src/message/Message.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import * as TraceData from "../../src/protocol/TraceData.ts"
import { settle } from "../support/rig.ts"
import { make as makeConsumer, namesrvAddr, rig } from "../consumer/support.ts"

const textOf = (...records: ReadonlyArray<TraceData.TraceRecord>) => ({
  body: Buffer.from(records.map(TraceData.encode).join("")),
  bornHost: "10.0.0.1:5000"
})

const sub = { regionId: "DefaultRegion", msgId: "ID", keys: undefined }
const before = (requestId: string, timeStamp: number, retryTimes = 0): TraceData.TraceRecord => ({
  ...sub,
  type: "SubBefore",
  timeStamp,
  groupName: "g",
  requestId,
  retryTimes
})
const after = (requestId: string, more: Partial<TraceData.TraceSubAfter> = {}): TraceData.TraceRecord => ({
  type: "SubAfter",
  requestId,
  msgId: "ID",
  costTime: 7,
  isSuccess: true,
  keys: undefined,
  contextCode: 0,
  timeStamp: 50,
  groupName: "g",
  ...more
})

describe("the trace of a message", () => {
  it.effect("holds its sends and deliveries in one list, oldest first, as their clients told it", () =>
    Effect.gen(function* () {
      const sender = yield* DefaultMQProducer.make({ producerGroup: "sender", namesrvAddr, enableTrace: true })
      yield* sender.start
      const { msgId } = yield* sender.send(Message.make({ topic: "orders", body: "7", keys: ["k"] }))
      yield* sender.send(Message.make({ topic: "orders", body: "8", keys: ["k"] }))
      const consumer = yield* makeConsumer(() => Effect.succeed(ConsumeResult.deadLetter("no")), {
        consumeFromWhere: "first",
        enableTrace: true
      })
      yield* consumer.start
      yield* consumer.caughtUp()
      yield* settle
      yield* sender.shutdown
      yield* consumer.shutdown
      const admin = yield* MQAdmin
      const entries = yield* admin.queryMessageTrace(msgId)
      const shared = { time: 0, costTime: 0, clientHost: entries[0]?.clientHost ?? "" }
      assert.match(shared.clientHost, /^127\.0\.0\.1:\d+$/)
      assert.deepStrictEqual(entries, [
        {
          ...shared,
          kind: "send",
          group: "sender",
          status: "success",
          attempt: undefined,
          topic: "orders",
          storeHost: "127.0.0.1:10911"
        },
        {
          ...shared,
          clientHost: entries[1]?.clientHost ?? "",
          kind: "consume",
          group: "billing",
          status: "failed",
          attempt: 1,
          topic: undefined,
          storeHost: undefined
        }
      ])
      assert.deepStrictEqual(yield* admin.queryMessageTrace("nobody"), [])
    }).pipe(Effect.scoped, Effect.provide(MQAdmin.layer({ namesrvAddr }).pipe(Layer.provideMerge(rig()))))
  )

  it("joins begin and end of a delivery, wherever they lie, and says what is not told", () => {
    const entries = entriesOf("ID", [
      textOf(after("b", { isSuccess: false, contextCode: 2 }), before("a", 10)),
      textOf(before("b", 20, 1), after("a"), before("c", 30, 2)),
      textOf(after("d", { isSuccess: false, contextCode: 1, groupName: undefined, timeStamp: undefined }))
    ])
    assert.deepStrictEqual(
      entries.map(({ attempt, costTime, group, status, time }) => [time, group, attempt, status, costTime]),
      [
        [undefined, "", undefined, "time-out", 7],
        [10, "g", 1, "success", 7],
        [20, "g", 2, "exception", 7],
        [30, "g", 3, "not-ended", undefined]
      ]
    )
  })

  it("leaves other messages of the same trace out, and has a bound", () => {
    const others = textOf({ ...before("x", 1), msgId: "OTHER" })
    const many = textOf(...Array.from({ length: 3_000 }, (_, index) => before(`r${index}`, index)))
    assert.strictEqual(entriesOf("ID", [others, many, many]).length, 1_000)
    assert.strictEqual(entriesOf("ID", [others]).length, 0)
  })

  it("tells the ends of a transaction, recalls, and each message of a batch", () => {
    const shared = { timeStamp: 5, regionId: "r", groupName: "pg", topic: "orders", tags: undefined, keys: undefined }
    const pub = {
      ...shared,
      type: "Pub",
      msgId: "A,ID",
      storeHost: "b:1",
      bodyLength: 1,
      costTime: 2,
      msgType: 0,
      isSuccess: false
    } as const
    const end = { ...shared, type: "EndTransaction", msgId: "ID", storeHost: "b:1", msgType: 1 } as const
    const entries = entriesOf("ID", [
      textOf(
        { ...pub, clientHost: "told:1" },
        { ...end, transactionState: "UNKNOW", fromTransactionCheck: false },
        { ...end, transactionState: "ROLLBACK_MESSAGE", fromTransactionCheck: true },
        { ...shared, type: "Recall", msgId: "ID", isSuccess: true }
      )
    ])
    assert.deepStrictEqual(
      entries.map(({ clientHost, costTime, kind, status }) => [kind, status, costTime, clientHost]),
      [
        ["send", "failed", 2, "told:1"],
        ["end-transaction", "unknown", undefined, "10.0.0.1:5000"],
        ["end-transaction", "rollback", undefined, "10.0.0.1:5000"],
        ["recall", "success", undefined, "10.0.0.1:5000"]
      ]
    )
  })
})
