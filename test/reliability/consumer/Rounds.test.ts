import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { MQAdmin } from "../../../src/admin/MQAdmin.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import { digestsOf, golden, groups, sharesOf } from "../../support/allocations.ts"
import {
  administering,
  advance,
  commitsOf,
  consumerRow,
  GROUP,
  isIdle,
  joining,
  type Member,
  numbers,
  ownedBy,
  problemsOf,
  settle,
  shared
} from "./rig.ts"

const PULL = RequestCode.PULL_MESSAGE

const ofOrders = ({ consumer }: Member) =>
  Effect.map(consumer.state, ({ queues }) => queues.filter(({ queue }) => queue.topic === "orders"))

/** What was delivered, by text, without repetition. */
const texts = (delivered: ReadonlyArray<{ readonly text: string }>) => new Set(delivered.map(({ text }) => text))

describe("members that are there in part, or never for long", () => {
  it.effect("C-11: heartbeats of a member arrive and its pulls do not: its queues say so, the others go on", () =>
    consumerRow({ brokerNames: ["broker-a", "broker-b"], queues: 2, closeMillis: 12_000 }, (rig) =>
      Effect.gen(function* () {
        const { faults, traffic } = yield* EmbeddedCluster
        const first = yield* rig.join("first")
        const second = yield* joining(rig, "second")
        yield* rig.waitFor("shares", shared([first, second], 4), 5_000)
        // By their names, the first has the queues of one broker and the second those of the other.
        assert.deepStrictEqual(yield* ownedBy(second), ["broker-b@0", "broker-b@1"])
        yield* rig.send(numbers(40))
        yield* rig.waitFor("all is delivered", () => texts(rig.delivered).size === 40)
        yield* faults.add({
          name: "deaf",
          match: { code: PULL, broker: "broker-b", topic: "orders" },
          actions: [FaultScript.dropRequest]
        })
        yield* traffic.clear
        // Those that are held are answered first.
        yield* rig.send(numbers(40, 40))
        yield* advance(95_000, 500)
        const beats = yield* traffic.matching({ code: RequestCode.HEART_BEAT, server: "broker-b" })
        assert.isAbove(beats.length, 4, "the broker hears of them")
        assert.isTrue(yield* shared([first, second], 4), "nobody gives up what it owns")
        for (const queue of yield* ofOrders(second)) {
          assert.strictEqual(queue.phase, "failing")
          assert.match(queue.lastFailure ?? "", /^No answer to PULL_MESSAGE/)
        }
        assert.strictEqual((yield* problemsOf(second)).length, 2)
        assert.isFalse(yield* second.consumer.healthy)
        assert.deepStrictEqual(yield* problemsOf(first), [])
        assert.deepStrictEqual(
          (yield* ofOrders(first)).map(({ lag, phase }) => [lag, phase]),
          [
            [0, "pulling"],
            [0, "pulling"]
          ]
        )
        // What it cannot know of the end of its queues, an administrator sees.
        const { queues } = yield* administering(Effect.flatMap(MQAdmin, (admin) => admin.examineConsumeStats(GROUP)))
        const behind = queues.filter(({ lag }) => lag > 0).map(({ queue }) => queue.brokerName)
        assert.deepStrictEqual([...new Set(behind)], ["broker-b"])
        yield* faults.remove("deaf")
        yield* rig.waitFor("all is delivered", () => texts(rig.delivered).size === 80, 65_000)
        assert.strictEqual(rig.delivered.length, 80)
        yield* rig.waitFor(
          "well again",
          Effect.map(problemsOf(second), (problems) => problems.length === 0)
        )
        for (const queue of yield* ofOrders(second)) assert.strictEqual(queue.lag, 0)
      })
    )
  )

  it.effect("C-12: ten members come, leave and die for five minutes: one owner each in the end, nothing is lost", () =>
    consumerRow({ queues: 16, closeMillis: 12_000 }, (rig) =>
      Effect.gen(function* () {
        const stays = yield* joining(rig, "stays", () => Effect.sleep(20))
        const places: Array<Member | undefined> = Array.from({ length: 9 }, () => undefined)
        let sent = 0
        // A place changes every two seconds: who is there leaves or is killed, and somebody new comes where nobody is.
        for (let at = 0; at < 300_000; at += 2_000) {
          const place = (at / 2_000) % places.length
          const present = places[place]
          if (present === undefined) {
            places[place] = yield* joining(rig, `${place} of ${at}`, () => Effect.sleep(20))
          } else {
            places[place] = undefined
            yield* at % 3 === 0 ? present.kill : Effect.asVoid(present.leave)
          }
          yield* rig.send(numbers(4, sent))
          sent += 4
          yield* advance(2_000, 100)
        }
        const members = [stays, ...places.filter((member) => member !== undefined)]
        yield* rig.waitFor("shares", shared(members, 16), 30_000)
        yield* rig.waitFor("all is delivered", () => texts(rig.delivered).size === sent)
        for (const member of members) yield* rig.waitFor("idle", isIdle(member))
        for (let queueId = 0; queueId < 16; queueId++) {
          const last = new Map<string, number>()
          for (const { offset, remoteAddress } of yield* commitsOf(queueId)) {
            assert.isAtLeast(offset, last.get(remoteAddress) ?? 0, "a position fell")
            last.set(remoteAddress, offset)
          }
        }
      })
    )
  )

  it.effect("C-18: an answer that comes when its queue was lost and won back: no gap, and nothing of it twice", () =>
    consumerRow({}, (rig) =>
      Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        yield* rig.send(numbers(8))
        // The first pull of each queue is answered when its generation is over.
        yield* faults.add({ match: { code: PULL, topic: "orders" }, actions: [FaultScript.delay(9_000)], times: 4 })
        const first = yield* rig.join("first")
        const generations = Effect.map(
          ofOrders(first),
          (queues) => new Map(queues.map(({ generation, queue }) => [queue.queueId, generation]))
        )
        const before = yield* generations
        const second = yield* joining(rig, "second")
        yield* rig.waitFor("shares", shared([first, second], 4), 5_000)
        yield* second.leave
        yield* rig.waitFor("all back", shared([first], 4), 5_000)
        const after = yield* generations
        const regained = [...after].filter(([queueId, generation]) => generation !== before.get(queueId))
        assert.strictEqual(regained.length, 2, "two of them were lost and won back")
        yield* advance(12_000)
        yield* rig.send(numbers(8, 8))
        yield* rig.waitFor("all is delivered", () => texts(rig.delivered).size === 16)
        yield* rig.waitFor("idle", isIdle(first))
        assert.strictEqual(rig.delivered.length, 16)
        for (const [queueId] of regained) {
          const own = rig.delivered.filter(({ message }) => message.queueId === queueId)
          assert.deepStrictEqual(
            own.map(({ message }) => message.queueOffset),
            own.map((_, offset) => offset),
            "in the order of the queue, none left out"
          )
        }
      })
    )
  )

  it("C-16: ten thousand groups share their queues as Java does, by every strategy", () => {
    assert.deepStrictEqual(digestsOf(groups(golden.seed, golden.count).map(sharesOf)), golden.digests)
  })

  it.effect("C-16: who is in a group and what it owns: each computes its share alone, and they fit together", () =>
    consumerRow({ queues: 8 }, (rig) =>
      Effect.gen(function* () {
        const gate = yield* Deferred.make<void>()
        const members: Array<Member> = []
        for (const name of ["b", "a", "c"]) members.push(yield* joining(rig, name, () => Deferred.await(gate)))
        yield* rig.waitFor("shares", shared(members, 8), 10_000)
        yield* settle
        const byId: Array<readonly [string, ReadonlyArray<string>]> = []
        for (const member of members) {
          byId.push([(yield* member.consumer.state).instance?.clientId ?? "", yield* ownedBy(member)])
        }
        const inOrder = byId.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, own]) => own)
        assert.deepStrictEqual(
          inOrder,
          [
            [0, 1, 2],
            [3, 4, 5],
            [6, 7]
          ].map((ids) => ids.map((id) => `broker-a@${id}`))
        )
        yield* Deferred.succeed(gate, undefined)
      })
    )
  )
})
