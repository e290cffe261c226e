import { assert, describe, it } from "@effect/vitest"
import { checkGroup, checkTopic } from "../../src/client/Names.ts"
import * as MixAll from "../../src/message/MixAll.ts"

const reserved = MixAll.RESERVED_PRODUCER_GROUPS

const groupProblem = (group: string) => checkGroup(group, reserved)?.problem

describe("checkGroup", () => {
  it("allows what Java allows", () => {
    for (const group of ["orders-pg", "a", "%A|b_9-Z", "g".repeat(120)]) {
      assert.strictEqual(checkGroup(group, reserved), undefined, group)
    }
  })

  it("refuses the rest, and says which rule it breaks", () => {
    assert.strictEqual(groupProblem(""), "blank")
    assert.strictEqual(groupProblem(" \t"), "blank")
    assert.strictEqual(groupProblem("g".repeat(121)), "too-long")
    assert.strictEqual(groupProblem("a b"), "illegal-characters")
    assert.strictEqual(groupProblem("ä"), "illegal-characters")
    assert.strictEqual(groupProblem("a\n"), "illegal-characters")
    assert.strictEqual(groupProblem("DEFAULT_PRODUCER"), "reserved")
    assert.strictEqual(groupProblem("CLIENT_INNER_PRODUCER"), "reserved")
    assert.strictEqual(groupProblem(JSON.parse("7")), "illegal-characters")
    const error = checkGroup("a b", reserved)
    assert.include(error?.message ?? "", '"a b"')
    assert.include(error?.message ?? "", "^[%|a-zA-Z0-9_-]+$")
  })
})

describe("checkTopic", () => {
  const reading = { has: (topic: string) => topic === "SCHEDULE_TOPIC_XXXX", action: "subscribing to" }

  it("says what is wrong with a name, and which may not be used for this", () => {
    assert.strictEqual(checkTopic("orders", reading), undefined)
    assert.strictEqual(checkTopic("", reading), "is blank")
    assert.strictEqual(checkTopic(JSON.parse("7"), reading), "is no text")
    assert.strictEqual(checkTopic("t".repeat(128), reading), "has 128 characters, at most 127 are allowed")
    assert.include(checkTopic("a b", reading), "characters that are not allowed")
    assert.strictEqual(
      checkTopic("SCHEDULE_TOPIC_XXXX", reading),
      "belongs to RocketMQ itself; subscribing to it is forbidden"
    )
    assert.strictEqual(checkTopic("SCHEDULE_TOPIC_XXXX", { has: () => false, action: "" }), undefined)
  })
})
