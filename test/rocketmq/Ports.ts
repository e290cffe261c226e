/** Free ports, and the proof that a listener belongs to a process of ours. */
import { Effect, type Scope } from "effect"
import { randomInt } from "node:crypto"
import { readFileSync } from "node:fs"
import * as Fs from "node:fs/promises"
import * as Net from "node:net"
import { RigError } from "./RigError.ts"

/**
 * Ports are taken below the range from which the system picks local ports of outgoing connections. A port of that range
 * could be taken by a client while its broker is down for a restart, or a client that dials it could connect to itself.
 */
const highest = (() => {
  try {
    const low = Number(readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").split(/\s+/)[0])
    return Number.isInteger(low) && low > 12_000 ? low - 10 : 32_000
  } catch {
    return 32_000
  }
})()

const claimed = new Set<number>()

/**
 * Claims a port such that it and each port at the given distances from it can be bound now; other layers of this
 * process are not given them until the scope closes.
 */
export const claim = (distances: ReadonlyArray<number>): Effect.Effect<number, RigError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.gen(function* () {
      for (let attempt = 0; attempt < 200; attempt++) {
        const port = randomInt(11_000, highest)
        const ports = distances.map((distance) => port + distance)
        if (ports.some((p) => claimed.has(p))) continue
        for (const p of ports) claimed.add(p)
        const free = yield* Effect.forEach(ports, canBind)
        if (free.every(Boolean)) return port
        for (const p of ports) claimed.delete(p)
      }
      return yield* new RigError({ operation: "find free ports", detail: "200 random ports were taken", output: "" })
    }),
    (port) =>
      Effect.sync(() => {
        for (const distance of distances) claimed.delete(port + distance)
      })
  )

const canBind = (port: number): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const server = Net.createServer()
    server.once("error", () => resume(Effect.succeed(false)))
    // No host: every address of both families, so a listener on any of them counts as taken.
    server.listen({ port, exclusive: true }, () => server.close(() => resume(Effect.succeed(true))))
  })

/** Whether the process has a listening TCP socket on the port, by the socket tables of /proc. */
export const ownsListener = (pid: number, port: number): Effect.Effect<boolean> =>
  Effect.promise(async () => {
    const tables = await Promise.all(["tcp", "tcp6"].map((table) => read(`/proc/${pid}/net/${table}`)))
    const inodes = new Set(tables.flatMap((table) => listeningInodes(table, port)))
    if (inodes.size === 0) return false
    const descriptors = await Fs.readdir(`/proc/${pid}/fd`).catch(() => [])
    const links = await Promise.all(descriptors.map((fd) => Fs.readlink(`/proc/${pid}/fd/${fd}`).catch(() => "")))
    return links.some((link) => inodes.has(link))
  })

const read = (file: string) => Fs.readFile(file, "utf8").catch(() => "")

/**
 * Of a table of /proc/net/tcp: the sockets in state LISTEN (0A) on the port, as links of /proc/<pid>/fd name them.
 * Line: `sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode ...`, addresses as `hex:hexport`.
 */
const listeningInodes = (table: string, port: number): ReadonlyArray<string> =>
  table
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => state === "0A" && Number.parseInt(local?.split(":")[1] ?? "", 16) === port)
    .map((fields) => `socket:[${fields[9] ?? ""}]`)
