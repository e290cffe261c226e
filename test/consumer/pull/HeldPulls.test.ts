import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../../src/message/Message.ts"
import { DefaultMQProducer } from "../../../src/producer/DefaultMQProducer.ts"
import * as PullMessage from "../../../src/protocol/request/PullMessage.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { settle } from "../../support/rig.ts"
import { consume, rig, text } from "../support.ts"

const oneQueue = rig({ topics: { orders: { readQueueNums: 1, writeQueueNums: 1 } } })

const send = (tags: string, body: string = tags) =>
  Effect.flatMap(DefaultMQProducer, (producer) => producer.send(Message.make({ topic: "orders", tags, body })))

/** How many pulls of each queue the broker holds, the most first. */
const held = Effect.gen(function* () {
  const { traffic } = yield* EmbeddedCluster
  const unanswered = (yield* traffic.matching({ code: RequestCode.PULL_MESSAGE, topic: "orders" })).filter(
    ({ answer, extFields }) =>
      answer === undefined && (Number(extFields?.["sysFlag"]) & PullMessage.PullSysFlag.SUSPEND) !== 0
  )
  const byQueue = Map.groupBy(unanswered, ({ extFields }) => extFields?.["queueId"])
  return [...byQueue.values()].map(({ length }) => length).toSorted((a, b) => b - a)
})

describe("pulls that a broker holds", () => {
  it.effect("of one queue there is one, however often caughtUp asks beside it, and what comes is read at once", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const consumer = yield* consume((message) => Effect.sync(() => void seen.push(text(message))), {
        subscriptions: [Subscription.tags("orders", "wanted")]
      })
      for (let n = 0; n < 20; n++) {
        // It ends behind what the filter leaves out, which the held pull does not tell of.
        yield* send("other")
        yield* consumer.caughtUp()
        yield* settle
        assert.deepStrictEqual(yield* held, [1])
      }
      yield* send("wanted")
      yield* settle
      assert.deepStrictEqual(seen, ["wanted"])
      assert.deepStrictEqual(yield* held, [1])
      // The one that told of it was answered, and the next ones are held again for their time.
      const { traffic } = yield* EmbeddedCluster
      yield* traffic.clear
      yield* TestClock.adjust("61 seconds")
      const pulls = yield* traffic.matching({ code: RequestCode.PULL_MESSAGE, topic: "orders" })
      assert.isAtMost(pulls.length, 5)
      yield* send("wanted", "later")
      yield* settle
      assert.deepStrictEqual(seen, ["wanted", "later"])
    }).pipe(Effect.scoped, Effect.provide(oneQueue))
  )

  it.effect("of a queue that is given up and taken again there is one, and what comes is read at once", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const listener = (message: { readonly body: Uint8Array }) => Effect.sync(() => void seen.push(text(message)))
      const first = yield* consume(listener, { instanceName: "b" })
      for (let n = 0; n < 4; n++) {
        // It is the only queue, and goes to the member whose id comes first.
        const second = yield* Effect.forkChild(
          Effect.scoped(Effect.andThen(consume(listener, { instanceName: "a" }), Effect.sleep(10))),
          { startImmediately: true }
        )
        for (let step = 0; step < 40; step++) yield* TestClock.adjust(100)
        yield* Fiber.join(second)
        for (let step = 0; step < 15; step++) yield* TestClock.adjust(100)
        assert.strictEqual((yield* first.assignment).filter(({ topic }) => topic === "orders").length, 1)
        // Of each of the two members, of which one is gone.
        assert.isAtMost((yield* held)[0] ?? 0, 2)
      }
      yield* send("x")
      yield* settle
      assert.deepStrictEqual(seen, ["x"])
    }).pipe(Effect.scoped, Effect.provide(oneQueue))
  )

  it.effect("of a queue whose filter changes all the time there are two, and what comes is read within a second", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const consumer = yield* consume((message) => Effect.sync(() => void seen.push(text(message))))
      for (let n = 0; n < 20; n++) {
        yield* TestClock.adjust(10)
        yield* consumer.subscribe(Subscription.tags("orders", `tag${n}`))
        yield* settle
        assert.isAtMost((yield* held)[0] ?? 0, 2)
      }
      yield* send("tag3")
      yield* send("tag19")
      yield* TestClock.adjust("1 second")
      yield* settle
      assert.deepStrictEqual(seen, ["tag19"])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* held, [1])
    }).pipe(Effect.scoped, Effect.provide(oneQueue))
  )
})
