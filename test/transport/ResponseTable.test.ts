import { assert, describe, it } from "@effect/vitest"
import { makeCounters } from "../../src/transport/Counters.ts"
import { makeResponseTable, Pending } from "../../src/transport/ResponseTable.ts"
import type { PendingCall } from "../../src/transport/ResponseTable.ts"

const pending = (): PendingCall =>
  new Pending(
    { code: 1, extFields: undefined },
    1,
    0,
    0,
    true,
    () => {},
    false,
    () => {}
  )

describe("ResponseTable", () => {
  it("numbers count up from 0 and an answer finds its request once", () => {
    const counters = makeCounters()
    const table = makeResponseTable(counters)
    const [a, b] = [pending(), pending()]
    table.add(a)
    table.add(b)
    assert.deepStrictEqual([a.opaque, b.opaque, table.size()], [0, 1, 2])
    assert.strictEqual(table.answered(1), b)
    assert.strictEqual(table.answered(0), a)
    assert.strictEqual(table.answered(0), undefined)
    assert.deepStrictEqual([counters.duplicate, counters.late, counters.unknownResponse], [1, 0, 0])
  })

  it("C13: after the largest number it begins again at 0 and skips numbers that are taken", () => {
    const table = makeResponseTable(makeCounters(), 7)
    const all = Array.from({ length: 8 }, pending)
    for (const each of all) table.add(each)
    for (const opaque of [0, 1, 3, 6]) table.answered(opaque)
    const next = Array.from({ length: 4 }, pending)
    for (const each of next) table.add(each)
    assert.deepStrictEqual(
      next.map((each) => each.opaque),
      [0, 1, 3, 6]
    )
    assert.strictEqual(table.answered(2), all[2])
    assert.strictEqual(table.answered(3), next[2])
  })

  it("C13: numbers stay 32-bit and never negative at the real end", () => {
    const table = makeResponseTable(makeCounters(), undefined, 0x7fff_fffd)
    const all = Array.from({ length: 6 }, pending)
    for (const each of all.slice(0, 4)) table.add(each)
    // Once round, with 0 and the largest number still pending.
    for (const opaque of [0x7fff_fffd, 0x7fff_fffe]) assert.strictEqual(table.answered(opaque)?.opaque, opaque)
    for (const each of all.slice(4)) table.add(each)
    assert.deepStrictEqual(
      all.map(({ opaque }) => opaque),
      [0x7fff_fffd, 0x7fff_fffe, 0x7fff_ffff, 0, 1, 2]
    )
    for (const { opaque } of all) assert.strictEqual(opaque, opaque | 0)
    assert.strictEqual(table.answered(0x7fff_ffff), all[2])
    assert.strictEqual(table.answered(0), all[3])
  })

  it("C9, C10, C11: tells late, duplicate and senseless answers apart", () => {
    const counters = makeCounters()
    const table = makeResponseTable(counters)
    const [a, b] = [pending(), pending()]
    table.add(a)
    table.add(b)
    table.abandon(a)
    table.answered(a.opaque)
    assert.deepStrictEqual([counters.late, counters.duplicate, counters.unknownResponse], [1, 0, 0])
    table.answered(a.opaque)
    assert.deepStrictEqual([counters.late, counters.duplicate, counters.unknownResponse], [1, 1, 0])
    for (const opaque of [2, 100, -1, 0x7fff_ffff]) table.answered(opaque)
    assert.deepStrictEqual([counters.late, counters.duplicate, counters.unknownResponse], [1, 1, 4])
    assert.strictEqual(table.answered(1), b)
  })

  it("has the oldest among those that are under way, wherever in its ring the next number falls", () => {
    const table = makeResponseTable(makeCounters())
    const oldest = pending()
    table.add(oldest)
    for (let n = 0; n < 3_000; n++) {
      const other = pending()
      table.add(other)
      table.answered(other.opaque)
      assert.deepStrictEqual(table.values(), [oldest])
    }
    assert.deepStrictEqual(table.takeAll(), [oldest])
  })

  it("finds every request, however many there are and however late its answer", () => {
    const counters = makeCounters()
    const table = makeResponseTable(counters, 999)
    const slow = Array.from({ length: 300 }, pending)
    for (const each of slow) table.add(each)
    for (let i = 0; i < 5_000; i++) {
      const quick = pending()
      table.add(quick)
      assert.strictEqual(table.answered(quick.opaque), quick)
    }
    assert.deepStrictEqual([table.size(), [...table.values()].length], [300, 300])
    assert.strictEqual(new Set(slow.map((each) => each.opaque)).size, 300)
    for (const each of slow) assert.strictEqual(table.answered(each.opaque), each)
    assert.strictEqual(table.size(), 0)
    assert.deepStrictEqual([counters.duplicate, counters.late, counters.unknownResponse], [0, 0, 0])
  })

  it("takeAll empties the table before anybody runs on", () => {
    const table = makeResponseTable(makeCounters())
    const [a, b] = [pending(), pending()]
    table.add(a)
    const all = table.takeAll()
    table.add(b)
    assert.deepStrictEqual(all, [a])
    assert.deepStrictEqual([...table.values()], [b])
  })
})
