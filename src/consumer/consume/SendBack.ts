import { Duration, Effect, FiberSet, Schedule, Semaphore } from "effect"
import { type ApiError, RouteUnavailable } from "../../client/ClientError.ts"
import * as LogLimit from "../../client/LogLimit.ts"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import * as ForeignText from "../../message/ForeignText.ts"
import { MASTER_ID } from "../../message/MixAll.ts"
import * as ConsumerSendMsgBack from "../../protocol/request/ConsumerSendMsgBack.ts"
import type { ConsumerObserver } from "../telemetry/ConsumerObserver.ts"
import type { ConsumerCounters } from "../ConsumerCounters.ts"
import { levelOf } from "../ReconsumePolicy.ts"
import type { ProcessQueue } from "../queue/ProcessQueue.ts"
import type { ReceivedMessage } from "../ReceivedMessage.ts"
import type { GiveBack, Received } from "./Settle.ts"
import * as Waiters from "../queue/Waiters.ts"

/** Milliseconds that a broker may take to take a message back, as in Java. */
const TIMEOUT_MILLIS = 5_000
/** The pause before the first repetition, in milliseconds, as in Java; it doubles up to the second one. */
const RETRY_PAUSE_MILLIS = 5_000
const MAX_RETRY_PAUSE_MILLIS = 60_000
/** How many messages are given back at once. */
const AT_ONCE = 64

/** How messages are given back. */
export interface SendBackOptions {
  readonly instance: MQClientInstanceShape
  readonly group: string
  /** Redeliveries until a message becomes a dead letter: -1 for the broker's own limit, which is 16. */
  readonly maxReconsumeTimes: number
  readonly counters: ConsumerCounters
  readonly observer: Pick<ConsumerObserver, "settle">
  /**
   * Whether a copy is sent without asking the message's broker first, which knows nothing of how often a message was tried
   * that is consumed in order.
   */
  readonly copies: boolean
  /** Sends a copy to the group's retry topic, for when the broker cannot take the message back. */
  readonly resend: (received: Received, to: GiveBack) => Effect.Effect<void, Error>
  /** Tells of a send-back that failed; it is tried again. */
  readonly tell: (error: Error, received: Received) => Effect.Effect<void>
  /** Tells of a message that has become a dead letter by that; undefined when nobody wants to know. */
  readonly deadLettered:
    | ((
        message: ReceivedMessage,
        because: "asked" | "max-reconsume-times",
        reason: string | undefined
      ) => Effect.Effect<void>)
    | undefined
  /** Remembers a message that a broker has taken, and that will come again; from which broker, where that is known. */
  readonly taken: (message: ReceivedMessage, brokerName: string | undefined) => void
  /** Tells that none of those that failed is left. */
  readonly well: Effect.Effect<void>
  /** Whether the group broadcasts: no message comes again there, and one that was not consumed is finished at once. */
  readonly broadcasts: boolean
}

/** Gives messages back. */
export interface SendBack {
  /** Begins to give a message back, and waits for nothing; `over` is called when nothing more is done about it. */
  readonly giveBack: (received: Received, to: GiveBack, reason?: string, over?: () => void) => void
  /** How many messages are being given back, those that wait for the next try included. */
  readonly underWay: () => number
  /** Waits until no message of the queue is being given back; none at all when absent. */
  readonly awaitIdle: (queue?: ProcessQueue<ReceivedMessage>) => Effect.Effect<void>
}

/** Java's limit where none is set. */
const DEFAULT_MAX_RECONSUME_TIMES = 16

/** The level that brokers give a first redelivery. */
const FIRST_LEVEL = 3

/**
 * The delay level of a send-back: 0 lets the broker choose, below 0 are the dead letters. A broker adds the redeliveries so
 * far to the first level; who sent the message may have let them begin far below 0, so that it would come again at once,
 * and again, millions of times.
 */
const levelFor = (to: GiveBack, { reconsumeTimes }: ReceivedMessage): number => {
  if (to !== "broker") return to === "dead-letter" ? -1 : levelOf(to)
  return reconsumeTimes < 0 ? FIRST_LEVEL : 0
}

/** Finishes every message that is to be given back, and tells and counts it. */
const abandoning = ({ counters, group }: SendBackOptions) =>
  Effect.map(Effect.context(), (context): SendBack => {
    const run = Effect.runForkWith(context)
    const lines = LogLimit.make()
    return {
      giveBack: (received, _to, _reason, over) => {
        const { msgId, topic } = received.message
        counters.abandoned++
        received.queue.finish(received)
        over?.()
        run(
          lines.warn(
            `message ${ForeignText.clean(msgId)} of topic ${topic} was not consumed; group ${group} broadcasts, so it does not come again`
          )
        )
      },
      underWay: () => 0,
      awaitIdle: () => Effect.void
    }
  })

/**
 * Gives messages back to their brokers, so that they come again or become dead letters. A message counts as finished only
 * when a broker has acknowledged it: the send-back (36), or a copy sent to the retry topic instead. Anything else keeps the
 * message here and is tried again, after 5 s and growing, holding up no other.
 *
 * Source: RocketMQ `DefaultMQPushConsumerImpl.sendMessageBack`.
 */
