import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import { type Call, onCluster } from "../support.ts"

// On the real clock, which is what it measures.
const cluster = Effect.provide(EmbeddedCluster.layerMemory({ topics: { orders: {} }, autoCreateTopicEnable: false }))

const run = (line: string) => onCluster(["bench", ...line.split(" ")])

const parsed = ({ exitCode, out, talk }: Call) => {
  assert.strictEqual(exitCode, 0, talk.join("\n"))
  return JSON.parse(out.at(-1) ?? "")
}

const topics = Effect.map(onCluster(["topic", "list", "--json"]), ({ out }) => out.join())

describe("bench", () => {
  it.live("measures sends and what is read of them, with a topic and a group that are gone afterwards", () =>
    Effect.gen(function* () {
      const { consume, produce, ...rest } = parsed(
        yield* run("--make-topic --count 500 --size 100 --concurrency 8 --json")
      )
      assert.deepInclude(rest, { mode: "both", size: 100, concurrency: 8, rate: null })
      assert.match(rest.topic, /^bench-[0-9a-f]+$/)
      assert.deepInclude(produce, { sent: 500, acknowledged: 500, failed: 0 })
      assert.deepInclude(consume, { messages: 500, missing: 0 })
      for (const part of [produce, consume]) {
        assert.isAbove(part.messagesPerSecond, 0)
        const times = [part.p50Ms, part.p90Ms, part.p99Ms, part.p999Ms, part.maxMs]
        assert.deepStrictEqual(
          times,
          times.toSorted((a, b) => a - b)
        )
        assert.isAtLeast(times[0], 0)
      }
      assert.notMatch(yield* topics, /bench-/)
      const { clients, traffic } = yield* EmbeddedCluster
      const deleted = yield* traffic.ofCode(RequestCode.DELETE_SUBSCRIPTIONGROUP)
      assert.deepStrictEqual(
        deleted.map(({ extFields }) => extFields?.["groupName"]),
        [rest.topic]
      )
      assert.deepStrictEqual(yield* clients, [])
    }).pipe(cluster)
  )

  it.live("keeps to a rate and a duration, reads what is there, and says it in words", () =>
    Effect.gen(function* () {
      const begin = performance.now()
      const { consume, produce } = parsed(yield* run("orders --mode produce --rate 50 --duration 1s --json"))
      assert.isNull(consume)
      assert.isAtLeast(performance.now() - begin, 900)
      assert.isAtMost(produce.sent, 60)
      assert.isAtLeast(produce.sent, 1)
      const read = parsed(yield* run(`orders --mode consume --count ${produce.sent} --json`))
      assert.isNull(read.produce)
      assert.deepStrictEqual([read.consume.messages, read.consume.p50Ms], [produce.sent, undefined])
      const people = yield* run("orders --count 20")
      assert.strictEqual(people.exitCode, 0)
      assert.match(people.out[0] ?? "", /^produce {2}[\d,]+ messages\/s, [\d.]+ MiB\/s, 20 acknowledged, 0 failed$/)
      assert.match(people.out[1] ?? "", /send to acknowledgement: p50 .*, p99\.9 .*, max /)
      assert.match(people.out[2] ?? "", /^consume {2}.* 20 read$/)
      assert.match(people.out[3] ?? "", /send to handler: p50 /)
    }).pipe(cluster)
  )

  it.live("tells what failed, and is no way to make a topic by a slip", () =>
    Effect.gen(function* () {
      for (const [args, exitCode, words] of [
        ["--count 1", 2, /No topic was named/],
        ["orders --make-topic", 2, /and one was named/],
        ["--make-topic --mode consume", 2, /nothing to read/],
        ["nope --count 1", 4, /nope/]
      ] as const) {
        const call = yield* run(args)
        assert.strictEqual(call.exitCode, exitCode, args)
        assert.match(call.talk.join("\n"), words)
      }
      const { faults } = yield* EmbeddedCluster
      yield* faults.add({
        match: { code: [RequestCode.SEND_MESSAGE, RequestCode.SEND_MESSAGE_V2] },
        actions: [FaultScript.answer(1, "no disk")]
      })
      const failed = yield* run("--make-topic --mode produce --count 5 --json")
      // A broker said no.
      assert.strictEqual(failed.exitCode, 4)
      assert.deepInclude(JSON.parse(failed.out.at(-1) ?? "").produce, { acknowledged: 0, failed: 5, p50Ms: null })
      assert.match(failed.talk.join("\n"), /no disk/)
      assert.notMatch(yield* topics, /bench-/)
    }).pipe(cluster)
  )
})
