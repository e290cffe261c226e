import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Latch, Scope } from "effect"
import { MQAdmin } from "../../../src/admin/MQAdmin.ts"
import type { StartStep } from "../../../src/client/StartStep.ts"
import { DefaultMQPushConsumer } from "../../../src/consumer/DefaultMQPushConsumer.ts"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../../src/message/Message.ts"
import { PermName } from "../../../src/message/MixAll.ts"
import { MQVersion } from "../../../src/protocol/MQVersion.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import { MemoryNetwork } from "../../../src/transport/MemoryWire.ts"
import { failureOf, held, memory, nothing, startProducer } from "../../support/rig.ts"
import { injecting, keyOf, recording, type StepFault } from "../../support/startFaults.ts"
import {
  administering,
  advance,
  commitsOf,
  consumerRow,
  GROUP,
  isIdle,
  joining,
  numbers,
  problemsOf,
  settle,
  shared,
  timed,
  until,
  valueOf
} from "./rig.ts"

const namesrvAddr = "127.0.0.1:9876"

const making = Effect.fnUntraced(function* (options: { readonly readiness?: "lazy" | "assigned" } = {}) {
  const consumer = yield* DefaultMQPushConsumer.make(
    { consumerGroup: GROUP, subscriptions: [Subscription.all("orders")], namesrvAddr, ...options },
    () => Effect.void
  )
  yield* Effect.addFinalizer(() => consumer.shutdown)
  return consumer
})

const cluster = Effect.provide(memory({ topics: { orders: {} }, listen: { namesrvPort: 9876, brokerPort: 10_911 } }))

