import { spawn } from "node:child_process"
import * as Path from "node:path"
import { join, type Order, type Outcome, share } from "./Order.ts"

/** Starts one process; `promise` is what it printed. */
const start = (order: Order) => {
  const child = spawn(
    process.execPath,
    ["--conditions=@effect-rocketmq/source", Path.join(import.meta.dirname, "seeds.ts"), JSON.stringify(order)],
    { stdio: ["ignore", "pipe", "inherit"] }
  )
  const promise = new Promise<Outcome>((resolve, reject) => {
    let text = ""
    child.stdout.on("data", (chunk) => (text += String(chunk)))
    child.once("close", (code, signal) => {
      if (code === 0) {
        // With --logs, what the program logged stands before the outcome.
        process.stdout.write(text.slice(0, text.lastIndexOf('{"_tag"')))
        resolve(JSON.parse(text.slice(text.lastIndexOf('{"_tag"'))))
      } else reject(new Error(`the seeds from ${order.from} on ended with ${code ?? signal}`))
    })
  })
  return { child, promise }
}

/** Runs an order in several processes; the first that fails ends the others. */
export const run = async (order: Order, processes: number): Promise<Outcome> => {
  const running = share(order, processes).map(start)
  try {
    const failed = await Promise.race([
      ...running.map(
        ({ promise }) =>
          new Promise<Outcome>((resolve, reject) =>
            promise.then((outcome) => (outcome._tag === "Failed" ? resolve(outcome) : undefined), reject)
          )
      ),
      Promise.all(running.map(({ promise }) => promise)).then(() => undefined)
    ])
    if (failed !== undefined) return failed
    const outcomes = await Promise.all(running.map(({ promise }) => promise))
    return outcomes.reduce((a, b) => join(a, b))
  } finally {
    for (const { child } of running) child.kill()
  }
}
