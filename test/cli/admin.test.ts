import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import * as ConsumeMessageDirectly from "../../src/protocol/push/ConsumeMessageDirectly.ts"
import * as GetConsumerRunningInfo from "../../src/protocol/push/GetConsumerRunningInfo.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import * as GetConsumerStatusFromClient from "../../src/protocol/push/GetConsumerStatusFromClient.ts"
import type { Response } from "../../src/protocol/RemotingCommand.ts"
import * as UpdateConsumerOffset from "../../src/protocol/request/UpdateConsumerOffset.ts"
import { brokerAddress, consumerHeartbeat, rawClient } from "../embedded/support.ts"
import * as RemotingClient from "../support/remoting.ts"
import { type Call, onCluster } from "./support.ts"

const cluster = (options: Parameters<typeof EmbeddedCluster.layerMemory>[0] = { topics: { orders: {} } }) =>
  Effect.provide(EmbeddedCluster.layerMemory({ ...options, listen: { namesrvPort: 9_876, brokerPort: 10_911 } }))

/** A queue of which nothing happened. */
const idle = {
  commitOffset: 0,
  cachedMsgMinOffset: 0,
  cachedMsgMaxOffset: 0,
  cachedMsgCount: 0,
  cachedMsgSizeInMiB: 0,
  transactionMsgMinOffset: 0,
  transactionMsgMaxOffset: 0,
  transactionMsgCount: 0,
  locked: false,
  tryUnlockTimes: 0,
  lastLockTimestamp: 0,
  droped: false,
  lastPullTimestamp: 0,
  lastConsumeTimestamp: 0
}

/** A member of the group `readers` that answers whatever it is asked. */
const member = Effect.fnUntraced(function* (answer: Response) {
  const client = yield* RemotingClient.make({})
  yield* RemotingClient.handleAll(client, () => Effect.succeed(answer))
  yield* client.invoke(yield* brokerAddress(), consumerHeartbeat("10.0.0.1@1#1", "readers", ["orders"]), 3_000)
})

const two = { brokers: 2, topics: { orders: { readQueueNums: 1, writeQueueNums: 1 } } }

/** What a call printed as JSON, after it ended well. */
const told = (call: Call): unknown => {
  assert.deepStrictEqual([call.exitCode, call.talk], [0, []])
  return JSON.parse(call.out.join("\n"))
}

/** A second that is easy to read. */
const NOON = Date.parse("2026-08-01T12:00:00Z")

const sendOne = (body: string, ...more: ReadonlyArray<string>) =>
  Effect.tap(onCluster(["send", "--topic", "orders", "--body", body, ...more]), (call) =>
    Effect.sync(() => assert.strictEqual(call.exitCode, 0))
  )

