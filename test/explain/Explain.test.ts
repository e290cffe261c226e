import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Fs from "node:fs"
import { AdminError, AdminReason } from "../../src/admin/AdminError.ts"
import { type AnyError, explain, explainers } from "../../src/explain/Explain.ts"
import {
  ApiError,
  BrokerRejected,
  NameServerTry,
  NameServerUnavailable,
  RouteProblem,
  RouteUnavailable,
  StartError,
  StartReason
} from "../../src/client/ClientError.ts"
import { CredentialsUnavailable } from "../../src/client/SessionCredentials.ts"
import { ConsumerFailed } from "../../src/consumer/ConsumerFailed.ts"
import { CommitFailed, SeekRefused, SubscriptionConflict } from "../../src/consumer/lite/LitePullError.ts"
import { OffsetFileError } from "../../src/consumer/offset/LocalOffsetStore.ts"
import { OffsetStoreError } from "../../src/consumer/offset/OffsetStore.ts"
import { ReceiveError, ReceiveReason, SettleError, SettleReason } from "../../src/consumer/simple/SimpleError.ts"
import * as Main from "../../src/index.ts"
import { TopicDecodeError } from "../../src/message/Topic.ts"
import { RecallError, RecallReason } from "../../src/producer/Recall.ts"
import { ReplyFailure } from "../../src/producer/reply/ReplyError.ts"
import { SendAttempt, SendError, SendReason } from "../../src/producer/send/SendError.ts"
import { TransactionFailure } from "../../src/producer/transaction/TransactionError.ts"
import * as Promises from "../../src/promise/index.ts"
import { CompressionError } from "../../src/protocol/Compression.ts"
import { DecodeError } from "../../src/protocol/DecodeError.ts"
import { FrameError } from "../../src/protocol/FrameError.ts"
import * as Protocol from "../../src/protocol/index.ts"
import { AddressError } from "../../src/transport/Address.ts"
import { AnswersNotRead, ConnectFailed, RequestTimeout } from "../../src/transport/RemotingError.ts"
import { WireError, WireErrorKind } from "../../src/transport/Wire.ts"
import { type ErrorsOf, errorsOf } from "../support/publicErrors.ts"

const tags = Object.keys(explainers)
const outer = ["StartError", "SendError", "RecallError", "ReceiveError", "SettleError", "AdminError"]

