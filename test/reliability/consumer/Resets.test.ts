/** A group that is reset while its members run. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { MQVersion } from "../../../src/protocol/MQVersion.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import * as ResetOffset from "../../../src/protocol/request/ResetOffset.ts"
import { brokerAddress, rawClient } from "../../embedded/support.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { advance, commitsOf, consumerRow, countersOf, GROUP, joining, numbers, shared } from "./rig.ts"

/** An administrator resets the group, as `mqadmin resetOffsetByTime` does. */
const reset = Effect.fnUntraced(function* (timestamp: number, queueId?: number, offset?: number) {
  const client = yield* rawClient()
  const answer = yield* client.call(
    yield* brokerAddress(),
    ResetOffset.request({ topic: "orders", group: GROUP, timestamp, isForce: true, queueId, offset })
  )
  assert.strictEqual(answer.code, 0, answer.remark)
})

/**
 * The offsets of a queue that were written from where it was reset to on. A broker of 5.x has that one itself, so that who
 * takes the queue then need not write it.
 */
const writtenFrom = (queueId: number, from: number) =>
  Effect.map(commitsOf(queueId), (all) => {
    const offsets = all.map(({ offset }) => offset)
    return offsets.slice(Math.max(0, offsets.lastIndexOf(from)))
  })

for (const version of [MQVersion.V5_5_0, MQVersion.V4_9_7]) {
  describe(`as ${version}`, () => {
    for (const [name, to] of [
      ["earlier", 0],
      ["later", -1]
    ] as const) {
      it.effect(
        `C-42: a reset to ${name}, with two members and handlers that run: read on there, nothing old written`,
        () =>
          consumerRow({ version, closeMillis: 5_000 }, (rig) =>
            Effect.gen(function* () {
              yield* advance(1_000)
              let slow = 0
              const handler = () => (slow > 0 ? Effect.sleep(slow) : Effect.void)
              const first = yield* rig.join("first", handler, { concurrency: 2 })
              const second = yield* joining(rig, "second", handler, { concurrency: 2 })
              yield* rig.waitFor("shared", shared([first, second], 4))
              yield* rig.send(numbers(40))
              yield* rig.waitFor("delivered", () => rig.delivered.length >= 40)
              yield* advance(11_000)
              slow = 300
              yield* rig.send(numbers(80, 40))
              yield* rig.waitFor("some of it", () => rig.delivered.length >= 50)
              const before = rig.delivered.length
              yield* reset(to)
              yield* rig.waitFor(
                "all queues were told",
                Effect.map(Effect.forEach([first, second], countersOf), (all) => {
                  const count = all.reduce((sum, { resets }) => sum + resets, 0)
                  return count === 4
                })
              )
              slow = 0
              yield* rig.send(numbers(4, 120))
              yield* rig.waitFor("what came then", () =>
                numbers(4, 120).every((text) => rig.delivered.some((one) => one.text === text))
              )
              yield* advance(11_000)
              const after = rig.delivered.slice(before).map(({ text }) => text)
              if (to === 0) {
                // Everything is read from the beginning, the first forty a second time.
                assert.includeMembers(after, [...numbers(124)])
                for (const text of numbers(40)) assert.strictEqual(rig.timesOf(text), 2, text)
              } else {
                assert.isAtMost(rig.delivered.length, 110, "what was waiting is skipped")
              }
              for (const queueId of [0, 1, 2, 3]) {
                const written = yield* writtenFrom(queueId, to === 0 ? 0 : 30)
                assert.deepStrictEqual(
                  written,
                  written.toSorted((a, b) => a - b),
                  `queue ${queueId}`
                )
                assert.strictEqual(written.at(-1), 31)
              }
              assert.deepStrictEqual(
                (yield* Effect.forEach([first, second], countersOf)).map(({ failures, offsetsMoved }) => [
                  failures,
                  offsetsMoved
                ]),
                [
                  [0, 0],
                  [0, 0]
                ]
              )
            })
          )
      )
    }

    it.effect("C-42: a reset while the queues change hands is not lost, and nobody writes what was before", () =>
      consumerRow({ version, queues: 2, closeMillis: 5_000 }, (rig) =>
        Effect.gen(function* () {
          yield* advance(1_000)
          let slow = 0
          const handler = () => (slow > 0 ? Effect.sleep(slow) : Effect.void)
          const first = yield* rig.join("first", handler, { concurrency: 2, revokeDrain: "1 second" })
          yield* rig.send(numbers(20))
          yield* rig.waitFor("delivered", () => rig.delivered.length === 20)
          yield* advance(11_000)
          slow = 5_000
          yield* rig.send(numbers(4, 20))
          yield* rig.waitFor("two run", () => rig.delivered.length === 22)
          const second = yield* Effect.forkChild(
            joining(rig, "second", () => Effect.void),
            { startImmediately: true }
          )
          const { traffic } = yield* EmbeddedCluster
          // The old owner has given a queue up, and what runs has its second.
          yield* rig.waitFor(
            "the queue is on its way",
            Effect.map(
              first.consumer.assignment,
              (queues) => queues.filter(({ topic }) => topic === "orders").length === 1
            )
          )
          yield* traffic.clear
          slow = 0
          yield* reset(0)
          yield* rig.waitFor("it has joined", () => second.pollUnsafe() !== undefined)
          yield* rig.waitFor(
            "all from the beginning",
            () => numbers(24).every((text) => rig.timesOf(text) >= (Number(text) < 20 ? 2 : 1)),
            60_000
          )
          yield* advance(11_000)
          for (const queueId of [0, 1]) {
            const written = yield* writtenFrom(queueId, 0)
            assert.deepStrictEqual(
              written,
              written.toSorted((a, b) => a - b),
              `queue ${queueId}`
            )
            assert.strictEqual(written.at(-1), 12)
          }
        })
      )
    )
  })
}

describe("one queue", () => {
  it.effect("C-42: is reset to an offset, and the others go on as they are", () =>
    consumerRow({ queues: 2 }, (rig) =>
      Effect.gen(function* () {
        const first = yield* rig.join("first")
        yield* rig.send(numbers(10), 0)
        yield* rig.send(numbers(10, 10), 1)
        yield* rig.waitFor("delivered", () => rig.delivered.length === 20)
        yield* advance(6_000)
        yield* reset(-1, 1, 7)
        yield* rig.waitFor("three again", () => rig.delivered.length === 23, 20_000)
        yield* advance(20_000)
        assert.deepStrictEqual(
          rig.delivered.slice(20).map(({ text }) => text),
          ["17", "18", "19"]
        )
        const { queues } = yield* first.consumer.state
        assert.deepStrictEqual(
          queues.filter(({ queue }) => queue.topic === "orders").map(({ lastMove }) => lastMove?.to),
          [undefined, 7]
        )
        const { traffic } = yield* EmbeddedCluster
        assert.isAbove((yield* traffic.ofCode(RequestCode.PULL_MESSAGE)).length, 0)
      })
    )
  )
})
