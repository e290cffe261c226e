/** What an administrator can do, asserted on any cluster of two masters: embedded, or RocketMQ itself. */
import { assert, layer as testLayer, type Vitest } from "@effect/vitest"
import { Effect, Layer, References } from "effect"
import { AdminError } from "../../src/admin/AdminError.ts"
import { MQAdmin } from "../../src/admin/MQAdmin.ts"
import { signer } from "../../src/client/SessionCredentials.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as Message from "../../src/message/Message.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import * as HeartBeat from "../../src/protocol/request/HeartBeat.ts"
import * as RemotingClient from "../support/remoting.ts"
import type { Wire } from "../../src/transport/Wire.ts"
import { eventuallyThat, uniqueName } from "../conformance/support.ts"
import { Target } from "../conformance/Target.ts"

/** Milliseconds for whatever a busy machine does. */
const PATIENCE_MILLIS = 60_000

/** An administrator and a producer of the target, gone with the test. */
const tools = Effect.gen(function* () {
  const { credentials, namesrvAddr } = yield* Target
  const patient = { namesrvAddr, credentials, mqClientApiTimeout: PATIENCE_MILLIS / 2 }
  return Layer.mergeAll(
    MQAdmin.layer({ ...patient, adminTimeoutMillis: PATIENCE_MILLIS / 2 }),
    DefaultMQProducer.layer({
      ...patient,
      producerGroup: uniqueName("pg"),
      startTimeoutMillis: PATIENCE_MILLIS,
      sendMsgTimeout: PATIENCE_MILLIS
    })
  ).pipe(Layer.provide(MQClientManager.layer))
})

/** Gives a test an administrator and a producer. */
export const withTools = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.provide(self, Layer.unwrap(tools), { local: true })

const reasonOf = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(self), (error) => {
    assert.instanceOf(error, AdminError)
    return error.reason
  })

const brokerNames = ["broker-a", "broker-b"]

/** A topic with messages `body-0`, `body-1` ..., one after the other in each of its queues in turn. */
const filledTopic = Effect.fnUntraced(function* (count: number) {
  const admin = yield* MQAdmin
  const producer = yield* DefaultMQProducer
  const topic = uniqueName("admin")
  yield* admin.createTopic({ topic, readQueueNums: 2 })
  const queues = yield* producer.fetchPublishMessageQueues(topic)
  const results = yield* Effect.forEach(Array.from({ length: count }), (_, i) =>
    producer.send(Message.make({ topic, body: `body-${i}`, tags: "t", keys: [`key-${i}`, "all"] }), {
      queue: queues[i % queues.length]
    })
  )
  // A broker makes what it has acknowledged readable a moment later.
  yield* eventuallyThat(admin.examineTopicStats(topic), (stats) =>
    assert.strictEqual(sum(stats.map(({ maxOffset, minOffset }) => maxOffset - minOffset)), count)
  )
  return { topic, queues, results }
})

const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((a, b) => a + b, 0)

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

/** A consumer of a group that is online: it sends heartbeats and reads nothing. */
export const onlineConsumer = Effect.fnUntraced(function* (group: string, topic: string) {
  const { brokers, credentials } = yield* Target
  const signed = credentials === undefined ? undefined : signer(credentials)
  const client = yield* RemotingClient.make(
    signed === undefined ? {} : { rpcHook: { doBeforeRequest: (_, request) => signed(request) } }
  )
  for (const { address } of brokers) {
    const request = HeartBeat.request({
      clientID: `10.0.0.1@7#${group}`,
      producerDataSet: [],
      consumerDataSet: [
        {
          groupName: group,
          consumeType: "CONSUME_PASSIVELY",
          messageModel: "CLUSTERING",
          consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
          unitMode: false,
          subscriptionDataSet: [
            {
              topic,
              subString: "*",
              tagsSet: [],
              codeSet: [],
              subVersion: 1,
              expressionType: "TAG",
              classFilterMode: false
            }
          ]
        }
      ],
      heartbeatFingerprint: 0,
      withoutSub: false
    })
    const { code } = yield* client.invoke(address, request, PATIENCE_MILLIS)
    assert.strictEqual(code, 0)
  }
})

