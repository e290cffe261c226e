import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as Os from "node:os"

/** Child processes of the bench: each measurement has its own, on a core of its own where that can be told. */

/** Whether a process can be told which core to run on. */
export const pinned =
  process.platform === "linux" && Os.availableParallelism() > 1 && spawnSync("taskset", ["-V"]).status === 0

/** The core of the clients, and that of the servers. */
export const CLIENT_CORE = 0
export const SERVER_CORE = 1

/** A program and its arguments. */
export type Command = readonly [program: string, ...args: ReadonlyArray<string>]

/** The command, to be run on one core. */
export const onCore = (core: number, command: Command): Command =>
  pinned ? ["taskset", "-c", String(core), ...command] : command

/** Moves a running process with all its threads to the core of the servers. */
export const moveToServerCore = (pid: number): void => {
  if (pinned) spawnSync("taskset", ["-acp", String(SERVER_CORE), String(pid)])
}

/** A child that ended in another way than it should; the message has the end of what it said. */
export class ChildFailed extends Error {}

const lastWords = (text: string) => text.trim().split("\n").slice(-8).join("\n").slice(-1000)

/** Runs a program to its end and gives what it wrote. Ends it, and fails, when it takes longer than it may. */
export const run = (
  command: Command,
  options: {
    readonly limitSeconds: number
    readonly folder?: string
    readonly env?: Readonly<Record<string, string>>
    readonly onStart?: (child: ChildProcess) => void
    readonly onOutput?: (text: string) => void
  }
): Promise<string> =>
  new Promise((resolve, reject) => {
    const [program, ...args] = command
    const child = spawn(program, args, {
      stdio: ["ignore", "pipe", "pipe"],
      ...(options.folder === undefined ? {} : { cwd: options.folder }),
      env: { ...process.env, ...options.env }
    })
    options.onStart?.(child)
    let text = ""
    let errors = ""
    let late = false
    const limit = setTimeout(() => {
      late = true
      child.kill("SIGKILL")
    }, options.limitSeconds * 1000)
    child.stdout.on("data", (chunk) => {
      text += String(chunk)
      options.onOutput?.(text)
    })
    child.stderr.on("data", (chunk) => (errors = (errors + String(chunk)).slice(-20_000)))
    child.once("error", (error) => {
      clearTimeout(limit)
      reject(new ChildFailed(`${program} did not start: ${error.message}`))
    })
    child.once("close", (code, signal) => {
      clearTimeout(limit)
      if (code === 0) return resolve(text)
      const how = late ? `was ended after ${options.limitSeconds} s` : `ended with ${code ?? signal}`
      reject(new ChildFailed(`${how}: ${lastWords(errors === "" ? text : errors)}`))
    })
  })
