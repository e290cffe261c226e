/** Servers in a process of their own, which can be looked at, stopped and killed: peers on real sockets. */
import { Effect } from "effect"
import { type ChildProcess, fork } from "node:child_process"
import { fileURLToPath } from "node:url"

/** What the peers hold. */
export interface PeerLook {
  /** Clients that their brokers know. */
  readonly clients: number
  /** Open TCP connections of their process. */
  readonly sockets: number
  /** Messages ever stored. */
  readonly stored: number
}

/** An embedded cluster in another process. */
export interface Peers {
  readonly namesrvAddr: string
  readonly look: Effect.Effect<PeerLook>
  /** `SIGSTOP`: their kernel still accepts connections and bytes, and nothing is answered. `SIGKILL`: they are gone. */
  readonly signal: (signal: "SIGSTOP" | "SIGCONT" | "SIGKILL") => Effect.Effect<void>
}

const script = fileURLToPath(new URL("peer.ts", import.meta.url))

const isLook = (value: unknown): value is PeerLook => typeof value === "object" && value !== null && "stored" in value

/** The next message of a child for which `read` gives something. */
const next = <A>(child: ChildProcess, read: (message: unknown) => A | undefined) =>
  Effect.callback<A>((resume) => {
    const forget = () => {
      child.off("message", onMessage)
      child.off("exit", onExit)
    }
    const onMessage = (message: unknown) => {
      const value = read(message)
      if (value === undefined) return
      forget()
      resume(Effect.succeed(value))
    }
    const onExit = (code: number | null) => {
      forget()
      resume(Effect.die(new Error(`the peers ended with ${code}`)))
    }
    child.on("message", onMessage)
    child.on("exit", onExit)
    return Effect.sync(forget)
  })

/** Ends the process by its id and waits until it is gone; it may be stopped. */
const kill = (child: ChildProcess) =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("close", () => resume(Effect.void))
    child.kill("SIGKILL")
    return undefined
  })

/** Starts them; they are killed with the scope. */
export const start = (brokers = 2) =>
  Effect.gen(function* () {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => fork(script, [String(brokers)], { execArgv: [] })),
      kill
    )
    const namesrvAddr = yield* next(child, (message) =>
      typeof message === "object" && message !== null && "namesrvAddr" in message
        ? String(message.namesrvAddr)
        : undefined
    )
    const peers: Peers = {
      namesrvAddr,
      look: Effect.suspend(() => {
        const answer = next(child, (message) => (isLook(message) ? message : undefined))
        child.send("look")
        return answer
      }),
      signal: (signal) => Effect.sync(() => void child.kill(signal))
    }
    return peers
  })
