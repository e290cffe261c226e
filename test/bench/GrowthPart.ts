import { Schema } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as Path from "node:path"
import { Load, type GrowthTask, Upkeep } from "./GrowthTask.ts"
import { CLIENT_CORE, type Command, onCore, run } from "./Processes.ts"
import { resultLine } from "./Sample.ts"
import { type Sink, start as startSink } from "./SinkProcess.ts"
import { cell, median, spread, table } from "./Table.ts"

/** The part of the page on what grows with brokers, topics, messages in flight and producers, and what must not. */

interface Size {
  readonly brokers: number
  readonly topics: number
  readonly inFlight: number
  readonly producers: number
}

export type Cause = keyof Size

const base: Size = { brokers: 1, topics: 1, inFlight: 256, producers: 1 }
/** So many that each of 64 brokers still has 64 of them: few messages on a connection cost more, however few brokers. */
const IN_FLIGHT_FOR_BROKERS = 4_096

const sizeOf = (cause: Cause, count: number): Size => ({
  ...base,
  ...(cause === "brokers" ? { inFlight: IN_FLIGHT_FOR_BROKERS } : {}),
  [cause]: count
})
const BODY = 100

const steps: Readonly<Record<Cause, ReadonlyArray<number>>> = {
  brokers: [1, 4, 16, 64],
  topics: [1, 100, 1_000, 10_000],
  inFlight: [1, 16, 256, 4_096, 100_000],
  producers: [1, 10, 100]
}
const causes: ReadonlyArray<Cause> = ["brokers", "topics", "inFlight", "producers"]
const causeTitles: Readonly<Record<Cause, string>> = {
  brokers: "brokers",
  topics: "topics",
  inFlight: "messages in flight",
  producers: "producers"
}

export interface UpkeepCost {
  readonly routeRequests: number
  readonly heartbeats: number
  readonly connections: number
  readonly cpuSeconds: number
  readonly heapMiB: number
}

export interface Point {
  readonly cause: Cause
  readonly count: number
  readonly loads: ReadonlyArray<Load>
  /** Of a minute in which nothing is sent; absent where the cause has no part in it. */
  readonly upkeep: UpkeepCost | undefined
  readonly failure: string | undefined
}

export interface GrowthExtent {
  readonly rounds: number
  readonly seconds: number
  /** Of the stretch in which only routes and heartbeats are kept up; at least twice their period tells something. */
  readonly upkeepSeconds: number
}

const readLoad = Schema.decodeUnknownSync(Schema.fromJsonString(Load))
const readUpkeep = Schema.decodeUnknownSync(Upkeep)

const command = (size: Size, address: string, seconds: number): Command => {
  const { inFlight, producers, topics } = size
  const task: GrowthTask = { address, producers, topics, inFlight, bodySize: BODY, seconds }
  return onCore(CLIENT_CORE, [
    process.execPath,
    "--expose-gc",
    "--conditions=@effect-rocketmq/source",
    Path.join(import.meta.dirname, "growth.ts"),
    JSON.stringify(task)
  ])
}

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

/** A client that only keeps up, beside a sink of its own. */
const startUpkeep = async (size: Size) => {
  const sink = await startSink()
  await sink.take({ brokers: size.brokers })
  const [program, ...args] = command(size, sink.address, 0)
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "inherit", "ipc"] })
  const ended = once(child, "exit")
  await Promise.race([
    once(child, "message"),
    ended.then(([code, signal]) => Promise.reject(new Error(`it ended with ${code ?? signal}`)))
  ])
  const ask = async (order: "begin" | "end") => {
    const answer = once(child, "message")
    child.send(order)
    return readUpkeep((await answer)[0])
  }
  const take = async (order: "begin" | "end") => ({
    ...(await ask(order)),
    counts: await sink.take({ brokers: size.brokers })
  })
  return {
    take,
    stop: async () => {
      child.disconnect()
      await ended
      await sink.stop()
    }
  }
}

