import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import * as Path from "node:path"
import * as readline from "node:readline"
import { Effect } from "effect"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { VERSION } from "../../src/cli/Version.ts"

/**
 * The program as a process: exit codes, signals, pipes. One `dev` serves all of them; the machine may be slow, so the
 * limits are wide.
 */

const root = Path.join(import.meta.dirname, "..", "..")
const bin = Path.join(root, "src", "cli", "bin.ts")
const LIMIT = 60_000

const environment = (env: Readonly<Record<string, string>>): NodeJS.ProcessEnv => {
  const { NAMESRV_ADDR: _, NO_COLOR: __, FORCE_COLOR: ___, ...inherited } = process.env
  return { ...inherited, ...env }
}

const start = (
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {},
  command = process.execPath
): ChildProcessWithoutNullStreams => spawn(command, [...args], { cwd: root, env: environment(env) })

/** Waits for the end of a process. */
const ended = (child: ChildProcessWithoutNullStreams) =>
  new Promise<{ readonly code: number | null; readonly out: string; readonly talk: string }>((resolve) => {
    let out = ""
    let talk = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text))
    child.stderr.setEncoding("utf8").on("data", (text: string) => (talk += text))
    child.on("close", (code) => resolve({ code, out, talk }))
  })

/** Runs something with standard input and waits for its end. */
const runs = (...[args, env, command, stdin = ""]: [...Parameters<typeof start>, stdin?: string]) => {
  const child = start(args, env, command)
  child.stdin.end(stdin)
  return ended(child)
}

/** {@link runs} of the program. */
const rmq = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}, stdin = "") =>
  runs([bin, ...args], env, undefined, stdin)

/** Runs the program with a reader that goes away after the first that it prints, and waits for its end. */
const rmqUnread = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>>) => {
  const child = start([bin, ...args], env)
  child.stdin.end()
  child.stdout.once("data", () => child.stdout.destroy())
  return ended(child)
}

/** Two signals that the system cannot take for one. Not at once: of two that wait, either may be the first. */
const signalTwice = async (child: ChildProcessWithoutNullStreams) => {
  child.kill("SIGINT")
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  child.kill("SIGTERM")
}

/** Starts `dev` on free ports and waits until it has told its addresses. */
const startDev = async () => {
  const child = start([bin, "dev", "--port", "0", "--json"])
  const exit = ended(child)
  const lines = readline.createInterface({ input: child.stdout })
  const first = await new Promise<string>((resolve) => lines.once("line", resolve))
  return { child, exit, env: { NAMESRV_ADDR: String(JSON.parse(first).namesrvAddr) } }
}

let dev: Awaited<ReturnType<typeof startDev>>

beforeAll(async () => {
  dev = await startDev()
}, LIMIT)

afterAll(async () => {
  dev.child.kill("SIGTERM")
  await dev.exit
}, LIMIT)

