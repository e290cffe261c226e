import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { MQVersion } from "../../src/protocol/MQVersion.ts"
import * as CreateTopic from "../../src/protocol/request/CreateTopic.ts"
import { producerHeartbeat, rawClient } from "../embedded/support.ts"
import * as GoClient from "./GoClient.ts"
import * as JavaClient from "./JavaClient.ts"
import type { RocketMQVersion } from "./Jars.ts"
import { request } from "./RawRemoting.ts"
import { RocketMQ } from "./RocketMQServer.ts"

/**
 * What a Java client sees of delays, timers, transactions, replies, orderly and repeated consumption, assigned queues and
 * the VIP channel, on a real broker and on an embedded one: the same program, the same settings, and it must see the same.
 */

const scenarios: Readonly<Record<RocketMQVersion, ReadonlyArray<JavaClient.JavaScenario>>> = {
  "5.5.0": ["delay", "timer", "transaction", "request", "orderly", "retry", "assigned", "vip"],
  // 4.x has no timers, and its brokers assign no queues.
  "4.9.7": ["delay", "transaction", "request", "orderly", "retry", "vip"]
}

/** Short times, so that a test need not wait for minutes; long enough between checks for a busy machine to answer. */
const settings = {
  messageDelayLevel: "1s 2s 1s 2s",
  transactionCheckInterval: 5_000,
  transactionTimeOut: 3_000,
  recallMessageEnable: true
}

/** Real settings besides: what is ended is written down at once, so that it is not asked about. */
const real = { ...settings, transactionOpBatchInterval: 100 }

const realProperties = (version: RocketMQVersion): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(real)
      // A broker of 4.x logs a setting it does not know as an error.
      .filter(([name]) => version === "5.5.0" || !["recallMessageEnable", "transactionOpBatchInterval"].includes(name))
      .map(([name, value]) => [name, String(value)])
  )

/** Values that differ from run to run, by what they are. */
const stable = (value: string, name: string): string => {
  if (/^[0-9A-F]{32}([0-9A-F]{24})?$/.test(value)) return `id of ${value.length}`
  if (/^1[0-9]{12}$/.test(value)) return "a time"
  if (name === "CORRELATION_ID" || name === "REPLY_TO_CLIENT") return "an id"
  return value
}

/** Properties that clients add when they read, or that depend on when they do. */
const ofTheReader = new Set(["MIN_OFFSET", "MAX_OFFSET", "CONSUME_START_TIME"])
/** What differs from run to run in a message, or depends on how messages overtake each other. */
const unstable = new Set([
  "msgId",
  "offsetMsgId",
  "bornTimestamp",
  "storeTimestamp",
  "commitLogOffset",
  "queueOffset",
  "bornHost"
])

const normal = (line: JavaClient.JavaObservation) =>
  Object.fromEntries(
    Object.entries(line)
      .filter(([name]) => !("bodyBase64" in line && unstable.has(name)))
      .map(([name, value]) => [
        name,
        name === "properties" && typeof value === "object" && value !== null
          ? Object.fromEntries(
              Object.entries(value)
                .filter(([property]) => !ofTheReader.has(property))
                .map(([property, text]) => [property, stable(String(text), property)])
            )
          : value
      ])
  )

/** Everything a scenario saw, each thing once, in an order of its own. */
const seen = (lines: ReadonlyArray<JavaClient.JavaObservation>, scenario: string): ReadonlyArray<unknown> =>
  [...new Set(lines.filter((line) => line.scenario === scenario).map((line) => JSON.stringify(normal(line))))]
    .toSorted()
    .map((text): unknown => JSON.parse(text))

const createTopics = (address: string, topics: ReadonlyArray<string>, queues: number) =>
  Effect.forEach(topics, (topic) =>
    Effect.map(
      request(
        address,
        CreateTopic.request({
          topic,
          defaultTopic: "TBW102",
          readQueueNums: queues,
          writeQueueNums: queues,
          perm: 6,
          topicFilterType: "SINGLE_TAG",
          topicSysFlag: 0,
          order: false
        })
      ),
      (answer) => assert.strictEqual(answer?.code, 0, `topic ${topic}`)
    )
  )

/** How long each delayed message took, by its text. */
const delays = (lines: ReadonlyArray<JavaClient.JavaObservation>, scenario: string) =>
  lines
    .filter((line) => line.scenario === scenario && line.what === "arrived")
    .map((line) => ({
      text: Buffer.from(String(line["bodyBase64"]), "base64").toString(),
      millis: Number(line["storeTimestamp"]) - Number(line["bornTimestamp"])
    }))

