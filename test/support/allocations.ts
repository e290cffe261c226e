/** Random consumer groups by a seed, and how their queues are shared out: what is compared with Java's strategies. */
import { createHash } from "node:crypto"
import * as AllocateStrategy from "../../src/consumer/rebalance/AllocateStrategy.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"

/** A group of which one member asks for its share; names are `room@name`. */
export interface Group {
  readonly topic: string
  /** Broker names and queue ids. */
  readonly queues: ReadonlyArray<readonly [string, number]>
  readonly cids: ReadonlyArray<string>
  /** The member that asks. */
  readonly cid: string
}

/** By strategy, the queues of the member that asks, as `topic@broker@id`, in their order. */
export type Shares = Readonly<Record<string, ReadonlyArray<string>>>

/** The machine rooms of MACHINE_ROOM. */
export const idcs = ["room-a", "room-b"]

const rooms = ["room-a", "room-b", "room-c"]
const roomOf = (name: string) => name.split("@")[0]

/** Whole numbers below a bound, always the same ones for a seed (mulberry32). */
const drawing = (seed: number) => {
  let state = seed >>> 0
  return (below: number): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

const times = (size: number) => Array.from({ length: size }, (_, index) => index)

/** So many groups of one to nine members and of one to three brokers with one to eight queues each. */
export const groups = (seed: number, count: number): ReadonlyArray<Group> => {
  const below = drawing(seed)
  return times(count).map((n) => {
    const cids = times(1 + below(9)).map((k) => `${rooms[below(3)]}@10.0.0.${below(250)}-${k}`)
    const queues = times(1 + below(3))
      .map((b) => `${rooms[below(3)]}@broker-${b}`)
      .flatMap((brokerName) => times(1 + below(8)).map((id) => [brokerName, id] as const))
    return { topic: `topic-${n}`, queues, cids, cid: cids[below(cids.length)] ?? "" }
  })
}

const strategies = [
  AllocateStrategy.averagely,
  AllocateStrategy.averagelyByCircle,
  AllocateStrategy.consistentHash(),
  AllocateStrategy.byMachineRoom(idcs),
  AllocateStrategy.machineRoomNearby(AllocateStrategy.averagely, {
    brokerDeployIn: ({ brokerName }) => roomOf(brokerName),
    consumerDeployIn: roomOf
  })
]

/** What ours come to. */
export const sharesOf = ({ cid, cids, queues, topic }: Group): Shares => {
  const context = {
    consumerGroup: "g",
    currentCID: cid,
    mqAll: queues.map(([broker, id]) => MessageQueue.make(topic, broker, id)).toSorted(MessageQueue.compare),
    cidAll: cids.toSorted()
  }
  return Object.fromEntries(
    strategies.map((strategy) => [strategy.name, strategy.allocate(context).map(MessageQueue.key)])
  )
}

/** By strategy, one text for the shares of all groups. */
export const digestsOf = (all: ReadonlyArray<Shares>): Readonly<Record<string, string>> =>
  Object.fromEntries(
    strategies.map(({ name }) => [
      name,
      createHash("sha256")
        .update(all.map((shares) => (shares[name] ?? []).join(" ")).join("\n"))
        .digest("hex")
    ])
  )

/** What Java's strategies come to, those of 4.9.7 and of 5.5.0 alike. */
export const golden = {
  seed: 16,
  count: 10_000,
  digests: {
    AVG: "1971c4460a95bda7cb1876303c39f035cf8578f8ec18e06109aca5a765e68ce3",
    AVG_BY_CIRCLE: "3ba6d29a8fb39a6becc90998efe6c3efef7e622237c49c58098795e939b6e906",
    CONSISTENT_HASH: "4404a4046cd7500e9327616a9c4abb1bda381dae76128f99ee037bcd1a4a7353",
    MACHINE_ROOM: "b0e3abc5c61d6b7b2c42962b50eca71dbec116a701cf0f235f003e2183c73bef",
    "MACHINE_ROOM_NEARBY-AVG": "4b51f6052188f97159f5e29f49521a659f6b6ee37c8b76aca6d58f9f99be2de6"
  }
}
