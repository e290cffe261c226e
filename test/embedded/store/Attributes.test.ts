import { assert, describe, it } from "@effect/vitest"
import * as Attributes from "../../../src/embedded/store/Attributes.ts"

/** What 5.5.0 answered for a topic that exists with these attributes. */
const change = (text: string, current: Attributes.Attributes | undefined = {}) => {
  const changes = Attributes.parseChanges(text)
  return typeof changes === "string" ? changes : Attributes.alter(Attributes.ofTopics, current, changes)
}

const create = (changes: Attributes.Attributes) => Attributes.alter(Attributes.ofTopics, undefined, changes)
const alter = (changes: Attributes.Attributes) => Attributes.alter(Attributes.ofGroups, {}, changes)

describe("attributes", () => {
  it("are added, changed and removed", () => {
    assert.deepStrictEqual(change(""), {})
    assert.deepStrictEqual(change(","), {})
    assert.deepStrictEqual(change("+message.type=FIFO,+reserve.time=5"), {
      "message.type": "FIFO",
      "reserve.time": "5"
    })
    assert.deepStrictEqual(change("+message.type=FIFO=x"), { "message.type": "FIFO" })
    const fifo = { "message.type": "FIFO" }
    assert.deepStrictEqual(change("+message.type=DELAY", fifo), { "message.type": "DELAY" })
    assert.deepStrictEqual(change("-message.type", fifo), {})
  })

  it("are refused in RocketMQ's words", () => {
    const refusals: ReadonlyArray<readonly [string, string]> = [
      ["-message.type", "attempt to delete a nonexistent key: message.type"],
      ["+reserve.time=x", 'For input string: "x"'],
      ["+reserve.time=-2", "value is not in range(-1, 9223372036854775807)"],
      ["+queue.type=BatchCQ", "attempt to update an unchangeable attribute. key: queue.type"],
      ["message.type=FIFO", "add/alter attribute format is wrong: message.type"],
      ["message.type", "delete attribute format is wrong: message.type"],
      ["+message.type", "delete attribute format is wrong: +message.type"],
      ["+message.type=", "Index 1 out of bounds for length 1"],
      ["=", "Index 0 out of bounds for length 0"],
      ["+message.type=FIFO,+message.type=DELAY", "key duplication: +message.type"],
      ["+a=b", "unsupported key: a"],
      ["-a", "attempt to delete a nonexistent key: a"],
      ["+message.type=FIFO,-message.type", "attempt to delete a nonexistent key: message.type"],
      ["++message.type=FIFO", "kv string format wrong."],
      ["+message.type=x", "value is not in set: [UNSPECIFIED, MIXED, TRANSACTION, PRIORITY, FIFO, DELAY, LITE, NORMAL]"]
    ]
    for (const [text, refusal] of refusals) assert.strictEqual(change(text), refusal, text)
    assert.strictEqual(
      change("+message.type=FIFO,-message.type", { "message.type": "x" }),
      "alter duplication key. key: message.type"
    )
  })

  it("of what is new can only be added, and then those too that never change", () => {
    assert.deepStrictEqual(create({ "+queue.type": "BatchCQ" }), { "queue.type": "BatchCQ" })
    assert.strictEqual(create({ "+queue.type": "x" }), "value is not in set: [SimpleCQ, BatchCQ]")
    assert.strictEqual(
      create({ "-queue.type": "" }),
      "only add attribute is supported while creating topic. key: queue.type"
    )
  })

  it("of groups are others", () => {
    assert.deepStrictEqual(
      alter({ "+priority.factor": "5", "+lite.bind.topic": "t", "+lite.sub.reset.offset.exclusive": "True" }),
      {
        "priority.factor": "5",
        "lite.bind.topic": "t",
        "lite.sub.reset.offset.exclusive": "True"
      }
    )
    assert.strictEqual(alter({ "+priority.factor": "500" }), "value is not in range(0, 100)")
    assert.strictEqual(alter({ "priority.factor": "5" }), "wrong format key: riority.factor")
    assert.strictEqual(alter({ "+lite.sub.reset.offset.exclusive": "x" }), "boolean attribute format is wrong.")
  })
})
