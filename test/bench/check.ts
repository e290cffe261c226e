import { modes, taskOf } from "./Modes.ts"
import type { Peer } from "./Peers.ts"
import { cpuOf, interleaved, medianOf, rateOf, type Samples, sampleOf } from "./Sample.ts"
import type { Sink } from "./SinkProcess.ts"
import { cell, spread } from "./Table.ts"
import type { Task } from "./Task.ts"

/**
 * The check for CI: this package beside the bare program in the same run. What a machine can do cancels out. Whatever else
 * it is doing only adds to the CPU time of a message, so the least of the rounds is compared.
 */

/**
 * The most CPU time that a message may cost, as a multiple of what it costs the bare program, with 256 messages of 1 KiB in
 * flight. docs/performance.md has the ratio itself, and that of a client that writes each frame by itself.
 */
const MOST_CPU = 4

/** The least part of the bare program's rate, median of the rounds: a client that waits uses no CPU. */
const LEAST_RATE = 0.1

const ROUNDS = 12
const SECONDS = 0.5

const cpu = (samples: Samples | undefined) => (samples?.good ?? []).map(cpuOf)

const least = (numbers: ReadonlyArray<number>) => (numbers.length === 0 ? Number.NaN : Math.min(...numbers))

/** Measures the ratio, and tells whether it is enough. */
export const check = async (
  peers: ReadonlyArray<Peer>,
  variant: Task["variant"],
  sink: Sink,
  say: (line: string) => void
): Promise<boolean> => {
  const extent = { rounds: ROUNDS, seconds: SECONDS, warmUp: 50_000 }
  const task = taskOf(modes["1KiB"], extent, sink.address, SECONDS)
  const results = await interleaved(
    peers.map(({ name }) => name),
    ROUNDS,
    async (name) => {
      const peer = peers.find((one) => one.name === name)
      if (peer === undefined) throw new Error(`${name} is not there`)
      return sampleOf(peer, name === "ours" ? { ...task, variant } : task, sink)
    },
    say
  )
  const [bare, ours] = [results.get("bare"), results.get("ours")]
  const cost = least(cpu(ours)) / least(cpu(bare))
  const rate = medianOf(ours, rateOf) / medianOf(bare, rateOf)
  const crashes = [...(ours?.crashes ?? []), ...(bare?.crashes ?? [])]
  const failed = (ours?.good ?? []).reduce((sum, sample) => sum + sample.failed, 0)
  process.stdout.write(
    [
      `CPU s for 100,000 messages: ${cell(least(cpu(ours)), 2)} (${spread(cpu(ours), 2)}); bare program: ${cell(least(cpu(bare)), 2)} (${spread(cpu(bare), 2)})`,
      `${cell(cost, 2)} times the bare program's CPU for a message, least of ${ROUNDS} rounds each; at most ${MOST_CPU} are allowed`,
      `${cell(rate, 3)} of its messages/s, medians; at least ${LEAST_RATE} is asked for`,
      ...crashes.map((reason) => `a round failed: ${reason}`),
      ...(failed > 0 ? [`${failed} sends failed`] : [])
    ].join("\n") + "\n"
  )
  return crashes.length === 0 && failed === 0 && cost <= MOST_CPU && rate >= LEAST_RATE
}
