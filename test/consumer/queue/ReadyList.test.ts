import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { ReadyList } from "../../../src/consumer/queue/ReadyList.ts"

const Step = Schema.Struct({
  queue: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 })),
  count: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 })),
  what: Schema.Literals(["offer", "take", "takeOf", "takeMany", "drop", "hold", "free"])
})

describe("ReadyList", () => {
  it.prop("gives each message once, in the order of its queue", [Schema.Array(Step)], ([steps]) => {
    const list = new ReadyList<{ readonly queue: number; readonly n: number }>()
    const waiting = new Map<number, Array<number>>()
    const given = (messages: ReadonlyArray<{ readonly queue: number; readonly n: number }>) => {
      for (const { n, queue } of messages) assert.strictEqual(waiting.get(queue)?.shift(), n)
    }
    const held = new Set<number>()
    const open = () => [...waiting].flatMap(([queue, all]) => (held.has(queue) ? [] : all)).length
    let n = 0
    for (const { count, queue, what } of steps) {
      if (what === "offer") {
        const messages = Array.from({ length: count }, () => ({ queue, n: n++ }))
        waiting.set(queue, [...(waiting.get(queue) ?? []), ...messages.map((message) => message.n)])
        list.offer(queue, messages)
      } else if (what === "drop") {
        assert.strictEqual(list.drop(queue), waiting.get(queue)?.length ?? 0)
        waiting.delete(queue)
        held.delete(queue)
      } else if (what === "hold" || what === "free") {
        list.hold(queue, what === "hold")
        if (what === "hold") held.add(queue)
        else held.delete(queue)
      } else if (what === "takeOf") {
        const message = list.takeOf(queue)
        assert.strictEqual(message === undefined, (waiting.get(queue) ?? []).length === 0)
        if (message !== undefined) given([message])
      } else if (what === "take") {
        const message = list.take()
        assert.strictEqual(message === undefined, open() === 0)
        if (message !== undefined) {
          assert.isFalse(held.has(message.queue))
          given([message])
        }
      } else {
        const messages = list.takeMany(count)
        assert.strictEqual(messages.length === 0, count === 0 || open() === 0)
        assert.isAtMost(messages.length, count)
        assert.isAtMost(new Set(messages.map((message) => message.queue)).size, 1)
        given(messages)
      }
      assert.strictEqual(list.size, [...waiting.values()].flat().length)
    }
  })

  it("gives every queue its turn, so that a backlog starves nobody", () => {
    const list = new ReadyList<string>()
    list.offer(
      "a",
      Array.from({ length: 100 }, () => "a")
    )
    list.offer("b", ["b", "b"])
    list.offer("c", ["c"])
    assert.deepStrictEqual(
      Array.from({ length: 6 }, () => list.take() ?? "").toSorted((a, b) => (a < b ? -1 : 1)),
      ["a", "a", "a", "b", "b", "c"]
    )
  })

  it("gives no turn to a queue that is freed and has nothing", () => {
    const list = new ReadyList<number>()
    list.hold("empty", true)
    list.hold("empty", false)
    list.offer("full", [1, 2, 3])
    assert.strictEqual(list.waitingInTurn, 3)
    assert.deepStrictEqual(list.takeMany(2), [1, 2])
  })
})
