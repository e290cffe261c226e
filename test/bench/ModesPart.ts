import { type Extent, type Mode, type ModeName, modes, taskOf } from "./Modes.ts"
import { type Absent, has, type Peer, type PeerName } from "./Peers.ts"
import { cpuOf, interleaved, medianOf, p50Of, p99Of, rateOf, sampleOf, type Samples } from "./Sample.ts"
import type { Sink } from "./SinkProcess.ts"
import { cell, spread, table } from "./Table.ts"
import type { Task } from "./Task.ts"

/** The first part of the page: every client in every mode, against the sink. */

/** A contestant, or this package in another state. */
export type Contestant = PeerName | "no-metrics" | "spans"

export type ModeResults = ReadonlyMap<Contestant, Samples>
export type ModesResults = ReadonlyMap<ModeName, ModeResults>

const variants: Partial<Record<Contestant, { readonly title: string; readonly variant: Task["variant"] }>> = {
  "no-metrics": { title: "effect-rocketmq, metrics off", variant: "no-metrics" },
  spans: { title: "effect-rocketmq, a span for each send", variant: "spans" }
}

/** Seconds that the first part of the warm-up may take; what is compiled as it runs must be warm by count. */
export const warmUpSecondsOf = (name: Contestant, extent: Extent): number => (name === "java" ? 60 : extent.seconds)

/** Measures the modes. */
export const measureModes = async (
  names: ReadonlyArray<ModeName>,
  peers: ReadonlyArray<Peer>,
  extent: Extent,
  sink: Sink,
  say: (line: string) => void
): Promise<ModesResults> => {
  const results = new Map<ModeName, ModeResults>()
  for (const name of names) {
    const mode: Mode = modes[name]
    say(`== ${mode.title}`)
    const able = peers.filter((peer) => has(peer.name, mode.kind))
    const ours = able.find((peer) => peer.name === "ours")
    const contestants = new Map<Contestant, Peer>(able.map((peer) => [peer.name, peer]))
    // What is switched on costs the same in each mode; one tells.
    if (name === "1KiB" && ours !== undefined) contestants.set("no-metrics", ours).set("spans", ours)
    const sample = async (contestant: Contestant) => {
      const peer = contestants.get(contestant)
      if (peer === undefined) throw new Error(`${contestant} is not there`)
      const task = taskOf(mode, extent, sink.address, warmUpSecondsOf(contestant, extent))
      return sampleOf(peer, { ...task, variant: variants[contestant]?.variant ?? "default" }, sink)
    }
    results.set(name, await interleaved([...contestants.keys()], extent.rounds, sample, say))
  }
  return results
}

const head = [
  "",
  "messages/s",
  "spread",
  "of the limit",
  "CPU s / 100,000",
  "p50 ms",
  "p99 ms",
  "RSS MiB",
  "sink busy",
  "failed"
]

const row = (title: string, samples: Samples | undefined, limit: number): ReadonlyArray<string> => {
  if (samples === undefined) return [title, "it has none"]
  if (samples.good.length === 0) return [title, `failed: ${samples.crashes[0] ?? ""}`]
  const failed = samples.good.reduce((sum, { failed: count }) => sum + count, 0)
  const crashes = samples.crashes.length === 0 ? "" : `, ${samples.crashes.length} rounds crashed`
  const rate = medianOf(samples, rateOf)
  return [
    title,
    cell(rate, 0),
    spread(samples.good.map(rateOf)),
    cell(rate / limit, 2),
    cell(medianOf(samples, cpuOf), 2),
    cell(medianOf(samples, p50Of), 2),
    cell(medianOf(samples, p99Of), 2),
    cell(
      medianOf(samples, (sample) => sample.rssMiB),
      0
    ),
    cell(
      medianOf(samples, (sample) => sample.sinkBusy),
      2
    ),
    `${failed}${crashes}`
  ]
}

/** The tables of the modes. */
export const modesText = (results: ModesResults, peers: ReadonlyArray<Peer>, absent: ReadonlyArray<Absent>): string => {
  const sections = [...results].map(([name, ofMode]) => {
    const limit = medianOf(ofMode.get("bare"), rateOf)
    const rows = [
      ...peers.map((peer) => row(peer.title, ofMode.get(peer.name), limit)),
      ...Object.entries(variants).flatMap(([key, { title }]) => {
        const samples = [...ofMode].find(([contestant]) => contestant === key)?.[1]
        return samples === undefined ? [] : [row(title, samples, limit)]
      }),
      ...absent.map(({ title }) => [title, "absent"])
    ]
    return [`### ${modes[name].title}`, "", table(head, rows)].join("\n")
  })
  return [...sections, ...absent.map(({ reason, title }) => `${title} is absent from this run: ${reason}.`)].join(
    "\n\n"
  )
}
