import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Exit, Layer } from "effect"
import type { AdminOptions } from "../../src/admin/AdminConfig.ts"
import { MQAdmin } from "../../src/admin/MQAdmin.ts"
import { InvalidConfig } from "../../src/client/ClientError.ts"
import { MQClientInstance } from "../../src/client/MQClientInstance.ts"
import type { StartStep } from "../../src/client/StartStep.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import * as MemoryWire from "../../src/transport/MemoryWire.ts"
import { failureOf, held, nothing, onMemory, settle } from "../support/rig.ts"
import { keyOf, recording } from "../support/startFaults.ts"

const start = (options: AdminOptions) => Effect.exit(Effect.scoped(Layer.build(MQAdmin.layer(options))))

/** The steps of a start that must fail, and its error. */
const failedStart = Effect.fnUntraced(function* (options: AdminOptions) {
  const steps: Array<StartStep> = []
  const error = failureOf(yield* start(options).pipe(recording(steps)))
  return { error, steps: steps.map(keyOf) }
})

describe("the start of an administrator", () => {
  it.effect("has steps of its own, and gives back what it held", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const steps: Array<StartStep> = []
      assert.isTrue(Exit.isSuccess(yield* start({ namesrvAddr }).pipe(recording(steps))))
      assert.deepStrictEqual(
        steps.map(keyOf).filter((key) => !key.startsWith("3.")),
        ["4.1 set START_FAILED", "4.2 check the configuration", "4.3 get or create MQClientInstance"]
      )
      yield* settle
      assert.deepStrictEqual(yield* held, nothing)
    }).pipe(onMemory())
  )

  it.effect("refuses options that cannot be used, all at once, at a step that it has taken", () =>
    Effect.gen(function* () {
      for (const adminTimeoutMillis of [-5, 0, Number.NaN, Number.POSITIVE_INFINITY]) {
        const { error, steps } = yield* failedStart({ namesrvAddr: "nonsense", adminTimeoutMillis, instanceName: " " })
        assert.strictEqual(`${error.step} ${error.name}`, steps.at(-1))
        assert.strictEqual(error.step, "4.2")
        assert.instanceOf(error.reason, InvalidConfig)
        assert.deepStrictEqual(
          error.reason.problems.map(({ path }) => path),
          ["namesrvAddr[0]", "instanceName", "adminTimeoutMillis"]
        )
        assert.include(error.message, "adminTimeoutMillis")
      }
      yield* settle
      assert.deepStrictEqual(yield* held, nothing)
    }).pipe(onMemory())
  )

  it.effect("names its own step where the instance under it finds no name server", () =>
    Effect.gen(function* () {
      const { error } = yield* failedStart({})
      assert.deepStrictEqual([error.step, error.reason._tag], ["3.2", "NoNameServer"])
    }).pipe(onMemory())
  )
})

describe("the start of a client instance by itself", () => {
  it.effect("names no step of a producer, and tells the environment's problems with those of the options", () =>
    Effect.gen(function* () {
      const layer = MQClientInstance.layer({ instanceName: " " })
      const error = failureOf(yield* Effect.exit(Effect.scoped(Layer.build(layer))))
      assert.deepStrictEqual([error.step, error.name], ["3.0", "check the configuration"])
      assert.instanceOf(error.reason, InvalidConfig)
      assert.deepStrictEqual(
        error.reason.problems.map(({ path }) => path),
        ["NAMESRV_ADDR[0]", "instanceName"]
      )
    }).pipe(
      Effect.provide(MemoryWire.layer),
      Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ NAMESRV_ADDR: "nonsense" })))
    )
  )
})
