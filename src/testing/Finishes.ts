import { Clock, Effect, Exit } from "effect"
import type { MessageExt } from "../message/MessageExt.ts"
import * as MessageQueue from "../message/MessageQueue.ts"
import { DLQ_GROUP_TOPIC_PREFIX, MASTER_ID, RETRY_GROUP_TOPIC_PREFIX } from "../message/MixAll.ts"
import * as MessageProperties from "../protocol/MessageProperties.ts"
import * as PullMessage from "../protocol/request/PullMessage.ts"
import { RequestCode } from "../protocol/RequestCode.ts"
import { ResponseCode } from "../protocol/ResponseCode.ts"
import { EmbeddedCluster } from "../embedded/EmbeddedCluster.ts"
import type { RecordedRequest } from "../embedded/server/Traffic.ts"
import * as StoredMessage from "../embedded/store/StoredMessage.ts"
import type { Violation } from "./Ledger.ts"

/** A message as a handler gets it, as far as the ledger looks at it. */
export interface Consumed {
  /** The topic that it was sent to. */
  readonly topic: string
  /** Its id. */
  readonly msgId: string
  /** The queue that it was read from: of the group's retry topic when it comes again. */
  readonly queue: MessageQueue.MessageQueue
  /** Its place in that queue. */
  readonly queueOffset: number
}

/** What a handler may say of one message, as far as the ledger looks at it: anything but `Success` is no finish. */
export type ConsumedResult = {
  /** How it ended. */
  readonly _tag: string
} | void

/** What a handler may say of several messages, as far as the ledger looks at it. */
export type ConsumedBatchResult =
  /** The same for all. */
  | { readonly _tag: "All"; readonly result: { readonly _tag: string } }
  /** One result for each; those beyond the list are not finished. */
  | { readonly _tag: "Each"; readonly results: ReadonlyArray<{ readonly _tag: string }> }
  /** Finished up to an index. */
  | { readonly _tag: "AckIndex"; readonly index: number }
  | void

/** Whose handler is watched. */
export interface WatchedGroup {
  /** The consumer group. It must begin at the first message of its queues. */
  readonly group: string
  /** The topics that it subscribes to, all of their messages. */
  readonly topics: ReadonlyArray<string>
  /** Whether the member that the handler belongs to still lives: what ends in one that does not is no finish. Default: it does. */
  readonly alive?: (() => boolean) | undefined
}

/** What became of the deliveries of a ledger. */
export interface FinishCounts {
  /** Handlers' calls, a batch counting as each of its messages. */
  readonly delivered: number
  /** Places of queues whose message a handler has finished. */
  readonly finished: number
  /** Places that were finished more than once. */
  readonly twice: number
  /** Messages that were given back, and that the broker took back. */
  readonly givenBack: number
  /** Messages with the dead letters. */
  readonly deadLetters: number
}

/**
 * What handlers of consumer groups have finished, and when; to be held against what the brokers have, and against every
 * position that was committed. It goes by the cluster's recorded traffic, which must not have been cut off.
 */
export interface Finishes {
  /** The handler, with a ledger that sees what it finishes. */
  readonly watch: <M extends Consumed, A extends ConsumedResult, E, R>(
    group: WatchedGroup,
    handler: (message: M) => Effect.Effect<A, E, R>
  ) => (message: M) => Effect.Effect<A, E, R>
  /** The same for a handler of several messages. */
  readonly watchBatch: <M extends ReadonlyArray<Consumed>, A extends ConsumedBatchResult, E, R>(
    group: WatchedGroup,
    handler: (messages: M) => Effect.Effect<A, E, R>
  ) => (messages: M) => Effect.Effect<A, E, R>
  /**
   * The places that no handler has finished and that were not given back, by group; empty when nothing is left to do
   * but what waits on a broker for its time.
   */
  readonly unfinished: Effect.Effect<ReadonlyArray<string>, never, EmbeddedCluster>
  /** The places that were finished more than once so far. */
  readonly twice: Effect.Effect<ReadonlyArray<FinishedTwice>>
  /**
   * Holds everything against what the cluster has; to be asked when no consumer runs any more.
   *
   * - `position`: a committed position (in a request of its own or on a pull) is never above the smallest offset that is
   *   not finished, and never falls on a connection, but after the offset was read anew or did not exist
   * - `exhaustion`: every stored message is finished, given back or a dead letter, and the group's last position is the end
   * - `record`: the cluster's record goes back to its start
   */
  readonly audit: Effect.Effect<
    { readonly violations: ReadonlyArray<Violation>; readonly counts: FinishCounts },
    never,
    EmbeddedCluster
  >
}

