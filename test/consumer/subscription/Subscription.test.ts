import { assert, describe, it } from "@effect/vitest"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"

describe("Subscription", () => {
  it("reads tag filters as Java's FilterAPI does", () => {
    const cases: ReadonlyArray<readonly [string, string, ReadonlyArray<string>]> = [
      ["", "*", []],
      ["*", "*", []],
      ["TagA", "TagA", ["TagA"]],
      ["TagA || Z", "TagA || Z", ["TagA", "Z"]],
      ["a||b||a|| ", "a||b||a|| ", ["a", "b"]]
    ]
    for (const [text, expression, tags] of cases) {
      assert.deepInclude(Subscription.expression("orders", text), { expression, tags })
    }
    assert.match(Subscription.problemOf(Subscription.expression("orders", " || ")) ?? "", /names no tag/)
    assert.strictEqual(Subscription.problemOf(Subscription.all({ name: "orders" })), undefined)
  })

  it("is sent with the tags' Java hashes", () => {
    assert.deepInclude(Subscription.dataOf(Subscription.tags("orders", "Aa", "BB"), 7), {
      topic: "orders",
      subString: "Aa || BB",
      tagsSet: ["Aa", "BB"],
      codeSet: [2112, 2112],
      subVersion: 7,
      expressionType: "TAG"
    })
  })
})
