import { Deferred, Effect, Random } from "effect"
import type { StartError } from "../../src/client/ClientError.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as Message from "../../src/message/Message.ts"
import type { DefaultMQProducerShape } from "../../src/producer/DefaultMQProducer.ts"
import type { Scenario, World } from "../../src/testing/Simulation.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import * as Checks from "./consumerChecks.ts"
import * as CutOff from "./cutOff.ts"
import * as Members from "./members.ts"
import * as Readers from "./Readers.ts"
import * as Workload from "./workload.ts"

/**
 * A group, of handlers of one message or of several, of streams, of both, or of those that poll, and now and then one beside
 * it that broadcasts. Their members come and go while faults do.
 */

const config = { messageDelayLevel: "1s 2s 3s 4s 5s 6s" }
const kinds: ReadonlyArray<Members.Group> = [
  { name: "workers", kind: "concurrently", size: 3 },
  { name: "batchers", kind: "batch", size: 3 },
  { name: "streamers", kind: "stream", size: 3 },
  { name: "both", kind: "mixed", size: 3 },
  { name: "orderly", kind: "orderly", size: 3 },
  { name: "keyed", kind: "keyed", size: 3 },
  { name: "pollers", kind: "lite", size: 3 }
]

const broadcasting: Members.Group = { name: "everybody", kind: "broadcast", size: 2 }

/** Of so many seeds one has the group that broadcasts. */
const BROADCASTS = 5

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

/** Where one member after the other lives. */
interface Place {
  readonly group: Members.Group
  /** What is left of each of them where the group broadcasts. */
  readonly reader?: Readers.Reader
}

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
      const readers =
        (yield* Random.nextIntBetween(0, BROADCASTS)) === 0
          ? yield* Effect.forEach(Array.from({ length: broadcasting.size }), (_, n) =>
              Readers.make(world, broadcasting.name, Members.TOPIC, `reader-${n}`)
            )
          : []
      const groups = readers.length > 0 ? [group, broadcasting] : [group]
      const places: ReadonlyArray<Place> = [
        ...Array.from({ length: group.size }, () => ({ group })),
        ...readers.map((reader) => ({ group: broadcasting, reader }))
      ]
      const ready = Effect.forEach(
        groups,
        (one) => Effect.andThen(Checks.settled(world, members, one), Checks.owned(world, members, one)),
        { concurrency: "unbounded", discard: true }
      )
      yield* Effect.all(
        [
          Effect.andThen(
            world.healed,
            Effect.sync(() => {
              healed = true
            })
          ),
          sends(world, producer, "early", 30, 20_000),
          Effect.forEach(
            places,
            (place) => Members.slot(world, members, namesrvAddr, place.group, () => healed, place.reader),
            { concurrency: "unbounded", discard: true }
          )
        ],
        { concurrency: "unbounded", discard: true }
      )

      // From here on everything works, and whoever runs stays.
      const over = yield* Deferred.make<Members.End>()
      const stay = Effect.forEach(
        places,
        (place) => Members.life(world, members, namesrvAddr, place.group, Deferred.await(over), place.reader),
        { concurrency: "unbounded", discard: true }
      )
      const working = Effect.gen(function* () {
        yield* ready
        yield* Effect.all(
          [sends(world, producer, "late", 20, 2_500), Checks.handedOver(world, members, namesrvAddr, group)],
          { concurrency: "unbounded", discard: true }
        )
        const off = yield* Effect.orDie(Random.choice(groups))
        if (yield* CutOff.now(members, off, sends(world, producer, "cut", 12, 1_000))) yield* ready
        yield* Checks.exhausted(world, members)
        yield* Readers.complete(world, broadcasting.name, readers)
        yield* Effect.forEach(groups, (one) => Checks.owned(world, members, one), { discard: true })
        yield* Deferred.succeed(over, "stop")
      })
      yield* Effect.all([stay, working], { concurrency: "unbounded", discard: true })
    }).pipe(Effect.scoped, Effect.provide(MQClientManager.layer))
}
