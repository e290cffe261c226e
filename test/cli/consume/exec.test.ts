import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { environmentOf } from "../../../src/cli/consume/Exec.ts"
import { ReceivedMessage } from "../../../src/consumer/ReceivedMessage.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { eventuallyThat } from "../../conformance/support.ts"
import { type Call, onCluster } from "../support.ts"

// On the real clock: processes have no other.
const cluster = Effect.provide(
  EmbeddedCluster.layerMemory({
    topics: { orders: { readQueueNums: 2, writeQueueNums: 2 } },
    brokers: [{ name: "broker-a", config: { messageDelayLevel: "1s 1s 1s 1s 1s 1s" } }]
  })
)

const send = (...args: ReadonlyArray<string>) =>
  Effect.map(onCluster(["send", "--topic", "orders", ...args]), ({ exitCode, talk }) =>
    assert.strictEqual(exitCode, 0, talk.join("\n"))
  )

const sendLines = (...lines: ReadonlyArray<string>) =>
  Effect.map(onCluster(["send", "--topic", "orders"], { stdin: lines.join("\n") }), ({ exitCode, talk }) =>
    assert.strictEqual(exitCode, 0, talk.join("\n"))
  )

const consumeUntil = (idle: string, ...args: ReadonlyArray<string>) =>
  onCluster(["consume", "--topic", "orders", "--group", "g", "--idle-timeout", idle, "--json", ...args])
const consume = (...args: ReadonlyArray<string>) => consumeUntil("20s", ...args)

const summary = ({ talk }: Call): { readonly consumed: number; readonly failed: number } =>
  JSON.parse(talk.at(-1) ?? "")

const bodies = ({ out }: Call): ReadonlyArray<string> =>
  out.filter((line) => line !== "").map((line) => String(JSON.parse(line).body))

const givenBack = Effect.flatMap(EmbeddedCluster, ({ traffic }) =>
  Effect.map(traffic.ofCode(RequestCode.CONSUMER_SEND_MSG_BACK), ({ length }) => length)
)

/** A directory that is gone after the test. */
const directory = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "exec-"))),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true }))
)

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe("environmentOf", () => {
  it("keeps what somebody sent apart from what a system reads, bounded and without NUL", () => {
    const properties = {
      "a-b.c": "1",
      a_b_c: "2",
      PATH: "/evil",
      "LD_PRELOAD=x\n": "y",
      ["n".repeat(500)]: "v\0w",
      long: "x".repeat(100_000)
    }
    const message = ReceivedMessage.make({ topic: "orders", body: "b", keys: ["k1", "k2"], tags: "t", properties })
    const variables = environmentOf(message)
    assert.deepInclude(variables, {
      MESSAGE_TOPIC: "orders",
      MESSAGE_KEYS: "k1 k2",
      MESSAGE_TAGS: "t",
      MESSAGE_RECONSUME_TIMES: "0",
      MESSAGE_PROPERTY_a_b_c: "1",
      MESSAGE_PROPERTY_PATH: "/evil",
      MESSAGE_PROPERTY_LD_PRELOAD_x_: "y",
      [`MESSAGE_PROPERTY_${"n".repeat(64)}`]: "vw"
    })
    for (const [name, value] of Object.entries(variables)) {
      assert.match(name, /^MESSAGE_[A-Za-z0-9_]{1,80}$/)
      assert.isAtMost(value.length, 32_768)
    }
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`p${i}`, "x"]))
    const all = environmentOf(ReceivedMessage.make({ topic: "orders", body: "b", properties: many }))
    assert.isBelow(Object.keys(all).length, 300)
  })
})

