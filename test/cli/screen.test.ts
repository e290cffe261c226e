import { assert, describe, it } from "@effect/vitest"
import { fit, palette, wantsColor } from "../../src/cli/Screen.ts"

describe("colours", () => {
  it("appear on a terminal only, and not when NO_COLOR is set", () => {
    const decisions: ReadonlyArray<readonly [isTerminal: boolean, env: Record<string, string>, color: boolean]> = [
      [true, {}, true],
      [true, { TERM: "xterm-256color" }, true],
      // Set and empty is as good as not set, says no-color.org.
      [true, { NO_COLOR: "" }, true],
      [true, { NO_COLOR: "1" }, false],
      [true, { NO_COLOR: "0" }, false],
      [true, { TERM: "dumb" }, false],
      [false, {}, false],
      [false, { TERM: "xterm" }, false]
    ]
    for (const [isTerminal, env, color] of decisions) {
      assert.strictEqual(wantsColor(isTerminal, env), color, JSON.stringify([isTerminal, env]))
    }
  })

  it("are sequences around a text, or nothing", () => {
    const on = palette({ isTerminal: true, color: true })
    const off = palette({ isTerminal: true, color: false })
    assert.strictEqual(on.bad("no"), "\u001b[31mno\u001b[0m")
    assert.strictEqual(on.bad(""), "")
    assert.strictEqual(off.bad("no"), "no")
  })
})

describe("a line that the next one replaces", () => {
  it("fits the terminal: as it is, or its beginning without colours", () => {
    const { accent } = palette({ isTerminal: true, color: true })
    const line = `12 consumed, ${accent("3")}/s, 4 behind`
    assert.strictEqual(fit(line, 80), line)
    assert.strictEqual(fit(line, 27), line)
    assert.strictEqual(fit(line, 26), "12 consumed, 3/s, 4 behin")
    assert.strictEqual(fit(line, 15), "12 consumed, 3")
    assert.strictEqual(fit(line, 0), "")
  })
})
