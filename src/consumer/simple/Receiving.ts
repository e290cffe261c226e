import { Deferred, Effect } from "effect"
import { RouteUnavailable } from "../../client/ClientError.ts"
import * as LogLimit from "../../client/LogLimit.ts"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import type { PopAnswer, PopCalls, Popped, PopTarget } from "../../client/PopCalls.ts"
import * as ForeignText from "../../message/ForeignText.ts"
import { PermName } from "../../message/MixAll.ts"
import type { SubscriptionData } from "../../protocol/HeartbeatData.ts"
import * as PopHandle from "../../protocol/PopHandle.ts"
import { InitMode } from "../../protocol/request/PopMessage.ts"
import type { TopicRouteData } from "../../protocol/TopicRouteData.ts"
import type { ConsumerProblems } from "../ConsumerProblems.ts"
import { asReceived, type ReceivedMessage } from "../ReceivedMessage.ts"
import type { Telemetry } from "../telemetry/Telemetry.ts"
import type { Arrivals } from "./Arrivals.ts"
import type { Settling } from "./Settling.ts"
import { ReceiveError, type ReceiveReason, unsupportedOr } from "./SimpleError.ts"
import type { PoppedMessage } from "./SimpleShape.ts"

/** What one call is to give, checked; times in milliseconds. */
export interface Wanted {
  readonly max: number
  readonly invisibleMillis: number
  readonly waitMillis: number
}

/** Counts, which the consumer shows. */
export interface ReceiveCounters {
  received: number
  redelivered: number
  filtered: number
  withoutHandle: number
}

/** Brokers of topics that are asked in one round at most; those beyond get their turn in the next ones. */
const MOST_TARGETS = 64

/** The brokers whose queues of a topic can be read. */
const brokersOf = ({ queueDatas }: TopicRouteData): ReadonlySet<string> =>
  new Set(
    queueDatas.flatMap(({ brokerName, perm, readQueueNums }) =>
      (perm & PermName.READ) !== 0 && readQueueNums > 0 ? [brokerName] : []
    )
  )

