import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import type { PushConsumerOptions } from "../../../src/consumer/ConsumerOptions.ts"
import * as MessageListener from "../../../src/consumer/MessageListener.ts"
import type { ReceivedMessage } from "../../../src/consumer/ReceivedMessage.ts"
import * as MessageQueue from "../../../src/message/MessageQueue.ts"
import * as LockBatch from "../../../src/protocol/request/LockBatch.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import * as RemotingClient from "../../support/remoting.ts"
import {
  advance,
  commitsOf,
  type ConsumerRig,
  consumerRow,
  GROUP,
  joining,
  type Member,
  numbers,
  ownedBy,
  problemsOf,
  settle,
  shared
} from "./rig.ts"

const LOCK = RequestCode.LOCK_BATCH_MQ
const UNLOCK = RequestCode.UNLOCK_BATCH_MQ

/** What handlers did, in order: a message begins, and ends when its handler ended by itself. */
interface Step {
  readonly member: string
  readonly what: "begin" | "end"
  readonly queueId: number
  readonly offset: number
  readonly at: number
}

/** Members that handle messages in order, each for as long as it is told. */
const orderlyMembers = (rig: ConsumerRig, millisOf: (message: ReceivedMessage) => number) => {
  const steps: Array<Step> = []
  const note = (member: string, what: Step["what"], { queue, queueOffset }: ReceivedMessage) =>
    Effect.map(Clock.currentTimeMillis, (at) => {
      steps.push({ member, what, queueId: queue.queueId, offset: queueOffset, at })
    })
  const start = (name: string, options: Partial<PushConsumerOptions> = {}) =>
    joining(
      rig,
      name,
      MessageListener.orderly<unknown, never>((message) =>
        note(name, "begin", message).pipe(
          Effect.andThen(Effect.sleep(millisOf(message))),
          Effect.andThen(note(name, "end", message))
        )
      ),
      options
    )
  return { steps, start, begun: () => steps.filter(({ what }) => what === "begin").map(({ offset }) => offset) }
}

/** No message begins before the one before it in its queue has ended at least once. */
const assertOrder = (steps: ReadonlyArray<Step>) => {
  const ended = new Map<number, number>()
  for (const { offset, queueId, what } of steps) {
    const last = ended.get(queueId) ?? -1
    if (what === "begin") assert.isAtMost(offset, last + 1, `queue ${queueId}: ${offset} after ${last}`)
    else if (offset > last) ended.set(queueId, offset)
  }
}

const stateOf = ({ consumer }: Member, queueId = 0) =>
  Effect.map(consumer.state, ({ queues }) =>
    queues.find(({ queue }) => queue.topic === "orders" && queue.queueId === queueId)
  )

/** Asks for the lock of queue 0 in the name of a client that is no member. */
const lockAs = (clientId: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { brokers } = yield* EmbeddedCluster
      const client = yield* RemotingClient.make({})
      const request = LockBatch.request(
        { clientId, consumerGroup: GROUP, mqSet: [MessageQueue.make("orders", "broker-a", 0)] },
        "lock"
      )
      const answer = LockBatch.decodeResponse(yield* client.invoke(brokers[0]?.address ?? "", request, 1_000))
      return "lockOKMQSet" in answer && answer.lockOKMQSet.length === 1
    })
  )