describe("consume --exec", () => {
  it.live("runs a command for each message: body, environment, and exit code 0 acknowledges", () =>
    Effect.gen(function* () {
      const dir = yield* directory
      yield* send("--body", "a\u0001b'$(id)", "--tags", "paid", "--key", "k1", "--property", "trace.id=t 1")
      const script = `cat > ${dir}/body; printf '%s|%s|%s|%s|%s' "$MESSAGE_TOPIC" "$MESSAGE_TAGS" "$MESSAGE_KEYS" "$MESSAGE_PROPERTY_trace_id" "$MESSAGE_ID" > ${dir}/env`
      const call = yield* consume("--count", "1", "--exec", script)
      assert.strictEqual(call.exitCode, 0, call.talk.join("\n"))
      assert.deepInclude(summary(call), { consumed: 1, failed: 0 })
      assert.strictEqual(Fs.readFileSync(`${dir}/body`, "utf8"), "a\u0001b'$(id)")
      assert.match(Fs.readFileSync(`${dir}/env`, "utf8"), /^orders\|paid\|k1\|t 1\|[0-9A-F]{32,}$/)
      assert.strictEqual(yield* givenBack, 0)
    }).pipe(Effect.scoped, cluster)
  )

  it.live("gives back what a command fails at or is too long about, and kills that with all it has started", () =>
    Effect.gen(function* () {
      const dir = yield* directory
      yield* sendLines("good", "bad", "slow")
      const script = `b=$(cat); [ "$MESSAGE_RECONSUME_TIMES" = 1 ] && exit 0; case $b in good) exit 0;; bad) exit 3;; slow) sleep 60 & echo $! > ${dir}/pid; wait;; esac`
      const call = yield* consume("--count", "3", "--exec", script, "--exec-timeout", "300ms")
      assert.strictEqual(call.exitCode, 0, call.talk.join("\n"))
      assert.deepInclude(summary(call), { consumed: 3, failed: 2 })
      assert.strictEqual(yield* givenBack, 2)
      assert.deepStrictEqual([...bodies(call)].toSorted(), ["bad", "good", "slow"])
      const pid = Number(Fs.readFileSync(`${dir}/pid`, "utf8"))
      yield* eventuallyThat(
        Effect.sync(() => isRunning(pid)),
        (running) => assert.isFalse(running)
      )
    }).pipe(Effect.scoped, cluster)
  )

  it.live("keeps to --concurrency, and to --count while others fail", () =>
    Effect.gen(function* () {
      const dir = yield* directory
      yield* send("--count", "8")
      const script = `cat > /dev/null; mkdir ${dir}/one || exit 9; sleep 0.05; rmdir ${dir}/one`
      const call = yield* consume("--count", "5", "--concurrency", "1", "--exec", script)
      assert.deepInclude(summary(call), { consumed: 5, failed: 0 })
      // Seven are waiting for the place of one that fails.
      const again = yield* consume("--count", "1", "--exec", '[ "$MESSAGE_RECONSUME_TIMES" = 1 ]')
      assert.strictEqual(again.exitCode, 0, again.talk.join("\n"))
      assert.strictEqual(summary(again).consumed, 1)
    }).pipe(Effect.scoped, cluster)
  )

  it.live("ends where there is no such command, and sends no message to the dead letters for it", () =>
    Effect.gen(function* () {
      yield* send("--count", "3")
      for (const flag of ["--exec", "--exec-lines"]) {
        const call = yield* consume(flag, "no-such-command-at-all")
        assert.strictEqual(call.exitCode, 1)
        assert.match(call.talk.join("\n"), new RegExp(`command of ${flag} cannot be run \\(exit code 127\\)`))
        assert.strictEqual(summary(call).consumed, 0)
      }
      assert.strictEqual(yield* givenBack, 0)
      const rest = yield* consume("--count", "3")
      assert.strictEqual(summary(rest).consumed, 3)
    }).pipe(cluster)
  )

  it.live(
    "kills the process of a message on shutdown, and does not acknowledge it",
    () =>
      Effect.gen(function* () {
        const dir = yield* directory
        yield* send("--body", "x")
        const script = `trap '' TERM; echo $$ > ${dir}/pid.new; mv ${dir}/pid.new ${dir}/pid; while true; do sleep 0.1; done`
        const run = yield* Effect.forkChild(consume("--exec", script))
        yield* eventuallyThat(
          Effect.sync(() => Fs.existsSync(`${dir}/pid`)),
          (there) => assert.isTrue(there)
        )
        yield* Fiber.interrupt(run)
        assert.isFalse(isRunning(Number(Fs.readFileSync(`${dir}/pid`, "utf8"))))
        const rest = yield* consume("--count", "1")
        assert.deepStrictEqual(bodies(rest), ["x"])
      }).pipe(Effect.scoped, cluster),
    60_000
  )

  it.live("prints each message by a template, with a command too", () =>
    Effect.gen(function* () {
      yield* send("--body", "x", "--tags", "paid", "--property", "a=1")
      const args = "consume orders g --count 1 --format {topic}\\t{tags}|{property.a}|{body} --exec".split(" ")
      const call = yield* onCluster([...args, "true"])
      assert.strictEqual(call.exitCode, 0, call.talk.join("\n"))
      assert.deepStrictEqual(call.out, ["orders\tpaid|1|x"])
    }).pipe(cluster)
  )

  it.live("says 2 for what goes not together", () =>
    Effect.gen(function* () {
      for (const [args, words] of [
        [["--exec", "a", "--exec-lines", "b"], /exclude each other/],
        [["--exec", "a", "--broadcast"], /--exec: where a group broadcasts/],
        [["--format", "{body}"], /--json and --format exclude/],
        [["--exec", "a", "--exec-timeout", "soon"], /exec-timeout/]
      ] as const) {
        const call = yield* consume(...args)
        assert.strictEqual(call.exitCode, 2, args.join(" "))
        assert.match(call.talk.join("\n"), words)
      }
    }).pipe(cluster)
  )
})

