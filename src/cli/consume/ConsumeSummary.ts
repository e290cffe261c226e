import type { ReadMessage } from "../../admin/QueueReader.ts"
import * as MessageQueue from "../../message/MessageQueue.ts"
import { ExitCode, type Explained } from "../Failure.ts"
import { toJson } from "../MessageText.ts"
import { toRun } from "../Printed.ts"
import { count, duration, number, printable } from "../Text.ts"
import type { ConsumeInput } from "./ConsumeInput.ts"
import * as Stats from "./ConsumeStats.ts"

/** A message as `consume --json` prints it; the shape is frozen. */
export const messageJson = (read: ReadMessage) => {
  const { body, encoding, ...shown } = toJson(read)
  const { reconsumeTimes, storeTimestamp } = read.message
  return { ...shown, storeTimestamp, reconsumeTimes, body, encoding }
}

const round = (n: number) => Math.round(n * 1_000) / 1_000

/** The object that `consume --json` ends with, on standard error; the shape is frozen. */
export const summaryJson = (stats: Stats.ConsumeStats, owned: ReadonlyArray<MessageQueue.MessageQueue>) => ({
  consumed: stats.consumed,
  failed: stats.failed,
  queues: queuesOf(stats, owned),
  seconds: round(Stats.millisOf(stats) / 1_000),
  messagesPerSecond: Math.round(Stats.rateOf(stats))
})

/** The queues that it owned at the end or has read from, with what was acknowledged of each. */
const queuesOf = (stats: Stats.ConsumeStats, owned: ReadonlyArray<MessageQueue.MessageQueue>) => {
  const all = new Map(owned.map((queue) => [MessageQueue.key(queue), { queue, consumed: 0 }]))
  for (const [key, one] of stats.queues) all.set(key, one)
  return [...all.values()]
    .toSorted((a, b) => MessageQueue.compare(a.queue, b.queue))
    .map(({ consumed, queue }) => ({
      topic: queue.topic,
      brokerName: queue.brokerName,
      queueId: queue.queueId,
      consumed
    }))
}

/** The same for people. */
export const summaryLines = (input: ConsumeInput, stats: Stats.ConsumeStats): ReadonlyArray<string> => {
  const back = stats.failed === 0 ? "" : `, ${count(stats.failed, "delivery").replace(/ys$/, "ies")} given back`
  const first = `${count(stats.consumed, "message")} of ${printable(input.topic)} consumed by group ${printable(input.group)}${back}`
  return stats.consumed < 2
    ? [first]
    : [first, `${duration(Stats.millisOf(stats))}, ${number(Stats.rateOf(stats))} messages/s`]
}

/** That nothing came any more before there was enough. */
export const tooFew = (input: ConsumeInput, consumed: number): Explained => ({
  tag: "TooFew",
  message: `Nothing was delivered for ${duration(input.idleTimeout ?? 0)}; ${number(consumed)} of ${number(input.count ?? 0)} messages are consumed.`,
  remedy: `See why: ${toRun(input)`doctor --topic ${input.topic} --group ${input.group}`}`,
  exitCode: ExitCode.failed
})
