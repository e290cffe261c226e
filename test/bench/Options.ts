import { parseArgs } from "node:util"
import { isModeName, type ModeName, modes } from "./Modes.ts"
import { type PeerName, peerNames } from "./Peers.ts"

/** What `npm run bench` was asked for. */

/** What can be measured by itself. */
export const partNames = ["modes", "forms", "broker", "growth", "start", "check"] as const
export type PartName = (typeof partNames)[number]

export interface Options {
  readonly parts: ReadonlyArray<PartName>
  readonly modes: ReadonlyArray<ModeName>
  readonly peers: ReadonlyArray<PeerName>
  readonly rounds: number
  readonly seconds: number
  readonly warmUp: number
  readonly upkeepSeconds: number
  readonly write: boolean
  readonly check: boolean
  readonly writePerFrame: boolean
}

export const usage = `npm run bench -- [options]

  --parts ${partNames.join(",")}     what is measured; all by default
  --modes ${Object.keys(modes).join(",")}   in which modes; all by default
  --peers ${peerNames.join(",")}    which clients; all by default
  --rounds 5           rounds, interleaved
  --seconds 2          of each measurement
  --warm-up 200000     messages before it; only the Java client may take longer for them than the measurement
  --upkeep-seconds 60  of watching routes and heartbeats
  --write              puts the tables into docs/performance.md
  --check              only the check for CI: this package against the bare program, sends and consumer, or those of
                       them that --modes names (1KiB, consume); ends with 1 beyond a bound
  --write-per-frame    with --check: as a client that writes each frame by itself, to see that it fails`

const list = <Name extends string>(
  option: string,
  given: string | undefined,
  all: ReadonlyArray<Name>
): ReadonlyArray<Name> => {
  if (given === undefined) return all
  const names = given.split(",")
  const unknown = names.filter((name) => !all.some((known) => known === name))
  if (unknown.length > 0) throw new Error(`${option} does not know ${unknown.join(", ")}; it knows ${all.join(", ")}`)
  return all.filter((name) => names.includes(name))
}

const number = (option: string, given: string, least: number): number => {
  const value = Number(given)
  if (!Number.isFinite(value) || value < least) throw new Error(`${option} must be a number of at least ${least}`)
  return value
}

/** Reads the command line; fails with what is wrong with it. */
export const readOptions = (args: ReadonlyArray<string>): Options => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      parts: { type: "string" },
      modes: { type: "string" },
      peers: { type: "string" },
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "2" },
      "warm-up": { type: "string", default: "200000" },
      "upkeep-seconds": { type: "string", default: "60" },
      write: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
      "write-per-frame": { type: "boolean", default: false }
    }
  })
  return {
    parts: list("--parts", values.parts, partNames),
    modes: list("--modes", values.modes, Object.keys(modes).filter(isModeName)),
    peers: list("--peers", values.peers, peerNames),
    rounds: number("--rounds", values.rounds, 1),
    seconds: number("--seconds", values.seconds, 0.1),
    warmUp: number("--warm-up", values["warm-up"], 0),
    upkeepSeconds: number("--upkeep-seconds", values["upkeep-seconds"], 1),
    write: values.write,
    check: values.check,
    writePerFrame: values["write-per-frame"]
  }
}