/** When the place of a queue was finished, in milliseconds since the epoch: first, and each time after that. */
type Places = Map<number, { readonly at: number; readonly again: Array<number> }>

/** A place of a queue whose message was finished more than once. */
export interface FinishedTwice {
  /** The consumer group. */
  readonly group: string
  /** The queue: `topic@broker@id`. */
  readonly queue: string
  /** The place. */
  readonly queueOffset: number
  /** When it was first finished, in milliseconds since the epoch. */
  readonly at: number
  /** When it was finished after that. */
  readonly again: ReadonlyArray<number>
}

const isSuccess = (result: ConsumedResult): boolean => result === undefined || result._tag === "Success"

const finishedOf = (outcome: ConsumedBatchResult, index: number): boolean => {
  if (outcome === undefined) return true
  switch (outcome._tag) {
    case "All":
      return isSuccess(outcome.result)
    case "Each": {
      const result = outcome.results[index]
      return result !== undefined && isSuccess(result)
    }
    default:
      return index <= outcome.index
  }
}

/** A position that a member told a broker. */
interface Commit {
  readonly request: RecordedRequest
  readonly offset: number
}

/** The queue that a request is about. */
const queueOf = ({ extFields, server }: RecordedRequest): string =>
  MessageQueue.key(MessageQueue.make(extFields?.["topic"] ?? "", server, Number(extFields?.["queueId"])))

const PULLS: ReadonlySet<number> = new Set([RequestCode.PULL_MESSAGE, RequestCode.LITE_PULL_MESSAGE])

/** The position that a request commits, if it does. */
const commitOf = (request: RecordedRequest): Commit | undefined => {
  const { code, extFields = {} } = request
  const commits =
    code === RequestCode.UPDATE_CONSUMER_OFFSET ||
    (PULLS.has(code) && (Number(extFields["sysFlag"]) & PullMessage.PullSysFlag.COMMIT_OFFSET) !== 0)
  return commits ? { request, offset: Number(extFields["commitOffset"]) } : undefined
}

/** Whether a request begins a generation: where to read is asked anew, or the broker said so. */
const begins = ({ answer, code }: RecordedRequest): boolean =>
  code === RequestCode.QUERY_CONSUMER_OFFSET || (PULLS.has(code) && answer?.code === ResponseCode.PULL_OFFSET_MOVED)

/**
 * Whether a broker took the position of a request: that of a pull before it holds it, so also of one that got no answer, or
 * was refused after it was held because its member had gone.
 */
const isTaken = ({ answer, code, faults, time }: RecordedRequest): boolean => {
  if (code === RequestCode.UPDATE_CONSUMER_OFFSET) return answer?.code === ResponseCode.SUCCESS
  if (answer === undefined) return faults.length === 0
  return PullMessage.statusOf(answer.code) !== undefined || answer.time > time
}

const SENDS: ReadonlySet<number> = new Set([RequestCode.SEND_MESSAGE, RequestCode.SEND_MESSAGE_V2])

/** The fields of a send, by their names in either version. */
const sendFields = ({ extFields = {} }: RecordedRequest) => ({
  topic: extFields["b"] ?? extFields["topic"],
  properties: MessageProperties.decode(extFields["i"] ?? extFields["properties"] ?? ""),
  reconsumeTimes: Number(extFields["j"] ?? extFields["reconsumeTimes"] ?? 0)
})

const earliest = (times: Map<string, number>, key: string, time: number): void => {
  const known = times.get(key)
  if (known === undefined || time < known) times.set(key, time)
}

/** What lies in the queues of a topic, by queue. */
const stored = (cluster: EmbeddedCluster["Service"], topic: string): ReadonlyMap<string, ReadonlyArray<MessageExt>> => {
  const queues = new Map<string, Array<MessageExt>>()
  for (const broker of cluster.brokers.filter(({ id }) => id === MASTER_ID)) {
    for (const message of broker.store.entries(topic).flatMap(StoredMessage.decode)) {
      const key = MessageQueue.key(MessageQueue.make(topic, broker.name, message.queueId))
      const known = queues.get(key)
      if (known === undefined) queues.set(key, [message])
      else known.push(message)
    }
  }
  for (const messages of queues.values()) messages.sort((a, b) => a.queueOffset - b.queueOffset)
  return queues
}

