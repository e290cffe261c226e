import { assert, describe, layer } from "@effect/vitest"
import { Effect, Fiber, Random } from "effect"
import { DefaultMQPushConsumer } from "../../src/consumer/DefaultMQPushConsumer.ts"
import * as MessageListener from "../../src/consumer/MessageListener.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import { eventuallyThat, uniqueName } from "../conformance/support.ts"
import { digestsOf, golden, groups, idcs, type Shares, sharesOf } from "../support/allocations.ts"
import * as JavaClient from "./JavaClient.ts"
import type { RocketMQVersion } from "./Jars.ts"
import { RocketMQ } from "./RocketMQServer.ts"
import { createTopic, observe, services, startProducer, TEST_TIMEOUT } from "./support.ts"

/** What the Java member prints. */
type Line =
  | { readonly what: "got"; readonly text: string; readonly topic: string; readonly reconsumeTimes: number }
  | { readonly what: "owned"; readonly queues: ReadonlyArray<string> }

/** A message that was consumed in order, and when: milliseconds since the epoch. */
interface Step {
  readonly queueId: number
  readonly offset: number
  readonly text: string
  readonly begin: number
  readonly end: number
}

const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, n) => `${from + n}`)

const QUEUES = 4

/** Registers what is tried on a release, with the Java client of the same. */
const tests = (version: RocketMQVersion) =>
  describe(`a group with a Java member, ${version}`, () => {
    const cluster = services({ version, brokers: [{ name: "broker-a" }] })
    layer(cluster, { excludeTestServices: true, timeout: "10 minutes" })((test) => {
      test.effect(
        "C-07, C-08, C-36: queues have one owner, offsets and counts of redeliveries are handed over, both ways",
        () =>
          Effect.gen(function* () {
            const { namesrvAddr } = yield* RocketMQ
            const observer = yield* observe
            const topic = yield* createTopic("with-java", ["broker-a"], { queues: QUEUES })
            const producer = yield* startProducer()
            const group = uniqueName("with-java")
            const seen: Array<string> = []
            const attempts: Array<number> = []
            const ours = yield* DefaultMQPushConsumer.make(
              {
                consumerGroup: group,
                subscriptions: [Subscription.all(topic)],
                namesrvAddr,
                // Behind the one of Java, so that the one queue of the retry topic belongs to Java while there are two.
                instanceName: "zzz",
                consumeFromWhere: "first",
                startTimeoutMillis: 60_000,
                pollNameServerInterval: 1_000,
                reconsumePolicy: { delay: () => "1 second" }
              },
              (message) =>
                Effect.suspend(() => {
                  const text = new TextDecoder().decode(message.body)
                  assert.strictEqual(message.topic, topic)
                  if (text !== "x") {
                    seen.push(text)
                    return Effect.void
                  }
                  attempts.push(message.attempt)
                  return message.attempt === 1 ? Effect.fail("not yet") : Effect.void
                })
            )
            yield* Effect.acquireRelease(ours.start, () => ours.shutdown)
            const owned = Effect.map(ours.assignment, (queues) =>
              queues.filter((queue) => queue.topic === topic).map(MessageQueue.key)
            )
            const send = (texts: ReadonlyArray<string>) =>
              Effect.forEach(texts, (body) => producer.send(Message.make({ topic, body })), { discard: true })
            yield* send(numbers(20))
            yield* ours.caughtUp()

            const java = yield* Effect.forkChild(
              JavaClient.runProgram<Line>(
                "JavaMember",
                { namesrvAddr, version, timeoutMillis: 60_000 },
                { topic, group }
              )
            )
            yield* eventuallyThat(owned, (own) => assert.strictEqual(own.length, QUEUES / 2))
            yield* send(numbers(40, 20))
            const own = yield* owned
            // Ours fails it, Java has it next and gives it back, and leaves; so it is ours again.
            const [place] = (yield* producer.fetchPublishMessageQueues(topic)).filter((queue) =>
              own.includes(MessageQueue.key(queue))
            )
            assert.isDefined(place)
            yield* producer.send(Message.make({ topic, body: "x" }), { queue: place })
            const lines = yield* Fiber.join(java)
            yield* send(numbers(20, 60))
            yield* eventuallyThat(owned, (all) => assert.strictEqual(all.length, QUEUES))
            yield* eventuallyThat(
              Effect.sync(() => attempts),
              (all) => assert.deepStrictEqual(all, [1, 3])
            )

            const got = lines.flatMap((line) => (line.what === "got" ? [line] : []))
            assert.deepStrictEqual(
              got.filter(({ text }) => text === "x").map(({ reconsumeTimes, topic: of }) => [of, reconsumeTimes]),
              [[topic, 1]]
            )
            const queues = lines.flatMap((line) => (line.what === "owned" ? line.queues : []))
            assert.strictEqual(queues.length, QUEUES / 2)
            assert.strictEqual(new Set([...queues, ...own]).size, QUEUES, "a queue with two owners")
            const byJava = got.flatMap(({ text }) => (text === "x" ? [] : [text]))
            assert.isAbove(byJava.length, 0)
            yield* eventuallyThat(
              Effect.sync(() => seen.length + byJava.length),
              (count) => assert.isAtLeast(count, 80)
            )
            assert.sameMembers([...seen, ...byJava], numbers(80), "each once, by one of them")
            yield* ours.shutdown
            const offsets = yield* Effect.forEach(numbers(QUEUES), (id) =>
              observer.committed(MessageQueue.make(topic, "broker-a", Number(id)), group)
            )
            assert.strictEqual(
              offsets.reduce<number>((sum, offset) => sum + (offset ?? 0), 0),
              81
            )
          }).pipe(Effect.scoped),
        TEST_TIMEOUT
      )

      test.effect(
        "C-45: in order, while a Java member comes and leaves: no queue goes a step back, none has two at work",
        () =>
          Effect.gen(function* () {
            const { namesrvAddr } = yield* RocketMQ
            const topic = yield* createTopic("in-order-with-java", ["broker-a"], { queues: QUEUES })
            const producer = yield* startProducer()
            const group = uniqueName("in-order-with-java")
            const steps: Array<Step> = []
            const ours = yield* DefaultMQPushConsumer.make(
              {
                consumerGroup: group,
                subscriptions: [Subscription.all(topic)],
                namesrvAddr,
                instanceName: "zzz",
                consumeFromWhere: "first",
                startTimeoutMillis: 60_000,
                pollNameServerInterval: 1_000
              },
              MessageListener.orderly(({ body, queueId, queueOffset: offset }) =>
                Effect.gen(function* () {
                  const begin = Date.now()
                  yield* Effect.sleep(5)
                  steps.push({ queueId, offset, text: new TextDecoder().decode(body), begin, end: Date.now() })
                })
              )
            )
            yield* Effect.acquireRelease(ours.start, () => ours.shutdown)
            const owned = Effect.map(
              ours.assignment,
              (queues) => queues.filter((queue) => queue.topic === topic).length
            )
            let sent = 0
            const load = yield* Effect.suspend(() => producer.send(Message.make({ topic, body: `${sent}` }))).pipe(
              Effect.tap(Effect.sync(() => void sent++)),
              Effect.andThen(Effect.sleep(10)),
              Effect.forever,
              Effect.forkScoped
            )
            const java = yield* Effect.forkChild(
              JavaClient.runProgram<Step>(
                "JavaOrderlyMember",
                { namesrvAddr, version, timeoutMillis: 60_000 },
                { topic, group, count: 100 }
              )
            )
            yield* eventuallyThat(owned, (count) => assert.strictEqual(count, QUEUES / 2))
            const theirs = yield* Fiber.join(java)
            yield* eventuallyThat(owned, (count) => assert.strictEqual(count, QUEUES))
            yield* Fiber.interrupt(load)
            yield* eventuallyThat(
              Effect.sync(() => new Set([...steps, ...theirs].map(({ text }) => text)).size),
              (count) => assert.isAtLeast(count, sent)
            )
            for (let queueId = 0; queueId < QUEUES; queueId++) {
              const own = [...steps, ...theirs]
                .filter((step) => step.queueId === queueId)
                .toSorted((a, b) => a.begin - b.begin || a.offset - b.offset)
              assert.isAbove(own.length, 0)
              // Both hand over what is written and unlocked, so nothing comes twice: the offsets are 0, 1, 2 and on.
              assert.deepStrictEqual(
                own.map(({ offset }) => offset),
                own.map((_, offset) => offset)
              )
              for (const [index, { begin }] of own.entries()) {
                assert.isAtLeast(begin, own[index - 1]?.end ?? 0, "two at work in one queue")
              }
            }
          }).pipe(Effect.scoped),
        TEST_TIMEOUT
      )

      test.effect(
        "mqadmin shows what a consumer tells in its traces beside what the sender told",
        () =>
          Effect.gen(function* () {
            const { namesrvAddr } = yield* RocketMQ
            const topic = yield* createTopic("traced", ["broker-a"], { queues: 1 })
            const producer = yield* startProducer({
              producerGroup: "told-producer",
              enableTrace: true,
              drainTimeoutMillis: 30_000
            })
            const { msgId } = yield* producer.send(Message.make({ topic, body: "7", keys: ["k"] }))
            yield* producer.shutdown
            const consumer = yield* DefaultMQPushConsumer.make(
              {
                consumerGroup: uniqueName("told-group"),
                subscriptions: [Subscription.all(topic)],
                consumeFromWhere: "first",
                namesrvAddr,
                startTimeoutMillis: 60_000,
                enableTrace: true,
                drainTimeoutMillis: 30_000
              },
              () => Effect.void
            )
            yield* Effect.acquireRelease(consumer.start, () => consumer.shutdown)
            yield* consumer.caughtUp()
            yield* consumer.shutdown
            assert.deepInclude((yield* consumer.state).trace, { sent: 2, buffered: 0, dropped: 0, failed: 0 })
            const { stdout } = yield* eventuallyThat(
              JavaClient.mqadmin({ namesrvAddr, version }, ["queryMsgTraceById", "-i", msgId]),
              (found) => {
                assert.include(found.stdout, "told-producer")
                assert.include(found.stdout, consumer.consumerGroup)
              }
            )
            assert.match(stdout, /Pub +told-producer +\S+ +\S+ \S+ +\d+ms +success/)
            assert.match(stdout, new RegExp(`Sub +${consumer.consumerGroup} +\\S+ +\\S+ \\S+ +\\d+ms +success`))
          }).pipe(Effect.scoped),
        TEST_TIMEOUT
      )

      test.effect(
        "C-16: shares of ten thousand random groups, and of those that are always tried, are the same by every strategy",
        () =>
          Effect.gen(function* () {
            const seed = yield* Random.nextIntBetween(0, 2 ** 31)
            const random = groups(seed, golden.count)
            const java = yield* JavaClient.runProgram<Shares>(
              "JavaAllocations",
              { namesrvAddr: "unused", version },
              { idcs, groups: [...groups(golden.seed, golden.count), ...random] }
            )
            assert.strictEqual(java.length, golden.count + random.length)
            assert.deepStrictEqual(digestsOf(java.slice(0, golden.count)), golden.digests)
            for (const [index, group] of random.entries()) {
              const theirs = java[golden.count + index]
              assert.deepStrictEqual(theirs, sharesOf(group), `seed ${seed}: ${JSON.stringify(group)}`)
            }
          }),
        TEST_TIMEOUT
      )
    })
  })

for (const version of ["5.5.0", "4.9.7"] as const) tests(version)
