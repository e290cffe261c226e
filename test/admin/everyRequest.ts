/** Everything that a producer, a consumer and who sets servers up ask of them, once, for targets that let in only who signs as they expect it. */
import { assert } from "@effect/vitest"
import { Deferred, Effect, Fiber, Redacted } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { AdminError } from "../../src/admin/AdminError.ts"
import { MQAdmin } from "../../src/admin/MQAdmin.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as ConsumeResult from "../../src/consumer/ConsumeResult.ts"
import { DefaultMQPushConsumer } from "../../src/consumer/DefaultMQPushConsumer.ts"
import * as MessageListener from "../../src/consumer/MessageListener.ts"
import { SimpleConsumer } from "../../src/consumer/simple/SimpleConsumer.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import * as MessageDelay from "../../src/message/MessageDelay.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { TransactionMQProducer } from "../../src/producer/TransactionMQProducer.ts"
import { requestCodeName } from "../../src/protocol/RequestCode.ts"
import { eventuallyThat, PATIENCE_MILLIS, uniqueName } from "../conformance/support.ts"
import { type Release, Target } from "../conformance/Target.ts"
import { withTools } from "./administration.ts"

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

/** Sends of every form, a check, a request with its reply, a recall, and the farewell. */
export const everyProducerRequest = Effect.gen(function* () {
  const { credentials, facts, namesrvAddr } = yield* Target
  const admin = yield* MQAdmin
  const topic = uniqueName("every")
  yield* admin.createTopic({ topic, readQueueNums: 1 })
  const asked = yield* Deferred.make<string>()
  const producer = yield* TransactionMQProducer.make({
    producerGroup: uniqueName("every"),
    namesrvAddr,
    credentials,
    readiness: "registered",
    topics: [topic],
    startTimeoutMillis: PATIENCE_MILLIS,
    sendMsgTimeout: PATIENCE_MILLIS,
    checkLocalTransaction: ({ body }) => Effect.as(Deferred.succeed(asked, text(body)), "COMMIT_MESSAGE" as const)
  })
  yield* producer.start
  const make = (body: string, more: Partial<Message.MessageInput> = {}) => Message.make({ topic, body, ...more })

  const { status } = yield* producer.send(make("grüße 🚀", { tags: "t", keys: ["k-1", "ключ"] }))
  assert.strictEqual(status, "SEND_OK")
  yield* producer.sendOneway(make("one-way"))
  yield* producer.sendBatch([make("part-1"), make("part-2")])
  yield* producer.send(make("x".repeat(10_000)))
  yield* producer.send(make("delayed", { delay: MessageDelay.level(1) }))
  if (facts.timers) {
    const { recallHandle = assert.fail("no handle") } = yield* producer.send(
      make("recalled", { delay: MessageDelay.by("1 hour") })
    )
    yield* producer.recallMessage(topic, recallHandle)
  }
  yield* producer.transaction(make("committed"), Effect.void)
  yield* producer.transaction(make("asked for"), Effect.void, { stateOf: () => "UNKNOW" as const })
  assert.strictEqual(yield* Effect.timeout(Deferred.await(asked), PATIENCE_MILLIS), "asked for")

  const answer = yield* Effect.forkChild(producer.request(make("what?"), PATIENCE_MILLIS), { startImmediately: true })
  const queues = yield* admin.fetchSubscribeMessageQueues(topic)
  const question = yield* eventuallyThat(
    Effect.map(
      Effect.forEach(queues, (queue) => admin.pull(queue, 0, 32)),
      (pulls) => pulls.flatMap(({ messages }) => messages).find(({ body }) => text(body) === "what?")
    ),
    (found) => assert.isDefined(found)
  )
  yield* producer.reply(question ?? assert.fail("no question"), "that")
  assert.strictEqual(text((yield* Fiber.join(answer)).body), "that")
  yield* producer.shutdown
}).pipe(Effect.provide(MQClientManager.layer, { local: true }), withTools)

