import { assert, describe, it } from "@effect/vitest"
import * as OutputBuffer from "../../src/protocol/OutputBuffer.ts"

const write = (out: OutputBuffer.OutputBuffer, bytes: Uint8Array): void => {
  out.reserve(bytes.length)
  out.bytes.set(bytes, out.end)
  out.end += bytes.length
}

describe("OutputBuffer", () => {
  it("hands out what was written since the last take, in order", () => {
    const out = OutputBuffer.make(4)
    const expected: Array<number> = []
    const taken: Array<Uint8Array> = []
    for (let i = 0; i < 2000; i++) {
      const bytes = Uint8Array.from({ length: (i * 37) % 211 }, (_, j) => (i + j) % 256)
      write(out, bytes)
      expected.push(...bytes)
      if (i % 7 === 0) taken.push(...out.take())
    }
    taken.push(...out.take())
    // Compared at the end: a later write must not have changed an earlier take.
    assert.deepEqual(Buffer.concat(taken), Buffer.from(expected))
    assert.strictEqual(out.length, 0)
    assert.deepStrictEqual(out.take(), [])
  })

  it("hands out what was lent where it lies, in its place, and writes on behind it", () => {
    const out = OutputBuffer.make(4)
    const lent = new Uint8Array(OutputBuffer.LENT_BYTES).fill(7)
    const expected: Array<Uint8Array> = []
    const taken: Array<Uint8Array> = []
    for (let i = 0; i < 200; i++) {
      const bytes = Uint8Array.from({ length: (i * 37) % 211 }, (_, j) => (i + j) % 256)
      write(out, bytes)
      expected.push(bytes)
      if (i % 3 === 0) {
        out.lend(lent)
        expected.push(lent)
      }
      assert.strictEqual(
        out.length + taken.reduce((sum, { length }) => sum + length, 0),
        expected.reduce((sum, { length }) => sum + length, 0)
      )
      // What is lent waits too: nothing may be written over.
      out.reuse()
      if (i % 7 === 0) taken.push(...out.take())
    }
    taken.push(...out.take())
    assert.deepEqual(Buffer.concat(taken), Buffer.concat(expected))
    assert.strictEqual(taken.filter((one) => one === lent).length, 67)
    assert.strictEqual(out.length, 0)
  })

  it("moves pending bytes a bounded number of times", () => {
    const out = OutputBuffer.make(1)
    const start = performance.now()
    const bytes = new Uint8Array(100)
    for (let i = 0; i < 300_000; i++) write(out, bytes)
    assert.strictEqual(out.length, 30_000_000)
    assert.isBelow(performance.now() - start, 5000)
  })
})
