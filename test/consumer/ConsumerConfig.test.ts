import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, DateTime, Duration, Effect, Latch, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { InvalidConfig } from "../../src/client/ClientError.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { fromConfig, names as configNames, type Overrides } from "../../src/consumer/ConsumerConfig.ts"
import { resolve, table } from "../../src/consumer/ConsumerOptions.ts"
import { DefaultMQPushConsumer } from "../../src/consumer/DefaultMQPushConsumer.ts"
import * as Message from "../../src/message/Message.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import { failureOf, onMemory, startProducer } from "../support/rig.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"

const group = { ROCKETMQ_CONSUMER_GROUP: "billing", ROCKETMQ_CONSUMER_TOPIC: "orders" }

const inCodeGroup = { consumerGroup: "billing", subscriptions: [Subscription.all("orders")] as const }

const millisOf = (place: unknown) =>
  typeof place === "object" && place !== null && "timestamp" in place && DateTime.isDateTime(place.timestamp)
    ? DateTime.toEpochMillis(place.timestamp)
    : place

const where = (word: string) => ({ ROCKETMQ_CONSUMER_CONSUME_FROM_WHERE: word })

const fromEnvironment = (env: Record<string, string>, given?: Overrides) =>
  fromConfig(given).pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord(env)))

const from = (text: string) =>
  Effect.map(fromEnvironment({ ...group, ...where(text) }), ({ consumeFromWhere }) => consumeFromWhere)

const fromFile = (root: unknown, given?: Overrides) =>
  fromConfig(given).pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(root)))

const problemsOf = <A, R>(self: Effect.Effect<A, InvalidConfig, R>) =>
  Effect.map(Effect.flip(self), ({ problems }) => problems.map(({ path, problem }) => `${path}: ${problem}`))