/** Waits, receives, extends and acknowledges by pop, where brokers know it. */
const popped = Effect.fnUntraced(function* (topic: string) {
  const { credentials, namesrvAddr, release } = yield* Target
  const consumer = yield* SimpleConsumer.make({
    consumerGroup: uniqueName("every"),
    namesrvAddr,
    credentials,
    instanceName: uniqueName("member"),
    subscriptions: [Subscription.all(topic)],
    consumeFromWhere: "first",
    startTimeoutMillis: PATIENCE_MILLIS
  })
  yield* consumer.start
  const receive = consumer.receive({ max: 1, wait: 1_000 })
  if (release === "4.9.7") {
    assert.strictEqual((yield* Effect.flip(receive)).reason._tag, "PopUnsupported")
  } else {
    const all = yield* eventuallyThat(receive, ({ length }) => assert.strictEqual(length, 1))
    const message = all[0] ?? assert.fail("none")
    assert.strictEqual((yield* message.extend("1 minute"))._tag, "Extended")
    assert.strictEqual((yield* message.ack)._tag, "Acked")
    assert.deepStrictEqual(yield* receive, [])
  }
  yield* consumer.shutdown
})

/** A group in order, one that gives a message back, and one whose filter a broker is asked about. */
export const everyConsumerRequest = Effect.gen(function* () {
  const { credentials, namesrvAddr } = yield* Target
  const admin = yield* MQAdmin
  const topic = uniqueName("every")
  yield* admin.createTopic({ topic, readQueueNums: 1 })
  const producer = yield* DefaultMQProducer.make({ producerGroup: uniqueName("every"), namesrvAddr, credentials })
  yield* producer.start
  const { queue } = yield* producer.send(Message.make({ topic, body: "once" }))
  yield* producer.shutdown
  const make = (listener: MessageListener.MessageListener<never, never>, one: Subscription.Subscription) =>
    DefaultMQPushConsumer.make(
      {
        consumerGroup: uniqueName("every"),
        namesrvAddr,
        credentials,
        instanceName: uniqueName("member"),
        subscriptions: [one],
        consumeFromWhere: "first",
        startTimeoutMillis: PATIENCE_MILLIS
      },
      listener
    )
  const read = Effect.fnUntraced(function* (listener: MessageListener.MessageListener<never, never>) {
    const consumer = yield* make(listener, Subscription.all(topic))
    yield* consumer.start
    yield* eventuallyThat(consumer.state, ({ counters }) =>
      assert.strictEqual(counters.succeeded + counters.deadLettered, 1)
    )
    yield* consumer.shutdown
    assert.deepStrictEqual((yield* consumer.lastDrain)?.notPersisted, [])
    return consumer.consumerGroup
  })
  yield* read(MessageListener.orderly(() => Effect.void))
  const group = yield* read(
    MessageListener.concurrently(() => Effect.succeed(ConsumeResult.deadLetter("for the test")))
  )
  yield* eventuallyThat(admin.fetchConsumeOffset(group, queue), (offset) => assert.strictEqual(offset, 1))
  // Brokers know such filters or do not; what may not ask is refused otherwise.
  const filtering = yield* make(
    MessageListener.concurrently(() => Effect.void),
    Subscription.sql(topic, "a > 1")
  )
  const started = yield* Effect.result(filtering.start)
  yield* filtering.shutdown
  if (started._tag === "Failure") {
    assert.deepInclude(started.failure.reason, { _tag: "FilterRefused", problem: "unsupported" })
  }
  yield* popped(topic)
}).pipe(Effect.provide(MQClientManager.layer, { local: true }), withTools)