describe("consume --exec-lines", () => {
  it.live("asks one process for all, in order: ok acknowledges, fail gives back", () =>
    Effect.gen(function* () {
      const dir = yield* directory
      yield* sendLines("one", "two", "three", "four")
      const script = `echo $$ >> ${dir}/starts; while read -r line; do case $line in *'"reconsumeTimes":0'*'"body":"two"'*) echo fail;; *) echo ok;; esac; done`
      const call = yield* consume("--count", "4", "--exec-lines", script)
      assert.strictEqual(call.exitCode, 0, call.talk.join("\n"))
      assert.deepInclude(summary(call), { consumed: 4, failed: 1 })
      assert.strictEqual(Fs.readFileSync(`${dir}/starts`, "utf8").trim().split("\n").length, 1)
      assert.strictEqual(bodies(call).at(-1), "two")
    }).pipe(Effect.scoped, cluster)
  )

  for (const [what, answer, words] of [
    ["dies", "exit 7", /ended with exit code 7; 1 message not done/],
    ["answers something else", "echo maybe; sleep 60", /answered "maybe"; 1 message not done/],
    ["answers without end", "head -c 100000 /dev/zero | tr '\\0' x; sleep 60", /answered a line without end/],
    ["is late", "sleep 60", /did not answer within 500 ms/],
    ["answers twice", "echo ok; echo ok; sleep 60", /answered "ok" to nothing/]
  ] as const) {
    it.live(`is started anew where it ${what}, and what it has not answered comes again`, () =>
      Effect.gen(function* () {
        const dir = yield* directory
        yield* sendLines("poison")
        const script = `echo x >> ${dir}/starts; while read -r line; do case $line in *'"reconsumeTimes":0'*) ${answer};; *) echo ok;; esac; done`
        const call = yield* consumeUntil(
          what === "answers twice" ? "1s" : "20s",
          "--count",
          what === "answers twice" ? "2" : "1",
          "--exec-lines",
          script,
          "--exec-timeout",
          "500ms"
        )
        assert.match(call.talk.join("\n"), words)
        assert.strictEqual(summary(call).consumed, 1)
        // A process that answered too much did so after its answer.
        assert.strictEqual(summary(call).failed, what === "answers twice" ? 0 : 1)
        if (what !== "answers twice") {
          assert.strictEqual(Fs.readFileSync(`${dir}/starts`, "utf8").trim().split("\n").length, 2)
        }
      }).pipe(Effect.scoped, cluster)
    )
  }

  it.live(
    "ends where the process ends again and again without an answer",
    () =>
      Effect.gen(function* () {
        yield* send("--count", "8")
        const call = yield* consume("--concurrency", "1", "--exec-lines", "read line; exit 1")
        assert.strictEqual(call.exitCode, 1)
        assert.match(call.talk.join("\n"), /ended with exit code 1, 5 times without an answer/)
        assert.strictEqual(summary(call).consumed, 0)
      }).pipe(cluster),
    30_000
  )
})