const ROUTE = 105
const HEARTBEAT = 34

/** All sizes side by side, each with a process of its own: their CPU time is asked for, and nothing else is timed. */
const measureUpkeep = async (
  sizes: ReadonlyArray<Size>,
  seconds: number,
  say: (line: string) => void
): Promise<ReadonlyMap<Size, UpkeepCost>> => {
  const running: Array<{ readonly size: Size; readonly client: Awaited<ReturnType<typeof startUpkeep>> }> = []
  for (const size of sizes) {
    try {
      running.push({ size, client: await startUpkeep(size) })
    } catch (error) {
      say(`upkeep of ${JSON.stringify(size)} failed: ${reasonOf(error)}`)
    }
  }
  say(`${running.length} clients keep up their routes and heartbeats for ${seconds} s`)
  const before = await Promise.all(running.map(({ client }) => client.take("begin")))
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  const after = await Promise.all(running.map(({ client }) => client.take("end")))
  for (const { client } of running) await client.stop()
  const perMinute = 60 / seconds
  return new Map(
    running.map(({ size }, index) => {
      const [from, to] = [before[index], after[index]]
      if (from === undefined || to === undefined) throw new Error("a client did not answer")
      const cost: UpkeepCost = {
        routeRequests: (to.counts.requests[ROUTE] ?? 0) * perMinute,
        heartbeats: (to.counts.requests[HEARTBEAT] ?? 0) * perMinute,
        connections: from.counts.connections,
        cpuSeconds: (to.cpuSeconds - from.cpuSeconds) * perMinute,
        heapMiB: to.heapMiB
      }
      return [size, cost]
    })
  )
}

/** Measures growth: each size in each round with a process of its own. */
export const measureGrowth = async (
  extent: GrowthExtent,
  sink: Sink,
  say: (line: string) => void
): Promise<ReadonlyArray<Point>> => {
  const sizes = causes.flatMap((cause) => steps[cause].map((count) => ({ cause, count, size: sizeOf(cause, count) })))
  const loads = new Map(sizes.map(({ size }) => [size, [] as Array<Load>]))
  const failures = new Map<Size, string>()
  for (let round = 1; round <= extent.rounds; round++) {
    for (const { cause, count, size } of sizes) {
      await sink.take({ brokers: size.brokers })
      try {
        const text = await run(command(size, sink.address, extent.seconds), { limitSeconds: 120 })
        const load = readLoad(resultLine(text))
        loads.get(size)?.push(load)
        say(
          `growth ${round}/${extent.rounds}  ${count} ${causeTitles[cause]}: ${load.messagesPerSecond.toFixed(0)} messages/s`
        )
      } catch (error) {
        failures.set(size, reasonOf(error))
        say(`growth ${count} ${causeTitles[cause]} failed: ${reasonOf(error)}`)
      }
    }
  }
  await sink.take()
  const kept = sizes.filter(({ cause }) => cause !== "inFlight").map(({ size }) => size)
  const upkeep = await measureUpkeep(kept, extent.upkeepSeconds, say)
  return sizes.map(({ cause, count, size }) => ({
    cause,
    count,
    loads: loads.get(size) ?? [],
    upkeep: upkeep.get(size),
    failure: failures.get(size)
  }))
}

const medianLoad = (point: Point, of: (load: Load) => number) => median(point.loads.map(of))

/** What must not grow faster than its cause, and from where on a difference is more than noise. */
const costs: ReadonlyArray<{ readonly title: string; readonly of: (point: Point) => number; readonly noise: number }> =
  [
    { title: "memory held (MiB)", of: (point) => medianLoad(point, ({ heapMiB }) => heapMiB), noise: 3 },
    { title: "most memory (MiB)", of: (point) => medianLoad(point, ({ maxRssMiB }) => maxRssMiB), noise: 60 },
    { title: "route requests a minute", of: ({ upkeep }) => upkeep?.routeRequests ?? Number.NaN, noise: 2 },
    { title: "heartbeats a minute", of: ({ upkeep }) => upkeep?.heartbeats ?? Number.NaN, noise: 2 },
    { title: "CPU s of upkeep a minute", of: ({ upkeep }) => upkeep?.cpuSeconds ?? Number.NaN, noise: 0.1 }
  ]

