import { assert, describe, it } from "@effect/vitest"
import { lineCutter } from "../../../src/cli/send/SendSource.ts"

/** The lines of a text in which nothing is no line end but LF and CR LF. */
const plainly = (text: string) => {
  const lines = text.split("\n").map((line, i, all) => (i < all.length - 1 ? line.replace(/\r$/, "") : line))
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines
}

const cut = (text: string, size: number) => {
  const cutter = lineCutter()
  const bytes = Buffer.from(text, "latin1")
  const lines: Array<Uint8Array> = []
  for (let at = 0; at < bytes.length; at += size) lines.push(...cutter.push(bytes.subarray(at, at + size)))
  const last = cutter.end()
  return [...lines, ...(last === undefined ? [] : [last])].map((line) => Buffer.from(line).toString("latin1"))
}

describe("the lines of standard input", () => {
  it("are the same however they come in, and every byte stays what it was", () => {
    // All texts of these bytes up to a length, and all ways to cut them evenly.
    const alphabet = ["a", "\n", "\r", "\xff"]
    let texts = [""]
    for (let length = 1; length <= 6; length++) {
      texts = texts.flatMap((text) => alphabet.map((letter) => text + letter))
      for (const text of texts) {
        for (let size = 1; size <= length; size++)
          assert.deepStrictEqual(cut(text, size), plainly(text), JSON.stringify(text))
      }
    }
  })

  it("are cut in time that grows with the bytes alone", () => {
    const cutter = lineCutter()
    const chunk = new Uint8Array(1 << 10).fill(97)
    for (let i = 0; i < 20_000; i++) assert.lengthOf(cutter.push(chunk), 0)
    assert.strictEqual(cutter.held(), 20_000 << 10)
    assert.strictEqual(cutter.push(Uint8Array.of(10))[0]?.length, 20_000 << 10)
    assert.strictEqual(cutter.held(), 0)
  })
})
