import { assert, describe, it } from "@effect/vitest"
import { TopicStats } from "../../../src/consumer/queue/TopicStats.ts"

describe("TopicStats", () => {
  it("tells the last minute, and the failures of the last hour", () => {
    const stats = new TopicStats(0)
    for (let second = 0; second < 60; second++) {
      stats.pulled(second * 1_000, 20, 2)
      stats.consumed(second * 1_000, 5, 1, second % 2)
    }
    const { consumeFailedMsgs, consumeFailedTPS, consumeOKTPS, consumeRT, pullRT, pullTPS } = stats.status(60_000)
    assert.deepStrictEqual([pullRT, consumeRT, consumeFailedMsgs], [20, 5, 30])
    assert.deepStrictEqual([pullTPS, consumeOKTPS, consumeFailedTPS], [2, 1, 0.5])

    const later = stats.status(600_000)
    assert.deepStrictEqual([later.pullTPS, later.consumeOKTPS, later.pullRT], [0, 0, 0])
    // How long a handler takes is told of the last hour when the last minute had none, as in Java.
    assert.deepStrictEqual([later.consumeRT, later.consumeFailedMsgs], [5, 30])
    assert.deepStrictEqual(stats.status(5 * 3_600_000), {
      pullRT: 0,
      pullTPS: 0,
      consumeRT: 0,
      consumeOKTPS: 0,
      consumeFailedTPS: 0,
      consumeFailedMsgs: 0
    })
  })

  it("counts what is younger than ten seconds as ten, and forgets slot by slot", () => {
    const stats = new TopicStats(1_000_003)
    stats.pulled(1_000_004, 1, 100)
    assert.strictEqual(stats.status(1_000_005).pullTPS, 10)
    stats.pulled(1_065_000, 1, 100)
    assert.isBelow(stats.status(1_065_000).pullTPS, 4)
    assert.strictEqual(stats.status(1_139_000).pullTPS, 0)
  })
})