export const make = Effect.fnUntraced(function* (options: SendBackOptions) {
  if (options.broadcasts) return yield* abandoning(options)
  const { counters, deadLettered, group, instance, maxReconsumeTimes, observer, resend, tell } = options
  const { api, routes } = instance
  const most = maxReconsumeTimes < 0 ? DEFAULT_MAX_RECONSUME_TIMES : maxReconsumeTimes
  const permits = yield* Semaphore.make(AT_ONCE)
  const run = yield* FiberSet.makeRuntime()
  const underWay = new Set<Received>()
  /** Those of them that failed at least once. */
  const failing = new Set<Received>()
  const waiters = Waiters.make()

  /** Asks the master of the message's broker, by the route as it is now: the address in the message may be of yesterday. */
  const ask = ({ message }: Received, to: GiveBack) =>
    Effect.suspend((): Effect.Effect<void, ApiError | RouteUnavailable> => {
      const address = routes.findBrokerAddressInSubscribe(message.brokerName, MASTER_ID, true)?.address
      if (address === undefined) {
        return Effect.fail(new RouteUnavailable({ topic: message.topic, problem: "no-master", tries: [] }))
      }
      const request = ConsumerSendMsgBack.request({
        offset: message.commitLogOffset,
        group,
        delayLevel: levelFor(to, message),
        originMsgId: message.msgId,
        originTopic: message.topic,
        maxReconsumeTimes: most,
        brokerName: message.brokerName
      })
      return api.call(address, request, TIMEOUT_MILLIS, () => undefined)
    })

  const failed = (received: Received, error: Error) => {
    failing.add(received)
    return tell(error, received)
  }

  const countFailure = Effect.sync(() => {
    counters.sendBackFailures++
  })

  /** Gives the broker from whose retry topic it comes again; undefined where that may be any. */
  const once = (received: Received, to: GiveBack): Effect.Effect<string | undefined, Error> => {
    const { queue } = received.message
    if (options.copies) {
      return permits.withPermits(1)(
        Effect.tapError(
          observer.settle("send back", queue, Effect.as(resend(received, to), undefined), received.message),
          (error) => Effect.andThen(countFailure, failed(received, error))
        )
      )
    }
    return permits.withPermits(1)(
      observer.settle("send back", queue, ask(received, to), received.message).pipe(
        Effect.as<string | undefined>(received.message.brokerName),
        Effect.catch((refusal) =>
          Effect.andThen(
            countFailure,
            // A copy instead; where that fails too, both are told.
            Effect.tapError(Effect.as(resend(received, to), undefined), () => failed(received, refusal))
          )
        )
      )
    )
  }

  /** What is to be told once a broker has taken the message: by its rule it lies with the dead letters then, or it does not. */
  const mourn = ({ message }: Received, to: GiveBack, reason: string | undefined) => {
    if (deadLettered === undefined) return Effect.void
    // In order, it is this client that counts.
    const isSpent = options.copies && maxReconsumeTimes >= 0 && message.reconsumeTimes >= maxReconsumeTimes
    if (to === "dead-letter" && !(isSpent && reason === undefined)) return deadLettered(message, "asked", reason)
    return message.reconsumeTimes >= most ? deadLettered(message, "max-reconsume-times", undefined) : Effect.void
  }

  const until = (received: Received, to: GiveBack, reason: string | undefined, over: (() => void) | undefined) =>
    once(received, to).pipe(
      Effect.retry({
        schedule: Schedule.exponential(RETRY_PAUSE_MILLIS).pipe(
          Schedule.modifyDelay(({ duration }) =>
            Effect.succeed(Duration.min(duration, Duration.millis(MAX_RETRY_PAUSE_MILLIS)))
          ),
          Schedule.jittered
        ),
        // What is of a generation that is over comes again by itself.
        while: () => !received.queue.dropped
      }),
      Effect.match({ onFailure: () => undefined, onSuccess: (brokerName) => ({ brokerName }) }),
      Effect.flatMap((taken) => {
        const { message } = received
        if (taken !== undefined && to !== "dead-letter" && message.reconsumeTimes < most) {
          options.taken(message, taken.brokerName)
        }
        if (received.queue.dropped) counters.late++
        else received.queue.finish(received)
        return taken === undefined ? Effect.void : mourn(received, to, reason)
      }),
      Effect.andThen(
        Effect.suspend(() => (failing.delete(received) && failing.size === 0 ? options.well : Effect.void))
      ),
      Effect.ensuring(
        Effect.sync(() => {
          failing.delete(received)
          underWay.delete(received)
          over?.()
          waiters.ask()
        })
      )
    )

  const self: SendBack = {
    giveBack: (received, to, reason, over) => {
      underWay.add(received)
      run(until(received, to, reason, over))
    },
    underWay: () => underWay.size,
    awaitIdle: (queue) =>
      waiters.until(() => {
        for (const one of underWay) if (queue === undefined || one.queue === queue) return false
        return true
      })
  }
  return self
})
