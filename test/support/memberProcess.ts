/** A member of a group in a process of its own, for tests of how processes end. */
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

const program = fileURLToPath(new URL("../consumer/fixtures/member.ts", import.meta.url))

/** Starts it, for as long as the scope is open; handlers take so long, and with `drainMillis` it says when they begin. */
export const memberProcess = (
  namesrvAddr: string,
  topic: string,
  group: string,
  handlerMillis: number,
  ...drainMillis: ReadonlyArray<number>
) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [program, namesrvAddr, topic, group, ...[handlerMillis, ...drainMillis].map(String)], {
          stdio: ["ignore", "pipe", "inherit"]
        })
      ),
      (child) => Effect.sync(() => void child.kill("SIGKILL"))
    ),
    (child) => {
      /** The lines that it has printed. */
      const seen: Array<string> = []
      let rest = ""
      child.stdout.on("data", (chunk: Buffer) => {
        const lines = (rest + chunk.toString()).split("\n")
        rest = lines.pop() ?? ""
        seen.push(...lines)
      })
      const closed = new Promise<number | null>((resolve) => child.on("close", resolve))
      return {
        seen,
        signal: (name: NodeJS.Signals) => Effect.sync(() => child.kill(name)),
        isRunning: () => child.exitCode === null && child.signalCode === null,
        /** Its exit code; null after a signal that it does not handle. */
        end: Effect.promise(() => closed)
      }
    }
  )
