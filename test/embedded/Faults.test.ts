import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Arbitraries, EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import type { EmbeddedClusterOptions } from "../../src/testing/index.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { brokerAddress, namesrvAddress, rawClient, sendRequest } from "./support.ts"

const onCluster = (options: EmbeddedClusterOptions = {}) =>
  Effect.provide(EmbeddedCluster.layerMemory({ topics: { orders: {} }, ...options }))

const { SEND_MESSAGE_V2 } = RequestCode

const setup = Effect.gen(function* () {
  const client = yield* rawClient()
  const cluster = yield* EmbeddedCluster
  const address = yield* brokerAddress()
  return {
    cluster,
    address,
    client,
    send: client.call(address, sendRequest(), 3_000),
    stored: Effect.map(cluster.messages("orders"), (messages) => messages.length)
  }
})

/** Runs an effect while the clock passes 3 seconds, and gives what came of it: `ok` or the tag of its error. */
const within = <A>(effect: Effect.Effect<A, { readonly _tag: string }>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(
      Effect.match(effect, { onSuccess: () => "ok", onFailure: (error) => error._tag }),
      {
        startImmediately: true
      }
    )
    yield* TestClock.adjust(3_000)
    return yield* Fiber.join(fiber)
  })

const run = (seed: string) =>
  Effect.gen(function* () {
    const { send } = yield* setup
    const codes: Array<number> = []
    for (let i = 0; i < 40; i++) codes.push((yield* send).code)
    return codes.join("")
  }).pipe(
    onCluster({ seed, faults: [{ match: { probability: 0.5 }, actions: [FaultScript.answer(2)] }] }),
    Effect.scoped
  )

