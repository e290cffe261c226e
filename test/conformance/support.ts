/** What the parts of the conformance suite share: producers in a test's scope, waiting for an event, and comparisons. */
import { assert, type Vitest } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import type { Message } from "../../src/message/Message.ts"
import type { MessageExt } from "../../src/message/MessageExt.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import type { SendResult } from "../../src/message/SendResult.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import type { ProducerOptions } from "../../src/producer/ProducerConfig.ts"
import * as Compression from "../../src/protocol/Compression.ts"
import { isReserved } from "../../src/protocol/MessageProperties.ts"
import type { Wire } from "../../src/transport/Wire.ts"
import { Observer } from "./Observer.ts"
import { Target } from "./Target.ts"

/** What a test of the suite may use. */
export type Services = Target | Observer | Wire

/** How a part of the suite registers its tests. */
export type Methods = Vitest.MethodsNonLive<Services>

/** Milliseconds that an assertion about a busy machine may need; what is asserted is not softened by it. */
export const PATIENCE_MILLIS = 60_000

let unique = 0
/** A topic or group name that nothing else in this process uses. */
export const uniqueName = (name: string): string => `conf-${name}-${unique++}`

/** Runs a test with a client manager of its own. */
export const withManager = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.provide(self, MQClientManager.layer, { local: true })

/** A producer of the target in CREATE_JUST; its times leave room for a busy machine. It is shut down with the scope. */
export const makeProducer = Effect.fnUntraced(function* (options: Partial<ProducerOptions> = {}) {
  const { namesrvAddr } = yield* Target
  const producer = yield* DefaultMQProducer.make({
    producerGroup: uniqueName("group"),
    namesrvAddr,
    startTimeoutMillis: PATIENCE_MILLIS,
    sendMsgTimeout: PATIENCE_MILLIS,
    mqClientApiTimeout: PATIENCE_MILLIS / 2,
    ...options
  })
  yield* Effect.addFinalizer(() => producer.shutdown)
  return producer
})

/** {@link makeProducer}, started. */
export const startProducer = Effect.fnUntraced(function* (options: Partial<ProducerOptions> = {}) {
  const producer = yield* makeProducer(options)
  yield* producer.start
  return producer
})

/** Repeats an effect until it succeeds, and gives its last failure when it does not within {@link PATIENCE_MILLIS}. */
export const eventually = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const deadline = performance.now() + PATIENCE_MILLIS
    for (;;) {
      const exit = yield* Effect.exit(self)
      if (Exit.isSuccess(exit)) return exit.value
      if (performance.now() > deadline || Cause.hasInterruptsOnly(exit.cause))
        return yield* Effect.failCause(exit.cause)
      yield* Effect.sleep(20)
    }
  })

/** Repeats an effect until its value passes the assertions; gives the value. */
export const eventuallyThat = <A, E, R>(self: Effect.Effect<A, E, R>, assertion: (value: A) => void) =>
  eventually(
    Effect.map(self, (value) => {
      assertion(value)
      return value
    })
  )

/** Creates a topic on both brokers, or on those named, and waits until the name server has it there. */
export const createTopic = Effect.fnUntraced(function* (
  name: string,
  shape: { readonly queues?: number; readonly perm?: number; readonly brokers?: ReadonlyArray<string> } = {}
) {
  const target = yield* Target
  const observer = yield* Observer
  const topic = uniqueName(name)
  const brokers = target.brokers.filter((broker) => shape.brokers?.includes(broker.name) ?? true)
  for (const broker of brokers) yield* observer.createTopic(broker.address, topic, shape)
  yield* eventuallyThat(observer.route(topic), (route) =>
    assert.sameMembers(
      route?.queueDatas.map((q) => q.brokerName) ?? [],
      brokers.map((broker) => broker.name)
    )
  )
  return topic
})

/** The properties that a user set: those that RocketMQ does not reserve. */
export const userProperties = (message: MessageExt): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(message.properties).filter(([name]) => !isReserved(name)))

/** Bodies of so many bytes leave packed (Java `compressMsgBodyOverHowmuch`). */
const COMPRESSED_FROM = 4_096

/** Asserts that a stored message is the one that was sent with this result, in every part. */
export const assertStored = (stored: MessageExt | undefined, sent: Message, result: SendResult) => {
  assert.isDefined(stored, `nothing is stored at ${MessageQueue.key(result.queue)} offset ${result.queueOffset}`)
  assert.strictEqual(stored.topic, sent.topic)
  assert.strictEqual(stored.queueId, result.queue.queueId)
  assert.strictEqual(stored.queueOffset, result.queueOffset)
  // Comparing megabytes as arrays of numbers would take seconds.
  const body = Compression.decompress(stored.body, stored.sysFlag)
  assert.isTrue(
    body instanceof Uint8Array && Buffer.from(body).equals(sent.body),
    `the body of ${result.msgId} differs`
  )
  assert.strictEqual(stored.msgId, result.msgId)
  assert.strictEqual(stored.tags, sent.tags)
  assert.deepStrictEqual(stored.keys, sent.keys ?? [])
  assert.strictEqual(stored.offsetMsgId, result.offsetMsgId)
  assert.deepStrictEqual(userProperties(stored), { ...sent.properties })
  assert.strictEqual(stored.flag, sent.flag ?? 0)
  const isPacked = sent.body.length >= COMPRESSED_FROM && stored.body.length < sent.body.length
  assert.strictEqual(stored.sysFlag, isPacked ? Compression.sysFlagOf("ZLIB") : 0)
}

/** Where a result says that the message lies, as a text. */
export const placeOf = (result: SendResult): string => `${MessageQueue.key(result.queue)}@${result.queueOffset}`

/** How many results there are for each key. */
export const countBy = <A>(items: ReadonlyArray<A>, key: (item: A) => string): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const item of items) counts.set(key(item), (counts.get(key(item)) ?? 0) + 1)
  return counts
}

/** Asserts that a topic holds exactly these messages, each where its result says. */
export const assertTopicHolds = Effect.fnUntraced(function* (
  topic: string,
  sent: ReadonlyArray<{ readonly message: Message; readonly result: SendResult }>
) {
  const observer = yield* Observer
  // A broker makes what it has acknowledged readable a moment later.
  const stored = yield* eventuallyThat(observer.readTopic(topic), (queues) =>
    assert.isAtLeast([...queues.values()].flat().length, sent.length)
  )
  for (const { message, result } of sent) {
    assertStored(stored.get(MessageQueue.key(result.queue))?.[result.queueOffset], message, result)
  }
  assert.strictEqual(new Set(sent.map(({ result }) => placeOf(result))).size, sent.length, "two acks for one place")
  assert.strictEqual([...stored.values()].flat().length, sent.length, "the topic holds more than was acknowledged")
})

/**
 * Waits until the brokers let these be read: a real one builds its queues a moment after it has acknowledged, and tells no
 * greater offset before.
 */
export const untilReadable = Effect.fnUntraced(function* (results: ReadonlyArray<SendResult>) {
  const observer = yield* Observer
  const last = new Map<string, SendResult>()
  for (const result of results) last.set(MessageQueue.key(result.queue), result)
  yield* Effect.forEach(last.values(), ({ queue, queueOffset }) => eventually(observer.messageAt(queue, queueOffset)), {
    discard: true
  })
})
