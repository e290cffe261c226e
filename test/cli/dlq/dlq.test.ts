import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import * as MessageProperties from "../../../src/protocol/MessageProperties.ts"
import { brokerAddress, rawClient, sendRequest, utf8 } from "../../embedded/support.ts"
import { type Call, onCluster } from "../support.ts"

const cluster = Effect.provide(
  EmbeddedCluster.layerMemory({
    brokers: 2,
    topics: {
      orders: {},
      "%RETRY%billing": { readQueueNums: 1, writeQueueNums: 1 },
      "%DLQ%billing": { readQueueNums: 1, writeQueueNums: 1 }
    }
  })
)

/** A dead letter as a broker makes one of a message that was tried 16 times. */
const bury = Effect.fnUntraced(function* (
  body: string,
  properties: Readonly<Record<string, string>> = {},
  broker = "broker-a"
) {
  const client = yield* rawClient()
  const request = sendRequest(
    {
      topic: "%DLQ%billing",
      queueId: 0,
      reconsumeTimes: 16,
      properties: MessageProperties.encode({
        UNIQ_KEY: `ID-${body}`,
        RETRY_TOPIC: "orders",
        ORIGIN_MESSAGE_ID: "7F00000100002A9F0000000000000001",
        REAL_TOPIC: "%RETRY%billing",
        DELAY: "0",
        ...properties
      })
    },
    utf8(body)
  )
  const answer = yield* client.call(yield* brokerAddress(broker), request)
  assert.strictEqual(answer.code, 0, answer.remark)
})

const rows = ({ exitCode, out, talk }: Call): ReadonlyArray<Record<string, unknown>> => {
  assert.strictEqual(exitCode, 0, talk.join("\n"))
  return out.filter((line) => line !== "").map((line) => JSON.parse(line))
}

const peek = (topic: string) => Effect.map(onCluster(["peek", "-t", topic, "--json"]), rows)
const replay = (...args: ReadonlyArray<string>) => onCluster(["dlq", "replay", "billing", "--json", ...args])
const results = (call: Call) => rows(call).map(({ result }) => result)
const permOf = Effect.map(onCluster(["topic", "config", "%DLQ%billing", "--json"]), (call) => {
  const [config] = rows(call)
  return JSON.parse(JSON.stringify(config?.["brokers"])).map(({ perm }: { readonly perm: number }) => perm)
})

