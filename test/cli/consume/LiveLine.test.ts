import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { stripVTControlCharacters } from "node:util"
import * as Stats from "../../../src/cli/consume/ConsumeStats.ts"
import { live } from "../../../src/cli/consume/LiveLine.ts"
import { palette, Screen } from "../../../src/cli/Screen.ts"
import { DefaultMQPushConsumer } from "../../../src/consumer/DefaultMQPushConsumer.ts"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import { MQClientManager } from "../../../src/client/MQClientManager.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"

/** A terminal of so many columns, or none, and what its line showed. */
const screen = (columns: number, isTerminal = true) => {
  const shown: Array<string | undefined> = []
  const output = { isTerminal, color: isTerminal, columns: undefined }
  return {
    shown,
    service: {
      stdout: output,
      stderr: output,
      columns,
      status: (line: string | undefined) => Effect.sync(() => void shown.push(line)),
      line: () => Effect.void
    }
  }
}

/** A consumer of two queues, with nothing in them. */
const idleConsumer = Effect.gen(function* () {
  const { namesrvAddr } = yield* EmbeddedCluster
  return yield* DefaultMQPushConsumer.make(
    { consumerGroup: "g", subscriptions: [Subscription.all("orders")], namesrvAddr },
    () => Effect.void
  )
})

/** The line that is shown while so many messages a second are consumed, each second. */
const shownAt = (columns: number, perSecond: ReadonlyArray<number>, isTerminal = true) =>
  Effect.gen(function* () {
    const consumer = yield* idleConsumer
    yield* consumer.start
    yield* TestClock.adjust(1_000)
    const stats = Stats.emptyStats()
    const { service, shown } = screen(columns, isTerminal)
    const running = yield* live({ stats, target: 5_000, state: consumer.state }, Effect.never).pipe(
      Effect.provideService(Screen, service),
      Effect.forkChild({ startImmediately: true })
    )
    const lines: Array<string | undefined> = []
    for (const rate of perSecond) {
      for (let step = 0; step < 10; step++) {
        yield* TestClock.adjust(100)
        stats.consumed += rate / 10
        if (rate === 0) stats.failed++
      }
      lines.push(shown.at(-1))
    }
    yield* Fiber.interrupt(running)
    yield* consumer.shutdown
    return { lines, shown }
  }).pipe(
    Effect.provide(MQClientManager.layer),
    Effect.provide(EmbeddedCluster.layerMemory({ topics: { orders: { readQueueNums: 2, writeQueueNums: 2 } } }))
  )

describe("the live line of consume", () => {
  it.effect("tells how many, how fast, how far behind and which share, and is gone at the end", () =>
    Effect.gen(function* () {
      const { lines, shown } = yield* shownAt(120, [100, 100, 100, 100, 100, 0, 0, 0, 0, 0])
      const plain = lines.map((line) => stripVTControlCharacters(line ?? ""))
      assert.match(plain[0] ?? "", /^\d+ \/ 5,000 consumed, \d+\/s, 0 behind, 2 queues, 1 member$/)
      assert.match(plain[4] ?? "", /^490 \/ 5,000 consumed, (?:9\d|100)\/s, /)
      assert.strictEqual(plain[9], "500 / 5,000 consumed, 0/s, 0 behind, 49 given back, 2 queues, 1 member")
      const { accent, warn } = palette({ isTerminal: true, color: true })
      assert.include(lines[9], `${accent("0")}/s, 0 behind, ${warn("49 given back")}`)
      assert.isUndefined(shown.at(-1))
    })
  )

  it.effect("has its beginning on a narrow terminal, and is not there where there is none", () =>
    Effect.gen(function* () {
      const narrow = yield* shownAt(24, [100])
      assert.match(narrow.lines[0] ?? "", /^\d+ \/ 5,000 consumed, \d*$/)
      assert.isTrue(narrow.shown.every((line) => line === undefined || line.length < 24))
      assert.deepStrictEqual((yield* shownAt(24, [100], false)).shown, [])
    })
  )
})