const cpu = (point: Point) => medianLoad(point, ({ cpuPer100k }) => cpuPer100k)

/** How much more a step may cost for each of what was added than the step before. */
const STEP = 1.5

/**
 * What grew faster than its cause: where each one that was added cost more than {@link STEP} times what it cost on the
 * step before, and client CPU for a message beyond that factor of the least.
 */
export const tooFast = (points: ReadonlyArray<Point>): ReadonlyArray<string> =>
  causes.flatMap((cause) => {
    const line = points.filter((point) => point.cause === cause)
    const found: Array<string> = []
    for (const { noise, of, title } of costs) {
      line.forEach((point, index) => {
        const [first, before] = [line[index - 2], line[index - 1]]
        if (first === undefined || before === undefined) return
        const last = of(point) - of(before)
        const each = last / (point.count - before.count)
        const eachBefore = Math.max(0, of(before) - of(first)) / (before.count - first.count)
        // What the step before cost is known no better than the noise.
        const most = STEP * Math.max(eachBefore, noise / (before.count - first.count))
        if (last > noise && each > most) {
          found.push(
            `${title} from ${before.count} to ${point.count} ${causeTitles[cause]}: ${each.toPrecision(2)} for each, ${eachBefore.toPrecision(2)} before`
          )
        }
      })
    }
    line.forEach((point, index) => {
      const least = Math.min(...line.slice(0, index).map(cpu))
      if (cpu(point) > STEP * least) {
        found.push(
          `CPU for a message at ${point.count} ${causeTitles[cause]}: ${cell(cpu(point) / least, 2)} times the least before`
        )
      }
    })
    return found
  })

/** The tables of the growth. */
export const growthText = (points: ReadonlyArray<Point>): string => {
  const tables = causes.map((cause) => {
    const line = points.filter((point) => point.cause === cause)
    const hasUpkeep = line.some(({ upkeep }) => upkeep !== undefined)
    const head = [causeTitles[cause], "messages/s", "spread", "CPU s / 100,000", "most MiB", "held MiB", "failed"]
    const rows = line.map((point) => {
      const count = point.count.toLocaleString("en-US")
      if (point.loads.length === 0) return [count, `failed: ${point.failure ?? ""}`]
      const { upkeep } = point
      return [
        count,
        cell(
          medianLoad(point, ({ messagesPerSecond }) => messagesPerSecond),
          0
        ),
        spread(point.loads.map(({ messagesPerSecond }) => messagesPerSecond)),
        cell(
          medianLoad(point, ({ cpuPer100k }) => cpuPer100k),
          2
        ),
        cell(
          medianLoad(point, ({ maxRssMiB }) => maxRssMiB),
          0
        ),
        cell(
          medianLoad(point, ({ heapMiB }) => heapMiB),
          1
        ),
        String(point.loads.reduce((sum, { failed }) => sum + failed, 0)),
        ...(upkeep === undefined
          ? []
          : [
              cell(upkeep.connections, 0),
              cell(upkeep.routeRequests, 0),
              cell(upkeep.heartbeats, 0),
              cell(upkeep.cpuSeconds, 2)
            ])
      ]
    })
    const upkeepHead = ["connections", "route requests / min", "heartbeats / min", "upkeep CPU s / min"]
    return table([...head, ...(hasUpkeep ? upkeepHead : [])], rows)
  })
  const found = tooFast(points)
  const verdict =
    found.length === 0
      ? "Nothing grew faster than its cause."
      : ["Grew faster than its cause:", "", ...found.map((line) => `- ${line}`)].join("\n")
  return [...tables, verdict].join("\n\n")
}
