import type { Effect } from "effect"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import type { MessageExt } from "../../message/MessageExt.ts"
import * as MessageQueue from "../../message/MessageQueue.ts"
import type { SubscriptionData } from "../../protocol/HeartbeatData.ts"
import type { Consumption } from "../consume/Consumption.ts"
import type { Redeliveries } from "../consume/Redeliveries.ts"
import type { Received } from "../consume/Settle.ts"
import type { ConsumerCounters } from "../ConsumerCounters.ts"
import type { OffsetStore } from "../offset/OffsetStore.ts"
import type { StartPlace } from "../offset/StartOffset.ts"
import type { ProcessQueue } from "../queue/ProcessQueue.ts"
import type { AllocateStrategy } from "../rebalance/AllocateStrategy.ts"
import type { RebalanceListener } from "../rebalance/RebalanceListener.ts"
import type { ReceivedMessage } from "../ReceivedMessage.ts"
import type { ConsumerObserver } from "../telemetry/ConsumerObserver.ts"

/** A queue that is owned, in the present generation. */
export type OwnedQueue = ProcessQueue<ReceivedMessage>

/** What of a consumer's configuration the run works with; times are milliseconds, sizes bytes. */
export interface RunConfig {
  readonly group: string
  /** Whether queues are consumed in order, each under its broker's lock. */
  readonly isOrderly: boolean
  /** Whether every member reads all queues. */
  readonly broadcasts: boolean
  /** Whether the brokers keep the group's offsets, and no other store. */
  readonly offsetsOnBrokers: boolean
  readonly strategy: AllocateStrategy
  readonly consumeFromWhere: StartPlace
  readonly pullBatchSize: number
  readonly pullBatchSizeInBytes: number
  readonly pullIntervalMillis: number
  readonly pullFailurePauseMillis: number
  readonly postSubscriptionWhenPull: boolean
  readonly pullThresholdForQueue: number
  readonly pullThresholdBytesForQueue: number
  /** Below 0 there is no limit. */
  readonly pullThresholdForTopic: number
  readonly pullThresholdBytesForTopic: number
  readonly pullThresholdForAll: number
  readonly pullThresholdBytesForAll: number
  readonly consumeConcurrentlyMaxSpan: number
  readonly revokeDrainMillis: number
  /** Whether a queue's offset is committed only as far as somebody said so, rather than up to its position. */
  readonly marksOnly: boolean
  /** How queues are pulled where that is not as push consumers do. */
  readonly litePull: LitePull | undefined
}

/** Pulls of a consumer that is asked for messages. */
export interface LitePull {
  /** Milliseconds that a broker may hold a pull. */
  readonly suspendMillis: number
  /** Milliseconds that a pull may take in all. */
  readonly timeoutMillis: number
}

/** What a consumer gives up when it closes, and how that went. */
export interface DrainReport {
  /** Handlers that ended by themselves in the time for it. */
  readonly finished: number
  /** Handlers that were interrupted; their messages come again. */
  readonly interrupted: number
  /** Messages that were cached and that no handler had got; they come again. */
  readonly discarded: number
  /** Queues whose last position could not be written: `topic@broker@id`. */
  readonly notPersisted: ReadonlyArray<string>
}

/** What the run works with. */
export interface RunOptions {
  readonly config: RunConfig
  readonly instance: MQClientInstanceShape
  readonly store: OffsetStore
  readonly consumption: Consumption
  readonly counters: ConsumerCounters
  readonly observer: Pick<ConsumerObserver, "received" | "notReceived" | "settle">
  /** For a queue that came up while the consumer ran: from when on it is read where `last` is asked for. */
  readonly cameUpSince: (queue: MessageQueue.MessageQueue) => number | undefined
  /** A queue was taken, or is no longer owned. */
  readonly taken: (queue: OwnedQueue) => void
  readonly left: (queue: OwnedQueue) => void
  /** What is subscribed to, by topic, the group's retry topic included. */
  readonly subscriptions: () => ReadonlyMap<string, SubscriptionData>
  /** The queues that the program has chosen itself; undefined where they are shared out among the members of the group. */
  readonly assigned?: (() => ReadonlyArray<MessageQueue.MessageQueue> | undefined) | undefined
  /** Whether the user has paused a queue or its topic. */
  readonly isPaused: (queue: MessageQueue.MessageQueue) => boolean
  /** Chooses among the messages of an answer; undefined when all are handed to handlers. */
  readonly filter:
    | ((
        queue: MessageQueue.MessageQueue,
        messages: ReadonlyArray<MessageExt>
      ) => Effect.Effect<ReadonlyArray<MessageExt>>)
    | undefined
  /** Gives a message back that cannot be handed to a handler: its body cannot be unpacked. */
  readonly unreadable: (received: Received, error: Error) => Effect.Effect<void>
  /** The messages that were given back and have not come again. */
  readonly redeliveries: Pick<Redeliveries, "arrived" | "some">
  /** Waits until no message of the queue is being given back; none at all when absent. */
  readonly givenBack: (queue?: OwnedQueue) => Effect.Effect<void>
  /** Notes that something is wrong, under a key, or that it is not any more. */
  readonly problem: (key: string, text: string | undefined) => Effect.Effect<void>
  /** Hears of queues that come and go. */
  readonly listener: RebalanceListener | undefined
  /** Notes something that has happened, and whose end nothing tells. */
  readonly happened: (key: string, text: string) => Effect.Effect<void>
  /** The members of the group are others than before. */
  readonly membersChanged: () => void
  /** Something that is seen from outside has changed. */
  readonly changed: Effect.Effect<void>
}

/** How a queue is called in the table of queues, in problems and in log lines. */
export const keyOf = (queue: OwnedQueue): string => MessageQueue.key(queue.messageQueue)

/** How the pull loop of a group's queue is called in the instance's table of loops. */
export const loopKey = (group: string, queue: OwnedQueue): string => `${group}@${keyOf(queue)}`
