/** RocketMQ's own Go client, run as a child process: another kind of client than the Java ones, with numbers of its own. */
import { Effect } from "effect"
import * as Fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import { alone, buildOnce, command, digest, here } from "./Builds.ts"
import { run, temporaryFolder } from "./Processes.ts"
import { RigError, tail } from "./RigError.ts"

/** One thing the Go client saw; what else the line says depends on the scenario. */
export type GoObservation = Readonly<Record<string, unknown>> & {
  readonly scenario: string
  readonly what: string
}

/** The topics of the scenarios, each with two queues; see `go/main.go`. */
export const topics = ["push", "orderly", "broadcast", "tags", "transaction", "retry", "poll", "assign"].map(
  (name) => `go-${name}`
)

/** The topics of the retries, each with one queue. */
export const retryTopics = ["%RETRY%go-retry-cg", "%DLQ%go-retry-cg"]

/** The program; what is built already is used as it is (no network), and an edit builds anew. */
const program: Effect.Effect<string, RigError> = Effect.gen(function* () {
  const source = Path.join(here, "go")
  const target = Path.join(here, "target", "go")
  yield* Effect.promise(() => Fs.mkdir(target, { recursive: true }))
  const names = ["go.mod", "go.sum", "main.go"]
  const texts = yield* Effect.promise(() =>
    Promise.all(names.map((name) => Fs.readFile(Path.join(source, name), "utf8")))
  )
  const built = yield* buildOnce(target, `scenarios-${digest(...texts)}`, (folder) =>
    command("build the Go program", "go", Path.dirname(folder), [
      "build",
      "-C",
      source,
      "-mod=readonly",
      "-o",
      Path.join(folder, "scenarios"),
      "."
    ])
  )
  return Path.join(built, "scenarios")
}).pipe(alone)

/** Runs all scenarios side by side in one program; another exit than 0 is a failure. */
export const scenarios = (options: {
  readonly namesrvAddr: string
  /** How long one thing may be waited for; default 60 seconds. */
  readonly patienceMillis?: number
}): Effect.Effect<ReadonlyArray<GoObservation>, RigError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const path = yield* program
      const folder = yield* temporaryFolder("effect-rocketmq-go-", tmpdir())
      const { namesrvAddr, patienceMillis = 60_000 } = options
      const operation = `run the Go client against ${namesrvAddr}`
      const args = [namesrvAddr, String(Math.ceil(patienceMillis / 1_000))]
      // Its offsets of broadcasting consumers, and its log.
      const env = { HOME: folder }
      const result = yield* run(operation, path, args, { folder, env, timeoutMillis: 4 * patienceMillis })
      if (result.exitCode !== 0) {
        const detail = `it ended with ${result.exitCode ?? result.signal}`
        return yield* new RigError({ operation, detail, output: tail(result.stderr) })
      }
      return result.stdout
        .split("\n")
        .filter((line) => line !== "")
        .map((line): GoObservation => JSON.parse(line))
    })
  )
