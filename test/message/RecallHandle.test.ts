import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import * as RecallHandle from "../../src/message/RecallHandle.ts"
import { goldenCommand, golden } from "../protocol/goldenFrames.ts"

const word = Arbitrary.map(
  Arbitrary.array(Arbitrary.schema(Schema.Literals(["a", "Z", "_", "%", "-", "|", "9", "标"])), {
    minLength: 1,
    maxLength: 12
  }),
  (parts) => parts.join("")
)

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
