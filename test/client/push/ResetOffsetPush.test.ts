import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { MessageQueue } from "../../../src/message/MessageQueue.ts"
import * as ResetOffsetPush from "../../../src/client/push/ResetOffsetPush.ts"
import * as ResetConsumerClientOffset from "../../../src/protocol/push/ResetConsumerClientOffset.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import type { ResetOffsetBody, ResetOffsetHeader } from "../../../src/protocol/request/ResetOffset.ts"
import { makeHandlers } from "../../../src/transport/Handlers.ts"
import { consumer } from "../../support/members.ts"

const queue = (queueId: number, topic = "orders"): MessageQueue => ({ topic, brokerName: "b", queueId })

/** Tells a client with one consumer of a reset; gives the answer, and what the consumer was told. */
const tell = Effect.fnUntraced(function* (
  offsetTable: ResetOffsetBody["offsetTable"],
  over: Partial<ResetOffsetHeader> = {},
  namespace?: string,
  body?: Uint8Array
) {
  const { register, requestHandler } = makeHandlers()
  const told: Array<unknown> = []
  const one = consumer({ resetOffset: (topic, offsets) => Effect.sync(() => void told.push([topic, offsets])) })
  yield* ResetOffsetPush.register(register, { consumers: new Map([["cg", one]]), namespace })
  const request = ResetConsumerClientOffset.request(
    { topic: "orders", group: "cg", timestamp: 0, isForce: false, ...over },
    { offsetTable }
  )
  const handler = requestHandler(RequestCode.RESET_CONSUMER_CLIENT_OFFSET)
  const answer = yield* (
    handler?.("broker:1", {
      code: request.code,
      flag: 2,
      language: "JAVA",
      version: 513,
      opaque: 1,
      remark: undefined,
      extFields: request.extFields,
      body: body ?? request.body ?? new Uint8Array(),
      serializeType: "JSON"
    }) ?? Effect.die("no handler")
  )
  return { code: answer.code, told }
})

describe("ResetOffsetPush", () => {
  it.effect("hands the offsets to the consumer of the group, those that a queue can have", () =>
    Effect.gen(function* () {
      const { code, told } = yield* tell([
        [queue(0), 7],
        [queue(1), -1],
        [queue(2), 9_223_372_036_854_775_807n],
        [queue(3), 0]
      ])
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(told, [
        [
          "orders",
          [
            [queue(0), 7],
            [queue(3), 0]
          ]
        ]
      ])
    }).pipe(Effect.scoped)
  )

  it.effect("names queues without the namespace", () =>
    Effect.gen(function* () {
      const { told } = yield* tell([[queue(0, "ns%orders"), 7]], {}, "ns")
      assert.deepStrictEqual(told, [["orders", [[queue(0), 7]]]])
    }).pipe(Effect.scoped)
  )

  it.effect("drops what is for nobody here, or cannot be read", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* tell([[queue(0), 7]], { group: "other" }), { code: 0, told: [] })
      assert.deepStrictEqual(yield* tell([], {}, undefined, Buffer.from("{")), { code: 1, told: [] })
      const list = Buffer.from('{"offsetTable":[{"topic":"orders","brokerName":"b","queueId":0,"offset":1}]}')
      assert.deepStrictEqual(yield* tell([], {}, undefined, list), { code: 1, told: [] })
    }).pipe(Effect.scoped)
  )
})