/** Changes settings, who is written to, the order of a topic, users and rights, and puts back what others look at. */
export const everyServerSetting = Effect.gen(function* () {
  const { brokers } = yield* Target
  const admin = yield* MQAdmin
  const [{ name: broker }] = brokers
  const topic = uniqueName("every")
  yield* admin.createTopic({ topic, writeQueueNums: 2 })

  const maxMessageSize = (yield* admin.getBrokerConfig(broker)).get("maxMessageSize") ?? assert.fail("no such setting")
  const [changed] = yield* admin.updateBrokerConfig(broker, { maxMessageSize: "2000000" })
  assert.deepInclude(changed, { before: maxMessageSize, after: "2000000", taken: true })
  yield* admin.updateBrokerConfig(broker, { maxMessageSize })
  const [server] = yield* admin.updateNameServerConfig({ orderMessageEnable: "true" })
  assert.deepInclude(server?.changes[0], { after: "true", taken: true })
  yield* admin.updateNameServerConfig({ orderMessageEnable: server?.changes[0]?.before ?? "false" })

  assert.isNotEmpty(yield* admin.wipeWritePermOfBroker(broker))
  assert.isNotEmpty(yield* admin.addWritePermOfBroker(broker))
  yield* admin.createOrUpdateOrderConf(topic, { [broker]: 2 })
  assert.deepStrictEqual([...(yield* admin.getOrderConf(topic))], [[broker, 2]])
  yield* admin.deleteOrderConf(topic)

  const username = uniqueName("user")
  const right = { subject: `User:${username}`, resources: [`Topic:${topic}`], actions: ["Pub"] } as const
  const calls: ReadonlyArray<Effect.Effect<unknown, AdminError>> = [
    admin.createUser({ username, password: Redacted.make("secret") }),
    admin.updateUser({ username, userStatus: "disable" }),
    admin.listUser(),
    admin.createAcl(right),
    admin.updateAcl(right),
    admin.listAcl(),
    admin.deleteAcl(right.subject),
    admin.deleteUser(username)
  ]
  for (const call of calls) {
    // Brokers keep users and rights or do not; one that lets nobody in says something else.
    const done = yield* Effect.result(call)
    if (done._tag === "Failure") assert.strictEqual(done.failure.reason._tag, "NoAccessControl")
  }
}).pipe(withTools)

const src = Path.join(import.meta.dirname, "..", "..", "src")

const sources = (folder: string): ReadonlyArray<string> =>
  Fs.readdirSync(Path.join(src, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => Fs.readFileSync(Path.join(src, folder, file), "utf8"))

/** The codes of the requests that client, producer, consumer or administrator know how to make, by what they import. */
const knownCodes = (): ReadonlySet<string> => {
  const modules = new Set(
    ["client", "producer", "consumer", "admin"]
      .flatMap(sources)
      .flatMap((source) => [...source.matchAll(/protocol\/request\/(\w+)\.ts/g)].map(([, name = ""]) => name))
  )
  return new Set(
    [...modules].flatMap((name) =>
      [...Fs.readFileSync(Path.join(src, "protocol", "request", `${name}.ts`), "utf8").matchAll(/RequestCode\.(\w+)/g)]
        .map(([, code = ""]) => code)
        .filter((code) => code !== "ts")
    )
  )
}

/** What the codecs know and no part of this client asks. */
const neverSent: ReadonlySet<string> = new Set([
  "GET_SYSTEM_TOPIC_LIST_FROM_NS",
  "GET_TOPICS_BY_CLUSTER",
  "GET_SUBSCRIPTIONGROUP_CONFIG",
  "GET_KVLIST_BY_NAMESPACE",
  "UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST",
  "LITE_PULL_MESSAGE",
  "SEND_MESSAGE",
  "SEND_REPLY_MESSAGE"
])

/** What is asked of brokers of the other release only. */
const ofOtherRelease: Readonly<Record<Release, ReadonlySet<string>>> = {
  "5.5.0": new Set(["GET_ALL_TOPIC_CONFIG"]),
  "4.9.7": new Set([
    "ACK_MESSAGE",
    "CHANGE_MESSAGE_INVISIBLETIME",
    "NOTIFICATION",
    "GET_TOPIC_CONFIG",
    "QUERY_TOPICS_BY_CONSUMER",
    "RECALL_MESSAGE",
    "AUTH_CREATE_USER",
    "AUTH_UPDATE_USER",
    "AUTH_DELETE_USER",
    "AUTH_LIST_USER",
    "AUTH_CREATE_ACL",
    "AUTH_UPDATE_ACL",
    "AUTH_DELETE_ACL",
    "AUTH_LIST_ACL"
  ])
}

/** The codes that this client can send and that are not among those seen: none, when everything was tried. */
export const untried = (seen: Iterable<number>, release: Release): ReadonlyArray<string> => {
  const names = new Set([...seen].map(requestCodeName))
  return [...knownCodes()]
    .filter((code) => !names.has(code) && !neverSent.has(code) && !ofOtherRelease[release].has(code))
    .toSorted()
}
