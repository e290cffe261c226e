/** mqadmin on the embedded cluster and on a real one of the same release: what it prints has the same shape. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { MQVersion } from "../../src/protocol/MQVersion.ts"
import type { Request } from "../../src/protocol/RemotingCommand.ts"
import * as CreateTopic from "../../src/protocol/request/CreateTopic.ts"
import { consumerHeartbeat, producerHeartbeat, rawClient, sendRequest } from "../embedded/support.ts"
import { verbs } from "../support/mqadmin.ts"
import type { RocketMQVersion } from "./Jars.ts"
import * as JavaClient from "./JavaClient.ts"
import { temporaryFolder } from "./Processes.ts"
import { RocketMQ } from "./RocketMQServer.ts"

interface Cluster {
  readonly namesrvAddr: string
  readonly broker: string
}

const both = Effect.gen(function* () {
  const embedded = yield* EmbeddedCluster
  const real = yield* RocketMQ
  const clusters: ReadonlyArray<Cluster> = [
    { namesrvAddr: embedded.namesrvAddr, broker: embedded.brokers[0]?.address ?? "" },
    { namesrvAddr: real.namesrvAddr, broker: real.brokers[0]?.address ?? "" }
  ]
  return clusters
})

/** The same on each cluster: a topic with three messages in a queue, a producer and a consumer. */
const setup = Effect.gen(function* () {
  const clusters = yield* both
  const client = yield* rawClient()
  for (const { broker } of clusters) {
    const call = (request: Request) => client.call(broker, request, 10_000)
    yield* call(
      CreateTopic.request({
        topic: "orders",
        defaultTopic: "TBW102",
        readQueueNums: 2,
        writeQueueNums: 2,
        perm: 6,
        topicFilterType: "SINGLE_TAG",
        order: false
      })
    )
    for (let index = 0; index < 3; index++) assert.strictEqual((yield* call(sendRequest())).code, 0)
    yield* call(producerHeartbeat("somebody@1", "shape-pg"))
    yield* call(consumerHeartbeat("somebody@1", "shape-cg", ["orders"]))
  }
  return clusters
})

/** Lists in files, as the verbs for several topics and groups read them. */
const files = Effect.gen(function* () {
  const folder = yield* temporaryFolder("effect-rocketmq-lists-", tmpdir())
  const write = (name: string, list: unknown) => {
    const file = Path.join(folder, name)
    return Effect.as(
      Effect.promise(() => Fs.writeFile(file, JSON.stringify(list))),
      file
    )
  }
  return {
    topics: yield* write("topics.json", [
      { topicName: "listed-a", readQueueNums: 2, writeQueueNums: 2, perm: 6 },
      { topicName: "listed-b", readQueueNums: 1, writeQueueNums: 1, perm: 4 }
    ]),
    groups: yield* write("groups.json", [{ groupName: "listed-cg", retryMaxTimes: 3 }])
  }
})

/** Runs a verb on each cluster; `@broker` stands for the broker's address. */
const run = (version: RocketMQVersion, clusters: ReadonlyArray<Cluster>, words: ReadonlyArray<string>) =>
  Effect.forEach(
    clusters,
    ({ broker, namesrvAddr }) =>
      Effect.map(
        JavaClient.mqadmin(
          { namesrvAddr, version },
          words.map((word) => word.replace("@broker", broker))
        ),
        ({ stderr, stdout }) => `${stdout}\n${stderr}`
      ),
    { concurrency: 2 }
  )

/** The text without what no two clusters share: numbers, and as many spaces as a column needs. */
const shape = (text: string): ReadonlyArray<string> =>
  text
    .split("\n")
    // What Java says of itself.
    .filter((line) => !/WARN|SLF4J|log4j|^OpenJDK|RocketMQLog/.test(line))
    .map((line) =>
      line
        .replace(/\s+at .*/, "")
        .replace(/\d+(?:\.\d+)?/g, "N")
        .replace(/[ \t]+/g, " ")
        .trim()
    )
    .filter((line) => line !== "")