describe("explain", () => {
  it("has an entry for every reason, and only for those", () => {
    const members = [
      ...StartReason.members,
      ...SendReason.members,
      ...AdminReason.members,
      ...ApiError.members,
      ...RecallReason.members,
      ...ReceiveReason.members,
      ...SettleReason.members,
      ...ReplyFailure.members,
      ...TransactionFailure.members,
      AddressError,
      AnswersNotRead,
      CompressionError,
      CredentialsUnavailable,
      DecodeError,
      FrameError,
      CommitFailed,
      ConsumerFailed,
      SeekRefused,
      SubscriptionConflict,
      OffsetFileError,
      OffsetStoreError,
      TopicDecodeError,
      WireError
    ]
    assert.sameMembers(tags, [...new Set(members.map((member) => member.identifier))])
  })

  it("takes every error that an entry point for users exports", () => {
    // At compile time: the tag of a class that nobody explains is left over.
    const unexplained: ReadonlyArray<
      Exclude<ErrorsOf<typeof Main> | ErrorsOf<typeof Promises> | ErrorsOf<typeof Protocol>, AnyError>
    > = []
    const leftOver: ReadonlyArray<never> = unexplained
    assert.isEmpty(leftOver)
    const exported = [Main, Promises, Protocol].flatMap(errorsOf).map(({ tag }) => tag)
    assert.isAbove(exported.length, 40)
    assert.deepStrictEqual(
      exported.filter((tag) => !tags.includes(tag) && !outer.includes(tag)),
      []
    )
  })

  it("docs/errors.md has every tag", () => {
    const text = Fs.readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8")
    for (const tag of tags) assert.include(text, `\`${tag}\``)
    for (const tag of outer) assert.include(text, `## ${tag}\n`)
    for (const problem of RouteProblem.literals) assert.include(text, `\`${problem}\``)
  })

  it.prop(
    "says something about any error and never throws",
    {
      error: Schema.Union([
        StartError,
        SendError,
        RecallError,
        ReceiveError,
        SettleError,
        AdminError,
        AddressError,
        WireError,
        ReplyFailure,
        TransactionFailure,
        CompressionError,
        CredentialsUnavailable,
        DecodeError,
        FrameError,
        TopicDecodeError,
        SubscriptionConflict,
        SeekRefused,
        CommitFailed
      ])
    },
    ({ error }) => {
      const { cause, evidence, remedy, tag } = explain(error)
      assert.isNotEmpty(cause)
      assert.isNotEmpty(remedy)
      assert.include(tags, tag)
      assert.match(remedy, /[.]$/)
      for (const line of evidence) assert.isString(line)
    }
  )

  it("a start that failed: the step, the servers, the remedy", () => {
    const error = new StartError({
      step: "2.5",
      name: "ready",
      reason: new NameServerUnavailable({
        tries: [new NameServerTry({ address: "ns:9876", problem: "refused", detail: "ECONNREFUSED" })]
      })
    })
    assert.deepStrictEqual(explain(error), {
      tag: "NameServerUnavailable",
      cause: "no name server answered",
      evidence: ["start-up step 2.5: ready", "name server ns:9876: refused (ECONNREFUSED)"],
      remedy:
        "Check the addresses and that they can be reached from this machine. `effect-rocketmq doctor` walks through it and says where it ends."
    })
  })

  it("a send that failed: what became of the message, and every attempt", () => {
    const cause = new RequestTimeout({ address: "b:10911", code: 310, timeoutMillis: 1_000, sent: true })
    const attempt = new SendAttempt({
      brokerName: "broker-a",
      queueId: 3,
      address: "b:10911",
      elapsedMillis: 1_000.4,
      outcome: "unknown",
      cause
    })
    const error = new SendError({
      topic: "orders",
      msgId: "ID",
      outcome: "unknown",
      attempts: [attempt],
      reason: cause
    })
    assert.deepStrictEqual(explain(error).evidence, [
      "address: b:10911",
      "request: SEND_MESSAGE_V2",
      "time: 1000 ms",
      "the request had been sent",
      "message id: ID",
      "the message may be stored; sending it again may duplicate it",
      "attempt 1: broker-a queue 3 at b:10911, 1001 ms, RequestTimeout"
    ])
  })

  it("every route problem, wire kind and common code has words of its own", () => {
    const routes = RouteProblem.literals.map((problem) =>
      explain(new RouteUnavailable({ topic: "t", problem, tries: [] }))
    )
    assert.strictEqual(new Set(routes.map(({ cause }) => cause)).size, RouteProblem.literals.length)
    assert.strictEqual(new Set(routes.map(({ remedy }) => remedy)).size, RouteProblem.literals.length)
    const kinds = WireErrorKind.literals.map((kind) =>
      explain(new ConnectFailed({ address: "a:1", kind, retryAfterMillis: 1, cause: new Error("x") }))
    )
    assert.strictEqual(new Set(kinds.map(({ cause }) => cause)).size, WireErrorKind.literals.length)
    const codes = [1, 2, 3, 13, 14, 16, 17].map(
      (code) =>
        explain(new BrokerRejected({ address: "a:1", request: "R", code, codeName: "C", remark: "words" })).remedy
    )
    assert.strictEqual(new Set(codes).size, 7)
  })

  it("a reason by itself is explained like the error around it", () => {
    const reason = new BrokerRejected({
      address: "a:1",
      request: "SEND_MESSAGE_V2",
      code: 16,
      codeName: "NO_PERMISSION",
      remark: "the topic[x] sending message is forbidden"
    })
    const bare = explain(reason)
    assert.strictEqual(bare.cause, "the broker or the topic does not allow it")
    assert.deepStrictEqual(bare.evidence, [
      "address: a:1",
      "request: SEND_MESSAGE_V2",
      "code: NO_PERMISSION (16)",
      "the server says: the topic[x] sending message is forbidden"
    ])
    const error = new SendError({ topic: "x", msgId: undefined, outcome: "rejected", attempts: [], reason })
    const { evidence, ...rest } = explain(error)
    assert.deepStrictEqual({ ...rest, evidence: bare.evidence }, bare)
    assert.deepStrictEqual(evidence, [...bare.evidence, "the message was refused and is not stored"])
  })
})
