import { Deferred, Effect, Random } from "effect"
import type { StartError } from "../../src/client/ClientError.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as Message from "../../src/message/Message.ts"
import type { DefaultMQProducerShape } from "../../src/producer/DefaultMQProducer.ts"
import type { Scenario, World } from "../../src/testing/Simulation.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import * as Checks from "./consumerChecks.ts"
import * as Members from "./members.ts"
import * as Workload from "./workload.ts"

/** A group, of handlers of one message or of several, of streams, of both, or of those that poll, whose members come and go while faults do. */

const config = { messageDelayLevel: "1s 2s 3s 4s 5s 6s" }
const kinds: ReadonlyArray<Members.Group> = [
  { name: "workers", kind: "concurrently" },
  { name: "batchers", kind: "batch" },
  { name: "streamers", kind: "stream" },
  { name: "both", kind: "mixed" },
  { name: "orderly", kind: "orderly" },
  { name: "keyed", kind: "keyed" },
  { name: "pollers", kind: "lite" }
]

/** So many sends, one after the other, within a time. */
const sends = (world: World, { send }: DefaultMQProducerShape, name: string, count: number, withinMillis: number) =>
  Effect.forEach(
    Array.from({ length: count }, (_, n) => n),
    (n) =>
      Effect.gen(function* () {
        yield* Effect.sleep(yield* Random.nextIntBetween(0, withinMillis))
        const message = Message.make({ topic: Members.TOPIC, body: `${name}-${n}` })
        yield* Effect.exit(world.ledger.record(message, send(message), { timeoutMillis: Workload.TIMEOUT }))
      }),
    { concurrency: "unbounded", discard: true }
  )

export const scenario: Scenario<StartError> = {
  cluster: {
    brokers: [
      { name: "broker-a", config },
      { name: "broker-b", config }
    ],
    nameServers: 2,
    topics: { [Members.TOPIC]: { readQueueNums: 2, writeQueueNums: 2 } }
  },
  limits: { maxVirtualMillis: 1_800_000, maxSteps: 3_000_000 },
  program: (world) =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const members = new Members.Members()
      const producer = yield* Workload.producer(namesrvAddr, { producerGroup: "work-pg" })
      yield* Effect.forkScoped(Checks.bounded(world, members))

      let healed = false
      const group = yield* Effect.orDie(Random.choice(kinds))
      const places = Array.from({ length: Members.SIZE }, () => group)
      yield* Effect.all(
        [
          Effect.andThen(
            world.healed,
            Effect.sync(() => {
              healed = true
            })
          ),
          sends(world, producer, "early", 30, 20_000),
          Effect.forEach(places, () => Members.slot(world, members, namesrvAddr, group, () => healed), {
            concurrency: "unbounded",
            discard: true
          })
        ],
        { concurrency: "unbounded", discard: true }
      )

      // From here on everything works, and whoever runs stays.
      const over = yield* Deferred.make<Members.End>()
      const stay = Effect.forEach(
        places,
        () => Members.life(world, members, namesrvAddr, group, Deferred.await(over)),
        { concurrency: "unbounded", discard: true }
      )
      const working = Effect.gen(function* () {
        yield* Checks.settled(world, members, group)
        yield* Checks.owned(world, members, group)
        yield* Effect.all(
          [sends(world, producer, "late", 20, 2_500), Checks.handedOver(world, members, namesrvAddr, group)],
          { concurrency: "unbounded", discard: true }
        )
        yield* Checks.exhausted(world, members)
        yield* Checks.owned(world, members, group)
        yield* Deferred.succeed(over, "stop")
      })
      yield* Effect.all([stay, working], { concurrency: "unbounded", discard: true })
    }).pipe(Effect.scoped, Effect.provide(MQClientManager.layer))
}
