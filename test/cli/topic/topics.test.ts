import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { cli, onCluster } from "../support.ts"

const told = (call: { readonly out: ReadonlyArray<string> }) => JSON.parse(call.out.join())

const cluster = (options: Parameters<typeof EmbeddedCluster.layerMemory>[0] = { topics: { orders: {} } }) =>
  Effect.provide(EmbeddedCluster.layerMemory({ ...options, listen: { namesrvPort: 9_876, brokerPort: 10_911 } }))

describe("topic list", () => {
  it.effect("hides what belongs to the system", () =>
    Effect.gen(function* () {
      const call = yield* onCluster(["topic", "list"])
      assert.deepStrictEqual(call.out, ["alpha", "orders"])
      assert.match(call.talk.join(), /^\d+ topics of the system not shown \(--all shows them\)$/)
      const all = yield* onCluster(["topic", "list", "--all"])
      assert.includeMembers([...all.out], ["TBW102", "alpha", "broker-a", "orders", "%RETRY%group"])
      assert.deepStrictEqual(all.talk, [])
      const json = yield* onCluster(["topic", "list", "--json"])
      assert.deepStrictEqual(json, { exitCode: 0, out: ['{"topics":["alpha","orders"]}'], talk: [] })
    }).pipe(cluster({ topics: { orders: {}, alpha: {}, "%RETRY%group": {} } }))
  )
})

describe("topic route", () => {
  it.effect("shows brokers, addresses, queues and permissions", () =>
    Effect.gen(function* () {
      const call = yield* onCluster(["topic", "route", "orders"])
      assert.deepStrictEqual(call, {
        exitCode: 0,
        out: [
          "BROKER    ROLE    ADDRESS          CLUSTER         READ  WRITE  PERMISSION",
          "broker-a  master  127.0.0.1:10911  DefaultCluster     8      4  read, write",
          "broker-b  master  127.0.0.1:10912  DefaultCluster     8      4  read, write"
        ],
        talk: []
      })
      const json = yield* onCluster(["topic", "route", "--topic", "orders", "--json"])
      assert.deepStrictEqual(JSON.parse(json.out.join()), {
        topic: "orders",
        orderTopicConf: null,
        queues: ["broker-a", "broker-b"].map((brokerName) => ({
          brokerName,
          readQueueNums: 8,
          writeQueueNums: 4,
          perm: 6
        })),
        brokers: [
          { brokerName: "broker-a", cluster: "DefaultCluster", addresses: { "0": "127.0.0.1:10911" } },
          { brokerName: "broker-b", cluster: "DefaultCluster", addresses: { "0": "127.0.0.1:10912" } }
        ]
      })
    }).pipe(cluster({ brokers: 2, topics: { orders: { readQueueNums: 8, writeQueueNums: 4 } } }))
  )

  it.effect("says what to do about a topic that is not there", () =>
    Effect.gen(function* () {
      const call = yield* onCluster(["topic", "route", "nope"])
      assert.strictEqual(call.exitCode, 4)
      assert.deepStrictEqual(call.out, [])
      assert.match(call.talk[0] ?? "", /^error: Could not read the route of topic nope: No route to topic "nope"/)
      assert.match(call.talk[1] ?? "", /try: .*effect-rocketmq topic create nope --namesrv \S+$/)
      const unnamed = yield* onCluster(["topic", "route"])
      assert.deepStrictEqual(unnamed.exitCode, 2)
      assert.deepStrictEqual(unnamed.talk, [
        "error: No topic was named.",
        "   try: Name it as an argument, or pass --topic <name>."
      ])
    }).pipe(cluster())
  )
})

