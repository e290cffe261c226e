import type { Peer } from "./Peers.ts"
import { onCore, CLIENT_CORE, run } from "./Processes.ts"
import type { Sink } from "./SinkProcess.ts"
import { MEASURING, type Measurement, readMeasurement, type Task } from "./Task.ts"
import { median } from "./Table.ts"

/** One measurement of one contestant: a process of its own that ran its task, and what the sink saw of it. */
export interface Sample extends Measurement {
  /** Messages that the sink counted. */
  readonly arrived: number
  /** The part of its time that the sink was busy; near 1 it is the sink that is measured. */
  readonly sinkBusy: number
}

/** What came of all rounds of a contestant. */
export interface Samples {
  readonly good: ReadonlyArray<Sample>
  /** Why rounds brought nothing. */
  readonly crashes: ReadonlyArray<string>
}

/** The line of a program that is its result; clients print other things besides. */
export const resultLine = (text: string): string => text.split("\n").findLast((line) => line.startsWith("{")) ?? ""

/** Longest that one measurement may take. */
const LIMIT_SECONDS = 120

/** Runs a contestant against whatever answers at the address of its task. */
export const measurementOf = async (
  peer: Peer,
  task: Task,
  onMeasuring: () => void = () => {}
): Promise<Measurement> => {
  let told = false
  const text = await run(onCore(CLIENT_CORE, peer.command(task)), {
    limitSeconds: LIMIT_SECONDS,
    env: peer.env,
    onOutput: (output) => {
      if (told || !output.includes(MEASURING)) return
      told = true
      onMeasuring()
    }
  })
  return readMeasurement(resultLine(text))
}

/** Runs a contestant against the sink. */
export const sampleOf = async (peer: Peer, task: Task, sink: Sink): Promise<Sample> => {
  await sink.take()
  let before = sink.take()
  let begin = performance.now()
  const measurement = await measurementOf(peer, task, () => {
    begin = performance.now()
    before = sink.take()
  })
  const seconds = (performance.now() - begin) / 1000
  const counts = await sink.take()
  const arrived = (await before).messages + counts.messages
  if (arrived < measurement.total) throw new Error(`told of ${measurement.total} messages, of which ${arrived} arrived`)
  return { ...measurement, arrived, sinkBusy: counts.cpuSeconds / seconds }
}

/** Runs every contestant once in each round, one after the other. */
export const interleaved = async <Name extends string>(
  names: ReadonlyArray<Name>,
  rounds: number,
  sample: (name: Name) => Promise<Sample>,
  say: (line: string) => void
): Promise<ReadonlyMap<Name, Samples>> => {
  const results = new Map(names.map((name) => [name, { good: [] as Array<Sample>, crashes: [] as Array<string> }]))
  for (let round = 1; round <= rounds; round++) {
    for (const [name, { crashes, good }] of results) {
      try {
        const measured = await sample(name)
        good.push(measured)
        say(`round ${round}/${rounds}  ${name}: ${rateOf(measured).toFixed(0)} messages/s`)
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        crashes.push(reason)
        say(`round ${round}/${rounds}  ${name} failed: ${reason}`)
      }
    }
  }
  return results
}

/** Messages a second. */
export const rateOf = ({ messages, seconds }: Measurement): number => messages / seconds

/** CPU seconds of the client for 100,000 messages. */
export const cpuOf = ({ cpuSeconds, messages }: Measurement): number => (cpuSeconds / messages) * 100_000

/** Milliseconds from handing a request over to its acknowledgement; not a number where that was not measured. */
export const p50Of = ({ p50Millis }: Measurement): number => p50Millis ?? Number.NaN
export const p99Of = ({ p99Millis }: Measurement): number => p99Millis ?? Number.NaN

/** The median over the rounds. */
export const medianOf = (samples: Samples | undefined, of: (sample: Sample) => number): number =>
  median((samples?.good ?? []).map(of))
