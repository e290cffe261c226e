import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as MQAdmin from "../../../src/admin/MQAdmin.ts"
import { MQClientManager } from "../../../src/client/MQClientManager.ts"
import * as ConsumeResult from "../../../src/consumer/ConsumeResult.ts"
import { DefaultMQPushConsumer } from "../../../src/consumer/DefaultMQPushConsumer.ts"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { type Call, onCluster } from "../support.ts"

/** A member of group `g` for as long as the scope is open. */
const member = Effect.fnUntraced(function* (
  name: string,
  subscription: Subscription.Subscription,
  messageModel?: "BROADCASTING"
) {
  const { namesrvAddr } = yield* EmbeddedCluster
  const consumer = yield* DefaultMQPushConsumer.make(
    {
      consumerGroup: "g",
      messageModel,
      subscriptions: [subscription],
      namesrvAddr,
      instanceName: name,
      clientIP: "10.0.0.1",
      consumeFromWhere: "first"
    },
    () => Effect.succeed(ConsumeResult.deadLetter("no"))
  )
  yield* Effect.acquireRelease(consumer.start, () => consumer.shutdown)
  return consumer
})

/** The steps of the group: verdict and detail. */
const steps = ({ out }: Call): ReadonlyArray<readonly [number, string, string]> =>
  JSON.parse(out.join())
    .steps.filter(({ step }: { readonly step: number }) => step > 11)
    .map(({ detail, step, verdict }: { readonly step: number; readonly verdict: string; readonly detail: string }) => [
      step,
      verdict,
      detail
    ])

const doctor = (...args: ReadonlyArray<string>) => onCluster(["doctor", "--group", "g", "--json", ...args])

const send = (count: string) => onCluster(["send", "--topic", "orders", "--count", count])

