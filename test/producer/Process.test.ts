import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { onTcp } from "../support/rig.ts"

const script = fileURLToPath(new URL("fixtures/sender.ts", import.meta.url))
const topics = { orders: {} }

interface Ended {
  readonly lines: ReadonlyArray<string>
  readonly stderr: string
  readonly code: number | null
  readonly signal: string | null
  /** Milliseconds from the line or the signal that was waited for to the end of the process. */
  readonly millis: number
}

/** Runs the program; when it says `line`, `then` is done to it, and the time to its end is measured from there. */
const run = (how: string, namesrvAddr: string, line: string, ...then: ReadonlyArray<NodeJS.Signals>) =>
  Effect.callback<Ended>((resume) => {
    const child = spawn(process.execPath, [script, how, namesrvAddr], { stdio: ["ignore", "pipe", "pipe"] })
    let stdout = ""
    let stderr = ""
    let since: number | undefined
    child.stdout.on("data", (chunk: Buffer) => {
      stdout += chunk.toString()
      if (since !== undefined || !stdout.split("\n").includes(line)) return
      since = performance.now()
      for (const signal of then) child.kill(signal)
    })
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString()
    })
    child.on("close", (code, signal) => {
      const millis = since === undefined ? Number.NaN : performance.now() - since
      resume(Effect.succeed({ lines: stdout.trim().split("\n"), stderr, code, signal, millis }))
    })
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

/** Sends take so long that a signal meets them all under way. */
const slow = { match: { code: RequestCode.SEND_MESSAGE_V2 }, actions: [FaultScript.delay(700)] }
const silent = { match: { code: RequestCode.SEND_MESSAGE_V2 }, actions: [FaultScript.dropRequest] }

describe("a process that uses a producer", () => {
  for (const how of ["once", "runMain"]) {
    it.live(`ends by itself within a second after the producer has closed (${how})`, () =>
      Effect.gen(function* () {
        const { messages, namesrvAddr } = yield* EmbeddedCluster
        const { code, lines, millis, stderr } = yield* run(how, namesrvAddr, "closed")
        assert.strictEqual(stderr, "")
        assert.deepStrictEqual([code, lines], [0, ["sent", "closed"]])
        assert.isBelow(millis, 1_000)
        assert.strictEqual((yield* messages("orders")).length, 3)
      }).pipe(onTcp({ topics }))
    )
  }

  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143]
  ] as const) {
    it.live(`H7: lets its sends end on ${signal}, says good-bye, and exits with ${code}`, () =>
      Effect.gen(function* () {
        const { clients, faults, messages, namesrvAddr } = yield* EmbeddedCluster
        yield* faults.add(slow)
        const ended = yield* run("serve", namesrvAddr, "serving", signal)
        assert.strictEqual(ended.stderr, "")
        assert.deepStrictEqual([ended.code, ended.lines], [code, ["serving", "acknowledged 10 failed 0"]])
        assert.isBelow(ended.millis, 3_000)
        assert.strictEqual((yield* messages("orders")).length, 10)
        assert.deepStrictEqual(yield* clients, [])
      }).pipe(onTcp({ topics }))
    )

    it.live(`H7: ends on ${signal} within its bound although no send ends, and tells what is not known`, () =>
      Effect.gen(function* () {
        const { faults, namesrvAddr, traffic } = yield* EmbeddedCluster
        yield* faults.add(silent)
        const child = yield* Effect.forkChild(run("serve", namesrvAddr, "serving", signal), { startImmediately: true })
        // A program that ends at once says why.
        yield* Effect.raceFirst(traffic.awaitMatching({ code: RequestCode.SEND_MESSAGE_V2 }, 10), Fiber.await(child))
        const ended = yield* Fiber.join(child)
        assert.strictEqual(ended.stderr, "")
        assert.strictEqual(ended.code, code)
        assert.deepStrictEqual(ended.lines.slice(-1), ["acknowledged 0 failed 10"])
        const told = ended.lines.slice(1, -1).filter((line) => !line.includes("WARN"))
        assert.deepStrictEqual(
          told,
          Array.from({ length: 10 }, () => "ClientClosed unknown")
        )
        assert.isAtLeast(ended.millis, 1_900)
        assert.isBelow(ended.millis, 4_500)
      }).pipe(onTcp({ topics }))
    )
  }

  it.live("H7: ends at once on a second signal, whatever is under way", () =>
    Effect.gen(function* () {
      const { faults, namesrvAddr } = yield* EmbeddedCluster
      yield* faults.add(silent)
      const ended = yield* run("serve", namesrvAddr, "serving", "SIGINT", "SIGTERM")
      // Which of two pending signals comes first is the kernel's choice.
      assert.include([130, 143], ended.code)
      // The drain, which would have taken 2 s, has not come to its last line.
      assert.deepStrictEqual(ended.lines, ["serving"])
    }).pipe(onTcp({ topics }))
  )

  it.live("drains under NodeRuntime.runMain too, whose code for an interruption is 130", () =>
    Effect.gen(function* () {
      const { faults, messages, namesrvAddr } = yield* EmbeddedCluster
      yield* faults.add(slow)
      const ended = yield* run("serveNode", namesrvAddr, "serving", "SIGTERM")
      assert.deepStrictEqual([ended.code, ended.lines], [130, ["serving", "acknowledged 10 failed 0"]])
      assert.strictEqual((yield* messages("orders")).length, 10)
    }).pipe(onTcp({ topics }))
  )
})
