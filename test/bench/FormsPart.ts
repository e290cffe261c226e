import { type Extent, type Mode, modes, taskOf } from "./Modes.ts"
import type { Peer } from "./Peers.ts"
import { cpuOf, interleaved, medianOf, rateOf, sampleOf, type Samples } from "./Sample.ts"
import type { Sink } from "./SinkProcess.ts"
import { cell, least, spread, table } from "./Table.ts"
import type { Task } from "./Task.ts"

/** The part of the page on the forms in which users send: client CPU for a message, against the bare program of the run. */

type FormName = NonNullable<Task["form"]>

interface Form {
  /** As a user writes it, in Markdown. */
  readonly title: string
  /** The CPU of a message that is aimed at, as a multiple of the bare program's. */
  readonly aim: number
}

const mode: Mode = modes["1KiB"]

/** The forms and what each is to cost at most. */
export const forms: Readonly<Record<FormName, Form>> = {
  loop: { title: "256 fibers, each a loop of `yield* producer.send`", aim: 1.8 },
  forEach: { title: "`Effect.forEach(messages, producer.send, { concurrency: 256 })`", aim: 2.2 },
  sendAll: { title: "`producer.sendAll(stream, { concurrency: 256 })`", aim: 1.8 },
  sink: { title: "`Stream.run(producer.sink)`", aim: 1.8 },
  promise: { title: "`effect-rocketmq/promise`, 256 loops of `await producer.send`", aim: 1.9 }
}

const formNames: ReadonlyArray<FormName> = ["loop", "forEach", "sendAll", "sink", "promise"]

export type FormResults = ReadonlyMap<FormName | "bare", Samples>

/** Measures the forms and the bare program, interleaved. */
export const measureForms = async (
  peers: ReadonlyArray<Peer>,
  extent: Extent,
  sink: Sink,
  say: (line: string) => void
): Promise<FormResults> => {
  say("== forms of sending")
  const task = taskOf(mode, extent, sink.address, 2 * extent.seconds)
  return interleaved<FormName | "bare">(
    ["bare", ...formNames],
    extent.rounds,
    async (name) => {
      const peer = peers.find((one) => one.name === (name === "bare" ? "bare" : "ours"))
      if (peer === undefined) throw new Error("it is not there")
      return sampleOf(peer, name === "bare" ? task : { ...task, form: name }, sink)
    },
    say
  )
}

const costs = (samples: Samples | undefined) => (samples?.good ?? []).map(cpuOf)

/** The table of the forms; what else a machine does only adds to CPU times, so the least of the rounds are compared. */
export const formsText = (results: FormResults): string => {
  const bare = results.get("bare")
  const row = (title: string, samples: Samples | undefined, aim: number | undefined) => [
    title,
    cell(least(costs(samples)) / least(costs(bare)), 2),
    aim === undefined ? "" : cell(aim, 1),
    cell(least(costs(samples)), 3),
    spread(costs(samples), 3),
    cell(medianOf(samples, rateOf), 0),
    cell(
      medianOf(samples, ({ sinkBusy }) => sinkBusy),
      2
    ),
    `${(samples?.good ?? []).reduce((sum, { failed }) => sum + failed, 0)}${samples !== undefined && samples.crashes.length > 0 ? `, ${samples.crashes.length} rounds crashed` : ""}`
  ]
  return table(
    ["", "times bare", "aim", "CPU s / 100,000, least", "spread", "messages/s", "sink busy", "failed"],
    [
      row("bare node:net, ready-made frames", bare, undefined),
      ...formNames.map((name) => row(forms[name].title, results.get(name), forms[name].aim))
    ]
  )
}
