import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { inflateSync } from "node:zlib"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import type { MessageExt } from "../../src/message/MessageExt.ts"
import { SysFlag } from "../../src/message/SysFlag.ts"
import { MQVersion } from "../../src/protocol/MQVersion.ts"
import * as JavaClient from "./JavaClient.ts"
import type { RocketMQVersion } from "./Jars.ts"
import { RocketMQ } from "./RocketMQServer.ts"

/** Which Java clients use which embedded cluster: each version its own, and the old client the new servers. */
const pairs: ReadonlyArray<{
  readonly client: RocketMQVersion
  readonly servers: RocketMQVersion
  readonly version: number
}> = [
  { client: "5.5.0", servers: "5.5.0", version: MQVersion.V5_5_0 },
  { client: "4.9.7", servers: "4.9.7", version: MQVersion.V4_9_7 },
  { client: "4.9.7", servers: "5.5.0", version: MQVersion.V5_5_0 }
]

const unicode = { ключ: "значение 🚀", plain: "ascii", 名前: "値" }

const random = (length: number): Uint8Array => {
  let state = 12_345
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return state >>> 24
  })
}

/** Every kind of body: a byte, text, one that the producer compresses, one near the limit of 4 MiB that it does not. */
const messages = (topic: string): ReadonlyArray<JavaClient.JavaMessageInput> => [
  { topic, body: "x" },
  { topic, body: "grüße 🚀", tags: "tägs", keys: "key-1 ключ-2", properties: unicode },
  { topic, body: "compress me ".repeat(10_000), tags: "A" },
  { topic, body: random(4_000_000), tags: "B" },
  ...Array.from({ length: 20 }, (_, index) => ({ topic, body: `message ${index}`, keys: `k${index}` }))
]

/** The body as the producer gave it; the store keeps it as it came. */
const plainBody = (message: MessageExt): Buffer =>
  (message.sysFlag & SysFlag.COMPRESSED) === 0 ? Buffer.from(message.body) : inflateSync(message.body)

/** What a pull adds to the properties; no part of the message. */
const added = new Set(["MIN_OFFSET", "MAX_OFFSET"])

const comparable = (message: {
  readonly queueId: number
  readonly queueOffset: number
  readonly commitLogOffset: number
  readonly bornTimestamp: number
  readonly storeTimestamp: number
  readonly properties: Readonly<Record<string, string>>
}) => ({
  queueId: message.queueId,
  queueOffset: message.queueOffset,
  commitLogOffset: message.commitLogOffset,
  bornTimestamp: message.bornTimestamp,
  storeTimestamp: message.storeTimestamp,
  properties: Object.fromEntries(Object.entries(message.properties).filter(([name]) => !added.has(name)))
})

/** The columns of each line that a command printed. */
const rows = (output: string) => output.split("\n").map((line) => line.trim().split(/\s+/))

const readBody = (message: JavaClient.JavaMessage): Buffer => Buffer.from(message.bodyBase64 ?? "", "base64")

