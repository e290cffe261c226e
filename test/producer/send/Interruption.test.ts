import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, References } from "effect"
import * as Message from "../../../src/message/Message.ts"
import { onMemory, startProducer } from "../../support/rig.ts"

const topics = { orders: {} }

describe("a send that is interrupted", () => {
  it.effect("at whatever turn is counted no longer", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      const message = Message.make({ topic: "orders", body: "x" })
      for (let turns = 0; turns < 40; turns++) {
        const fiber = yield* producer
          .send(message)
          .pipe(Effect.provideService(References.MaxOpsBeforeYield, 3 + (turns % 4)), Effect.forkChild)
        for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
        assert.strictEqual((yield* producer.state).inFlight, 0)
      }
      yield* producer.send(message)
    }).pipe(onMemory({ topics }))
  )
})
