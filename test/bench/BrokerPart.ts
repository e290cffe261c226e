import { Effect } from "effect"
import { request, routeBrokers } from "../rocketmq/RawRemoting.ts"
import { RocketMQ } from "../rocketmq/RocketMQServer.ts"
import { type Extent, type Mode, type ModeName, modes, taskOf } from "./Modes.ts"
import { warmUpSecondsOf } from "./ModesPart.ts"
import { type Absent, has, type Peer, type PeerName } from "./Peers.ts"
import { moveToServerCore } from "./Processes.ts"
import { measurementOf, p50Of, p99Of } from "./Sample.ts"
import { cell, median, spread, table } from "./Table.ts"
import type { Measurement } from "./Task.ts"

/** The part of the page against a real broker: what is counted is what the broker has stored. */

interface Stored extends Measurement {
  /** Messages that the broker has of the whole run. */
  readonly stored: number
}

interface BrokerSamples {
  readonly peer: Peer
  readonly good: Array<Stored>
  readonly crashes: Array<string>
}

export type BrokerResults = ReadonlyMap<ModeName, ReadonlyArray<BrokerSamples>>

/** The modes in which a real broker is asked. */
export const brokerModes: ReadonlyArray<ModeName> = ["1KiB", "oneway", "batch"]

const GET_MAX_OFFSET = 30
const UPDATE_AND_CREATE_TOPIC = 17
const QUEUES = 4

/** Makes a topic and waits until the name server knows it: not every client can send to a topic that nobody has. */
const createTopic = Effect.fnUntraced(function* (nameServer: string, broker: string, topic: string) {
  const extFields = {
    topic,
    defaultTopic: "TBW102",
    readQueueNums: String(QUEUES),
    writeQueueNums: String(QUEUES),
    perm: "6",
    topicFilterType: "SINGLE_TAG",
    topicSysFlag: "0",
    order: "false"
  }
  const answer = yield* request(broker, { code: UPDATE_AND_CREATE_TOPIC, extFields }, 30_000)
  if (answer?.code !== 0) yield* Effect.die(`the broker did not make the topic ${topic}: ${answer?.remark}`)
  while ((yield* routeBrokers(nameServer, topic)).length === 0) yield* Effect.sleep(50)
})

const countStored = Effect.fnUntraced(function* (address: string, topic: string) {
  const offsets = yield* Effect.forEach(Array.from({ length: QUEUES }), (_, queueId) =>
    request(address, { code: GET_MAX_OFFSET, extFields: { topic, queueId: String(queueId) } }, 10_000)
  )
  return offsets.reduce((sum, answer) => sum + Number(answer?.extFields["offset"] ?? 0), 0)
})

/** What a topic holds, once that is all, or once it has not changed for a while: queues are written after the log. */
const settledCount = Effect.fnUntraced(function* (address: string, topic: string, expected: number) {
  let before = -1
  for (;;) {
    const now = yield* countStored(address, topic)
    if (now >= expected || now === before) return now
    before = now
    yield* Effect.sleep(1_500)
  }
})

const measureMode = (
  name: ModeName,
  peers: ReadonlyArray<Peer>,
  extent: Extent,
  say: (line: string) => void
): Effect.Effect<ReadonlyArray<BrokerSamples>, unknown> =>
  Effect.gen(function* () {
    const { brokers, nameServers, namesrvAddr } = yield* RocketMQ
    for (const node of [...nameServers, ...brokers]) moveToServerCore((yield* node.pid) ?? 0)
    const [broker] = brokers
    if (broker === undefined) return []
    const mode: Mode = modes[name]
    const results = peers
      .filter((peer) => has(peer.name, mode.kind))
      .map((peer): BrokerSamples => ({ peer, good: [], crashes: [] }))
    for (let round = 1; round <= extent.rounds; round++) {
      for (const { crashes, good, peer } of results) {
        const topic = `bench-${name}-${peer.name}-${round}`
        const task = {
          ...taskOf(mode, extent, namesrvAddr, warmUpSecondsOf(peer.name, extent)),
          broker: { name: broker.name, address: broker.address },
          topic
        }
        yield* createTopic(namesrvAddr, broker.address, topic)
        yield* Effect.tryPromise(() => measurementOf(peer, task)).pipe(
          Effect.flatMap((measured) =>
            Effect.map(settledCount(broker.address, topic, measured.total), (stored) => ({ ...measured, stored }))
          ),
          Effect.match({
            onSuccess: (sample) => {
              good.push(sample)
              say(`broker ${round}/${extent.rounds}  ${peer.name}: ${rateOf(sample).toFixed(0)} messages/s`)
            },
            onFailure: ({ cause }) => {
              crashes.push(String(cause))
              say(`broker ${round}/${extent.rounds}  ${peer.name} failed: ${String(cause)}`)
            }
          })
        )
      }
    }
    return results
  }).pipe(Effect.provide(RocketMQ.layer({ version: "5.5.0" })))

/** Measures against a real broker, a new one for each mode. */
export const measureBroker = async (
  names: ReadonlyArray<ModeName>,
  peers: ReadonlyArray<Peer>,
  extent: Extent,
  say: (line: string) => void
): Promise<BrokerResults> => {
  const results = new Map<ModeName, ReadonlyArray<BrokerSamples>>()
  for (const name of names) {
    say(`== RocketMQ 5.5.0, ${modes[name].title}`)
    results.set(name, await Effect.runPromise(measureMode(name, peers, extent, say)))
  }
  return results
}

/** Messages that were stored, a second: what was sent one-way counts as far as it arrived. */
const rateOf = ({ messages, seconds, stored, total }: Stored) => (messages / seconds) * Math.min(1, stored / total)

const row = ({ crashes, good, peer }: BrokerSamples): ReadonlyArray<string> => {
  if (good.length === 0) return [peer.title, `failed: ${crashes[0] ?? ""}`]
  const sum = (of: (sample: Stored) => number) => good.reduce((all, sample) => all + of(sample), 0)
  const rates = good.map(rateOf)
  return [
    peer.title,
    cell(median(rates), 0),
    spread(rates),
    cell(median(good.map(({ cpuSeconds, messages }) => (cpuSeconds / messages) * 100_000)), 2),
    cell(median(good.map(p50Of)), 2),
    cell(median(good.map(p99Of)), 2),
    String(sum(({ total }) => total)),
    String(sum(({ stored }) => stored)),
    `${sum(({ failed }) => failed)}${crashes.length === 0 ? "" : `, ${crashes.length} rounds crashed`}`
  ]
}

/** The tables against a real broker. */
export const brokerText = (results: BrokerResults, peers: ReadonlyArray<Peer>, absent: ReadonlyArray<Absent>): string =>
  [...results]
    .map(([name, samples]) => {
      const measured = new Set<PeerName>(samples.map(({ peer }) => peer.name))
      const rows = [
        ...samples.map(row),
        ...peers.filter((peer) => !measured.has(peer.name)).map(({ title }) => [title, "it has none"]),
        ...absent.map(({ title }) => [title, "absent"])
      ]
      const head = ["", "stored/s", "spread", "CPU s / 100,000", "p50 ms", "p99 ms", "sent in all", "stored", "failed"]
      return [`### ${modes[name].title}, RocketMQ 5.5.0`, "", table(head, rows)].join("\n")
    })
    .join("\n\n")
