/** Consumers on real brokers: members that come, go and are killed, brokers that die, permissions that are taken away. */
import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { MQAdmin } from "../../../src/admin/MQAdmin.ts"
import * as ConsumeResult from "../../../src/consumer/ConsumeResult.ts"
import type { PushConsumerOptions } from "../../../src/consumer/ConsumerOptions.ts"
import { DefaultMQPushConsumer, type DefaultMQPushConsumerShape } from "../../../src/consumer/DefaultMQPushConsumer.ts"
import type { ReceivedMessage } from "../../../src/consumer/ReceivedMessage.ts"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../../src/message/Message.ts"
import * as MessageQueue from "../../../src/message/MessageQueue.ts"
import { PermName } from "../../../src/message/MixAll.ts"
import type { DefaultMQProducerShape } from "../../../src/producer/DefaultMQProducer.ts"
import { eventually, eventuallyThat, uniqueName } from "../../conformance/support.ts"
import { flapping } from "../../support/flapping.ts"
import { memberProcess } from "../../support/memberProcess.ts"
import { standStill } from "../../support/standStill.ts"
import { RocketMQ } from "../RocketMQServer.ts"
import { annotate, createTopic, observe, services, startProducer, TEST_TIMEOUT } from "../support.ts"
import { A, B, brokerNamed, killed, paused, setBrokerConfig } from "./shared.ts"

const textOf = ({ body }: ReceivedMessage) => new TextDecoder().decode(body)
const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, n) => `${from + n}`)

/** A member of a group that polls, beats and writes offsets every second; it leaves with the scope. */
const join = Effect.fnUntraced(function* <E>(
  topic: string,
  handler: (message: ReceivedMessage) => Effect.Effect<ConsumeResult.ConsumeResult | void, E>,
  options: Partial<PushConsumerOptions> = {}
) {
  const { namesrvAddr } = yield* RocketMQ
  const consumer = yield* DefaultMQPushConsumer.make(
    {
      consumerGroup: uniqueName("group"),
      subscriptions: [Subscription.all(topic)],
      namesrvAddr,
      instanceName: uniqueName("member"),
      consumeFromWhere: "first",
      startTimeoutMillis: 60_000,
      pollNameServerInterval: 1_000,
      heartbeatBrokerInterval: 1_000,
      persistConsumerOffsetInterval: 1_000,
      persistConsumerOffsetInitialDelay: 1_000,
      reconsumePolicy: { delay: () => "1 second" },
      ...options
    },
    handler
  )
  yield* Effect.addFinalizer(() => consumer.shutdown)
  yield* consumer.start
  return consumer
})

/** Notes texts. */
const noting = (seen: Array<string>) => (message: ReceivedMessage) =>
  Effect.sync(() => {
    seen.push(textOf(message))
  })

const send = (producer: DefaultMQProducerShape, topic: string, texts: ReadonlyArray<string>) =>
  Effect.forEach(texts, (body) => eventually(producer.send(Message.make({ topic, body }))), { discard: true })

const hasAll = (seen: ReadonlyArray<string>, texts: ReadonlyArray<string>) =>
  eventuallyThat(
    Effect.sync(() => new Set(seen)),
    (set) => {
      assert.deepStrictEqual(
        texts.filter((text) => !set.has(text)),
        []
      )
    }
  )

const ownedOf = (members: ReadonlyArray<DefaultMQPushConsumerShape>, topic: string) =>
  Effect.map(
    Effect.forEach(members, (member) => member.assignment),
    (all) => all.map((queues) => queues.filter((queue) => queue.topic === topic).map(MessageQueue.key))
  )

/** Waits until the members own so many queues of the topic, each of them once. */
const shared = (members: ReadonlyArray<DefaultMQPushConsumerShape>, topic: string, count: number) =>
  eventuallyThat(ownedOf(members, topic), (owned) => {
    assert.strictEqual(owned.flat().length, count)
    assert.strictEqual(new Set(owned.flat()).size, count)
    assert.isTrue(owned.every((own) => own.length > 0))
  })

const isWell = (consumer: DefaultMQPushConsumerShape) =>
  eventuallyThat(consumer.state, ({ problems }) => assert.deepStrictEqual(problems, []))

const isTold = (consumer: DefaultMQPushConsumerShape, words: RegExp) =>
  eventuallyThat(consumer.state, ({ problems }) => assert.match(problems.map(({ text }) => text).join("\n"), words))

