import { spawn } from "node:child_process"
import { once } from "node:events"
import * as Path from "node:path"
import { onCore, SERVER_CORE } from "./Processes.ts"
import { type Order, readReport, type Report } from "./SinkOrder.ts"

/** The sink's process, as the bench sees it. */
export interface Sink {
  readonly address: string
  /** What it counted since it was last asked; from now on it counts anew, and serves as it is told. */
  readonly take: (order?: Partial<Order>) => Promise<Report["counts"]>
  readonly stop: () => Promise<void>
}

/** Starts a sink. */
export const start = async (): Promise<Sink> => {
  const [program, ...args] = onCore(SERVER_CORE, [process.execPath, Path.join(import.meta.dirname, "sink.ts")])
  const child = spawn(program, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] })
  const ask = async (order: Order): Promise<Report> => {
    const answer = once(child, "message")
    child.send(order)
    return readReport((await answer)[0])
  }
  const { address } = await ask({ brokers: 1, delayMillis: 0 })
  return {
    address,
    take: async (order) => (await ask({ brokers: 1, delayMillis: 0, ...order })).counts,
    stop: async () => {
      const ended = once(child, "exit")
      child.disconnect()
      await ended
    }
  }
}
