import { Effect, References } from "effect"
import type { ApiError } from "../../client/ClientError.ts"
import { RouteUnavailable } from "../../client/ClientError.ts"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import { MASTER_ID } from "../../message/MixAll.ts"
import type { SubscriptionData } from "../../protocol/HeartbeatData.ts"
import type { Pulled } from "../../client/PulledMessages.ts"
import type { PullMoved, PullOutcome, PullPosition } from "../../client/PullOutcome.ts"
import type { MessageExt } from "../../message/MessageExt.ts"
import { PullSysFlag } from "../../protocol/request/PullMessage.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { ConsumerCounters } from "../ConsumerCounters.ts"
import type { ConsumerObserver } from "../telemetry/ConsumerObserver.ts"
import type { CarriedPosition, ProcessQueue } from "../queue/ProcessQueue.ts"
import type { ReceivedMessage } from "../ReceivedMessage.ts"

/** Milliseconds that a broker may hold a pull, as in Java (`brokerSuspendMaxTimeMillis`). */
const SUSPEND_MILLIS = 15_000
/** Milliseconds that a pull may take in all (`consumerTimeoutMillisWhenSuspend`). */
const PULL_TIMEOUT_MILLIS = 30_000
/** The pause after FLOW_CONTROL (`PULL_TIME_DELAY_MILLS_WHEN_BROKER_FLOW_CONTROL`). */
const FLOW_CONTROL_PAUSE_MILLIS = 20
/** What is hopeless as it is backs off up to this, in milliseconds. */
const MAX_PAUSE_MILLIS = 30_000
/**
 * Answers without a message that come at once and lead nowhere: a broker holds a pull for longer than this (in
 * milliseconds) when it has nothing, and passes over more offsets than these when nothing matches.
 */
const AT_ONCE_MILLIS = 1_000
const NOWHERE_OFFSETS = 32
/** So many such answers in a row are what a broker may give; then each is followed by a pause that doubles up to a second. */
const MAX_NOWHERE = 3
const FIRST_NOWHERE_PAUSE_MILLIS = 20
const MAX_NOWHERE_PAUSE_MILLIS = 1_000
/** Pulls of one queue that brokers may hold at once: by the present filter, and by a former one. */
const MAX_HELD = 2
/** The pause between two pulls that are not held because others are, in milliseconds. */
const NOT_HELD_PAUSE_MILLIS = 1_000

/** Milliseconds that a pull may take that only carries an offset. */
const CARRY_MILLIS = 500

