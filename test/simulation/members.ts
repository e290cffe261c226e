import { Cause, Clock, Effect, Layer, Random, Stream } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as ConsumeResult from "../../src/consumer/ConsumeResult.ts"
import { DefaultMQPushConsumer, type DefaultMQPushConsumerShape } from "../../src/consumer/DefaultMQPushConsumer.ts"
import * as MessageListener from "../../src/consumer/MessageListener.ts"
import * as StreamMember from "../../src/consumer/StreamMember.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import { Wire } from "../../src/transport/Wire.ts"
import type { World } from "../../src/testing/Simulation.ts"
import * as OwnWire from "./OwnWire.ts"
import * as Polls from "./polls.ts"
import * as Readers from "./Readers.ts"
import * as Sequence from "./sequence.ts"
import { INTERVAL } from "./workload.ts"

/** The members of simulated consumer groups: each is a process of its own, which is stopped, or crashes. */

/** What is consumed. */
export const TOPIC = "work"

/** Small caps, so that they bind. */
export const QUEUE_CAP = 3
export const ALL_CAP = 8
export const BATCH = 2
export const CONCURRENCY = 3

/** Milliseconds for which handlers may go on when a queue is revoked. */
export const REVOKE_DRAIN = 400

/** Milliseconds after which a delivery that nobody settles is given back. */
const CONSUME_TIMEOUT = 6_000

/** How a member handles what it gets. */
type Kind = "concurrently" | "batch" | "orderly" | "keyed" | "stream" | "lite" | "broadcast"

/** A group, and how its members handle what they get: all alike, or some one by one and some as a stream. */
export interface Group {
  readonly name: string
  readonly kind: Kind | "mixed"
  /** Members in the end. */
  readonly size: number
}

/** How long the handlers of a member take that begin now. */
interface Pace {
  /** Milliseconds; undefined while that is left to chance. */
  millis: number | undefined
}

/** A member that runs. */
export interface Member {
  readonly group: Group
  readonly kind: Kind
  readonly consumer: Pick<DefaultMQPushConsumerShape, "state">
  /** Whether its process reaches anybody. */
  readonly wire: OwnWire.OwnWire
  /** Of handlers in order. */
  readonly pace: Pace
}

/** The members that run now, those that crashed or are being stopped left out. */
export class Members extends Set<Member> {
  /**
   * Queues with deliveries that outlast a hand-over: what is acknowledged behind them comes again with them. Those that are
   * polled as well: what the last poll gave is not committed yet.
   */
  readonly holes = new Set<string>()
}

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

/**
 * Settles a delivery in one of the ways there are, or leaves it to its time; only an ack that counts is a success. What is
 * said when the queue has been another's for a second must not count, where nothing is slow.
 */
const settled = Effect.fnUntraced(function* (
  world: World,
  members: Members,
  isHealthy: boolean,
  consumer: DefaultMQPushConsumerShape,
  delivery: StreamMember.Delivery
) {
  const key = MessageQueue.key(delivery.message.queue)
  const chance = yield* Random.nextIntBetween(0, 100)
  const isLong = (yield* Random.nextIntBetween(0, 4)) === 0
  if (isLong || chance < 4) members.holes.add(key)
  yield* pause(isLong ? 8 * REVOKE_DRAIN : REVOKE_DRAIN)
  const isOwned = (yield* consumer.assignment).some((queue) => MessageQueue.key(queue) === key)
  if (isLong) yield* Effect.sleep(1_000)
  if (chance >= 4 && chance < 10) yield* delivery.nack()
  if (chance >= 10 && chance < 13) yield* delivery.deadLetter("never")
  if (chance >= 13 && chance < 16) yield* delivery.nack(1_000)
  if (chance < 16) return ConsumeResult.reconsumeLater()
  const outcome = yield* delivery.ack
  if (outcome === "settled" && isLong && isHealthy && !isOwned) {
    yield* world.violation("settled", `an ack of ${key} counted, which had been another's for a second`)
  }
  if (chance < 24 && (yield* delivery.ack) === "settled") {
    yield* world.violation("settled", `a delivery of ${key} was settled twice, first it was ${outcome}`)
  }
  return outcome === "settled" ? ConsumeResult.success : ConsumeResult.reconsumeLater()
})

/** Tries after the first until a message is a dead letter. */
const MAX_RECONSUME_TIMES = 2

const inOrder = (pace: Pace) => (): Effect.Effect<MessageListener.OrderlyResult, string> =>
  Effect.gen(function* () {
    if (pace.millis !== undefined) return yield* Effect.as(Effect.sleep(pace.millis), ConsumeResult.success)
    yield* pause(REVOKE_DRAIN)
    const suspends = (yield* Random.nextIntBetween(0, 100)) < 5
    return suspends ? MessageListener.OrderlyResult.suspend(300) : yield* ending
  })

/** Of the messages of all queues. */
const keyOf = ({ queueOffset }: { readonly queueOffset: number }): string => (queueOffset % 2 === 0 ? "even" : "odd")

/** Whether a message that does not succeed now is a dead letter. */
const spent = ({ reconsumeTimes }: { readonly reconsumeTimes: number }): boolean =>
  reconsumeTimes >= MAX_RECONSUME_TIMES

