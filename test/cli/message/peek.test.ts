import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import * as MessageProperties from "../../../src/protocol/MessageProperties.ts"
import { SysFlag } from "../../../src/message/SysFlag.ts"
import { brokerAddress, rawClient, sendRequest, utf8 } from "../../embedded/support.ts"
import { onCluster } from "../support.ts"

const cluster = (options: Parameters<typeof EmbeddedCluster.layerMemory>[0] = { topics: { orders: {} } }) =>
  Effect.provide(EmbeddedCluster.layerMemory(options))

const store = Effect.fnUntraced(function* (
  over: Parameters<typeof sendRequest>[0],
  body: Uint8Array | string,
  broker?: string
) {
  const client = yield* rawClient()
  const bytes = typeof body === "string" ? utf8(body) : body
  const answer = yield* client.call(yield* brokerAddress(broker), sendRequest(over, bytes))
  assert.strictEqual(answer.code, 0, answer.remark)
})

const bodies = (lines: ReadonlyArray<string>) => lines.map((line) => JSON.parse(line).body)

describe("peek --json", () => {
  it.effect("prints an object of a fixed shape a message", () =>
    Effect.gen(function* () {
      const properties = { UNIQ_KEY: "7F00000100002A9F0000000000000001", KEYS: "k1 k2", TAGS: "created", a: "ä" }
      yield* store({ queueId: 2, properties: MessageProperties.encode(properties) }, "héllo\n\u009b2J")
      yield* store({ queueId: 3, properties: "" }, new Uint8Array([0xff, 0xfe, 0x00]))
      const call = yield* onCluster(["peek", "-t", "orders", "--json"])
      assert.strictEqual(call.exitCode, 0)
      assert.deepStrictEqual(call.talk, [])
      const [first = "", second = ""] = call.out
      // A terminal acts on U+009B; a JSON parser reads the escape as the same text.
      assert.notMatch(first, /[\u0080-\u009f]/)
      const offsetMsgId = JSON.parse(first).offsetMsgId
      assert.match(offsetMsgId, /^7F00000100002A9F0{16}$/)
      assert.strictEqual(
        first.replace("\\u009b", "\u009b"),
        JSON.stringify({
          topic: "orders",
          brokerName: "broker-a",
          queueId: 2,
          queueOffset: 0,
          msgId: "7F00000100002A9F0000000000000001",
          offsetMsgId,
          keys: "k1 k2",
          tags: "created",
          properties: { ...properties, MSG_REGION: "DefaultRegion", CLUSTER: "DefaultCluster", TRACE_ON: "true" },
          bornTimestamp: 1_700_000_000_000,
          body: "héllo\n\u009b2J",
          encoding: "utf8"
        })
      )
      const { properties: own, ...rest } = JSON.parse(second)
      assert.isString(own.UNIQ_KEY ?? "")
      assert.deepInclude(rest, { queueId: 3, keys: null, tags: null, body: "//4A", encoding: "base64" })
    }).pipe(cluster({ topics: { orders: {} }, listen: { brokerPort: 10_911 } }))
  )

  it.effect("reads all queues in the order of their store times, up to --count", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 40; i++) {
        yield* store({ queueId: i % 4 }, `m${i}`, i % 3 === 0 ? "broker-b" : "broker-a")
        yield* TestClock.adjust(1)
      }
      const first = yield* onCluster(["peek", "-t", "orders", "--count", "7", "--json"])
      assert.deepStrictEqual(bodies(first.out), ["m0", "m1", "m2", "m3", "m4", "m5", "m6"])
      const latest = yield* onCluster(["peek", "-t", "orders", "--offset", "latest", "--count", "3", "--json"])
      assert.deepStrictEqual(bodies(latest.out), ["m37", "m38", "m39"])
      const all = yield* onCluster(["peek", "-t", "orders", "--json"])
      assert.strictEqual(all.out.length, 40)
    }).pipe(cluster({ brokers: 2, topics: { orders: {} } }))
  )

  it.effect("reads one queue from an offset, past what brokers give at once", () =>
    Effect.gen(function* () {
      yield* Effect.forEach(
        Array.from({ length: 100 }, (_, i) => i),
        (i) => store({ queueId: 1 }, `m${i}`)
      )
      const tail = yield* onCluster(["peek", "-t", "orders", "--queue", "1", "--offset", "20", "--json"])
      assert.deepStrictEqual(
        bodies(tail.out),
        Array.from({ length: 80 }, (_, i) => `m${i + 20}`)
      )
      const named = yield* onCluster(["peek", "-t", "orders", "--queue", "broker-a:1", "--count", "1", "--json"])
      assert.deepStrictEqual(bodies(named.out), ["m0"])
      const beyond = yield* onCluster(["peek", "-t", "orders", "--queue", "1", "--offset", "500", "--json"])
      assert.deepStrictEqual(beyond, { exitCode: 0, out: [], talk: ["no messages in topic orders"] })
    }).pipe(cluster())
  )
})

