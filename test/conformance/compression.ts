/** Packed bodies, in each way that RocketMQ knows. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as Message from "../../src/message/Message.ts"
import * as Compression from "../../src/protocol/Compression.ts"
import { Observer } from "./Observer.ts"
import { createTopic, type Methods, startProducer, withManager } from "./support.ts"

const sizes = [1, 4_095, 4_096, 100_000, 4_000_000]

export const tests = (test: Methods): void => {
  test.effect.each(["ZLIB", "ZSTD", "LZ4"] as const)("%s: flagged, stored packed, and the same when unpacked", (type) =>
    Effect.gen(function* () {
      const observer = yield* Observer
      const topic = yield* createTopic("packed", { queues: 1 })
      const producer = yield* startProducer({ compressType: type })
      for (const size of sizes) {
        const body = Buffer.from("all work and no play ".repeat(Math.ceil(size / 21))).subarray(0, size)
        const { queue, queueOffset } = yield* producer.send(Message.make({ topic, body }))
        const stored = yield* observer.messageAt(queue, queueOffset)
        assert.strictEqual(stored.sysFlag, size < 4_096 ? 0 : Compression.sysFlagOf(type))
        if (size >= 4_096) assert.isBelow(stored.body.length, size)
        const unpacked = yield* Compression.decompressEffect(stored.body, stored.sysFlag)
        assert.isTrue(Buffer.from(unpacked).equals(body), `a body of ${size} bytes`)
      }
    }).pipe(withManager)
  )
}
