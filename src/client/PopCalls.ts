import { Clock, Effect } from "effect"
import type { MessageExt } from "../message/MessageExt.ts"
import * as Namespace from "../message/Namespace.ts"
import type { SubscriptionData } from "../protocol/HeartbeatData.ts"
import { MessageConst } from "../protocol/MessageProperties.ts"
import * as PopHandle from "../protocol/PopHandle.ts"
import * as AckMessage from "../protocol/request/AckMessage.ts"
import * as ChangeInvisibleTime from "../protocol/request/ChangeInvisibleTime.ts"
import * as Notification from "../protocol/request/Notification.ts"
import type { InitMode } from "../protocol/request/PopMessage.ts"
import { RequestCode } from "../protocol/RequestCode.ts"
import { monotonicMillis } from "../transport/Deadline.ts"
import type { ApiError } from "./ClientError.ts"
import type { MQClientInstanceShape } from "./MQClientInstance.ts"

/** Messages that one pop asks for at most: brokers refuse more. */
export const MAX_POPPED = 32

/** What a broker may take for an answer that it does not hold, beside the time that it holds one, in milliseconds. */
const ANSWER_MILLIS = 10_000

/** A topic of a group on one broker, and what of it is wanted. */
export interface PopTarget {
  readonly consumerGroup: string
  /** The subscription, whose topic is popped. */
  readonly subscription: SubscriptionData
  readonly brokerName: string
  /** `host:port` of the broker's master. */
  readonly address: string
}

/** A handle, and the time for which it holds, in milliseconds of this client's monotonic clock. */
export interface TimedHandle {
  readonly handle: PopHandle.PopHandle
  /** When it was asked for: its time began no earlier. */
  readonly began: number
  /** When it is over: no later than for its broker. */
  readonly until: number
}

/** A popped message and its handle. */
export interface Popped extends TimedHandle {
  readonly message: MessageExt
}

/** What a pop gave. */
export interface PopAnswer {
  /** What the subscription wants. */
  readonly messages: ReadonlyArray<Popped>
  /** What only has the hash of a wanted tag; somebody is to acknowledge it. */
  readonly unwanted: ReadonlyArray<Popped>
  /** How many came for which the answer makes no handle: they come again, and nobody can acknowledge them. */
  readonly withoutHandle: number
}

/** A message as acknowledgements and extensions name it. */
export interface PoppedPlace {
  readonly consumerGroup: string
  /** The topic that was popped, also for what lies in the group's retry topic of it. */
  readonly topic: string
  readonly handle: PopHandle.PopHandle
  /** `host:port` of its broker's master. */
  readonly address: string
}

/**
 * The requests of pop. Brokers are never asked to hold a pop: whoever stops waiting for one loses what it brings until its
 * time is over. They hold a question whether there is something (NOTIFICATION), which takes nothing. What they measure holds
 * by is their own clock: `bornTime` is 0.
 *
 * Source: RocketMQ `MQClientAPIImpl.popMessageAsync`, `processPopResponse`, `ackMessageAsync`, `changeInvisibleTimeAsync`.
 */
export interface PopCalls {
  /** Takes what is there, `max` at most, hidden from others for so many milliseconds. */
  readonly pop: (
    target: PopTarget,
    options: {
      readonly max: number
      readonly invisibleMillis: number
      readonly initMode: (typeof InitMode)[keyof typeof InitMode]
    }
  ) => Effect.Effect<PopAnswer, ApiError>
  /** Whether there is something to pop, for which the broker waits so many milliseconds. */
  readonly notification: (
    target: PopTarget,
    waitMillis: number
  ) => Effect.Effect<Notification.NotificationAnswer, ApiError>
  /** Acknowledges a message. A broker says yes also where the handle is over or was used, and does nothing then. */
  readonly ack: (place: PoppedPlace, timeoutMillis: number) => Effect.Effect<void, ApiError>
  /** Hides a message for so many milliseconds from now on; gives its next handle. */
  readonly changeInvisibleTime: (
    place: PoppedPlace,
    invisibleMillis: number,
    timeoutMillis: number
  ) => Effect.Effect<TimedHandle, ApiError>
}

