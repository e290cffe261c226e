import { createHash } from "node:crypto"
import type { MessageQueue } from "../../message/MessageQueue.ts"

/** What a strategy decides by. Both lists are sorted, not empty, and the same for every member of the group. */
export interface AllocateContext {
  /** The consumer group. */
  readonly consumerGroup: string
  /** The client id of the member that asks: whose share is wanted. */
  readonly currentCID: string
  /** All queues of one topic that can be read, sorted by broker name and queue id. */
  readonly mqAll: ReadonlyArray<MessageQueue>
  /** The client ids of all members, sorted. */
  readonly cidAll: ReadonlyArray<string>
}

/**
 * Shares out the queues of a topic among the members of a group. Every member computes its own share alone, so a strategy
 * must give the same answer everywhere: it may look at nothing but its context. One's own may throw; the round then
 * changes nothing and the consumer says so.
 *
 * Source: RocketMQ `AllocateMessageQueueStrategy`.
 */
export interface AllocateStrategy {
  /** Java's name of it (`AVG`), shown in the state. */
  readonly name: string
  /** The queues of the member that asks; none when its id is not in the list. */
  readonly allocate: (context: AllocateContext) => ReadonlyArray<MessageQueue>
}

/** Neighbouring queues, as many for each as possible. The default, as in Java (`AllocateMessageQueueAveragely`). */
export const averagely: AllocateStrategy = {
  name: "AVG",
  allocate: ({ cidAll, currentCID, mqAll }) => {
    const index = cidAll.indexOf(currentCID)
    if (index < 0) return []
    const rest = mqAll.length % cidAll.length
    const whole = Math.floor(mqAll.length / cidAll.length)
    const size = mqAll.length <= cidAll.length ? 1 : index < rest ? whole + 1 : whole
    const start = index < rest ? index * size : index * size + rest
    return mqAll.slice(start, start + size)
  }
}

/** One queue to each in turn (`AllocateMessageQueueAveragelyByCircle`). */
export const averagelyByCircle: AllocateStrategy = {
  name: "AVG_BY_CIRCLE",
  allocate: ({ cidAll, currentCID, mqAll }) => {
    const index = cidAll.indexOf(currentCID)
    return index < 0 ? [] : mqAll.filter((_, at) => at % cidAll.length === index)
  }
}

/** The given queues, whoever else is in the group (`AllocateMessageQueueByConfig`). */
export const byConfig = (queues: ReadonlyArray<MessageQueue>): AllocateStrategy => ({
  name: "CONFIG",
  allocate: ({ mqAll }) => {
    const [{ topic } = { topic: undefined }] = mqAll
    return queues.filter((queue) => queue.topic === topic)
  }
})

/** The machine room of a broker named `room@name`; undefined for any other name, as Java's `split("@")` has it. */
const roomOf = ({ brokerName }: MessageQueue): string | undefined => {
  const parts = brokerName.split("@")
  return parts.length === 2 && parts[1] !== "" ? parts[0] : undefined
}

/**
 * Only queues of brokers in the given machine rooms, whose names are `room@name`, evenly over all members
 * (`AllocateMessageQueueByMachineRoom`).
 */
export const byMachineRoom = (consumeridcs: Iterable<string>): AllocateStrategy => {
  const rooms = new Set(consumeridcs)
  return {
    name: "MACHINE_ROOM",
    allocate: ({ cidAll, currentCID, mqAll }) => {
      const index = cidAll.indexOf(currentCID)
      if (index < 0) return []
      const inRooms = mqAll.filter((queue) => {
        const room = roomOf(queue)
        return room !== undefined && rooms.has(room)
      })
      const size = Math.floor(inRooms.length / cidAll.length)
      const own = inRooms.slice(size * index, size * (index + 1))
      const extra = inRooms.length % cidAll.length > index ? inRooms[index + size * cidAll.length] : undefined
      return extra === undefined ? own : [...own, extra]
    }
  }
}

/** Virtual nodes that each member has on the ring, as in Java. */
const VIRTUAL_NODES = 10

const md5Prefix = (text: string): number => createHash("md5").update(text, "utf8").digest().readUInt32BE(0)

/** The text of a queue that Java hashes. */
const textOf = ({ brokerName, queueId, topic }: MessageQueue): string =>
  `MessageQueue [topic=${topic}, brokerName=${brokerName}, queueId=${queueId}]`

/** The first node at or after a hash, from the start again behind the last. */
const nodeAt = (ring: ReadonlyArray<number>, hash: number): number | undefined => {
  let low = 0
  let high = ring.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ring[middle] ?? 0) < hash) low = middle + 1
    else high = middle
  }
  return ring[low] ?? ring[0]
}

/**
 * By consistent hashing: few queues move when a member comes or goes. `virtualNodes` for each member, 10 by default, must
 * be the same everywhere (`AllocateMessageQueueConsistentHash`).
 */
export const consistentHash = (virtualNodes: number = VIRTUAL_NODES): AllocateStrategy => ({
  name: "CONSISTENT_HASH",
  allocate: ({ cidAll, currentCID, mqAll }) => {
    if (!cidAll.includes(currentCID)) return []
    const owners = new Map<number, string>()
    for (const cid of cidAll) {
      // A later member takes a node that collides, as it does in Java's TreeMap.
      for (let node = 0; node < virtualNodes; node++) owners.set(md5Prefix(`${cid}-${node}`), cid)
    }
    const ring = [...owners.keys()].toSorted((a, b) => a - b)
    return mqAll.filter((queue) => {
      const node = nodeAt(ring, md5Prefix(textOf(queue)))
      return node !== undefined && owners.get(node) === currentCID
    })
  }
})

/** Says where brokers and members are; both must be known for every queue and member, or the strategy throws. */
export interface MachineRoomResolver {
  /** The machine room of a queue's broker. */
  readonly brokerDeployIn: (queue: MessageQueue) => string | undefined
  /** The machine room of a member. */
  readonly consumerDeployIn: (clientId: string) => string | undefined
}

const grouped = <A>(all: ReadonlyArray<A>, roomOfOne: (one: A) => string | undefined, what: (one: A) => string) => {
  const rooms = new Map<string, Array<A>>()
  for (const one of all) {
    const room = roomOfOne(one)
    if (room === undefined || room === "") throw new Error(`the machine room of ${what(one)} is not known`)
    const known = rooms.get(room)
    if (known === undefined) rooms.set(room, [one])
    else known.push(one)
  }
  return rooms
}

/**
 * The queues of the own machine room by another strategy among the members there; rooms in which nobody is are shared by
 * all (`AllocateMachineRoomNearby`).
 */
export const machineRoomNearby = (inner: AllocateStrategy, resolver: MachineRoomResolver): AllocateStrategy => ({
  name: `MACHINE_ROOM_NEARBY-${inner.name}`,
  allocate: (context) => {
    const { cidAll, currentCID, mqAll } = context
    if (!cidAll.includes(currentCID)) return []
    const queues = grouped(mqAll, resolver.brokerDeployIn, textOf)
    const members = grouped(cidAll, resolver.consumerDeployIn, (cid) => cid)
    const own = resolver.consumerDeployIn(currentCID) ?? ""
    const here = queues.get(own)
    const result =
      here === undefined ? [] : [...inner.allocate({ ...context, mqAll: here, cidAll: members.get(own) ?? [] })]
    for (const room of [...queues.keys()].toSorted()) {
      if (room === own || members.has(room)) continue
      for (const queue of inner.allocate({ ...context, mqAll: queues.get(room) ?? [] })) result.push(queue)
    }
    return result
  }
})