describe("peek", () => {
  it.effect("A28: shows a time of birth that no calendar has as the number that it is", () =>
    Effect.gen(function* () {
      const properties = MessageProperties.encode({ UNIQ_KEY: "ID-1" })
      const nanos = 1_700_000_000_000_000_000n
      const times = [nanos, -1, 9_223_372_036_854_775_807n, 8_640_000_000_000_001]
      for (const [queueId, bornTimestamp] of times.entries()) yield* store({ queueId, bornTimestamp, properties }, "x")
      const { exitCode, out } = yield* onCluster(["peek", "-t", "orders"])
      assert.strictEqual(exitCode, 0)
      assert.deepStrictEqual(
        out.map((line) => line.split("  ")[1]),
        ["1700000000000000000", "1969-12-31T23:59:59.999Z", "9223372036854776000", "8640000000000001"]
      )
      const one = yield* onCluster(["message", "get", "-t", "orders", "ID-1"])
      assert.strictEqual(one.exitCode, 0, one.talk.join("\n"))
    }).pipe(cluster())
  )

  it.effect("prints a message a line, with nothing that a terminal would act on", () =>
    Effect.gen(function* () {
      yield* store(
        { queueId: 0, properties: MessageProperties.encode({ TAGS: "t\u001b[31m" }) },
        "a\u001b]0;x\u0007b\nc"
      )
      yield* store({ queueId: 1, sysFlag: SysFlag.COMPRESSED | SysFlag.COMPRESSION_LZ4 }, "packed")
      const { out, talk } = yield* onCluster(["peek", "-t", "orders"])
      assert.deepStrictEqual(out, [
        "broker-a:0:0  2023-11-14T22:13:20.000Z  t [31m  a ]0;x b c",
        "broker-a:1:0  2023-11-14T22:13:20.000Z  base64 cGFja2Vk"
      ])
      assert.deepStrictEqual(talk, ["1 body shown packed: damaged or too large, or LZ4 without the package lz4-napi"])
    }).pipe(cluster())
  )

  it.effect("A17: names a few of the queues that there are, however many", () =>
    Effect.gen(function* () {
      const { exitCode, talk } = yield* onCluster(["peek", "-t", "wide", "--queue", "99999"])
      assert.strictEqual(exitCode, 4)
      assert.match(talk.join("\n"), /broker-a:19 and 65516 more/)
      assert.isBelow(talk.join("\n").length, 1_000)
    }).pipe(cluster({ topics: { wide: { readQueueNums: 65_536, writeQueueNums: 65_536 } } }))
  )

  it.effect("refuses a queue that is not there, and a topic that is not there", () =>
    Effect.gen(function* () {
      const queue = yield* onCluster(["peek", "-t", "orders", "--queue", "9"])
      assert.strictEqual(queue.exitCode, 4)
      assert.match(queue.talk.join("\n"), /no readable queue 9[^]*broker-a:0, broker-a:1/)
      assert.strictEqual((yield* onCluster(["peek", "-t", "nope"])).exitCode, 4)
      assert.strictEqual((yield* onCluster(["peek", "-t", "orders", "--offset", "-1"])).exitCode, 2)
      assert.strictEqual((yield* onCluster(["peek", "-t", "orders", "--queue", "x"])).exitCode, 2)
    }).pipe(cluster())
  )
})

const keyed = (keys: string, tags: string) => MessageProperties.encode({ KEYS: keys, TAGS: tags })

const following = (...args: ReadonlyArray<string>) =>
  Effect.forkChild(onCluster(["peek", "-t", "orders", "--json", "--follow", ...args]), { startImmediately: true })

