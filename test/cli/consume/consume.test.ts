import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { type Call, cli, onCluster } from "../support.ts"

// On the real clock: what is held when enough is consumed has a moment to end.
const cluster = (options: Parameters<typeof EmbeddedCluster.layerMemory>[0] = { topics: { orders: {} } }) =>
  Effect.provide(EmbeddedCluster.layerMemory(options))

const send = (...args: ReadonlyArray<string>) =>
  Effect.map(onCluster(["send", "--topic", "orders", ...args]), ({ exitCode, talk }) =>
    assert.strictEqual(exitCode, 0, talk.join("\n"))
  )

const consume = (...args: ReadonlyArray<string>) => onCluster(["consume", "--topic", "orders", "--group", "g", ...args])

const messages = ({ out }: Call): ReadonlyArray<Record<string, unknown>> =>
  out.filter((line) => line !== "").map((line) => JSON.parse(line))

const summary = ({ talk }: Call) => JSON.parse(talk.at(-1) ?? "")

/** The group's lag over all queues of the topic. */
const lag = Effect.map(onCluster(["group", "progress", "g", "--topic", "orders", "--json"]), ({ out }) => {
  const { lag: behind } = JSON.parse(out.join())
  return Number(behind)
})

describe("consume", () => {
  it.live("prints what it acknowledges and ends after --count; what is left is the next one's", () =>
    Effect.gen(function* () {
      yield* send("--count", "20", "--size", "40", "--tags", "paid", "--key", "k1")
      const first = yield* consume("--count", "15", "--json")
      assert.strictEqual(first.exitCode, 0, first.talk.join("\n"))
      const read = messages(first)
      assert.strictEqual(read.length, 15)
      assert.deepStrictEqual(Object.keys(read[0] ?? {}), [
        "topic",
        "brokerName",
        "queueId",
        "queueOffset",
        "msgId",
        "offsetMsgId",
        "keys",
        "tags",
        "properties",
        "bornTimestamp",
        "storeTimestamp",
        "reconsumeTimes",
        "body",
        "encoding"
      ])
      assert.deepInclude(read[0], {
        topic: "orders",
        brokerName: "broker-a",
        keys: "k1",
        tags: "paid",
        reconsumeTimes: 0,
        encoding: "utf8"
      })
      const told = summary(first)
      assert.deepStrictEqual(Object.keys(told), ["consumed", "failed", "queues", "seconds", "messagesPerSecond"])
      assert.deepInclude(told, { consumed: 15, failed: 0 })
      assert.strictEqual(
        told.queues.reduce((sum: number, queue: { readonly consumed: number }) => sum + queue.consumed, 0),
        15
      )
      assert.strictEqual(yield* lag, 5)
      const rest = yield* consume("--count", "5", "--json", "--idle-timeout", "5s")
      assert.strictEqual(rest.exitCode, 0)
      const ids = [...read, ...messages(rest)].map(({ msgId }) => msgId)
      assert.strictEqual(new Set(ids).size, 20)
      assert.strictEqual(ids.length, 20)
      assert.strictEqual(yield* lag, 0)
      // It leaves the group as it leaves the cluster.
      const { clients } = yield* EmbeddedCluster
      assert.deepStrictEqual(yield* clients, [])
    }).pipe(cluster())
  )

  it.live("ends when nothing comes: exit 0, and 1 before --count", () =>
    Effect.gen(function* () {
      yield* send("--count", "3")
      const all = yield* consume("--idle-timeout", "300ms", "--quiet")
      assert.deepStrictEqual([all.exitCode, all.out], [0, []])
      assert.match(all.talk[0] ?? "", /^3 messages of orders consumed by group g$/)
      assert.match(all.talk[1] ?? "", /messages\/s$/)
      yield* send("--count", "2")
      const few = yield* consume("--count", "5", "--idle-timeout", "300ms", "--json", "--quiet")
      assert.strictEqual(few.exitCode, 1)
      assert.match(few.talk[0] ?? "", /^error: Nothing was delivered for 300 ms; 2 of 5 messages are consumed/)
      assert.match(few.talk[1] ?? "", /doctor --topic orders --group g --namesrv /)
      assert.deepInclude(summary(few), { consumed: 2, failed: 0 })
    }).pipe(cluster())
  )

  it.live("shows on a terminal how far it is, and prints its lines on lines of their own", () =>
    Effect.gen(function* () {
      yield* send("--count", "3")
      const args = "consume -t orders -g g --idle-timeout 1200ms".split(" ")
      const statuses: Array<string | undefined> = []
      const { exitCode, out } = yield* onCluster(args, { terminal: { columns: 100, statuses } })
      assert.deepStrictEqual([exitCode, out.length], [0, 3])
      // Taken away before each line that is printed.
      assert.deepStrictEqual(statuses.slice(0, 3), [undefined, undefined, undefined])
      assert.match(statuses.at(-2) ?? "", /^3 consumed, \d+\/s, 0 behind, \d+ queues, 1 member$/)
      assert.isUndefined(statuses.at(-1))
    }).pipe(cluster())
  )

  it.live("gives each message back at its first deliveries, told by reconsumeTimes", () =>
    Effect.gen(function* () {
      yield* send("--count", "4")
      const call = yield* consume("--count", "4", "--fail-first", "2", "--json", "--idle-timeout", "10s")
      assert.strictEqual(call.exitCode, 0, call.talk.join("\n"))
      assert.deepInclude(summary(call), { consumed: 4, failed: 8 })
      const read = messages(call)
      assert.deepStrictEqual(
        read.map(({ reconsumeTimes, topic }) => [topic, reconsumeTimes]),
        Array.from({ length: 4 }, () => ["orders", 2])
      )
      const { traffic } = yield* EmbeddedCluster
      const backs = yield* traffic.ofCode(RequestCode.CONSUMER_SEND_MSG_BACK)
      assert.strictEqual(backs.length, 8)
      // The broker's own table of delays: nothing is said.
      assert.isTrue(backs.every(({ extFields }) => extFields?.["delayLevel"] === "0"))
      // By another process it goes on where the first one was: the count is the message's.
      yield* send("--count", "1")
      const later = yield* consume("--count", "1", "--fail-first", "0", "--json")
      assert.deepInclude(messages(later)[0], { reconsumeTimes: 0 })
    }).pipe(
      cluster({
        topics: { orders: {} },
        brokers: [{ name: "broker-a", config: { messageDelayLevel: "1s 1s 1s 1s 1s 1s" } }]
      })
    )
  )

  it.live("begins where --from says, in a group without offsets", () =>
    Effect.gen(function* () {
      yield* send("--count", "2", "--body", "old")
      const last = yield* consume("--from", "last", "--idle-timeout", "200ms", "--json", "--quiet")
      assert.deepInclude(summary(last), { consumed: 0, seconds: 0, messagesPerSecond: 0 })
      // Now it has offsets: they win.
      yield* send("--count", "1", "--body", "new")
      const first = yield* consume("--from", "first", "--idle-timeout", "200ms", "--json")
      assert.deepStrictEqual(
        messages(first).map(({ body }) => body),
        ["new"]
      )
      const at = yield* onCluster(
        "consume -t orders -g later --from timestamp:2100-01-01T00:00:00Z --idle-timeout 200ms --json".split(" ")
      )
      assert.strictEqual(at.exitCode, 0, at.talk.join("\n"))
      assert.isAtMost(messages(at).length, 1)
      const early = yield* onCluster(
        "consume -t orders -g early --from timestamp:2000-01-01T00:00:00Z --idle-timeout 200ms --json".split(" ")
      )
      assert.strictEqual(messages(early).length, 3)
    }).pipe(cluster())
  )

  it.live("reads the tags that --expression names", () =>
    Effect.gen(function* () {
      yield* send("--body", "a", "--tags", "paid")
      yield* send("--body", "b", "--tags", "open")
      yield* send("--body", "c")
      const call = yield* consume("--expression", "paid || shipped", "--idle-timeout", "300ms")
      assert.strictEqual(call.exitCode, 0)
      assert.strictEqual(call.out.length, 1)
      assert.match(call.out[0] ?? "", /^broker-a:\d:\d {2}\S+ {2}paid {2}a$/)
    }).pipe(cluster())
  )

  it.live("filters by SQL92 where the brokers may, and says 4 where a broker refuses the filter", () =>
    Effect.gen(function* () {
      yield* send("--body", "a", "--property", "price=50")
      yield* send("--body", "b", "--property", "price=150")
      const call = yield* consume("--sql", "price > 100", "--idle-timeout", "300ms")
      assert.strictEqual(call.exitCode, 0, call.talk.join("\n"))
      assert.deepStrictEqual(
        call.out.map((line) => line.split("  ").at(-1)),
        ["b"]
      )
      const wrong = yield* consume("--sql", "price > 'x'")
      assert.strictEqual(wrong.exitCode, 4)
      assert.match(wrong.talk.join("\n"), /Value ''x'' cannot be compared[^]*Correct the filter/)
    }).pipe(cluster({ brokers: [{ name: "broker-a", config: { enablePropertyFilter: true } }] }))
  )

  it.live("says 4 where the brokers filter by tags only, and how to allow it", () =>
    Effect.gen(function* () {
      const call = yield* consume("--sql", "price > 100")
      assert.strictEqual(call.exitCode, 4)
      assert.deepStrictEqual(call.out, [])
      assert.match(call.talk.join("\n"), /does not support consumer to filter[^]*enablePropertyFilter=true/)
    }).pipe(cluster())
  )

  it.live("says 4 for an unknown topic, waits for it with --wait, and takes any group", () =>
    Effect.gen(function* () {
      const absent = yield* onCluster(["consume", "-t", "nope", "-g", "g"])
      assert.strictEqual(absent.exitCode, 4)
      assert.deepStrictEqual(absent.out, [])
      assert.match(absent.talk[0] ?? "", /^error: .*nope/)
      const waiting = yield* Effect.forkChild(
        onCluster("consume -t orders -g g --wait --count 1 --idle-timeout 20s --json".split(" ")),
        { startImmediately: true }
      )
      yield* Effect.sleep(300)
      assert.strictEqual((yield* onCluster(["topic", "create", "orders"])).exitCode, 0)
      yield* send("--body", "x")
      const call = yield* Fiber.join(waiting)
      assert.strictEqual(call.exitCode, 0, call.talk.join("\n"))
      assert.strictEqual(messages(call).length, 1)
      assert.match(call.talk[0] ?? "", /^warning: .*orders/)
    }).pipe(cluster({ autoCreateTopicEnable: false }))
  )

  it.live("--orderly tries a message again before its successors", () =>
    Effect.gen(function* () {
      for (const body of ["a", "b", "c"]) yield* send("--body", body)
      const call = yield* consume(..."--orderly --fail-first 1 --count 3 --idle-timeout 20s --json".split(" "))
      assert.strictEqual(call.exitCode, 0, call.talk.join("\n"))
      assert.deepStrictEqual(
        messages(call).map(({ body, reconsumeTimes }) => [body, reconsumeTimes]),
        [
          ["a", 1],
          ["b", 1],
          ["c", 1]
        ]
      )
    }).pipe(cluster({ topics: { orders: { readQueueNums: 1, writeQueueNums: 1 } } }))
  )

  it.live("--broadcast gives every message to each member, and each run begins at --from", () =>
    Effect.gen(function* () {
      for (const body of ["a", "b", "c"]) yield* send("--body", body)
      const args = "--broadcast --count 3 --idle-timeout 20s --json".split(" ")
      const calls = yield* Effect.all([consume(...args), consume(...args)], { concurrency: 2 })
      calls.push(yield* consume(...args))
      for (const call of calls) {
        assert.strictEqual(call.exitCode, 0, call.talk.join("\n"))
        assert.sameMembers(
          messages(call).map(({ body }) => body),
          ["a", "b", "c"]
        )
      }
      const last = yield* consume(..."--broadcast --from last --idle-timeout 1s --json".split(" "))
      assert.deepStrictEqual(messages(last), [])
      const failing = yield* consume(..."--broadcast --orderly --fail-first 1 --count 3 --json".split(" "))
      assert.strictEqual(failing.exitCode, 0, failing.talk.join("\n"))
      assert.deepStrictEqual(
        messages(failing).map(({ body, reconsumeTimes }) => [body, reconsumeTimes]),
        [
          ["a", 1],
          ["b", 1],
          ["c", 1]
        ]
      )
    }).pipe(cluster({ topics: { orders: { readQueueNums: 1, writeQueueNums: 1 } } }))
  )

  it.live("refuses a topic that may not be read, and says how to open it", () =>
    Effect.gen(function* () {
      const { setPermission } = yield* EmbeddedCluster
      yield* setPermission("orders", 2)
      const call = yield* consume("--idle-timeout", "1s")
      assert.strictEqual(call.exitCode, 4)
      assert.match(call.talk.join("\n"), /no queue that may be read[^]*topic update orders --perm rw/)
    }).pipe(cluster())
  )

  it.effect("says 2 for what it cannot use, and 3 without a name server", () =>
    Effect.gen(function* () {
      for (const [args, words] of [
        ["--from sometimes", /from/],
        ["--from timestamp:later", /from/],
        ["--idle-timeout 10", /idle-timeout/],
        ["--count 0", /count/],
        ["--concurrency 0", /concurrency/],
        ["--broadcast --fail-first 1", /--fail-first: where a group broadcasts/],
        ["--sql a=1 --expression a", /--sql and --expression: a topic has one filter/]
      ] as const) {
        const call = yield* consume(...args.split(" "))
        assert.strictEqual(call.exitCode, 2, args)
        assert.deepStrictEqual(call.out, [])
        assert.match(call.talk.join("\n"), words)
      }
      const group = yield* onCluster("consume -t orders -g bad!group".split(" "))
      assert.strictEqual(group.exitCode, 2, group.talk.join("\n"))
      assert.strictEqual((yield* cli("consume -t orders -g g --namesrv 127.0.0.1:1".split(" "))).exitCode, 3)
    }).pipe(cluster())
  )
})
