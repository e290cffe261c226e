import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import * as MixAll from "../../src/message/MixAll.ts"
import * as Namespace from "../../src/message/Namespace.ts"
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