const cluster = services({ brokers: [{ name: A }, { name: B }] })

layer(cluster, { excludeTestServices: true, timeout: "10 minutes" })("RocketMQ 5.5.0, members of a group", (test) => {
  test.effect(
    "C-01: the name server is away at the start: a typed failure, or a lazy consumer that works when it is back",
    () =>
      Effect.gen(function* () {
        const topic = yield* createTopic("late-names", [A])
        const producer = yield* startProducer()
        yield* send(producer, topic, numbers(4))
        const { nameServers } = yield* RocketMQ
        const [nameServer] = nameServers
        assert.isDefined(nameServer)
        const seen: Array<string> = []
        const lazy = yield* killed(
          nameServer,
          Effect.gen(function* () {
            const error = yield* Effect.flip(join(topic, noting(seen)))
            assert.strictEqual(error.reason._tag, "NameServerUnavailable")
            return yield* join(topic, noting(seen), { readiness: "lazy" })
          })
        )
        yield* hasAll(seen, numbers(4))
        yield* isWell(lazy)
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )

  test.effect(
    "C-02, C-15: a topic that comes later, and gets more queues: both are read after the next poll",
    () =>
      Effect.gen(function* () {
        const observer = yield* observe
        const a = yield* brokerNamed(A)
        const topic = uniqueName("later")
        const seen: Array<string> = []
        const consumer = yield* join(topic, noting(seen))
        yield* isTold(consumer, /has no route/)
        yield* observer.createTopic(a.address, topic, { queues: 2 })
        yield* shared([consumer], topic, 2)
        yield* observer.createTopic(a.address, topic, { queues: 4 })
        yield* shared([consumer], topic, 4)
        const producer = yield* startProducer()
        for (const queueId of [0, 1, 2, 3]) {
          yield* eventually(
            producer.send(Message.make({ topic, body: `${queueId}` }), { queue: MessageQueue.make(topic, A, queueId) })
          )
        }
        yield* hasAll(seen, numbers(4))
        yield* isWell(consumer)
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )

  test.effect(
    "C-05: a broker makes no groups: a problem that says what to do, and it goes on once the group was created",
    () =>
      Effect.gen(function* () {
        const { namesrvAddr } = yield* RocketMQ
        const b = yield* brokerNamed(B)
        const topic = yield* createTopic("no-group", [B], { queues: 1 })
        const producer = yield* startProducer()
        yield* send(producer, topic, numbers(4))
        const seen: Array<string> = []
        yield* Effect.acquireRelease(setBrokerConfig(b.address, "autoCreateSubscriptionGroup=false"), () =>
          Effect.orDie(setBrokerConfig(b.address, "autoCreateSubscriptionGroup=true"))
        )
        const consumer = yield* join(topic, noting(seen))
        const { consumerGroup } = consumer
        yield* isTold(
          consumer,
          new RegExp(`does not exist[^]*Create it: effect-rocketmq group create ${consumerGroup}`)
        )
        assert.deepStrictEqual(seen, [])
        yield* Effect.flatMap(MQAdmin, (admin) => admin.createSubscriptionGroup({ groupName: consumerGroup })).pipe(
          Effect.provide(MQAdmin.layer({ namesrvAddr, instanceName: uniqueName("admin") }))
        )
        yield* hasAll(seen, numbers(4))
        yield* isWell(consumer)
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )

  test.effect(
    "C-06: the topic may not be read for a while: a problem meanwhile, other topics go on, and then it is read",
    () =>
      Effect.gen(function* () {
        const observer = yield* observe
        const a = yield* brokerNamed(A)
        const topic = yield* createTopic("forbidden", [A], { queues: 1 })
        const calm = yield* createTopic("calm", [A], { queues: 1 })
        const producer = yield* startProducer()
        const seen: Array<string> = []
        const consumer = yield* join(topic, noting(seen), {
          subscriptions: [Subscription.all(topic), Subscription.all(calm)],
          pollNameServerInterval: 3_600_000
        })
        yield* observer.createTopic(a.address, topic, { queues: 1, perm: PermName.WRITE })
        yield* send(producer, topic, ["dark"])
        yield* isTold(consumer, /pulling message is forbidden/)
        yield* send(producer, calm, ["calm"])
        yield* hasAll(seen, ["calm"])
        assert.notInclude(seen, "dark")
        yield* observer.createTopic(a.address, topic, { queues: 1, perm: PermName.READ | PermName.WRITE })
        yield* hasAll(seen, ["dark"])
        yield* isWell(consumer)
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )

  test.effect(
    "C-07, C-08: a member joins a group at work and leaves it: nothing is lost, nothing comes twice",
    () =>
      Effect.gen(function* () {
        const topic = yield* createTopic("join-leave", [A, B])
        const producer = yield* startProducer()
        const seen: Array<string> = []
        // On a busy machine a member may see late that the group has changed; who takes a queue waits for so much longer.
        const group = { consumerGroup: uniqueName("join-leave"), concurrency: 4, revokeDrain: 1_500 }
        const slow = (message: ReceivedMessage) => Effect.andThen(Effect.sleep(50), noting(seen)(message))
        const first = yield* join(topic, slow, group)
        const load = yield* Effect.forkChild(send(producer, topic, numbers(400)))
        const scope = yield* Scope.make()
        const second = yield* Scope.provide(join(topic, slow, group), scope)
        yield* shared([first, second], topic, 8)
        yield* Scope.close(scope, Exit.void)
        yield* shared([first], topic, 8)
        yield* Fiber.join(load)
        yield* hasAll(seen, numbers(400))
        assert.strictEqual(seen.length, 400)
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )

  test.effect(
    "C-09, C-40: a member is killed with kill -9: its queues are read by the other, twice comes only what it had",
    () =>
      Effect.gen(function* () {
        const { namesrvAddr } = yield* RocketMQ
        const topic = yield* createTopic("killed", [A, B])
        const producer = yield* startProducer()
        const consumerGroup = uniqueName("killed")
        const seen: Array<string> = []
        const first = yield* join(topic, noting(seen), { consumerGroup })
        const other = yield* memberProcess(namesrvAddr, topic, consumerGroup, 100)
        yield* eventuallyThat(ownedOf([first], topic), ([own]) => assert.strictEqual(own?.length, 4))
        yield* send(producer, topic, numbers(200))
        yield* eventuallyThat(
          Effect.sync(() => other.seen.length),
          (count) => assert.isAbove(count, 5)
        )
        yield* other.signal("SIGKILL")
        yield* other.end
        yield* shared([first], topic, 8)
        // A line that the process had not printed yet counts as not handled.
        yield* hasAll(
          seen,
          numbers(200).filter((text) => !other.seen.includes(text))
        )
        yield* eventuallyThat(first.state, ({ queues }) => assert.isTrue(queues.every(({ lag }) => (lag ?? 0) === 0)))
        const twice = seen.filter((text) => other.seen.includes(text))
        assert.isAtMost(twice.length, other.seen.length)
        assert.strictEqual(new Set(seen).size, seen.length)
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )

  test.effect(
    "C-12: processes come, leave and are killed all the time: nothing is lost, no offset falls, the last one owns everything",
    (context) =>
      Effect.gen(function* () {
        const { namesrvAddr } = yield* RocketMQ
        const topic = yield* createTopic("flapping", [A, B], { queues: 2 })
        const queues = [A, B].flatMap((name) => [0, 1].map((id) => MessageQueue.make(topic, name, id)))
        const group = uniqueName("flapping")
        const found = yield* flapping({ namesrvAddr, topic, queues, group, millis: 8_000 })
        yield* annotate(context, JSON.stringify(found))
        assert.deepStrictEqual(found.violations, [])
        assert.isAbove(found.ends.SIGKILL + found.ends.SIGTERM, 2)
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )

  test.effect(
    "C-47: a member that is told to end by SIGTERM drains: what it got is not delivered again",
    () =>
      Effect.gen(function* () {
        const { namesrvAddr } = yield* RocketMQ
        const topic = yield* createTopic("terminated", [A])
        const producer = yield* startProducer()
        const consumerGroup = uniqueName("terminated")
        yield* send(producer, topic, numbers(40))
        const other = yield* memberProcess(namesrvAddr, topic, consumerGroup, 50)
        yield* eventuallyThat(
          Effect.sync(() => other.seen.length),
          (count) => assert.isAbove(count, 0)
        )
        yield* other.signal("SIGTERM")
        assert.strictEqual(yield* other.end, 143)
        const seen: Array<string> = []
        yield* join(topic, noting(seen), { consumerGroup })
        yield* eventuallyThat(
          Effect.sync(() => other.seen.length + seen.length),
          (count) => assert.isAtLeast(count, 40)
        )
        yield* Effect.sleep(500)
        assert.sameMembers([...other.seen, ...seen], numbers(40))
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )

  test.effect(
    "C-48: a second signal ends a member at once, although its handler runs on and it may drain for an hour",
    () =>
      Effect.gen(function* () {
        const { namesrvAddr } = yield* RocketMQ
        const topic = yield* createTopic("impatient", [A])
        const producer = yield* startProducer()
        const consumerGroup = uniqueName("impatient")
        yield* send(producer, topic, ["x"])
        const other = yield* memberProcess(namesrvAddr, topic, consumerGroup, 3_600_000, 3_600_000)
        yield* hasAll(other.seen, ["started", "begins x"])
        // The first one begins the drain; one of the next finds it begun.
        while (other.isRunning()) {
          yield* other.signal("SIGTERM")
          yield* Effect.sleep(50)
        }
        assert.strictEqual(yield* other.end, 143)
        const seen: Array<string> = []
        yield* join(topic, noting(seen), { consumerGroup })
        yield* hasAll(seen, ["x"])
        assert.notInclude(other.seen, "x")
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )

  test.effect(
    "C-20, C-25: a broker is killed, starts again and knows nobody: pulls, offsets and redeliveries go on, nothing is lost",
    () =>
      Effect.gen(function* () {
        const b = yield* brokerNamed(B)
        const topic = yield* createTopic("restart", [B], { queues: 2 })
        const producer = yield* startProducer()
        const seen: Array<string> = []
        const consumer = yield* join(topic, (message) =>
          Effect.suspend(() => {
            seen.push(textOf(message))
            return message.attempt === 1 && textOf(message) === "5" ? Effect.fail("no") : Effect.void
          })
        )
        yield* send(producer, topic, numbers(10))
        yield* hasAll(seen, numbers(10))
        yield* killed(
          b,
          eventuallyThat(consumer.state, ({ problems }) => assert.isNotEmpty(problems))
        )
        yield* send(producer, topic, numbers(10, 10))
        yield* hasAll(seen, numbers(20))
        yield* eventuallyThat(
          Effect.sync(() => seen.filter((text) => text === "5").length),
          (count) => assert.isAtLeast(count, 2)
        )
        yield* isWell(consumer)
        yield* consumer.shutdown
        const observer = yield* observe
        const offsets = yield* Effect.forEach([0, 1], (queueId) =>
          observer.committed(MessageQueue.make(topic, B, queueId), consumer.consumerGroup)
        )
        assert.strictEqual(
          offsets.reduce<number>((sum, offset) => sum + (offset ?? 0), 0),
          20
        )
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )

  test.effect(
    "C-22: one broker stands still: the other's messages are read at once and its offsets written",
    () =>
      Effect.gen(function* () {
        const b = yield* brokerNamed(B)
        const observer = yield* observe
        const topic = yield* createTopic("stands-still", [A, B], { queues: 1 })
        const producer = yield* startProducer()
        const seen: Array<string> = []
        const consumer = yield* join(topic, noting(seen))
        yield* paused(
          b,
          Effect.gen(function* () {
            for (let n = 0; n < 5; n++) {
              const begin = performance.now()
              yield* producer.send(Message.make({ topic, body: `${n}` }), { queue: MessageQueue.make(topic, A, 0) })
              yield* hasAll(seen, numbers(n + 1))
              assert.isBelow(performance.now() - begin, 4_000)
            }
            yield* eventuallyThat(
              observer.committed(MessageQueue.make(topic, A, 0), consumer.consumerGroup),
              (offset) => assert.strictEqual(offset, 5)
            )
          })
        )
        yield* producer.send(Message.make({ topic, body: "b" }), { queue: MessageQueue.make(topic, B, 0) })
        yield* hasAll(seen, ["b"])
        yield* isWell(consumer)
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )

  test.effect(
    "C-29, C-30, C-33: failures, defects, dead letters, and a member killed before they are settled: nothing is lost",
    () =>
      Effect.gen(function* () {
        const observer = yield* observe
        const topic = yield* createTopic("fails", [A, B], { queues: 1 })
        const producer = yield* startProducer()
        const seen: Array<string> = []
        const consumer = yield* join(topic, (message): Effect.Effect<ConsumeResult.ConsumeResult | void, string> => {
          const text = textOf(message)
          seen.push(`${text} ${message.attempt}`)
          if (text === "poison") return Effect.succeed(ConsumeResult.deadLetter("poison"))
          if (message.attempt > 1) return Effect.void
          return text === "fails" ? Effect.fail("no") : text === "dies" ? Effect.die(new Error("bug")) : Effect.void
        })
        yield* send(producer, topic, ["fails", "dies", "poison", "fine"])
        yield* hasAll(seen, ["fails 1", "fails 2", "dies 1", "dies 2", "poison 1", "fine 1"])
        yield* eventuallyThat(observer.readTopic(`%DLQ%${consumer.consumerGroup}`), (queues) =>
          assert.strictEqual([...queues.values()].flat().length, 1)
        )
        assert.strictEqual(seen.length, 6)
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )

  test.effect(
    "C-32: the process stands still for some seconds: members, offsets and queues are as before",
    () =>
      Effect.gen(function* () {
        const topic = yield* createTopic("stands", [A], { queues: 2 })
        const producer = yield* startProducer()
        const seen: Array<string> = []
        const consumer = yield* join(topic, noting(seen))
        yield* send(producer, topic, numbers(4))
        yield* hasAll(seen, numbers(4))
        yield* Effect.sync(() => standStill(5_000))
        yield* send(producer, topic, numbers(4, 4))
        yield* hasAll(seen, numbers(8))
        yield* shared([consumer], topic, 2)
        yield* isWell(consumer)
        assert.strictEqual(seen.length, 8)
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )

  test.effect(
    "C-35: the broker of a failed message is killed before it is given back: it comes again from the other broker",
    () =>
      Effect.gen(function* () {
        const b = yield* brokerNamed(B)
        const topic = yield* createTopic("moves", [A, B], { queues: 1 })
        const producer = yield* startProducer()
        const places: Array<string> = []
        const released = yield* Deferred.make<void>()
        yield* join(topic, (message) =>
          Effect.suspend((): Effect.Effect<void, string> => {
            places.push(`${message.brokerName} ${message.attempt}`)
            return message.attempt > 1 ? Effect.void : Effect.andThen(Deferred.await(released), Effect.fail("no"))
          })
        )
        yield* producer.send(Message.make({ topic, body: "x" }), { queue: MessageQueue.make(topic, B, 0) })
        yield* eventuallyThat(
          Effect.sync(() => places),
          (all) => assert.deepStrictEqual(all, [`${B} 1`])
        )
        yield* killed(
          b,
          Effect.gen(function* () {
            yield* Deferred.succeed(released, undefined)
            yield* eventuallyThat(
              Effect.sync(() => places),
              (all) => assert.include(all, `${A} 2`)
            )
          })
        )
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )

  test.effect(
    "C-41: a member is killed right after it found where to begin: what came since is read by the next",
    () =>
      Effect.gen(function* () {
        const { namesrvAddr } = yield* RocketMQ
        const topic = yield* createTopic("last", [A], { queues: 1 })
        const producer = yield* startProducer()
        const consumerGroup = uniqueName("last")
        yield* send(producer, topic, numbers(5))
        const observer = yield* observe
        const other = yield* memberProcess(namesrvAddr, topic, consumerGroup, -1)
        yield* eventuallyThat(observer.committed(MessageQueue.make(topic, A, 0), consumerGroup), (offset) =>
          assert.strictEqual(offset, 5)
        )
        yield* other.signal("SIGKILL")
        yield* other.end
        yield* send(producer, topic, numbers(3, 5))
        const seen: Array<string> = []
        yield* join(topic, noting(seen), { consumerGroup, consumeFromWhere: "last" })
        yield* hasAll(seen, numbers(3, 5))
        assert.strictEqual(seen.length, 3)
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )

  test.effect(
    "C-54, C-58: tags with one hash, and a backlog of large bodies with slow handlers: filtered, bounded, read to the end",
    () =>
      Effect.gen(function* () {
        const topic = yield* createTopic("heavy", [A, B])
        const producer = yield* startProducer()
        const body = Buffer.alloc(64 * 1024, 7)
        for (let n = 0; n < 80; n++) {
          yield* producer.send(Message.make({ topic, body, tags: n % 2 === 0 ? "Aa" : "BB", keys: `${n}` }))
        }
        const keys: Array<string> = []
        let most = 0
        const consumer = yield* join(
          topic,
          (message) =>
            Effect.andThen(
              Effect.sleep(20),
              Effect.sync(() => void keys.push(message.keys.join()))
            ),
          {
            subscriptions: [Subscription.tags(topic, "Aa")],
            pullThresholdSizeForAll: 1,
            pullThresholdForAll: 16,
            pullBatchSize: 2,
            concurrency: 2
          }
        )
        yield* eventuallyThat(
          Effect.tap(consumer.state, ({ queues }) =>
            Effect.sync(() => {
              most = Math.max(
                most,
                queues.reduce((sum, { cached }) => sum + cached, 0)
              )
            })
          ),
          () => assert.strictEqual(keys.length, 40)
        )
        assert.isAtMost(most, 16 + 9 * 2)
        assert.isTrue(keys.every((key) => Number(key) % 2 === 0))
        assert.strictEqual(new Set(keys).size, 40)
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )

  test.effect(
    "C-59: ten starts and closes under load: every message once",
    () =>
      Effect.gen(function* () {
        const topic = yield* createTopic("cycles", [A], { queues: 2 })
        const producer = yield* startProducer()
        const consumerGroup = uniqueName("cycles")
        const seen: Array<string> = []
        const load = yield* Effect.forkChild(send(producer, topic, numbers(200)))
        for (let n = 0; n < 10; n++) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              yield* join(topic, noting(seen), { consumerGroup })
              yield* Effect.sleep(100)
            })
          )
        }
        yield* Fiber.join(load)
        yield* join(topic, noting(seen), { consumerGroup })
        yield* hasAll(seen, numbers(200))
        yield* Effect.sleep(300)
        assert.strictEqual(seen.length, 200)
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )

  test.effect(
    "C-19, C-38: the broker stands still while pulls are held and offsets are written: all goes on, the newest is written",
    () =>
      Effect.gen(function* () {
        const b = yield* brokerNamed(B)
        const observer = yield* observe
        const topic = yield* createTopic("silent", [B], { queues: 1 })
        const producer = yield* startProducer()
        const seen: Array<string> = []
        const consumer = yield* join(topic, noting(seen), { mqClientApiTimeout: 500, heartbeatBrokerInterval: 300 })
        yield* send(producer, topic, numbers(5))
        yield* hasAll(seen, numbers(5))
        yield* paused(
          b,
          eventuallyThat(consumer.state, ({ problems }) => assert.isNotEmpty(problems))
        )
        yield* send(producer, topic, numbers(5, 5))
        yield* hasAll(seen, numbers(10))
        yield* eventuallyThat(observer.committed(MessageQueue.make(topic, B, 0), consumer.consumerGroup), (offset) =>
          assert.strictEqual(offset, 10)
        )
        yield* isWell(consumer)
        assert.strictEqual(seen.length, 10)
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )

  test.effect(
    "C-60: handlers send through the consumer's own client, one at a time, and fail: nothing waits for itself",
    () =>
      Effect.gen(function* () {
        const topic = yield* createTopic("sends", [A], { queues: 1 })
        const other = yield* createTopic("sent", [A], { queues: 1 })
        const client = { instanceName: uniqueName("one"), remoting: { maxInFlightRequests: 1 } }
        const { namesrvAddr } = yield* RocketMQ
        const timers = { pollNameServerInterval: 1_000, heartbeatBrokerInterval: 1_000 }
        const persist = { persistConsumerOffsetInterval: 1_000, persistConsumerOffsetInitialDelay: 1_000 }
        const producer = yield* startProducer({ ...client, ...timers, ...persist, namesrvAddr })
        const consumer = yield* join(
          topic,
          (message) =>
            Effect.flatMap(producer.send(Message.make({ topic: other, body: "x" })), () =>
              message.attempt === 1 ? Effect.fail("no") : Effect.void
            ),
          { ...client, concurrency: 8 }
        )
        yield* send(producer, topic, numbers(20))
        yield* eventuallyThat(consumer.state, ({ counters }) =>
          assert.deepInclude(counters, { succeeded: 20, reconsumeLater: 20 })
        )
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )
})