describe("topic", () => {
  it.effect("config and update: what each broker keeps, and a change of it", () =>
    Effect.gen(function* () {
      const before = yield* onCluster(["topic", "config", "orders"])
      assert.deepStrictEqual(before.out, [
        "BROKER    READ  WRITE  PERMISSION   ORDER  ATTRIBUTES",
        "broker-a     1      1  read, write  no",
        "broker-b     1      1  read, write  no"
      ])
      const flags = ["--read-queues", "3", "--perm", "r", "--attribute", "message.type=FIFO", "--json"]
      const changed = yield* onCluster(["topic", "update", "orders", ...flags])
      const config = {
        readQueueNums: 3,
        writeQueueNums: 1,
        perm: 4,
        order: false,
        attributes: { "message.type": "FIFO" }
      }
      assert.deepStrictEqual(told(changed), {
        topic: "orders",
        brokers: ["broker-a", "broker-b"].map((brokerName) => ({ brokerName, ...config }))
      })
      const nothing = yield* onCluster(["topic", "update", "orders"])
      assert.strictEqual(nothing.exitCode, 2)
      assert.match(nothing.talk.join(), /nothing to change.*--read-queues/)
      assert.strictEqual((yield* onCluster(["topic", "update", "nope", "--perm", "r"])).exitCode, 4)
    }).pipe(cluster(two))
  )

  it.effect("stats and offsets: what the queues hold, and from when", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(NOON)
      yield* sendOne("first")
      yield* TestClock.setTime(NOON + 60_000)
      yield* sendOne("second")
      const stats = yield* onCluster(["topic", "stats", "orders", "--json"])
      assert.deepStrictEqual(told(stats), {
        topic: "orders",
        messages: 2,
        queues: [{ brokerName: "broker-a", queueId: 0, minOffset: 0, maxOffset: 2, lastUpdateTimestamp: NOON + 60_000 }]
      })
      const table = yield* onCluster(["topic", "stats", "--topic", "orders"])
      assert.deepStrictEqual(table, {
        exitCode: 0,
        out: [
          "BROKER    QUEUE  MIN  MAX  MESSAGES  LAST STORED",
          "broker-a      0    0    2         2  2026-08-01T12:01:00Z"
        ],
        talk: ["2 messages in topic orders"]
      })
      for (const [at, offset] of [
        ["2026-08-01T12:00:30Z", 1],
        [String(NOON), 0],
        ["30s", 1],
        ["1h", 0]
      ] as const) {
        const found = yield* onCluster(["topic", "offsets", "orders", "--at", at, "--json"])
        assert.deepInclude(told(found), { queues: [{ brokerName: "broker-a", queueId: 0, offset }] }, at)
      }
      const nonsense = yield* onCluster(["topic", "offsets", "orders", "--at", "teatime"])
      assert.strictEqual(nonsense.exitCode, 2)
      assert.match(nonsense.talk.join(), /2026-08-01T10:00:00Z/)
    }).pipe(cluster({ topics: { orders: { readQueueNums: 1, writeQueueNums: 1 } } }))
  )

  it.effect("delete: only when it is meant, and only what there is", () =>
    Effect.gen(function* () {
      const unsure = yield* onCluster(["topic", "delete", "orders"])
      assert.strictEqual(unsure.exitCode, 2)
      assert.match(unsure.talk.join(), /--yes/)
      assert.deepStrictEqual((yield* onCluster(["topic", "list"])).out, ["orders"])
      assert.strictEqual((yield* onCluster(["topic", "delete", "order", "--yes"])).exitCode, 4)
      const gone = yield* onCluster(["topic", "delete", "orders", "--yes"])
      assert.deepStrictEqual(gone, { exitCode: 0, out: ["ok topic orders is deleted"], talk: [] })
      assert.deepStrictEqual((yield* onCluster(["topic", "list"])).out, [])
    }).pipe(cluster(two))
  )
})