const header = ({ brokerName, consumerGroup, subscription }: PopTarget) => ({
  consumerGroup,
  topic: subscription.topic,
  queueId: -1,
  bornTime: 0,
  expType: subscription.expressionType,
  exp: subscription.subString,
  brokerName
})

/** A broker's word on a time counts where it is the shorter one. */
const lasting = (answered: PopHandle.PopHandle["invisibleTime"], asked: number) => {
  const millis = Number(answered)
  return millis > 0 && millis < asked ? millis : asked
}

/** Both names in it have the namespace. */
const placeOf = (namespace: string | undefined, { consumerGroup, handle, topic }: PoppedPlace) => ({
  consumerGroup,
  topic: PopHandle.realTopic(
    Namespace.wrap(namespace, consumerGroup),
    Namespace.wrap(namespace, topic),
    handle.retryFlag
  ),
  queueId: handle.queueId,
  extraInfo: PopHandle.encode(handle),
  offset: handle.msgQueueOffset,
  brokerName: handle.brokerName
})

/** Makes the requests of an instance. */
export const make = ({
  api,
  config,
  pulled
}: Pick<MQClientInstanceShape, "api" | "config" | "pulled">): Effect.Effect<PopCalls> =>
  Effect.map(Clock.Clock, (clock): PopCalls => {
    const now = monotonicMillis(clock)
    const pop: PopCalls["pop"] = Effect.fnUntraced(function* (target, { initMode, invisibleMillis, max }) {
      const { address, brokerName, subscription } = target
      const began = now()
      const answer = yield* api.popMessage(
        address,
        { ...header(target), maxMsgNums: max, invisibleTime: invisibleMillis, pollTime: 0, initMode },
        ANSWER_MILLIS
      )
      const messages: Array<Popped> = []
      const unwanted: Array<Popped> = []
      if (answer.status !== "FOUND" || answer.body.length === 0) return { messages, unwanted, withoutHandle: 0 }
      const read = yield* pulled.read(address, RequestCode.POP_MESSAGE, answer.body, max)
      const handles = PopHandle.handlesOf(
        brokerName,
        answer,
        read.map(({ properties, queueId, queueOffset, topic }) => ({
          topic,
          queueId,
          queueOffset,
          popCk: properties[MessageConst.POP_CK]
        }))
      )
      const tags = new Set(subscription.expressionType === "TAG" ? subscription.tagsSet : [])
      let withoutHandle = 0
      read.forEach((message, index) => {
        const handle = handles[index]
        if (handle === undefined) {
          withoutHandle++
          return
        }
        const one = { message, handle, began, until: began + lasting(handle.invisibleTime, invisibleMillis) }
        if (tags.size === 0 || (message.tags !== undefined && tags.has(message.tags))) messages.push(one)
        else unwanted.push(one)
      })
      return { messages, unwanted, withoutHandle }
    })

    return {
      pop,
      notification: (target, waitMillis) =>
        api.call(
          target.address,
          Notification.request({ ...header(target), pollTime: Math.ceil(waitMillis) }),
          Math.ceil(waitMillis) + ANSWER_MILLIS,
          Notification.decodeResponse
        ),
      ack: (place, timeoutMillis) =>
        api.call(place.address, AckMessage.request(placeOf(config.namespace, place)), timeoutMillis, () => undefined),
      changeInvisibleTime: Effect.fnUntraced(function* (place, invisibleMillis, timeoutMillis) {
        const began = now()
        const { invisibleTime, popTime, reviveQid } = yield* api.call(
          place.address,
          ChangeInvisibleTime.request({ ...placeOf(config.namespace, place), invisibleTime: invisibleMillis }),
          timeoutMillis,
          ChangeInvisibleTime.decodeResponse
        )
        const { handle } = place
        return {
          handle: { ...handle, ckQueueOffset: handle.msgQueueOffset, popTime, invisibleTime, reviveQid },
          began,
          until: began + lasting(invisibleTime, invisibleMillis)
        }
      })
    }
  })
