/**
 * Child processes of the rig, on `node:child_process` rather than on Effect's spawner, because that one signals process
 * groups and the rig ends a process by its own id only.
 */
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { createWriteStream } from "node:fs"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { finished } from "node:stream/promises"
import { RigError, tail } from "./RigError.ts"

/** How a process ended: its exit code, or the signal that ended it. */
export interface ProcessEnd {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
}

/** A started child process. */
export interface RigProcess {
  readonly pid: number
  /** Suspends until the process has ended and its output is on disk. */
  readonly end: Effect.Effect<ProcessEnd>
  readonly isRunning: () => boolean
  /** Sends a signal to this process alone; nothing happens when it has ended. */
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** SIGSTOP, then wait until its threads have stopped: on a busy machine some answer for a while after the signal. */
  readonly pause: Effect.Effect<void>
  /** SIGKILL, then wait for the end. */
  readonly kill: Effect.Effect<void>
  /** What it has written to standard output, respectively standard error, so far. */
  readonly stdout: Effect.Effect<string>
  readonly stderr: Effect.Effect<string>
}

export interface SpawnOptions {
  /** Working folder; `stdout.txt` and `stderr.txt` are kept in it. */
  readonly folder: string
  readonly env?: Readonly<Record<string, string>>
}

export interface RunOptions extends SpawnOptions {
  /** Kills the process, and fails, after this time; without it the process may take as long as it likes. */
  readonly timeoutMillis?: number
}

/**
 * Starts a process. Its standard input is a pipe that closes when this process ends, however it ends, so that a child
 * that watches its input (see `java/Attached.java`) never outlives the tests.
 */
export const start = (
  operation: string,
  command: string,
  args: ReadonlyArray<string>,
  options: SpawnOptions
): Effect.Effect<RigProcess, RigError> =>
  Effect.callback<ChildProcess, RigError>((resume) => {
    const child = spawn(command, args, {
      cwd: options.folder,
      env: { ...process.env, ...options.env },
      stdio: ["pipe", "pipe", "pipe"]
    })
    child.once("spawn", () => resume(Effect.succeed(child)))
    child.once("error", (error) =>
      resume(
        Effect.fail(
          new RigError({
            operation,
            detail: `${command} did not start (${error.message}); is it installed?`,
            output: ""
          })
        )
      )
    )
  }).pipe(
    Effect.map((child) => observe(child, options.folder)),
    Effect.uninterruptible
  )

/** Whether all threads of a process have stopped, as far as the system tells (Linux). */
const hasStopped = async (pid: number): Promise<boolean> => {
  const folder = `/proc/${pid}/task`
  const threads = await Fs.readdir(folder).catch(() => [])
  const states = await Promise.all(
    threads.map((thread) => Fs.readFile(Path.join(folder, thread, "stat"), "utf8").catch(() => ""))
  )
  // `pid (name) state ...`; a thread that has ended meanwhile has none.
  return states.every((stat) => stat === "" || /^[TZX] /.test(stat.slice(stat.lastIndexOf(")") + 2)))
}

const observe = (child: ChildProcess, folder: string): RigProcess => {
  const file = (name: "stdout" | "stderr") => Path.join(folder, `${name}.txt`)
  const write = (name: "stdout" | "stderr") => {
    const stream = createWriteStream(file(name), { flags: "a" })
    child[name]?.pipe(stream)
    return finished(stream)
  }
  const written = Promise.allSettled([write("stdout"), write("stderr")])
  // A child that is gone closes the pipe; that is no failure of the rig.
  child.stdin?.on("error", () => {})
  const exited = new Promise<ProcessEnd>((resolve) => {
    child.once("exit", (exitCode, signal) => resolve({ exitCode, signal }))
  })
  const isRunning = () => child.exitCode === null && child.signalCode === null
  const end = Effect.promise(() => exited.then((how) => written.then(() => how)))
  const signal = (name: NodeJS.Signals) =>
    Effect.sync(() => {
      if (isRunning()) child.kill(name)
    })
  const pid = child.pid ?? -1
  const stopped: Effect.Effect<void> = Effect.flatMap(
    Effect.promise(() => hasStopped(pid)),
    (is) => (is || !isRunning() ? Effect.void : Effect.andThen(realSleep(5), stopped))
  )
  const read = (name: "stdout" | "stderr") => Effect.promise(() => Fs.readFile(file(name), "utf8").catch(() => ""))
  return {
    pid,
    end,
    isRunning,
    signal,
    pause: Effect.andThen(signal("SIGSTOP"), stopped),
    kill: Effect.andThen(signal("SIGKILL"), Effect.asVoid(end)),
    stdout: read("stdout"),
    stderr: read("stderr")
  }
}

/** What a finished process left behind. */
export interface ProcessResult extends ProcessEnd {
  readonly stdout: string
  readonly stderr: string
}

/** Runs a process to its end; interruption kills it. A non-zero exit is a result, not a failure. */
export const run = (
  operation: string,
  command: string,
  args: ReadonlyArray<string>,
  options: RunOptions
): Effect.Effect<ProcessResult, RigError> =>
  Effect.acquireUseRelease(
    start(operation, command, args, options),
    (child) => {
      const timedOut = Effect.flatMap(realSleep(options.timeoutMillis ?? 0), () =>
        Effect.flatMap(Effect.all([child.stdout, child.stderr]), ([stdout, stderr]) =>
          Effect.fail(
            new RigError({
              operation,
              detail: `it did not end within ${options.timeoutMillis} ms`,
              output: tail(`${stdout}\n${stderr}`)
            })
          )
        )
      )
      const result = Effect.gen(function* () {
        const how = yield* child.end
        return { ...how, stdout: yield* child.stdout, stderr: yield* child.stderr }
      })
      return options.timeoutMillis === undefined ? result : Effect.raceFirst(result, timedOut)
    },
    (child) => child.kill
  )

/** A fresh temporary folder that is removed with the scope. */
export const temporaryFolder = (prefix: string, parent: string) =>
  Effect.acquireRelease(
    Effect.promise(() => Fs.mkdtemp(Path.join(parent, prefix))),
    (folder) => Effect.promise(() => Fs.rm(folder, { recursive: true, force: true, maxRetries: 5 }))
  )

/** Waits in real time, also under a test clock: servers do not know virtual time. */
export const realSleep = (millis: number): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const timer = setTimeout(() => resume(Effect.void), millis)
    return Effect.sync(() => clearTimeout(timer))
  })