describe("peek, what is wanted", () => {
  /** 60 messages a minute apart over 4 queues; every tenth is tagged `rare`, and each has the key of its number. */
  const stored = Effect.gen(function* () {
    for (let i = 0; i < 60; i++) {
      yield* store({ queueId: i % 4, properties: keyed(`all n${i}`, i % 10 === 0 ? "rare" : "often") }, `m${i}`)
      yield* TestClock.adjust("1 minute")
    }
  })

  it.effect("--since, --tag and --key, alone and together, from either end", () =>
    Effect.gen(function* () {
      yield* stored
      for (const [args, expected] of [
        ["--tag rare", ["m0", "m10", "m20", "m30", "m40", "m50"]],
        ["--tag rare --count 2", ["m0", "m10"]],
        ["--tag rare --offset latest --count 2", ["m40", "m50"]],
        ["--tag rare --offset latest", ["m0", "m10", "m20", "m30", "m40", "m50"]],
        ["--key n7", ["m7"]],
        ["--key n7 --tag rare", []],
        // Now is an hour after the first.
        ["--since 5m", ["m55", "m56", "m57", "m58", "m59"]],
        ["--since 5m --count 2", ["m55", "m56"]],
        ["--since 30m --tag rare", ["m30", "m40", "m50"]],
        ["--since 1970-01-01T00:58:00Z", ["m58", "m59"]],
        ["--offset 14 --tag rare", []],
        ["--offset 12 --tag rare", ["m50"]]
      ] as const) {
        const call = yield* onCluster(["peek", "-t", "orders", "--json", ...args.split(" ")])
        assert.strictEqual(call.exitCode, 0, `${args}: ${call.talk.join()}`)
        assert.deepStrictEqual(bodies(call.out), [...expected], args)
        if (expected.length === 0) assert.deepStrictEqual(call.talk, ["no such messages in topic orders"])
      }
      const both = yield* onCluster(["peek", "-t", "orders", "--since", "5m", "--offset", "latest"])
      assert.strictEqual(both.exitCode, 2)
      assert.match(both.talk.join(), /--since and --offset both say where to begin/)
      assert.strictEqual((yield* onCluster(["peek", "-t", "orders", "--since", "soon"])).exitCode, 2)
    }).pipe(cluster())
  )

  it.effect("--format prints what a template names, without what a terminal acts on", () =>
    Effect.gen(function* () {
      const properties = MessageProperties.encode({ KEYS: "k1 k2", TAGS: "paid", "x.y": "\u001b[2Jz" })
      yield* store({ queueId: 1, properties }, "one\n\u001b[31m")
      yield* store({ queueId: 2, properties: "" }, new Uint8Array([0xff, 0x00]))
      const form =
        "{{{topic}}} {brokerName}:{queueId}:{queueOffset}\\t{keys}|{tags}|{property.x.y}|{property.none}|{body}"
      const { exitCode, out } = yield* onCluster(["peek", "-t", "orders", "--format", form])
      assert.strictEqual(exitCode, 0)
      assert.deepStrictEqual(out, [
        "{orders} broker-a:1:0\tk1 k2|paid| [2Jz||one  [31m",
        "{orders} broker-a:2:0\t||||/wA="
      ])
      for (const wrong of ["{nothing}", "{", "{property.}"]) {
        const call = yield* onCluster(["peek", "-t", "orders", "--format", wrong])
        assert.strictEqual(call.exitCode, 2, wrong)
        assert.match(call.talk.join(), /write fields as \{name\}/)
      }
      const twice = yield* onCluster(["peek", "-t", "orders", "--format", "{body}", "--json"])
      assert.strictEqual(twice.exitCode, 2)
    }).pipe(cluster())
  )

  it.effect("--follow goes on with what is stored, also in a queue that is new, and ends after --count", () =>
    Effect.gen(function* () {
      yield* store({ queueId: 0, properties: keyed("k", "often") }, "before")
      const tail = yield* following("--count", "3")
      const all = yield* following("--count", "4", "--offset", "earliest")
      const rare = yield* following("--count", "1", "--tag", "rare")
      const since = yield* following("--count", "2", "--since", "1h")
      yield* TestClock.adjust("2 seconds")
      yield* store({ queueId: 3, properties: keyed("k", "often") }, "one")
      yield* TestClock.adjust("1 second")
      yield* onCluster("topic update orders --read-queues 6 --write-queues 6".split(" "))
      yield* store({ queueId: 5, properties: keyed("k", "rare") }, "new queue")
      yield* TestClock.adjust("20 seconds")
      yield* store({ queueId: 1, properties: keyed("k", "often") }, "two")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(bodies((yield* Fiber.join(tail)).out), ["one", "new queue", "two"])
      assert.deepStrictEqual(bodies((yield* Fiber.join(all)).out), ["before", "one", "new queue", "two"])
      assert.deepStrictEqual(bodies((yield* Fiber.join(rare)).out), ["new queue"])
      assert.deepStrictEqual(bodies((yield* Fiber.join(since)).out), ["before", "one"])
    }).pipe(cluster())
  )

  it.effect("--follow outlives a broker that is away for a while, and not one that stays away", () =>
    Effect.gen(function* () {
      const { startBroker, stopBroker } = yield* EmbeddedCluster
      const run = yield* following("--count", "1")
      yield* TestClock.adjust("2 seconds")
      yield* stopBroker("broker-a")
      yield* TestClock.adjust("5 seconds")
      yield* startBroker("broker-a")
      yield* TestClock.adjust("5 seconds")
      yield* store({ queueId: 0 }, "after")
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(bodies((yield* Fiber.join(run)).out), ["after"])
      const lost = yield* following()
      yield* TestClock.adjust("2 seconds")
      yield* stopBroker("broker-a")
      yield* TestClock.adjust("10 minutes")
      assert.notStrictEqual((yield* Fiber.join(lost)).exitCode, 0)
    }).pipe(cluster())
  )
})
