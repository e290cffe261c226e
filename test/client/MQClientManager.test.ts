import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Latch, Layer, Ref } from "effect"
import { check } from "../../src/client/ClientConfig.ts"
import { type InvalidConfig, NameServerResolveError, type StartError } from "../../src/client/ClientError.ts"
import { MQClientInstance } from "../../src/client/MQClientInstance.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { NameServerResolver } from "../../src/client/NameServerResolver.ts"
import { RpcHooks } from "../../src/client/RpcHooks.ts"
import { StartObserver } from "../../src/client/StartStep.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, Wire } from "../../src/testing/index.ts"
import { failureOf, held, nothing, onMemory, ownScope, settle } from "../support/rig.ts"

const get = (instanceName = "it") =>
  Effect.gen(function* () {
    const manager = yield* MQClientManager
    return yield* manager.getOrCreateMQClientInstance(yield* check({ instanceName }))
  })

/** A resolver that does what is given, one after the other, and gives the cluster's name servers from then on. */
const resolver = (...failures: ReadonlyArray<Effect.Effect<never, NameServerResolveError>>) =>
  Effect.gen(function* () {
    const { namesrvAddr } = yield* EmbeddedCluster
    const asked = yield* Ref.make(0)
    const answer = Effect.flatMap(
      Ref.getAndUpdate(asked, (n) => n + 1),
      (n) => failures[n] ?? Effect.succeed([namesrvAddr])
    )
    return { asked: Ref.get(asked), provide: Effect.provide(NameServerResolver.layer("test", answer)) }
  })

const unreachable = new NameServerResolveError({ resolver: "test", cause: "unreachable" })

const reasonOf = (error: InvalidConfig | StartError) => (error._tag === "StartError" ? error.reason : error)

