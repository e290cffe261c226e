import { Effect } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import type { SendError } from "../../src/producer/send/SendError.ts"
import type { StartError } from "../../src/client/ClientError.ts"
import type { Scenario } from "../../src/testing/Simulation.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import * as Checks from "./checks.ts"
import * as Workload from "./workload.ts"

const topics = Object.fromEntries(
  ["ordered", "plain", "batched", "streamed", "delayed", "transactional"].map((name) => [
    name,
    { readQueueNums: 2, writeQueueNums: 2 }
  ])
)

/** Three brokers, two name servers, and producers of every kind, most of them on one client instance. */
export const scenario: Scenario<StartError | SendError> = {
  cluster: { brokers: 2, nameServers: 2, topics },
  limits: { maxVirtualMillis: 1_800_000, maxSteps: 2_000_000 },
  program: (world) =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const start = (producerGroup: string, options = {}) =>
        Workload.producer(namesrvAddr, { producerGroup, instanceName: "shared", ...options })

      const plain = yield* start("plain", { backPressureForAsyncSendNum: Workload.BACK_PRESSURE })
      const [ordered, batched, gathering, delayed, alone] = yield* Effect.all(
        [
          start("ordered"),
          start("batched"),
          start("gathering", { autoBatch: true }),
          start("delayed", { sendLatencyEnable: true, startDetectorEnable: true }),
          Workload.producer(namesrvAddr, { producerGroup: "alone", retryTimesWhenSendFailed: 4 })
        ],
        { concurrency: "unbounded" }
      )
      yield* Effect.forkScoped(Checks.bounded(world, plain))
      yield* Effect.all(
        [
          Workload.plain(world, plain),
          Workload.ordered(world, ordered),
          Workload.batched(world, batched),
          Workload.gathered(world, gathering),
          Workload.delayed(world, delayed),
          Workload.streamed(world, alone),
          Workload.restarting(world, namesrvAddr),
          Effect.andThen(Workload.transactional(world, namesrvAddr), Effect.andThen(world.healed, Effect.sleep(60_000)))
        ],
        { concurrency: "unbounded", discard: true }
      )
      yield* world.healed
      yield* Checks.comeRound
      yield* Checks.converged(world, plain, ["plain"])
      yield* Checks.converged(world, ordered, ["ordered"])
      yield* Checks.converged(world, alone, ["plain"])
      yield* Checks.fair(world, plain)
      yield* Checks.prompt(world, plain)
      yield* Checks.prompt(world, alone)
    }).pipe(Effect.scoped, Effect.provide(MQClientManager.layer))
}
