import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { percentile } from "../../../src/cli/SendRun.ts"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { textOf } from "../../embedded/support.ts"
import { cli, onCluster } from "../support.ts"

const cluster = (options: Parameters<typeof EmbeddedCluster.layerMemory>[0] = { topics: { orders: {} } }) =>
  Effect.provide(EmbeddedCluster.layerMemory(options))

const stored = (topic: string) =>
  Effect.flatMap(EmbeddedCluster, (self) =>
    Effect.map(self.messages(topic), (messages) => messages.map((message) => textOf(message.body)).toSorted())
  )

describe("send --json", () => {
  it.effect("ends with one object of a fixed shape", () =>
    Effect.gen(function* () {
      const call = yield* onCluster(["send", "--topic", "orders", "--count", "3", "--size", "20", "--json"])
      // The virtual clock stands still: no time passes, and every field that is not a time is exact.
      assert.deepStrictEqual(call, {
        exitCode: 0,
        out: [
          '{"sent":3,"acknowledged":3,"failed":0,"unknown":0,"retries":0,"seconds":0,"messagesPerSecond":0,"p50Ms":0,"p99Ms":0}'
        ],
        talk: []
      })
      assert.deepStrictEqual(yield* stored("orders"), [
        "message 0 klmnopqrst",
        "message 1 klmnopqrst",
        "message 2 klmnopqrst"
      ])
    }).pipe(cluster())
  )

  it.effect("tells an error in the object and on standard error", () =>
    Effect.gen(function* () {
      const call = yield* onCluster(["send", "-t", "orders", "--body", "x", "--property", "UNIQ_KEY=1", "--json"])
      assert.strictEqual(call.exitCode, 2)
      assert.strictEqual(call.out.length, 1)
      const { error, ...counts } = JSON.parse(call.out[0] ?? "")
      assert.deepStrictEqual(counts, {
        sent: 1,
        acknowledged: 0,
        failed: 1,
        unknown: 0,
        retries: 0,
        seconds: 0,
        messagesPerSecond: 0,
        p50Ms: null,
        p99Ms: null
      })
      assert.deepStrictEqual(Object.keys(error), ["tag", "message", "remedy"])
      assert.deepInclude(error, { tag: "InvalidMessage", remedy: "Change that part of the message." })
      assert.match(error.message, /UNIQ_KEY is a name that RocketMQ reserves/)
      assert.strictEqual(call.talk[0], `error: ${error.message}`)
    }).pipe(cluster())
  )

  it.effect("counts retries, and what may be stored although nobody acknowledged it", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      yield* faults.add({
        match: { code: RequestCode.SEND_MESSAGE_V2, nth: 1 },
        actions: [FaultScript.answer(14, "busy with other things")]
      })
      const retried = yield* onCluster(["send", "-t", "orders", "--body", "x", "--json"])
      assert.deepInclude(JSON.parse(retried.out[0] ?? ""), { sent: 1, acknowledged: 1, failed: 0, retries: 1 })
      yield* faults.clear
      yield* faults.add({
        match: { code: RequestCode.SEND_MESSAGE_V2, nth: 2 },
        actions: [FaultScript.answer(3001, "who are\u001b[2J you")]
      })
      const some = yield* onCluster(["send", "-t", "orders", "--count", "4", "--concurrency", "1", "--json"])
      assert.strictEqual(some.exitCode, 1)
      const { error, ...counts } = JSON.parse(some.out[0] ?? "")
      assert.deepInclude(counts, { sent: 4, acknowledged: 3, failed: 1, unknown: 1 })
      assert.strictEqual(error.tag, "BrokerRejected")
      assert.notInclude(some.talk.join(), "\u001b")
    }).pipe(cluster())
  )

  it.effect("has an exit code for what cannot be reached and for what is refused", () =>
    Effect.gen(function* () {
      const { faults, namesrvAddr } = yield* EmbeddedCluster
      const unreachable = yield* cli(["send", "-t", "x", "--body", "x", "--json", "--namesrv", "127.0.0.1:1"])
      assert.strictEqual(unreachable.exitCode, 3)
      assert.deepInclude(JSON.parse(unreachable.out[0] ?? "").error, {
        tag: "NameServerUnavailable",
        remedy: 'See where it ends: effect-rocketmq doctor --namesrv "127.0.0.1:1" --topic x'
      })
      const absent = yield* cli(["send", "-t", "absent", "--body", "x", "--json", "--namesrv", namesrvAddr])
      assert.strictEqual(absent.exitCode, 4)
      assert.deepInclude(JSON.parse(absent.out[0] ?? "").error, { tag: "RouteUnavailable" })
      yield* faults.add({ match: { code: RequestCode.SEND_MESSAGE_V2 }, actions: [FaultScript.answer(13, "no")] })
      const refused = yield* cli(["send", "-t", "orders", "--body", "x", "--json", "--namesrv", namesrvAddr])
      assert.strictEqual(refused.exitCode, 4)
      assert.deepInclude(JSON.parse(refused.out[0] ?? ""), { sent: 1, acknowledged: 0, failed: 1, unknown: 0 })
    }).pipe(cluster({ topics: { orders: {} }, autoCreateTopicEnable: false }))
  )
})

