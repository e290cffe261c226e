/** What the parts of the suite about consuming share: members of a group, what they saw, and what the brokers have of it. */
import { assert } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import type { PushConsumerOptions } from "../../src/consumer/ConsumerOptions.ts"
import { DefaultMQPushConsumer, type DefaultMQPushConsumerShape } from "../../src/consumer/DefaultMQPushConsumer.ts"
import type { Handler, MessageListener } from "../../src/consumer/MessageListener.ts"
import type { ReceivedMessage } from "../../src/consumer/ReceivedMessage.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import type { DefaultMQProducerShape } from "../../src/producer/DefaultMQProducer.ts"
import { Observer } from "./Observer.ts"
import { eventuallyThat, PATIENCE_MILLIS, uniqueName, untilReadable } from "./support.ts"
import { Target } from "./Target.ts"

/** The text of a message's body. */
export const textOf = ({ body }: { readonly body: Uint8Array }): string => new TextDecoder().decode(body)

/** A member of a group, in a client of its own; it begins at the first message. It is shut down with the scope. */
export const startConsumer = Effect.fnUntraced(function* <E, R>(
  topic: string,
  listener: Handler<E, R> | MessageListener<E, R>,
  options: Partial<PushConsumerOptions> = {}
) {
  const { namesrvAddr } = yield* Target
  const consumer = yield* DefaultMQPushConsumer.make<E, R>(
    {
      consumerGroup: uniqueName("consumers"),
      subscriptions: [Subscription.all(topic)],
      namesrvAddr,
      instanceName: uniqueName("member"),
      consumeFromWhere: "first",
      startTimeoutMillis: PATIENCE_MILLIS,
      mqClientApiTimeout: PATIENCE_MILLIS / 2,
      pollNameServerInterval: 1_000,
      ...options
    },
    listener
  )
  yield* Effect.addFinalizer(() => consumer.shutdown)
  yield* consumer.start
  return consumer
})

/** A handler that notes what it got. */
export const noting = (seen: Array<ReceivedMessage>) => (message: ReceivedMessage) =>
  Effect.sync(() => {
    seen.push(message)
  })

/** Sends so many messages, `<name>-0` and on, one after the other, until they can be read; gives their texts and results. */
export const sendMany = (producer: DefaultMQProducerShape, topic: string, count: number, name = "m") =>
  Effect.forEach(
    Array.from({ length: count }, (_, n) => `${name}-${n}`),
    (body) => Effect.map(producer.send(Message.make({ topic, body })), (result) => ({ body, result }))
  ).pipe(Effect.tap((all) => untilReadable(all.map(({ result }) => result))))

/** Asserts that the members own all queues of the topic, each of them once, and so many each; gives them. */
export const ownedOnce = Effect.fnUntraced(function* (
  members: ReadonlyArray<DefaultMQPushConsumerShape>,
  topic: string,
  shares: ReadonlyArray<number>
) {
  const assignments = Effect.map(
    Effect.forEach(members, (member) => member.assignment),
    (all) => all.map((queues) => queues.filter((queue) => queue.topic === topic).map(MessageQueue.key))
  )
  return yield* eventuallyThat(assignments, (owned) => {
    assert.deepStrictEqual(
      owned.map((queues) => queues.length),
      shares
    )
    assert.strictEqual(new Set(owned.flat()).size, owned.flat().length, "a queue with two owners")
  })
})

/** Up to where a group has read the queues of a topic, as the brokers have it, in all; a queue without an offset counts 0. */
export const committedOf = Effect.fnUntraced(function* (group: string, topic: string, queues: number) {
  const observer = yield* Observer
  const { brokers } = yield* Target
  const places = brokers.flatMap(({ name }) =>
    Array.from({ length: queues }, (_, id) => MessageQueue.make(topic, name, id))
  )
  const offsets = yield* Effect.forEach(places, (queue) => observer.committed(queue, group), { concurrency: 8 })
  return offsets.reduce<number>((sum, offset) => sum + (offset ?? 0), 0)
})

/** Runs an effect in a scope of its own, closed when it ends, and gives its value: the life of a member that leaves. */
export const inOwnScope = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, Scope.Scope>> =>
  Effect.scoped(self)
