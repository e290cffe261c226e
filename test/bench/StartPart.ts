import { Schema } from "effect"
import * as Path from "node:path"
import type { BuiltPackage } from "./BuiltPackage.ts"
import { modes, taskOf } from "./Modes.ts"
import type { Absent, Peer } from "./Peers.ts"
import { CLIENT_CORE, onCore, run } from "./Processes.ts"
import { resultLine } from "./Sample.ts"
import type { Sink } from "./SinkProcess.ts"
import { cell, median, spread, table } from "./Table.ts"
import type { Task } from "./Task.ts"

/** The part of the page on how long it takes until the first message is acknowledged. */

const readStart = Schema.decodeUnknownSync(
  Schema.fromJsonString(Schema.Struct({ startMillis: Schema.Number, startToFirstAckMillis: Schema.Number }))
)
const readImport = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Struct({ importMillis: Schema.Number })))

interface Started {
  /** From starting the process to its line about the first acknowledgement. */
  readonly processMillis: number
  readonly startMillis: number
  readonly startToFirstAckMillis: number
}

interface PeerStarts {
  readonly peer: Peer
  readonly starts: Array<Started>
  readonly roundTrips: Array<number>
  readonly crashes: Array<string>
}

export interface StartResults {
  readonly peers: ReadonlyArray<PeerStarts>
  readonly importing: { readonly ours: Array<number>; readonly others: Array<number> }
  readonly built: BuiltPackage
}

const LIMIT_SECONDS = 60
/** Longer than any client thinks between two requests, so that a request that waits for an answer is told from one that does not. */
const ANSWER_DELAY_MILLIS = 250
const TRIP_ROUNDS = 3

const startOf = async (peer: Peer, task: Task): Promise<Started> => {
  const begin = performance.now()
  let processMillis = 0
  const text = await run(onCore(CLIENT_CORE, peer.startCommand(task)), {
    limitSeconds: LIMIT_SECONDS,
    env: peer.env,
    onOutput: (output) => {
      if (processMillis === 0 && output.includes("startMillis")) processMillis = performance.now() - begin
    }
  })
  return { processMillis, ...readStart(resultLine(text)) }
}

const importOf = async (module: string): Promise<number> => {
  const script = Path.join(import.meta.dirname, "start", "import.mjs")
  const text = await run(onCore(CLIENT_CORE, [process.execPath, script, module]), { limitSeconds: LIMIT_SECONDS })
  return readImport(resultLine(text)).importMillis
}

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

/** Measures starts: a process each, interleaved. */
export const measureStarts = async (
  peers: ReadonlyArray<Peer>,
  rounds: number,
  built: BuiltPackage,
  sink: Sink,
  say: (line: string) => void
): Promise<StartResults> => {
  const task = { ...taskOf(modes["1KiB"], { rounds, seconds: 0, warmUp: 0 }, sink.address, 0), seconds: 0 }
  const all = peers.map((peer): PeerStarts => ({ peer, starts: [], roundTrips: [], crashes: [] }))
  const importing: StartResults["importing"] = { ours: [], others: [] }
  await sink.take()
  // Once unmeasured: what lies on the disk is in memory then, for everybody.
  for (let round = 0; round <= rounds; round++) {
    for (const { crashes, peer, starts } of all) {
      try {
        const started = await startOf(peer, task)
        if (round > 0) starts.push(started)
      } catch (error) {
        crashes.push(reasonOf(error))
        say(`start of ${peer.name} failed: ${reasonOf(error)}`)
      }
    }
    const ours = await importOf(built.entry)
    const others = await importOf(built.others)
    if (round > 0) {
      importing.ours.push(ours)
      importing.others.push(others)
    }
    say(`round ${round}/${rounds}  starts`)
  }
  for (let round = 0; round < TRIP_ROUNDS; round++) {
    for (const { crashes, peer, roundTrips } of all) {
      await sink.take({ delayMillis: ANSWER_DELAY_MILLIS })
      try {
        await startOf(peer, task)
        const { firstSendDepth } = await sink.take()
        if (firstSendDepth !== undefined) roundTrips.push(firstSendDepth)
      } catch (error) {
        crashes.push(reasonOf(error))
      }
    }
  }
  await sink.take()
  return { peers: all, importing, built }
}

/** Round trips of this package to its first acknowledgement. */
export const roundTripsOf = (results: StartResults): number =>
  median(results.peers.find(({ peer }) => peer.name === "ours")?.roundTrips ?? [])

/** Milliseconds that importing this package takes beyond importing what it imports: pairs of one round. */
export const addedByImport = ({ importing }: StartResults): number =>
  median(importing.ours.map((ours, index) => ours - (importing.others[index] ?? Number.NaN)))

/** The tables of the starts. */
export const startText = (results: StartResults, absent: ReadonlyArray<Absent>): string => {
  const { built, importing } = results
  const rows = results.peers.map(({ crashes, peer, roundTrips, starts }) => {
    if (starts.length === 0) return [peer.title, `failed: ${crashes[0] ?? ""}`]
    const process = starts.map(({ processMillis }) => processMillis)
    return [
      peer.title,
      cell(median(process), 0),
      spread(process),
      cell(median(starts.map(({ startMillis }) => startMillis)), 1),
      cell(median(starts.map(({ startToFirstAckMillis }) => startToFirstAckMillis)), 1),
      cell(median(roundTrips), 0)
    ]
  })
  const named = built.othersNames.filter((name) => !name.startsWith("node:")).map((name) => `\`${name}\``)
  return [
    table(
      ["", "process start to first ack, ms", "spread", "start() alone, ms", "start() to first ack, ms", "round trips"],
      [...rows, ...absent.map(({ title }) => [title, "absent"])]
    ),
    "",
    table(
      ["import of", "ms", "spread"],
      [
        ["effect-rocketmq", cell(median(importing.ours), 0), spread(importing.ours)],
        [
          `what it imports: ${named.join(", ")} and Node's own`,
          cell(median(importing.others), 0),
          spread(importing.others)
        ],
        ["added by effect-rocketmq (median of the rounds' differences)", cell(addedByImport(results), 0)]
      ]
    )
  ].join("\n")
}
