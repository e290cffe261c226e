import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Lease } from "../../../src/consumer/simple/Lease.ts"
import type { PopHandle } from "../../../src/protocol/PopHandle.ts"

const handleOf = (popTime: number): PopHandle => ({
  ckQueueOffset: 0,
  popTime,
  invisibleTime: 1_000,
  reviveQid: 0,
  retryFlag: "0",
  brokerName: "broker-a",
  queueId: 0,
  msgQueueOffset: 3
})

const Step = Schema.Union([
  Schema.TaggedStruct("Wait", { millis: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 700 })) }),
  Schema.TaggedStruct("Ack", { answered: Schema.Boolean }),
  Schema.TaggedStruct("Extend", {
    millis: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_500 })),
    answered: Schema.Boolean
  })
])

describe("Lease", () => {
  it.prop(
    "names the newest handle, nothing when it is over, and no extension once an acknowledgement left",
    { steps: Schema.Array(Step) },
    ({ steps }) => {
      const lease = new Lease(handleOf(0), 0, 1_000)
      let now = 0
      // The model: what a broker knows, told by what was sent.
      let newest = 0
      let until = 1_000
      let ackLeft = false
      let acked = false
      let lost = false
      for (const step of steps) {
        switch (step._tag) {
          case "Wait":
            now += step.millis
            break
          case "Ack": {
            const permission = lease.toAck(now)
            if (acked) assert.strictEqual(permission._tag, "AlreadyAcked")
            else if (now >= until) assert.strictEqual(permission._tag, "Expired")
            else {
              assert(permission._tag === "Granted")
              assert.strictEqual(permission.handle.popTime, newest)
              lease.ackSent()
              ackLeft = true
              if (!step.answered) break
              lease.acked()
              acked = true
            }
            break
          }
          default: {
            const permission = lease.toExtend(now)
            if (ackLeft) assert.strictEqual(permission._tag, "AlreadyAcked")
            else if (now >= until) assert.strictEqual(permission._tag, "Expired")
            else {
              assert(permission._tag === "Granted")
              assert.strictEqual(permission.handle.popTime, newest)
              if (!step.answered) {
                lease.extensionLost()
                lost = true
                break
              }
              newest++
              until = now + step.millis
              lease.extended(handleOf(newest), now, until)
              assert.strictEqual(lease.period, step.millis)
            }
          }
        }
        assert.strictEqual(lease.until, until)
        assert.strictEqual(lease.mayComeAgain, lost)
        assert.strictEqual(lease.isOver(now), now >= until)
      }
    }
  )
})
