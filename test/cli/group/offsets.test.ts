import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { DefaultMQPushConsumer } from "../../../src/consumer/DefaultMQPushConsumer.ts"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import { MQClientManager } from "../../../src/client/MQClientManager.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { brokerAddress, rawClient, sendRequest, utf8 } from "../../embedded/support.ts"
import { type Call, onCluster } from "../support.ts"

const cluster = Effect.provide(
  EmbeddedCluster.layerMemory({ topics: { orders: { readQueueNums: 2, writeQueueNums: 2 }, bills: {} } })
)

const store = Effect.fnUntraced(function* (queueId: number, count: number, topic = "orders") {
  const client = yield* rawClient()
  const address = yield* brokerAddress()
  for (let i = 0; i < count; i++) {
    const answer = yield* client.call(address, sendRequest({ topic, queueId, properties: "" }, utf8("x")))
    assert.strictEqual(answer.code, 0, answer.remark)
  }
})

const run = (line: string) => onCluster(line.split(" "))

const parsed = ({ exitCode, out, talk }: Call): Record<string, unknown> => {
  assert.strictEqual(exitCode, 0, talk.join("\n"))
  return JSON.parse(out.at(-1) ?? "")
}

const queuesOf = (call: Call, ...fields: ReadonlyArray<string>) => {
  const { queues } = parsed(call)
  assert.isArray(queues)
  return JSON.parse(JSON.stringify(queues)).map((queue: Readonly<Record<string, unknown>>) =>
    fields.map((field) => queue[field])
  )
}

const committed = (group: string) =>
  Effect.map(run(`group offsets show ${group} orders --json`), (call) => queuesOf(call, "queueId", "offset"))

describe("group offsets", () => {
  it.effect("show and set: one queue, all, by time, either end; --dry-run sets nothing", () =>
    Effect.gen(function* () {
      yield* store(0, 4)
      yield* TestClock.adjust("1 hour")
      yield* store(0, 2)
      yield* store(1, 3)
      yield* run("group create billing")
      assert.deepStrictEqual(
        queuesOf(yield* run("group offsets show billing orders --json"), "offset", "minOffset", "maxOffset"),
        [
          [null, 0, 6],
          [null, 0, 3]
        ]
      )
      const first = yield* run("group offsets set billing orders --queue 0 --offset 5 --json")
      assert.deepStrictEqual(parsed(first), {
        group: "billing",
        dryRun: false,
        queues: [{ topic: "orders", brokerName: "broker-a", queueId: 0, before: null, offset: 5 }]
      })
      assert.deepStrictEqual(yield* committed("billing"), [
        [0, 5],
        [1, null]
      ])
      for (const [args, expected] of [
        [
          "--to latest",
          [
            [0, 6],
            [1, 3]
          ]
        ],
        [
          "--to earliest",
          [
            [0, 0],
            [1, 0]
          ]
        ],
        [
          "--at 10m",
          [
            [0, 4],
            [1, 0]
          ]
        ],
        [
          "--queue broker-a:1 --offset 2",
          [
            [0, 4],
            [1, 2]
          ]
        ]
      ] as const) {
        const dry = yield* run(`group offsets set billing orders ${args} --dry-run --json`)
        assert.strictEqual(parsed(dry)["dryRun"], true)
        const before = yield* committed("billing")
        parsed(yield* run(`group offsets set billing orders ${args} --json`))
        assert.deepStrictEqual(yield* committed("billing"), expected, args)
        assert.notDeepEqual(before, expected, args)
      }
      const people = yield* run("group offsets show billing")
      assert.match(people.out[1] ?? "", /^orders +broker-a +0 +4 +0 +6$/)
      for (const [args, exitCode, words] of [
        ["set billing orders", 2, /was not said, or twice/],
        ["set billing orders --offset 1 --to latest", 2, /was not said, or twice/],
        ["set billing orders --offset 4", 2, /broker-a:1 of topic "orders" holds offsets 0 to 3, and not 4/],
        ["set billing orders --queue 9 --offset 1", 4, /no readable queue 9/],
        ["set billing nope --offset 0", 4, /nope/],
        ["set nobody orders --offset 0", 4, /nobody/],
        ["show nobody", 4, /nobody/],
        ["clone copy --from nobody", 4, /nobody/],
        ["clone billing --from billing", 2, /cannot be cloned to itself/]
      ] as const) {
        const call = yield* run(`group offsets ${args}`)
        assert.strictEqual(call.exitCode, exitCode, args)
        assert.match(call.talk.join("\n"), words)
      }
      // A refused offset has set nothing, of no queue.
      assert.deepStrictEqual(yield* committed("billing"), [
        [0, 4],
        [1, 2]
      ])
    }).pipe(cluster)
  )

  it.effect("clone lets another group read on there, of one topic or all", () =>
    Effect.gen(function* () {
      yield* store(0, 4)
      yield* store(1, 4)
      yield* store(0, 2, "bills")
      yield* run("group create billing")
      yield* run("group offsets set billing orders --queue 0 --offset 3")
      yield* run("group offsets set billing orders --queue 1 --offset 1")
      yield* run("group offsets set billing bills --queue 0 --offset 2")
      assert.strictEqual((yield* run("group offsets clone copy --from billing")).exitCode, 4)
      yield* run("group create copy")
      const dry = yield* run("group offsets clone copy --from billing --dry-run --json")
      assert.strictEqual(queuesOf(dry).length, 3)
      assert.deepStrictEqual(yield* committed("copy"), [
        [0, null],
        [1, null]
      ])
      yield* run("group offsets clone copy --from billing orders --json")
      assert.deepStrictEqual(yield* committed("copy"), [
        [0, 3],
        [1, 1]
      ])
      yield* run("group create all")
      yield* run("group offsets clone all --from billing")
      const shown = yield* run("group offsets show all --json")
      const offsets: ReadonlyArray<ReadonlyArray<unknown>> = queuesOf(shown, "topic", "queueId", "offset")
      const set = offsets.filter(([, , offset]) => offset !== null)
      assert.deepStrictEqual(set, [
        ["bills", 0, 2],
        ["orders", 0, 3],
        ["orders", 1, 1]
      ])
      assert.deepStrictEqual(yield* committed("billing"), [
        [0, 3],
        [1, 1]
      ])
    }).pipe(cluster)
  )

  it.effect("refuses to set while members are online, who would write theirs over it", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const consumer = yield* DefaultMQPushConsumer.make(
        { consumerGroup: "billing", subscriptions: [Subscription.all("orders")], namesrvAddr },
        () => Effect.void
      )
      yield* consumer.start
      yield* run("group create source")
      yield* run("group offsets set source orders --offset 0")
      for (const args of ["set billing orders --offset 0", "clone billing --from source"]) {
        const call = yield* run(`group offsets ${args}`)
        assert.strictEqual(call.exitCode, 4, args)
        assert.match(call.talk.join("\n"), /Members of group "billing" are online[^]*group reset billing/)
      }
      yield* consumer.shutdown
      assert.strictEqual((yield* run("group offsets set billing orders --offset 0")).exitCode, 0)
    }).pipe(Effect.provide(MQClientManager.layer), cluster)
  )
})