describe.each(pairs)(
  "Java $client on the embedded cluster as $servers",
  ({ client: version, servers, version: number }) => {
    const cluster = EmbeddedCluster.layerTcp({ version: number, brokers: 2 })
    layer(cluster, { excludeTestServices: true, timeout: "10 minutes" })((test) => {
      test.effect("producer, pull consumer, lite pull consumer and store agree on every message", () =>
        Effect.gen(function* () {
          const embedded = yield* EmbeddedCluster
          const client = { namesrvAddr: embedded.namesrvAddr, version }
          const topic = "foreign"
          const input = messages(topic)
          const sent = yield* JavaClient.produce({ ...client, messages: input })
          assert.strictEqual(sent.length, input.length)
          assert.deepStrictEqual([...new Set(sent.map((result) => result.sendStatus))], ["SEND_OK"])
          assert.deepStrictEqual([...new Set(sent.map((result) => result.brokerName))].toSorted(), [
            "broker-a",
            "broker-b"
          ])

          const read = yield* JavaClient.read({ ...client, topic })
          assert.strictEqual(read.length, input.length)
          for (const [index, result] of sent.entries()) {
            const given = input[index]
            const there = read.find((message) => message.msgId === result.msgId)
            assert.isDefined(there)
            assert.isDefined(given)
            assert.deepStrictEqual(
              [there.brokerName, there.queueId, there.queueOffset, there.offsetMsgId],
              [result.brokerName, result.queueId, result.queueOffset, result.offsetMsgId]
            )
            assert.isTrue(readBody(there).equals(Buffer.from(given.body)), `the body of message ${index}`)
            assert.strictEqual(there.tags, given.tags)
            assert.strictEqual(there.keys, given.keys)
            for (const [name, value] of Object.entries(given.properties ?? {})) {
              assert.strictEqual(there.properties[name], value)
            }
          }

          assert.deepStrictEqual(yield* JavaClient.read({ ...client, topic, with: "litePull" }), read)

          const names = new Map(embedded.brokers.map((broker) => [broker.address, broker.name]))
          const stored = yield* embedded.messages(topic)
          assert.sameDeepMembers(
            stored.map((message) => ({ brokerName: names.get(message.storeHost), ...comparable(message) })),
            read.map((message) => ({ brokerName: message.brokerName, ...comparable(message) }))
          )
          for (const message of stored) {
            const same = read.find((other) => other.msgId === message.msgId)
            assert.isDefined(same)
            assert.isTrue(readBody(same).equals(plainBody(message)))
          }
        })
      )

      test.effect("a batch of the Java producer is stored message by message", () =>
        Effect.gen(function* () {
          const { namesrvAddr } = yield* EmbeddedCluster
          const client = { namesrvAddr, version }
          const bodies = Array.from({ length: 10 }, (_, index) => `batch ${index} ✓`)
          const [result] = yield* JavaClient.produce({
            ...client,
            batch: true,
            messages: bodies.map((body) => ({ topic: "foreign-batch", body, properties: unicode }))
          })
          const read = yield* JavaClient.read({ ...client, topic: "foreign-batch" })
          assert.deepStrictEqual(
            read.map((message) => readBody(message).toString()),
            bodies
          )
          assert.isDefined(result)
          assert.deepStrictEqual(
            read.map((message) => message.queueOffset),
            bodies.map((_, index) => result.queueOffset + index)
          )
          assert.strictEqual(read.map((message) => message.msgId).join(","), result.msgId)
          assert.strictEqual(read.map((message) => message.offsetMsgId).join(","), result.offsetMsgId)
          assert.isTrue(read.every((message) => message.properties["ключ"] === "значение 🚀"))
        })
      )

      // The tools of 4.9.7 look for counters that no 5.x broker has, embedded or not.
      if (version !== servers) return

      test.effect("mqadmin lists and changes topics", () =>
        Effect.gen(function* () {
          const embedded = yield* EmbeddedCluster
          const mqadmin = (...args: ReadonlyArray<string>) =>
            Effect.map(
              JavaClient.mqadmin({ namesrvAddr: embedded.namesrvAddr, version }, args),
              ({ stderr, stdout }) => {
                // It exits with 0 whatever happened; a failed command leaves a stack trace.
                assert.notMatch(stderr, /Exception/)
                return stdout
              }
            )

          const update = yield* mqadmin("updateTopic", "-t", "made", "-c", embedded.clusterName, "-r", "3", "-w", "2")
          for (const { address } of embedded.brokers) assert.include(update, `create topic to ${address} success`)
          assert.include(update, "topicName=made, readQueueNums=3, writeQueueNums=2, perm=RW-")

          const [topics, route, clusters] = yield* Effect.all(
            [mqadmin("topicList"), mqadmin("topicRoute", "-t", "made"), mqadmin("clusterList")],
            { concurrency: "unbounded" }
          )
          assert.includeDeepMembers(rows(topics), [["made"], ["TBW102"], [embedded.clusterName]])
          for (const { address, name } of embedded.brokers) {
            assert.include(route, `"${address}"`)
            assert.include(route, `"brokerName":"${name}"`)
            const row = rows(clusters).find((columns) => columns[3] === address)
            assert.deepStrictEqual(row?.slice(0, 5), [
              embedded.clusterName,
              name,
              "0",
              address,
              `V${servers.replaceAll(".", "_")}`
            ])
          }
          assert.match(route, /"readQueueNums":3/)
          assert.match(route, /"writeQueueNums":2/)

          const perm = yield* mqadmin("updateTopicPerm", "-t", "made", "-c", embedded.clusterName, "-p", "4")
          assert.include(perm, "update topic perm from 6 to 4")
          yield* mqadmin("deleteTopic", "-t", "made", "-c", embedded.clusterName)
          assert.notInclude((yield* mqadmin("topicList")).split(/\s+/), "made")
        })
      )

      test.effect("mqadmin finds messages and shows the brokers", () =>
        Effect.gen(function* () {
          const embedded = yield* EmbeddedCluster
          const client = { namesrvAddr: embedded.namesrvAddr, version }
          const topic = "foreign-admin"
          const broker = embedded.brokers[0]
          assert.isDefined(broker)
          yield* embedded.createTopic(topic, { readQueueNums: 1, writeQueueNums: 1, broker: broker.name })
          const sent = yield* JavaClient.produce({
            ...client,
            messages: ["red", "green", "red"].map((keys) => ({ topic, body: keys, keys }))
          })
          const [byKey, status, runtime] = yield* Effect.all(
            [
              JavaClient.mqadmin(client, ["queryMsgByKey", "-t", topic, "-k", "red"]),
              JavaClient.mqadmin(client, ["topicStatus", "-t", topic]),
              JavaClient.mqadmin(client, ["brokerStatus", "-b", broker.address])
            ],
            { concurrency: "unbounded" }
          )
          const found = byKey.stdout.split("\n").filter((line) => line.includes(topic) || /^[0-9A-F]{32}/.test(line))
          assert.sameMembers(
            found.map((line) => line.split(/\s+/)[0]),
            [sent[0]?.msgId, sent[2]?.msgId]
          )
          assert.match(status.stdout, new RegExp(`${broker.name} +0 +0 +3 +\\d{4}-`))
          assert.match(runtime.stdout, new RegExp(`^brokerVersionDesc +: V${servers.replaceAll(".", "_")}$`, "m"))
          assert.match(runtime.stdout, /^msgPutTotalTodayNow +: [1-9]/m)
        })
      )
    })
  }
)