/** Makes what receives: `receive` for one call, which ends with nothing once `closing` is done. */
export const make = (options: {
  readonly group: string
  readonly calls: Pick<PopCalls, "pop">
  readonly instance: Pick<MQClientInstanceShape, "routes" | "pulled">
  readonly arrivals: Arrivals
  readonly settling: Settling
  readonly telemetry: Pick<Telemetry, "filter" | "observer">
  readonly problems: Pick<ConsumerProblems, "note">
  readonly counters: ReceiveCounters
  /** What is read, by topic. */
  readonly subscriptions: () => ReadonlyMap<string, SubscriptionData>
  readonly consumeFromWhere: "first" | "last"
  readonly closing: Deferred.Deferred<void>
  /** Runs what nobody waits for. */
  readonly run: (self: Effect.Effect<void>) => void
  /** The monotonic clock, in milliseconds. */
  readonly now: () => number
}): ((wanted: Wanted) => Effect.Effect<ReadonlyArray<PoppedMessage>, ReceiveError>) => {
  const { arrivals, calls, closing, counters, group, instance, now, problems, settling, telemetry } = options
  const { filter, observer } = telemetry
  const initMode = options.consumeFromWhere === "first" ? InitMode.MIN : InitMode.MAX
  const limit = LogLimit.make()
  let turn = 0

  const known = (): ReadonlyArray<PopTarget> => {
    const byTopic = [...options.subscriptions().values()].map((subscription) => {
      const route = instance.routes.topicRouteTable.get(subscription.topic)
      if (route === undefined || route.borrowed) return []
      return [...brokersOf(route.data)].flatMap((brokerName): ReadonlyArray<PopTarget> => {
        const address = instance.routes.findBrokerAddressInPublish(brokerName)
        return address === undefined ? [] : [{ consumerGroup: group, subscription, brokerName, address }]
      })
    })
    const most = byTopic.reduce((longest, all) => Math.max(longest, all.length), 0)
    // A topic and its brokers: the first of each topic, then the second of each, and so on.
    const all = Array.from({ length: most }, (_, index) => byTopic.flatMap((targets) => targets[index] ?? [])).flat()
    const begin = all.length === 0 ? 0 : turn++ % all.length
    return [...all.slice(begin), ...all.slice(0, begin)].slice(0, MOST_TARGETS)
  }

  /** Looks routes up where none is known of any topic: else the client instance does, time after time. */
  const targets = Effect.gen(function* () {
    const found = known()
    if (found.length > 0) return found
    let failure: ReceiveReason | undefined
    for (const topic of options.subscriptions().keys()) {
      const looked = yield* Effect.result(instance.routes.updateTopicRouteInfoFromNameServer(topic, undefined))
      if (looked._tag === "Failure") failure ??= looked.failure
      else failure ??= new RouteUnavailable({ topic, problem: "no-master", tries: [] })
    }
    const again = known()
    if (again.length === 0 && failure !== undefined) return yield* new ReceiveError({ group, reason: failure })
    return again
  })

  const received = (
    { handle, message }: Popped,
    { brokerName, subscription: { topic } }: PopTarget
  ): ReceivedMessage => {
    const { queueId } = message
    const queue = { topic: PopHandle.realTopic(group, topic, handle.retryFlag), brokerName, queueId }
    return { ...asReceived(message, { topic, brokerName, queueId }, ""), queue }
  }

  const acknowledge = (target: PopTarget, all: ReadonlyArray<Popped>) => {
    counters.filtered += all.length
    for (const one of all) options.run(Effect.ignore(settling.leased(received(one, target), one).ack))
  }

  /** What hooks let pass. */
  const passed = Effect.fnUntraced(function* (target: PopTarget, { messages, unwanted }: PopAnswer) {
    if (unwanted.length > 0) acknowledge(target, unwanted)
    if (filter === undefined || messages.length === 0) return messages
    const { brokerName, subscription } = target
    const kept = new Set(
      yield* filter(
        { topic: subscription.topic, brokerName, queueId: -1 },
        messages.map(({ message }) => message)
      )
    )
    const dropped = messages.filter(({ message }) => !kept.has(message))
    if (dropped.length > 0) acknowledge(target, dropped)
    return messages.filter(({ message }) => kept.has(message))
  })

  /** With its body unpacked; one that cannot be is given as it is. */
  const unpacked = (target: PopTarget, one: Popped) =>
    Effect.map(
      instance.pulled
        .unpack(one.message)
        .pipe(
          Effect.catch((error) =>
            Effect.as(
              limit.warn(
                `message ${ForeignText.clean(one.message.msgId)} of topic ${target.subscription.topic} cannot be unpacked and is given as it is: ${error.message}`
              ),
              one.message
            )
          )
        ),
      (message) => settling.leased(received({ ...one, message }, target), one)
    )

  const popFrom = Effect.fnUntraced(function* (target: PopTarget, { invisibleMillis, max }: Wanted) {
    const { address, brokerName, subscription } = target
    const { topic } = subscription
    const queue = { topic, brokerName, queueId: -1 }
    const key = `pop ${topic}@${ForeignText.clean(brokerName)}`
    const begin = now()
    const answer = yield* Effect.result(calls.pop(target, { max, invisibleMillis, initMode }))
    if (answer._tag === "Failure") {
      observer.notReceived(queue, now() - begin, answer.failure)
      const reason = unsupportedOr(answer.failure, { topic, brokerName: ForeignText.clean(brokerName) })
      yield* problems.note(key, reason.message)
      return reason
    }
    yield* problems.note(key, undefined)
    const { messages, withoutHandle } = answer.success
    counters.withoutHandle += withoutHandle
    if (withoutHandle > 0) {
      yield* limit.warn(
        `${withoutHandle} message(s) of topic ${topic} came from ${address} without a handle: they are left out, and come again`
      )
    }
    if (messages.length > 0) {
      observer.received(
        queue,
        address,
        now() - begin,
        messages.map(({ message }) => message)
      )
    }
    const given = yield* Effect.forEach(yield* passed(target, answer.success), (one) => unpacked(target, one))
    counters.received += given.length
    for (const { message } of given) {
      if (message.attempt > 1) counters.redelivered++
      observer.delivered?.(message)
    }
    return given
  })

  /** One look at each target, until one has something; fails when none of them answers well. */
  const round = Effect.fnUntraced(function* (all: ReadonlyArray<PopTarget>, wanted: Wanted) {
    let failure: ReceiveReason | undefined
    let failed = 0
    for (const target of all) {
      const given = yield* popFrom(target, wanted)
      if ("_tag" in given) {
        failure ??= given
        failed++
      } else if (given.length > 0) return given
    }
    if (failure !== undefined && failed === all.length) return yield* new ReceiveError({ group, reason: failure })
    return []
  })

  const rounds = Effect.fnUntraced(function* (wanted: Wanted) {
    const deadline = now() + wanted.waitMillis
    while (true) {
      const all = yield* targets
      const given = yield* round(all, wanted)
      const left = deadline - now()
      if (given.length > 0 || left <= 0) return given
      // Without a subscription there is nothing to wait for, but time.
      yield* Effect.raceFirst(all.length === 0 ? Effect.never : arrivals.wait(all), Effect.sleep(Math.max(1, left)))
      if (deadline - now() <= 0) return []
    }
  })

  return (wanted) => Effect.raceFirst(rounds(wanted), Effect.as(Deferred.await(closing), []))
}
