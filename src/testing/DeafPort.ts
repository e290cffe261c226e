import { Effect } from "effect"
import type { Scope } from "effect"
import * as Net from "node:net"
import { Worker } from "node:worker_threads"
import { WireError } from "../transport/Wire.ts"

/**
 * A listener in a thread that is then blocked, so that nobody takes its connections. Once its backlog is full the kernel
 * lets further dials wait, which no listener of an event loop that turns can bring about.
 */
const thread = `
const { parentPort, workerData } = require("node:worker_threads")
const server = require("node:net").createServer()
server.on("error", (error) => parentPort.postMessage({ error: error.code ?? error.message }))
server.listen({ host: workerData.host, port: workerData.port, backlog: 1 }, () => {
  parentPort.postMessage({ port: server.address().port })
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
})
`
/** A backlog of 1 holds two connections, as the kernels of Linux and macOS count. */
const FILLERS = 2

interface Listening {
  readonly port?: number
  readonly error?: string
}

const started = (host: string, port: number) =>
  Effect.acquireRelease(
    Effect.sync(() => new Worker(thread, { eval: true, workerData: { host, port } })),
    (worker) => Effect.promise(() => worker.terminate())
  )

const listening = (worker: Worker, address: string): Effect.Effect<number, WireError> =>
  Effect.callback((resume) => {
    const failed = (cause: unknown, inUse: boolean) =>
      resume(Effect.fail(new WireError({ address, operation: "listen", kind: inUse ? "in-use" : "unknown", cause })))
    worker.once("message", ({ error, port }: Listening) => {
      if (port === undefined) failed(new Error(error), error === "EADDRINUSE")
      else resume(Effect.succeed(port))
    })
    worker.once("error", (cause) => failed(cause, false))
  })

const filler = (host: string, port: number) =>
  Effect.acquireRelease(
    Effect.callback<Net.Socket>((resume) => {
      const socket = Net.connect({ host, port })
      socket.on("error", () => resume(Effect.succeed(socket)))
      socket.once("connect", () => resume(Effect.succeed(socket)))
      return Effect.sync(() => {
        socket.destroy()
      })
    }),
    (socket) =>
      Effect.sync(() => {
        socket.destroy()
      })
  )

/**
 * Holds a port at which dials neither succeed nor fail, as at a host that a firewall hides, until the scope closes. Gives
 * the port. For the kernels of Linux and macOS; others may refuse.
 */
export const listen = (host: string, port: number): Effect.Effect<number, WireError, Scope.Scope> =>
  Effect.gen(function* () {
    const worker = yield* started(host, port)
    const bound = yield* listening(worker, `${host}:${port}`)
    for (let n = 0; n < FILLERS; n++) yield* filler(host, bound)
    return bound
  })