describe("a consumer's options from Config", () => {
  it("have a name each, and a row in docs/configuration.md", () => {
    const named = new Set(configNames.map(({ option }) => option.replace(/\..*/, "")))
    const inCodeOnly = Object.entries(table).flatMap(([key, { entries }]) =>
      entries.every(({ words }) => words.length === 0) ? [key] : []
    )
    assert.deepStrictEqual(
      Object.keys(table).filter((key) => !named.has(key) && !inCodeOnly.includes(key)),
      []
    )
    const page = Fs.readFileSync(Path.join(import.meta.dirname, "..", "..", "docs", "configuration.md"), "utf8")
    const own = configNames.filter(({ names }) => names[0]?.startsWith("rocketmq.consumer."))
    const undocumented = own.filter(
      ({ names, option }) =>
        !/^(?:tls|credentials|remoting)/.test(option) &&
        !page.includes(`\`${names[0]}\``) &&
        !page.includes(`\`${(names[0] ?? "").replace(".consumer.", ".producer.")}\``)
    )
    assert.deepStrictEqual(undocumented, [])
    assert.deepStrictEqual(
      inCodeOnly.filter((key) => !page.includes(`\`${key}\``)),
      []
    )
    const all = configNames.flatMap(({ environment }) => environment)
    assert.strictEqual(new Set(all).size, all.length)
  })

  it.effect("take the words of rocketmq-spring and of Java, as variables and as a file", () =>
    Effect.gen(function* () {
      const variables = yield* fromEnvironment({
        ROCKETMQ_NAME_SERVER: "10.0.0.1:9876",
        ROCKETMQ_CONSUMER_GROUP: "billing",
        ROCKETMQ_CONSUMER_TOPIC: "orders, refunds",
        ROCKETMQ_CONSUMER_SELECTOR_TYPE: "tag",
        ROCKETMQ_CONSUMER_SELECTOR_EXPRESSION: "paid || shipped",
        ROCKETMQ_CONSUMER_MESSAGE_MODEL: "broadcasting",
        ROCKETMQ_CONSUMER_PULL_BATCH_SIZE: "10",
        ROCKETMQ_CONSUMER_CONSUME_THREAD_NUMBER: "7",
        ROCKETMQ_CONSUMER_CONSUME_TIMEOUT: "30",
        ROCKETMQ_CONSUMER_MAX_RECONSUME_TIMES: "3",
        ROCKETMQ_CONSUMER_DELAY_LEVEL_WHEN_NEXT_CONSUME: "5",
        ROCKETMQ_CONSUMER_AWAIT_TERMINATION_MILLIS_WHEN_SHUTDOWN: "1000",
        ROCKETMQ_CONSUMER_CONSUME_FROM_WHERE: "CONSUME_FROM_FIRST_OFFSET",
        ROCKETMQ_CONSUMER_PULL_THRESHOLD_SIZE_FOR_QUEUE: "12",
        ROCKETMQ_CONSUMER_ALLOCATE_MESSAGE_QUEUE_STRATEGY: "AVG_BY_CIRCLE"
      })
      const file = yield* fromFile({
        rocketmq: {
          nameServer: "10.0.0.1:9876",
          consumer: {
            group: "billing",
            topic: ["orders", "refunds"],
            "selector-type": "TAG",
            selectorExpression: "paid || shipped",
            messageModel: "BROADCASTING",
            "pull-batch-size": "10",
            consumeThreadNumber: "7",
            consumeTimeout: "30 minutes",
            maxReconsumeTimes: "3",
            delayLevelWhenNextConsume: "5",
            awaitTerminationMillisWhenShutdown: "1s",
            consumeFromWhere: "first",
            pullThresholdSizeForQueue: "12",
            allocateMessageQueueStrategy: "avg_by_circle"
          }
        }
      })
      for (const options of [variables, file]) {
        const { config, problems } = resolve(options)
        assert.deepStrictEqual(problems, [])
        assert.deepStrictEqual(config.subscriptions, [
          Subscription.expression("orders", "paid || shipped"),
          Subscription.expression("refunds", "paid || shipped")
        ])
        assert.deepInclude(config, {
          consumerGroup: "billing",
          messageModel: "BROADCASTING",
          pullBatchSize: 10,
          consumeThreadMin: 7,
          consumeThreadMax: 7,
          consumeTimeout: 1_800_000,
          maxReconsumeTimes: 3,
          drainTimeoutMillis: 1_000,
          consumeFromWhere: "first",
          pullThresholdSizeForQueue: 12
        })
        const { allocateMessageQueueStrategy: strategy, reconsumePolicy } = config
        assert.strictEqual(strategy?.name, "AVG_BY_CIRCLE")
        const after = reconsumePolicy?.delay(1)
        assert.strictEqual(typeof after === "number" && Duration.toMillis(after), 60_000)
      }
    })
  )

  it.effect("a place to begin is a word or a time", () =>
    Effect.gen(function* () {
      const noon = Date.UTC(2024, 1, 29, 12)
      assert.strictEqual(yield* from("Last"), "last")
      assert.strictEqual(millisOf(yield* from("2024-02-29T12:00:00Z")), noon)
      const java = (more: Record<string, string>) =>
        Effect.map(fromEnvironment({ ...group, ...more }), ({ consumeFromWhere }) => millisOf(consumeFromWhere))
      const local = new Date(2024, 1, 29, 12).getTime()
      const timestamp = { ROCKETMQ_CONSUMER_CONSUME_TIMESTAMP: "20240229120000" }
      assert.strictEqual(yield* java(timestamp), local)
      assert.strictEqual(yield* java({ ...timestamp, ...where("CONSUME_FROM_TIMESTAMP") }), local)
      // Java reads the time only where it is asked for, and its default is half an hour ago.
      assert.strictEqual(yield* java({ ...timestamp, ...where("CONSUME_FROM_FIRST_OFFSET") }), "first")
      yield* TestClock.setTime(noon)
      assert.strictEqual(yield* java(where("CONSUME_FROM_TIMESTAMP")), noon - 1_800_000)
      const inCode = (given: unknown) => {
        const { config, problems } = resolve({ ...inCodeGroup, ...Object.fromEntries([["consumeFromWhere", given]]) })
        return problems.length > 0 ? problems.map(({ problem }) => problem).join() : millisOf(config.consumeFromWhere)
      }
      for (const time of [noon, new Date(noon), "2024-02-29T12:00:00", DateTime.makeUnsafe(noon)]) {
        assert.strictEqual(inCode({ timestamp: time }), noon)
      }
      for (const none of [-1, Number.NaN, "soon", null, undefined]) {
        assert.include(String(inCode({ timestamp: none })), `must be "first", "last" or { timestamp }`)
      }
    })
  )

  it.effect("a filter may be in SQL92", () =>
    Effect.gen(function* () {
      const options = yield* fromEnvironment({
        ...group,
        ROCKETMQ_CONSUMER_TOPIC: "orders,refunds",
        ROCKETMQ_CONSUMER_SELECTOR_TYPE: "sql92",
        ROCKETMQ_CONSUMER_SELECTOR_EXPRESSION: "price > 100"
      })
      assert.deepStrictEqual(options.subscriptions, [
        Subscription.sql("orders", "price > 100"),
        Subscription.sql("refunds", "price > 100")
      ])
      const { problems } = resolve({ ...inCodeGroup, subscriptions: [Subscription.sql("orders", " ")] })
      assert.deepStrictEqual(
        problems.map(({ problem }) => problem),
        ["the SQL92 filter of topic orders is empty"]
      )
    })
  )

  it.effect("that cannot be used are told all at once, each under the name at which it was found", () =>
    Effect.gen(function* () {
      const problems = yield* problemsOf(
        fromEnvironment({
          ROCKETMQ_CONSUMER_GROUP: "no group!",
          ROCKETMQ_CONSUMER_SELECTOR_TYPE: "XPATH",
          ROCKETMQ_CONSUMER_MESSAGE_MODEL: "EVERYBODY",
          ROCKETMQ_CONSUMER_PULL_BATCH_SIZE: "0",
          ROCKETMQ_CONSUMER_CONSUME_FROM_WHERE: "somewhere",
          ROCKETMQ_CONSUMER_DELAY_LEVEL_WHEN_NEXT_CONSUME: "19",
          ROCKETMQ_CONSUMER_ALLOCATE_MESSAGE_QUEUE_STRATEGY: "CONFIG",
          ROCKETMQ_CONSUMER_PULL_THRESHOLD_FOR_TOPIC: "0"
        })
      )
      assert.deepStrictEqual(problems.map((problem) => /^\w+/.exec(problem)?.[0] ?? "").toSorted(), [
        "ROCKETMQ_CONSUMER_ALLOCATE_MESSAGE_QUEUE_STRATEGY",
        "ROCKETMQ_CONSUMER_CONSUME_FROM_WHERE",
        "ROCKETMQ_CONSUMER_DELAY_LEVEL_WHEN_NEXT_CONSUME",
        "ROCKETMQ_CONSUMER_GROUP",
        "ROCKETMQ_CONSUMER_MESSAGE_MODEL",
        "ROCKETMQ_CONSUMER_PULL_BATCH_SIZE",
        "ROCKETMQ_CONSUMER_PULL_THRESHOLD_FOR_TOPIC",
        "ROCKETMQ_CONSUMER_SELECTOR_TYPE",
        "subscriptions"
      ])
      assert.include(
        problems.join("\n"),
        "subscriptions: is not set; ROCKETMQ_CONSUMER_TOPIC or rocketmq.consumer.topic"
      )
      assert.include(
        (yield* problemsOf(fromEnvironment({ ...group, ROCKETMQ_CONSUMER_TOPIC: "a b" }))).join(),
        "ROCKETMQ_CONSUMER_TOPIC"
      )
      assert.include(
        (yield* problemsOf(fromEnvironment(group, { consumerGroup: "%" + "x".repeat(200) }))).join(),
        "120"
      )
    })
  )

  it("a bare number is no consumeTimeout in code", () => {
    const options: Record<string, unknown> = {
      consumerGroup: "billing",
      subscriptions: [Subscription.all("orders")],
      consumeTimeout: 15
    }
    const { problems } = resolve(options)
    assert.deepStrictEqual(
      problems.map(({ path, problem }) => `${path} ${problem}`),
      ['consumeTimeout must say its unit, such as "15 minutes", is 15']
    )
  })

  it.effect("a name that nobody reads is warned of once, and those of producers are left alone", () => {
    const lines: Array<unknown> = []
    return Effect.gen(function* () {
      yield* fromEnvironment({ ...group, ROCKETMQ_CONSUMER_PULL_BATCH_SIZ: "3", ROCKETMQ_PRODUCER_NONSENSE: "1" })
      assert.strictEqual(lines.length, 1)
      assert.include(String(lines[0]), "ROCKETMQ_CONSUMER_PULL_BATCH_SIZ is set and read by nobody")
      assert.include(String(lines[0]), "did you mean ROCKETMQ_CONSUMER_PULL_BATCH_SIZE?")
    }).pipe(Effect.provide(Logger.layer([Logger.make(({ message }) => lines.push(message))])))
  })
})

