/** What mqadmin shows of our consumer and does with it, through real brokers and embedded ones. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Latch, Layer } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { DefaultMQPushConsumer } from "../../src/consumer/DefaultMQPushConsumer.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { MQVersion } from "../../src/protocol/MQVersion.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { cli } from "../cli/support.ts"
import { eventuallyThat, uniqueName } from "../conformance/support.ts"
import type { Release } from "../conformance/Target.ts"
import * as JavaClient from "./JavaClient.ts"
import { RocketMQ } from "./RocketMQServer.ts"
import { createTopic, services, TEST_TIMEOUT } from "./support.ts"

/** Reads a topic of two queues, of which one is stuck, and looks at it with mqadmin of a release. */
const shown = Effect.fnUntraced(function* (namesrvAddr: string, topic: string, version: Release) {
  const consumerGroup = uniqueName("status")
  const gate = yield* Latch.make()
  const producer = yield* DefaultMQProducer.make({
    producerGroup: uniqueName("status"),
    namesrvAddr,
    startTimeoutMillis: 60_000,
    sendMsgTimeout: 60_000
  })
  yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
  const consumer = yield* DefaultMQPushConsumer.make(
    {
      consumerGroup,
      subscriptions: [Subscription.tags(topic, "paid", "open")],
      namesrvAddr,
      consumeFromWhere: "first",
      startTimeoutMillis: 60_000,
      drainTimeoutMillis: 0
    },
    (message) => (message.queue.queueId === 1 && message.attempt === 1 ? gate.await : Effect.void)
  )
  yield* Effect.acquireRelease(consumer.start, () => consumer.shutdown)
  const [first, second] = yield* producer.fetchPublishMessageQueues(topic)
  assert.isDefined(second)
  for (let n = 0; n < 3; n++) {
    for (const queue of [first, second]) {
      yield* producer.send(Message.make({ topic, body: "x", tags: "paid" }), { queue })
    }
  }
  const { instance } = yield* eventuallyThat(consumer.state, ({ counters, members, running }) => {
    assert.deepStrictEqual([counters.succeeded, running, members.length], [3, 3, 1])
  })
  const mqadmin = (...args: ReadonlyArray<string>) =>
    Effect.map(JavaClient.mqadmin({ namesrvAddr, version }, args), ({ stderr, stdout }) => {
      assert.notMatch(stderr, /Exception/)
      return stdout
    })
  const clientId = instance?.clientId ?? ""
  const status = yield* mqadmin("consumerStatus", "-g", consumerGroup, "-i", clientId, "-s")
  assert.match(status, /PROP_CONSUME_TYPE +: CONSUME_PASSIVELY/)
  assert.match(status, /PROP_CLIENT_VERSION +: V5_5_0/)
  assert.match(status, new RegExp(`PROP_NAMESERVER_ADDR +: ${namesrvAddr};`))
  assert.match(status, /consumeThreadMax +: 20/)
  assert.match(status, new RegExp(`\\d{3} Topic: ${topic} .*SubExpression: paid \\|\\| open`))
  assert.match(status, new RegExp(`\\d{3} Topic: %RETRY%${consumerGroup} .*SubExpression: \\*`))
  assert.match(status, new RegExp(`${topic} +broker-a +0 +3 `))
  assert.match(status, new RegExp(`${topic} +broker-a +1 +0 `))
  assert.match(
    status,
    new RegExp(
      `${topic} +broker-a +1 +ProcessQueueInfo \\[commitOffset=0, cachedMsgMinOffset=0, cachedMsgMaxOffset=2, cachedMsgCount=3`
    )
  )
  assert.match(status, new RegExp(`\\n${topic} +\\d+\\.\\d+ +0\\.\\d+ +\\d+\\.\\d+ +0\\.\\d+ +0\\.00 +0\\n`))
  assert.match(status, /#Consumer jstack#\n3 of 20 handlers run/)
  assert.match(status, new RegExp(`message [0-9A-F]{32} of ${topic}@broker-a@1, offset 0, attempt 1`))

  // The command shows of each queue what mqadmin does, cell by cell.
  const asked = ["group", "status", consumerGroup, "--client", clientId, "--namesrv", namesrvAddr]
  const ours = yield* cli([...asked, "--json"])
  assert.strictEqual(ours.exitCode, 0, ours.talk.join("\n"))
  const [{ properties, queues }] = JSON.parse(ours.out.join()).members
  const theirs = [
    ...status.matchAll(
      /^(\S+) +(\S+) +(\d+) +ProcessQueueInfo \[commitOffset=(\d+), .*cachedMsgCount=(\d+), cachedMsgSizeInMiB=(\d+),.* locked=(\w+),.* droped=(\w+),/gm
    )
  ].map(([, ...cells]) => cells)
  assert.isAtLeast(theirs.length, 3)
  assert.sameDeepMembers(
    queues.map((one: Readonly<Record<string, unknown>>) =>
      [
        "topic",
        "brokerName",
        "queueId",
        "commitOffset",
        "cachedMsgCount",
        "cachedMsgSizeInMiB",
        "locked",
        "droped"
      ].map((name) => String(one[name]))
    ),
    theirs
  )
  for (const [, name = "", value] of status.matchAll(/^(PROP_\w+) +: (\S+)/gm)) {
    assert.strictEqual(properties[name], value, name)
  }
  const table = (yield* cli(asked)).out.join("\n")
  for (const [of, broker, queue, committed, held] of theirs) {
    assert.match(table, new RegExp(`${of} +${broker} +${queue} +${committed} +${held} `))
  }

  // All members at once: mqadmin compares their subscriptions and looks for stuck queues.
  const all = yield* mqadmin("consumerStatus", "-g", consumerGroup)
  assert.include(all, clientId)
  assert.match(all, /[Ss]ame subscription in the same group of consumer/)
  assert.match(all, /Rebalance OK/)
  yield* gate.open
})

/** Resets the group of a running consumer with mqadmin, and sends it one message. */
const moved = Effect.fnUntraced(function* (namesrvAddr: string, topic: string, version: Release) {
  const consumerGroup = uniqueName("reset")
  const seen: Array<string> = []
  const producer = yield* DefaultMQProducer.make({
    producerGroup: uniqueName("reset"),
    namesrvAddr,
    startTimeoutMillis: 60_000,
    sendMsgTimeout: 60_000
  })
  yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
  const [queue] = yield* producer.fetchPublishMessageQueues(topic)
  const before = yield* Effect.forEach(["0", "1", "2"], (body) =>
    producer.send(Message.make({ topic, body, tags: "reset" }), { queue })
  )
  const consumer = yield* DefaultMQPushConsumer.make(
    {
      consumerGroup,
      subscriptions: [Subscription.tags(topic, "reset")],
      namesrvAddr,
      consumeFromWhere: "first",
      startTimeoutMillis: 60_000
    },
    (message) => Effect.sync(() => void seen.push(new TextDecoder().decode(message.body)))
  )
  yield* Effect.acquireRelease(consumer.start, () => consumer.shutdown)
  yield* eventuallyThat(
    Effect.sync(() => seen.length),
    (count) => assert.strictEqual(count, 3)
  )
  const mqadmin = (...args: ReadonlyArray<string>) =>
    Effect.map(JavaClient.mqadmin({ namesrvAddr, version }, args), ({ stderr, stdout }) => {
      assert.notMatch(stderr, /Exception/)
      return stdout
    })

  // One message to this member: the listener has it once more, and nothing else changes.
  const clientId = (yield* consumer.state).instance?.clientId ?? ""
  const id = before[1]?.offsetMsgId ?? ""
  const ofTopic = version === "5.5.0" ? ["-t", topic] : []
  const pushed = yield* mqadmin("queryMsgById", ...ofTopic, "-i", id, "-g", consumerGroup, "-d", clientId)
  assert.match(
    pushed,
    /ConsumeMessageDirectlyResult \[order=false, autoCommit=true, consumeResult=CR_SUCCESS, remark=null, spentTimeMills=\d+\]/
  )
  assert.deepStrictEqual(seen, ["0", "1", "2", "1"])

  // Back to the beginning, while it runs: by the broker's own reset in 5.5.0, by telling the members in 4.9.7.
  assert.match(
    yield* mqadmin("resetOffsetByTime", "-g", consumerGroup, "-t", topic, "-s", "0", "-f", "true"),
    new RegExp(`broker-a +${queue?.queueId} +0`)
  )
  yield* eventuallyThat(consumer.state, ({ counters, queues }) => {
    assert.isAtLeast(counters.resets, 1)
    assert.isTrue(queues.every(({ lag = 0 }) => lag === 0))
    assert.deepStrictEqual(seen.slice(4), ["0", "1", "2"])
  })
  yield* producer.send(Message.make({ topic, body: "3", tags: "reset" }), { queue })
  const { counters, problems } = yield* eventuallyThat(consumer.state, () =>
    assert.deepStrictEqual(seen.slice(4), ["0", "1", "2", "3"])
  )
  assert.deepStrictEqual(problems, [])
  assert.strictEqual(counters.succeeded, 7)
})

for (const version of ["5.5.0", "4.9.7"] satisfies ReadonlyArray<Release>) {
  layer(services({ version, brokers: [{ name: "broker-a" }] }), { excludeTestServices: true, timeout: "10 minutes" })(
    `consumerStatus on RocketMQ ${version}`,
    (test) => {
      test.effect(
        "shows our consumer as it shows Java's",
        () =>
          Effect.gen(function* () {
            const { namesrvAddr } = yield* RocketMQ
            yield* shown(namesrvAddr, yield* createTopic("status", ["broker-a"], { queues: 2 }), version)
          }).pipe(Effect.scoped),
        TEST_TIMEOUT
      )
      test.effect(
        "C-42: resets our consumer while it runs, and has it process one message",
        () =>
          Effect.gen(function* () {
            const { namesrvAddr } = yield* RocketMQ
            yield* moved(namesrvAddr, yield* createTopic("reset", ["broker-a"], { queues: 1 }), version)
          }).pipe(Effect.scoped),
        TEST_TIMEOUT
      )
    }
  )

  describe(`consumerStatus on an embedded cluster as ${version}`, () => {
    const cluster = MQClientManager.layer.pipe(
      Layer.provideMerge(
        EmbeddedCluster.layerTcp({
          version: version === "5.5.0" ? MQVersion.V5_5_0 : MQVersion.V4_9_7,
          topics: {
            status: { readQueueNums: 2, writeQueueNums: 2 },
            reset: { readQueueNums: 1, writeQueueNums: 1 }
          }
        })
      )
    )
    layer(cluster, { excludeTestServices: true, timeout: "10 minutes" })((test) => {
      test.effect(
        "shows our consumer as it shows Java's",
        () =>
          Effect.flatMap(EmbeddedCluster, ({ namesrvAddr }) => shown(namesrvAddr, "status", version)).pipe(
            Effect.scoped
          ),
        TEST_TIMEOUT
      )
      test.effect(
        "resets our consumer while it runs, and has it process one message",
        () =>
          Effect.flatMap(EmbeddedCluster, ({ namesrvAddr }) => moved(namesrvAddr, "reset", version)).pipe(
            Effect.scoped
          ),
        TEST_TIMEOUT
      )
    })
  })
}
