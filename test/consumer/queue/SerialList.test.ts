import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { SerialList } from "../../../src/consumer/queue/SerialList.ts"

const Step = Schema.Struct({
  lane: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 })),
  count: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4 })),
  what: Schema.Literals(["offer", "take", "take", "end", "putBack", "drop", "close", "open"])
})

interface Message {
  readonly lane: number
  readonly n: number
}

describe("SerialList", () => {
  it.prop(
    "hands out one message of a lane at a time, in order, none of a closed one, and every one that may be taken",
    [Schema.Array(Step)],
    ([steps]) => {
      const closed = new Set<number>()
      const list = new SerialList<Message>(
        ({ lane }) => lane,
        ({ lane }) => !closed.has(lane)
      )
      const waiting = new Map<number, Array<Message>>([0, 1, 2, 3].map((lane) => [lane, []]))
      const busy = new Map<number, Message>()
      const of = (lane: number) => waiting.get(lane) ?? []
      let n = 0
      for (const { count, lane, what } of steps) {
        if (what === "offer") {
          const more = Array.from({ length: count }, (): Message => ({ lane, n: n++ }))
          list.offer(more)
          of(lane).push(...more)
        } else if (what === "take") {
          const message = list.take()
          if (message === undefined) {
            for (const [one, left] of waiting) assert.isTrue(left.length === 0 || busy.has(one) || closed.has(one))
            continue
          }
          assert.isFalse(busy.has(message.lane))
          assert.isFalse(closed.has(message.lane))
          assert.strictEqual(of(message.lane).shift(), message)
          busy.set(message.lane, message)
        } else if (what === "close") closed.add(lane)
        else if (what === "open") {
          closed.delete(lane)
          list.open(lane)
        } else if (what === "drop") {
          assert.strictEqual(
            list.drop((message) => message.lane === lane),
            of(lane).length
          )
          waiting.set(lane, [])
        } else {
          const message = busy.get(lane)
          if (message === undefined) continue
          if (what === "putBack") {
            list.putBack(message, [message])
            of(lane).unshift(message)
          }
          list.end(message)
          list.end(message)
          busy.delete(lane)
        }
        assert.strictEqual(
          list.size,
          [...waiting.values()].reduce((sum, left) => sum + left.length, 0)
        )
      }
    }
  )

  it("a lane that is read for long keeps nothing of what was read, and lanes take turns", () => {
    const list = new SerialList<Message>(({ lane }) => lane)
    const all = Array.from({ length: 3_000 }, (_, n): Message => ({ lane: 0, n }))
    list.offer(all)
    list.offer([
      { lane: 1, n: 0 },
      { lane: 1, n: 1 }
    ])
    const order: Array<number> = []
    for (let next = list.take(); next !== undefined; next = list.take()) {
      order.push(next.lane)
      list.end(next)
    }
    assert.deepStrictEqual(order.slice(0, 5), [0, 1, 0, 1, 0])
    assert.strictEqual(order.length, 3_002)
    assert.strictEqual(list.size, 0)
  })
})