/** What a queue's loop works with. */
export interface PullContext {
  readonly instance: MQClientInstanceShape
  /** The consumer group. */
  readonly group: string
  readonly counters: Pick<ConsumerCounters, "filtered" | "pulls" | "pullFailures">
  readonly observer: Pick<ConsumerObserver, "received" | "notReceived">
  /** Bytes that an answer may have at most (Java `pullBatchSizeInBytes`). */
  readonly pullBatchSizeInBytes: number
  /** Milliseconds between two pulls of a queue (Java `pullInterval`). */
  readonly pullIntervalMillis: number
  /** The pause after a first pull that failed, in milliseconds (Java `pullTimeDelayMillsWhenException`). */
  readonly failurePauseMillis: number
  /** Whether a pull carries its filter, so that no other member's is used (Java `postSubscriptionWhenPull`). */
  readonly postSubscription: boolean
  /**
   * For a consumer that is asked for messages: its pulls are LITE_PULL_MESSAGE, with these times in milliseconds, but at the
   * addresses of brokers that do not know it.
   */
  readonly litePull:
    { readonly suspendMillis: number; readonly timeoutMillis: number; readonly unknownAt: Set<string> } | undefined
  /** Whether a pull carries the position of its queue to the broker. */
  readonly commitsOnPull: boolean
  /** What of a topic is wanted; undefined when nothing of it is any more. */
  readonly subscriptionOf: (topic: string) => SubscriptionData | undefined
  /** How many messages a queue may ask for now; 0 while it is full, paused or suspended, with its phase set. */
  readonly room: (queue: ProcessQueue<ReceivedMessage>) => number
  /** Waits until there may be room again. */
  readonly awaitRoom: (queue: ProcessQueue<ReceivedMessage>) => Effect.Effect<void>
  /** Runs a pull, which goes on when nobody waits for it any more: its answer may tell of a reset, and no later one does. */
  readonly outlive: <A>(
    queue: ProcessQueue<ReceivedMessage>,
    asked: string,
    pull: Effect.Effect<PullOutcome<A>, ApiError>
  ) => Effect.Effect<PullOutcome<A>, ApiError>
  /** The pulls of the queue that outlived whoever waited for them. */
  readonly former: (
    queue: ProcessQueue<ReceivedMessage>
  ) => ReadonlyArray<{ readonly asked: string; readonly ended: Effect.Effect<void> }>
  /** Takes over what a pull found. */
  readonly found: (
    queue: ProcessQueue<ReceivedMessage>,
    position: PullPosition,
    messages: ReadonlyArray<MessageExt>
  ) => Effect.Effect<void>
  /** The broker has nothing for this group before the offset. */
  readonly passed: (queue: ProcessQueue<ReceivedMessage>, offset: number) => void
  /** A queue has come on, and so has what is pulled next: somebody may wait for that. */
  readonly advanced: () => void
  /** The broker does not have the offset that was asked for, or it was reset, and names another. */
  readonly moved: (queue: ProcessQueue<ReceivedMessage>, position: PullMoved) => Effect.Effect<void>
  /** The broker does not know the group or its subscription: tells it, before the next pull. */
  readonly introduce: Effect.Effect<void>
  /** Tells of a failed pull, or that pulls work again (undefined). */
  readonly tell: (
    queue: ProcessQueue<ReceivedMessage>,
    error: ApiError | RouteUnavailable | undefined
  ) => Effect.Effect<void>
  /** The monotonic clock, in milliseconds. */
  readonly now: () => number
  /** From 0 up to, not including, 1. */
  readonly chance: () => number
}

/** Whether a broker does not know the group, its subscription, or the latest of it: a heartbeat tells it. */
const isUnknown = (code: number): boolean =>
  code === ResponseCode.SUBSCRIPTION_NOT_EXIST ||
  code === ResponseCode.SUBSCRIPTION_NOT_LATEST ||
  code === ResponseCode.FILTER_DATA_NOT_LATEST

/** Whether a broker does not know the kind of request: lite pulls are new in 5.0, and say the same as others. */
const isUnsupported = (error: ApiError): boolean =>
  error._tag === "BrokerRejected" && error.code === ResponseCode.REQUEST_CODE_NOT_SUPPORTED

/** How long to wait after so many failures in a row, in milliseconds. */
const pauseAfter = (error: ApiError | RouteUnavailable, failures: number, pause: number, chance: number): number => {
  if (error._tag === "BrokerRejected") {
    if (error.code === ResponseCode.FLOW_CONTROL) return FLOW_CONTROL_PAUSE_MILLIS * (1 + chance)
    if (isUnknown(error.code)) {
      // The first time, the heartbeat that went before cures it at once.
      return failures === 1 ? 0 : pause * (1 + chance)
    }
  }
  const longest = Math.max(MAX_PAUSE_MILLIS, pause)
  return Math.min(longest, pause * 2 ** Math.min(failures - 1, 5)) * (1 + chance / 4)
}

/** How long to wait after so many answers in a row that led nowhere, in milliseconds. */
const pauseAfterNowhere = (answers: number): number =>
  answers <= MAX_NOWHERE
    ? 0
    : Math.min(MAX_NOWHERE_PAUSE_MILLIS, FIRST_NOWHERE_PAUSE_MILLIS * 2 ** (answers - MAX_NOWHERE - 1))

/**
 * Carries the offset that stands to the broker by a pull, behind one that carries a smaller one and may not be handled yet:
 * brokers handle pulls in the order in which they come, beside everything else. Nothing is read, and the broker answers at
 * once; it is waited for only for a moment. Gives where the queue was reset to, if the broker tells of that.
 *
 * Source: RocketMQ `BrokerController.registerProcessor`, `PullMessageProcessor.processRequest`.
 */
