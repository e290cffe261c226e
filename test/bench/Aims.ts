import { type ModeName, modes } from "./Modes.ts"
import type { Contestant, ModeResults, ModesResults } from "./ModesPart.ts"
import type { PeerName } from "./Peers.ts"
import { MOST_CONSUMER_CPU } from "./check.ts"
import { cpuOf, medianOf, p50Of, rateOf, type Sample } from "./Sample.ts"
import { addedByImport, roundTripsOf, type StartResults } from "./StartPart.ts"
import { cell, table } from "./Table.ts"

/** What this package is to reach, and whether it does. */

interface Aim {
  readonly title: string
  readonly sought: string
  /** Not a number when it was not measured. */
  readonly reached: number
  readonly bound: number
  readonly better: "more" | "less"
  readonly unit: string
  readonly note?: string
}

const ratio = (results: ModesResults, mode: ModeName, to: Contestant, of: (sample: Sample) => number): number =>
  medianOf(results.get(mode)?.get("ours"), of) / medianOf(results.get(mode)?.get(to), of)

const rivals: ReadonlyArray<PeerName> = ["java", "go", "ali-ons"]

/** The peer that comes nearest to this package's client CPU for a message, or beats it. */
const cpuRival = (ofMode: ModeResults | undefined): { readonly peer: string; readonly ratio: number } => {
  const ours = medianOf(ofMode?.get("ours"), cpuOf)
  return rivals
    .map((peer) => ({ peer, ratio: ours / medianOf(ofMode?.get(peer), cpuOf) }))
    .reduce((worst, one) => (one.ratio > worst.ratio || Number.isNaN(worst.ratio) ? one : worst), {
      peer: "",
      ratio: Number.NaN
    })
}

const aimsOf = (results: ModesResults, starts: StartResults): ReadonlyArray<Aim> => [
  {
    title: "256 in flight, 1 KiB: messages/s, of the bare program's",
    sought: "at least 0.5",
    reached: ratio(results, "1KiB", "bare", rateOf),
    bound: 0.5,
    better: "more",
    unit: ""
  },
  {
    title: "256 in flight, 1 KiB: messages/s, of the Java client's",
    sought: "at least 4",
    reached: ratio(results, "1KiB", "java", rateOf),
    bound: 4,
    better: "more",
    unit: " times"
  },
  {
    title: "256 in flight, 1 KiB: messages/s, of ali-ons'",
    sought: "at least 4",
    reached: ratio(results, "1KiB", "ali-ons", rateOf),
    bound: 4,
    better: "more",
    unit: " times"
  },
  {
    title: "batches of 32: messages/s, of the Go client's",
    sought: "at least 2",
    reached: ratio(results, "batch", "go", rateOf),
    bound: 2,
    better: "more",
    unit: " times"
  },
  {
    title: `${modes.consume.title}: client CPU for a message, of the bare program's`,
    sought: `at most ${MOST_CONSUMER_CPU}`,
    reached: ratio(results, "consume", "bare", cpuOf),
    bound: MOST_CONSUMER_CPU,
    better: "less",
    unit: " times"
  },
  ...[...results]
    .filter(([name]) => name !== "consume")
    .map(([name, ofMode]): Aim => {
      const { peer, ratio: reached } = cpuRival(ofMode)
      return {
        title: `${modes[name].title}: client CPU for a message, of the best peer's`,
        sought: "below 1",
        reached,
        bound: 1,
        better: "less",
        unit: " times",
        note: peer
      }
    }),
  {
    title: "one in flight: median latency, of the bare program's",
    sought: "at most 1.3",
    reached: ratio(results, "one", "bare", p50Of),
    bound: 1.3,
    better: "less",
    unit: " times"
  },
  {
    title: "importing us, beyond what we import",
    sought: "at most 50 ms",
    reached: addedByImport(starts),
    bound: 50,
    better: "less",
    unit: " ms"
  },
  {
    title: "round trips from connecting to the first acknowledgement",
    sought: "at most 3",
    reached: roundTripsOf(starts),
    bound: 3,
    better: "less",
    unit: ""
  }
]

const verdict = ({ better, bound, reached }: Aim): string => {
  if (!Number.isFinite(reached)) return "not measured"
  const isReached = better === "more" ? reached >= bound : reached <= bound
  if (isReached) return "reached"
  const by = better === "more" ? 1 - reached / bound : reached / bound - 1
  return `missed by ${cell(by * 100, 0)} %`
}

/** The table of the aims. */
export const aimsText = (results: ModesResults, starts: StartResults): string =>
  table(
    ["", "aim", "measured", ""],
    aimsOf(results, starts).map((aim) => [
      aim.title,
      aim.sought,
      Number.isFinite(aim.reached)
        ? `${cell(aim.reached, aim.unit === " ms" ? 0 : 2)}${aim.unit}${aim.note === undefined ? "" : ` (${aim.note})`}`
        : "",
      verdict(aim)
    ])
  )
