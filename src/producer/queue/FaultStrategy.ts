import { Effect, Schedule, type Scope } from "effect"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import * as LatencyFaultTolerance from "./LatencyFaultTolerance.ts"
import { nextWhere, selectOneMessageQueue, type TopicPublishInfo } from "./TopicPublishInfo.ts"

/** The options of the choice of queues. */
export interface FaultOptions {
  /** Whether brokers that were slow or failed are passed over for a while; default false (Java `sendLatencyEnable`). */
  readonly sendLatencyEnable: boolean
  /** Whether a broker that failed comes back only when a probe reached it; default false (Java `startDetectorEnable`). */
  readonly startDetectorEnable: boolean
  /** Milliseconds between two probes of a broker; default 2,000 (Java `detectInterval`). */
  readonly detectInterval: number
  /** Milliseconds that a probe may take; default 200 (Java `detectTimeout`). */
  readonly detectTimeout: number
}

/** What is held against a broker, as it shows in the producer's state. */
export interface FaultState {
  /** The broker's name. */
  readonly brokerName: string
  /** Of the last attempt, in milliseconds. */
  readonly latencyMillis: number
  /** Milliseconds that it is still passed over. */
  readonly notAvailableForMillis: number
  /** Whether the last attempt, or the detector's last probe, reached it. */
  readonly reachable: boolean
}

/** The choice of a queue by what was learnt from attempts before. Source: RocketMQ `MQFaultStrategy`. */
export interface FaultStrategy {
  readonly selectOneMessageQueue: (info: TopicPublishInfo, lastBroker: string | undefined) => MessageQueue | undefined
  /** Learns from an attempt that a broker answered; `begin` is when it began, on the monotonic clock in milliseconds. */
  readonly answered: (brokerName: string, begin: number) => void
  /** Learns from an attempt that failed; `heard` when the broker answered all the same. */
  readonly failed: (brokerName: string, latencyMillis: number, heard: boolean) => void
  readonly state: () => ReadonlyArray<FaultState>
}

/** How often the detector looks for brokers to probe, in milliseconds (Java: 3,000). */
const DETECTOR_PERIOD_MILLIS = 3_000

/**
 * Makes the strategy of a producer; without `sendLatencyEnable` there is none. Brokers that were slow or failed are passed
 * over for a while, as Java's tables say; when all are, one is taken all the same. With `startDetectorEnable`, a broker
 * that failed comes back only when a probe reached it; the probes run for as long as the scope is open.
 *
 * `now` is the monotonic clock in milliseconds.
 */
export const make = Effect.fnUntraced(function* (
  options: FaultOptions,
  instance: MQClientInstanceShape,
  now: () => number,
  topics: () => Iterable<string>
): Effect.fn.Return<FaultStrategy | undefined, never, Scope.Scope> {
  if (!options.sendLatencyEnable) return undefined
  const tolerance = LatencyFaultTolerance.make(now)
  if (options.startDetectorEnable) {
    yield* detect(options, instance, tolerance, topics).pipe(
      Effect.repeat(Schedule.spaced(DETECTOR_PERIOD_MILLIS)),
      Effect.delay(DETECTOR_PERIOD_MILLIS),
      Effect.forkScoped
    )
  }
  const self: FaultStrategy = {
    selectOneMessageQueue: (info, lastBroker) => {
      const other = (brokerName: string) => info.brokerCount < 2 || brokerName !== lastBroker
      return (
        nextWhere(info, (brokerName) => tolerance.isAvailable(brokerName) && other(brokerName)) ??
        nextWhere(info, (brokerName) => tolerance.isReachable(brokerName) && other(brokerName)) ??
        selectOneMessageQueue(info, lastBroker)
      )
    },
    answered: (brokerName, begin) => tolerance.updateFaultItem(brokerName, now() - begin, false, true),
    // Without a detector nobody would find out that the broker can be reached again.
    failed: (brokerName, latencyMillis, heard) =>
      tolerance.updateFaultItem(brokerName, latencyMillis, true, heard || !options.startDetectorEnable),
    state: () =>
      tolerance.items().map(({ brokerName, latencyMillis, notAvailableUntil, reachable }) => ({
        brokerName,
        latencyMillis,
        notAvailableForMillis: Math.max(0, notAvailableUntil - now()),
        reachable
      }))
  }
  return self
})

/** How many brokers are probed at once. */
const PROBES_AT_ONCE = 64

/** One round of probes: a request that any broker answers, to each that is due. */
const detect = (
  options: FaultOptions,
  instance: MQClientInstanceShape,
  tolerance: LatencyFaultTolerance.LatencyFaultTolerance,
  topics: () => Iterable<string>
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const [topic] = topics()
    if (topic === undefined) return Effect.void
    return Effect.forEach(
      tolerance.takeDue(options.detectInterval),
      ({ brokerName }) => {
        const address = instance.routes.findBrokerAddressInPublish(brokerName)
        if (address === undefined) return Effect.sync(() => tolerance.remove(brokerName))
        return instance.api.getMaxOffset(address, { topic, queueId: 0 }, options.detectTimeout).pipe(
          Effect.matchEffect({
            onSuccess: () => Effect.sync(() => tolerance.setReachable(brokerName, true)),
            // An answer, whatever it says, has reached us.
            onFailure: (error) =>
              Effect.sync(() => {
                if (error._tag === "BrokerRejected") tolerance.setReachable(brokerName, true)
              })
          })
        )
      },
      { concurrency: PROBES_AT_ONCE, discard: true }
    )
  })
