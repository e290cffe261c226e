import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import * as MixAll from "../../src/message/MixAll.ts"
import * as Namespace from "../../src/message/Namespace.ts"
import * as RecallHandle from "../../src/message/RecallHandle.ts"
import { goldenCommand, golden } from "../protocol/goldenFrames.ts"

const letters = (alphabet: ReadonlyArray<string>, minLength: number, maxLength: number) =>
  Arbitrary.map(Arbitrary.array(Arbitrary.schema(Schema.Literals(alphabet)), { minLength, maxLength }), (parts) =>
    parts.join("")
  )
const namespace = letters(["M", "Q", "_", "-", "1", "inst", "rmq_sys_", "CID_RMQ_SYS_"], 1, 5)
const resource = letters(
  ["%RETRY%", "%DLQ%", "%", "|", "a", "Z", "_", "-", "0", "TBW102", "rmq_sys_", "CID_RMQ_SYS_", "inst", "M"],
  0,
  6
)

describe("Namespace", () => {
  it("wraps what the Java client wraps, and unwraps it", () => {
    for (const [plain, wire] of [
      ["orders", "MQ_INST_1_x%orders"],
      ["%RETRY%orders-cg", "%RETRY%MQ_INST_1_x%orders-cg"],
      ["%DLQ%orders-cg", "%DLQ%MQ_INST_1_x%orders-cg"]
    ] as const) {
      assert.strictEqual(Namespace.wrap("MQ_INST_1_x", plain), wire)
      assert.strictEqual(Namespace.wrap("MQ_INST_1_x", wire), wire)
      assert.strictEqual(Namespace.unwrap("MQ_INST_1_x", wire), plain)
      assert.isTrue(Namespace.isWrapped("MQ_INST_1_x", wire))
      assert.isFalse(Namespace.isWrapped("MQ_INST_1_x", plain))
    }
    const fields = goldenCommand(golden("send-v2-request-namespace-v1")).extFields
    assert.strictEqual(Namespace.wrap("MQ_INST_1_x", "facts-t9969"), fields?.["b"])
    assert.strictEqual(
      fields?.["a"],
      Namespace.wrap("MQ_INST_1_x", Namespace.unwrap("MQ_INST_1_x", fields?.["a"] ?? ""))
    )
  })

  it("leaves what belongs to RocketMQ itself, and names of other namespaces", () => {
    for (const name of ["TBW102", "RMQ_SYS_TRACE_TOPIC", "SCHEDULE_TOPIC_XXXX", "rmq_sys_x", "CID_RMQ_SYS_x", ""]) {
      assert.strictEqual(Namespace.wrap("ns", name), name)
      assert.strictEqual(Namespace.unwrap("ns", name), name)
    }
    assert.strictEqual(Namespace.unwrap("ns", "other%orders"), "other%orders")
    assert.strictEqual(Namespace.unwrap("ns", "%RETRY%other%g"), "%RETRY%other%g")
    assert.strictEqual(Namespace.unwrap("ns", "ns1%orders"), "ns1%orders")
  })

  it("does nothing without a namespace", () => {
    for (const none of [undefined, ""]) {
      assert.strictEqual(Namespace.wrap(none, "orders"), "orders")
      assert.strictEqual(Namespace.unwrap(none, "%RETRY%ns%orders"), "%RETRY%ns%orders")
    }
  })

  it.prop("wrapping twice is wrapping once, and unwrapping undoes it", [namespace, resource], ([ns, name]) => {
    const wire = Namespace.wrap(ns, name)
    assert.strictEqual(Namespace.wrap(ns, wire), wire)
    assert.strictEqual(Namespace.unwrap(ns, wire), Namespace.isWrapped(ns, name) ? Namespace.unwrap(ns, name) : name)
    assert.strictEqual(MixAll.isRetryTopic(wire), MixAll.isRetryTopic(name))
    if (wire === name) {
      assert.isTrue(name === "" || Namespace.isSystemResource(name) || Namespace.isWrapped(ns, name))
    }
  })
})

const word = letters(["a", "Z", "_", "%", "-", "|", "9", "标"], 1, 12)

const base64 = (text: string) => Buffer.from(text).toString("base64url")

describe("RecallHandle", () => {
  it("reads what a real broker handed out, and writes the same", () => {
    const fields = goldenCommand(golden("recall-request")).extFields
    const text = fields?.["recallHandle"] ?? assert.fail("no handle")
    const handle = RecallHandle.decode(text)
    assert.deepEqual(handle, {
      topic: "facts-u10577r",
      brokerName: "facts-broker",
      deliverMillis: 1_795_410_615_001,
      msgId: goldenCommand(golden("recall-response")).extFields?.["msgId"] ?? ""
    })
    assert.strictEqual(handle?.topic, fields?.["topic"])
    if (handle !== undefined) assert.strictEqual(RecallHandle.encode(handle), text)
    const answered = goldenCommand(golden("send-v2-response-timer")).extFields
    assert.strictEqual(RecallHandle.decode(answered?.["recallHandle"] ?? "")?.msgId, answered?.["transactionId"])
  })

  it("anything else is no handle", () => {
    for (const text of [
      "",
      "====",
      "not base64!",
      base64("v2 topic broker 1 ID"),
      base64("v1 topic broker 1"),
      base64("v1 topic broker soon ID"),
      base64("v1 topic broker -1 ID"),
      base64("v1  broker 1 ID"),
      base64("v1 topic broker 99999999999999999999 ID")
    ]) {
      assert.isUndefined(RecallHandle.decode(text), text)
    }
    // Java ignores what comes behind, and takes a handle without padding.
    assert.strictEqual(RecallHandle.decode(base64("v1 topic broker 1 ID more"))?.msgId, "ID")
  })

  it.prop(
    "reading undoes writing",
    [
      word,
      word,
      word,
      Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9_007_199_254_740_991 })))
    ],
    ([topic, brokerName, msgId, millis]) => {
      const handle = { topic, brokerName, deliverMillis: millis === 0 ? 0 : millis, msgId }
      const text = RecallHandle.encode(handle)
      assert.strictEqual(text.length % 4, 0)
      assert.deepEqual(RecallHandle.decode(text), handle)
    }
  )
})