/** The names in the lines `name = value`, which of a real server are many more. */
const settings = (text: string): ReadonlyArray<string> =>
  text.split("\n").flatMap((line) => /^([A-Za-z0-9]+) *= /.exec(line.trim())?.[1] ?? [])

for (const [version, number] of [
  ["5.5.0", MQVersion.V5_5_0],
  ["4.9.7", MQVersion.V4_9_7]
] as const) {
  describe(`mqadmin ${version} on the embedded cluster and on a real one`, () => {
    const clusters = Layer.mergeAll(
      EmbeddedCluster.layerTcp({ version: number }),
      RocketMQ.layer({ version, clusterName: "DefaultCluster" })
    )
    layer(clusters, { excludeTestServices: true, timeout: "10 minutes" })((test) => {
      test.effect("has the verbs that docs/mqadmin.md lists", () =>
        Effect.gen(function* () {
          const { namesrvAddr } = yield* EmbeddedCluster
          const listed = verbs().filter(({ refused }) => refused[version] !== undefined)
          assert.sameMembers(
            [...(yield* JavaClient.mqadminVerbs({ namesrvAddr, version }))],
            listed.map(({ name }) => name)
          )
        })
      )

      test.effect("prints the same", () =>
        Effect.gen(function* () {
          const servers = yield* setup
          const lists = yield* files
          const five = version === "5.5.0"
          const runs: ReadonlyArray<readonly [words: ReadonlyArray<string>, expected: RegExp]> = [
            [
              ["queryCq", "-b", "@broker", "-t", "orders", "-q", "0", "-i", "1", "-c", "5"],
              /max: 3, min: 0[^]*idx: 1\n/
            ],
            [["queryCq", "-b", "@broker", "-t", "orders", "-q", "0", "-i", "0", "-c", "1", "-g", "shape-cg"], /orders/],
            [["queryCq", "-b", "@broker", "-t", "orders", "-q", "1", "-i", "0", "-c", "1"], /is not exist/],
            [["updateBrokerConfig", "-b", "@broker", "-k", "maxMessageSize", "-v", "1000"], /success/],
            [["updateNamesrvConfig", "-k", "orderMessageEnable", "-v", "true"], /success/],
            [["updateNamesrvConfig", "-k", "kvConfigPath", "-v", "/nowhere"], /Can not update config/],
            [["cleanExpiredCQ", "-b", "@broker"], /success/],
            [["cleanUnusedTopic", "-b", "@broker"], /success/],
            [["deleteExpiredCommitLog", "-b", "@broker"], /success/],
            [["producer", "-b", "@broker"], /clientId=somebody@1,remoteIP=\/127/],
            [["statsAll", "-t", "orders"], /orders/],
            [["consumerConnection", "-g", "shape-cg"], /somebody@1/],
            [["producerConnection", "-g", "shape-pg", "-t", "orders"], /somebody@1/],
            ...(five
              ? ([
                  [["updateBrokerConfig", "-b", "@broker", "-k", "rocketmqHome", "-v", "x"], /black list/],
                  [["updateTopicList", "-b", "@broker", "-f", lists.topics], /success/],
                  [["updateSubGroupList", "-b", "@broker", "-f", lists.groups], /success/],
                  [["haStatus", "-b", "@broker"], /MasterCommitLogMaxOffset/],
                  [["topicStatus", "-t", "listed-a"], /broker-a +1 +0 +0/]
                ] as const)
              : [])
          ]
          for (const [words, expected] of runs) {
            const [embedded = "", real = ""] = yield* run(version, servers, words)
            assert.match(real, expected, words.join(" "))
            assert.deepStrictEqual(shape(embedded), shape(real), words.join(" "))
          }
          for (const words of [["getBrokerConfig", "-b", "@broker"], ["getNamesrvConfig"]]) {
            const [embedded = "", real = ""] = yield* run(version, servers, words)
            assert.isNotEmpty(settings(embedded))
            assert.includeMembers([...settings(real)], [...settings(embedded)], words.join(" "))
          }
        })
      )
    })
  })
}
