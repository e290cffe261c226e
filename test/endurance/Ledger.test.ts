import { assert, describe, it } from "@effect/vitest"
import { bodyOf, doubt, makeLedger, noDoubts, numberOf, type Place } from "./Ledger.ts"

const place: Place = { broker: "a", queueId: 1, offset: 7, msgId: "id0", attempts: 1 }
const copy = { n: 0, broker: "a", queueId: 1, offset: 7, msgId: "id0" }

const doubts = (count: number) => {
  const some = noDoubts()
  if (count > 0) doubt(some, "RequestTimeout", count)
  return some
}

/** A ledger with one message that was acknowledged, with so many attempts in doubt before. */
const acknowledged = (count = 0) => {
  const ledger = makeLedger(10)
  ledger.acknowledged(ledger.next(), place, doubts(count))
  return ledger
}

describe("the ledger of the long runs", () => {
  it("is content with a message that lies where its result says", () => {
    const ledger = acknowledged()
    assert.isTrue(ledger.copy(copy))
    assert.deepStrictEqual(ledger.findings().violations, [])
    assert.deepInclude(ledger.findings(), { stored: 1, duplicated: 0, extraCopies: 0 })
  })

  it("misses an acknowledged message, and one that lies elsewhere or under another id", () => {
    assert.match(acknowledged().findings().violations.join(), /acknowledged and is not at a:1 offset 7/)
    for (const wrong of [
      { ...copy, offset: 8 },
      { ...copy, queueId: 2 },
      { ...copy, broker: "b" }
    ]) {
      const ledger = acknowledged()
      ledger.copy(wrong)
      assert.match(ledger.findings().violations.join(), /acknowledged and is not at/)
    }
    const ledger = acknowledged()
    ledger.copy({ ...copy, msgId: "other" })
    assert.match(ledger.findings().violations.join(), /not the one of its result/)
  })

  it("takes as many copies as attempts are in doubt, and says why there are more than one", () => {
    for (const [inDoubt, copies, holds] of [
      [0, 2, false],
      [1, 2, true],
      [1, 3, false],
      [2, 3, true]
    ] as const) {
      const ledger = acknowledged(inDoubt)
      for (let i = 0; i < copies; i++) ledger.copy({ ...copy, offset: 7 + i })
      const { explained, extraCopies, violationCount } = ledger.findings()
      assert.strictEqual(violationCount === 0, holds, `${inDoubt} in doubt, ${copies} copies`)
      assert.strictEqual(extraCopies, copies - 1)
      if (inDoubt > 0) assert.deepStrictEqual([...explained], [["RequestTimeout", copies - 1]])
    }
  })

  it("takes no copy of what was not sent or refused", () => {
    for (const state of ["notSent", "rejected"] as const) {
      const ledger = makeLedger(1)
      ledger.ended(ledger.next(), state, doubts(1))
      ledger.copy(copy)
      assert.match(ledger.findings().violations.join(), /stored 1 times, 0 to 0/)
    }
  })

  it("takes up to as many copies of an unknown one as it was attempted", () => {
    for (const [copies, holds] of [
      [0, true],
      [2, true],
      [3, false]
    ] as const) {
      const ledger = makeLedger(1)
      ledger.ended(ledger.next(), "unknown", doubts(2))
      for (let i = 0; i < copies; i++) ledger.copy(copy)
      assert.strictEqual(ledger.findings().violationCount === 0, holds)
    }
  })

  it("knows a copy too many, a send that never ended and one that ended twice", () => {
    const ledger = acknowledged()
    ledger.copy(copy)
    ledger.copy({ ...copy, n: 5 })
    ledger.ended(0, "unknown", doubts(1))
    const open = ledger.next()
    assert.isFalse(ledger.copy({ ...copy, n: open, offset: 8 }), "told again when its send has ended")
    const text = ledger.findings().violations.join()
    assert.match(text, /nobody sent: 5/)
    assert.match(text, /0 ended a second time/)
    assert.match(text, /1 never ended/)
  })

  it("knows a message by its body, and one that was changed by none", () => {
    for (const n of [0, 1, 199, 4_000_000_000]) {
      const body = bodyOf(n)
      assert.strictEqual(numberOf(body), n)
      body[body.length - 1] = (body[body.length - 1] ?? 0) ^ 1
      assert.isUndefined(numberOf(body))
    }
    assert.isUndefined(numberOf(new Uint8Array(3)))
  })
})