describe("DefaultMQPushConsumer.layerConfig", () => {
  it.effect("starts with what the environment says, and what is given in code wins", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      const seen: Array<string> = []
      yield* Effect.gen(function* () {
        const consumer = yield* DefaultMQPushConsumer
        assert.strictEqual(consumer.consumerGroup, "billing")
        assert.strictEqual((yield* consumer.state).concurrency, 3)
        yield* producer.send(Message.make({ topic: "orders", body: "7", tags: "paid" }))
        yield* producer.send(Message.make({ topic: "orders", body: "8", tags: "new" }))
        yield* consumer.caughtUp()
        assert.deepStrictEqual(seen, ["paid"])
      }).pipe(
        Effect.provide(
          DefaultMQPushConsumer.layerConfig(
            (message) =>
              Effect.sync(() => {
                seen.push(message.tags ?? "")
              }),
            { namesrvAddr, concurrency: Config.Number("CONCURRENCY") }
          )
        ),
        Effect.provideService(
          ConfigProvider.ConfigProvider,
          ConfigProvider.fromEnvRecord({
            ...group,
            ROCKETMQ_CONSUMER_SELECTOR_EXPRESSION: "paid",
            ROCKETMQ_CONSUMER_CONCURRENCY: "9",
            CONCURRENCY: "3"
          })
        )
      )
    }).pipe(Effect.scoped, onMemory({ topics: { orders: {} } }))
  )

  it.effect("fails as a start that lists every problem", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(DefaultMQPushConsumer.layerConfig(() => Effect.void))))
      const error = failureOf(exit)
      assert.deepInclude(error, { step: "5.2" })
      assert.include(String(error), "consumerGroup: is not set")
      assert.include(String(error), "subscriptions: is not set")
    }).pipe(
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord({})),
      Effect.provide(MQClientManager.layerTcp)
    )
  )
})

