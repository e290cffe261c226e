import { assert } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { MQAdmin } from "../../../src/admin/MQAdmin.ts"
import { MQClientManager } from "../../../src/client/MQClientManager.ts"
import type { ConsumeResult } from "../../../src/consumer/ConsumeResult.ts"
import type { PushConsumerOptions } from "../../../src/consumer/ConsumerOptions.ts"
import { DefaultMQPushConsumer, type DefaultMQPushConsumerShape } from "../../../src/consumer/DefaultMQPushConsumer.ts"
import type { Handler, MessageListener } from "../../../src/consumer/MessageListener.ts"
import type { ReceivedMessage } from "../../../src/consumer/ReceivedMessage.ts"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../../src/message/Message.ts"
import * as MessageQueue from "../../../src/message/MessageQueue.ts"
import { DefaultMQProducer, type DefaultMQProducerShape } from "../../../src/producer/DefaultMQProducer.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, type EmbeddedClusterOptions } from "../../../src/testing/index.ts"
import type { MemoryNetwork } from "../../../src/transport/MemoryWire.ts"
import { Wire, WireError } from "../../../src/transport/Wire.ts"
import { advance, countFibers, held, memory, nothing, settle, timed, until, valueOf } from "../../support/rig.ts"

/** The group of all members. */
export const GROUP = "billing"

/** One delivery of a message to a handler. */
export interface Delivered {
  readonly member: string
  readonly text: string
  readonly attempt: number
  /** Milliseconds of the test's clock. */
  readonly at: number
  readonly message: ReceivedMessage
}

/** What a row is tried on. */
export interface ConsumerRowOptions extends EmbeddedClusterOptions {
  /** Queues of the topic `orders`; default 4. */
  readonly queues?: number
  /** The brokers that have it; default `broker-a`. */
  readonly brokerNames?: ReadonlyArray<string>
  /** How long the end of the members may take; default 2 seconds. */
  readonly closeMillis?: number
}

/** What a row's test has. */
export interface ConsumerRig {
  readonly producer: DefaultMQProducerShape
  /** Sends texts, one after the other, round the queues or to one of `broker-a`. */
  readonly send: (texts: ReadonlyArray<string>, queueId?: number) => Effect.Effect<void, Error>
  /** Starts a member of the group; a handler that is left out does nothing. */
  readonly join: <E = never>(
    name: string,
    handler?: Handler<E, never> | MessageListener<E, never>,
    options?: Partial<PushConsumerOptions>
  ) => Effect.Effect<Member, Error>
  /** Every delivery, in order; those of a member that was killed count until then. */
  readonly delivered: ReadonlyArray<Delivered>
  /** How often each text was delivered for the first time or again as new: attempt 1. */
  readonly timesOf: (text: string) => number
  /** Waits, on the test's clock, until a condition holds. */
  readonly waitFor: (
    what: string,
    condition: Effect.Effect<boolean, Error> | (() => boolean),
    millis?: number
  ) => Effect.Effect<void>
}

/** A member, and what may become of it. */
export interface Member {
  readonly consumer: DefaultMQPushConsumerShape
  /** Its scope closes: it drains and says goodbye. Gives the milliseconds of the test's clock that this took. */
  readonly leave: Effect.Effect<number>
  /** Its process ends: connections end at once, nothing more leaves it. */
  readonly kill: Effect.Effect<void>
  /** Its host is gone: nothing leaves or reaches it, and nobody is told. */
  readonly vanish: Effect.Effect<void>
}

/** A wire of one client, whose end can be had at any time. */
const mortal = (state: { alive: "yes" | "killed" | "vanished" }, open: Set<Scope.Closeable>) => {
  const unlessVanished = <A, E>(self: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() => (state.alive === "vanished" ? Effect.never : self))
  return Layer.effect(
    Wire,
    Effect.map(Wire, (wire) => ({
      ...wire,
      connect: (address, options) =>
        Effect.suspend(() => {
          if (state.alive === "killed") {
            return Effect.fail(
              new WireError({ address, operation: "connect", kind: "unreachable", cause: new Error("it was killed") })
            )
          }
          if (state.alive === "vanished") return Effect.never
          return Effect.gen(function* () {
            const outer = yield* Effect.scope
            const scope = yield* Scope.make()
            open.add(scope)
            // Of a host that is gone, not even the end of a connection is seen.
            yield* Scope.addFinalizer(
              outer,
              Effect.suspend(() => (state.alive === "vanished" ? Effect.void : Scope.close(scope, Exit.void)))
            )
            const stream = yield* Scope.provide(wire.connect(address, options), scope)
            return {
              ...stream,
              isFlushed: () => stream.isFlushed(),
              pull: Effect.flatMap(unlessVanished(stream.pull), (chunks) => unlessVanished(Effect.succeed(chunks))),
              write: (chunks: Parameters<typeof stream.write>[0]) => unlessVanished(stream.write(chunks))
            }
          })
        })
    }))
  )
}