describe("MQClientManager", () => {
  it.effect("instances are on the wire of the manager's layer, whatever wire is around where one is asked for", () =>
    Effect.gen(function* () {
      const wire = yield* Wire
      let dials = 0
      const counting = Wire.of({
        ...wire,
        connect: (address, options) => Effect.suspend(() => (dials++, wire.connect(address, options)))
      })
      const { namesrvAddr } = yield* EmbeddedCluster
      yield* Effect.gen(function* () {
        const manager = yield* MQClientManager
        const instance = yield* manager.getOrCreateMQClientInstance(yield* check({ instanceName: "it", namesrvAddr }))
        yield* Effect.ignore(instance.api.getTopicRouteInfo("no-such-topic", 3_000))
      }).pipe(
        Effect.scoped,
        Effect.provide(Layer.fresh(MQClientManager.layer).pipe(Layer.provide(Layer.succeed(Wire, counting))))
      )
      assert.isAbove(dials, 0)
    }).pipe(onMemory())
  )

  it.effect("keeps no start that failed, however long the scope of whoever asked stays open", () =>
    Effect.gen(function* () {
      const manager = yield* MQClientManager
      const { asked, provide } = yield* resolver(Effect.fail(unreachable), Effect.die(new Error("bug")))
      yield* Effect.gen(function* () {
        const failed = failureOf(yield* Effect.exit(get()))
        assert.strictEqual(reasonOf(failed)._tag, "NameServerResolveError")
        assert.strictEqual(yield* manager.size, 0)
        assert.isTrue(Exit.isFailure(yield* Effect.exit(get())))
        assert.strictEqual(yield* manager.size, 0)
        const instance = yield* get()
        assert.strictEqual((yield* instance.state).phase, "RUNNING")
        assert.deepStrictEqual([yield* manager.size, yield* asked], [1, 3])
      }).pipe(Effect.scoped, provide)
      assert.deepStrictEqual(yield* held, nothing)
    }).pipe(onMemory())
  )

  it.effect("one start for all who ask meanwhile: they share what it comes to, and nobody holds a failed one", () =>
    Effect.gen(function* () {
      const manager = yield* MQClientManager
      const gate = yield* Latch.make(false)
      const { asked, provide } = yield* resolver(Effect.andThen(gate.await, Effect.fail(unreachable)))
      yield* Effect.gen(function* () {
        const fibers = yield* Effect.forEach([1, 2, 3], () =>
          Effect.forkChild(Effect.exit(get()), { startImmediately: true })
        )
        yield* settle
        assert.strictEqual(yield* manager.size, 1)
        yield* gate.open
        for (const fiber of fibers) {
          assert.strictEqual(reasonOf(failureOf(yield* Fiber.join(fiber)))._tag, "NameServerResolveError")
        }
        assert.strictEqual(yield* manager.size, 0)
        const instances = yield* Effect.all([get(), get(), get()], { concurrency: 3 })
        assert.strictEqual(new Set(instances).size, 1)
        assert.deepStrictEqual([yield* manager.size, yield* asked], [1, 2])
      }).pipe(Effect.scoped, provide)
      assert.deepStrictEqual(yield* held, nothing)
    }).pipe(onMemory())
  )

  it.effect("an instance lives until the last of those who share it has left", () =>
    Effect.gen(function* () {
      const manager = yield* MQClientManager
      const { provide } = yield* resolver()
      const first = yield* provide(ownScope(get()))
      const second = yield* provide(ownScope(get()))
      const other = yield* provide(ownScope(get("other")))
      assert.strictEqual(first.value, second.value)
      assert.notStrictEqual(first.value, other.value)
      assert.strictEqual(yield* manager.size, 2)
      yield* first.close
      assert.strictEqual((yield* second.value.state).phase, "RUNNING")
      yield* second.close
      assert.strictEqual((yield* second.value.state).phase, "SHUTDOWN_ALREADY")
      assert.strictEqual(yield* manager.size, 1)
      yield* other.close
      assert.deepStrictEqual(yield* held, nothing)
    }).pipe(onMemory())
  )

  it.effect("a start that is interrupted is not kept either, and the next one begins anew", () =>
    Effect.gen(function* () {
      const manager = yield* MQClientManager
      const { asked, provide } = yield* resolver(Effect.never)
      yield* Effect.gen(function* () {
        const start = yield* Effect.forkChild(Effect.scoped(get()), { startImmediately: true })
        yield* settle
        yield* Fiber.interrupt(start)
        assert.strictEqual(yield* manager.size, 0)
        yield* get()
        assert.strictEqual(yield* asked, 2)
      }).pipe(Effect.scoped, provide)
      assert.deepStrictEqual(yield* held, nothing)
    }).pipe(onMemory())
  )

  it.effect("builds the layer that anybody can build: the same steps, and each hook runs once", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const options = { namesrvAddr, instanceName: "it" }
      const manager = yield* MQClientManager
      const alone = Effect.map(Layer.build(MQClientInstance.layer(options)), Context.get(MQClientInstance))
      const shared = Effect.flatMap(check(options), manager.getOrCreateMQClientInstance)
      const observed = yield* Effect.forEach([alone, shared], (start) => {
        const steps: Array<string> = []
        const hooked: Array<number> = []
        return Effect.gen(function* () {
          const instance = yield* start
          yield* Effect.exit(instance.routes.updateTopicRouteInfoFromNameServer("orders", undefined))
          return { steps, hooked }
        }).pipe(
          Effect.scoped,
          Effect.provideService(StartObserver, {
            around: (step, self) => {
              steps.push(step.id)
              return self
            }
          }),
          Effect.provideService(RpcHooks, [
            {
              doBeforeRequest: (_, request) => {
                hooked.push(request.code)
                return request
              }
            }
          ])
        )
      })
      assert.deepStrictEqual(observed[0], observed[1])
      assert.deepStrictEqual(observed[0], {
        steps: ["3.1", "3.3", "3.4", "3.5", "3.6", "3.7", "3.8"],
        // Nobody has the topic, and this client knows no broker: it asks whether there are any.
        hooked: [RequestCode.GET_ROUTEINFO_BY_TOPIC, RequestCode.GET_BROKER_CLUSTER_INFO]
      })
      assert.deepStrictEqual(yield* held, nothing)
    }).pipe(onMemory())
  )
})
