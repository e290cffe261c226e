import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { aimsText } from "./Aims.ts"
import { brokerModes, brokerText, measureBroker } from "./BrokerPart.ts"
import * as BuiltPackage from "./BuiltPackage.ts"
import { check } from "./check.ts"
import { formsText, measureForms } from "./FormsPart.ts"
import { growthText, measureGrowth } from "./GrowthPart.ts"
import { measureModes, modesText } from "./ModesPart.ts"
import { type Options, readOptions, usage } from "./Options.ts"
import { loadText, machineText, type Part, write } from "./Page.ts"
import { prepare } from "./Peers.ts"
import * as Sink from "./SinkProcess.ts"
import { measureStarts, startText } from "./StartPart.ts"

/**
 * `npm run bench`: this package beside its peers and a bare socket program (the limit), against one sink and a real broker,
 * in one run, interleaved; what grows; and how long a start takes. With `--write` the tables go into docs/performance.md,
 * with `--check` there is only the check for CI.
 */

const say = (line: string) => process.stderr.write(`${line}\n`)

const conditions = ({ rounds, seconds, warmUp }: Options, load: string): string =>
  `Medians of ${rounds} interleaved rounds of ${seconds} s after at most ${warmUp} messages of warm-up; ${load}.`

/** Fewer rounds where each takes long. */
const fewer = (rounds: number) => Math.ceil(rounds * 0.6)

const measureAll = async (options: Options, folder: string, packageFolder: string, sink: Sink.Sink) => {
  const load = loadText()
  const built = await BuiltPackage.build(packageFolder)
  const { absent, peers } = await prepare(options.peers, folder, packageFolder, say)
  const extent = { rounds: options.rounds, seconds: options.seconds, warmUp: options.warmUp }
  const parts = new Map<Part, string>([["machine", machineText()]])
  const wants = (part: Options["parts"][number]) => options.parts.includes(part)

  const modes = wants("modes") ? await measureModes(options.modes, peers, extent, sink, say) : undefined
  if (modes !== undefined) {
    parts.set("modes", `${conditions(options, load)}\n\n${modesText(modes, peers, absent)}`)
  }
  if (wants("forms")) {
    const how = `The least of ${extent.rounds} interleaved rounds of ${extent.seconds} s after at most ${extent.warmUp} messages of warm-up; ${load}.`
    parts.set("forms", `${how}\n\n${formsText(await measureForms(peers, extent, sink, say))}`)
  }
  if (wants("broker")) {
    const few = { ...options, rounds: fewer(options.rounds) }
    const names = brokerModes.filter((name) => options.modes.includes(name))
    const results = await measureBroker(names, peers, { ...extent, rounds: few.rounds }, say)
    parts.set("broker", `${conditions(few, load)}\n\n${brokerText(results, peers, absent)}`)
  }
  if (wants("growth")) {
    const rounds = fewer(options.rounds)
    const seconds = options.seconds / 2
    const points = await measureGrowth({ rounds, seconds, upkeepSeconds: options.upkeepSeconds }, sink, say)
    const how = `Medians of ${rounds} rounds of ${seconds} s; routes and heartbeats of ${options.upkeepSeconds} s, as of a minute; ${load}.`
    parts.set("growth", `${how}\n\n${growthText(points)}`)
  }
  const starts = wants("start") ? await measureStarts(peers, 2 * options.rounds, built, sink, say) : undefined
  if (starts !== undefined) {
    parts.set("start", `Medians of ${2 * options.rounds} interleaved rounds; ${load}.\n\n${startText(starts, absent)}`)
  }
  if (wants("check"))
    parts.set("check", (await check(options.modes, peers, ["ours", "write-per-frame"], sink, say)).text)
  if (modes !== undefined && starts !== undefined) parts.set("aims", aimsText(modes, starts))
  return parts
}

const main = async (options: Options): Promise<number> => {
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-rocketmq-bench-"))
  const packageFolder = BuiltPackage.makeFolder()
  const sink = await Sink.start()
  try {
    if (options.check) {
      const { peers } = await prepare(["bare", "ours"], folder, packageFolder, say)
      const { passed, text } = await check(
        options.modes,
        peers,
        [options.writePerFrame ? "write-per-frame" : "ours"],
        sink,
        say
      )
      process.stdout.write(`${text}\n`)
      return passed ? 0 : 1
    }
    const parts = await measureAll(options, folder, packageFolder, sink)
    process.stdout.write([...parts].map(([part, text]) => `## ${part}\n\n${text}\n`).join("\n"))
    if (options.write) await write(parts)
    return 0
  } finally {
    await sink.stop()
    for (const one of [folder, packageFolder]) Fs.rmSync(one, { recursive: true, force: true, maxRetries: 5 })
  }
}

let options: Options | undefined
try {
  options = readOptions(process.argv.slice(2))
} catch (error) {
  say(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
}
process.exitCode = options === undefined ? 2 : await main(options)
