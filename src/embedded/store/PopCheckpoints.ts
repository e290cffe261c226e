import * as MixAll from "../../message/MixAll.ts"
import type { Long } from "../../protocol/Long.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"
import * as PopHandle from "../../protocol/PopHandle.ts"
import { MAX_POPPED, MAX_POPPED_OF_GROUP } from "../server/Limits.ts"
import type { BrokerConfig } from "./BrokerConfig.ts"
import type { ConsumerOffsets } from "./ConsumerOffsets.ts"
import type { DelayedMessages } from "./DelayedMessages.ts"
import * as DueQueue from "./DueQueue.ts"
import type { MessageStore } from "./MessageStore.ts"
import type { SubscriptionGroups } from "./SubscriptionGroups.ts"
import * as StoredMessage from "./StoredMessage.ts"
import type { TopicTable } from "./TopicTable.ts"

/** Which checkpoint: what every handle of it says. Source: RocketMQ `PopReviveService`, the key of its map. */
export interface CheckpointKey {
  readonly group: string
  /** The topic that the messages lie in: the group's pop retry topic for those that came again. */
  readonly topic: string
  readonly queueId: number
  /** Where the pop began; the message's own offset after an extension. */
  readonly startOffset: Long
  readonly popTime: Long
  readonly reviveQid: number
  readonly brokerName: string
}

/** Messages of one queue that one pop, or one extension, hides. */
export interface Checkpoint extends CheckpointKey {
  /** Their offsets. */
  readonly offsets: ReadonlyArray<number>
  /** Milliseconds since the epoch at which they are no longer hidden. */
  readonly visibleAt: Long
}

/**
 * What is popped and not acknowledged. What is not in time is stored again, in the group's pop retry topic, for as often as it
 * takes: a real broker sends nothing that was popped to the dead letters.
 *
 * Source: RocketMQ `PopReviveService`, `PopCheckPoint`.
 */
export interface PopCheckpoints {
  /** Whether the group may hide so many more messages. */
  readonly hasRoom: (group: string, messages: number) => boolean
  /** Hides messages; one that is there under the key is replaced. */
  readonly add: (checkpoint: Checkpoint) => void
  /** Whether there is one under the key. */
  readonly has: (key: CheckpointKey) => boolean
  /** A message is consumed; no checkpoint or none of its messages is no error, as on a real broker. */
  readonly acknowledge: (key: CheckpointKey, offset: Long) => void
  /** How many messages of a queue the group hides. */
  readonly inFlight: (group: string, topic: string, queueId: number) => number
  /** Milliseconds since the epoch at which the next one is revived. */
  readonly next: () => number | undefined
  /** Stores again what is due. */
  readonly revive: () => void
}

/**
 * Milliseconds between the end of the invisible time and the revival, during which an acknowledgement still counts. A real
 * broker waits longer than this, and then until its next look: half a second to two seconds more.
 *
 * Source: RocketMQ `PopReviveService.mergeAndRevive` (`ackTimeInterval` and a second).
 */
export const REVIVE_DELAY_MILLIS = 2_000

/** Queues of a pop retry topic. Source: RocketMQ `PopAckConstants.retryQueueNum`. */
const RETRY_QUEUES = 1

/** What a broker sets about popped messages. */
export interface PopOptions {
  readonly brokerName: string
  readonly config: Pick<BrokerConfig, "enableRetryTopicV2">
  readonly store: MessageStore
  readonly topics: TopicTable
  readonly groups: SubscriptionGroups
  readonly offsets: ConsumerOffsets
  readonly delayed: DelayedMessages
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Told when something new waits. */
  readonly onWaiting: () => void
}

interface Kept {
  readonly checkpoint: Checkpoint
  readonly name: string
  /** Offsets that are not acknowledged. */
  readonly open: Set<number>
  readonly reviveAt: number
}

const nameOf = ({ brokerName, group, popTime, queueId, reviveQid, startOffset, topic }: CheckpointKey): string =>
  JSON.stringify([topic, group, queueId, String(startOffset), String(popTime), reviveQid, brokerName])

const placeOf = (group: string, topic: string, queueId: number): string => JSON.stringify([topic, group, queueId])

/** How many there are by name. */
const makeCounts = () => {
  const counts = new Map<string, number>()
  return {
    of: (name: string): number => counts.get(name) ?? 0,
    add: (name: string, change: number): void => {
      const count = (counts.get(name) ?? 0) + change
      if (count > 0) counts.set(name, count)
      else counts.delete(name)
    }
  }
}

