import { Cause, Effect, Layer, Random } from "effect"
import type { StartError } from "../../src/client/ClientError.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { DefaultMQPushConsumer } from "../../src/consumer/DefaultMQPushConsumer.ts"
import * as LocalOffsetStore from "../../src/consumer/offset/LocalOffsetStore.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import type { Scenario, World } from "../../src/testing/Simulation.ts"
import { Wire } from "../../src/transport/Wire.ts"
import { mortalWire } from "./members.ts"
import * as Workload from "./workload.ts"

/** A group that broadcasts, whose members come, go and crash while faults do, each with offsets that outlive it. */

const TOPIC = "prices"
const MEMBERS = 3

/** A process that is started again until everything works, and then stays until it has read all there is. */
const place = (world: World, namesrvAddr: string, name: string, healed: () => boolean) =>
  Effect.gen(function* () {
    const { messages } = yield* EmbeddedCluster
    const offsetStore = LocalOffsetStore.memory()
    const seen = new Set<string>()
    /** What has been read by a handler that ended while its process lived. */
    const missing = Effect.map(messages(TOPIC), (stored) => stored.filter(({ msgId }) => !seen.has(msgId)))

    const life: Effect.Effect<void, never, Wire> = Effect.gen(function* () {
      const { die, mortal } = yield* mortalWire
      let alive = true
      yield* Effect.gen(function* () {
        const consumer = yield* DefaultMQPushConsumer.make(
          {
            consumerGroup: "everybody",
            messageModel: "BROADCASTING",
            subscriptions: [Subscription.all(TOPIC)],
            namesrvAddr,
            instanceName: name,
            consumeFromWhere: "first",
            offsetStore: {
              ...offsetStore,
              // What a dead process would write.
              persist: (group, entry) => (alive ? offsetStore.persist(group, entry) : Effect.void)
            },
            concurrency: 3,
            pullBatchSize: 2,
            pollNameServerInterval: Workload.INTERVAL,
            heartbeatBrokerInterval: Workload.INTERVAL
          },
          (message) =>
            Effect.andThen(
              Effect.flatMap(Random.nextIntBetween(0, 300), Effect.sleep),
              Effect.sync(() => {
                if (alive) seen.add(message.msgId)
              })
            )
        )
        yield* Effect.acquireRelease(consumer.start, () => consumer.shutdown, { interruptible: true })
        if (!healed()) {
          yield* Effect.sleep(yield* Random.nextIntBetween(500, 12_000))
          if (yield* Random.nextBoolean) {
            alive = false
            yield* die
          }
          return
        }
        for (let waited = 0; waited < 120_000 && (yield* missing).length > 0; waited += 1_000)
          yield* Effect.sleep(1_000)
        for (const { msgId, queueId, queueOffset } of yield* missing) {
          yield* world.violation("broadcast", `${name} never got ${msgId}, ${queueOffset} of queue ${queueId}`)
        }
      }).pipe(
        Effect.scoped,
        Effect.retry({ times: 60, while: () => Effect.as(Effect.sleep(500), true) }),
        Effect.provide(Layer.fresh(MQClientManager.layer).pipe(Layer.provide(Layer.succeed(Wire, mortal)))),
        Effect.catchCause((cause) => world.violation("member", `${name} did not come up: ${Cause.pretty(cause)}`))
      )
    })
    yield* Effect.whileLoop({ while: () => !healed(), body: () => life, step: () => undefined })
    yield* life
  })

/** The scenario; `world.violation` of kind `broadcast` is a message that a member never got. */
export const scenario: Scenario<StartError> = {
  cluster: { brokers: 2, nameServers: 2, topics: { [TOPIC]: { readQueueNums: 2, writeQueueNums: 2 } } },
  limits: { maxVirtualMillis: 1_800_000, maxSteps: 3_000_000 },
  program: (world) =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const producer = yield* Workload.producer(namesrvAddr, { producerGroup: "prices-pg" })
      let healed = false
      const sends = Effect.forEach(
        Array.from({ length: 40 }, (_, n) => n),
        (n) =>
          Effect.gen(function* () {
            yield* Effect.sleep(yield* Random.nextIntBetween(0, 30_000))
            const message = Message.make({ topic: TOPIC, body: `${n}` })
            yield* Effect.exit(
              world.ledger.record(message, producer.send(message), { timeoutMillis: Workload.TIMEOUT })
            )
          }),
        { concurrency: "unbounded", discard: true }
      )
      const over = Effect.sync(() => {
        healed = true
      })
      yield* Effect.all(
        [
          Effect.andThen(Effect.andThen(world.healed, sends), over),
          ...Array.from({ length: MEMBERS }, (_, n) => place(world, namesrvAddr, `member-${n}`, () => healed))
        ],
        { concurrency: "unbounded", discard: true }
      )
    }).pipe(Effect.scoped, Effect.provide(MQClientManager.layer))
}
