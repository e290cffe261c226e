/** What an administrator can do on real RocketMQ, and that mqadmin sees the same. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { MQAdmin } from "../../src/admin/MQAdmin.ts"
import * as Message from "../../src/message/Message.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { cli } from "../cli/support.ts"
import { administration, onlineConsumer, withTools } from "../admin/administration.ts"
import { rocketmqTarget } from "../conformance/rocketmq.ts"
import { eventuallyThat, uniqueName } from "../conformance/support.ts"
import { type Release, Target } from "../conformance/Target.ts"
import * as JavaClient from "./JavaClient.ts"

/** The cells of a table that mqadmin prints: the rows that begin with a word. */
const rowsOf = (stdout: string, first: string): ReadonlyArray<ReadonlyArray<string>> =>
  stdout
    .split("\n")
    .map((line) => line.trim().split(/\s{2,}/))
    .filter(([cell]) => cell === first)

for (const release of ["5.5.0", "4.9.7"] satisfies ReadonlyArray<Release>) {
  administration(`administration of RocketMQ ${release}`, rocketmqTarget(release), (test) => {
    test.effect("mqadmin sees the same offsets, the same progress and the same message", () =>
      Effect.gen(function* () {
        const { clusterName, namesrvAddr } = yield* Target
        const admin = yield* MQAdmin
        const producer = yield* DefaultMQProducer
        const topic = uniqueName("compared")
        const group = uniqueName("reader")
        yield* admin.createTopic({ topic, readQueueNums: 1 })
        const result = yield* producer.send(Message.make({ topic, body: "7", keys: "the-key" }))
        yield* admin.createSubscriptionGroup({ groupName: group })
        for (const { maxOffset, queue } of yield* eventuallyThat(admin.examineTopicStats(topic), (found) =>
          assert.isTrue(found.some((one) => one.maxOffset === 1))
        )) {
          yield* admin.updateConsumeOffset(group, queue, maxOffset)
        }
        yield* producer.send(Message.make({ topic, body: "8" }), { queue: result.queue })
        const stats = yield* eventuallyThat(admin.examineTopicStats(topic), (found) =>
          assert.isTrue(found.some((one) => one.maxOffset === 2))
        )

        const status = yield* JavaClient.mqadmin({ namesrvAddr, version: release }, ["topicStatus", "-t", topic])
        assert.sameDeepMembers(
          stats.map(({ maxOffset, minOffset, queue }) =>
            [queue.brokerName, queue.queueId, minOffset, maxOffset].map(String)
          ),
          [...rowsOf(status.stdout, "broker-a"), ...rowsOf(status.stdout, "broker-b")].map((cells) => cells.slice(0, 4))
        )

        // mqadmin asks for the group's retry topic, which the group's first consumer has made.
        yield* onlineConsumer(group, topic)
        const progress = yield* admin.examineConsumeStats(group)
        assert.strictEqual(progress.lag, 1)
        const shown = yield* JavaClient.mqadmin({ namesrvAddr, version: release }, ["consumerProgress", "-g", group])
        assert.match(shown.stdout, /Consume Diff Total: 1|Diff Total: 1/)

        const found = yield* JavaClient.mqadmin({ namesrvAddr, version: release }, [
          "queryMsgByUniqueKey",
          "-t",
          topic,
          "-i",
          result.msgId
        ])
        assert.include(found.stdout, "the-key")
        const message = yield* admin.queryMessageById(topic, result.msgId)
        assert.deepStrictEqual(message.keys, ["the-key"])

        // The command's tables have the cells of mqadmin's.
        const ours = (...args: ReadonlyArray<string>) =>
          Effect.map(cli([...args, "--namesrv", namesrvAddr]), ({ exitCode, out, talk }) => {
            assert.strictEqual(exitCode, 0, talk.join("\n"))
            return new Map(out.map((line) => [line.split(/ {2,}/)[0] ?? "", line.split(/ {2,}/).slice(1).join("  ")]))
          })
        const got = yield* ours("message", "get", result.offsetMsgId ?? "")
        const theirs = new Map(
          [...found.stdout.matchAll(/^([A-Z][\w ]*?): +(.*?) *$/gm)].map(([, name = "", value = ""]) => [name, value])
        )
        for (const [cell, name] of [
          ["topic", "Topic"],
          ["tags", "Tags"],
          ["keys", "Keys"],
          ["queueId", "Queue ID"],
          ["queueOffset", "Queue Offset"],
          ["reconsumeTimes", "Reconsume Times"]
        ] as const) {
          const value = theirs
            .get(name)
            ?.replace(/^\[(.*)\]$/, "$1")
            .replace(/^(?:null)?$/, "-")
          assert.strictEqual(got.get(cell)?.replace(/^$/, "-"), value, `${cell}: ${[...theirs].join("; ")}`)
        }
        const { brokerAddrTable } = yield* admin.examineBrokerClusterInfo
        const address = brokerAddrTable.get("broker-a")?.brokerAddrs.get(0) ?? assert.fail("no broker-a")
        const listed = yield* JavaClient.mqadmin({ namesrvAddr, version: release }, ["getBrokerConfig", "-b", address])
        const settings = [...listed.stdout.matchAll(/^(\w+) +=  (.*?) *$/gm)]
        assert.isAbove(settings.length, 100)
        const shownConfig = yield* ours("broker", "config", address)
        for (const [, name = "", value = ""] of settings) {
          assert.strictEqual(shownConfig.get(name) ?? "", value, name)
        }
        assert.strictEqual(shownConfig.size, settings.length)

        // What mqadmin changes is what the administrator reads.
        yield* JavaClient.mqadmin({ namesrvAddr, version: release }, [
          "updateTopic",
          "-t",
          topic,
          "-r",
          "3",
          "-w",
          "3",
          "-c",
          clusterName
        ])
        for (const { config } of yield* admin.examineTopicConfig(topic)) {
          assert.deepInclude(config, { readQueueNums: 3, writeQueueNums: 3 })
        }
      }).pipe(withTools)
    )
  })
}
