import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Message from "../../src/message/Message.ts"
import * as MessageExts from "../../src/message/MessageExt.ts"
import type { MessageExt } from "../../src/message/MessageExt.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import type { SendResult } from "../../src/message/SendResult.ts"
import { SendError, type SendOutcome, SendTimeout } from "../../src/producer/send/SendError.ts"
import { audit, makeLedger } from "./ledger.ts"

/** The audit is what the fault tests rest on: it must find each kind of lie. */

const queue = MessageQueue.make("t", "broker-a", 0)
const message = Message.make({ topic: "t", body: "hello" })

const result = (queueOffset: number, attempts = 1): SendResult => ({
  status: "SEND_OK",
  msgId: `ID${queueOffset}`,
  offsetMsgId: "",
  queue,
  queueOffset,
  attempts,
  borrowedRoute: false,
  regionId: "DefaultRegion",
  traceOn: true
})

const stored = (queueOffset: number, msgId = `ID${queueOffset}`, body = "hello"): MessageExt =>
  MessageExts.make(
    {
      topic: "t",
      body: new TextEncoder().encode(body),
      properties: { UNIQ_KEY: msgId },
      flag: 0,
      queueId: 0,
      queueOffset,
      commitLogOffset: 0,
      sysFlag: 0,
      bornTimestamp: 0,
      bornHost: "",
      storeTimestamp: 0,
      storeHost: "",
      bodyCRC: 0,
      storeSize: 0,
      reconsumeTimes: 0,
      preparedTransactionOffset: 0
    },
    ""
  )

const failure = (msgId: string, outcome: SendOutcome) =>
  new SendError({
    topic: "t",
    msgId,
    outcome,
    attempts: [],
    reason: new SendTimeout({ topic: "t", timeoutMillis: 1, during: "a test" })
  })

const auditOf = Effect.fnUntraced(function* (
  results: ReadonlyArray<SendResult>,
  failures: ReadonlyArray<SendError>,
  found: ReadonlyArray<MessageExt>
) {
  const ledger = makeLedger()
  for (const one of results) yield* ledger.record(message, Effect.succeed(one))
  for (const error of failures) yield* ledger.record(message, Effect.fail(error))
  return audit(ledger, new Map([[MessageQueue.key(queue), found]]))
})

describe("audit", () => {
  it.effect("accepts what is explained, and counts it", () =>
    Effect.gen(function* () {
      const duplicate = stored(2, "ID0")
      assert.deepStrictEqual(yield* auditOf([result(0, 2), result(1)], [], [stored(0), stored(1), duplicate]), {
        stored: 3,
        duplicated: 1,
        storedUnknown: 0
      })
    })
  )

  const lies: ReadonlyArray<
    readonly [name: string, ReadonlyArray<SendResult>, ReadonlyArray<SendError>, ReadonlyArray<MessageExt>]
  > = [
    ["an acknowledged message that is missing", [result(0), result(1)], [], [stored(0)]],
    ["another body at the place", [result(0)], [], [stored(0, "ID0", "other")]],
    ["another id at the place", [result(0)], [], [stored(0, "ID9")]],
    ["a duplicate of a send of one attempt", [result(0)], [], [stored(0), stored(1, "ID0")]],
    ["more duplicates than attempts", [result(0, 2)], [], [stored(0), stored(1, "ID0"), stored(2, "ID0")]],
    ["two acknowledgements of one place", [result(0), result(0)], [], [stored(0)]],
    ["a message that was not sent", [result(0)], [failure("ID1", "not-sent")], [stored(0), stored(1)]],
    ["a message that was rejected", [result(0)], [failure("ID1", "rejected")], [stored(0), stored(1)]],
    ["a message of nobody", [result(0)], [], [stored(0), stored(1)]]
  ]
  for (const [name, results, failures, found] of lies) {
    it.effect(`finds ${name}`, () =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(auditOf(results, failures, found))
        assert.strictEqual(exit._tag, "Failure")
      })
    )
  }
})
