import * as Path from "node:path"
import { createVitest } from "vitest/node"

/**
 * One vitest for many mistakes, as a process of its own: it keeps what it has read of the files that did not change, and can
 * be killed where a mistake runs for ever. It is told by messages what to run, and answers with what came of it.
 */

/** What the runner is asked for: files of the copy that have changed, and the tests to run one after another. */
export interface Job {
  readonly changed: ReadonlyArray<string>
  readonly tests: ReadonlyArray<string>
}

/** The test file that failed; null where none did. */
export interface Outcome {
  readonly failed: string | null
}

const isJob = (message: unknown): message is Job =>
  typeof message === "object" && message !== null && "changed" in message && "tests" in message

const vitest = await createVitest("test", {
  config: "test/config/vitest.config.ts",
  watch: false,
  bail: 1,
  maxWorkers: 1,
  reporters: [{}]
})
await vitest.standalone()

const failedOf = async ({ changed, tests }: Job): Promise<string | null> => {
  for (const file of changed) vitest.invalidateFile(Path.resolve(file))
  for (const test of tests) {
    const specifications = await vitest.globTestSpecifications([Path.resolve("test", test)])
    const { testModules, unhandledErrors } = await vitest.runTestSpecifications(specifications)
    if (testModules.length === 0 || unhandledErrors.length > 0 || testModules.some((module) => !module.ok()))
      return test
  }
  return null
}

process.on("disconnect", () => process.exit())
process.on("message", async (message) => {
  if (!isJob(message)) return
  const failed = await failedOf(message)
  process.send?.({ failed } satisfies Outcome)
})
process.send?.("ready")
