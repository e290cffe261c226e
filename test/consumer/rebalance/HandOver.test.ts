import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Message from "../../../src/message/Message.ts"
import { DefaultMQProducer } from "../../../src/producer/DefaultMQProducer.ts"
import * as GetConsumerListByGroup from "../../../src/protocol/request/GetConsumerListByGroup.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import * as UpdateConsumerOffset from "../../../src/protocol/request/UpdateConsumerOffset.ts"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import { brokerAddress, consumerHeartbeat, rawClient } from "../../embedded/support.ts"
import { commits, consume, make, rig, text } from "../support.ts"

const send = Effect.fnUntraced(function* (count: number, queueId: number) {
  const producer = yield* DefaultMQProducer
  for (let n = 0; n < count; n++) {
    yield* producer.send(Message.make({ topic: "orders", body: `${queueId}:${n}` }), {
      queue: { topic: "orders", brokerName: "broker-a", queueId }
    })
  }
})

/** Starts a member while time goes on. */
const joining = <A, E, R>(member: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(member, { startImmediately: true })
    for (let step = 0; step < 60 && fiber.pollUnsafe() === undefined; step++) yield* TestClock.adjust(50)
    return yield* Fiber.join(fiber)
  })

describe("a queue that changes hands", () => {
  it.effect(
    "R8, R10, C-07: is read on within two seconds; only what ran comes twice, and the old owner is silent",
    () =>
      Effect.gen(function* () {
        const { traffic } = yield* EmbeddedCluster
        const seen: Array<{ readonly who: string; readonly body: string }> = []
        let running = 0
        let most = 0
        const member = (who: string) =>
          consume(
            (message) =>
              Effect.gen(function* () {
                seen.push({ who, body: text(message) })
                running++
                yield* Effect.sleep(100)
                running--
              }),
            { instanceName: who, concurrency: 4, consumeFromWhere: "first" }
          )
        const first = yield* member("first")
        for (const queueId of [0, 1, 2, 3]) yield* send(60, queueId)
        yield* TestClock.adjust(450)
        most = running
        yield* traffic.clear
        const joinedAt = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
        const second = yield* joining(member("second"))
        for (let step = 0; step < 300; step++) yield* TestClock.adjust(50)
        yield* first.caughtUp()
        yield* second.caughtUp()
        const bodies = seen.map(({ body }) => body)
        assert.strictEqual(new Set(bodies).size, 240, "nothing is lost")
        assert.isAtMost(bodies.length - 240, most, "only what ran when the old owner noticed comes twice")

        const moved = (yield* second.assignment).filter(({ topic }) => topic === "orders")
        assert.strictEqual(moved.length, 2)
        const secondsId = (yield* second.state).instance?.clientId ?? ""
        const remotes = new Map<string, string>()
        for (const { address, clientId } of yield* (yield* EmbeddedCluster).clients) remotes.set(address, clientId)
        for (const { queueId } of moved) {
          const asked = (yield* traffic.matching({ topic: "orders", extFields: { queueId: String(queueId) } })).filter(
            ({ code }) => code === RequestCode.PULL_MESSAGE || code === RequestCode.UPDATE_CONSUMER_OFFSET
          )
          const isSeconds = (one: { readonly remoteAddress: string }) => remotes.get(one.remoteAddress) === secondsId
          const begin = asked.findIndex(isSeconds)
          assert.isAtLeast(begin, 0)
          assert.isAtMost((asked[begin]?.time ?? Infinity) - joinedAt, 2_000, "it is pulled within two seconds")
          assert.deepStrictEqual(
            asked.slice(begin).filter((one) => !isSeconds(one)),
            [],
            "the old owner asks for nothing and writes nothing any more"
          )
        }
      }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("R9: what the old owner writes late is where the new one begins", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      for (const queueId of [0, 1, 2, 3]) yield* send(9, queueId)
      const address = yield* brokerAddress()
      const old = yield* rawClient()
      const update = (queueId: number, commitOffset: number) =>
        old.call(
          address,
          UpdateConsumerOffset.request({
            consumerGroup: "billing",
            topic: "orders",
            queueId,
            commitOffset,
            brokerName: "broker-a"
          })
        )
      yield* old.call(address, consumerHeartbeat("10.0.0.1@1", "billing", ["orders"]))
      for (const queueId of [0, 1, 2, 3]) yield* update(queueId, 2)
      yield* traffic.clear
      const fiber = yield* Effect.forkChild(
        consume(() => Effect.void),
        { startImmediately: true }
      )
      yield* TestClock.adjust(300)
      for (const queueId of [0, 1, 2, 3]) yield* update(queueId, 7)
      yield* TestClock.adjust("3 seconds")
      const consumer = yield* Fiber.join(fiber)
      const owned = (yield* consumer.assignment).filter(({ topic }) => topic === "orders")
      assert.strictEqual(owned.length, 2)
      for (const { queueId } of owned) {
        const [pull] = yield* traffic.matching({
          code: RequestCode.PULL_MESSAGE,
          topic: "orders",
          extFields: { queueId: String(queueId) }
        })
        assert.strictEqual(pull?.extFields?.["queueOffset"], "7")
      }
      assert.isTrue((yield* commits()).every(({ offset }) => offset >= 2))
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("R10, C-08: one whose owner has closed is read on within two seconds, and nothing comes twice", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const handler = (message: { readonly body: Uint8Array }) => Effect.sync(() => void seen.push(text(message)))
      const first = yield* consume(handler, { instanceName: "first" })
      const scope = yield* Scope.make()
      yield* joining(Scope.provide(consume(handler, { instanceName: "second" }), scope))
      yield* TestClock.adjust("3 seconds")
      for (const queueId of [0, 1, 2, 3]) yield* send(5, queueId)
      yield* TestClock.adjust("1 second")
      yield* Scope.close(scope, Exit.void)
      for (const queueId of [0, 1, 2, 3]) yield* send(1, queueId)
      yield* TestClock.adjust("2 seconds")
      yield* first.caughtUp()
      assert.strictEqual((yield* first.assignment).length, 5)
      assert.strictEqual(seen.length, 24)
      // Those of the sixth send have the text of the first.
      assert.strictEqual(new Set(seen).size, 20)
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("C-13: a list of members that is empty, or lacks this one, takes no queue away, and is told", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const consumer = yield* consume(() => Effect.void)
      const list = { code: RequestCode.GET_CONSUMER_LIST_BY_GROUP }
      yield* faults.add({ match: list, actions: [FaultScript.answer(1, "no consumer for this group, billing")] })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* consumer.assignment).length, 5)
      yield* faults.clear
      const { body } = GetConsumerListByGroup.response({ consumerIdList: ["10.0.0.1@1"] })
      yield* faults.add({
        match: list,
        actions: [{ _tag: "Answer", response: { code: 0, extFields: {}, body } }]
      })
      yield* TestClock.adjust("1 minute")
      const { instance, problems } = yield* consumer.state
      // R17: somebody else has its identity, or the broker does not know it.
      assert.include(problems.map(({ text: one }) => one).join(), `names this client, ${instance?.clientId}`)
      yield* faults.clear
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* consumer.assignment).length, 5)
      assert.isTrue(yield* consumer.healthy)
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("R15, C-22: a broker that does not answer delays neither the rounds nor what is written to others", () =>
    Effect.gen(function* () {
      const { faults, traffic } = yield* EmbeddedCluster
      const producer = yield* DefaultMQProducer
      const consumer = yield* make(() => Effect.void)
      yield* consumer.start
      yield* Effect.gen(function* () {
        yield* faults.add({ match: { broker: "broker-c" }, actions: [FaultScript.dropRequest] })
        // Until it is known not to answer.
        yield* TestClock.adjust("40 seconds")
        yield* traffic.clear
        const at = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
        for (const brokerName of ["broker-a", "broker-b"]) {
          yield* producer.send(Message.make({ topic: "orders", body: "x" }), {
            queue: { topic: "orders", brokerName, queueId: 0 }
          })
        }
        yield* TestClock.adjust("6 seconds")
        for (const server of ["broker-a", "broker-b"]) {
          const written = yield* traffic.matching({ code: RequestCode.UPDATE_CONSUMER_OFFSET, server, topic: "orders" })
          assert.isAbove(written.length, 0, server)
          assert.isAtMost((written[0]?.time ?? Infinity) - at, 5_100, "on time")
        }
        yield* traffic.clear
        yield* TestClock.adjust("2 minutes")
        const rounds = yield* traffic.matching({ code: RequestCode.GET_CONSUMER_LIST_BY_GROUP })
        assert.deepStrictEqual(
          rounds.filter(({ server }) => server === "broker-c"),
          [],
          "nobody waits for an answer of it"
        )
        assert.isAbove(rounds.length, 5)
        const { problems, queues } = yield* consumer.state
        assert.isTrue(
          queues.filter(({ queue }) => queue.brokerName !== "broker-c").every(({ phase }) => phase === "pulling")
        )
        assert.include(problems.map(({ key }) => key).join(), "pull orders@broker-c@")
      }).pipe(
        // Its farewell waits for a broker that does not answer: time has to go on.
        Effect.ensuring(Effect.all([consumer.shutdown, TestClock.adjust("20 seconds")], { concurrency: "unbounded" }))
      )
    }).pipe(
      Effect.scoped,
      Effect.provide(rig({ brokers: 3, topics: { orders: { readQueueNums: 2, writeQueueNums: 2 } } }))
    )
  )
})
