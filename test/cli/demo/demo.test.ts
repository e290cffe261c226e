import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Console, Effect, Exit, Layer, References } from "effect"
import { TestConsole } from "effect/testing"
import { demo } from "../../../src/cli/demo/DemoRun.ts"
import { exitCodeOf } from "../../../src/cli/main.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import * as SendMessage from "../../../src/protocol/request/SendMessage.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import * as MemoryWire from "../../../src/transport/MemoryWire.ts"
import { cli } from "../support.ts"

/** Runs a small demo and gives its exit code and what it printed. */
const run = (env: Readonly<Record<string, string>>) =>
  Effect.gen(function* () {
    const console = yield* TestConsole.make
    const exit = yield* demo({ messages: 300, concurrency: 16 }).pipe(
      Effect.provide([
        NodeServices.layer,
        ConfigProvider.layer(ConfigProvider.fromEnvRecord({ ...env })),
        Layer.succeed(References.MinimumLogLevel, "None")
      ]),
      Effect.provideService(Console.Console, console),
      Effect.exit
    )
    const [reason] = Exit.isSuccess(exit) ? [] : exit.cause.reasons
    assert.notStrictEqual(reason?._tag, "Die")
    return {
      exitCode: reason?._tag === "Fail" ? exitCodeOf(reason.error) : 0,
      out: (yield* console.logLines).map(String),
      talk: yield* console.errorLines
    }
  })

const STEPS = [
  "2.1",
  "2.2",
  "2.3",
  "3.1",
  "3.3",
  "3.4",
  "3.5",
  "3.6",
  "3.7",
  "3.8",
  "2.3.2",
  "2.4",
  "2.5",
  "2.6",
  "2.7",
  "5.1",
  "5.2",
  "5.3",
  "5.4",
  "3.1",
  "3.3",
  "3.4",
  "3.5",
  "3.6",
  "3.7",
  "3.8",
  "5.5",
  "5.6",
  "5.7",
  "5.8",
  "5.9",
  "5.10"
]

/** The queues of the topic that each member owns, by the rows that say so. */
const owned = (rows: ReadonlyArray<string>) =>
  rows.map((row) =>
    (/broker-a ([\d ]+)/.exec(row)?.[1] ?? "")
      .trim()
      .split(" ")
      .filter((id) => id !== "")
  )

