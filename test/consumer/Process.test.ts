import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Message from "../../src/message/Message.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import * as Observer from "../conformance/Observer.ts"
import { eventuallyThat } from "../conformance/support.ts"
import { memberProcess } from "../support/memberProcess.ts"
import { onTcp, startProducer } from "../support/rig.ts"

/** Sends texts, and starts a member in a process of its own; gives it when its handlers run. */
const atWork = Effect.fnUntraced(function* (texts: ReadonlyArray<string>, handlerMillis: number, drainMillis: number) {
  const { namesrvAddr } = yield* EmbeddedCluster
  const { send } = yield* startProducer()
  for (const body of texts) yield* send(Message.make({ topic: "orders", body }))
  const child = yield* memberProcess(namesrvAddr, "orders", "billing", handlerMillis, drainMillis)
  yield* eventuallyThat(
    Effect.sync(() => child.seen),
    (lines) => {
      // A start that is interrupted lets nothing end.
      assert.includeMembers([...lines], ["started", ...texts.map((text) => `begins ${text}`)])
    }
  )
  return child
})

/** How many messages the group has behind it, as the broker has it. */
const written = Effect.gen(function* () {
  const observer = yield* Observer.make((yield* EmbeddedCluster).namesrvAddr)
  const offsets = yield* Effect.forEach([0, 1, 2, 3], (id) =>
    observer.committed(MessageQueue.make("orders", "broker-a", id), "billing")
  )
  return offsets.reduce<number>((sum, offset) => sum + (offset ?? 0), 0)
})

describe("a process that consumes", () => {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143]
  ] as const) {
    it.live(`C-47: lets its handlers end on ${signal}, writes offsets, says good-bye, and exits with ${code}`, () =>
      Effect.gen(function* () {
        const { clients } = yield* EmbeddedCluster
        const child = yield* atWork(["a", "b"], 500, 60_000)
        yield* child.signal(signal)
        assert.strictEqual(yield* child.end, code)
        assert.sameMembers(child.seen.slice(-2), ["a", "b"])
        assert.strictEqual(yield* written, 2)
        assert.deepStrictEqual(
          (yield* clients).filter(({ group }) => group === "billing"),
          []
        )
      }).pipe(Effect.scoped, onTcp({ topics: { orders: {} } }))
    )

    it.live(`C-48: ends at once on a second ${signal}, whatever runs and however long it may drain`, () =>
      Effect.gen(function* () {
        const child = yield* atWork(["a"], 3_600_000, 3_600_000)
        // The first one begins the drain; one of the next finds it begun.
        while (child.isRunning()) {
          yield* child.signal(signal)
          yield* Effect.sleep(50)
        }
        assert.strictEqual(yield* child.end, code)
        assert.notInclude(child.seen, "a")
        assert.strictEqual(yield* written, 0)
      }).pipe(Effect.scoped, onTcp({ topics: { orders: {} } }))
    )
  }
})