describe("faults", () => {
  it.effect("answers instead of handling", () =>
    Effect.gen(function* () {
      const { cluster, send, stored } = yield* setup
      yield* cluster.faults.add({
        match: { code: SEND_MESSAGE_V2 },
        actions: [FaultScript.answer(2, "busy")],
        times: 1
      })
      assert.deepInclude(yield* send, { code: 2, remark: "busy" })
      assert.strictEqual(yield* stored, 0)
      assert.strictEqual((yield* send).code, 0)
      const [fired] = yield* cluster.faults.fired
      assert.deepInclude(fired, { rule: "rule-0", server: "broker-a", code: 310, call: 1, actions: ["Answer"] })
      const [recorded] = yield* cluster.traffic.all
      assert.deepStrictEqual(recorded?.faults, ["Answer"])
    }).pipe(onCluster())
  )

  it.effect("delays", () =>
    Effect.gen(function* () {
      const { send, stored } = yield* setup
      const fiber = yield* Effect.forkChild(send, { startImmediately: true })
      yield* TestClock.adjust(999)
      assert.strictEqual(yield* stored, 0)
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* Fiber.join(fiber)).code, 0)
    }).pipe(onCluster({ faults: [{ actions: [FaultScript.delay(1_000)] }] }))
  )

  it.effect("loses the request or the answer: the client cannot tell, the log can", () =>
    Effect.gen(function* () {
      const { cluster, send, stored } = yield* setup
      yield* cluster.faults.add({ match: { nth: 1 }, actions: [FaultScript.dropRequest] })
      assert.strictEqual(yield* within(send), "RequestTimeout")
      assert.strictEqual(yield* stored, 0)
      yield* cluster.faults.clear
      yield* cluster.faults.add({ match: { nth: 1 }, actions: [FaultScript.dropResponse] })
      assert.strictEqual(yield* within(send), "RequestTimeout")
      assert.strictEqual(yield* stored, 1)
      assert.strictEqual(yield* within(send), "ok")
    }).pipe(onCluster())
  )

  it.effect("answers twice, which harms nobody", () =>
    Effect.gen(function* () {
      const { send, stored } = yield* setup
      assert.strictEqual((yield* send).code, 0)
      assert.strictEqual((yield* send).code, 0)
      assert.strictEqual(yield* stored, 2)
    }).pipe(onCluster({ faults: [{ actions: [FaultScript.duplicateResponse] }] }))
  )

  it.effect("cuts the connection before or after handling, and corrupts answers", () =>
    Effect.gen(function* () {
      const { cluster, send, stored } = yield* setup
      const next = (action: FaultScript.FaultRule["actions"][number]) =>
        cluster.faults.add({ match: { code: SEND_MESSAGE_V2 }, actions: [action], times: 1 }).pipe(
          Effect.andThen(within(send)),
          Effect.flatMap((outcome) => Effect.map(stored, (count) => [outcome, count]))
        )
      assert.deepStrictEqual(yield* next(FaultScript.cut("before")), ["ConnectionClosed", 0])
      assert.deepStrictEqual(yield* next(FaultScript.cut("after")), ["ConnectionClosed", 1])
      assert.deepStrictEqual(yield* next(FaultScript.corruptResponse), ["ConnectionClosed", 2])
      assert.strictEqual(yield* within(send), "ok")
    }).pipe(onCluster())
  )

  it.effect("refuses connections, or accepts and ignores them", () =>
    Effect.gen(function* () {
      const { client, cluster } = yield* setup
      yield* cluster.faults.add({ match: { broker: "namesrv" }, actions: [FaultScript.ignoreConnection], times: 1 })
      yield* cluster.faults.add({ match: { broker: "broker-a" }, actions: [FaultScript.refuseConnection], times: 1 })
      const [broker, namesrv] = [yield* brokerAddress(), yield* namesrvAddress]
      assert.strictEqual(yield* within(client.call(broker, sendRequest())), "ConnectionClosed")
      assert.strictEqual(yield* within(client.call(broker, sendRequest())), "ok")
      assert.strictEqual(yield* within(client.call(namesrv, { code: 106, extFields: undefined })), "RequestTimeout")
      yield* client.close(namesrv)
      assert.strictEqual(yield* within(client.call(namesrv, { code: 106, extFields: undefined })), "ok")
    }).pipe(onCluster())
  )

  it.effect("hits one broker and leaves the other alone", () =>
    Effect.gen(function* () {
      const { client, cluster } = yield* setup
      yield* cluster.faults.add({ name: "b", match: { broker: "broker-b" }, actions: [FaultScript.answer(14)] })
      const codes = Effect.gen(function* () {
        const [a, b] = [yield* brokerAddress("broker-a"), yield* brokerAddress("broker-b")]
        return [(yield* client.call(a, sendRequest())).code, (yield* client.call(b, sendRequest())).code]
      })
      assert.deepStrictEqual(yield* codes, [0, 14])
      yield* cluster.faults.remove("b")
      assert.deepStrictEqual(yield* codes, [0, 0])
    }).pipe(onCluster({ brokers: 2 }))
  )

  it.effect("the same seed gives the same faults", () =>
    Effect.gen(function* () {
      const [one, again, other] = [yield* run("one"), yield* run("one"), yield* run("other")]
      assert.strictEqual(one, again)
      assert.notStrictEqual(one, other)
    })
  )

  it.effect.prop(
    "whatever the faults, an acked message is stored and nothing is stored more often than it was sent",
    { faults: Arbitraries.faultScript },
    ({ faults }) =>
      Effect.gen(function* () {
        const { cluster, send, stored } = yield* setup
        yield* cluster.faults.add(...faults)
        let acked = 0
        const sends = 8
        for (let i = 0; i < sends; i++) {
          const fiber = yield* Effect.forkChild(Effect.exit(send), { startImmediately: true })
          yield* TestClock.adjust(10_000)
          const exit = yield* Fiber.join(fiber)
          if (Exit.isSuccess(exit) && exit.value.code === 0) acked += 1
        }
        yield* cluster.faults.clear
        yield* TestClock.adjust(10_000)
        assert.isAtLeast(yield* stored, acked)
        assert.isAtMost(yield* stored, sends)
      }).pipe(onCluster()),
    { arbitrary: { runs: 40 } }
  )
})
