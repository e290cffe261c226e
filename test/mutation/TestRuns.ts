import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import * as Path from "node:path"
import type { Job, Outcome } from "./runner.ts"

/** Milliseconds that the tests of a mistake may take besides three times what they take without it. */
const GRACE_MILLIS = 30_000

const isOutcome = (message: unknown): message is Outcome =>
  typeof message === "object" && message !== null && "failed" in message

/** Test files, run in a copy of the sources by one process that lives on from mistake to mistake. */
export class TestRuns {
  #runner: ChildProcess | undefined
  /** How long each test file took without a mistake. */
  readonly #millis = new Map<string, number>()
  /** The file that had a mistake the last time, and has none now. */
  #mended: ReadonlyArray<string> = []

  readonly folder: string

  constructor(folder: string) {
    this.folder = folder
  }

  async #ready(): Promise<ChildProcess> {
    if (this.#runner !== undefined) return this.#runner
    const runner = fork(Path.join(this.folder, "test", "mutation", "runner.ts"), [], {
      cwd: this.folder,
      // A group of its own, so that its workers go with it.
      detached: true,
      stdio: ["ignore", "ignore", "inherit", "ipc"]
    })
    this.#runner = runner
    await once(runner, "message")
    return runner
  }

  /** Ends the runner and its workers. */
  stop(): void {
    const pid = this.#runner?.pid
    this.#runner = undefined
    if (pid !== undefined) process.kill(-pid, "SIGKILL")
  }

  async #run(job: Job, limitMillis: number | undefined): Promise<"passed" | "late" | { readonly failed: string }> {
    const runner = await this.#ready()
    const { promise, resolve } = Promise.withResolvers<unknown>()
    const timer = limitMillis === undefined ? undefined : setTimeout(() => resolve("late"), limitMillis)
    const answered = (message: unknown) => resolve(message)
    const ended = () => resolve("ended")
    runner.on("message", answered).on("exit", ended)
    runner.send(job)
    const outcome = await promise
    clearTimeout(timer)
    runner.off("message", answered).off("exit", ended)
    if (outcome === "late") {
      this.stop()
      return "late"
    }
    if (!isOutcome(outcome)) throw new Error(`the tests could not be run: ${job.tests.join(" ")}`)
    if (outcome.failed === null) return "passed"
    // A vitest that has stopped at a failure runs nothing more.
    this.stop()
    return { failed: outcome.failed }
  }

  /** Runs those of the test files that did not run yet, without a mistake: they pass, or the run has no meaning. */
  async measure(tests: ReadonlyArray<string>): Promise<void> {
    for (const test of tests) {
      if (this.#millis.has(test)) continue
      const begin = performance.now()
      const outcome = await this.#run({ changed: this.#mended, tests: [test] }, undefined)
      if (outcome !== "passed") throw new Error(`test/${test} fails without a mistake`)
      this.#millis.set(test, performance.now() - begin)
    }
  }

  /** Runs the tests of a changed file until one fails. */
  async find(changed: string, tests: ReadonlyArray<string>): Promise<"passed" | "late" | { readonly failed: string }> {
    const expected = tests.reduce((sum, test) => sum + (this.#millis.get(test) ?? 0), 0)
    const outcome = await this.#run({ changed: [...this.#mended, changed], tests }, 3 * expected + GRACE_MILLIS)
    this.#mended = [changed]
    return outcome
  }

  /** The same tests, those first that take the least time. */
  quickFirst(tests: ReadonlyArray<string>): ReadonlyArray<string> {
    return tests.toSorted((a, b) => (this.#millis.get(a) ?? 0) - (this.#millis.get(b) ?? 0))
  }
}