describe.each([
  { version: "5.5.0", number: MQVersion.V5_5_0 },
  { version: "4.9.7", number: MQVersion.V4_9_7 }
] as const)("Java $version on RocketMQ and on the embedded cluster", ({ number, version }) => {
  const clusterName = "DefaultCluster"
  const both = Layer.merge(
    RocketMQ.layer({ version, clusterName, brokerProperties: realProperties(version) }),
    EmbeddedCluster.layerTcp({ version: number, clusterName, brokers: [{ name: "broker-a", config: settings }] })
  )
  layer(both, { excludeTestServices: true, timeout: "10 minutes" })((test) => {
    test.effect("delays, timers, transactions, replies, order and repetition look the same", () =>
      Effect.gen(function* () {
        const servers = [yield* RocketMQ, yield* EmbeddedCluster]
        const [theirs, ours] = yield* Effect.forEach(
          servers,
          Effect.fnUntraced(function* ({ brokers, namesrvAddr }) {
            yield* createTopics(brokers[0]?.address ?? "", scenarios[version], 1)
            return yield* JavaClient.scenarios({
              namesrvAddr,
              version,
              scenarios: scenarios[version],
              timeoutMillis: 120_000
            })
          }),
          { concurrency: 2 }
        )
        assert.isDefined(theirs)
        assert.isDefined(ours)
        const [expected, found] = [theirs, ours].map((lines) =>
          scenarios[version].map((scenario) => ({ scenario, seen: seen(lines, scenario) }))
        )
        for (const { scenario, seen: things } of expected ?? []) assert.isAbove(things.length, 0, scenario)
        assert.deepStrictEqual(found, expected)
        for (const lines of [theirs, ours]) {
          const atLeast: Readonly<Record<string, number>> = {
            "level 1": 1_000,
            "level 2": 2_000,
            "level 99": 2_000,
            TIMER_DELAY_MS: 2_500,
            TIMER_DELAY_SEC: 3_000,
            last: 6_000
          }
          for (const { millis, text } of [...delays(lines, "delay"), ...delays(lines, "timer")]) {
            assert.isAtLeast(millis, atLeast[text] ?? 0, text)
            assert.isBelow(millis, (atLeast[text] ?? 0) + 5_000, text)
          }
        }
      })
    )

    test.effect("the Go client sees the same: push consumers of every kind, transactions, dead letters, polls", () =>
      Effect.gen(function* () {
        const servers = [yield* RocketMQ, yield* EmbeddedCluster]
        const [theirs, ours] = yield* Effect.forEach(
          servers,
          Effect.fnUntraced(function* ({ brokers, namesrvAddr }) {
            const address = brokers[0]?.address ?? ""
            yield* createTopics(address, GoClient.topics, 2)
            yield* createTopics(address, GoClient.retryTopics, 1)
            const lines = yield* GoClient.scenarios({ namesrvAddr })
            return lines.map((line) => JSON.stringify(line)).toSorted()
          }),
          { concurrency: 2 }
        )
        assert.isDefined(theirs)
        assert.deepStrictEqual(ours, theirs)
        assert.strictEqual(ours?.length, 18)
      })
    )
  })
})

describe("mqadmin 5.5.0 on the embedded cluster", () => {
  const cluster = EmbeddedCluster.layerTcp({
    orderMessageEnable: true,
    topics: { orderly: { readQueueNums: 1, writeQueueNums: 1 } }
  })
  layer(cluster, { excludeTestServices: true, timeout: "10 minutes" })((test) => {
    test.effect("order configuration, permissions, producers, backlog, resets and attributes", () =>
      Effect.gen(function* () {
        const { brokers, clusterName, namesrvAddr } = yield* EmbeddedCluster
        const address = brokers[0]?.address ?? ""
        const mqadmin = (...args: ReadonlyArray<string>) =>
          Effect.map(JavaClient.mqadmin({ namesrvAddr, version: "5.5.0" }, args), ({ stderr, stdout }) => {
            assert.notMatch(stderr, /Exception/)
            return stdout
          })
        yield* JavaClient.scenarios({ namesrvAddr, version: "5.5.0", scenarios: ["orderly"] })

        const client = yield* rawClient()
        yield* client.call(address, producerHeartbeat("somebody@1", "listed-pg"))
        const [producers, backlog, progress] = yield* Effect.all(
          [
            mqadmin("producer", "-b", address),
            mqadmin("brokerConsumeStats", "-b", address, "-l", "0"),
            mqadmin("consumerProgress", "-g", "orderly-cg")
          ],
          { concurrency: 2 }
        )
        assert.match(producers, /producer group \(listed-pg\) instance : clientId=somebody@1/)
        assert.match(backlog, /orderly +orderly-cg +broker-a +0 +20 +20 +0/)
        assert.match(progress, /orderly +broker-a +0 +20 +20 +0/)

        yield* mqadmin("updateOrderConf", "-m", "put", "-t", "orderly", "-v", "broker-a:1")
        assert.match(yield* mqadmin("topicRoute", "-t", "orderly"), /"orderTopicConf":"broker-a:1"/)
        assert.match(
          yield* mqadmin("wipeWritePerm", "-b", "broker-a"),
          /wipe write perm of broker\[broker-a\].* OK, \d+/
        )
        assert.match(yield* mqadmin("topicRoute", "-t", "orderly"), /"perm":4/)
        assert.match(yield* mqadmin("addWritePerm", "-b", "broker-a"), /add write perm of broker\[broker-a\].* OK, \d+/)
        assert.match(yield* mqadmin("topicRoute", "-t", "orderly"), /"perm":6/)

        const reset = yield* mqadmin("resetOffsetByTime", "-g", "orderly-cg", "-t", "orderly", "-s", "0", "-f", "true")
        assert.match(reset, /broker-a +0 +0/)
        assert.match(yield* mqadmin("consumerProgress", "-g", "orderly-cg"), /orderly +broker-a +0 +20 +0 +20/)
        yield* mqadmin("updateTopic", "-t", "typed", "-c", clusterName, "-a", "+message.type=DELAY")
        const config = yield* client.call(address, { code: 351, extFields: { topic: "typed" } })
        assert.match(Buffer.from(config.body).toString(), /"attributes":\{"message\.type":"DELAY"\}/)
        yield* mqadmin("updateSubGroup", "-g", "limited", "-c", clusterName, "-r", "3")
        assert.match(yield* mqadmin("getConsumerConfig", "-g", "limited"), /retryMaxTimes *= *3/)
      })
    )
  })
})