/** Lets virtual time go on until the group was looked at so often. */
const untilLooks = Effect.fnUntraced(function* (looks: number) {
  const { traffic } = yield* EmbeddedCluster
  for (let turn = 0; turn < 10_000; turn++) {
    if ((yield* traffic.ofCode(RequestCode.GET_CONSUME_STATS)).length >= looks) return
    yield* TestClock.adjust("10 millis")
  }
  assert.fail(`no ${looks} looks`)
})

const watch = (line: string) =>
  Effect.forkChild(onCluster(["group", "watch", "billing", ...line.split(" ")]), { startImmediately: true })

describe("group watch", () => {
  it.effect("a line for each look on a pipe, how fast, and when it will have caught up; ends at --count, --until", () =>
    Effect.gen(function* () {
      yield* store(0, 10)
      yield* run("group create billing")
      yield* run("group offsets set billing orders --queue 0 --offset 2")
      const lines = yield* watch("--interval 1s --count 3 --json")
      yield* untilLooks(1)
      yield* run("group offsets set billing orders --queue 0 --offset 6")
      yield* store(0, 2)
      yield* untilLooks(2)
      yield* run("group offsets set billing orders --queue 0 --offset 10")
      yield* untilLooks(3)
      const found = (yield* Fiber.join(lines)).out.filter((line) => line !== "").map((line) => JSON.parse(line))
      assert.deepStrictEqual(
        found.map(({ lag, readPerSecond, storedPerSecond }) => [lag, readPerSecond, storedPerSecond]),
        [
          [8, null, null],
          [6, 4, 2],
          [2, 4, 0]
        ]
      )
      assert.deepInclude(found[1], { group: "billing", caughtUpInMillis: 3_000 })
      const until = yield* watch("--interval 1s --until 0 --count 100")
      yield* untilLooks(4)
      yield* run("group offsets set billing orders --queue 0 --offset 11")
      yield* untilLooks(5)
      yield* run("group offsets set billing orders --queue 0 --offset 12")
      yield* untilLooks(6)
      const caughtUp = yield* Fiber.join(until)
      assert.strictEqual(caughtUp.exitCode, 0)
      assert.match(caughtUp.out[1] ?? "", /Z  1 behind, 1 read\/s, 0 stored\/s, caught up in 1 s$/)
      assert.match(caughtUp.out[2] ?? "", /Z  0 behind, /)
      yield* store(0, 1)
      const never = yield* watch("--interval 1s --until 0 --count 2")
      yield* untilLooks(8)
      const still = yield* Fiber.join(never)
      assert.strictEqual(still.exitCode, 1)
      assert.match(still.talk.join("\n"), /1 behind after 2 looks, and not 0/)
    }).pipe(cluster)
  )

  it.effect("a live line on a terminal, which is gone at the end", () =>
    Effect.gen(function* () {
      yield* store(0, 10)
      yield* run("group create billing")
      yield* run("group offsets set billing orders --queue 0 --offset 2")
      const statuses: Array<string | undefined> = []
      const watching = yield* Effect.forkChild(
        onCluster("group watch billing --interval 1s --count 2".split(" "), { terminal: { columns: 80, statuses } }),
        { startImmediately: true }
      )
      yield* untilLooks(2)
      const call = yield* Fiber.join(watching)
      assert.deepStrictEqual([call.exitCode, call.out], [0, []])
      assert.deepStrictEqual(call.talk, ["group billing: 8 behind"])
      assert.match(statuses[0] ?? "", /^8 behind$/)
      assert.match(statuses[1] ?? "", /^8 behind, 0 read\/s, 0 stored\/s$/)
      assert.isUndefined(statuses.at(-1))
    }).pipe(cluster)
  )
})