/** When messages were given back, as the brokers' answers say: by send-back, and by a copy sent to the retry topic. */
const givenBack = (traffic: ReadonlyArray<RecordedRequest>) => {
  const bySendBack = new Map<string, number>()
  const byCopy = new Map<string, number>()
  for (const request of traffic) {
    const { answer, code, extFields = {}, server } = request
    if (answer?.code !== ResponseCode.SUCCESS) continue
    if (code === RequestCode.CONSUMER_SEND_MSG_BACK) {
      earliest(bySendBack, `${extFields["group"]}/${server}/${extFields["offset"]}`, answer.time)
    } else if (SENDS.has(code)) {
      const { properties, reconsumeTimes, topic = "" } = sendFields(request)
      if (!topic.startsWith(RETRY_GROUP_TOPIC_PREFIX)) continue
      const group = topic.slice(RETRY_GROUP_TOPIC_PREFIX.length)
      // Whatever it was sent as: it counts one redelivery more, or so many that it is a dead letter.
      for (let times = 0; times < reconsumeTimes; times++) {
        earliest(byCopy, `${group}/${properties["UNIQ_KEY"]}/${times}`, answer.time)
      }
    }
  }
  const at = (group: string, broker: string, message: MessageExt): number =>
    Math.min(
      bySendBack.get(`${group}/${broker}/${message.commitLogOffset}`) ?? Infinity,
      byCopy.get(`${group}/${message.msgId}/${message.reconsumeTimes}`) ?? Infinity
    )
  return { at, count: bySendBack.size + byCopy.size }
}

const brokerOf = (queue: string): string => queue.split("@")[1] ?? ""

