import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { type ApiError, BrokerRejected, UnreadableAnswer } from "../../../src/client/ClientError.ts"
import { ResponseCode, responseCodeName } from "../../../src/protocol/ResponseCode.ts"
import * as RetryPolicy from "../../../src/producer/send/RetryPolicy.ts"
import type { SendOutcome } from "../../../src/producer/send/SendError.ts"
import {
  ClientClosed,
  ConnectFailed,
  ConnectionClosed,
  RequestTimeout,
  TooManyRequests
} from "../../../src/transport/RemotingError.ts"
import { runs } from "../../support/rig.ts"

const rejected = (code: number, remark = "") =>
  new BrokerRejected({
    address: "b:1",
    request: "SEND_MESSAGE_V2",
    code,
    codeName: responseCodeName(code),
    remark
  })

const outcomes: ReadonlyArray<SendOutcome> = ["not-sent", "rejected", "unknown"]

describe("RetryPolicy", () => {
  it("decides by the table", () => {
    const expected: Readonly<Record<number, readonly [RetryPolicy.RetryDecision, SendOutcome]>> = {
      [ResponseCode.SYSTEM_ERROR]: ["retry", "unknown"],
      [ResponseCode.SYSTEM_BUSY]: ["busy", "rejected"],
      [ResponseCode.MESSAGE_ILLEGAL]: ["fail", "rejected"],
      [ResponseCode.SERVICE_NOT_AVAILABLE]: ["retry", "rejected"],
      [ResponseCode.NO_PERMISSION]: ["refresh", "rejected"],
      [ResponseCode.TOPIC_NOT_EXIST]: ["refresh", "rejected"],
      [ResponseCode.INVALID_PARAMETER]: ["fail", "rejected"],
      [ResponseCode.NO_BUYER_ID]: ["retry", "rejected"],
      [ResponseCode.NOT_IN_CURRENT_UNIT]: ["retry", "rejected"],
      [ResponseCode.FLOW_CONTROL]: ["busy-once", "rejected"],
      [ResponseCode.NOT_LEADER_FOR_QUEUE]: ["refresh", "rejected"],
      [ResponseCode.GO_AWAY]: ["refresh", "rejected"]
    }
    for (const [code, [decision, outcome]] of Object.entries(expected)) {
      const error = rejected(Number(code))
      assert.deepStrictEqual([RetryPolicy.decide(error), RetryPolicy.outcomeOf(error)], [decision, outcome], code)
    }
  })

  it("knows an overloaded broker by its words too", () => {
    const error = rejected(ResponseCode.SYSTEM_ERROR, "[REJECTREQUEST]system busy, start flow control for a while")
    assert.strictEqual(RetryPolicy.decide(error), "busy")
    assert.strictEqual(RetryPolicy.outcomeOf(error), "rejected")
  })

  it("B8: a message that is refused for its own sake is not sent again, whatever the words say", () => {
    for (const code of [ResponseCode.MESSAGE_ILLEGAL, ResponseCode.INVALID_PARAMETER, 777]) {
      const error = rejected(code, "[REJECTREQUEST]system busy, start flow control for a while")
      assert.strictEqual(RetryPolicy.decide(error), "fail")
    }
  })

  it("decides for every failure of the transport", () => {
    const cases: ReadonlyArray<readonly [ApiError, RetryPolicy.RetryDecision, SendOutcome]> = [
      [new ConnectFailed({ address: "a", kind: "refused", retryAfterMillis: 1, cause: "x" }), "refresh", "not-sent"],
      [new ConnectionClosed({ address: "a", sent: true, cause: "x" }), "refresh", "unknown"],
      [new ConnectionClosed({ address: "a", sent: false, cause: "x" }), "refresh", "not-sent"],
      [new RequestTimeout({ address: "a", code: 310, timeoutMillis: 1, sent: true }), "retry", "unknown"],
      [new RequestTimeout({ address: "a", code: 310, timeoutMillis: 1, sent: false }), "retry", "not-sent"],
      // Another broker may have places free.
      [new TooManyRequests({ address: "a", timeoutMillis: 1 }), "retry", "not-sent"],
      [new ClientClosed({ address: "a", sent: true }), "fail", "unknown"],
      [new ClientClosed({ address: "a", sent: false }), "fail", "not-sent"],
      [new UnreadableAnswer({ address: "a", request: "r", detail: "d" }), "fail", "unknown"]
    ]
    for (const [error, decision, outcome] of cases) {
      assert.deepStrictEqual([RetryPolicy.decide(error), RetryPolicy.outcomeOf(error)], [decision, outcome], error._tag)
    }
  })

  it.effect.prop(
    "has a decision and an outcome for any code, and never calls an unknown code harmless",
    {
      code: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: -(2 ** 31), maximum: 2 ** 31 - 1 }))),
      small: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2_000 })))
    },
    ({ code, small }) =>
      Effect.sync(() => {
        const documented: ReadonlyArray<number> = Object.values(ResponseCode)
        for (const any of [code, small]) {
          const error = rejected(any)
          assert.include(["busy", "busy-once", "retry", "refresh", "fail"], RetryPolicy.decide(error))
          assert.include(outcomes, RetryPolicy.outcomeOf(error))
          if (!documented.includes(any)) {
            assert.strictEqual(RetryPolicy.decide(error), "fail")
            assert.strictEqual(RetryPolicy.outcomeOf(error), "unknown")
          }
        }
      }),
    runs(500)
  )

  it("keeps the worst of what is known", () => {
    for (const a of outcomes) {
      for (const b of outcomes) {
        const expected = outcomes[Math.max(outcomes.indexOf(a), outcomes.indexOf(b))]
        assert.strictEqual(RetryPolicy.worst(a, b), expected)
      }
    }
  })

  it("pauses longer and longer after busy answers, half of it by chance, never above half a second", () => {
    assert.strictEqual(RetryPolicy.busyPause(1, 0), 10)
    assert.strictEqual(RetryPolicy.busyPause(1, 1), 20)
    assert.strictEqual(RetryPolicy.busyPause(3, 0), 40)
    for (let n = 1; n < 60; n++) {
      assert.isAtMost(RetryPolicy.busyPause(n, 0.999), 500)
      assert.isAtLeast(RetryPolicy.busyPause(n + 1, 0), RetryPolicy.busyPause(n, 0))
    }
  })
})
