/** What the tests on real clusters share: producers, topics, a load that goes on, and the time that something takes. */
import { assert, type TestContext } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, References } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as Message from "../../src/message/Message.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import type { ProducerOptions } from "../../src/producer/ProducerConfig.ts"
import * as TcpWire from "../../src/transport/TcpWire.ts"
import { makeLedger } from "../conformance/ledger.ts"
import { make as makeObserver, type TopicShape } from "../conformance/Observer.ts"
import { eventually, eventuallyThat, uniqueName } from "../conformance/support.ts"
import { RocketMQ, type RocketMQOptions } from "./RocketMQServer.ts"

/** A test must end within this, however busy the machine is. */
export const TEST_TIMEOUT = 120_000

/** What a shutdown may take with nobody left to tell: 500 ms for farewells, 200 ms for sockets, and a busy machine's share. */
export const SHUTDOWN_MILLIS = 2_000

/** A producer of the cluster, for as long as the scope is open; it polls and beats every second. */
export const startProducer = Effect.fnUntraced(function* (options: Partial<ProducerOptions> = {}) {
  const { namesrvAddr } = yield* RocketMQ
  const producer = yield* DefaultMQProducer.make({
    producerGroup: uniqueName("faults"),
    instanceName: uniqueName("faults"),
    namesrvAddr,
    startTimeoutMillis: 60_000,
    sendMsgTimeout: 60_000,
    pollNameServerInterval: 1_000,
    heartbeatBrokerInterval: 1_000,
    ...options
  })
  yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
  return producer
})

/** Looks at the cluster, for as long as the scope is open. */
export const observe = Effect.flatMap(RocketMQ, ({ namesrvAddr }) => makeObserver(namesrvAddr))

/** A topic, with four queues unless told otherwise, on the named brokers and known to the first name server. */
export const createTopic = Effect.fnUntraced(function* (
  name: string,
  brokers: ReadonlyArray<string>,
  shape?: TopicShape
) {
  const cluster = yield* RocketMQ
  const observer = yield* observe
  const topic = uniqueName(name)
  for (const broker of cluster.brokers) {
    if (brokers.includes(broker.name)) yield* eventually(observer.createTopic(broker.address, topic, shape))
  }
  yield* eventuallyThat(observer.route(topic), (route) =>
    assert.sameMembers(route?.queueDatas.map((data) => data.brokerName) ?? [], [...brokers])
  )
  return topic
})

/** Everything a topic holds, once every one of its brokers is in its route again and has indexed what it acknowledged. */
export const readTopic = Effect.fnUntraced(function* (topic: string, brokers: number, acknowledged: number) {
  const observer = yield* observe
  yield* eventuallyThat(observer.route(topic), (route) => assert.strictEqual(route?.queueDatas.length, brokers))
  return yield* eventuallyThat(observer.readTopic(topic), (queues) =>
    assert.isAtLeast([...queues.values()].flat().length, acknowledged)
  )
})

/** Sends from 32 places at once until stopped; each sends its next message a moment after its last has ended. */
export const startLoad = Effect.fnUntraced(function* (producer: DefaultMQProducer["Service"], topic: string) {
  const ledger = makeLedger()
  let running = true
  let next = 0
  const fiber = yield* Effect.forEach(
    Array.from({ length: 32 }),
    () =>
      Effect.whileLoop({
        while: () => running,
        body: () => {
          const n = next++
          const message = Message.make({ topic, body: `${n} `.repeat(1 + (n % 100)), keys: `key-${n}` })
          return Effect.andThen(ledger.record(message, producer.send(message)), Effect.sleep(10))
        },
        step: () => undefined
      }),
    { concurrency: "unbounded", discard: true }
  ).pipe(Effect.forkScoped)
  return {
    ledger,
    /** Waits until so many more sends were acknowledged, by the named broker or by any. */
    acknowledged: (more: number, brokerName?: string) => {
      const from = ledger.acknowledged.length
      return eventuallyThat(
        Effect.sync(() =>
          ledger.acknowledged
            .slice(from)
            .filter(({ result }) => brokerName === undefined || result.queue.brokerName === brokerName)
        ),
        (results) => assert.isAtLeast(results.length, more, `acknowledged by ${brokerName ?? "any broker"}`)
      )
    },
    stop: Effect.suspend(() => {
      running = false
      return Fiber.join(fiber)
    })
  }
})

/** Milliseconds that an effect takes. */
export const millisOf = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.timed(self), ([duration]) => Duration.toMillis(duration))

/** Puts a number into the report of the run. */
export const annotate = (context: TestContext, text: string) => Effect.promise(() => context.annotate(text))

/** A RocketMQ, 5.5.0 unless told otherwise, and what a client needs, without a word in the log. */
export const services = (options: Partial<RocketMQOptions>) =>
  Layer.mergeAll(
    RocketMQ.layer({ version: "5.5.0", ...options }),
    MQClientManager.layerTcp,
    TcpWire.layer,
    Layer.succeed(References.MinimumLogLevel, "None")
  )
