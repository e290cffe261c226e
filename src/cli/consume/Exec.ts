import { Effect, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import type { ReceivedMessage } from "../../consumer/ReceivedMessage.ts"
import { ExitCode, type Explained } from "../Failure.ts"

/** What a user's command is given a message with: whether it has done its work. Fails where no command will ever do it. */
export type Handle = (message: ReceivedMessage) => Effect.Effect<boolean, Explained>

/** How long a process that was told to end may take before it is killed, in milliseconds. */
const KILL_AFTER_MILLIS = 2_000
/** How often it is looked whether processes have ended, in milliseconds. */
const POLL_MILLIS = 20
/** Properties of a message that become variables, and what of their names and values. */
const MAX_PROPERTIES = 256
const MAX_NAME = 64
const MAX_VALUE = 32_768

/** An environment holds no NUL, and a system takes no variable of any length. */
const valueOf = (text: string): string => text.replaceAll("\0", "").slice(0, MAX_VALUE)

/**
 * A message as environment variables: `MESSAGE_TOPIC`, `MESSAGE_ID`, ..., and `MESSAGE_PROPERTY_<name>` for each property,
 * whose name has `_` for all but letters and digits. The prefix keeps what somebody sent apart from what a system reads
 * (`PATH`, `LD_PRELOAD`); of two properties that come to one name, the first counts.
 */
export const environmentOf = (message: ReceivedMessage): Record<string, string> => {
  const { keys, properties, queue, tags } = message
  const variables: Record<string, string> = {
    MESSAGE_TOPIC: message.topic,
    MESSAGE_ID: message.msgId,
    MESSAGE_OFFSET_ID: message.offsetMsgId,
    MESSAGE_KEYS: keys.join(" "),
    MESSAGE_TAGS: tags ?? "",
    MESSAGE_BROKER: queue.brokerName,
    MESSAGE_QUEUE: String(queue.queueId),
    MESSAGE_OFFSET: String(message.queueOffset),
    MESSAGE_RECONSUME_TIMES: String(message.reconsumeTimes),
    MESSAGE_BORN_TIMESTAMP: String(message.bornTimestamp),
    MESSAGE_STORE_TIMESTAMP: String(message.storeTimestamp)
  }
  for (const name of Object.keys(variables)) variables[name] = valueOf(variables[name] ?? "")
  for (const [name, value] of Object.entries(properties).slice(0, MAX_PROPERTIES)) {
    const variable = `MESSAGE_PROPERTY_${name.slice(0, MAX_NAME).replace(/[^A-Za-z0-9]/g, "_")}`
    variables[variable] ??= valueOf(value)
  }
  return variables
}

/** Processes that run: a second signal ends this one at once, and no process of its own may outlive it. */
const running = new Set<number>()
const killAll = (): void => {
  for (const pid of running) {
    try {
      // Each leads a group of its own.
      process.kill(-pid, "SIGKILL")
    } catch {
      // It has ended by itself.
    }
  }
}

/** Waits for processes whose messages are not waited for any more: they were told to end, and are killed then. */
const ended = Effect.suspend(() => (running.size === 0 ? Effect.void : Effect.sleep(POLL_MILLIS))).pipe(
  Effect.repeat({ until: () => running.size === 0 }),
  Effect.timeoutOption(2 * KILL_AFTER_MILLIS),
  Effect.ensuring(Effect.sync(killAll))
)

/** Starts a command for the shell in the current scope, with whose end it ends too, and all that it has started. */
export const spawn = Effect.fnUntraced(function* (
  command: string,
  options: Pick<ChildProcess.CommandOptions, "env" | "stdin" | "stdout">
) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  let pid: number | undefined
  // Before the process, so that it counts until it has ended.
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      if (pid !== undefined && running.delete(pid) && running.size === 0) process.off("exit", killAll)
    })
  )
  const handle = yield* spawner.spawn(
    ChildProcess.make(command, [], {
      ...options,
      shell: true,
      extendEnv: true,
      stderr: "inherit",
      forceKillAfter: KILL_AFTER_MILLIS
    })
  )
  if (running.size === 0) process.on("exit", killAll)
  pid = handle.pid
  running.add(pid)
  return handle
})

/** What a shell ends with where there is no such command, or where it may not be run: no message can change that. */
export const cannotRun = (code: number): boolean => code === 126 || code === 127

/** A command that no message will ever be handled by. */
export const unusable = (flag: string, what: string): Explained => ({
  tag: "CommandUnusable",
  message: `The command of --${flag} ${what}.`,
  remedy:
    "Try the command by itself. What was not acknowledged is for the next member; no message was given back for this.",
  exitCode: ExitCode.failed
})

/**
 * Runs a command of the user's for each message: the body is its standard input, all else its environment. Exit code 0 in
 * time is done, all else is not. A command that is not there ends the run, or a misspelt name would send every message to the
 * dead letters.
 */
export const make = Effect.fnUntraced(function* (command: string, timeoutMillis: number) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  yield* Effect.addFinalizer(() => ended)
  const handle: Handle = (message) =>
    spawn(command, {
      env: environmentOf(message),
      stdin: Stream.make(message.body),
      stdout: "inherit"
    }).pipe(
      Effect.flatMap(({ exitCode }) => exitCode),
      Effect.timeoutOption(timeoutMillis),
      Effect.scoped,
      Effect.provideService(ChildProcessSpawner.ChildProcessSpawner, spawner),
      Effect.matchEffect({
        // It was killed by a signal, or the system could not start one more.
        onFailure: () => Effect.succeed(false),
        onSuccess: (code) =>
          code._tag === "Some" && cannotRun(code.value)
            ? Effect.fail(unusable("exec", `cannot be run (exit code ${code.value})`))
            : Effect.succeed(code._tag === "Some" && code.value === 0)
      })
    )
  return handle
})
