import { Cause, Clock, Effect, Exit, Layer, Random, Scope } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as ConsumeResult from "../../src/consumer/ConsumeResult.ts"
import { DefaultMQPushConsumer, type DefaultMQPushConsumerShape } from "../../src/consumer/DefaultMQPushConsumer.ts"
import * as MessageListener from "../../src/consumer/MessageListener.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import { Wire, WireError } from "../../src/transport/Wire.ts"
import type { World } from "../../src/testing/Simulation.ts"
import { INTERVAL } from "./workload.ts"

/** The members of simulated consumer groups: each is a process of its own, which is stopped, or crashes. */

/** What is consumed. */
export const TOPIC = "work"

/** Members of a group in the end. */
export const SIZE = 3

/** Small caps, so that they bind. */
export const QUEUE_CAP = 3
export const ALL_CAP = 8
export const BATCH = 2
export const CONCURRENCY = 3

/** Milliseconds for which handlers may go on when a queue is revoked. */
export const REVOKE_DRAIN = 400

/** A group, and how its members handle what they get. */
export interface Group {
  readonly name: string
  readonly kind: "concurrently" | "batch"
}

/** A member that runs. */
export interface Member {
  readonly group: Group
  readonly consumer: DefaultMQPushConsumerShape
}

/** The members that run now, those that crashed or are being stopped left out. */
export type Members = Set<Member>

/** A random pause, in milliseconds; often none. */
const pause = (most: number) =>
  Effect.flatMap(Random.nextIntBetween(-most, most), (millis) => (millis > 0 ? Effect.sleep(millis) : Effect.void))

/** One of the ways in which a handler may end. */
const ending = Effect.gen(function* () {
  const chance = yield* Random.nextIntBetween(0, 100)
  if (chance < 8) return yield* Effect.fail("busy")
  if (chance < 10) return yield* Effect.die("a mistake")
  if (chance < 13) return ConsumeResult.deadLetter("never")
  if (chance < 16) return ConsumeResult.reconsumeLater(1_000)
  return ConsumeResult.success
})

const one: MessageListener.Handler<string, never> = () => Effect.andThen(pause(REVOKE_DRAIN), ending)

const several = (messages: MessageListener.Batch) =>
  Effect.gen(function* () {
    yield* pause(REVOKE_DRAIN)
    const kind = yield* Random.nextIntBetween(0, 3)
    if (kind === 0)
      return MessageListener.BatchResult.ackIndex((yield* Random.nextIntBetween(0, messages.length + 1)) - 1)
    if (kind === 1) return MessageListener.BatchResult.each(yield* Effect.forEach(messages, () => ending))
    return MessageListener.BatchResult.all(yield* ending)
  })

/** A wire whose process can die: its connections end, and it gets no others. */
const mortalWire = Effect.gen(function* () {
  const wire = yield* Wire
  const open = new Set<Scope.Closeable>()
  let dead = false
  const mortal = Wire.of({
    ...wire,
    connect: (address, options) =>
      Effect.gen(function* () {
        if (dead) {
          return yield* new WireError({ address, operation: "connect", kind: "refused", cause: new Error("dead") })
        }
        const own = yield* Scope.fork(yield* Effect.scope)
        open.add(own)
        return yield* Scope.provide(wire.connect(address, options), own)
      })
  })
  const die = Effect.suspend(() => {
    dead = true
    return Effect.forEach(open, (own) => Scope.close(own, Exit.void), { discard: true })
  })
  return { mortal, die }
})

/** Milliseconds that handlers have to end when a member closes. */
const DRAIN = 500

/** Milliseconds that a member may take to close: handlers, the last positions (5 s), and the farewell, whoever answers. */
const CLOSES_WITHIN = DRAIN + 5_000 + 3_000

/** A shutdown, which ends in time. */
const closed = (world: World, { name }: Group, shutdown: Effect.Effect<void>) =>
  Effect.gen(function* () {
    const begin = yield* Clock.currentTimeMillis
    yield* shutdown
    const took = (yield* Clock.currentTimeMillis) - begin
    if (took > CLOSES_WITHIN) yield* world.violation("closing", `a member of ${name} took ${took} ms to close`)
  })

/** How the life of a member ends. */
export type End = "stop" | "crash"

/**
 * A member from its start to its end, as a process that is started again until it comes up. What it handles counts until
 * it crashes.
 */
export const life = (
  world: World,
  members: Members,
  namesrvAddr: string,
  group: Group,
  stays: Effect.Effect<End>
): Effect.Effect<void, never, Wire> =>
  Effect.gen(function* () {
    const { die, mortal } = yield* mortalWire
    let alive = true
    const watched = { group: group.name, topics: [TOPIC], alive: () => alive }
    const listener =
      group.kind === "batch"
        ? MessageListener.batch({ maxSize: 3 }, world.finishes.watchBatch(watched, several))
        : MessageListener.concurrently(world.finishes.watch(watched, one))
    const lazy = yield* Random.nextBoolean
    yield* Effect.gen(function* () {
      const consumer = yield* DefaultMQPushConsumer.make(
        {
          consumerGroup: group.name,
          subscriptions: [Subscription.all(TOPIC)],
          namesrvAddr,
          readiness: lazy ? "lazy" : "assigned",
          consumeFromWhere: "first",
          concurrency: CONCURRENCY,
          pullBatchSize: BATCH,
          pullThresholdForQueue: QUEUE_CAP,
          pullThresholdForAll: ALL_CAP,
          maxReconsumeTimes: 2,
          revokeDrain: REVOKE_DRAIN,
          drainTimeoutMillis: DRAIN,
          pollNameServerInterval: INTERVAL,
          heartbeatBrokerInterval: INTERVAL
        },
        listener
      )
      yield* Effect.acquireRelease(consumer.start, () => closed(world, group, consumer.shutdown), {
        interruptible: true
      })
      const member: Member = { group, consumer }
      members.add(member)
      const end = yield* stays
      members.delete(member)
      if (end === "crash") {
        // What ends while the connections do may still be committed.
        yield* die
        alive = false
      }
    }).pipe(
      Effect.scoped,
      Effect.retry({ times: 60, while: () => Effect.as(Effect.sleep(500), true) }),
      Effect.provide(Layer.fresh(MQClientManager.layer).pipe(Layer.provide(Layer.succeed(Wire, mortal)))),
      Effect.catchCause((cause) =>
        world.violation("member", `a member of ${group.name} did not come up: ${Cause.pretty(cause)}`)
      )
    )
  })

/** A place for a member: one after the other, until all faults are over and `over` says so. */
export const slot = (
  world: World,
  members: Members,
  namesrvAddr: string,
  group: Group,
  over: () => boolean
): Effect.Effect<void, never, Wire> =>
  Effect.whileLoop({
    while: () => !over(),
    body: () =>
      Effect.gen(function* () {
        yield* pause(4_000)
        const crashes = yield* Random.nextBoolean
        const millis = yield* Random.nextIntBetween(500, 12_000)
        yield* life(world, members, namesrvAddr, group, Effect.as(Effect.sleep(millis), crashes ? "crash" : "stop"))
      }),
    step: () => {}
  })
