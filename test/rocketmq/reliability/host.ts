/** A host that is too busy, ends the process, or has no file descriptors left. */
import { assert } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { eventually, eventuallyThat } from "../../conformance/support.ts"
import { standStill } from "../../support/standStill.ts"
import { RocketMQ } from "../RocketMQServer.ts"
import { createTopic, observe, startProducer, TEST_TIMEOUT } from "../support.ts"
import { A, brokerNamed, type Methods, paused, send, untilInFlight, warm } from "./shared.ts"

const sender = fileURLToPath(new URL("../../producer/fixtures/sender.ts", import.meta.url))
const descriptors = fileURLToPath(new URL("fixtures/descriptors.ts", import.meta.url))

/** A child process: its end, and what it has said by then. */
const start = (command: string, args: ReadonlyArray<string>) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => spawn(command, [...args], { stdio: ["ignore", "pipe", "pipe"] })),
      (child) => Effect.sync(() => void child.kill("SIGKILL"))
    ),
    (child) => {
      let stdout = ""
      let stderr = ""
      child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()))
      child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()))
      const closed = new Promise<number | null>((resolve) => child.on("close", resolve))
      return {
        signal: (name: NodeJS.Signals) => Effect.sync(() => child.kill(name)),
        hasSaid: (line: string) =>
          eventuallyThat(
            Effect.sync(() => stdout.split("\n")),
            (lines) => assert.include(lines, line, stderr)
          ),
        isRunning: () => child.exitCode === null && child.signalCode === null,
        end: Effect.map(
          Effect.promise(() => closed),
          (code) => ({ code, stderr, lines: stdout.trim().split("\n") })
        )
      }
    }
  )

/** The topic of the program that sends, on the first broker. */
const ordersTopic = Effect.gen(function* () {
  const observer = yield* observe
  const { address } = yield* brokerNamed(A)
  yield* eventually(observer.createTopic(address, "orders"))
  yield* eventuallyThat(observer.route("orders"), (route) => assert.isDefined(route))
})

/** The event loop of this process stands still. */
const block = (millis: number) => Effect.sync(() => standStill(millis))

export const tests = (test: Methods): void => {
  test.effect(
    "H6: a process that was too busy to look: answers that are there win over their timeouts, and no burst follows",
    () =>
      Effect.gen(function* () {
        const a = yield* brokerNamed(A)
        const topic = yield* createTopic("busy", [A])
        const producer = yield* startProducer({
          retryTimesWhenSendFailed: 0,
          heartbeatBrokerInterval: 300,
          mqClientApiTimeout: 30_000
        })
        yield* warm(producer, topic)
        yield* Effect.acquireRelease(a.pause, () => a.resume)
        const sending = yield* Effect.forkChild(
          Effect.forEach(Array.from({ length: 10 }), () => send(producer, topic, { timeoutMillis: 5_000 }), {
            concurrency: "unbounded"
          })
        )
        yield* untilInFlight(producer, a.address, 10)
        const beats = Effect.map(producer.state, ({ instance }) => instance?.timers[2]?.runs ?? 0)
        const before = yield* beats
        yield* a.resume
        yield* block(6_000)
        const results = yield* Fiber.join(sending)
        assert.isTrue(results.every(({ attempts }) => attempts === 1))
        assert.isAtMost((yield* beats) - before, 2, "twenty heartbeats were missed, and one is made up for")
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )

  for (const [signal, code] of [
    ["SIGTERM", 143],
    ["SIGINT", 130]
  ] as const) {
    test.effect(
      `H7: ${signal} with sends under way: they end, the brokers are told, and the process exits with ${code}`,
      () =>
        Effect.gen(function* () {
          const { namesrvAddr } = yield* RocketMQ
          const observer = yield* observe
          const a = yield* brokerNamed(A)
          yield* ordersTopic
          const child = yield* paused(
            a,
            Effect.gen(function* () {
              const started = yield* start(process.execPath, [sender, "serve", namesrvAddr, "60000"])
              yield* started.hasSaid("serving")
              yield* started.signal(signal)
              return started
            })
          )
          const ended = yield* child.end
          assert.strictEqual(ended.stderr, "")
          assert.deepStrictEqual([ended.code, ended.lines], [code, ["serving", "acknowledged 10 failed 0"]])
          yield* eventuallyThat(observer.producers(a.address, "child-pg"), (left) => assert.deepStrictEqual(left, []))
        }).pipe(Effect.scoped),
      TEST_TIMEOUT
    )
  }

  test.effect(
    "H7: a second signal ends the process although the broker hangs and the drain limit is far",
    () =>
      Effect.gen(function* () {
        const { namesrvAddr } = yield* RocketMQ
        const a = yield* brokerNamed(A)
        yield* ordersTopic
        const ended = yield* paused(
          a,
          Effect.gen(function* () {
            const child = yield* start(process.execPath, [sender, "serve", namesrvAddr, "3600000"])
            yield* child.hasSaid("serving")
            // The first one begins the drain, which takes an hour; one of the next finds it begun.
            while (child.isRunning()) {
              yield* child.signal("SIGINT")
              yield* Effect.sleep(50)
            }
            return yield* child.end
          })
        )
        assert.strictEqual(ended.code, 130)
        assert.notInclude(ended.lines.join("\n"), "acknowledged 10")
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )

  test.effect(
    "H8: no file descriptor left: sends fail typed and unsent, dials keep their distance, and it works again afterwards",
    () =>
      Effect.gen(function* () {
        const { namesrvAddr } = yield* RocketMQ
        const topic = yield* createTopic("descriptors", [A])
        const child = yield* start("sh", [
          "-c",
          'ulimit -n 128; exec "$@"',
          "sh",
          process.execPath,
          descriptors,
          namesrvAddr,
          topic
        ])
        const { code, lines, stderr } = yield* child.end
        assert.strictEqual(code, 0, stderr)
        const facts: {
          readonly failures: ReadonlyArray<Readonly<Record<string, unknown>>>
          readonly whileExhausted: number
          readonly attempts: number
        } = JSON.parse(lines.at(-1) ?? "")
        const [first] = facts.failures
        assert.deepStrictEqual(first, {
          tag: "RouteUnavailable",
          problem: "client-exhausted",
          outcome: "not-sent",
          retryable: true
        })
        for (const failure of facts.failures) assert.deepStrictEqual(failure, first)
        // 20 sends in a second or more. The pauses begin with at least 50 ms and double up to 3 s.
        assert.isAtLeast(facts.whileExhausted, 1)
        assert.isBelow(facts.whileExhausted, 10)
        assert.isAtLeast(facts.attempts, 1)
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )
}