/** What a push consumer of a kind does with messages. */
const listenerOf = (
  world: World,
  watched: Parameters<World["finishes"]["watch"]>[0] & Sequence.Handling,
  kind: Kind,
  pace: Pace
): MessageListener.MessageListener<string, never> => {
  const { finishes } = world
  if (kind === "batch") return MessageListener.batch({ maxSize: 3 }, finishes.watchBatch(watched, several))
  const handler = finishes.watch(watched, one)
  if (kind === "keyed") return MessageListener.keyed(keyOf, Sequence.inOrderOfKeys(world, watched, keyOf, handler))
  if (kind !== "orderly") return MessageListener.concurrently(handler)
  return MessageListener.orderly(Sequence.inOrder(world, watched, spent, finishes.watch(watched, inOrder(pace))))
}

/** Milliseconds that handlers have to end when a member closes. */
const DRAIN = 500

/** Milliseconds that a member may take to close: handlers, the last positions (5 s), locks, and the farewell, whoever answers. */
const CLOSES_WITHIN = DRAIN + 5_000 + 1_000 + 3_000

/** The end of a member, from when it is asked for, which is in time. */
const closed = Effect.fnUntraced(function* (world: World, { name }: Group, begin: number) {
  const took = (yield* Clock.currentTimeMillis) - begin
  if (took > CLOSES_WITHIN) yield* world.violation("closing", `a member of ${name} took ${took} ms to close`)
})

/** How the life of a member ends. */
export type End = "stop" | "crash"

/**
 * A member from its start to its end, as a process that is started again until it comes up. What it handles counts until
 * it crashes. `reader` is that of a member of a group that broadcasts; `isHealthy`: nothing fails in its time.
 */
export const life = (
  world: World,
  members: Members,
  namesrvAddr: string,
  group: Group,
  stays: Effect.Effect<End>,
  reader?: Readers.Reader,
  isHealthy = true
): Effect.Effect<void, never, Wire> =>
  Effect.gen(function* () {
    const wire = yield* OwnWire.make
    const pace: Pace = { millis: undefined }
    let alive = true
    const watched = { group: group.name, topics: [TOPIC], alive: () => alive }
    const kind =
      group.kind === "mixed" ? yield* Effect.orDie(Random.choice(["concurrently", "stream"] as const)) : group.kind
    const lazy = yield* Random.nextBoolean
    const common = {
      consumerGroup: group.name,
      subscriptions: [Subscription.all(TOPIC)],
      namesrvAddr,
      readiness: lazy ? "lazy" : "assigned",
      consumeFromWhere: "first",
      pullBatchSize: BATCH,
      pullThresholdForQueue: QUEUE_CAP,
      pullThresholdForAll: ALL_CAP,
      revokeDrain: REVOKE_DRAIN,
      pollNameServerInterval: INTERVAL,
      heartbeatBrokerInterval: INTERVAL
    } as const
    const options = { ...common, maxReconsumeTimes: MAX_RECONSUME_TIMES, drainTimeoutMillis: DRAIN }

    const pushOptions = { ...options, concurrency: CONCURRENCY, suspendCurrentQueueTimeMillis: 200 } as const

    const pushed = Effect.gen(function* () {
      const consumer = yield* DefaultMQPushConsumer.make(pushOptions, listenerOf(world, watched, kind, pace))
      yield* Effect.acquireRelease(consumer.start, () => consumer.shutdown, { interruptible: true })
      return consumer
    })

    const streamed = Effect.gen(function* () {
      const member = yield* StreamMember.open({
        ...options,
        prefetch: lazy ? 0 : BATCH,
        consumeTimeout: `${CONSUME_TIMEOUT} millis`
      })
      if (member === undefined) return yield* Effect.fail("it ended while it started")
      yield* StreamMember.deliveries(member.handOut.take).pipe(
        Stream.mapEffect(
          (delivery) =>
            world.finishes.watch(watched, () => settled(world, members, isHealthy, member.consumer, delivery))(
              delivery.message
            ),
          { concurrency: CONCURRENCY, unordered: true }
        ),
        Stream.runDrain,
        Effect.forkScoped
      )
      return member.consumer
    })

    const polled = Effect.suspend(() =>
      Polls.start(
        world,
        common,
        world.finishes.watch(watched, () => pause(REVOKE_DRAIN)),
        (queue) => void members.holes.add(queue)
      )
    )

    const consume =
      reader !== undefined
        ? Readers.start(reader, watched.alive, pushOptions, { one, inOrder: inOrder(pace), spent })
        : kind === "stream"
          ? streamed
          : kind === "lite"
            ? polled
            : pushed

    let ended: number | undefined
    yield* Effect.gen(function* () {
      const consumer = yield* consume
      const member: Member = { group, kind, consumer, wire, pace }
      members.add(member)
      const end = yield* stays
      members.delete(member)
      if (end === "crash") {
        // What ends while the connections do may still be committed.
        yield* wire.cut
        alive = false
      }
      ended = yield* Clock.currentTimeMillis
    }).pipe(
      Effect.scoped,
      Effect.retry({ times: 60, while: () => Effect.as(Effect.sleep(500), true) }),
      Effect.provide(Layer.fresh(MQClientManager.layer).pipe(Layer.provide(Layer.succeed(Wire, wire.wire)))),
      Effect.andThen(Effect.suspend(() => (ended === undefined ? Effect.void : closed(world, group, ended)))),
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
  over: () => boolean,
  reader?: Readers.Reader
): Effect.Effect<void, never, Wire> =>
  Effect.whileLoop({
    while: () => !over(),
    body: () =>
      Effect.gen(function* () {
        yield* pause(4_000)
        const crashes = yield* Random.nextBoolean
        const millis = yield* Random.nextIntBetween(500, 12_000)
        yield* life(
          world,
          members,
          namesrvAddr,
          group,
          Effect.as(Effect.sleep(millis), crashes ? "crash" : "stop"),
          reader,
          false
        )
      }),
    step: () => {}
  })