// On the real clock: a message comes again after a second, and timers 4 and 5 run.
describe("the demo", () => {
  it.live("starts, sends, consumes in a group of two, shuts down and leaves nothing", () =>
    Effect.gen(function* () {
      const { exitCode, out, talk } = yield* run({})
      assert.strictEqual(exitCode, 0, out.join("\n"))
      assert.deepStrictEqual(talk, [])
      assert.deepStrictEqual(
        out.flatMap((line) => (/^ +\d\.\d+(\.\d)? /.test(line) ? [line.trim().split(" ")[0]] : [])),
        STEPS
      )
      assert.isTrue(out.every((line) => !/^ +\d\.\d/.test(line) || / done {2}/.test(line)))
      const text = out.join("\n")
      assert.match(text, /CREATE_JUST > START_FAILED > RUNNING in /)
      assert.match(text, /300 acknowledged in .*, 0 retries/)
      const rows = out.filter((line) => /^ {2}member \d {2}\S+@demo-\w{6}-\d /.test(line))
      const [before, first, second] = owned(rows)
      assert.deepStrictEqual(before, ["0", "1", "2", "3"])
      assert.deepStrictEqual([...(first ?? []), ...(second ?? [])].toSorted(), before)
      assert.deepStrictEqual([first?.length, second?.length], [2, 2])
      assert.match(rows[0] ?? "", /, and the retry queue$/)
      assert.strictEqual(
        out.filter((line) => /queue \d .* offsets 0 to \d+ {2}all equal {2}member 1: /.test(line)).length,
        4
      )
      const read = [1, 2].map((member) =>
        [...text.matchAll(new RegExp(`member ${member}: +(\\d+)`, "g"))].reduce((sum, [, n]) => sum + Number(n), 0)
      )
      assert.strictEqual(
        read.reduce((sum, n) => sum + n),
        300
      )
      for (const n of read) assert.isAbove(n, 0)
      assert.match(text, /300 of 300 equal in body, ids and offset, none twice/)
      const again = /demo-10 failed at member \d: .* came again (\S+) s later, to member \d, as attempt 2/.exec(text)
      assert.isAtLeast(Number(again?.[1]), 1)
      assert.match(text, / 1 {2}fetchNameServerAddr .* off: addresses are set/)
      assert.match(text, / 3 {2}cleanOfflineBroker, sendHeartbeatToAllBroker +1 s +30 s +1 +0 /)
      assert.match(text, / 4 {2}persistAllConsumerOffset +2 s +1 s +[1-9]\d* +0 /)
      assert.match(text, / 5 {2}adjustThreadPool +1 s +1 min +1 +0 /)
      assert.match(text, /timer 5: a backlog of \d+, at least 30: member 1 goes from 8 to 9 handlers/)
      assert.match(text, /timer 4: the offsets of 4 of 4 queues are written, at their ends/)
      assert.match(text, /the group's offsets, as the brokers keep them +0 messages behind/)
      assert.match(text, /states of the producer and the two consumers +SHUTDOWN_ALREADY$/m)
      assert.strictEqual(out.slice(out.indexOf("Left behind")).filter((line) => /^ {2}\S.* 0$/.test(line)).length, 6)
      assert.match(out.at(-1) ?? "", /^ok 300 messages sent, consumed and equal; nothing is left\. /)
      const ends = out.filter((line) => /drained|deleted|timers, connections|cluster stopped/.test(line))
      assert.deepStrictEqual(
        ends.map((line) => (/^ {2}(\w+ ?\w*)/.exec(line) ?? [])[1]),
        ["member 2", "member 1", "producer drained", "client instance", "cluster stopped"]
      )
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.live("uses the cluster of NAMESRV_ADDR with a topic and a group of its own, which it deletes", () =>
    Effect.gen(function* () {
      const { clients, namesrvAddr, traffic } = yield* EmbeddedCluster
      const { exitCode, out } = yield* run({ NAMESRV_ADDR: namesrvAddr })
      assert.strictEqual(exitCode, 0, out.join("\n"))
      assert.match(out.join("\n"), /yours, of NAMESRV_ADDR[^]*group (demo-\w{6})-readers deleted[^]*topic \1 deleted/)
      const deleted = yield* traffic.ofCode(RequestCode.DELETE_TOPIC_IN_BROKER)
      assert.isTrue(deleted.some(({ topic }) => /^demo-\w{6}$/.test(topic ?? "")))
      const left = yield* cli(["topic", "list", "--all", "--json", "--namesrv", namesrvAddr])
      assert.notInclude(left.out.join(), "demo-")
      const groups = yield* cli(["group", "list", "--json", "--namesrv", namesrvAddr])
      assert.notInclude(groups.out.join(), "demo-")
      assert.deepStrictEqual(yield* clients, [])
    }).pipe(Effect.provide(EmbeddedCluster.layerMemory()))
  )

  it.live("fails when what it consumes is not what it sent", () =>
    Effect.gen(function* () {
      const { faults, namesrvAddr } = yield* EmbeddedCluster
      // A broker that acknowledges a message and does not store it.
      const lie = SendMessage.response({
        msgId: "7F00000100002A9F0000000000000000",
        queueId: 0,
        queueOffset: 1_000,
        regionId: "DefaultRegion",
        traceOn: true
      })
      yield* faults.add({
        match: { code: RequestCode.SEND_MESSAGE_V2, nth: 100 },
        actions: [{ _tag: "Answer", response: lie }]
      })
      const { exitCode, out } = yield* run({ NAMESRV_ADDR: namesrvAddr })
      assert.strictEqual(exitCode, 1)
      assert.match(out.join("\n"), /299 of 300 equal/)
      assert.match(out.at(-1) ?? "", /^failed after .*: what was consumed is not what was sent$/)
    }).pipe(Effect.provide(EmbeddedCluster.layerMemory()))
  )

  it.live("says at which step the start-up failed", () =>
    Effect.gen(function* () {
      const { faults, namesrvAddr } = yield* EmbeddedCluster
      yield* faults.add({
        match: { code: RequestCode.HEART_BEAT },
        actions: [{ _tag: "Answer", response: { code: 1, remark: "not today" } }]
      })
      const { exitCode, out, talk } = yield* run({ NAMESRV_ADDR: namesrvAddr })
      assert.strictEqual(exitCode, 4)
      assert.match(out.join("\n"), /2\.5 +instance is running, ready: registered +failed/)
      assert.match(String(talk[0]), /^error: Start failed at step 2\.5 .*not today/)
    }).pipe(Effect.provide(EmbeddedCluster.layerMemory()))
  )
})