describe("group", () => {
  it.effect("update: what is named changes, the rest stays on each broker, settings that nobody here knows too", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      yield* onCluster(["group", "create", "readers", "--retries", "3"])
      const stopped = yield* onCluster(["group", "update", "readers", "--no-consume", "--json"])
      const config = { consumeEnable: false, retryMaxTimes: 3, retryQueueNums: 1, consumeMessageOrderly: false }
      assert.deepStrictEqual(told(stopped), {
        group: "readers",
        brokers: ["broker-a", "broker-b"].map((brokerName) => ({ brokerName, ...config }))
      })
      const again = yield* onCluster(["group", "update", "readers", "--consume", "--retries", "5"])
      assert.deepStrictEqual(again.out, [
        "BROKER    CONSUMES  RETRIES  RETRY QUEUES  ORDERLY",
        "broker-a  yes             5             1  no",
        "broker-b  yes             5             1  no"
      ])
      assert.strictEqual((yield* onCluster(["group", "update", "readers"])).exitCode, 2)
      assert.strictEqual((yield* onCluster(["group", "update", "nope", "--retries", "1"])).exitCode, 4)
      const stored = { groupName: "readers", retryMaxTimes: 3, groupRetryPolicy: { type: "EXPONENTIAL" }, of: "6.0" }
      yield* faults.add({
        match: { code: RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG },
        actions: [
          {
            _tag: "Answer",
            response: { code: 0, body: Buffer.from(JSON.stringify({ subscriptionGroupTable: { readers: stored } })) }
          }
        ]
      })
      yield* onCluster(["group", "update", "readers", "--retries", "7"])
      const { traffic } = yield* EmbeddedCluster
      const sent = (yield* traffic.all).findLast(({ code }) => code === RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP)
      assert.deepStrictEqual(JSON.parse(new TextDecoder().decode(sent?.body)), {
        ...stored,
        retryMaxTimes: 7,
        attributes: {}
      })
    }).pipe(cluster({ ...two, recordTraffic: { bodies: true } }))
  )

  it.effect("status: what each member does, as it says itself", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* onCluster(["group", "status", "readers"])).exitCode, 4)
      const topic = "orders"
      const queue = { topic, brokerName: "broker-a", queueId: 0 }
      const info = {
        properties: new Map([["consumeThreadMin", "20"]]),
        subscriptionSet: [
          {
            topic,
            subString: "*",
            expressionType: "TAG",
            classFilterMode: false,
            tagsSet: [],
            codeSet: [],
            subVersion: 1
          }
        ],
        mqTable: [[queue, { ...idle, commitOffset: 7, cachedMsgCount: 2 }]] as const,
        mqPopTable: [],
        statusTable: new Map([
          [topic, { pullRT: 1, pullTPS: 2, consumeRT: 3, consumeOKTPS: 4, consumeFailedTPS: 0.5, consumeFailedMsgs: 6 }]
        ]),
        userConsumerInfo: new Map<string, string>()
      }
      yield* member(GetConsumerRunningInfo.response(info))
      const shown = yield* onCluster(["group", "status", "readers", "--jstack"])
      assert.strictEqual(shown.exitCode, 0)
      assert.match(shown.out.join("\n"), /10\.0\.0\.1@1#1 +orders +broker-a +0 +7 +2 /)
      assert.match(shown.out.join("\n"), /10\.0\.0\.1@1#1 +orders +TAG \* +4\.0 +0\.5 +6 +3\.0/)
      assert.match(shown.talk.join(), /has no stacks to give/)
      const json = told(yield* onCluster(["group", "status", "readers", "--json"]))
      assert.deepNestedInclude(json, { "members[0].clientId": "10.0.0.1@1#1", "members[0].queues[0].commitOffset": 7 })
    }).pipe(cluster())
  )

  it.effect("create, list, delete", () =>
    Effect.gen(function* () {
      const created = yield* onCluster(["group", "create", "readers", "--retries", "3", "--json"])
      assert.deepStrictEqual(told(created), {
        groupName: "readers",
        clusterName: "DefaultCluster",
        brokers: ["broker-a", "broker-b"],
        retryMaxTimes: 3,
        consumeMessageOrderly: false
      })
      const again = yield* onCluster(["group", "create", "readers"])
      assert.strictEqual(again.exitCode, 4)
      assert.match(
        again.talk.join("\n"),
        /"readers" exists already on broker-a, broker-b\. Nothing was changed\.\n.*--replace/
      )
      assert.deepStrictEqual((yield* onCluster(["group", "create", "readers", "--if-not-exists"])).out, [
        "ok group readers was on broker-a, broker-b and stays as it is"
      ])
      const list = yield* onCluster(["group", "list"])
      assert.deepStrictEqual(list.out, [
        "GROUP    BROKERS             ENABLED  RETRIES",
        "readers  broker-a, broker-b  yes            3"
      ])
      assert.deepStrictEqual(told(yield* onCluster(["group", "list", "--json"])), {
        groups: [
          {
            groupName: "readers",
            brokers: ["broker-a", "broker-b"],
            consumeEnable: true,
            retryMaxTimes: 3,
            retryQueueNums: 1
          }
        ]
      })
      assert.strictEqual((yield* onCluster(["group", "delete", "readers"])).exitCode, 2)
      assert.match(
        (yield* onCluster(["group", "delete", "reader", "--yes"])).talk.join(),
        /No broker has a group "reader"/
      )
      const gone = yield* onCluster(["group", "delete", "--group", "readers", "--yes"])
      assert.deepStrictEqual(gone.out, ["ok group readers is deleted"])
      assert.deepStrictEqual(told(yield* onCluster(["group", "list", "--json"])), { groups: [] })
    }).pipe(cluster(two))
  )

  it.effect("progress and reset: how far it has read, and where it reads on", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(NOON)
      yield* sendOne("one")
      yield* sendOne("two")
      yield* onCluster(["group", "create", "readers"])
      const nothing = yield* onCluster(["group", "progress", "readers"])
      assert.match(nothing.talk.join(), /has committed no offset/)
      const client = yield* rawClient()
      yield* client.call(
        yield* brokerAddress(),
        UpdateConsumerOffset.request({ consumerGroup: "readers", topic: "orders", queueId: 0, commitOffset: 1 })
      )
      const progress = yield* onCluster(["group", "progress", "readers"])
      assert.deepStrictEqual(progress.out, [
        "TOPIC   BROKER    QUEUE  STORED  READ  LAG  LAST READ",
        "orders  broker-a      0       2     1    1  2026-08-01T12:00:00Z"
      ])
      assert.deepStrictEqual(progress.talk, ["1 message behind, 0.0 read per second"])
      assert.deepStrictEqual(told(yield* onCluster(["group", "progress", "readers", "--topic", "orders", "--json"])), {
        group: "readers",
        lag: 1,
        consumeTps: 0,
        queues: [
          {
            topic: "orders",
            brokerName: "broker-a",
            queueId: 0,
            brokerOffset: 2,
            consumerOffset: 1,
            pullOffset: 1,
            lag: 1,
            lastTimestamp: NOON
          }
        ]
      })
      const unsaid = yield* onCluster(["group", "reset", "readers", "--topic", "orders"])
      assert.strictEqual(unsaid.exitCode, 2)
      assert.match(unsaid.talk.join(), /--to earliest/)
      for (const [flags, offset] of [
        [["--to", "latest"], 2],
        [["--to", "earliest"], 0],
        [["--at", "2026-08-01T13:00:00Z"], 2]
      ] as const) {
        const reset = yield* onCluster(["group", "reset", "readers", "--topic", "orders", ...flags, "--json"])
        assert.deepStrictEqual(told(reset), {
          group: "readers",
          topic: "orders",
          queues: [{ brokerName: "broker-a", queueId: 0, offset }]
        })
      }
      const absent = yield* onCluster(["group", "reset", "nobody", "--topic", "orders", "--to", "latest"])
      assert.strictEqual(absent.exitCode, 4)
      assert.match(absent.talk.join(), /No broker has a group "nobody"[^]*group list/)
    }).pipe(cluster({ topics: { orders: { readQueueNums: 1, writeQueueNums: 1 } } }))
  )

  it.effect("clients: who is online", () =>
    Effect.gen(function* () {
      yield* onCluster(["group", "create", "readers"])
      const nobody = yield* onCluster(["group", "clients", "readers"])
      assert.deepStrictEqual(nobody, { exitCode: 0, out: [], talk: ["nobody of group readers is online"] })
      const client = yield* rawClient()
      yield* client.call(yield* brokerAddress(), consumerHeartbeat("10.0.0.1@1#1", "readers", ["orders"]))
      const shown = yield* onCluster(["group", "clients", "readers", "--json"])
      const answer = told(shown)
      assert.deepInclude(answer, {
        group: "readers",
        producers: [],
        consumeType: "CONSUME_PASSIVELY",
        messageModel: "CLUSTERING"
      })
      const table = yield* onCluster(["group", "clients", "readers"])
      assert.match(table.out[1] ?? "", /^consumer {2}10\.0\.0\.1@1#1 +\S+ +\w+ +broker-a$/)
      assert.include(table.out, "subscribes orders TAG *")
    }).pipe(cluster())
  )

  it.effect("positions: how far each member is, as it says itself", () =>
    Effect.gen(function* () {
      yield* onCluster(["group", "create", "readers"])
      const words = ["group", "positions", "readers", "--topic", "orders"]
      assert.deepStrictEqual(yield* onCluster(words), {
        exitCode: 0,
        out: [],
        talk: ["nobody of group readers is online"]
      })
      const queue = { topic: "orders", brokerName: "broker-a", queueId: 0 }
      yield* member(GetConsumerStatusFromClient.response({ messageQueueTable: [[queue, 7]] }))
      assert.deepStrictEqual((yield* onCluster(words)).out, [
        "CLIENT        BROKER    QUEUE  POSITION",
        "10.0.0.1@1#1  broker-a      0         7"
      ])
      const answer = { group: "readers", topic: "orders" }
      assert.deepStrictEqual(told(yield* onCluster([...words, "--json"])), {
        ...answer,
        members: [{ clientId: "10.0.0.1@1#1", queues: [{ brokerName: "broker-a", queueId: 0, offset: 7 }] }]
      })
      assert.deepStrictEqual(told(yield* onCluster([...words, "--client", "other", "--json"])), {
        ...answer,
        members: []
      })
    }).pipe(cluster())
  )
})