describe("the program", () => {
  it(
    "sends JSON lines that peek gives back",
    async () => {
      const bodies = Array.from({ length: 50 }, (_, i) => JSON.stringify({ n: i, text: "äöü 🚀" }))
      const sent = await rmq(["send", "--topic", "round", "--json"], dev.env, bodies.join("\n"))
      assert.strictEqual(sent.code, 0, sent.talk)
      const summary = JSON.parse(sent.out)
      assert.deepInclude(summary, { sent: 50, acknowledged: 50, failed: 0, unknown: 0 })
      assert.isAbove(summary.seconds, 0)
      assert.isAbove(summary.p99Ms, 0)
      const peeked = await rmq(["peek", "--topic", "round", "--json"], dev.env)
      assert.strictEqual(peeked.code, 0, peeked.talk)
      const lines = peeked.out.trimEnd().split("\n")
      assert.deepStrictEqual(lines.map((line) => String(JSON.parse(line).body)).toSorted(), bodies.toSorted())
    },
    LIMIT
  )

  it(
    "has the exit codes it promises",
    async () => {
      const calls = await Promise.all([
        rmq(["cluster", "list"], dev.env),
        rmq(["cluster", "list", "--nonsense"], dev.env),
        rmq(["cluster", "list", "--namesrv", "127.0.0.1:1"], dev.env),
        rmq(["topic", "route", "nope"], dev.env)
      ])
      assert.deepStrictEqual(
        calls.map(({ code }) => code),
        [0, 2, 3, 4]
      )
      // Two bodies fit and the last one is refused: some were acknowledged, not all.
      const some = await rmq(["send", "-t", "some", "--concurrency", "1"], dev.env, `a\nb\n${"x".repeat(4_194_305)}`)
      assert.strictEqual(some.code, 1, some.talk)
      assert.match(some.out, /3 messages sent to some: 2 acknowledged, 1 failed/)
    },
    LIMIT
  )

  it(
    "ends quietly when the reader goes away",
    async () => {
      await rmq(["send", "--topic", "pipe", "--count", "3000", "--size", "400"], dev.env)
      const { code, talk } = await rmqUnread("peek --topic pipe --count 3000 --json".split(" "), dev.env)
      assert.deepStrictEqual({ code, talk }, { code: 0, talk: "" })
    },
    LIMIT
  )

  it(
    "H7: drains on SIGINT and says what it has done",
    async () => {
      const child = start([bin, "send", "--topic", "forever", "--json"], dev.env)
      const exit = ended(child)
      // Standard input stays open: the program waits for more lines when the signal comes.
      child.stdin.write("one\ntwo\n")
      const stored = async (): Promise<number> => {
        const { out } = await rmq(["peek", "--topic", "forever", "--json"], dev.env)
        return out === "" ? 0 : out.trimEnd().split("\n").length
      }
      while ((await stored()) < 2);
      child.kill("SIGINT")
      const { code, out } = await exit
      assert.strictEqual(code, 130)
      const { error, ...counts } = JSON.parse(out)
      assert.deepInclude(counts, { sent: 2, acknowledged: 2, failed: 0, unknown: 0 })
      assert.strictEqual(error.tag, "Interrupted")
    },
    LIMIT
  )

  it(
    "H7: ends at once on the second signal",
    () =>
      Effect.gen(function* () {
        const { namesrvAddr, traffic } = yield* EmbeddedCluster
        const args = ["send", "--topic", "t", "--body", "x", "--timeout", "50000", "--namesrv", namesrvAddr]
        const child = start([bin, ...args])
        const exit = ended(child)
        while ((yield* traffic.ofCode(RequestCode.SEND_MESSAGE_V2)).length === 0) yield* Effect.sleep(10)
        // The first would wait for the send, which nobody answers, and then give its summary and end with 130.
        yield* Effect.promise(() => signalTwice(child))
        const { code, out } = yield* Effect.promise(() => exit)
        assert.include([130, 143], code)
        assert.strictEqual(out, "")
      }).pipe(
        Effect.provide(
          EmbeddedCluster.layerTcp({
            faults: [{ match: { code: RequestCode.SEND_MESSAGE_V2 }, actions: [FaultScript.dropRequest] }]
          })
        ),
        Effect.runPromise
      ),
    LIMIT
  )

  it(
    "consume drains on SIGINT, says what it has done, and nothing of it comes again",
    async () => {
      await rmq(["send", "--topic", "drain", "--count", "40"], dev.env)
      const args = ["consume", "--topic", "drain", "--group", "drainers", "--json"]
      const child = start([bin, ...args], dev.env)
      child.stdin.end()
      const exit = ended(child)
      const lines = readline.createInterface({ input: child.stdout })
      let read = 0
      await new Promise<void>((resolve) => lines.on("line", () => ++read === 40 && resolve()))
      child.kill("SIGINT")
      const { code, talk } = await exit
      assert.strictEqual(code, 130, talk)
      const summary = JSON.parse(talk.trimEnd().split("\n").at(-1) ?? "")
      assert.deepInclude(summary, { consumed: 40, failed: 0 })
      const again = await rmq([...args, "--idle-timeout", "500ms"], dev.env)
      assert.deepStrictEqual([again.code, again.out], [0, ""])
    },
    LIMIT
  )

  it(
    "consume acknowledges nothing more once nobody reads it, and ends",
    async () => {
      await rmq(["send", "--topic", "closed", "--count", "2000", "--size", "900"], dev.env)
      const { code, talk } = await rmqUnread("consume --topic closed --group closers --json".split(" "), dev.env)
      assert.strictEqual(code, 0, talk)
      const { consumed } = JSON.parse(talk.trimEnd().split("\n").at(-1) ?? "")
      assert.isBelow(consumed, 2_000)
      // What was not acknowledged is the next one's.
      const rest = await rmq(
        "consume --topic closed --group closers --idle-timeout 1s --json --quiet".split(" "),
        dev.env
      )
      assert.strictEqual(JSON.parse(rest.talk.trimEnd()).consumed, 2_000 - consumed)
    },
    LIMIT
  )

  it(
    "consume ends at once on the second signal, while it waits for a reader",
    async () => {
      await rmq(["send", "--topic", "stuck", "--count", "500", "--size", "4000"], dev.env)
      const child = start([bin, "consume", "--topic", "stuck", "--group", "stuck", "--json"], dev.env)
      child.stdin.end()
      const exit = new Promise((resolve) => child.on("exit", resolve))
      // It has begun to print, and nobody reads: far more is left than a pipe holds.
      await new Promise((resolve) => child.stdout.once("readable", resolve))
      await signalTwice(child)
      assert.strictEqual(await exit, 143)
      child.stdout.destroy()
    },
    LIMIT
  )

  it(
    "H7: ends dev with 130 on SIGINT and 143 on SIGTERM",
    async () => {
      for (const [signal, code] of [
        ["SIGINT", 130],
        ["SIGTERM", 143]
      ] as const) {
        const { child, exit } = await startDev()
        child.kill(signal)
        assert.strictEqual((await exit).code, code)
      }
    },
    LIMIT
  )

  it(
    "writes no colour where no terminal is, whatever NO_COLOR says",
    async () => {
      for (const env of [{}, { NO_COLOR: "1" }]) {
        const { out, talk } = await rmq(["doctor"], { ...dev.env, ...env })
        assert.match(out, /healthy/)
        assert.notInclude(out + talk, "\u001b")
      }
    },
    LIMIT
  )

  it(
    "works as npm run --silent cli from the checkout",
    async () => {
      const { code, out } = await runs(["run", "--silent", "cli", "--", "--version"], {}, "npm")
      assert.deepStrictEqual({ code, out }, { code: 0, out: `effect-rocketmq ${VERSION}\n` })
    },
    LIMIT
  )

  it(
    "npm start ends with 0, having sent, consumed, compared and released everything",
    async () => {
      const demo = [Path.join(root, "src", "cli", "demo", "demo.ts")]
      const { code, out, talk } = await runs(demo)
      assert.strictEqual(code, 0, out + talk)
      assert.strictEqual(talk, "")
      assert.match(out, /10,000 of 10,000 equal in body, ids and offset/)
      assert.match(
        out.trimEnd().split("\n").at(-1) ?? "",
        /^ok 10,000 messages sent, consumed and equal; nothing is left/
      )
      const cannot = await runs(demo, { NAMESRV_ADDR: "127.0.0.1:1" })
      assert.strictEqual(cannot.code, 3)
      assert.match(cannot.talk, /^error: Could not create topic demo-/)
    },
    LIMIT
  )
})