export const carry = (
  context: Pick<PullContext, "group" | "instance">,
  queue: ProcessQueue<ReceivedMessage>,
  behind: CarriedPosition,
  offset: number
): Effect.Effect<number | undefined> => {
  const { brokerName, queueId, topic } = queue.messageQueue
  const pull = context.instance.pulled.pull(
    behind.address,
    {
      consumerGroup: context.group,
      topic,
      queueId,
      // Where there is nothing.
      queueOffset: Math.max(queue.nextOffset, queue.maxOffset ?? 0),
      maxMsgNums: 1,
      sysFlag: PullSysFlag.COMMIT_OFFSET,
      commitOffset: offset,
      suspendTimeoutMillis: 0,
      subscription: undefined,
      subVersion: 0,
      expressionType: "TAG",
      maxMsgBytes: 1,
      brokerName,
      tags: undefined
    },
    CARRY_MILLIS
  )
  return Effect.match(pull, {
    // A broker that refuses it refuses the one before as well.
    onFailure: () => undefined,
    onSuccess: (answer) => (answer._tag === "OffsetIllegal" && answer.reset ? answer.nextBeginOffset : undefined)
  })
}

/**
 * Pulls one queue for as long as it is owned: room? ask, hand over, again. There is one pull under way, or one reason why
 * not, which is the queue's phase. Whatever fails in a round, the next one follows. With `ask` the broker is to answer the
 * first pull at once, also when it has nothing.
 *
 * Source: RocketMQ `DefaultMQPushConsumerImpl.pullMessage`.
 */