describe("the life of a consumer", () => {
  it.effect(
    "C-01: name servers that are down at the start: a typed failure, or it starts and works once they are up",
    () =>
      Effect.gen(function* () {
        const { setReachable } = yield* MemoryNetwork
        yield* setReachable(namesrvAddr, "refuse")
        const eager = yield* making()
        const error = failureOf((yield* timed(eager.start)).exit)
        assert.strictEqual(error.reason._tag, "NameServerUnavailable")
        assert.strictEqual(yield* eager.serviceState, "START_FAILED")
        assert.deepStrictEqual(yield* held, nothing)
        const lazy = yield* making({ readiness: "lazy" })
        valueOf((yield* timed(lazy.start)).exit)
        yield* advance(3_000)
        assert.deepStrictEqual(yield* lazy.assignment, [])
        yield* setReachable(namesrvAddr, "open")
        yield* advance(60_000, 1_000)
        assert.strictEqual((yield* lazy.assignment).length, 5)
      }).pipe(Effect.scoped, cluster)
  )

  it.effect("C-02: a topic that comes later is a problem until then, and owned by the next poll", () =>
    consumerRow({}, (rig) =>
      Effect.gen(function* () {
        const { createTopic } = yield* EmbeddedCluster
        const first = yield* rig.join("first", () => Effect.void, {
          subscriptions: [Subscription.all("orders"), Subscription.all("later")]
        })
        assert.match((yield* problemsOf(first)).join("\n"), /topic later has no route/)
        yield* rig.send(numbers(4))
        yield* rig.waitFor("the other topic is read", () => rig.delivered.length === 4)
        yield* createTopic("later", { broker: "broker-a" })
        yield* advance(31_000, 500)
        assert.strictEqual((yield* first.consumer.assignment).filter(({ topic }) => topic === "later").length, 4)
        yield* rig.producer.send(Message.make({ topic: "later", body: "first" }))
        yield* rig.waitFor("it is read", () => rig.delivered.length === 5)
        assert.deepStrictEqual(yield* problemsOf(first), [])
      })
    )
  )

  it.effect("C-04: a start that fails, dies, hangs or is interrupted at any step gives everything back", () =>
    Effect.gen(function* () {
      const steps: Array<StartStep> = []
      const recorded = yield* making()
      yield* recorded.start.pipe(recording(steps))
      yield* recorded.shutdown
      const own = steps.map(keyOf).filter((key) => key.startsWith("5."))
      assert.isAtLeast(own.length, 8)
      for (const step of own) {
        for (const kind of ["fail", "die", "interrupt", "hang"] as const) {
          for (const when of ["before", "after"] as const) {
            const fault: StepFault = { step, when, kind }
            const reached = Latch.makeUnsafe()
            const consumer = yield* making()
            const { exit } = yield* timed(consumer.start.pipe(injecting(fault, reached)), 15_000, 500)
            assert.isTrue(Exit.isFailure(exit), JSON.stringify(fault))
            yield* consumer.shutdown
            yield* settle
            assert.deepStrictEqual(yield* held, nothing, JSON.stringify(fault))
          }
        }
      }
      const last = yield* making()
      yield* last.start
      assert.strictEqual((yield* last.assignment).length, 5)
    }).pipe(Effect.scoped, cluster)
  )

  it.effect(
    "C-05: the group is not there and cannot be made: a problem, pauses that grow, and it goes on once it is",
    () =>
      consumerRow({ closeMillis: 12_000 }, (rig) =>
        Effect.gen(function* () {
          const { faults, traffic } = yield* EmbeddedCluster
          yield* faults.add(
            {
              name: "group",
              match: { code: RequestCode.PULL_MESSAGE },
              actions: [FaultScript.pull.groupNotExist(GROUP)]
            },
            {
              name: "offsets",
              match: { code: RequestCode.UPDATE_CONSUMER_OFFSET },
              actions: [FaultScript.offset.groupNotExist(GROUP)]
            }
          )
          const first = yield* joining(rig, "first")
          yield* rig.send(numbers(8))
          yield* advance(60_000, 500)
          assert.match((yield* problemsOf(first)).join("\n"), /does not exist/)
          yield* traffic.clear
          yield* advance(60_000, 500)
          assert.isAtMost((yield* traffic.ofCode(RequestCode.PULL_MESSAGE)).length, 5 * 3)
          yield* faults.clear
          yield* rig.waitFor("all is delivered", () => rig.delivered.length === 8, 40_000)
          yield* rig.waitFor(
            "well again",
            Effect.map(problemsOf(first), (problems) => problems.length === 0),
            60_000
          )
        })
      )
  )

  for (const [release, version] of [
    ["5.5.0", MQVersion.V5_5_0],
    ["4.9.7", MQVersion.V4_9_7]
  ] as const) {
    it.effect(
      `C-05: a broker of ${release} makes no groups: a problem that says what to do, until the group is there`,
      () =>
        consumerRow(
          {
            brokers: [{ name: "broker-a", config: { version, autoCreateSubscriptionGroup: false } }],
            closeMillis: 12_000
          },
          (rig) =>
            Effect.gen(function* () {
              const { traffic } = yield* EmbeddedCluster
              const first = yield* joining(rig, "first")
              yield* rig.send(numbers(8))
              yield* advance(60_000, 500)
              const problems = yield* problemsOf(first)
              assert.match(problems.join("\n"), /does not exist[^]*effect-rocketmq group create billing$/m)
              yield* traffic.clear
              yield* advance(60_000, 500)
              // No storm: a beat every 30 s, a round every 20 s, and pulls as rarely as that.
              assert.isAtMost((yield* traffic.all).length, 60)
              yield* administering(
                Effect.flatMap(MQAdmin, (admin) => admin.createSubscriptionGroup({ groupName: GROUP }))
              )
              yield* rig.waitFor("all is delivered", () => rig.delivered.length === 8, 70_000)
              yield* rig.waitFor(
                "well again",
                Effect.map(problemsOf(first), (left) => left.length === 0),
                60_000
              )
            })
        )
    )
  }

  it.effect(
    "C-06: permission to read a topic is taken away and given back: a problem, and other topics are unaffected",
    () =>
      consumerRow({}, (rig) =>
        Effect.gen(function* () {
          const { createTopic, setPermission } = yield* EmbeddedCluster
          yield* createTopic("calm", { broker: "broker-a" })
          const first = yield* rig.join("first", () => Effect.void, {
            subscriptions: [Subscription.all("orders"), Subscription.all("calm")],
            pollNameServerInterval: 3_600_000
          })
          yield* setPermission("orders", PermName.WRITE)
          yield* rig.send(numbers(4))
          for (let n = 0; n < 5; n++) {
            yield* rig.producer.send(Message.make({ topic: "calm", body: `calm ${n}` }))
            yield* settle
          }
          assert.strictEqual(rig.delivered.filter(({ text }) => text.startsWith("calm")).length, 5, "at once")
          yield* rig.waitFor(
            "it is told",
            Effect.map(problemsOf(first), (problems) => /pulling message is forbidden/.test(problems.join("\n"))),
            30_000
          )
          yield* setPermission("orders", PermName.READ | PermName.WRITE)
          yield* rig.waitFor("all is delivered", () => rig.delivered.length === 9, 70_000)
          yield* rig.waitFor(
            "well again",
            Effect.map(problemsOf(first), (problems) => problems.length === 0),
            60_000
          )
        })
      )
  )

  it.effect(
    "C-47: closed while idle, while handlers run, and while one is stuck: what ended counts, the rest comes once",
    () =>
      consumerRow({ closeMillis: 12_000 }, (rig) =>
        Effect.gen(function* () {
          const idle = yield* rig.join("idle")
          assert.isAtMost(yield* idle.leave, 1_000)
          yield* rig.send(numbers(4))
          const busy = yield* joining(rig, "busy", () => Effect.sleep(500))
          yield* rig.waitFor(
            "running",
            Effect.map(busy.consumer.state, ({ running }) => running === 4)
          )
          assert.isAtMost(yield* busy.leave, 1_500)
          assert.deepInclude(yield* busy.consumer.lastDrain, { finished: 4, interrupted: 0, notPersisted: [] })
          yield* rig.send(numbers(4, 4))
          const stuck = yield* joining(rig, "stuck", (message) => (message.queueId === 0 ? Effect.never : Effect.void))
          yield* rig.waitFor(
            "one is left",
            Effect.map(stuck.consumer.state, ({ running }) => running === 1)
          )
          assert.isAtMost(yield* stuck.leave, 11_500)
          assert.deepInclude(yield* stuck.consumer.lastDrain, { interrupted: 1 })
          const last = yield* joining(rig, "last")
          yield* rig.waitFor("the rest", () => rig.delivered.some(({ member }) => member === "last"))
          yield* rig.waitFor("idle", isIdle(last))
          const again = rig.delivered.filter(({ member }) => member === "last")
          assert.deepStrictEqual(
            again.map(({ attempt, message }) => [attempt, message.queueId]),
            [[1, 0]]
          )
          assert.strictEqual((yield* (yield* EmbeddedCluster).messages(`%RETRY%${GROUP}`)).length, 0)
        })
      )
  )

  it.effect("C-47: offsets are written before the brokers are told, by the order in which they get it", () =>
    consumerRow({}, (rig) =>
      Effect.gen(function* () {
        const { traffic } = yield* EmbeddedCluster
        const first = yield* rig.join("first")
        yield* rig.send(numbers(8))
        yield* first.consumer.caughtUp()
        yield* traffic.clear
        yield* first.leave
        const order = (yield* traffic.all).flatMap(({ code, extFields }) =>
          code === RequestCode.UPDATE_CONSUMER_OFFSET
            ? ["offset"]
            : code === RequestCode.UNREGISTER_CLIENT && extFields?.["consumerGroup"] === GROUP
              ? ["farewell"]
              : []
        )
        assert.isAbove(order.length, 1)
        assert.strictEqual(order.at(-1), "farewell")
        assert.isTrue(order.slice(0, -1).every((what) => what === "offset"))
      })
    )
  )

  it.effect("C-47: closed with brokers that do not answer: within the deadline, and it says what was not written", () =>
    consumerRow({ closeMillis: 30_000 }, (rig) =>
      Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        const first = yield* rig.join("first", () => Effect.void, { persistConsumerOffsetInterval: 3_600_000 })
        yield* rig.send(numbers(8))
        yield* rig.waitFor("delivered", () => rig.delivered.length === 8)
        yield* faults.add({ match: { broker: "broker-a" }, actions: [FaultScript.dropRequest] })
        assert.isAtMost(yield* first.leave, 12_000)
        assert.isNotEmpty((yield* first.consumer.lastDrain)?.notPersisted)
      })
    )
  )

  it.effect("C-47: closed during the first round: nothing is left, and the next member owns everything", () =>
    consumerRow({}, (rig) =>
      Effect.gen(function* () {
        const { faults, traffic } = yield* EmbeddedCluster
        yield* faults.add({
          match: { code: RequestCode.QUERY_CONSUMER_OFFSET },
          actions: [FaultScript.delay(3_000)],
          times: 5
        })
        const scope = yield* Scope.make()
        const starting = yield* Effect.forkIn(Effect.exit(rig.join("first")), scope, { startImmediately: true })
        yield* until(
          "it asks where to begin",
          Effect.map(traffic.ofCode(RequestCode.QUERY_CONSUMER_OFFSET), (asked) => asked.length > 0)
        )
        valueOf((yield* timed(Scope.close(scope, Exit.void), 30_000, 50)).exit)
        assert.isDefined(starting.pollUnsafe())
        const second = yield* joining(rig, "second")
        yield* rig.waitFor("owned", shared([second], 4), 5_000)
      })
    )
  )

  it.effect("C-47: ten restarts in the middle of a message: one copy of it, never counted as a failure", () =>
    consumerRow({ queues: 1 }, (rig) =>
      Effect.gen(function* () {
        yield* rig.send(["slow"], 0)
        for (let n = 0; n < 10; n++) {
          const member = yield* joining(rig, `member ${n}`, () => Effect.never, { drainTimeoutMillis: 0 })
          yield* rig.waitFor(
            "running",
            Effect.map(member.consumer.state, ({ running }) => running === 1)
          )
          yield* member.leave
        }
        assert.isTrue(rig.delivered.every(({ attempt }) => attempt === 1))
        assert.strictEqual((yield* (yield* EmbeddedCluster).messages(`%RETRY%${GROUP}`)).length, 0)
        assert.isTrue((yield* commitsOf(0)).every(({ offset }) => offset === 0))
      })
    )
  )

  it.effect("C-59: a hundred starts and closes under load: every message once, and nothing is left", () =>
    consumerRow({}, (rig) =>
      Effect.gen(function* () {
        for (let n = 0; n < 100; n++) {
          const member = yield* joining(rig, `member ${n}`)
          yield* rig.send(numbers(4, n * 4))
          yield* member.consumer.caughtUp()
          yield* member.leave
        }
        assert.strictEqual(rig.delivered.length, 400)
        assert.strictEqual(new Set(rig.delivered.map(({ text }) => text)).size, 400)
      })
    )
  )

  it.effect("C-60: handlers send through the consumer's own client, at its limit: nothing waits for itself", () =>
    Effect.gen(function* () {
      const client = { namesrvAddr, instanceName: "one", remoting: { maxInFlightRequests: 1 } }
      const producer = yield* startProducer(client)
      const attempts: Array<number> = []
      const consumer = yield* DefaultMQPushConsumer.make(
        {
          ...client,
          consumerGroup: GROUP,
          subscriptions: [Subscription.all("orders")],
          concurrency: 8,
          reconsumePolicy: { delay: () => "1 second" }
        },
        (message) =>
          Effect.suspend(() => {
            attempts.push(message.attempt)
            const sent = Effect.ignore(producer.send(Message.make({ topic: "other", body: "x" })))
            return message.attempt === 1 ? Effect.andThen(sent, Effect.fail("no")) : sent
          })
      )
      yield* Effect.acquireRelease(consumer.start, () => consumer.shutdown)
      assert.strictEqual((yield* held).instances, 1)
      for (const body of numbers(20)) yield* producer.send(Message.make({ topic: "orders", body }))
      yield* advance(20_000, 200)
      assert.deepInclude((yield* consumer.state).counters, { failures: 20, reconsumeLater: 20, succeeded: 20 })
      assert.strictEqual(attempts.length, 40)
      assert.strictEqual((yield* (yield* EmbeddedCluster).messages("other")).length, 40)
    }).pipe(Effect.scoped, cluster)
  )

  it.effect("C-06: a group that may not consume: told, and other groups go on", () =>
    consumerRow({}, (rig) =>
      Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        yield* faults.add({
          name: "forbidden",
          match: { code: RequestCode.PULL_MESSAGE, topic: "orders" },
          actions: [FaultScript.pull.groupForbidden(GROUP)],
          times: 20
        })
        const first = yield* rig.join("first")
        yield* rig.waitFor(
          "it is told",
          Effect.map(problemsOf(first), (problems) => /no permission/.test(problems.join("\n"))),
          10_000
        )
        yield* faults.clear
        yield* rig.send(numbers(8))
        yield* rig.waitFor("all is delivered", () => rig.delivered.length === 8, 40_000)
      })
    )
  )
})