/** An empty ledger. */
export const make = (): Finishes => {
  /** By group, the topics that its members subscribe to. */
  const groups = new Map<string, Set<string>>()
  /** By group and queue. */
  const places = new Map<string, Places>()
  let delivered = 0

  const know = ({ group, topics }: WatchedGroup) => {
    const known = groups.get(group) ?? new Set()
    groups.set(group, known)
    for (const topic of topics) known.add(topic)
  }

  const finish = ({ alive, group }: WatchedGroup, { queue, queueOffset }: Consumed, at: number) => {
    if (alive?.() === false) return
    const key = `${group}/${MessageQueue.key(queue)}`
    const ofQueue: Places = places.get(key) ?? new Map()
    places.set(key, ofQueue)
    const known = ofQueue.get(queueOffset)
    if (known === undefined) ofQueue.set(queueOffset, { at, again: [] })
    else known.again.push(at)
  }

  /** Of each queue of each group, when every place of it was finished; infinite where it was not. */
  const look = (cluster: EmbeddedCluster["Service"], traffic: ReadonlyArray<RecordedRequest>) => {
    const back = givenBack(traffic)
    const queues: Array<{ group: string; queue: string; messages: ReadonlyArray<MessageExt>; times: Array<number> }> =
      []
    for (const [group, topics] of groups) {
      for (const topic of [...topics, RETRY_GROUP_TOPIC_PREFIX + group]) {
        for (const [queue, messages] of stored(cluster, topic)) {
          const ofQueue = places.get(`${group}/${queue}`)
          const times = messages.map((message) =>
            Math.min(ofQueue?.get(message.queueOffset)?.at ?? Infinity, back.at(group, brokerOf(queue), message))
          )
          queues.push({ group, queue, messages, times })
        }
      }
    }
    return { back, queues }
  }

  const unfinishedOf = ({ queues }: ReturnType<typeof look>): ReadonlyArray<string> =>
    queues.flatMap(({ group, messages, queue, times }) =>
      messages.flatMap(({ queueOffset }, index) =>
        times[index] === Infinity ? [`${queueOffset} of queue ${queue} is not finished in group ${group}`] : []
      )
    )

  const unfinished: Finishes["unfinished"] = Effect.gen(function* () {
    const cluster = yield* EmbeddedCluster
    return unfinishedOf(look(cluster, yield* cluster.traffic.all))
  })

  const audit: Finishes["audit"] = Effect.gen(function* () {
    const cluster = yield* EmbeddedCluster
    const traffic = yield* cluster.traffic.all
    const violations: Array<Violation> = []
    const dropped = yield* cluster.traffic.dropped
    if (dropped > 0) {
      const detail = `${dropped} requests are no longer recorded, so that nothing can be said of them; raise recordTraffic`
      violations.push({ check: "record", detail })
    }
    const looked = look(cluster, traffic)
    for (const detail of unfinishedOf(looked)) violations.push({ check: "exhaustion", detail })

    /** By group and queue, up to when everything before an offset was finished: of offset n at index n. */
    const before = new Map<string, ReadonlyArray<number>>()
    for (const { group, queue, times } of looked.queues) {
      let latest = 0
      before.set(`${group}/${queue}`, [0, ...times.map((time) => (latest = Math.max(latest, time)))])
    }
    /** By connection, group and queue. */
    const last = new Map<string, Commit>()
    /** By group and queue, the last position that a broker took. */
    const final = new Map<string, number>()
    for (const request of traffic) {
      const group = request.extFields?.["consumerGroup"] ?? ""
      if (!groups.has(group)) continue
      const queue = queueOf(request)
      const key = `${group}/${queue}`
      const connection = `${request.remoteAddress} ${key}`
      const commit = commitOf(request)
      if (commit !== undefined) {
        const { offset } = commit
        const finishedAt = before.get(key)?.[offset] ?? (offset === 0 ? 0 : undefined)
        if (finishedAt === undefined || finishedAt > request.time) {
          violations.push({
            check: "position",
            detail: `${request.codeName} of group ${group} committed ${offset} of queue ${queue} at ${request.time}, before all below it was finished`
          })
        }
        const earlier = last.get(connection)
        if (earlier !== undefined && offset < earlier.offset) {
          violations.push({
            check: "position",
            detail: `the position of group ${group} in queue ${queue} fell from ${earlier.offset} to ${offset} at ${request.time}, in one generation`
          })
        }
        last.set(connection, commit)
        if (isTaken(request)) final.set(key, offset)
      }
      if (begins(request)) last.delete(connection)
    }
    for (const { group, messages, queue } of looked.queues) {
      const end = (messages.at(-1)?.queueOffset ?? -1) + 1
      const position = final.get(`${group}/${queue}`)
      if (position !== end) {
        violations.push({
          check: "exhaustion",
          detail: `the last position of group ${group} in queue ${queue} is ${position}, its end ${end}`
        })
      }
    }
    const all = [...places.values()].flatMap((ofQueue) => [...ofQueue.values()])
    const counts: FinishCounts = {
      delivered,
      finished: all.length,
      twice: all.filter(({ again }) => again.length > 0).length,
      givenBack: looked.back.count,
      deadLetters: [...groups.keys()].reduce(
        (sum, group) =>
          sum +
          [...stored(cluster, DLQ_GROUP_TOPIC_PREFIX + group).values()].reduce((size, queue) => size + queue.length, 0),
        0
      )
    }
    return { violations, counts }
  })

  return {
    watch: (group, handler) => {
      know(group)
      return (message) =>
        Effect.suspend(() => {
          delivered++
          return Effect.onExit(handler(message), (exit) =>
            Effect.map(Clock.currentTimeMillis, (now) => {
              if (Exit.isSuccess(exit) && isSuccess(exit.value)) finish(group, message, now)
            })
          )
        })
    },
    watchBatch: (group, handler) => {
      know(group)
      return (messages) =>
        Effect.suspend(() => {
          delivered += messages.length
          return Effect.onExit(handler(messages), (exit) =>
            Effect.map(Clock.currentTimeMillis, (now) => {
              if (Exit.isFailure(exit)) return
              for (const [index, message] of messages.entries()) {
                if (finishedOf(exit.value, index)) finish(group, message, now)
              }
            })
          )
        })
    },
    unfinished,
    twice: Effect.sync(() =>
      [...places].flatMap(([key, ofQueue]) => {
        const end = key.indexOf("/")
        return [...ofQueue].flatMap(([queueOffset, { again, at }]) =>
          again.length === 0 ? [] : [{ group: key.slice(0, end), queue: key.slice(end + 1), queueOffset, at, again }]
        )
      })
    ),
    audit
  }
}
