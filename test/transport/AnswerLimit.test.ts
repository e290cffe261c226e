import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Logger } from "effect"
import { explain } from "../../src/explain/Explain.ts"
import { MAX_UNREAD_ANSWER_BYTES, makeAnswerLimit } from "../../src/transport/AnswerLimit.ts"
import { AnswersNotRead, ConnectionClosed } from "../../src/transport/RemotingError.ts"
import * as RemotingClient from "../support/remoting.ts"
import { makePeer, request, requestFrame, wires } from "./support.ts"

describe("the count of unread answers", () => {
  it("counts an answer until its hand-over was taken", () => {
    const limit = makeAnswerLimit(100)
    assert.isTrue(limit.add(0, 40))
    assert.isTrue(limit.add(0, 20))
    assert.isTrue(limit.add(1, 40))
    assert.strictEqual(limit.unread(), 100)
    limit.written(0)
    assert.strictEqual(limit.unread(), 40)
    assert.isTrue(limit.add(3, 60))
    assert.isFalse(limit.add(3, 1))
    limit.written(7)
    assert.strictEqual(limit.unread(), 0)
    assert.isTrue(limit.add(8, 100))
  })
})

for (const { layer, name } of wires) {
  describe(`answers that nobody reads, on ${name}`, () => {
    it.live("A20: a server that asks without end and does not read: the connection closes, and says why", () => {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push([message].flat().join(" ")))
      return Effect.gen(function* () {
        const peer = yield* makePeer({ reading: false })
        const client = yield* RemotingClient.make({})
        const waiting = yield* Effect.forkChild(client.invoke(peer.address, request(1), 60_000))
        const connection = yield* peer.accept
        const flood = Buffer.concat(Array.from({ length: 500 }, (_, n) => requestFrame(n, 40_000 + n)))
        // For as long as it is taken: it is the client that has to end this.
        yield* Effect.forkChild(Effect.ignore(Effect.forever(connection.write(flood))))
        const error = yield* Effect.flip(Fiber.join(waiting))
        if (!(error instanceof ConnectionClosed)) throw error
        const { cause } = error
        if (!(cause instanceof AnswersNotRead)) throw error
        assert.strictEqual(error.outcome, "unknown")
        assert.match(error.message, /sends requests and does not read the answers, of which \d+ bytes were waiting/)
        assert.isAbove(cause.unreadBytes, MAX_UNREAD_ANSWER_BYTES)
        assert.isBelow(cause.unreadBytes, MAX_UNREAD_ANSWER_BYTES + 1_000)
        assert.include(explain(cause).evidence, `address: ${peer.address}`)
        assert.deepStrictEqual(
          lines.filter((line) => line.startsWith("closed a connection")),
          [`closed a connection: ${cause.message}`]
        )
        const failures = client.connections().map(({ lastFailure }) => lastFailure ?? "")
        assert.isTrue(failures.every((failure) => failure.includes("does not read the answers")))
      }).pipe(Effect.scoped, Effect.provide([layer, Logger.layer([logger])]))
    })

    it.live("A20: one that reads them may ask as often as it likes", () =>
      Effect.gen(function* () {
        const peer = yield* makePeer()
        const client = yield* RemotingClient.make({})
        const waiting = yield* Effect.forkChild(client.invoke(peer.address, request(1), 60_000))
        const connection = yield* peer.accept
        const first = yield* connection.next
        for (let round = 0; round < 40; round++) {
          const flood = Array.from({ length: 1_000 }, (_, n) => requestFrame(n, 40_000 + n))
          yield* connection.write(...flood)
          assert.isTrue((yield* connection.take(1_000)).every(({ code }) => code === 3))
        }
        yield* connection.answer(first)
        assert.strictEqual((yield* Fiber.join(waiting)).code, 0)
        assert.isAbove(client.counters().bytesOut, MAX_UNREAD_ANSWER_BYTES)
      }).pipe(Effect.scoped, Effect.provide(layer))
    )
  })
}
