import { assert, describe, it } from "@effect/vitest"
import {
  AdminError,
  GroupAlreadyExists,
  MessageNotFound,
  NoMaster,
  TopicAlreadyExists
} from "../../src/admin/AdminError.ts"
import { explain } from "../../src/explain/Explain.ts"
import * as NameList from "../../src/message/NameList.ts"

describe("names in a sentence", () => {
  it("are all of them, or the first twenty and how many more there are", () => {
    assert.strictEqual(NameList.text([]), "")
    assert.strictEqual(NameList.text(["a", "b"]), "a, b")
    const names = Array.from({ length: 21 }, (_, i) => `b-${i}`)
    assert.strictEqual(NameList.text(names.slice(0, 20)), names.slice(0, 20).join(", "))
    assert.strictEqual(NameList.text(names), `${names.slice(0, 20).join(", ")} and 1 more`)
  })

  it("A17: of as many brokers as a cluster can have do not make an error of a megabyte", () => {
    const brokers = Array.from({ length: 4_096 }, (_, i) => `${"b".repeat(250)}-${i}`)
    for (const reason of [
      new NoMaster({ clusterName: "c", brokers }),
      new TopicAlreadyExists({ topic: "t", brokers }),
      new GroupAlreadyExists({ group: "g", brokers }),
      new MessageNotFound({ topic: "t", msgId: "m", brokers })
    ]) {
      const error = new AdminError({ operation: "do something", done: brokers, reason })
      assert.isBelow(error.message.length, 15_000, reason._tag)
      assert.match(error.message, /and 4076 more/)
      assert.isBelow(explain(error).evidence.join("\n").length, 15_000, reason._tag)
    }
  })
})
