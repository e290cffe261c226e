/** The remedies that the command prints, followed on real brokers. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { PermName } from "../../src/message/MixAll.ts"
import type { Release } from "../conformance/Target.ts"
import { cli } from "../cli/support.ts"
import { eventuallyThat } from "../conformance/support.ts"
import * as JavaClient from "./JavaClient.ts"
import { setBrokerPermission } from "./reliability/shared.ts"
import { RocketMQ } from "./RocketMQServer.ts"
import { createTopic, services, TEST_TIMEOUT } from "./support.ts"

const BROKER = "broker-a"

/** A call of the command on the cluster. */
const call = (...args: ReadonlyArray<string>) =>
  Effect.flatMap(RocketMQ, ({ namesrvAddr }) => cli([...args, "--namesrv", namesrvAddr]))

/** What the doctor says, when it says that. */
const doctorSays = (topic: string, words: RegExp) =>
  eventuallyThat(call("doctor", "--topic", topic), ({ exitCode, out }) => {
    assert.strictEqual(exitCode, 4)
    assert.match(out.join("\n"), words)
  })

const sends = (topic: string) => call("send", "--topic", topic, "--body", "x")

/** Waits until a send has arrived: brokers tell their name server of a change a moment later. */
const untilSent = (topic: string) =>
  eventuallyThat(sends(topic), ({ exitCode, talk }) => assert.strictEqual(exitCode, 0, talk.join("\n")))

for (const version of ["5.5.0", "4.9.7"] satisfies ReadonlyArray<Release>) {
  layer(services({ version, brokers: [{ name: BROKER }] }), { excludeTestServices: true, timeout: "10 minutes" })(
    `remedies on RocketMQ ${version}`,
    (test) => {
      test.effect(
        "a topic that is closed: topic update opens it and changes nothing else",
        () =>
          Effect.gen(function* () {
            const topic = yield* createTopic("closed", [BROKER], { queues: 16 })
            assert.strictEqual((yield* call("topic", "update", topic, "--perm", "r")).exitCode, 0)
            yield* doctorSays(topic, new RegExp(`topic update --topic ${topic} --perm rw`))
            const refused = yield* sends(topic)
            assert.strictEqual(refused.exitCode, 4)
            assert.match(refused.talk.join("\n"), new RegExp(`topic update ${topic} --perm rw`))
            assert.strictEqual((yield* call("topic", "update", "--topic", topic, "--perm", "rw")).exitCode, 0)
            yield* untilSent(topic)
            const { brokers } = JSON.parse((yield* call("topic", "config", topic, "--json")).out.join())
            assert.deepInclude(brokers[0], { readQueueNums: 16, writeQueueNums: 16, perm: 6 })
          }),
        TEST_TIMEOUT
      )

      test.effect(
        "a topic without a queue to write: topic update gives it some",
        () =>
          Effect.gen(function* () {
            const topic = yield* createTopic("narrow", [BROKER], { queues: 1 })
            const { namesrvAddr } = yield* RocketMQ
            const [{ address } = assert.fail("no broker")] = (yield* RocketMQ).brokers
            yield* JavaClient.mqadmin({ namesrvAddr, version }, [
              ..."updateTopic -w 0 -r 1 -t".split(" "),
              topic,
              "-b",
              address
            ])
            yield* doctorSays(topic, new RegExp(`topic update --topic ${topic} --write-queues 4`))
            assert.strictEqual((yield* call("topic", "update", "--topic", topic, "--write-queues", "4")).exitCode, 0)
            yield* untilSent(topic)
          }),
        TEST_TIMEOUT
      )

      test.effect(
        "a broker that is closed: nothing at the topic is named, and opening the broker helps",
        () =>
          Effect.gen(function* () {
            const topic = yield* createTopic("open", [BROKER])
            const [{ address } = assert.fail("no broker")] = (yield* RocketMQ).brokers
            const reopen = setBrokerPermission(address, PermName.READ | PermName.WRITE)
            yield* Effect.addFinalizer(() => Effect.orDie(reopen))
            yield* setBrokerPermission(address, PermName.READ)
            const told = yield* doctorSays(topic, /broker-a itself does not \(brokerPermission\)/)
            assert.notMatch(told.out.join("\n"), new RegExp(`topic (?:create|update) --topic ${topic}`))
            yield* reopen
            yield* untilSent(topic)
          }).pipe(Effect.scoped),
        TEST_TIMEOUT
      )

      test.effect(
        "a broker whose write permission was wiped at the name server: cluster writable gives it back",
        () =>
          Effect.gen(function* () {
            const { namesrvAddr } = yield* RocketMQ
            const topic = yield* createTopic("wiped", [BROKER])
            yield* JavaClient.mqadmin({ namesrvAddr, version }, ["wipeWritePerm", "-b", BROKER])
            yield* doctorSays(topic, /wipeWritePerm[^]*effect-rocketmq cluster writable broker-a --namesrv \S+$/m)
            assert.strictEqual((yield* call("cluster", "writable", BROKER)).exitCode, 0)
            yield* untilSent(topic)
          }),
        TEST_TIMEOUT
      )

      test.effect(
        "what is there is not created again, unless that is meant",
        () =>
          Effect.gen(function* () {
            const topic = yield* createTopic("wide", [BROKER], { queues: 16 })
            const refused = yield* call("topic", "create", topic)
            assert.strictEqual(refused.exitCode, 4)
            assert.match(refused.talk.join("\n"), /exists already on broker-a \(16 read, 16 write queues, perm 6\)/)
            assert.strictEqual((yield* call("topic", "create", topic, "--if-not-exists")).exitCode, 0)
            const queuesOf = Effect.map(
              call("topic", "config", topic, "--json"),
              ({ out }) => JSON.parse(out.join()).brokers[0].writeQueueNums
            )
            assert.strictEqual(yield* queuesOf, 16)
            assert.strictEqual((yield* call("topic", "create", topic, "--replace", "--queues", "2")).exitCode, 0)
            assert.strictEqual(yield* queuesOf, 2)
            const group = `${topic}-readers`
            assert.strictEqual((yield* call("group", "create", group, "--retries", "3")).exitCode, 0)
            assert.strictEqual((yield* call("group", "create", group)).exitCode, 4)
            assert.strictEqual((yield* call("group", "create", group, "--if-not-exists")).exitCode, 0)
            const { groups } = JSON.parse((yield* call("group", "list", "--json")).out.join())
            assert.deepInclude(
              groups.find(({ groupName }: { readonly groupName: string }) => groupName === group),
              { retryMaxTimes: 3 }
            )
          }),
        TEST_TIMEOUT
      )
    }
  )
}
