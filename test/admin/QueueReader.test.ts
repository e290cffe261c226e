import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { PullResult } from "../../src/admin/Messages.ts"
import { type QueueRange, readInOrder, type ReadMessage } from "../../src/admin/QueueReader.ts"
import { AdminError } from "../../src/admin/AdminError.ts"

const queue = { topic: "orders", brokerName: "broker-a", queueId: 0 }

/** A broker that answers a pull from an offset so. */
const answering = (answer: (offset: number, asked: number) => Partial<PullResult>) => {
  let asked = 0
  return {
    asked: () => asked,
    pull: (_: unknown, offset: number) =>
      Effect.sync((): PullResult => ({
        status: "NO_MATCHED_MSG",
        nextBeginOffset: offset,
        minOffset: 0,
        maxOffset: 1_000,
        messages: [],
        ...answer(offset, asked++)
      }))
  }
}

/** The offsets that are read of a queue, `to` without an end unless it is given. */
const read = (broker: ReturnType<typeof answering>, range: Partial<QueueRange> = {}, wanted = 1_000_000) =>
  Effect.gen(function* () {
    const offsets: Array<number> = []
    yield* readInOrder(broker, [{ queue, from: 0, to: Infinity, ...range }], wanted, ({ message: one }: ReadMessage) =>
      Effect.sync(() => offsets.push(one.queueOffset) < wanted)
    )
    return offsets
  })

describe("reading of queues", () => {
  it.effect("A24: a broker that has no message and always leads on by one: the reader gives up and says where", () =>
    Effect.gen(function* () {
      const broker = answering((offset) => ({ nextBeginOffset: offset + 1 }))
      const error = yield* Effect.flip(read(broker))
      assert.instanceOf(error, AdminError)
      assert.deepInclude(error.reason, { _tag: "UnreadableAnswer", request: "PULL_MESSAGE" })
      assert.include(error.message, "100 answers in a row had no message and led on, the last to offset 100")
      assert.strictEqual(broker.asked(), 100)
    })
  )

  it.effect("A24: one that leads back, to where it was asked, or to beyond the end: the queue ends there", () =>
    Effect.gen(function* () {
      for (const nextBeginOffset of [0, 5, 7, -1, -9_007_199_254_740_991, Number.MAX_SAFE_INTEGER]) {
        const broker = answering(() => ({ nextBeginOffset, status: "OFFSET_ILLEGAL" }))
        assert.deepStrictEqual(yield* read(broker, { from: 7, to: 100 }), [])
        assert.strictEqual(broker.asked(), 1)
      }
    })
  )
})
