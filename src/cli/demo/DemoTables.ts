import { Clock, Effect } from "effect"
import type { TimerState } from "../../client/Timers.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import { isRetryTopic } from "../../message/MixAll.ts"
import type { QueueComparison } from "./DemoCompare.ts"
import { count, duration, number, table } from "../Text.ts"

/** The timers as a table, the first row being its head. */
export const timerRows = (timers: ReadonlyArray<TimerState>): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(Clock.currentTimeMillis, (now) =>
    table(
      [
        ["", "TIMER", "FIRST", "EVERY", "RUNS", "FAILED", "LAST RUN", "NEXT RUN"],
        ...timers.map((timer) => [
          String(timer.number),
          timer.name,
          duration(timer.initialDelayMillis),
          duration(timer.periodMillis),
          String(timer.runs),
          String(timer.failures),
          timer.lastEnd === undefined ? "-" : `${duration(now - timer.lastEnd)} ago`,
          timer.next === undefined ? "off: addresses are set" : `in ${duration(Math.max(0, timer.next - now))}`
        ])
      ],
      [2, 3, 4, 5]
    )
  )

/** What of each queue was consumed, and by whom, a row each. */
export const queueRows = (queues: ReadonlyArray<QueueComparison>): ReadonlyArray<string> =>
  table(
    queues.map(({ byMember, equal, maxOffset, minOffset, queue, sent }) => [
      `${queue.brokerName} queue ${queue.queueId}`,
      count(sent, "message"),
      `offsets ${number(minOffset)} to ${number(maxOffset)}`,
      equal === sent ? "all equal" : `${number(equal)} equal`,
      ...[1, 2].map((member) => `member ${member}: ${number(byMember.get(member) ?? 0)}`)
    ]),
    [1]
  )

/** Who owns which queue, a row for each member. */
export const ownerRows = (members: ReadonlyArray<Owner>): ReadonlyArray<string> =>
  table(members.map(({ clientId, name, queues }) => [name, clientId, queuesInWords(queues)]))

/** A member of a group, and what it owns. */
export interface Owner {
  readonly name: string
  readonly clientId: string
  readonly queues: ReadonlyArray<MessageQueue>
}

/** `broker-a 0 1 2 3, and the retry queue`. */
const queuesInWords = (queues: ReadonlyArray<MessageQueue>): string => {
  const byBroker = new Map<string, ReadonlyArray<number>>()
  for (const { brokerName, queueId, topic } of queues) {
    if (!isRetryTopic(topic)) byBroker.set(brokerName, [...(byBroker.get(brokerName) ?? []), queueId])
  }
  const named = [...byBroker].map(([broker, ids]) => `${broker} ${ids.join(" ")}`)
  const retries = queues.filter(({ topic }) => isRetryTopic(topic)).length
  const words = [
    ...(named.length === 0 ? [] : [named.join(", ")]),
    ...(retries === 0 ? [] : [retries === 1 ? "the retry queue" : `${retries} retry queues`])
  ]
  return words.length === 0 ? "nothing" : words.join(", and ")
}