/** The requirements of a row's test. */
export type RowServices = EmbeddedCluster | MemoryNetwork | Wire | Scope.Scope

/**
 * Runs a row's test on brokers in memory, and checks what all rows have in common besides: when the members have closed, in
 * bounded time, no connection, group, instance or fiber of theirs is left; and no offset was ever written above a message
 * that was not finished.
 */
export const consumerRow = <E>(
  given: ConsumerRowOptions,
  body: (rig: ConsumerRig) => Effect.Effect<unknown, E, RowServices>
) =>
  Effect.gen(function* () {
    const { brokerNames = ["broker-a"], closeMillis = 2_000, queues = 4 } = given
    const fibers = countFibers()
    yield* Effect.gen(function* () {
      const { brokers, createTopic, faults, namesrvAddr } = yield* EmbeddedCluster
      for (const broker of brokerNames)
        yield* createTopic("orders", { broker, readQueueNums: queues, writeQueueNums: queues })
      yield* settle
      const before = fibers.live()
      const clock = yield* Clock.Clock
      const wire = yield* Wire
      const delivered: Array<Delivered> = []
      const leaving = new Set<Effect.Effect<number>>()
      const outer = yield* Scope.make()
      const sender = yield* Scope.make()
      const producer = yield* DefaultMQProducer.make({ producerGroup: "sender", namesrvAddr, instanceName: "sender" })
      yield* producer.start
      yield* Scope.addFinalizer(sender, producer.shutdown)

      const join: ConsumerRig["join"] = Effect.fnUntraced(function* <F>(
        name: string,
        handler: Handler<F, never> | MessageListener<F, never> = () => Effect.void,
        options: Partial<PushConsumerOptions> = {}
      ) {
        const state: { alive: "yes" | "killed" | "vanished" } = { alive: "yes" }
        const open = new Set<Scope.Closeable>()
        const note = (message: ReceivedMessage) => {
          if (state.alive === "yes") {
            delivered.push({
              member: name,
              text: new TextDecoder().decode(message.body),
              attempt: message.attempt,
              at: clock.currentTimeMillisUnsafe(),
              message
            })
          }
        }
        const noting: Handler<F, never> | MessageListener<F, never> =
          typeof handler === "function"
            ? (message): Effect.Effect<ConsumeResult | void, F> => {
                note(message)
                return handler(message)
              }
            : handler
        const scope = yield* Scope.make()
        const manager = Layer.fresh(MQClientManager.layer).pipe(
          Layer.provideMerge(mortal(state, open)),
          Layer.provide(Layer.succeed(Wire, wire))
        )
        const context = yield* Scope.provide(Layer.build(manager), scope)
        const consumer = yield* DefaultMQPushConsumer.make<F, never>(
          {
            consumerGroup: GROUP,
            subscriptions: [Subscription.all("orders")],
            namesrvAddr,
            instanceName: name,
            consumeFromWhere: "first",
            ...options
          },
          noting
        ).pipe(Effect.provideContext(context))
        const leave = Effect.gen(function* () {
          const { exit, millis } = yield* timed(Scope.close(scope, Exit.void), 120_000, 50)
          for (const one of open) yield* Scope.close(one, Exit.void)
          leaving.delete(leave)
          valueOf(exit)
          return millis
        })
        leaving.add(leave)
        yield* Scope.addFinalizer(scope, consumer.shutdown)
        yield* Effect.provideContext(consumer.start, context)
        const member: Member = {
          consumer,
          leave,
          kill: Effect.gen(function* () {
            state.alive = "killed"
            for (const one of open) yield* Scope.close(one, Exit.void)
          }),
          vanish: Effect.sync(() => {
            state.alive = "vanished"
          })
        }
        return member
      })

      const rig: ConsumerRig = {
        producer,
        send: (texts, queueId) =>
          Effect.forEach(
            texts,
            (sent) =>
              producer.send(
                Message.make({ topic: "orders", body: sent }),
                queueId === undefined ? {} : { queue: MessageQueue.make("orders", "broker-a", queueId) }
              ),
            { discard: true }
          ),
        join,
        delivered,
        timesOf: (text) => delivered.filter((one) => one.text === text).length,
        waitFor: Effect.fnUntraced(function* (what, condition, millis = 60_000) {
          const check = typeof condition === "function" ? Effect.sync(condition) : Effect.orDie(condition)
          for (let spent = 0; !(yield* check); spent += 50) {
            if (spent > millis) yield* Effect.die(new Error(`not within ${millis} ms: ${what}`))
            yield* advance(50, 50)
          }
        })
      }
      const exit = yield* Effect.exit(Scope.provide(body(rig), outer))
      yield* faults.clear
      for (const leave of leaving) {
        const millis = yield* leave
        if (Exit.isSuccess(exit)) assert.isAtMost(millis, closeMillis, "the members' end is bounded")
      }
      valueOf((yield* timed(Scope.close(sender, Exit.void))).exit)
      yield* Scope.close(outer, Exit.void)
      valueOf(exit)
      yield* advance(10_000, 1_000)
      assert.deepStrictEqual(yield* held, nothing)
      yield* Effect.forEach(brokers, (broker) => broker.stop())
      yield* settle
      assert.isAtMost(fibers.live(), before, "no fiber is left")
    }).pipe(Effect.forkChild({ startImmediately: true }), Effect.flatMap(Fiber.join), fibers.provide)
  }).pipe(
    Effect.provide(
      memory({
        recordTraffic: true,
        listen: { namesrvPort: 9876, brokerPort: 10_911 },
        ...given,
        brokers: given.brokers ?? (given.brokerNames ?? ["broker-a"]).map((name) => ({ name }))
      })
    )
  )

