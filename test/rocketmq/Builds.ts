/** Makes what tests need from sources once, and keeps it in the folder `target`, under a name that says what it is made of. */
import { Effect, Semaphore } from "effect"
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { run, temporaryFolder } from "./Processes.ts"
import { RigError, tail } from "./RigError.ts"

/** The folder of the rig. */
export const here = fileURLToPath(new URL(".", import.meta.url))

// One build at a time in this process; between processes the rename below decides.
const building = Semaphore.makeUnsafe(1)

/** Runs a build alone. */
export const alone = building.withPermits(1)

/** A short name for texts. */
export const digest = (...texts: ReadonlyArray<string>): string => {
  const hash = createHash("sha256")
  for (const text of texts) hash.update(text).update("\0")
  return hash.digest("hex").slice(0, 12)
}

/** Builds into a folder of its own and renames it when whole, so that nobody ever sees half a result. */
export const buildOnce = (
  parent: string,
  name: string,
  build: (folder: string) => Effect.Effect<void, RigError>
): Effect.Effect<string, RigError> => {
  const ready = Path.join(parent, name)
  if (existsSync(ready)) return Effect.succeed(ready)
  return Effect.scoped(
    Effect.gen(function* () {
      const folder = yield* temporaryFolder(`building-${name}-`, parent)
      const result = Path.join(folder, "result")
      yield* Effect.promise(() => Fs.mkdir(result))
      yield* build(result)
      yield* Effect.promise(() =>
        Fs.rename(result, ready).catch((error: unknown) => {
          // Another process was first; its result is as good.
          if (!existsSync(ready)) throw error
        })
      )
      return ready
    })
  )
}

/** Runs a command of a build; another end than 0 is a failure. */
export const command = (operation: string, program: string, folder: string, args: ReadonlyArray<string>) =>
  Effect.flatMap(run(operation, program, args, { folder }), (result) =>
    result.exitCode === 0
      ? Effect.void
      : Effect.fail(
          new RigError({
            operation,
            detail: `${program} ended with ${result.exitCode ?? result.signal}; the command was: ${program} ${args
              .map((arg) => (arg.length > 200 ? "..." : arg))
              .join(" ")}`,
            output: tail(`${result.stdout}\n${result.stderr}`)
          })
        )
  )