describe("topic create", () => {
  it.effect("creates on every master, and sets anew what is there if that is meant", () =>
    Effect.gen(function* () {
      const call = yield* onCluster(["topic", "create", "fresh", "--queues", "2"])
      assert.deepStrictEqual(call, {
        exitCode: 0,
        out: ["ok topic fresh on broker-a, broker-b: 2 queues each, read, write"],
        talk: []
      })
      const json = yield* onCluster(["topic", "create", "--topic", "fresh", "--perm", "r", "--replace", "--json"])
      assert.deepStrictEqual(JSON.parse(json.out.join()), {
        topic: "fresh",
        clusterName: "DefaultCluster",
        brokers: [
          { brokerName: "broker-a", address: "127.0.0.1:10911" },
          { brokerName: "broker-b", address: "127.0.0.1:10912" }
        ],
        readQueueNums: 4,
        writeQueueNums: 4,
        perm: 4,
        routed: true
      })
    }).pipe(cluster({ brokers: 2 }))
  )

  it.effect("A15: refuses to create what is there, and changes nothing", () =>
    Effect.gen(function* () {
      const { createTopic } = yield* EmbeddedCluster
      yield* createTopic("wide", { broker: "broker-a", readQueueNums: 16, writeQueueNums: 16 })
      const refused = yield* onCluster(["topic", "create", "wide", "--queues", "4"])
      assert.strictEqual(refused.exitCode, 4)
      assert.deepStrictEqual(refused.out, [])
      assert.match(
        refused.talk.join("\n"),
        /"wide" exists already on broker-a \(16 read, 16 write queues, perm 6\)\. Nothing was changed\.\n.*topic config wide --namesrv /
      )
      assert.strictEqual((yield* onCluster(["topic", "create", "wide", "--json"])).exitCode, 4)
      const kept = yield* onCluster(["topic", "create", "wide", "--if-not-exists"])
      assert.deepStrictEqual(kept, {
        exitCode: 0,
        out: [
          "ok topic wide was on broker-a and stays as it is there",
          "ok topic wide on broker-b: 4 queues each, read, write"
        ],
        talk: []
      })
      const [wide] = told(yield* onCluster(["topic", "config", "wide", "--json"])).brokers
      assert.deepInclude(wide, { brokerName: "broker-a", readQueueNums: 16, writeQueueNums: 16 })
      const again = yield* onCluster(["topic", "create", "wide", "--if-not-exists", "--json"])
      assert.deepStrictEqual(JSON.parse(again.out.join()).kept, ["broker-a", "broker-b"])
      const both = yield* onCluster(["topic", "create", "wide", "--if-not-exists", "--replace"])
      assert.strictEqual(both.exitCode, 2)
      assert.match(both.talk.join(), /exclude each other/)
    }).pipe(cluster({ brokers: 2 }))
  )

  it.effect("passes the broker's refusal on, cleaned", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const system = yield* onCluster(["topic", "create", "TBW102"])
      assert.strictEqual(system.exitCode, 4)
      assert.match(system.talk.join(), /INVALID_PARAMETER \(29\): The topic\[TBW102\] is conflict with system topic/)
      assert.strictEqual((yield* onCluster(["topic", "create", "t", "--cluster", "other"])).exitCode, 4)
      yield* faults.add({
        match: { code: RequestCode.UPDATE_AND_CREATE_TOPIC },
        actions: [FaultScript.answer(1, `\u001b]0;title\u0007${"long ".repeat(200)}`)]
      })
      const rude = yield* onCluster(["topic", "create", "t"])
      assert.notInclude(rude.talk.join(), "\u001b")
      assert.isBelow((rude.talk[0] ?? "").length, 400)
    }).pipe(cluster())
  )
})

describe("cluster list", () => {
  it.effect("shows clusters and brokers, a slave among them", () =>
    Effect.gen(function* () {
      const call = yield* onCluster(["cluster", "list"])
      assert.deepStrictEqual(call.out, [
        "CLUSTER         BROKER    ROLE     ADDRESS",
        "DefaultCluster  broker-a  master   127.0.0.1:10911",
        "DefaultCluster  broker-a  slave 1  127.0.0.1:10912"
      ])
      const json = yield* onCluster(["cluster", "list", "--json"])
      assert.deepStrictEqual(JSON.parse(json.out.join()), {
        clusters: [
          {
            name: "DefaultCluster",
            brokers: [
              { brokerName: "broker-a", brokerId: 0, address: "127.0.0.1:10911" },
              { brokerName: "broker-a", brokerId: 1, address: "127.0.0.1:10912" }
            ]
          }
        ]
      })
    }).pipe(cluster({ brokers: [{ name: "broker-a" }, { name: "broker-a", id: 1 }] }))
  )

  it.effect("tells what cannot be reached", () =>
    Effect.gen(function* () {
      const call = yield* cli(["cluster", "list", "--namesrv", "127.0.0.1:1;127.0.0.1:2"])
      assert.strictEqual(call.exitCode, 3)
      assert.match(call.talk[0] ?? "", /No name server answered.*127\.0\.0\.1:[12]: refused/)
      const nonsense = yield* cli(["cluster", "list", "--namesrv", "nonsense"])
      assert.strictEqual(nonsense.exitCode, 2)
      assert.match(nonsense.talk.join(), /"nonsense" is no address/)
    }).pipe(cluster())
  )
})
