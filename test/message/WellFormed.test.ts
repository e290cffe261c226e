import { assert, describe, it } from "@effect/vitest"
import { illFormedAt } from "../../src/message/WellFormed.ts"

const EMOJI = "\u{1f600}"
/** What `slice` leaves of an emoji, from the front and from the back. */
const HALVES = [EMOJI.slice(0, 1), EMOJI.slice(1)]

describe("where a text is ill-formed", () => {
  it("is found in lists and objects, names included, and in no bytes", () => {
    for (const half of HALVES) {
      assert.strictEqual(illFormedAt(half), "")
      assert.strictEqual(illFormedAt(["a", { b: { c: `x${half}` } }]), "[1].b.c")
      assert.strictEqual(illFormedAt({ [half]: 1 }), "\ufffd")
    }
    for (const fine of [EMOJI, "", 7, null, undefined, Buffer.from([0xd8]), { a: [EMOJI], b: undefined }]) {
      assert.isUndefined(illFormedAt(fine))
    }
  })
})
