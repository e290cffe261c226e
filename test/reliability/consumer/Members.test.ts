import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import * as HeartBeat from "../../../src/protocol/request/HeartBeat.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import * as RemotingClient from "../../support/remoting.ts"
import {
  advance,
  commitsOf,
  consumerRow,
  countersOf,
  GROUP,
  isIdle,
  joining,
  numbers,
  ownedBy,
  problemsOf,
  settle,
  shared
} from "./rig.ts"

const sum = (values: ReadonlyArray<number>) => values.reduce((total, value) => total + value, 0)

const slow = () => Effect.sleep(100)
const quick = () => Effect.sleep(10)

describe("members that come and go", () => {
  it.effect("C-07: who joins a group at work gets its share, and no message comes twice", () =>
    consumerRow({}, (rig) =>
      Effect.gen(function* () {
        const first = yield* rig.join("first", slow, { concurrency: 4 })
        yield* rig.send(numbers(200))
        yield* advance(500)
        const second = yield* joining(rig, "second", slow, { concurrency: 4 })
        yield* rig.waitFor("shares", shared([first, second], 4), 5_000)
        yield* rig.waitFor("all is delivered", () => new Set(rig.delivered.map(({ text }) => text)).size === 200)
        yield* rig.waitFor(
          "idle",
          Effect.zipWith(isIdle(first), isIdle(second), (a, b) => a && b)
        )
        assert.strictEqual(rig.delivered.length, 200)
        assert.isTrue(rig.delivered.some(({ member }) => member === "second"))
        assert.strictEqual(sum([(yield* countersOf(first)).late, (yield* countersOf(second)).late]), 0)
      })
    )
  )

  it.effect(
    "C-07: a member that had its round just before keeps its queues for a second, and still none comes twice",
    () =>
      consumerRow({}, (rig) =>
        Effect.gen(function* () {
          const first = yield* rig.join("first", quick)
          const second = yield* joining(rig, "second", quick)
          yield* rig.waitFor("shares", shared([first, second], 4), 5_000)
          yield* rig.send(numbers(400))
          // The rounds that the second caused are not over yet.
          const third = yield* joining(rig, "third", quick)
          yield* rig.waitFor("shares", shared([first, second, third], 4), 5_000)
          yield* rig.waitFor("all is delivered", () => new Set(rig.delivered.map(({ text }) => text)).size === 400)
          assert.strictEqual(rig.delivered.length, 400)
        })
      )
  )

  it.effect("C-07: a handler that outlives the hand-over comes again to the new owner, and no other message does", () =>
    consumerRow({}, (rig) =>
      Effect.gen(function* () {
        const gate = yield* Deferred.make<void>()
        yield* rig.send(numbers(8))
        const first = yield* rig.join("first", (message) =>
          message.queueOffset === 0 ? Deferred.await(gate) : Effect.void
        )
        yield* settle
        const second = yield* joining(rig, "second")
        yield* rig.waitFor("shares", shared([first, second], 4), 5_000)
        yield* rig.waitFor("taken over", () => rig.delivered.some(({ member }) => member === "second"))
        yield* advance(1_000)
        const twice = numbers(8).filter((text) => rig.timesOf(text) > 1)
        // Of each queue that moved, the one whose handler ran, and what was finished behind it.
        assert.strictEqual(twice.length, 4)
        yield* Deferred.succeed(gate, undefined)
        yield* advance(6_000)
        for (const queueId of [0, 1, 2, 3]) {
          const offsets = (yield* commitsOf(queueId)).map(({ offset }) => offset)
          assert.deepStrictEqual(
            offsets,
            offsets.toSorted((a, b) => a - b),
            "no offset goes back"
          )
        }
        assert.strictEqual((yield* countersOf(first)).late, 2)
      })
    )
  )

  it.effect("C-08: the queues of a member that closes are read again within two seconds, nothing twice", () =>
    consumerRow({}, (rig) =>
      Effect.gen(function* () {
        const first = yield* rig.join("first")
        const second = yield* joining(rig, "second")
        yield* rig.waitFor("shares", shared([first, second], 4), 5_000)
        yield* rig.send(numbers(40))
        yield* advance(5_000)
        yield* second.leave
        yield* rig.send(numbers(40, 40))
        yield* rig.waitFor("all is delivered", () => rig.delivered.length === 80, 2_000)
        assert.strictEqual(new Set(rig.delivered.map(({ text }) => text)).size, 80)
        assert.isTrue(yield* shared([first], 4))
      })
    )
  )

  it.effect("C-09: a member is killed: what it had not finished, or not written yet, comes again; all is read", () =>
    consumerRow({}, (rig) =>
      Effect.gen(function* () {
        const first = yield* rig.join("first")
        const second = yield* joining(rig, "second", () => Effect.sleep(300), { concurrency: 2 })
        yield* rig.waitFor("shares", shared([first, second], 4), 5_000)
        yield* rig.send(numbers(80))
        yield* advance(1_000)
        yield* second.kill
        yield* rig.waitFor("all is delivered", () => new Set(rig.delivered.map(({ text }) => text)).size === 80, 10_000)
        yield* rig.waitFor("owned", shared([first], 4))
        const twice = numbers(80).filter((text) => rig.timesOf(text) > 1)
        const bySecond = rig.delivered.filter(({ member }) => member === "second").length
        assert.isAtMost(twice.length, bySecond)
        assert.isAbove(bySecond, 0)
      })
    )
  )

  it.effect("C-10: a member vanishes without a word: after two minutes the others have its queues", () =>
    consumerRow({ closeMillis: 60_000 }, (rig) =>
      Effect.gen(function* () {
        const first = yield* rig.join("first")
        const second = yield* joining(rig, "second")
        yield* rig.waitFor("shares", shared([first, second], 4), 5_000)
        yield* second.vanish
        yield* rig.send(numbers(8))
        yield* advance(60_000, 1_000)
        assert.isFalse(yield* shared([first], 4), "nobody can know yet")
        yield* rig.waitFor("taken over", shared([first], 4), 90_000)
        yield* rig.waitFor("all is delivered", () => new Set(rig.delivered.map(({ text }) => text)).size === 8)
      })
    )
  )

  it.effect("C-13: brokers that name no member, or fail, take nothing from anybody", () =>
    consumerRow({}, (rig) =>
      Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        const first = yield* rig.join("first")
        const before = yield* ownedBy(first)
        const answers = [
          FaultScript.members(GROUP),
          FaultScript.answer(1, "java.lang.NullPointerException"),
          FaultScript.pull.busy,
          FaultScript.dropRequest,
          FaultScript.corruptResponse
        ]
        for (const action of answers) {
          yield* faults.add({
            name: "list",
            match: { code: RequestCode.GET_CONSUMER_LIST_BY_GROUP },
            actions: [action]
          })
          yield* advance(25_000, 500)
          assert.deepStrictEqual(yield* ownedBy(first), before)
          yield* faults.remove("list")
        }
        yield* rig.send(numbers(8))
        yield* rig.waitFor("all is delivered", () => rig.delivered.length === 8)
      })
    )
  )

  it.effect("C-13: a broker that forgot this member is called on and asked again, before anything is given up", () =>
    consumerRow({}, (rig) =>
      Effect.gen(function* () {
        const { faults, traffic } = yield* EmbeddedCluster
        const first = yield* rig.join("first")
        const before = yield* ownedBy(first)
        const generation = (yield* first.consumer.state).queues.map((queue) => queue.generation)
        yield* faults.add({
          match: { code: RequestCode.GET_CONSUMER_LIST_BY_GROUP },
          actions: [FaultScript.members(GROUP, "10.0.0.1@somebody-else")],
          times: 1
        })
        yield* traffic.clear
        yield* advance(21_000, 500)
        assert.isAbove((yield* traffic.ofCode(RequestCode.HEART_BEAT)).length, 0)
        assert.deepStrictEqual(yield* ownedBy(first), before)
        assert.deepStrictEqual(
          (yield* first.consumer.state).queues.map((queue) => queue.generation),
          generation
        )
        yield* faults.add({
          name: "foreign",
          match: { code: RequestCode.GET_CONSUMER_LIST_BY_GROUP },
          actions: [FaultScript.members(GROUP, "10.0.0.1@somebody-else")]
        })
        yield* advance(21_000, 500)
        assert.match((yield* problemsOf(first)).join("\n"), /names this client/)
        yield* faults.remove("foreign")
        yield* rig.waitFor("owned again", shared([first], 4), 30_000)
        assert.deepStrictEqual(yield* problemsOf(first), [])
      })
    )
  )

  it.effect("C-14: told a thousand times a second that the group has changed, it has one round a second", () =>
    consumerRow({}, (rig) =>
      Effect.gen(function* () {
        const { brokers, traffic } = yield* EmbeddedCluster
        yield* rig.join("first")
        yield* advance(2_000)
        yield* traffic.clear
        const restless = yield* RemotingClient.make({})
        let subVersion = 1e13
        const beat = Effect.suspend(() =>
          restless.invoke(
            brokers[0]?.address ?? "",
            HeartBeat.request({
              clientID: "10.0.0.1@restless",
              heartbeatFingerprint: 0,
              withoutSub: false,
              producerDataSet: [],
              consumerDataSet: [
                {
                  groupName: GROUP,
                  consumeType: "CONSUME_PASSIVELY",
                  messageModel: "CLUSTERING",
                  consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
                  unitMode: false,
                  subscriptionDataSet: [Subscription.dataOf(Subscription.all("orders"), subVersion++)]
                }
              ]
            }),
            1_000
          )
        )
        for (let n = 0; n < 100; n++) {
          for (let k = 0; k < 10; k++) yield* beat
          yield* advance(100)
        }
        const asked = (yield* traffic.ofCode(RequestCode.GET_CONSUMER_LIST_BY_GROUP)).length
        // A round asks once for each topic, and once more where it finds itself alone.
        assert.isAtMost(asked, 11 * 4)
      })
    )
  )

  it.effect(
    "C-15: a topic gets more queues, and fewer: the new ones are read, those that go are written and left",
    () =>
      consumerRow({ queues: 4 }, (rig) =>
        Effect.gen(function* () {
          const { createTopic } = yield* EmbeddedCluster
          const first = yield* rig.join("first")
          yield* rig.send(numbers(8))
          yield* first.consumer.caughtUp()
          yield* createTopic("orders", { broker: "broker-a", readQueueNums: 8, writeQueueNums: 8 })
          yield* rig.waitFor("more queues", shared([first], 8), 35_000)
          yield* rig.send(numbers(16, 8))
          yield* rig.waitFor("all is delivered", () => rig.delivered.length === 24)
          yield* createTopic("orders", { broker: "broker-a", readQueueNums: 2, writeQueueNums: 2 })
          yield* rig.waitFor("fewer queues", shared([first], 2), 60_000)
          yield* rig.send(numbers(4, 24))
          yield* rig.waitFor("all is delivered", () => rig.delivered.length === 28)
          const last = (yield* commitsOf(5)).at(-1)
          assert.isDefined(last)
          assert.strictEqual(last.offset, rig.delivered.filter(({ message }) => message.queueId === 5).length)
        })
      )
  )

  it.effect("C-17: an answer that comes when its queue is another's counts for nothing", () =>
    consumerRow({}, (rig) =>
      Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        yield* faults.add({
          match: { code: RequestCode.PULL_MESSAGE, topic: "orders" },
          actions: [FaultScript.delay(6_000)],
          times: 4
        })
        yield* rig.send(numbers(8))
        const first = yield* rig.join("first")
        const second = yield* joining(rig, "second")
        yield* rig.waitFor("shares", shared([first, second], 4), 5_000)
        yield* advance(10_000)
        assert.strictEqual(rig.delivered.length, 8)
        assert.strictEqual(new Set(rig.delivered.map(({ text }) => text)).size, 8)
        const own = new Set(yield* ownedBy(second))
        for (const { member, message } of rig.delivered) {
          if (own.has(`broker-a@${message.queueId}`)) assert.strictEqual(member, "second")
        }
      })
    )
  )

  it.effect("C-39: the commit timer and a hand-over meet: nothing of the old owner is written after its last", () =>
    consumerRow({}, (rig) =>
      Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        // Every write takes long, so that those of the timer, and those of the hand-over, are under way together.
        yield* faults.add({
          match: { code: RequestCode.UPDATE_CONSUMER_OFFSET, topic: "orders" },
          actions: [FaultScript.delay(250)]
        })
        const first = yield* joining(rig, "first", () => Effect.sleep(50), { persistConsumerOffsetInterval: 100 })
        yield* rig.send(numbers(60))
        yield* advance(300, 50)
        const second = yield* joining(rig, "second", () => Effect.sleep(50), { persistConsumerOffsetInterval: 100 })
        yield* rig.waitFor("shares", shared([first, second], 4), 5_000)
        yield* rig.waitFor("all is delivered", () => new Set(rig.delivered.map(({ text }) => text)).size === 60)
        yield* advance(2_000)
        for (const queueId of [0, 1, 2, 3]) {
          const commits = yield* commitsOf(queueId)
          const offsets = commits.map(({ offset }) => offset)
          assert.deepStrictEqual(
            offsets,
            offsets.toSorted((a, b) => a - b),
            `queue ${queueId}: no offset goes back`
          )
          const owners = commits.map(({ remoteAddress }) => remoteAddress)
          const changes = owners.filter((owner, index) => index > 0 && owner !== owners[index - 1]).length
          assert.isAtMost(changes, 1, `queue ${queueId}: nobody writes after its last`)
        }
      })
    )
  )

  it.effect("C-40: a crash between the end of a handler and the write of its offset costs that message once more", () =>
    consumerRow({}, (rig) =>
      Effect.gen(function* () {
        const first = yield* rig.join("first", () => Effect.void, { persistConsumerOffsetInterval: 5_000 })
        yield* rig.send(numbers(4), 0)
        yield* first.consumer.caughtUp()
        yield* advance(5_500)
        yield* rig.send(numbers(3, 4), 0)
        yield* rig.waitFor("delivered", () => rig.delivered.length === 7)
        const written = (yield* commitsOf(0)).at(-1)?.offset ?? 0
        yield* first.kill
        const second = yield* joining(rig, "second")
        yield* rig.waitFor("owned", shared([second], 4), 5_000)
        yield* advance(2_000)
        const again = rig.delivered.filter(({ member }) => member === "second").map(({ text }) => text)
        assert.deepStrictEqual(again, numbers(7 - written, written))
      })
    )
  )

  it.effect("C-41: a crash right after `last` was found: what came since is read, not passed over", () =>
    consumerRow({}, (rig) =>
      Effect.gen(function* () {
        yield* rig.send(numbers(4))
        const first = yield* rig.join("first", () => Effect.void, { consumeFromWhere: "last" })
        assert.strictEqual(rig.delivered.length, 0)
        yield* first.kill
        yield* rig.send(numbers(4, 4))
        yield* joining(rig, "second", () => Effect.void, { consumeFromWhere: "last" })
        yield* rig.waitFor("what came since", () => rig.delivered.length === 4, 10_000)
        assert.sameMembers(
          rig.delivered.map(({ text }) => text),
          [...numbers(4, 4)]
        )
      })
    )
  )
})