describe("broker", () => {
  it.effect("runtime and config, whole or in part", () =>
    Effect.gen(function* () {
      const runtime = told(yield* onCluster(["broker", "runtime", "broker-b", "--filter", "version", "--json"]))
      assert.deepInclude(runtime, { broker: "broker-b" })
      assert.match(JSON.stringify(runtime), /"brokerVersionDesc":"V5_5_0"/)
      const config = yield* onCluster(["broker", "config", "127.0.0.1:10911", "-f", "brokername"])
      assert.deepStrictEqual(config.out, ["brokerName  broker-a"])
      const none = yield* onCluster(["broker", "config", "broker-a", "-f", "zzz"])
      assert.deepStrictEqual(none, { exitCode: 0, out: [], talk: ["nothing has such a name"] })
      const unknown = yield* onCluster(["broker", "config", "broker-z"])
      assert.strictEqual(unknown.exitCode, 4)
      assert.match(unknown.talk.join(), /no broker "broker-z".*broker-a, broker-b/)
    }).pipe(cluster(two))
  )
})

const bodies = ({ out }: Call) => out.map((line): unknown => JSON.parse(line).body)

const query = (...args: ReadonlyArray<string>) =>
  onCluster(["message", "query", "--topic", "orders", "--json", ...args])

describe("message", () => {
  it.effect("consume: a member processes one, and says what it made of it", () =>
    Effect.gen(function* () {
      const sent = yield* sendOne("hello")
      const id = sent.out.find((line) => line.startsWith("offsetMsgId"))?.replace(/^\S+ +/, "") ?? assert.fail("no id")
      const words = ["message", "consume", "--topic", "orders", "--group", "readers", id]
      yield* onCluster(["group", "create", "readers"])
      const nobody = yield* onCluster(words)
      assert.strictEqual(nobody.exitCode, 4)
      assert.match(nobody.talk.join(), /No member of group "readers" is online/)
      const result = {
        order: true,
        autoCommit: false,
        consumeResult: "CR_LATER",
        remark: "no\u001b[31m",
        spentTimeMills: 7
      }
      yield* member(ConsumeMessageDirectly.response(result))
      assert.deepStrictEqual(told(yield* onCluster([...words, "--client", "10.0.0.1@1#1", "--json"])), {
        group: "readers",
        topic: "orders",
        id,
        clientId: "10.0.0.1@1#1",
        ...result
      })
      const shown = yield* onCluster(words)
      assert.include(shown.out, "consumeResult   CR_LATER")
      assert.notInclude(shown.out.join(), "\u001b")
    }).pipe(cluster())
  )

  it.effect("get: by either id", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(NOON)
      const sent = yield* sendOne("hello\nthere", "--tags", "t", "--key", "k", "--property", "a=b")
      const idOf = (name: string) =>
        sent.out.find((line) => line.startsWith(name))?.replace(/^\S+ +/, "") ?? assert.fail(name)
      const shown = told(yield* onCluster(["message", "get", idOf("msgId"), "--topic", "orders", "--json"]))
      assert.deepInclude(shown, {
        topic: "orders",
        brokerName: "broker-a",
        queueId: 0,
        queueOffset: 0,
        msgId: idOf("msgId"),
        offsetMsgId: idOf("offsetMsgId"),
        keys: "k",
        tags: "t",
        body: "hello\nthere",
        encoding: "utf8",
        bornTimestamp: NOON,
        storeTimestamp: NOON,
        storeHost: "127.0.0.1:10911",
        reconsumeTimes: 0,
        flag: 0,
        sysFlag: 0
      })
      const text = yield* onCluster(["message", "get", idOf("offsetMsgId"), "--topic", "orders"])
      assert.include(text.out, "queueOffset          0")
      assert.include(text.out, "property a           b")
      assert.deepStrictEqual(text.out.slice(-3), ["body", "hello", "there"])
      const absent = yield* onCluster(["message", "get", "7F000001", "--topic", "orders"])
      assert.strictEqual(absent.exitCode, 4)
      assert.match(absent.talk.join(), /No message of topic "orders" has the id 7F000001/)
    }).pipe(cluster({ topics: { orders: { readQueueNums: 1, writeQueueNums: 1 } } }))
  )

  it.effect("trace: both halves in one table, made printable", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(NOON)
      const records = [
        `Pub\x01${NOON}\x01DefaultRegion\x01pg\x01orders\x01ID1\x01null\x01null\x01127.0.0.1:10911\x016\x0119\x010\x01OFF\x01true\x02`,
        `SubBefore\x01${NOON + 5}\x01DefaultRegion\x01c\x1bg\x01R1\x01ID1\x010\x01null\x02`,
        `SubAfter\x01R1\x01ID1\x013\x01true\x01null\x010\x01${NOON + 8}\x01c\x1bg\x02`
      ]
      for (const record of records) yield* sendOne(record, "--key", "ID1")
      const args = ["message", "trace", "ID1", "--trace-topic", "orders"]
      const shown = yield* onCluster(args)
      assert.deepStrictEqual([shown.exitCode, shown.talk], [0, []])
      assert.match(shown.out[0] ?? "", /^WHAT +GROUP +CLIENT +TIME +TOOK +STATUS +ATTEMPT +TOPIC +BROKER$/)
      assert.match(
        shown.out[1] ?? "",
        /^send +pg +127\.0\.0\.1:\d+ +2026-08-01T12:00:00\.000Z +19 ms +success +- +orders +127\.0\.0\.1:10911$/
      )
      assert.match(
        shown.out[2] ?? "",
        /^consume +c.g +127\.0\.0\.1:\d+ +2026-08-01T12:00:00\.005Z +3\.0 ms +success +1 +- +-$/
      )
      assert.notInclude(shown.out.join(), "\x1b")
      assert.deepInclude(told(yield* onCluster([...args, "--json"])), { msgId: "ID1" })
      const none = yield* onCluster(["message", "trace", "ID2", "--trace-topic", "orders"])
      assert.strictEqual(none.exitCode, 0)
      assert.match(none.talk.join(), /enableTrace/)
    }).pipe(cluster({ topics: { orders: { readQueueNums: 1, writeQueueNums: 1 } } }))
  )

  it.effect("query: by key, and by time", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 3; i++) {
        yield* TestClock.setTime(NOON + i * 60_000)
        yield* sendOne(`body ${i}`, "--key", i === 1 ? "one" : "other")
      }
      assert.deepStrictEqual(bodies(yield* query("--key", "one")), ["body 1"])
      assert.deepStrictEqual(bodies(yield* query("--key", "other", "--begin", "2026-08-01T12:01:00Z")), ["body 2"])
      assert.deepStrictEqual(bodies(yield* query("--begin", "60s")), ["body 1", "body 2"])
      assert.deepStrictEqual(bodies(yield* query("--end", "2026-08-01T12:01:30Z", "--count", "1")), ["body 0"])
      const none = yield* query("--key", "nothing")
      assert.deepStrictEqual(none, { exitCode: 0, out: [], talk: ["no such message in topic orders"] })
      assert.strictEqual((yield* query()).exitCode, 2)
      const line = yield* onCluster(["message", "query", "--topic", "orders", "--key", "one"])
      assert.match(line.out.join(), /^broker-a:0:1 {2}2026-08-01T12:01:00.000Z {2}one {2}body 1$/)
    }).pipe(cluster({ topics: { orders: { readQueueNums: 1, writeQueueNums: 1 } } }))
  )
})