export const run = (
  context: PullContext,
  queue: ProcessQueue<ReceivedMessage>,
  first: "hold" | "ask" = "hold"
): Effect.Effect<void> => {
  const { instance, litePull } = context
  const postSubscription = context.postSubscription || litePull !== undefined
  const { brokerName, queueId, topic } = queue.messageQueue
  let failures = 0
  let nowhere = 0
  let holds = first === "hold"
  /** What is waited for before the next pull, since a broker holds others of this queue already. */
  let held: Effect.Effect<void> | undefined

  /**
   * A broker holds a pull for its time, whether anybody waits for it or not. So that no more and more of them lie there, the
   * queue is asked at once then, and when there is nothing, whatever answers the one that is held tells that there may be.
   */
  const heldByOthers = (asked: string): Effect.Effect<void> | undefined => {
    const former = context.former(queue)
    const same = former.find((one) => one.asked === asked)
    if (same !== undefined) return same.ended
    return former.length < MAX_HELD ? undefined : Effect.sleep(NOT_HELD_PAUSE_MILLIS)
  }

  const pull = Effect.fnUntraced(function* (subscription: SubscriptionData, maxMsgNums: number) {
    const find = () => instance.routes.findBrokerAddressInSubscribe(brokerName, queue.suggestedBrokerId, false)
    let broker = find()
    if (broker === undefined) {
      yield* Effect.ignore(instance.routes.updateTopicRouteInfoFromNameServer(topic, undefined))
      broker = find()
    }
    if (broker === undefined) return yield* new RouteUnavailable({ topic, problem: "no-master", tries: [] })
    const { address, slave } = broker
    const commitOffset = queue.consumeOffset ?? 0
    // A slave takes no offsets.
    const commits = context.commitsOnPull && commitOffset > 0 && !slave && !queue.writing
    const asked = `${address} ${subscription.subVersion}`
    held = holds ? heldByOthers(asked) : undefined
    const request = (kind: number) =>
      instance.pulled.pull(
        address,
        {
          consumerGroup: context.group,
          topic,
          queueId,
          queueOffset: queue.nextOffset,
          maxMsgNums,
          sysFlag:
            (holds && held === undefined ? PullSysFlag.SUSPEND : 0) |
            (commits ? PullSysFlag.COMMIT_OFFSET : 0) |
            (postSubscription ? PullSysFlag.SUBSCRIPTION : 0) |
            kind,
          commitOffset: commits ? commitOffset : 0,
          suspendTimeoutMillis: litePull?.suspendMillis ?? SUSPEND_MILLIS,
          subscription: postSubscription ? subscription.subString : undefined,
          // A filter by tags that comes along is the one that counts.
          subVersion: litePull !== undefined && subscription.expressionType === "TAG" ? 0 : subscription.subVersion,
          expressionType: subscription.expressionType,
          maxMsgBytes: context.pullBatchSizeInBytes,
          brokerName,
          tags: subscription.tagsSet.length === 0 ? undefined : new Set(subscription.tagsSet)
        },
        litePull?.timeoutMillis ?? PULL_TIMEOUT_MILLIS
      )
    const pulling =
      litePull === undefined || litePull.unknownAt.has(address)
        ? request(0)
        : Effect.catchIf(request(PullSysFlag.LITE_PULL), isUnsupported, () => {
            litePull.unknownAt.add(address)
            return request(0)
          })
    queue.carried = commits ? { offset: commitOffset, address, at: context.now() } : undefined
    // From reading the position to handing it to the connection nothing comes between, so that no later one overtakes it.
    const answer: PullOutcome<Pulled> = yield* Effect.provideService(
      context.outlive(queue, asked, pulling),
      References.PreventSchedulerYield,
      true
    )
    if (commits) {
      queue.committedOffset = commitOffset
      queue.carried = undefined
    }
    context.counters.pulls++
    if (answer._tag === "Found") {
      const at = context.now()
      const millis = at - (queue.lastPullAt ?? at)
      queue.stats.pulled(at, millis, answer.messages.length)
      context.observer.received(queue.messageQueue, broker.address, millis, answer.messages)
    }
    return answer
  })

  const round = Effect.fnUntraced(function* () {
    const subscription = context.subscriptionOf(topic)
    const room = subscription === undefined ? 0 : context.room(queue)
    if (subscription === undefined || room <= 0) {
      yield* context.awaitRoom(queue)
      return
    }
    queue.phase = "pulling"
    queue.lastPullAt = context.now()
    const answer = yield* pull(subscription, room)
    holds = true
    // An answer of a generation that is over is nobody's, but for what it tells of all.
    if (queue.dropped) {
      if (answer._tag === "OffsetIllegal" && answer.reset) yield* context.moved(queue, answer)
      return
    }
    queue.suggestedBrokerId = answer.suggestWhichBrokerId
    queue.maxOffset = answer.maxOffset
    if (failures > 0) {
      failures = 0
      yield* context.tell(queue, undefined)
    }
    if (answer._tag === "OffsetIllegal") {
      yield* context.moved(queue, answer)
      return
    }
    if (answer._tag === "Found") {
      context.counters.filtered += answer.filtered
      yield* context.found(queue, answer, answer.messages)
    } else context.passed(queue, answer.nextBeginOffset)
    const led = answer.nextBeginOffset - queue.nextOffset
    const empty = answer._tag === "Found" ? led <= 0 && answer.messages.length === 0 : led < NOWHERE_OFFSETS
    const atOnce = held === undefined && context.now() - queue.lastPullAt < AT_ONCE_MILLIS
    nowhere = empty && atOnce ? nowhere + 1 : 0
    queue.nextOffset = Math.max(queue.nextOffset, answer.nextBeginOffset)
    context.advanced()
    const pause = Math.max(context.pullIntervalMillis, pauseAfterNowhere(nowhere))
    if (pause > 0) {
      queue.phase = "waiting"
      yield* Effect.sleep(pause)
    }
    if (held !== undefined && led <= 0 && answer._tag !== "Found") yield* held
  })

  const failed = Effect.fnUntraced(function* (error: ApiError | RouteUnavailable) {
    if (queue.dropped || error._tag === "ClientClosed") return
    failures++
    // The next one is answered at once, so that it is known at once whether pulls work again.
    holds = false
    context.counters.pullFailures++
    const at = context.now()
    context.observer.notReceived(queue.messageQueue, at - (queue.lastPullAt ?? at), error)
    yield* context.tell(queue, error)
    queue.phase = "failing"
    // A slave that does not answer is left for the master.
    queue.suggestedBrokerId = MASTER_ID
    if (error._tag === "BrokerRejected" && isUnknown(error.code)) yield* context.introduce
    yield* Effect.sleep(pauseAfter(error, failures, context.failurePauseMillis, context.chance()))
  })

  return Effect.whileLoop({
    while: () => !queue.dropped,
    body: () => Effect.matchEffect(round(), { onSuccess: () => Effect.void, onFailure: failed }),
    step: () => undefined
  })
}
