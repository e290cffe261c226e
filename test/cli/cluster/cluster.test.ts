import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { onCluster } from "../support.ts"

const cluster = Effect.provide(
  EmbeddedCluster.layerMemory({
    brokers: 2,
    nameServers: 2,
    topics: { orders: { readQueueNums: 4, writeQueueNums: 4 } },
    listen: { namesrvPort: 9_876, brokerPort: 10_911 }
  })
)

describe("cluster writable and unwritable", () => {
  it.effect("says what would change, and changes it at every name server when that is meant", () =>
    Effect.gen(function* () {
      const unsure = yield* onCluster(["cluster", "unwritable", "broker-a"])
      assert.strictEqual(unsure.exitCode, 2)
      assert.match(unsure.talk.join(), /Every topic of broker broker-a would lose its write permission[^]*--yes/)
      const wiped = yield* onCluster(["cluster", "unwritable", "broker-a", "--yes"])
      assert.strictEqual(wiped.exitCode, 0)
      assert.lengthOf(wiped.out, 2)
      for (const line of wiped.out)
        assert.match(line, /^ok 127\.0\.0\.1:\d+: \d+ topics of broker broker-a no more writable$/)
      assert.match((yield* onCluster(["topic", "route", "orders"])).out.join("\n"), /broker-a .* 4 +4 +read$/m)
      const back = yield* onCluster(["cluster", "writable", "broker-a", "--json"])
      assert.lengthOf(JSON.parse(back.out.join()).nameServers, 2)
      const unknown = yield* onCluster(["cluster", "writable", "nope"])
      assert.strictEqual(unknown.exitCode, 4)
      assert.match(unknown.talk.join(), /cluster list/)
    }).pipe(cluster)
  )
})

describe("broker config update and namesrv config update", () => {
  it.effect("say what would change, and change it when that is meant", () =>
    Effect.gen(function* () {
      const words = ["broker", "config", "update", "broker-a", "--set", "autoCreateTopicEnable=false"]
      const unsure = yield* onCluster(words)
      assert.strictEqual(unsure.exitCode, 2)
      assert.match(unsure.talk.join(), /would change broker-a: autoCreateTopicEnable "true" -> "false"[^]*--yes/)
      assert.deepStrictEqual(yield* onCluster([...words, "--yes"]), {
        exitCode: 0,
        out: ['ok broker-a: autoCreateTopicEnable "true" -> "false"'],
        talk: []
      })
      const kept = yield* onCluster(["broker", "config", "update", "broker-a", "--set", "brokerPermission=x", "--yes"])
      assert.strictEqual(kept.exitCode, 1)
      assert.match(kept.out.join(), /^kept broker-a: brokerPermission stays "6"/)
      const black = yield* onCluster(["broker", "config", "update", "broker-a", "--set", "brokerName=x", "--yes"])
      assert.notStrictEqual(black.exitCode, 0)
      for (const [settings, exitCode, said] of [
        [["--set", "nope=1"], 4, /has no setting nope/],
        [["--set", "nope="], 4, /has no setting nope/],
        [["--set", "nope=a=b"], 4, /has no setting nope/],
        [["--set", "nope"], 2, /name=value/],
        [["--set", "=1"], 2, /name=value/],
        [[], 2, /No setting was named[^]*--set name=value/]
      ] as const) {
        for (const server of [
          ["broker", "config", "update", "broker-a"],
          ["namesrv", "config", "update"]
        ]) {
          const refused = yield* onCluster([...server, ...settings, "--yes"])
          assert.strictEqual(refused.exitCode, exitCode, settings.join())
          assert.match(refused.talk.join("\n"), said)
        }
      }
      // An empty value, and one with an equals sign, are taken as they are.
      for (const [value, shown] of [
        ["", ""],
        ["a=b=", "a=b="]
      ] as const) {
        const put = ["broker", "config", "update", "broker-a", "--set", `regionId=${value}`, "--yes", "--json"]
        const call = yield* onCluster(put)
        assert.include(call.out.join(), JSON.stringify(shown), call.talk.join())
      }
      const served = yield* onCluster(["namesrv", "config", "update", "--set", "orderMessageEnable=true", "--yes"])
      assert.lengthOf(served.out, 2)
      const shown = yield* onCluster(["namesrv", "config", "--filter", "ordermessage", "--json"])
      assert.deepStrictEqual(
        JSON.parse(shown.out.join()).nameServers.map((one: { readonly config: unknown }) => one.config),
        [{ orderMessageEnable: "true" }, { orderMessageEnable: "true" }]
      )
    }).pipe(cluster)
  )
})

describe("topic order", () => {
  it.effect("puts what is named, shows it, warns where clients are not told, and deletes when that is meant", () =>
    Effect.gen(function* () {
      const put = yield* onCluster(["topic", "order", "put", "orders", "--queues", "broker-a=2"])
      assert.strictEqual(put.exitCode, 0)
      assert.match(
        put.talk.join(),
        /orderMessageEnable is false[^]*namesrv config update --set orderMessageEnable=true --yes/
      )
      yield* onCluster(["namesrv", "config", "update", "--set", "orderMessageEnable=true", "--yes"])
      const more = yield* onCluster(["topic", "order", "put", "--topic", "orders", "--queues", "broker-b=4"])
      assert.deepStrictEqual(more, {
        exitCode: 0,
        out: ["BROKER    QUEUES", "broker-a       2", "broker-b       4"],
        talk: []
      })
      assert.deepStrictEqual(JSON.parse((yield* onCluster(["topic", "order", "get", "orders", "--json"])).out.join()), {
        topic: "orders",
        brokers: [
          { brokerName: "broker-a", queues: 2 },
          { brokerName: "broker-b", queues: 4 }
        ]
      })
      assert.strictEqual((yield* onCluster(["topic", "order", "put", "orders", "--queues", "broker-a=9"])).exitCode, 4)
      assert.strictEqual((yield* onCluster(["topic", "order", "put", "orders", "--queues", "broker-a=x"])).exitCode, 2)
      for (const wrong of [["--queues", "broker-a="], ["--queues", "broker-a=4=4"], ["--queues", "broker-a"], []]) {
        assert.strictEqual((yield* onCluster(["topic", "order", "put", "orders", ...wrong])).exitCode, 2, wrong.join())
      }
      assert.strictEqual((yield* onCluster(["topic", "order", "get", "nope"])).exitCode, 4)
      const unsure = yield* onCluster(["topic", "order", "delete", "orders"])
      assert.strictEqual(unsure.exitCode, 2)
      assert.match(unsure.talk.join(), /broker-a:2;broker-b:4, would be gone/)
      assert.strictEqual((yield* onCluster(["topic", "order", "delete", "orders", "--yes"])).exitCode, 0)
      assert.match((yield* onCluster(["topic", "order", "get", "orders"])).talk.join(), /has no order configuration/)
    }).pipe(cluster)
  )
})
