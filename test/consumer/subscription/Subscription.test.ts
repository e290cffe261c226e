import { assert, describe, it } from "@effect/vitest"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"

const same = (a: Subscription.Subscription, b: Subscription.Subscription) =>
  Subscription.isSame(Subscription.dataOf(a, 1), Subscription.dataOf(b, 2))

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

  it("is sent in SQL92 as it is written, and without tags", () => {
    assert.deepInclude(Subscription.dataOf(Subscription.sql({ name: "orders" }, "a > 1"), 7), {
      topic: "orders",
      subString: "a > 1",
      tagsSet: [],
      codeSet: [],
      subVersion: 7,
      expressionType: "SQL92",
      classFilterMode: false
    })
  })

  it("cannot have a filter that is empty, endless, or no text", () => {
    assert.strictEqual(Subscription.problemOf(Subscription.sql("orders", "a > 1")), undefined)
    assert.match(Subscription.problemOf(Subscription.sql("orders", " ")) ?? "", /is empty/)
    for (const of of [Subscription.sql, Subscription.expression]) {
      assert.match(Subscription.problemOf(of("orders", "x".repeat(65_537))) ?? "", /65537 characters, more than 65536/)
      assert.match(Subscription.problemOf(of("orders", "a = '\ud800'")) ?? "", /half of a surrogate pair/)
    }
  })

  it("is the same as another that lets the same messages pass", () => {
    assert.isTrue(same(Subscription.sql("orders", "a > 1 "), Subscription.sql("orders", "a > 1")))
    assert.isFalse(same(Subscription.sql("orders", "a > 1"), Subscription.sql("orders", "a > 2")))
    assert.isFalse(same(Subscription.sql("orders", "a"), Subscription.tags("orders", "a")))
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