describe("limits over the queues of a topic", () => {
  it.effect("hold back pulls of that topic alone, until there is room again", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      for (let n = 0; n < 100; n++) yield* producer.send(Message.make({ topic: "orders", body: `${n}` }))
      for (let n = 0; n < 100; n++) yield* producer.send(Message.make({ topic: "other", body: `${n}` }))
      let stopped = true
      const gate = yield* Latch.make(false)
      const consumer = yield* DefaultMQPushConsumer.make(
        {
          consumerGroup: "billing",
          namesrvAddr,
          subscriptions: [Subscription.all("orders"), Subscription.all("other")],
          consumeFromWhere: "first",
          pullThresholdForTopic: 10
        },
        () => (stopped ? gate.await : Effect.void)
      )
      yield* Effect.acquireRelease(consumer.start, () => consumer.shutdown)
      yield* Effect.repeat(Effect.yieldNow, { times: 200 })
      const cached = (topic: string) =>
        Effect.map(consumer.state, ({ queues }) =>
          queues.filter(({ queue }) => queue.topic === topic).reduce((sum, one) => sum + one.cached, 0)
        )
      for (const topic of ["orders", "other"]) {
        assert.isAtLeast(yield* cached(topic), 10)
        // Four queues, of which each had asked for as many when there was room.
        assert.isAtMost(yield* cached(topic), 40)
      }
      stopped = false
      yield* gate.open
      yield* consumer.caughtUp()
      assert.strictEqual((yield* consumer.state).counters.succeeded, 200)
    }).pipe(Effect.scoped, onMemory({ topics: { orders: {}, other: {} } }))
  )
})