/** What the Java programs see of one cluster, without what differs from run to run. */
const observe = Effect.fnUntraced(function* (namesrvAddr: string, version: RocketMQVersion) {
  const client = { namesrvAddr, version }
  const topic = "same"
  const sent = yield* JavaClient.produce({
    ...client,
    messages: messages(topic).map((message) => ({ ...message, queueId: 1, brokerName: "broker-a" }))
  })
  const batch = yield* JavaClient.produce({
    ...client,
    batch: true,
    messages: ["a", "b", "c"].map((tags) => ({ topic: "same-batch", body: tags, tags, properties: unicode }))
  })
  const refusal = yield* JavaClient.produce({
    ...client,
    messages: [{ topic, body: "x", queueId: 77, brokerName: "broker-a" }]
  }).pipe(Effect.flip)
  const stored = yield* JavaClient.read({ ...client, topic, digest: true })
  const batched = yield* JavaClient.read({ ...client, topic: "same-batch", digest: true })
  return {
    results: [...sent, ...batch].map(normalResult),
    stored: stored.map(normalMessage),
    // The producer picks the queue of a batch, at random where it starts.
    batched: batched.map((message) => ({ ...normalMessage(message), queueId: 0 })),
    refusal: /CODE: .*/.exec(refusal.message)?.[0].replaceAll(/127\.0\.0\.1:\d+/g, "ADDRESS")
  }
})

/** Java programs do the same on real servers and on embedded ones; what they see must not differ. */
describe.each(pairs.filter((pair) => pair.client === pair.servers))(
  "RocketMQ $client and the embedded cluster",
  ({ client: version, version: number }) => {
    const clusterName = "DefaultCluster"
    const both = Layer.merge(
      RocketMQ.layer({ version, clusterName }),
      EmbeddedCluster.layerTcp({ version: number, clusterName })
    )
    layer(both, { excludeTestServices: true, timeout: "10 minutes" })((test) => {
      test.effect("store the same for the same sends, and refuse in the same words", () =>
        Effect.gen(function* () {
          const addresses = [(yield* RocketMQ).namesrvAddr, (yield* EmbeddedCluster).namesrvAddr]
          const [real, embedded] = yield* Effect.forEach(addresses, (address) => observe(address, version), {
            concurrency: 2
          })
          assert.isDefined(real)
          assert.isAbove(real.stored.length, 20)
          assert.isString(real.refusal)
          assert.deepStrictEqual(embedded, real)
        })
      )
    })
  }
)

/** A result without what differs from run to run: ids, and the queue where the producer starts. */
const normalResult = ({
  msgId,
  offsetMsgId,
  queueId: _queueId,
  queueOffset: _offset,
  ...rest
}: JavaClient.JavaSendResult) => ({
  ...rest,
  msgIds: msgId.split(",").length,
  offsetMsgIds: offsetMsgId.split(",").map((id) => id.length)
})

/** A message without times, ids and log positions: sizes of entries are no part of the protocol. */
const normalMessage = (message: JavaClient.JavaMessage) => {
  const {
    bornTimestamp: _born,
    commitLogOffset: _log,
    msgId: _id,
    offsetMsgId: _offsetId,
    storeTimestamp: _stored,
    ...rest
  } = message
  const { UNIQ_KEY: uniqueKey, ...properties } = message.properties
  return { ...rest, properties, uniqueKeyLength: uniqueKey?.length }
}
