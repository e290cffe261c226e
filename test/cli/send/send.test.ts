import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import * as Fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import { percentile } from "../../../src/cli/SendRun.ts"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import * as MessageProperties from "../../../src/protocol/MessageProperties.ts"
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
        remedy: "See where it ends: effect-rocketmq doctor --topic x --namesrv 127.0.0.1:1"
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

const bytesOf = (topic: string) =>
  Effect.flatMap(EmbeddedCluster, (self) =>
    Effect.map(self.messages(topic), (messages) => messages.map(({ body }) => Buffer.from(body).toString("latin1")))
  )

const queues = (topic: string) =>
  Effect.flatMap(EmbeddedCluster, (self) =>
    Effect.map(self.messages(topic), (messages) => messages.map(({ queueId }) => queueId))
  )

const bytes = (...texts: ReadonlyArray<string>) => texts.map((text) => Buffer.from(text, "latin1"))

describe("what send takes", () => {
  it.effect("are lines byte for byte, wherever they are cut in two", () =>
    Effect.gen(function* () {
      const text = "plain\r\n\n\xff\xfe no UTF-8\nNUL \0 and \r within\n\r\n \n\xc3\xa4\r\nno end\xe2\x82\r"
      const expected = ["plain", "\xff\xfe no UTF-8", "NUL \0 and \r within", " ", "\xc3\xa4", "no end\xe2\x82\r"]
      for (const size of [1, 2, 7, 1_000]) {
        const topic = `lines${size}`
        const chunks = text.match(new RegExp(`[^]{1,${size}}`, "g")) ?? []
        const call = yield* onCluster(["send", topic, "--concurrency", "1"], { stdin: bytes(...chunks) })
        assert.strictEqual(call.exitCode, 0, call.talk.join())
        assert.deepStrictEqual((yield* bytesOf(topic)).toSorted(), expected.toSorted())
        assert.deepStrictEqual(call.talk, ["2 blank lines left out: RocketMQ takes no empty body"])
      }
    }).pipe(cluster({}))
  )

  it.effect("are the bytes of a file or of all standard input as one body, with --count more than once", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.promise(() => Fs.mkdtemp(Path.join(tmpdir(), "send-"))),
        (path) => Effect.promise(() => Fs.rm(path, { recursive: true }))
      )
      const file = Path.join(folder, "body")
      const text = "a\r\n\xff\0\n\n"
      yield* Effect.promise(() => Fs.writeFile(file, Buffer.from(text, "latin1")))
      assert.strictEqual((yield* onCluster(["send", "files", "--file", file, "--count", "2"])).exitCode, 0)
      assert.deepStrictEqual(yield* bytesOf("files"), [text, text])
      yield* onCluster(["send", "input", "--file", "-"], { stdin: bytes("a\n", "b\xff\n") })
      assert.deepStrictEqual(yield* bytesOf("input"), ["a\nb\xff\n"])
      const empty = yield* onCluster(["send", "input", "--file", "-"])
      assert.strictEqual(empty.exitCode, 2)
      assert.match(empty.talk.join(), /body/)
      for (const path of [Path.join(folder, "none"), folder]) {
        const absent = yield* onCluster(["send", "files", "--file", path, "--json"])
        assert.strictEqual(absent.exitCode, 2)
        assert.deepInclude(JSON.parse(absent.out[0] ?? "").error, { remedy: "Name a file that you may read." })
      }
    }).pipe(cluster({}), Effect.scoped)
  )

  it.effect("says that it waits for lines on a terminal, and in no pipe", () =>
    Effect.gen(function* () {
      const typed = yield* onCluster(["send", "orders"], { stdin: "x\n", stdinIsTerminal: true })
      assert.match(typed.talk[0] ?? "", /^Waiting for lines: each is a message, .* Ctrl-D ends\.$/)
      assert.deepStrictEqual((yield* onCluster(["send", "orders"], { stdin: "x\n" })).talk, [])
      const told = yield* onCluster(["send", "orders", "--body", "x"], { stdinIsTerminal: true })
      assert.deepStrictEqual(told.talk, [])
    }).pipe(cluster())
  )

  it.effect("goes to a queue, or to the queue of a key", () =>
    Effect.gen(function* () {
      yield* onCluster(["send", "orders", "--count", "5", "--queue", "broker-a:2"])
      assert.deepStrictEqual(yield* queues("orders"), [2, 2, 2, 2, 2])
      yield* onCluster(["send", "keyed", "--count", "20", "--size", "12", "--ordering-key", "order-7"])
      const messages = yield* Effect.flatMap(EmbeddedCluster, (self) => self.messages("keyed"))
      assert.deepStrictEqual(new Set(yield* queues("keyed")).size, 1)
      // One at a time, because order is what the key is for.
      const inOrder = messages.toSorted((a, b) => a.queueOffset - b.queueOffset).map(({ body }) => textOf(body).trim())
      assert.deepStrictEqual(
        inOrder.map((text) => Number(/^message (\d+)/.exec(text)?.[1])),
        Array.from({ length: 20 }, (_, i) => i)
      )
      assert.strictEqual(messages[0]?.properties["__SHARDINGKEY"], "order-7")
      const ambiguous = yield* onCluster(["send", "orders", "--body", "x", "--queue", "2"])
      assert.strictEqual(ambiguous.exitCode, 2)
      assert.match(ambiguous.talk.join(), /Several brokers .* broker-a:2, broker-b:2/)
      const absent = yield* onCluster(["send", "orders", "--body", "x", "--queue", "broker-a:99"])
      assert.strictEqual(absent.exitCode, 4)
      assert.match(absent.talk.join(), /no queue broker-a:99 that can be written.* broker-a:0/)
    }).pipe(cluster({ brokers: 2, topics: { orders: {}, keyed: {} } }))
  )

  it.effect("is handed over without acknowledgement with --oneway", () =>
    Effect.gen(function* () {
      const call = yield* onCluster(["send", "orders", "--count", "3", "--oneway", "--json"])
      assert.strictEqual(call.exitCode, 0)
      assert.deepInclude(JSON.parse(call.out[0] ?? ""), {
        sent: 3,
        acknowledged: 0,
        failed: 0,
        unknown: 0,
        handedOver: 3
      })
      const { traffic } = yield* EmbeddedCluster
      assert.lengthOf(yield* traffic.ofCode(RequestCode.SEND_MESSAGE_V2), 3)
      const text = yield* onCluster(["send", "orders", "--body", "x", "--oneway"])
      assert.deepStrictEqual(text.out, ["ok 1 message handed over for orders: nobody acknowledges them"])
    }).pipe(cluster())
  )

  it.effect("comes no faster than --rate", () =>
    Effect.gen(function* () {
      const now = Clock.currentTimeMillis
      const begin = yield* now
      const sending = yield* Effect.forkChild(onCluster(["send", "orders", "--count", "31", "--rate", "10"]))
      const sum = Effect.map(bytesOf("orders"), ({ length }) => length)
      const counts: Array<number> = []
      while (sending.pollUnsafe() === undefined) {
        counts.push(yield* sum)
        yield* TestClock.adjust(100)
      }
      // A tenth of a second's worth may come at once at the beginning.
      counts.forEach((n, i) => assert.isAtMost(n, i + 2, `after ${i * 100} ms`))
      assert.isAtLeast((yield* now) - begin, 2_900)
      assert.strictEqual(yield* sum, 31)
    }).pipe(cluster())
  )

  it.effect("comes later: after a level, a span, or at a time", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.parse("2026-08-01T12:00:00Z"))
      for (const [flags, property] of [
        [["--delay", "level:3"], { DELAY: "3" }],
        [["--delay", "90s"], { TIMER_DELAY_SEC: "90" }],
        [["--deliver-at", "2026-08-01T12:05:00Z"], { TIMER_DELIVER_MS: String(Date.parse("2026-08-01T12:05:00Z")) }]
      ] as const) {
        const { traffic } = yield* EmbeddedCluster
        yield* traffic.clear
        const call = yield* onCluster(["send", "orders", "--body", "x", ...flags])
        assert.strictEqual(call.exitCode, 0, call.talk.join())
        const [request] = yield* traffic.ofCode(RequestCode.SEND_MESSAGE_V2)
        const properties = MessageProperties.decode(request?.extFields?.["i"] ?? "")
        assert.deepInclude({ ...properties }, property)
      }
      for (const flags of [
        ["--delay", "level:99"],
        ["--delay", "soon"],
        ["--delay", "2026-08-01T12:05:00Z"],
        ["--deliver-at", "15m"],
        ["--delay", "4d"]
      ]) {
        assert.strictEqual((yield* onCluster(["send", "orders", "--body", "x", ...flags])).exitCode, 2, flags.join(" "))
      }
    }).pipe(cluster())
  )

  it.effect("comes later by a level only where a broker is older than 5.0, which would deliver at once", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* onCluster(["send", "orders", "--body", "x", "--delay", "level:3"])).exitCode, 0)
      for (const [topic, flags] of [
        ["orders", ["--delay", "9s"]],
        ["not-there-yet", ["--deliver-at", "1970-01-01T00:00:12Z"]]
      ] as const) {
        const call = yield* onCluster(["send", topic, "--body", "x", ...flags, "--json"])
        assert.strictEqual(call.exitCode, 4)
        const { error, sent } = JSON.parse(call.out[0] ?? "")
        assert.strictEqual(sent, 0)
        assert.deepInclude(error, { tag: "DelayUnsupported" })
        assert.match(error.message, /brokers of 5\.0 or later; broker-a \(V4_9_7\) would deliver at once/)
        assert.match(error.remedy, /--delay level:3 \(10 s/)
      }
    }).pipe(cluster({ version: 407, topics: { orders: {} } }))
  )

  it.effect("is said once: flags that exclude each other are a usage error", () =>
    Effect.gen(function* () {
      for (const [flags, names] of [
        [["--body", "x", "--file", "y"], "--body and --file"],
        [["--body", "x", "--size", "9"], "--body and --size"],
        [["--file", "x", "--size", "9"], "--file and --size"],
        [["--body", "x", "--delay", "9s", "--deliver-at", "1785585600000"], "--delay and --deliver-at"],
        [["--body", "x", "--queue", "1", "--ordering-key", "k"], "--queue and --ordering-key"]
      ] as const) {
        const call = yield* onCluster(["send", "orders", ...flags, "--json"])
        assert.strictEqual(call.exitCode, 2)
        assert.deepStrictEqual(JSON.parse(call.out.join()), {
          error: { tag: "UsageError", message: `${names} exclude each other.`, remedy: "Pass one of them." }
        })
      }
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