/** Starts a member while time goes on: it is not alone, or something keeps it waiting. */
export const joining = (rig: ConsumerRig, ...args: Parameters<ConsumerRig["join"]>) =>
  Effect.map(timed(rig.join(...args), 60_000, 50), ({ exit }) => valueOf(exit))

/** The queues of `orders` that a member owns. */
export const ownedBy = ({ consumer }: Member) =>
  Effect.map(consumer.assignment, (queues) =>
    queues.filter(({ topic }) => topic === "orders").map(({ brokerName, queueId }) => `${brokerName}@${queueId}`)
  )

/** Whether the members own all queues of `orders`, each once. */
export const shared = (members: ReadonlyArray<Member>, queues: number) =>
  Effect.map(Effect.forEach(members, ownedBy), (all) => {
    const flat = all.flat()
    return flat.length === queues && new Set(flat).size === queues && all.every((own) => own.length > 0)
  })

/** The offsets of a queue of `orders` that were written, by 15 or with a pull, in their order, with what became of them. */
export const commitsOf = (queueId: number, topic = "orders") =>
  Effect.flatMap(EmbeddedCluster, ({ traffic }) =>
    Effect.map(traffic.all, (all) =>
      all.flatMap(({ answer, code, extFields, remoteAddress, time }) => {
        const isCommit =
          code === RequestCode.UPDATE_CONSUMER_OFFSET ||
          (code === RequestCode.PULL_MESSAGE && (Number(extFields?.["sysFlag"]) & 1) === 1)
        return isCommit && extFields?.["topic"] === topic && extFields["queueId"] === String(queueId)
          ? [{ code, offset: Number(extFields["commitOffset"]), remoteAddress, time, answer: answer?.code }]
          : []
      })
    )
  )

/** What a member has counted. */
export const countersOf = ({ consumer }: Member) => Effect.map(consumer.state, ({ counters }) => counters)

/** The problems that a member has, by their texts. */
export const problemsOf = ({ consumer }: Member) =>
  Effect.map(consumer.state, ({ problems }) => problems.map(({ text }) => text))

/** Whether a member has read all its queues to their end, as it knows them, and holds nothing. */
export const isIdle = ({ consumer }: Member) =>
  Effect.map(consumer.state, ({ queues, running }) => running === 0 && queues.every(({ cached }) => cached === 0))

/** Does something as an administrator of the cluster. */
export const administering = <A, E>(self: Effect.Effect<A, E, MQAdmin>) =>
  Effect.gen(function* () {
    const { namesrvAddr } = yield* EmbeddedCluster
    const admin = MQAdmin.layer({ namesrvAddr }).pipe(Layer.provide(Layer.fresh(MQClientManager.layer)))
    return valueOf((yield* timed(Effect.provide(self, admin, { local: true }))).exit)
  })

/** Numbers as texts. */
export const numbers = (count: number, from = 0): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, n) => `${from + n}`)

export { advance, settle, timed, until, valueOf }