/** The topic that was popped, of the topic that the messages lie in. Source: RocketMQ `KeyBuilder.parseNormalTopic`. */
export const originalTopic = (group: string, topic: string): string => {
  const prefix = MixAll.retryTopic(group)
  return ["_", "+"].some((joint) => topic.startsWith(prefix + joint)) ? topic.slice(prefix.length + 1) : topic
}

/** Builds the table with nothing popped. */
export const make = (options: PopOptions): PopCheckpoints => {
  const { config, delayed, groups, now, offsets, store, topics } = options
  const table = new Map<string, Kept>()
  const ofGroup = makeCounts()
  const ofQueue = makeCounts()
  let hidden = 0
  let due = DueQueue.make<Kept>()
  /** Entries of `due` whose checkpoint is done. */
  let done = 0

  const count = ({ group, queueId, topic }: Checkpoint, change: number): void => {
    hidden += change
    ofGroup.add(group, change)
    ofQueue.add(placeOf(group, topic, queueId), change)
  }

  const remove = (kept: Kept): void => {
    table.delete(kept.name)
    count(kept.checkpoint, -kept.open.size)
    kept.open.clear()
  }

  /** Drops what is done from the queue of times when it is the larger part. */
  const tidy = (): void => {
    if (done <= table.size + 1_024) return
    due = DueQueue.make<Kept>()
    done = 0
    for (const kept of table.values()) due.add(kept.reviveAt, kept)
  }

  const retryTopicOf = ({ group, topic }: Checkpoint): string => {
    if (MixAll.isRetryTopic(topic)) return topic
    return PopHandle.popRetryTopic(group, topic, config.enableRetryTopicV2 ? "2" : "1")
  }

  const ensureTopic = (topic: string, group: string): void => {
    if (topics.get(topic) !== undefined) return
    topics.ensure(topic, RETRY_QUEUES, MixAll.PermName.READ | MixAll.PermName.WRITE)
    if (offsets.query(group, topic, 0) === undefined) offsets.commit(group, topic, 0, 0)
  }

  const reviveOne = (checkpoint: Checkpoint, offset: number): void => {
    const entry = store.read(checkpoint.topic, checkpoint.queueId, offset)
    const message = entry === undefined ? undefined : StoredMessage.read(entry)
    if (message === undefined) return
    const topic = retryTopicOf(checkpoint)
    ensureTopic(topic, checkpoint.group)
    const { [MessageConst.FIRST_POP_TIME]: firstPopTime } = message.properties
    delayed.put({
      ...message,
      topic,
      queueId: 0,
      properties: {
        ...message.properties,
        [MessageConst.FIRST_POP_TIME]:
          message.reconsumeTimes === 0 || firstPopTime === undefined ? String(checkpoint.popTime) : firstPopTime,
        [MessageConst.ORIGIN_GROUP]: checkpoint.group
      },
      storeTimestamp: now(),
      bornHost: message.storeHost,
      reconsumeTimes: (message.reconsumeTimes + 1) | 0,
      preparedTransactionOffset: 0
    })
  }

  /** Nothing comes again of a topic or for a group that is gone. */
  const isWanted = ({ group, topic }: Checkpoint): boolean =>
    topics.get(originalTopic(group, topic)) !== undefined && groups.get(group) !== undefined

  return {
    hasRoom: (group, messages) =>
      hidden + messages <= MAX_POPPED && ofGroup.of(group) + messages <= MAX_POPPED_OF_GROUP,
    has: (key) => table.has(nameOf(key)),
    add: (checkpoint) => {
      const name = nameOf(checkpoint)
      const replaced = table.get(name)
      if (replaced !== undefined) {
        remove(replaced)
        done += 1
      }
      const reviveAt = Number(checkpoint.visibleAt) + REVIVE_DELAY_MILLIS
      const kept: Kept = { checkpoint, name, open: new Set(checkpoint.offsets), reviveAt }
      table.set(name, kept)
      count(checkpoint, kept.open.size)
      due.add(reviveAt, kept)
      tidy()
      options.onWaiting()
    },
    acknowledge: (key, offset) => {
      const kept = table.get(nameOf(key))
      if (kept?.open.delete(Number(offset)) !== true) return
      count(kept.checkpoint, -1)
      if (kept.open.size > 0) return
      table.delete(kept.name)
      done += 1
      tidy()
    },
    inFlight: (group, topic, queueId) => ofQueue.of(placeOf(group, topic, queueId)),
    next: () => due.next(),
    revive: () => {
      const time = now()
      for (let kept = due.take(time); kept !== undefined; kept = due.take(time)) {
        if (table.get(kept.name) !== kept) {
          done -= 1
          continue
        }
        const open = [...kept.open]
        remove(kept)
        if (isWanted(kept.checkpoint)) for (const offset of open) reviveOne(kept.checkpoint, offset)
      }
    }
  }
}