describe("order, and the locks that it hangs on", () => {
  it.effect("C-43: a lock is refused: it is asked for again after 500 ms, and nothing is pulled before", () =>
    consumerRow({ queues: 1 }, (rig) =>
      Effect.gen(function* () {
        const { faults, traffic } = yield* EmbeddedCluster
        yield* faults.add({ match: { code: LOCK }, actions: [FaultScript.lock.granted()], times: 4 })
        yield* rig.send(numbers(2))
        const { begun, start } = orderlyMembers(rig, () => 10)
        const first = yield* start("first")
        assert.strictEqual((yield* stateOf(first))?.phase, "locking")
        assert.strictEqual((yield* stateOf(first))?.lockedUntil, undefined)
        assert.deepStrictEqual(yield* traffic.matching({ code: RequestCode.PULL_MESSAGE, topic: "orders" }), [])
        // Two queues, of which one is the retry topic's, were refused twice each.
        yield* advance(1_100, 50)
        assert.deepStrictEqual(begun(), [0, 1])
        const now = yield* Clock.currentTimeMillis
        assert.isAbove((yield* stateOf(first))?.lockedUntil ?? 0, now + 20_000)
      })
    )
  )

  it.effect("C-43: the answer to a lock is lost: it is asked for again, and the lock is the asker's own", () =>
    consumerRow({ queues: 1 }, (rig) =>
      Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        yield* faults.add({ match: { code: LOCK }, actions: [FaultScript.dropResponse], times: 2 })
        yield* rig.send(numbers(2))
        const { begun, start } = orderlyMembers(rig, () => 10)
        const first = yield* start("first")
        yield* rig.waitFor("handled", () => begun().length === 2, 3_000)
        assert.deepStrictEqual(yield* problemsOf(first), [])
      })
    )
  )

  it.effect("C-43: a member dies with its lock: the next one has it 60 s after the last renewal, and not before", () =>
    consumerRow({ queues: 1 }, (rig) =>
      Effect.gen(function* () {
        const { start, steps } = orderlyMembers(rig, () => 100)
        const first = yield* start("a-first")
        yield* rig.send(numbers(2))
        yield* rig.waitFor("handled", () => steps.length === 4)
        // Its position is written.
        yield* advance(10_100)
        const second = yield* start("b-second")
        const killedAt = yield* Clock.currentTimeMillis
        const lockedUntil = (yield* stateOf(first))?.lockedUntil ?? 0
        yield* first.kill
        yield* rig.send(numbers(2, 2))
        yield* rig.waitFor(
          "taken",
          Effect.map(stateOf(second), (state) => state?.phase === "locking")
        )
        yield* rig.waitFor("handled", () => steps.length === 8, 62_000)
        const [begin] = steps.filter(({ member }) => member === "b-second")
        assert.isAtLeast(begin?.at ?? 0, lockedUntil + 30_000)
        assert.isAtMost(begin?.at ?? 0, lockedUntil + 31_500)
        assert.isAbove(begin?.at ?? 0, killedAt)
        assert.deepStrictEqual(
          steps.filter(({ what }) => what === "begin").map(({ offset }) => offset),
          [0, 1, 2, 3]
        )
      })
    )
  )

  it.effect("C-44: renewals fail during a long handler: its successors wait for a lock, and go on when it comes", () =>
    consumerRow({ queues: 1 }, (rig) =>
      Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        const { begun, start, steps } = orderlyMembers(rig, ({ queueOffset }) => (queueOffset === 0 ? 35_000 : 10))
        const first = yield* start("first")
        yield* faults.add({ match: { code: LOCK }, actions: [FaultScript.dropRequest] })
        yield* rig.send(numbers(3))
        yield* advance(45_000, 500)
        assert.deepStrictEqual(begun(), [0], "the lock is not believed any more")
        assert.strictEqual((yield* stateOf(first))?.phase, "locking")
        assert.isAbove((yield* problemsOf(first)).length, 0)
        assert.isTrue(
          (yield* commitsOf(0)).every(({ offset }) => offset === 0),
          "nor is anything written"
        )
        yield* faults.clear
        yield* advance(3_000)
        assert.deepStrictEqual(begun(), [0, 1, 2])
        assert.strictEqual(steps.length, 6)
        assert.deepStrictEqual(yield* problemsOf(first), [])
        yield* first.consumer.shutdown.pipe(Effect.andThen(settle))
        assert.strictEqual((yield* commitsOf(0)).at(-1)?.offset, 3)
      })
    )
  )

  it.effect("C-44: the lock went to another during a handler: its result does not count, and nothing overlaps", () =>
    consumerRow({ queues: 1 }, (rig) =>
      Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        const { begun, start, steps } = orderlyMembers(rig, ({ queueOffset }) => (queueOffset === 0 ? 70_000 : 10))
        const first = yield* start("first")
        yield* faults.add({ match: { code: LOCK }, actions: [FaultScript.dropRequest] })
        yield* rig.send(numbers(2))
        yield* advance(61_000, 500)
        yield* faults.clear
        assert.isTrue(yield* lockAs("another"), "60 s after the last renewal it is free")
        yield* advance(20_000, 500)
        assert.deepStrictEqual(begun(), [0], "interrupted, and nothing begins while another has the lock")
        assert.deepStrictEqual(
          steps.filter(({ what }) => what === "end"),
          []
        )
        assert.strictEqual((yield* stateOf(first))?.phase, "locking")
        assert.isTrue((yield* commitsOf(0)).every(({ offset }) => offset === 0))
        yield* rig.waitFor("its own again", () => begun().length === 2, 60_000)
        yield* rig.waitFor("all handled", () => steps.filter(({ what }) => what === "end").length === 2, 80_000)
        assert.deepStrictEqual(begun(), [0, 0, 1])
      })
    )
  )

  it.effect("C-45: members join, leave and die: no message of a queue begins before the one before it has ended", () =>
    consumerRow({ closeMillis: 5_000 }, (rig) =>
      Effect.gen(function* () {
        const { start, steps } = orderlyMembers(rig, ({ queueOffset }) => 50 + (queueOffset % 5) * 40)
        const first = yield* start("first")
        yield* rig.send(numbers(400))
        yield* advance(1_000)
        const second = yield* start("second")
        yield* rig.waitFor("two share", shared([first, second], 4), 10_000)
        yield* advance(2_000)
        const third = yield* start("third")
        yield* rig.waitFor("three share", shared([first, second, third], 4), 10_000)
        yield* first.leave
        yield* rig.waitFor("two are left", shared([second, third], 4), 10_000)
        yield* advance(2_000)
        yield* second.kill
        const ended = () => new Set(steps.filter(({ what }) => what === "end").map((s) => `${s.queueId}@${s.offset}`))
        yield* rig.waitFor("all has ended", () => ended().size === 400, 120_000)
        assertOrder(steps)
        assert.strictEqual((yield* ownedBy(third)).length, 4)
        // What the dead member had finished and not written comes again, and nothing else.
        const twice = steps.filter(({ what }) => what === "end").length - 400
        assert.isAtMost(twice, (2 * 5_000) / 50)
        const { traffic } = yield* EmbeddedCluster
        const unlocks = yield* traffic.matching({ code: UNLOCK })
        assert.isAbove(unlocks.length, 0)
        const updates = (yield* traffic.matching({ code: RequestCode.UPDATE_CONSUMER_OFFSET, topic: "orders" })).filter(
          ({ answer }) => answer?.code === 0
        )
        assert.isAbove(updates.length, 0)
      })
    )
  )

  it.effect("C-45: a queue is written, acknowledged, and then unlocked, and not while its handler runs", () =>
    consumerRow({ queues: 1, closeMillis: 3_000 }, (rig) =>
      Effect.gen(function* () {
        const { faults, traffic } = yield* EmbeddedCluster
        const { start } = orderlyMembers(rig, () => 2_000)
        const first = yield* start("b-first")
        yield* rig.send(numbers(3))
        yield* advance(2_500)
        yield* faults.add({
          match: { code: RequestCode.UPDATE_CONSUMER_OFFSET, topic: "orders" },
          actions: [FaultScript.delay(300)]
        })
        yield* traffic.clear
        // It is given to who comes first in the order of client ids.
        const second = yield* start("a-second")
        yield* rig.waitFor(
          "handed over",
          Effect.map(stateOf(second), (state) => state?.consumeOffset !== undefined)
        )
        const all = yield* traffic.all
        const of = (code: number) => all.filter((one) => one.code === code)
        const unlock = of(UNLOCK).at(-1)
        const writes = of(RequestCode.UPDATE_CONSUMER_OFFSET).filter(
          ({ extFields }) => extFields?.["topic"] === "orders"
        )
        const last = writes.filter(({ time }) => time <= (unlock?.time ?? 0)).at(-1)
        assert.strictEqual(last?.extFields?.["commitOffset"], "2", "the handler that ran has ended, and counts")
        assert.isAtLeast(unlock?.time ?? 0, (last?.time ?? 0) + 300, "acknowledged, then unlocked")
        assert.strictEqual((yield* stateOf(second))?.consumeOffset, 2)
        yield* faults.clear
        assert.strictEqual((yield* stateOf(first))?.phase, undefined)
      })
    )
  )
})
