import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { type ApiError, BrokerRejected, UnreadableAnswer } from "../../../src/client/ClientError.ts"
import { ResponseCode, responseCodeName } from "../../../src/protocol/ResponseCode.ts"
import type { RetryDecision } from "../../../src/producer/ProducerConfig.ts"
import * as RetryPolicy from "../../../src/producer/send/RetryPolicy.ts"
import { SendError, type SendOutcome } from "../../../src/producer/send/SendError.ts"
import {
  ClientClosed,
  ConnectFailed,
  ConnectionClosed,
  RequestTimeout,
  RpcHookFailed,
  TlsFailed,
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

/** What the error of a send says that ended with such a failure. */
const retryableIn = (reason: ApiError, outcome: SendOutcome): boolean =>
  new SendError({ topic: "orders", msgId: undefined, outcome, attempts: [], reason }).retryable

const outcomes: ReadonlyArray<SendOutcome> = ["not-sent", "rejected", "unknown"]

describe("RetryPolicy", () => {
  it("decides by the table", () => {
    const expected: Readonly<Record<number, readonly [RetryDecision, SendOutcome]>> = {
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
      assert.deepStrictEqual(
        [RetryPolicy.meaningOf(error).decision, RetryPolicy.meaningOf(error).outcome],
        [decision, outcome],
        code
      )
    }
  })

  it("what a broker answered and is sent again may succeed later too, but for what somebody has to change", () => {
    /** Another broker may know better at once; when none does, the topic has to be opened, or created. */
    const wantChange: ReadonlyArray<number> = [ResponseCode.NO_PERMISSION, ResponseCode.TOPIC_NOT_EXIST]
    const codes: ReadonlyArray<number> = [...Object.values(ResponseCode), 777, -1, 2 ** 31 - 1]
    for (const code of codes) {
      const { decision, outcome, retryable } = RetryPolicy.meaningOf(rejected(code))
      const sentAgain = decision !== "fail"
      assert.strictEqual(retryable, sentAgain && !wantChange.includes(code), responseCodeName(code))
      assert.strictEqual(retryableIn(rejected(code), outcome), retryable, responseCodeName(code))
    }
    assert.isTrue(retryableIn(rejected(ResponseCode.NOT_LEADER_FOR_QUEUE), "rejected"))
    for (const code of wantChange) assert.strictEqual(RetryPolicy.meaningOf(rejected(code)).decision, "refresh")
  })

  it("knows an overloaded broker by its words too", () => {
    const error = rejected(ResponseCode.SYSTEM_ERROR, "[REJECTREQUEST]system busy, start flow control for a while")
    assert.strictEqual(RetryPolicy.meaningOf(error).decision, "busy")
    assert.strictEqual(RetryPolicy.meaningOf(error).outcome, "rejected")
  })

  it("B8: a message that is refused for its own sake is not sent again, whatever the words say", () => {
    for (const code of [ResponseCode.MESSAGE_ILLEGAL, ResponseCode.INVALID_PARAMETER, 777]) {
      const error = rejected(code, "[REJECTREQUEST]system busy, start flow control for a while")
      assert.strictEqual(RetryPolicy.meaningOf(error).decision, "fail")
    }
  })

  it("decides for every failure of the transport", () => {
    const cause = "x"
    const tls = new TlsFailed({ address: "a", reason: "expired", retryAfterMillis: 1, cause })
    const cases: ReadonlyArray<readonly [ApiError, RetryDecision, SendOutcome, boolean]> = [
      [new ConnectFailed({ address: "a", kind: "refused", retryAfterMillis: 1, cause }), "refresh", "not-sent", true],
      [new ConnectionClosed({ address: "a", sent: true, cause }), "refresh", "unknown", true],
      [new ConnectionClosed({ address: "a", sent: false, cause }), "refresh", "not-sent", true],
      [new RequestTimeout({ address: "a", code: 310, timeoutMillis: 1, sent: true }), "retry", "unknown", true],
      [new RequestTimeout({ address: "a", code: 310, timeoutMillis: 1, sent: false }), "retry", "not-sent", true],
      // Another broker may have places free.
      [new TooManyRequests({ address: "a", timeoutMillis: 1 }), "retry", "not-sent", true],
      // Another broker may have a better certificate, but this one's stays as it is.
      [tls, "retry", "not-sent", false],
      [new RpcHookFailed({ address: "a", code: 310, cause }), "fail", "not-sent", true],
      [new ClientClosed({ address: "a", sent: true }), "fail", "unknown", false],
      [new ClientClosed({ address: "a", sent: false }), "fail", "not-sent", false],
      [new UnreadableAnswer({ address: "a", request: "r", detail: "d" }), "fail", "unknown", false]
    ]
    for (const [error, decision, outcome, retryable] of cases) {
      assert.deepStrictEqual(RetryPolicy.meaningOf(error), { decision, outcome, retryable }, error._tag)
      assert.strictEqual(retryableIn(error, outcome), retryable, error._tag)
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
          assert.include(["busy", "busy-once", "retry", "refresh", "fail"], RetryPolicy.meaningOf(error).decision)
          assert.include(outcomes, RetryPolicy.meaningOf(error).outcome)
          if (!documented.includes(any)) {
            assert.strictEqual(RetryPolicy.meaningOf(error).decision, "fail")
            assert.strictEqual(RetryPolicy.meaningOf(error).outcome, "unknown")
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
