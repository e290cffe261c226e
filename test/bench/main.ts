import { spawn, spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { parseArgs } from "node:util"
import { Effect } from "effect"
import * as JavaClient from "../rocketmq/JavaClient.ts"
import { type Measurement, readMeasurement, type Task } from "./Measure.ts"

/**
 * `npm run bench`: this package beside a bare socket program (the limit) and the Java client, against one sink, in one
 * run, interleaved. With `--write` the table goes into docs/performance.md.
 */

const here = import.meta.dirname
const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    messages: { type: "string", default: "200000" },
    "warm-up": { type: "string", default: "200000" },
    "in-flight": { type: "string", default: "256" },
    body: { type: "string", default: "1024" },
    "no-java": { type: "boolean", default: false },
    write: { type: "boolean", default: false }
  }
})

const say = (line: string) => process.stderr.write(`${line}\n`)

// Client on one core, sink on another, where that can be told.
const pinned =
  process.platform === "linux" && Os.availableParallelism() > 1 && spawnSync("taskset", ["-V"]).status === 0
if (pinned) spawnSync("taskset", ["-cp", "0", String(process.pid)])

const startSink = async () => {
  const command = [process.execPath, Path.join(here, "sink.ts")]
  const [first = "", ...rest] = pinned ? ["taskset", "-c", "1", ...command] : command
  const child = spawn(first, rest, { stdio: ["pipe", "pipe", "inherit"] })
  const address = await new Promise<string>(
    (resolve) => void child.stdout.once("data", (d) => resolve(String(d).trim()))
  )
  return { address, stop: () => child.stdin.end() }
}

const runNode = (script: string, task: Task): Promise<Measurement> =>
  new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      ["--conditions=@effect-rocketmq/source", Path.join(here, script), JSON.stringify(task)],
      { stdio: ["ignore", "pipe", "inherit"] }
    )
    let text = ""
    child.stdout.on("data", (chunk) => (text += String(chunk)))
    child.once("close", (code) =>
      code === 0 ? resolve(readMeasurement(text)) : reject(new Error(`${script} ended with ${code}`))
    )
  })

const runJava = async (task: Task): Promise<Measurement> => {
  const result = await Effect.runPromise(
    JavaClient.bench({
      version: "5.5.0",
      namesrvAddr: task.address,
      topic: "bench",
      mode: task.inFlight === 1 ? "sync" : "async",
      inFlight: task.inFlight,
      bodySize: task.bodySize,
      warmUp: task.warmUp,
      count: task.count
    })
  )
  return {
    messagesPerSecond: result.messagesPerSecond,
    cpuPer100k: (result.cpuSeconds / task.count) * 100_000,
    p50Millis: result.p50Millis,
    p99Millis: result.p99Millis,
    rssMiB: result.rssBytes / 1024 / 1024,
    startToFirstAckMillis: result.startToFirstAckMillis,
    failed: result.failed
  }
}

const contestants: ReadonlyArray<{ readonly name: string; readonly run: (task: Task) => Promise<Measurement> }> = [
  { name: "bare node:net, ready-made frames", run: (task) => runNode("bare.ts", task) },
  { name: "effect-rocketmq", run: (task) => runNode("ours.ts", task) },
  { name: "effect-rocketmq, metrics off", run: (task) => runNode("ours.ts", { ...task, telemetry: "off" }) },
  {
    name: "effect-rocketmq, a span for each send",
    run: (task) => runNode("ours.ts", { ...task, telemetry: "traced" })
  },
  ...(values["no-java"] ? [] : [{ name: "Java client 5.5.0", run: runJava }])
]

const median = (numbers: ReadonlyArray<number>): number => {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

const sink = await startSink()
const task: Task = {
  address: sink.address,
  inFlight: Number(values["in-flight"]),
  bodySize: Number(values.body),
  warmUp: Number(values["warm-up"]),
  count: Number(values.messages),
  telemetry: "default"
}
const rounds = Number(values.rounds)
const results = contestants.map((): Array<Measurement> => [])
for (let round = 0; round < rounds; round++) {
  for (const [index, contestant] of contestants.entries()) {
    const measured = await contestant.run(task)
    results[index]?.push(measured)
    say(`round ${round + 1}/${rounds}  ${contestant.name}: ${Math.round(measured.messagesPerSecond)} messages/s`)
  }
}
sink.stop()

const rateOf = (index: number) => median((results[index] ?? []).map((m) => m.messagesPerSecond))
const limit = rateOf(0)
const cell = (value: number | undefined, digits: number) =>
  value === undefined || Number.isNaN(value) ? "" : value.toFixed(digits)

const rows = contestants.map(({ name }, index) => {
  const all = results[index] ?? []
  const of = (read: (m: Measurement) => number | undefined) => {
    const numbers = all.map(read).filter((n) => n !== undefined)
    return numbers.length === 0 ? undefined : median(numbers)
  }
  const rates = all.map((m) => m.messagesPerSecond)
  return [
    name,
    cell(rateOf(index), 0),
    `${cell(Math.min(...rates), 0)} to ${cell(Math.max(...rates), 0)}`,
    cell(rateOf(index) / limit, 2),
    cell(
      of((m) => m.cpuPer100k),
      2
    ),
    cell(
      of((m) => m.p50Millis),
      2
    ),
    cell(
      of((m) => m.p99Millis),
      2
    ),
    cell(
      of((m) => m.rssMiB),
      0
    ),
    cell(
      of((m) => m.startToFirstAckMillis),
      0
    ),
    String(all.reduce((n, m) => n + m.failed, 0))
  ]
})

const ours = rateOf(1)
const table = [
  `${task.bodySize} B bodies, ${task.inFlight} in flight, one connection, ${task.count} messages after ${task.warmUp} to warm up, median of ${rounds} interleaved rounds; Node ${process.version}, ${Os.cpus()[0]?.model ?? "unknown CPU"}, ${pinned ? "client and sink on one core each" : "cores not pinned"}.`,
  "",
  "| | messages/s | spread | of the limit | CPU s / 100,000 | p50 ms | p99 ms | RSS MiB | start to first ack ms | failed |",
  "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
  ...rows.map((row) => `| ${row.join(" | ")} |`),
  "",
  `effect-rocketmq: ${cell(ours / limit, 2)} of the bare limit${values["no-java"] ? "" : `, ${cell(ours / rateOf(contestants.length - 1), 2)} times the Java client`}.`
].join("\n")

process.stdout.write(`${table}\n`)
if (values.write) {
  const file = Path.join(here, "..", "..", "docs", "performance.md")
  const text = Fs.readFileSync(file, "utf8")
  const marked = /(<!-- bench -->\n)[\s\S]*?(\n<!-- \/bench -->)/
  Fs.writeFileSync(
    file,
    text.replace(marked, (_, open: string, close: string) => `${open}\n${table}\n${close}`)
  )
}