describe("dlq", () => {
  it.effect("list counts the dead letters of each group", () =>
    Effect.gen(function* () {
      yield* onCluster(["group", "create", "quiet"])
      yield* bury("a")
      yield* bury("b", {}, "broker-b")
      const [all] = rows(yield* onCluster(["dlq", "list", "--json"]))
      assert.deepStrictEqual(all, {
        groups: [{ group: "billing", topic: "%DLQ%billing", messages: 2, lastTimestamp: 0, readable: true }]
      })
      const people = yield* onCluster(["dlq", "list", "billing"])
      assert.match(people.out[1] ?? "", /^billing +2 /)
      assert.deepStrictEqual(people.talk, ["2 dead letters"])
      const none = yield* onCluster(["dlq", "list", "quiet"])
      assert.deepStrictEqual([none.exitCode, none.talk], [0, ["group quiet has no dead letters"]])
      for (const args of [
        ["list", "nobody"],
        ["peek", "nobody"],
        ["replay", "nobody"]
      ]) {
        const unknown = yield* onCluster(["dlq", ...args])
        assert.strictEqual(unknown.exitCode, 4, args.join(" "))
        assert.match(unknown.talk.join("\n"), /nobody/)
      }
      assert.strictEqual((yield* onCluster(["dlq", "peek", "quiet"])).exitCode, 0)
      assert.strictEqual((yield* onCluster(["dlq", "replay", "quiet"])).exitCode, 0)
      assert.strictEqual((yield* onCluster(["dlq", "peek"])).exitCode, 2)
    }).pipe(cluster)
  )

  it.effect("peek shows where each came from, filtered by key, tag and time", () =>
    Effect.gen(function* () {
      yield* bury("a", { KEYS: "k1", TAGS: "paid" })
      yield* TestClock.adjust("1 hour")
      yield* bury("b", { KEYS: "k2" })
      yield* bury("c", { TAGS: "paid" }, "broker-b")
      const all = rows(yield* onCluster("dlq peek billing --json".split(" ")))
      assert.deepStrictEqual(
        all.map(({ body }) => body),
        ["a", "b", "c"]
      )
      assert.deepInclude(all[0], {
        msgId: "ID-a",
        originTopic: "orders",
        originMsgId: "7F00000100002A9F0000000000000001",
        reconsumeTimes: 16,
        replayed: false,
        keys: "k1"
      })
      for (const [args, expected] of [
        ["--key k2", ["b"]],
        ["--tag paid", ["a", "c"]],
        ["--since 5m", ["b", "c"]],
        ["--until 5m", ["a"]],
        ["--count 1", ["a"]],
        ["--latest --count 1", ["c"]],
        ["--since 5m --tag paid", ["c"]]
      ] as const) {
        const some = rows(yield* onCluster(["dlq", "peek", "billing", "--json", ...args.split(" ")]))
        assert.deepStrictEqual(
          some.map(({ body }) => body),
          [...expected],
          args
        )
      }
      const people = yield* onCluster("dlq peek billing --key k1".split(" "))
      assert.match(people.out[0] ?? "", / paid .*k1 .*a .*from orders, tried 16x$/)
    }).pipe(cluster)
  )

  it.effect(
    "replay sends each once to the group's retry topic, with what the sender gave it, and nothing of its way",
    () =>
      Effect.gen(function* () {
        yield* bury("a", { KEYS: "k1 k2", TAGS: "paid", mine: "x" })
        yield* bury("b", {}, "broker-b")
        assert.deepStrictEqual(results(yield* replay("--dry-run")), ["would-send", "would-send"])
        assert.deepStrictEqual(yield* peek("%RETRY%billing"), [])
        assert.deepStrictEqual(results(yield* replay()), ["sent", "sent"])
        const sent = yield* peek("%RETRY%billing")
        assert.strictEqual(sent.length, 2)
        const [first] = sent.filter(({ body }) => body === "a")
        assert.deepInclude(first, { msgId: "ID-a", tags: "paid" })
        const { REPLAY_OF: mark, KEYS: keys, ...properties } = JSON.parse(JSON.stringify(first?.["properties"]))
        assert.match(mark, /^replay-of:broker-a:\d+:0$/)
        assert.strictEqual(keys, `k1 k2 ${mark}`)
        assert.deepInclude(properties, { mine: "x", RETRY_TOPIC: "orders", UNIQ_KEY: "ID-a" })
        assert.notProperty(properties, "DELAY")
        assert.notProperty(properties, "REAL_TOPIC")
        // The second run, and one to the other place.
        assert.deepStrictEqual(results(yield* replay()), ["already-replayed", "already-replayed"])
        assert.deepStrictEqual(results(yield* replay("--to", "topic")), ["already-replayed", "already-replayed"])
        assert.deepStrictEqual(results(yield* replay("--dry-run")), ["already-replayed", "already-replayed"])
        assert.strictEqual((yield* peek("%RETRY%billing")).length, 2)
        assert.deepStrictEqual(yield* peek("orders"), [])
        const shown = rows(yield* onCluster("dlq peek billing --json".split(" ")))
        assert.deepStrictEqual(
          shown.map(({ replayed }) => replayed),
          [true, true]
        )
        // What comes back once more is another dead letter.
        const again = { ...properties, KEYS: keys, REPLAY_OF: mark }
        yield* bury("again", again)
        // In the order of their store times, which are one here.
        assert.sameMembers([...results(yield* replay())], ["already-replayed", "already-replayed", "sent"])
        const last = (yield* peek("%RETRY%billing")).find(({ body }) => body === "again")
        assert.match(String(last?.["keys"]), /^k1 k2 replay-of:broker-a:\d+:0$/)
        assert.notStrictEqual(last?.["keys"], keys)
      }).pipe(cluster)
  )

  it.effect("replay --to topic sends to the topic that it came from; filters and --count choose", () =>
    Effect.gen(function* () {
      for (const body of ["a", "b", "c", "d"]) yield* bury(body, { KEYS: body, TAGS: body < "c" ? "early" : "late" })
      yield* bury("lost", { RETRY_TOPIC: "" })
      assert.deepStrictEqual(results(yield* replay("--to", "topic", "--tag", "late", "--count", "1")), ["sent"])
      assert.deepStrictEqual(
        (yield* peek("orders")).map(({ body }) => body),
        ["c"]
      )
      // Those that were replayed before do not count.
      assert.deepStrictEqual(results(yield* replay("--to", "topic", "--tag", "late", "--count", "1")), [
        "already-replayed",
        "sent"
      ])
      const [only] = yield* peek("orders")
      assert.notProperty(only?.["properties"], "RETRY_TOPIC")
      assert.deepStrictEqual(results(yield* replay("--to", "topic", "--key", "a")), ["sent"])
      const rest = yield* replay("--to", "topic")
      assert.strictEqual(rest.exitCode, 1)
      assert.deepInclude(JSON.parse(rest.talk.at(-1) ?? ""), { sent: 1, alreadyReplayed: 3, noOrigin: 1 })
      assert.strictEqual((yield* peek("orders")).length, 4)
    }).pipe(cluster)
  )

  it.effect("replay is once also where it was killed in its middle, or nobody heard the answer", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 6; i++) yield* bury(`m${i}`)
      const { faults } = yield* EmbeddedCluster
      // Stored, and the answer is lost: the third one.
      const code = [RequestCode.SEND_MESSAGE, RequestCode.SEND_MESSAGE_V2]
      yield* faults.add({
        match: { code, topic: "%RETRY%billing", nth: 3 },
        actions: [FaultScript.dropResponse]
      })
      const run = yield* Effect.forkChild(replay(), { startImmediately: true })
      for (let looks = 0; looks < 100 && (yield* peek("%RETRY%billing")).length < 3; looks++) {
        yield* TestClock.adjust("1 millis")
      }
      const end = yield* Effect.forkChild(Fiber.interrupt(run), { startImmediately: true })
      for (let second = 0; second < 60; second++) yield* TestClock.adjust("1 second")
      yield* Fiber.join(end)
      const sofar = (yield* peek("%RETRY%billing")).length
      assert.strictEqual(sofar, 3)
      const second = results(yield* replay())
      assert.strictEqual(second.length, 6)
      assert.strictEqual(second.filter((one) => one === "already-replayed").length, sofar)
      const bodies = (yield* peek("%RETRY%billing")).map(({ body }) => body)
      assert.sameMembers(bodies, ["m0", "m1", "m2", "m3", "m4", "m5"])
    }).pipe(cluster)
  )

  it.effect("says that dead letters may not be read, and --grant-read gives the permission back, whatever comes", () =>
    Effect.gen(function* () {
      const { setPermission } = yield* EmbeddedCluster
      yield* bury("a")
      yield* setPermission("%DLQ%billing", 2, "broker-a")
      assert.deepStrictEqual(yield* permOf, [2, 6])
      assert.match((yield* onCluster(["dlq", "list"])).out[1] ?? "", /--grant-read/)
      for (const verb of ["peek", "replay"]) {
        const call = yield* onCluster(["dlq", verb, "billing"])
        assert.strictEqual(call.exitCode, 4, verb)
        assert.match(call.talk.join("\n"), /may not be read on broker-a[^]*--grant-read/)
      }
      const seen = yield* onCluster("dlq peek billing --grant-read --json".split(" "))
      assert.deepStrictEqual(
        rows(seen).map(({ body }) => body),
        ["a"]
      )
      assert.match(seen.talk.join("\n"), /granted: read permission of %DLQ%billing on broker-a/)
      assert.deepStrictEqual(yield* permOf, [2, 6])
      // A failure in its middle.
      const { setPermission: set } = yield* EmbeddedCluster
      yield* set("%RETRY%billing", 4)
      const failed = yield* replay("--grant-read")
      assert.notStrictEqual(failed.exitCode, 0)
      assert.deepStrictEqual(yield* permOf, [2, 6])
      yield* set("%RETRY%billing", 6)
      assert.deepStrictEqual(results(yield* replay("--grant-read")), ["sent"])
      assert.deepStrictEqual(yield* permOf, [2, 6])
    }).pipe(cluster)
  )

  it.effect("--grant-read gives the permission back where the command is interrupted", () =>
    Effect.gen(function* () {
      const { faults, setPermission } = yield* EmbeddedCluster
      yield* bury("a")
      yield* setPermission("%DLQ%billing", 2)
      yield* faults.add({ match: { code: RequestCode.PULL_MESSAGE }, actions: [FaultScript.dropRequest] })
      const run = yield* Effect.forkChild(onCluster("dlq peek billing --grant-read".split(" ")), {
        startImmediately: true
      })
      for (let looks = 0; looks < 100 && (yield* permOf)[0] !== 6; looks++) yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* permOf, [6, 6])
      yield* Fiber.interrupt(run)
      assert.deepStrictEqual(yield* permOf, [2, 2])
    }).pipe(cluster)
  )
})
