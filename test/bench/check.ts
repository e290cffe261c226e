import { type ModeName, modes, taskOf } from "./Modes.ts"
import type { Peer } from "./Peers.ts"
import { cpuOf, interleaved, medianOf, rateOf, type Samples, sampleOf } from "./Sample.ts"
import type { Sink } from "./SinkProcess.ts"
import { cell, least, spread } from "./Table.ts"

/**
 * The check for CI: this package beside the bare program in the same run. What a machine can do cancels out. Whatever else
 * it is doing only adds to the CPU time of a message, so the least of the rounds is compared.
 */

/** What is checked: sends, with 256 messages of 1 KiB in flight, and a push consumer. */
export const checkedModes = ["1KiB", "consume"] as const satisfies ReadonlyArray<ModeName>
type CheckedMode = (typeof checkedModes)[number]

/** As {@link mostCpu}. */
export const MOST_CONSUMER_CPU = 3.5

/**
 * The most CPU time that a message may cost, as a multiple of what it costs the bare program. docs/performance.md has the
 * ratios themselves, and that of a client that writes each frame by itself.
 */
const mostCpu: Readonly<Record<CheckedMode, number>> = { "1KiB": 4, consume: MOST_CONSUMER_CPU }

/** The least part of the bare program's rate, median of the rounds: a client that waits uses no CPU. */
const LEAST_RATE = 0.1

const ROUNDS = 12
const SECONDS = 0.5

/** Who is compared: this package as it is, and as if it wrote each frame by itself. */
export type Checked = "ours" | "write-per-frame"

const titles: Readonly<Record<Checked, string>> = {
  ours: "effect-rocketmq",
  "write-per-frame": "effect-rocketmq, a write for each frame"
}

/** What the check found. */
export interface CheckResult {
  readonly passed: boolean
  readonly text: string
}

const costs = (samples: Samples | undefined) => (samples?.good ?? []).map(cpuOf)

const costText = (samples: Samples | undefined) =>
  `${cell(least(costs(samples)), 2)} CPU s for 100,000 messages (${spread(costs(samples), 2)})`

const judge = (mode: CheckedMode, name: Checked, ours: Samples | undefined, bare: Samples | undefined): CheckResult => {
  const cost = least(costs(ours)) / least(costs(bare))
  const rate = medianOf(ours, rateOf) / medianOf(bare, rateOf)
  const crashes = [...(ours?.crashes ?? []), ...(bare?.crashes ?? [])]
  const failed = (ours?.good ?? []).reduce((sum, sample) => sum + sample.failed, 0)
  const passed = crashes.length === 0 && failed === 0 && cost <= mostCpu[mode] && rate >= LEAST_RATE
  const lines = [
    `${titles[name]}: ${costText(ours)}, ${cell(cost, 2)} times the bare program's, of which ${mostCpu[mode]} are allowed; ${cell(rate, 2)} of its messages/s, of which ${LEAST_RATE} is asked for: ${passed ? "passed" : "failed"}.`,
    ...crashes.map((reason) => `A round failed: ${reason}.`),
    ...(failed > 0 ? [`${failed} sends failed.`] : [])
  ]
  return { passed, text: lines.join(" ") }
}

const checkMode = async (
  mode: CheckedMode,
  peers: ReadonlyArray<Peer>,
  checked: ReadonlyArray<Checked>,
  sink: Sink,
  say: (line: string) => void
): Promise<CheckResult> => {
  const extent = { rounds: ROUNDS, seconds: SECONDS, warmUp: 50_000 }
  const task = taskOf(modes[mode], extent, sink.address, 2 * SECONDS)
  say(`== ${modes[mode].title}`)
  const results = await interleaved<Checked | "bare">(
    ["bare", ...checked],
    ROUNDS,
    async (name) => {
      const peer = peers.find((one) => one.name === (name === "bare" ? "bare" : "ours"))
      if (peer === undefined) throw new Error("it is not there")
      return sampleOf(peer, { ...task, variant: name === "write-per-frame" ? name : "default" }, sink)
    },
    say
  )
  const bare = results.get("bare")
  const verdicts = checked.map((name) => judge(mode, name, results.get(name), bare))
  return {
    passed: verdicts.every(({ passed }) => passed),
    text: [`${modes[mode].title}. Bare program: ${costText(bare)}.`, ...verdicts.map(({ text }) => text)]
      .map((line) => `- ${line}`)
      .join("\n")
  }
}

/** Measures, and judges each that is named; what is written for each frame by itself are sends. */
export const check = async (
  names: ReadonlyArray<ModeName>,
  peers: ReadonlyArray<Peer>,
  checked: ReadonlyArray<Checked>,
  sink: Sink,
  say: (line: string) => void
): Promise<CheckResult> => {
  const results: Array<CheckResult> = []
  for (const mode of checkedModes) {
    const ofMode = checked.filter((name) => mode !== "consume" || name === "ours")
    if (names.includes(mode) && ofMode.length > 0) results.push(await checkMode(mode, peers, ofMode, sink, say))
  }
  return {
    passed: results.length > 0 && results.every(({ passed }) => passed),
    text: [`- Least of ${ROUNDS} rounds of ${SECONDS} s.`, ...results.map(({ text }) => text)].join("\n")
  }
}
