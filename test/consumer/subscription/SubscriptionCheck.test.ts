import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Logger, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { DefaultMQPushConsumerShape } from "../../../src/consumer/DefaultMQPushConsumer.ts"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import { brokerAddress, consumerHeartbeat } from "../../embedded/support.ts"
import * as RemotingClient from "../../support/remoting.ts"
import { consume, rig } from "../support.ts"

const nothing = () => Effect.void

/** The problem of a member, if it has one. */
const problemOf = (member: DefaultMQPushConsumerShape) =>
  Effect.map(member.state, ({ problems }) => problems.find(({ key }) => key === "subscriptions")?.text)

const join = (instanceName: string, subscription: Subscription.Subscription) =>
  Effect.map(
    Effect.all([consume(nothing, { instanceName, subscriptions: [subscription] }), TestClock.adjust("2 seconds")], {
      concurrency: "unbounded"
    }),
    ([member]) => member
  )

describe("members that subscribe differently", () => {
  it.effect("C-55: all say so, name both and what each reads, once; and it is gone when they agree", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])
      yield* Effect.gen(function* () {
        const { traffic } = yield* EmbeddedCluster
        const first = yield* join("first", Subscription.tags("orders", "a", "z"))
        yield* TestClock.adjust("3 minutes")
        const questions = traffic.matching({
          code: [RequestCode.GET_CONSUMER_RUNNING_INFO, RequestCode.GET_CONSUMER_CONNECTION_LIST]
        })
        assert.deepStrictEqual(yield* questions, [], "a member that is alone asks nobody")

        const scope = yield* Scope.make()
        const second = yield* Scope.provide(join("second", Subscription.tags("orders", "b")), scope)
        yield* TestClock.adjust("2 minutes")
        for (const [member, other, own, theirs] of [
          [first, second, "a || z", "b"],
          [second, first, "b", "a || z"]
        ] as const) {
          const { instance } = yield* other.state
          const text = (yield* problemOf(member)) ?? ""
          assert.include(text, `member ${instance?.clientId} reads orders (${theirs})`)
          assert.include(text, `this one (${(yield* member.state).instance?.clientId}) orders (${own})`)
          assert.include(text, "have all members subscribe to the same")
          assert.isFalse(yield* member.healthy)
        }
        assert.strictEqual(lines.filter((line) => line.includes("subscribe differently")).length, 2)
        yield* TestClock.adjust("10 minutes")
        assert.strictEqual(lines.filter((line) => line.includes("subscribe differently")).length, 2)
        // Two members that ask each other, at most once a minute each.
        assert.isAtMost((yield* questions).length, 2 * 14)

        yield* Effect.all([Scope.close(scope, Exit.void), TestClock.adjust("2 seconds")], { concurrency: "unbounded" })
        // The same tags in another order are the same.
        const third = yield* join("third", Subscription.expression("orders", "z||a"))
        yield* TestClock.adjust("2 minutes")
        assert.isUndefined(yield* problemOf(first))
        assert.isUndefined(yield* problemOf(third))
        assert.isTrue(yield* first.healthy)
      }).pipe(Effect.provide(logger))
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("a member that cannot say is compared by what the broker has", () =>
    Effect.gen(function* () {
      const address = yield* brokerAddress()
      const member = yield* join("first", Subscription.all("orders"))
      const other = yield* RemotingClient.make({})
      // It answers nothing that is pushed to it: not supported.
      yield* other.invoke(address, consumerHeartbeat("10.0.0.1@1", "billing", ["orders"], "x"), 3_000)
      yield* TestClock.adjust("65 seconds")
      const text = (yield* problemOf(member)) ?? ""
      assert.include(text, `another member, by broker ${address}, reads orders (x)`)
      assert.include(text, "orders (*)")
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("a topic that only one of them reads counts too", () =>
    Effect.gen(function* () {
      const first = yield* join("first", Subscription.all("orders"))
      yield* join("second", Subscription.all("bills"))
      yield* TestClock.adjust("2 minutes")
      assert.include((yield* problemOf(first)) ?? "", "reads bills (*), orders (not at all), this one")
    }).pipe(Effect.scoped, Effect.provide(rig({ topics: { orders: {}, bills: {} } })))
  )

  it.effect("where asking is not allowed, it says so and asks no more", () =>
    Effect.gen(function* () {
      const { faults, traffic } = yield* EmbeddedCluster
      yield* faults.add({
        match: { code: RequestCode.GET_CONSUMER_RUNNING_INFO },
        actions: [FaultScript.answer(16, "User:billing has no permission to access Group:billing")]
      })
      const first = yield* join("first", Subscription.tags("orders", "a"))
      yield* join("second", Subscription.tags("orders", "b"))
      yield* TestClock.adjust("10 minutes")
      const { comparisonRefused, problems } = yield* first.state
      assert.include(comparisonRefused ?? "", "GET_CONSUMER_RUNNING_INFO")
      assert.deepStrictEqual(problems, [])
      assert.strictEqual((yield* traffic.ofCode(RequestCode.GET_CONSUMER_RUNNING_INFO)).length, 2)
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )
})