// On the real clock: queues change hands after half a second.
describe("doctor --group", () => {
  it.live("shows members, what they agree on, owners, lag; and leaves the group as it was", () =>
    Effect.gen(function* () {
      const first = yield* member("a", Subscription.tags("orders", "paid"))
      const second = yield* member("b", Subscription.tags("orders", "paid"))
      const isSettled = Effect.map(Effect.all([first.state, second.state]), (states) =>
        states.every(
          ({ queues }, index) => queues.length === 3 - index && queues.every(({ phase }) => phase === "pulling")
        )
      )
      while (!(yield* isSettled)) yield* Effect.sleep(20)
      const { clients } = yield* EmbeddedCluster
      const before = yield* clients
      const call = yield* doctor("--topic", "orders")
      assert.strictEqual(call.exitCode, 0, call.out.join())
      assert.deepStrictEqual(steps(call), [
        [12, "ok", "consumeEnable true, retryMaxTimes 16, on 1 broker"],
        [13, "ok", "2 members, CLUSTERING: 10.0.0.1@a (OTHER), 10.0.0.1@b (OTHER)"],
        [14, "ok", "orders (TAG paid)"],
        [15, "ok", "10.0.0.1@a 3 queues, 10.0.0.1@b 2 queues"],
        [16, "ok", "0 messages behind, 0.0 read per second"],
        [17, "ok", "no dead letters"]
      ])
      const other = yield* doctor("--topic", "bills")
      assert.match(steps(other)[1]?.[2] ?? "", /none of them subscribes to bills/)
      const people = yield* onCluster(["doctor", "--group", "g"])
      assert.match(people.out.at(-1) ?? "", /^healthy: .*, and nothing is wrong with group g$/)
      assert.strictEqual((yield* clients).length, before.length)
    }).pipe(
      Effect.scoped,
      Effect.provide(MQClientManager.layer),
      Effect.provide(EmbeddedCluster.layerMemory({ topics: { orders: {}, bills: {} } }))
    )
  )

  it.live("says of a group that broadcasts what there is to say", () =>
    Effect.gen(function* () {
      for (const name of ["a", "b"]) yield* member(name, Subscription.all("orders"), "BROADCASTING")
      const call = yield* doctor()
      assert.strictEqual(call.exitCode, 0, call.out.join())
      assert.deepStrictEqual(
        steps(call).map(([step, verdict]) => [step, verdict]),
        [
          [12, "ok"],
          [13, "ok"],
          [14, "ok"],
          [15, "skipped"],
          [16, "skipped"],
          [17, "skipped"]
        ]
      )
      assert.match(String(steps(call)[1]), /2 members, BROADCASTING/)
    }).pipe(
      Effect.scoped,
      Effect.provide(MQClientManager.layer),
      Effect.provide(EmbeddedCluster.layerMemory({ topics: { orders: {} } }))
    )
  )

  it.live("finds a group that may not consume, and its remedy cures it", () =>
    Effect.gen(function* () {
      const unknown = yield* doctor()
      assert.match(String(steps(unknown)[0]), /^12,failed,no broker has group g/)
      const admin = yield* MQAdmin.make({ namesrvAddr: (yield* EmbeddedCluster).namesrvAddr })
      yield* admin.createSubscriptionGroup({ groupName: "g", consumeEnable: false, retryMaxTimes: 3 })
      const call = yield* doctor()
      assert.strictEqual(call.exitCode, 4)
      const { detail, remedy, step } = JSON.parse(call.out.join()).failure
      assert.strictEqual(step, 12)
      assert.match(detail, /^consumeEnable is false on \S+:\d+: pulls of group g are refused there \(NO_PERMISSION\)$/)
      // The other steps are walked all the same.
      assert.deepStrictEqual(
        steps(call).map(([number]) => number),
        [12, 13, 14, 15, 16, 17]
      )
      const words = /: effect-rocketmq (group update g --consume) --namesrv /.exec(remedy)?.[1]?.split(" ") ?? []
      assert.strictEqual((yield* onCluster(words)).exitCode, 0)
      assert.strictEqual((yield* doctor()).exitCode, 0)
      const groups = yield* admin.getAllSubscriptionGroup()
      assert.deepInclude(groups.find(({ groupName }) => groupName === "g")?.config, {
        consumeEnable: true,
        retryMaxTimes: 3
      })
    }).pipe(
      Effect.scoped,
      Effect.provide(MQClientManager.layer),
      Effect.provide(EmbeddedCluster.layerMemory({ topics: { orders: {} } }))
    )
  )

  it.live("finds members that subscribe differently, which the brokers cannot show", () =>
    Effect.gen(function* () {
      yield* member("a", Subscription.tags("orders", "paid"))
      yield* member("b", Subscription.tags("orders", "open"))
      const call = yield* doctor()
      assert.strictEqual(call.exitCode, 1)
      const { detail, remedy, step } = JSON.parse(call.out.join()).failure
      assert.strictEqual(step, 14)
      assert.match(detail, /differ about orders: 10\.0\.0\.1@a reads TAG paid, 10\.0\.0\.1@b TAG open/)
      assert.match(remedy, /let all members subscribe to the same/)
    }).pipe(
      Effect.scoped,
      Effect.provide(MQClientManager.layer),
      Effect.provide(EmbeddedCluster.layerMemory({ topics: { orders: {} } }))
    )
  )

  it.live("tells a group that nobody reads, and what it has given up", () =>
    Effect.gen(function* () {
      const unknown = yield* doctor()
      assert.strictEqual(unknown.exitCode, 4)
      assert.match(JSON.parse(unknown.out.join()).failure.remedy, /group list .* autoCreateSubscriptionGroup/)
      assert.deepStrictEqual(
        steps(unknown).map(([, verdict]) => verdict),
        ["failed", "warn", "skipped", "skipped", "ok", "ok"]
      )
      yield* send("3")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const consumer = yield* member("a", Subscription.all("orders"))
          while ((yield* consumer.state).queues.some(({ cached, lag }) => cached > 0 || (lag ?? 0) > 0)) {
            yield* Effect.sleep(20)
          }
          yield* consumer.caughtUp()
        })
      )
      yield* send("2")
      const call = yield* doctor()
      const [, , , , progress, dead] = steps(call)
      assert.match(String(progress), /16,warn,2 messages behind, .*, and nobody reads: orders@broker-a@\d/)
      assert.match(String(dead), /17,warn,3 messages in %DLQ%g/)
      const { steps: all } = JSON.parse(call.out.join())
      const { remedy } = all.at(-1)
      const peek = /effect-rocketmq (dlq) (peek) (\S+) --namesrv /.exec(remedy)?.slice(1) ?? []
      const letters = yield* onCluster([...peek, "--json"])
      assert.strictEqual(letters.out.length, 3)
    }).pipe(
      Effect.scoped,
      Effect.provide(MQClientManager.layer),
      Effect.provide(EmbeddedCluster.layerMemory({ topics: { orders: {} } }))
    )
  )
})