describe("send", () => {
  it.effect("sends tags, keys and properties, and says where the message lies", () =>
    Effect.gen(function* () {
      const call = yield* onCluster(
        "send -t orders --body hello --tags created --key k1 --key k2 --property a=1 --property b=2".split(" ")
      )
      assert.strictEqual(call.exitCode, 0)
      const [message] = yield* Effect.flatMap(EmbeddedCluster, (self) => self.messages("orders"))
      assert.deepInclude({ ...message?.properties }, { TAGS: "created", KEYS: "k1 k2", a: "1", b: "2" })
      assert.deepStrictEqual(call.out, [
        "ok 1 message sent to orders: 1 acknowledged, 0 failed, 0 retries",
        `msgId        ${message?.msgId ?? ""}`,
        call.out[2] ?? "",
        `stored at    broker-a:${message?.queueId}:0 (broker:queue:offset), SEND_OK`
      ])
      assert.match(call.out[2] ?? "", /^offsetMsgId {2}7F000001[0-9A-F]{24}$/)
    }).pipe(cluster())
  )

  it.effect("sends each line of standard input, and leaves blank ones out", () =>
    Effect.gen(function* () {
      const call = yield* onCluster(["send", "-t", "lines"], { stdin: "one\n\ntwo\r\nthrée" })
      assert.strictEqual(call.exitCode, 0)
      assert.deepStrictEqual(yield* stored("lines"), ["one", "thrée", "two"])
      assert.deepStrictEqual(call.talk, ["1 blank line left out: RocketMQ takes no empty body"])
      const nothing = yield* onCluster(["send", "-t", "lines", "--json"])
      assert.deepInclude(JSON.parse(nothing.out[0] ?? ""), { sent: 0, acknowledged: 0 })
      assert.strictEqual(nothing.exitCode, 0)
    }).pipe(cluster({}))
  )

  it.effect("repeats --body, and keeps the order with one send at a time", () =>
    Effect.gen(function* () {
      yield* onCluster(["send", "-t", "orders", "--body", "same", "--count", "5"])
      assert.deepStrictEqual(
        yield* stored("orders"),
        Array.from({ length: 5 }, () => "same")
      )
      yield* onCluster(["send", "-t", "one", "--count", "20", "--size", "12", "--concurrency", "1"])
      const messages = yield* Effect.flatMap(EmbeddedCluster, (self) => self.messages("one"))
      assert.deepStrictEqual(
        messages.toSorted((a, b) => a.commitLogOffset - b.commitLogOffset).map((m) => textOf(m.body).slice(0, 10)),
        Array.from({ length: 20 }, (_, i) => `message ${i} `.slice(0, 10).padEnd(10))
      )
    }).pipe(cluster())
  )

  it.effect("takes the name servers of NAMESRV_ADDR", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const call = yield* cli(["send", "-t", "orders", "--body", "x"], { env: { NAMESRV_ADDR: namesrvAddr } })
      assert.strictEqual(call.exitCode, 0)
    }).pipe(cluster())
  )

  it.effect("colours what it says only where colours are wanted", () =>
    Effect.gen(function* () {
      const args = ["send", "-t", "orders", "--body", "x"]
      assert.isTrue((yield* onCluster(args, { color: true })).out[0]?.startsWith("\u001b[32mok\u001b[0m 1 message"))
      assert.match((yield* onCluster(args)).out[0] ?? "", /^ok 1 message/)
    }).pipe(cluster())
  )
})

describe("percentile", () => {
  it("is the value that the share stays below", () => {
    const hundred = Array.from({ length: 100 }, (_, i) => 100 - i)
    assert.deepStrictEqual(
      [0.5, 0.99, 1].map((share) => percentile(hundred, share)),
      [50, 99, 100]
    )
    assert.strictEqual(percentile([7], 0.5), 7)
    assert.isUndefined(percentile([], 0.5))
  })
})