/** Registers the tests for a target. */
export const administration = <E>(
  name: string,
  target: Layer.Layer<Target | Wire, E>,
  more: (test: Vitest.MethodsNonLive<Target | Wire>) => void = () => undefined
): void => {
  suite(target)(name, (test) => {
    test.effect("topics: create, list, read, change, delete", () =>
      Effect.gen(function* () {
        const { clusterName, release } = yield* Target
        const admin = yield* MQAdmin
        const topic = uniqueName("topic")
        const created = yield* admin.createTopic({ topic, readQueueNums: 3, writeQueueNums: 2, order: true })
        assert.deepInclude(created, { clusterName, readQueueNums: 3, writeQueueNums: 2, perm: 6, routed: true })
        assert.include(yield* admin.fetchAllTopicList, topic)
        const { queueDatas } = yield* admin.examineTopicRouteInfo(topic)
        assert.sameMembers(
          queueDatas.map(({ brokerName }) => brokerName),
          brokerNames
        )
        const before = yield* admin.examineTopicConfig(topic)
        assert.deepStrictEqual(
          before.map(({ brokerName }) => brokerName),
          brokerNames
        )
        // A broker of 4.x does not keep whether a topic is ordered.
        const order = release === "5.5.0"
        assert.deepInclude(before[0]?.config, { topicName: topic, readQueueNums: 3, perm: 6, order })
        // What is not named stays as it is.
        const attributes = release === "5.5.0" ? { attributes: { "message.type": "FIFO" } } : {}
        const after = yield* admin.updateTopic({ topic, perm: 4, writeQueueNums: 3, ...attributes })
        for (const { config } of after) {
          assert.deepInclude(config, { readQueueNums: 3, writeQueueNums: 3, perm: 4, order })
          if (release === "5.5.0") assert.strictEqual(config.attributes["message.type"], "FIFO")
        }
        yield* admin.deleteTopic(topic)
        assert.notInclude(yield* admin.fetchAllTopicList, topic)
        for (const gone of [
          Effect.asVoid(admin.examineTopicConfig(topic)),
          Effect.asVoid(admin.examineTopicStats(topic))
        ]) {
          assert.deepInclude(yield* reasonOf(gone), { _tag: "RouteUnavailable", problem: "topic-absent" })
        }
        assert.strictEqual((yield* reasonOf(admin.updateTopic({ topic, perm: 6 })))._tag, "RouteUnavailable")
      }).pipe(withTools)
    )

    test.effect("topics: what their queues hold", () =>
      Effect.gen(function* () {
        const admin = yield* MQAdmin
        const { queues, topic } = yield* filledTopic(6)
        const stats = yield* admin.examineTopicStats(topic)
        assert.deepStrictEqual(
          stats.map(({ queue }) => queue),
          queues
        )
        assert.deepStrictEqual(
          stats.map(({ maxOffset, minOffset }) => [minOffset, maxOffset]),
          [
            [0, 2],
            [0, 2],
            [0, 1],
            [0, 1]
          ]
        )
        assert.isTrue(stats.every(({ lastUpdateTimestamp }) => lastUpdateTimestamp > 0))
      }).pipe(withTools)
    )

    test.effect("groups: create, list, delete", () =>
      Effect.gen(function* () {
        const admin = yield* MQAdmin
        const groupName = uniqueName("group")
        const created = yield* admin.createSubscriptionGroup({
          groupName,
          retryMaxTimes: 3,
          consumeBroadcastEnable: false
        })
        assert.deepStrictEqual(created.brokers, brokerNames)
        const find = Effect.map(admin.getAllSubscriptionGroup(), (all) =>
          all.find((one) => one.groupName === groupName)
        )
        const found = yield* find
        assert.deepStrictEqual(found?.brokers, brokerNames)
        assert.deepInclude(found?.config, { retryMaxTimes: 3, consumeBroadcastEnable: false, retryQueueNums: 1 })
        // Creating it again replaces it.
        yield* admin.createSubscriptionGroup({ groupName, consumeEnable: false })
        assert.deepInclude((yield* find)?.config, { retryMaxTimes: 16, consumeEnable: false })
        yield* admin.deleteSubscriptionGroup(groupName, { cleanOffset: true })
        assert.isUndefined(yield* find)
        const reason = yield* reasonOf(admin.createSubscriptionGroup({ groupName: "x", clusterName: "nowhere" }))
        assert.deepInclude(reason, { _tag: "UnknownCluster", clusterName: "nowhere" })
      }).pipe(withTools)
    )

    test.effect("clusters and brokers", () =>
      Effect.gen(function* () {
        const { brokers, clusterName, release } = yield* Target
        const admin = yield* MQAdmin
        const { clusterAddrTable } = yield* admin.examineBrokerClusterInfo
        assert.sameMembers([...(clusterAddrTable.get(clusterName) ?? [])], brokerNames)
        for (const broker of ["broker-b", brokers[1].address]) {
          const runtime = yield* admin.fetchBrokerRuntimeStats(broker)
          assert.strictEqual(runtime.get("brokerVersionDesc"), `V${release.replaceAll(".", "_")}`)
          const config = yield* admin.getBrokerConfig(broker)
          assert.strictEqual(config.get("brokerName"), "broker-b")
          assert.strictEqual(config.get("brokerClusterName"), clusterName)
        }
        const reason = yield* reasonOf(admin.getBrokerConfig("broker-z"))
        assert.deepInclude(reason, { _tag: "UnknownBroker", brokerName: "broker-z", brokers: brokerNames })
      }).pipe(withTools)
    )

    test.effect("A16: messages: by key, by both ids, by time", () =>
      Effect.gen(function* () {
        const admin = yield* MQAdmin
        const { results, topic } = yield* filledTopic(6)
        const other = yield* filledTopic(1)
        // The index is built a moment after the message is stored.
        const [third] = yield* eventuallyThat(admin.queryMessageByKey(topic, "key-3"), (found) =>
          assert.strictEqual(found.length, 1)
        )
        assert.strictEqual(text(third?.body ?? new Uint8Array()), "body-3")
        const all = yield* eventuallyThat(admin.queryMessageByKey(topic, "all"), (found) =>
          assert.strictEqual(found.length, 6)
        )
        assert.isTrue(all.every((message) => message.topic === topic))
        assert.deepStrictEqual(yield* admin.queryMessageByKey(topic, "nothing"), [])
        assert.strictEqual((yield* admin.queryMessageByKey(topic, "all", { begin: 1, end: 2 })).length, 0)

        const sent = results[2] ?? assert.fail("nothing was sent")
        for (const id of [sent.msgId, sent.offsetMsgId]) {
          const message = yield* eventuallyThat(admin.queryMessageById(topic, id), () => undefined)
          assert.strictEqual(text(message.body), "body-2")
          assert.strictEqual(message.queueOffset, sent.queueOffset)
        }
        for (const id of ["7F0000010000000000000000DEADBEEF", "nonsense", other.results[0]?.offsetMsgId ?? ""]) {
          const reason = yield* reasonOf(admin.queryMessageById(topic, id))
          assert.deepInclude(reason, { _tag: "MessageNotFound", topic, msgId: id })
        }

        const begin = all[2]?.storeTimestamp ?? 0
        const end = all[4]?.storeTimestamp ?? 0
        const bodies = all
          .filter(({ storeTimestamp }) => storeTimestamp >= begin && storeTimestamp <= end)
          .map(({ body }) => text(body))
        const spanned = yield* admin.queryMessageByTime(topic, { begin, end })
        assert.sameMembers(
          spanned.map(({ body }) => text(body)),
          bodies
        )
        assert.strictEqual((yield* admin.queryMessageByTime(topic)).length, 6)
        assert.strictEqual((yield* admin.queryMessageByTime(topic, { maxNum: 2 })).length, 2)
        assert.deepStrictEqual(yield* admin.queryMessageByTime(topic, { begin: end + 3_600_000 }), [])
      }).pipe(withTools)
    )

    test.effect("offsets: by time, of groups, and set anew", () =>
      Effect.gen(function* () {
        const admin = yield* MQAdmin
        const { release } = yield* Target
        const { queues, topic } = yield* filledTopic(8)
        const [first = MessageQueue.make("", "", 0)] = queues
        assert.strictEqual(yield* admin.searchOffset(first, 0), 0)
        const beyond = yield* admin.searchOffset(first, Date.now() + 3_600_000)
        // Before 5.0 it is the message that is nearest.
        assert.isTrue(beyond === 2 || (release === "4.9.7" && beyond === 1), `${beyond}`)
        const [oldest] = yield* admin.queryMessageByTime(topic, { maxNum: 1 })
        const earliest = yield* admin.earliestMsgStoreTime(first)
        assert.isAtLeast(earliest ?? 0, oldest?.storeTimestamp ?? Infinity)

        const group = uniqueName("reader")
        yield* admin.createSubscriptionGroup({ groupName: group })
        // Before 5.0 a broker says 0 for a young queue, whatever it is asked.
        assert.include(
          release === "5.5.0" ? [undefined] : [undefined, 0],
          yield* admin.fetchConsumeOffset(group, first)
        )
        for (const queue of queues) yield* admin.updateConsumeOffset(group, queue, 1)
        assert.strictEqual(yield* admin.fetchConsumeOffset(group, first), 1)
        const progress = yield* admin.examineConsumeStats(group, topic)
        assert.deepStrictEqual(
          progress.queues.map(({ brokerOffset, consumerOffset, lag, queue }) => [
            queue,
            brokerOffset,
            consumerOffset,
            lag
          ]),
          queues.map((queue) => [queue, 2, 1, 1])
        )
        assert.strictEqual(progress.lag, 4)
        assert.include(yield* admin.queryTopicConsumeByWho(topic), group)
        assert.include(yield* admin.queryTopicsByConsumer(group), topic)

        const offsets = (to: number | "earliest" | "latest") =>
          Effect.map(admin.resetOffsetByTimestamp({ group, topic, to }), (reset) => reset.map(({ offset }) => offset))
        assert.deepStrictEqual(yield* offsets("latest"), [2, 2, 2, 2])
        assert.strictEqual((yield* admin.examineConsumeStats(group, topic)).lag, 0)
        assert.deepStrictEqual(yield* offsets("earliest"), [0, 0, 0, 0])
        assert.strictEqual((yield* admin.examineConsumeStats(group, topic)).lag, 8)
        assert.strictEqual((yield* admin.examineConsumeStats(uniqueName("nobody"))).queues.length, 0)
        const absent = yield* reasonOf(admin.resetOffsetByTimestamp({ group, topic: "no-such-topic", to: 0 }))
        assert.deepInclude(absent, { _tag: "RouteUnavailable", problem: "topic-absent" })
      }).pipe(withTools)
    )

    test.effect("who is connected", () =>
      Effect.gen(function* () {
        const admin = yield* MQAdmin
        const producer = yield* DefaultMQProducer
        const { topic } = yield* filledTopic(4)
        const producers = yield* eventuallyThat(admin.examineProducerConnectionInfo(producer.producerGroup), (found) =>
          assert.deepStrictEqual(
            found.map(({ brokers }) => brokers),
            [brokerNames]
          )
        )
        const { instance } = yield* producer.state
        assert.deepInclude(producers[0] ?? {}, { clientId: instance?.clientId, language: "OTHER", version: 513 })
        assert.deepStrictEqual(yield* admin.examineProducerConnectionInfo(uniqueName("nobody")), [])

        const group = uniqueName("online")
        assert.deepInclude(yield* admin.examineConsumerConnectionInfo(group), { connections: [], subscriptions: [] })
        assert.deepStrictEqual(yield* admin.getConsumeStatus(topic, group), [])
        yield* onlineConsumer(group, topic)
        const consumers = yield* admin.examineConsumerConnectionInfo(group)
        assert.deepStrictEqual(
          consumers.connections.map(({ brokers, clientId }) => [clientId, brokers]),
          [[`10.0.0.1@7#${group}`, brokerNames]]
        )
        assert.deepInclude(consumers, { messageModel: "CLUSTERING", consumeType: "CONSUME_PASSIVELY" })
        assert.include(
          consumers.subscriptions.map((one) => one.topic),
          topic
        )
      }).pipe(withTools)
    )

    more(test)
  })
}

const suite = <E>(target: Layer.Layer<Target | Wire, E>) =>
  testLayer(Layer.mergeAll(target, Layer.succeed(References.MinimumLogLevel, "Error")), {
    excludeTestServices: true,
    timeout: "10 minutes"
  })
