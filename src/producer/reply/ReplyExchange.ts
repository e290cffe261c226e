import { Clock, Deferred, type Duration, Effect, Random } from "effect"
import { HEARTBEATS_AT_ONCE } from "../../client/Heartbeat.ts"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import * as ForeignText from "../../message/ForeignText.ts"
import * as Message from "../../message/Message.ts"
import type { MessageExt } from "../../message/MessageExt.ts"
import * as Millis from "../../message/Millis.ts"
import { MASTER_ID } from "../../message/MixAll.ts"
import type { SendResult } from "../../message/SendResult.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"
import { withProperties } from "../send/PreparedMessage.ts"
import type { ProducerConfig } from "../ProducerConfig.ts"
import { NotARequest, RequestReplyClosed, RequestReplyTimeout } from "./ReplyError.ts"
import { type ReplyInput, replyTopic, type RequestOptions } from "./RequestReply.ts"
import type { SendEngine } from "../send/SendEngine.ts"
import type { SendError } from "../send/SendError.ts"
import { isTimeout, type SendOptions, timeoutOf } from "../send/SendOptions.ts"
import type { TopicPublishInfoTable } from "../queue/TopicPublishInfo.ts"
import * as Drain from "../../client/Drain.ts"
import { checkTopic } from "../../client/Names.ts"
import { monotonicMillis } from "../../transport/Deadline.ts"

/** Request and reply of one running producer. */
export interface ReplyExchange {
  /** Sends a message and waits for the reply to it. */
  readonly request: (
    message: Message.Message,
    timeout: Duration.Input,
    options?: RequestOptions
  ) => Effect.Effect<MessageExt, SendError | RequestReplyTimeout | RequestReplyClosed>
  /** Sends a reply to a message that a `request` sent. */
  readonly reply: (
    request: MessageExt,
    reply: ReplyInput,
    options?: SendOptions
  ) => Effect.Effect<SendResult, SendError | NotARequest>
  /** Waits for the requests under way, then ends those that are left; gives how many those were. */
  readonly drain: (timeoutMillis: number) => Effect.Effect<number>
}

/** The brokers are told of this client before its first request to a topic; for no longer than so many milliseconds. */
const INTRODUCTION_MILLIS = 1_000

/** A topic is on so many clusters at most: a route comes from outside, and each is a route more to keep. */
const MAX_CLUSTERS = 16

/** Replies go to topics of RocketMQ itself. */
const noReserved = { has: () => false, action: "replying" }

/** What a message says of itself that asks for a reply. */
const ASKED = [MessageConst.CLUSTER, MessageConst.CORRELATION_ID, MessageConst.MESSAGE_REPLY_TO_CLIENT] as const

/** What a message lacks to be a request: names of properties; none when it is one. */
const missingOf = ({ properties }: MessageExt): ReadonlyArray<string> => {
  const cluster = properties[MessageConst.CLUSTER]
  const missing = ASKED.filter((name) => properties[name] === undefined)
  if (cluster === undefined || missing.length > 0) return missing
  return checkTopic(replyTopic(cluster), noReserved) === undefined ? [] : [MessageConst.CLUSTER]
}

/** The message may come from anybody, and with it what it says of itself. */
const notARequest = ({ msgId, topic }: MessageExt, missing: ReadonlyArray<string>) =>
  new NotARequest({ topic: ForeignText.clean(topic), msgId: ForeignText.clean(msgId), missing })

/** Why a message cannot be replied to; undefined when it can. */
export const problemOf = (message: MessageExt): NotARequest | undefined => {
  const missing = missingOf(message)
  return missing.length === 0 ? undefined : notARequest(message, missing)
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0")

/** A random UUID (version 4) from the `Random` service. */
const makeUuids = (random: { readonly nextDoubleUnsafe: () => number }) => {
  const bits = (count: number) => Math.floor(random.nextDoubleUnsafe() * 2 ** count)
  return (): string =>
    `${hex(bits(32), 8)}-${hex(bits(16), 4)}-4${hex(bits(12), 3)}-${hex(0x8000 + bits(14), 4)}-${hex(bits(48), 12)}`
}

/**
 * Makes the requests and replies of a producer that has its instance.
 *
 * A reply comes by push: the replier's broker looks up the connection on which this client's id sent a heartbeat. So every
 * broker that may get the reply has to know the client first. Java lets only those of the request's topic know; here
 * those that have the cluster's reply topic know it too, where repliers send.
 *
 * Source: RocketMQ `DefaultMQProducerImpl.request`, `prepareSendRequest`, `MessageUtil.createReplyMessage`.
 */
export const make = Effect.fnUntraced(function* (
  config: ProducerConfig,
  instance: MQClientInstanceShape,
  table: TopicPublishInfoTable,
  engine: SendEngine
) {
  const clock = yield* Clock.Clock
  const uuid = makeUuids(yield* Random.Random)
  const { clientId, heartbeat, replies, routes } = instance
  const now = monotonicMillis(clock)
  const pending = Drain.make()
  const closed = Deferred.makeUnsafe<void>()

  const routeOf = (topic: string) => routes.topicRouteTable.get(topic)?.data

  /** The reply topics of the clusters that have the topic, as many as are believed. */
  const replyTopicsOf = (topic: string): ReadonlySet<string> => {
    const found = new Set<string>()
    for (const { cluster } of routeOf(topic)?.brokerDatas ?? []) {
      if (found.size < MAX_CLUSTERS) found.add(replyTopic(cluster))
    }
    return found
  }

  /** Addresses that {@link introduce} was at. One that did not answer is left to timer 3: it must not hold up every request. */
  const tried = new Set<string>()

  /** Masters that have a part in a request to the topic and never got a heartbeat of this client. */
  const strangers = (topic: string): ReadonlyArray<string> => {
    const found = new Set<string>()
    for (const one of [topic, ...replyTopicsOf(topic)]) {
      for (const { brokerName } of routeOf(one)?.brokerDatas ?? []) {
        const address = routes.brokerAddrTable.get(brokerName)?.get(MASTER_ID)
        if (address !== undefined && !heartbeat.table.has(address) && !tried.has(address)) found.add(address)
      }
    }
    return [...found]
  }

  const lookUp = (topic: string) =>
    Effect.suspend(() => {
      // In the table from now on, so that timer 2 keeps the route, and timer 3 the brokers.
      table.getOrPut(topic)
      return routeOf(topic) === undefined ? routes.updateTopicRouteInfoFromNameServer(topic, undefined) : Effect.void
    })

  const isIntroduced = (topic: string): boolean => {
    if (routeOf(topic) === undefined) return false
    for (const one of replyTopicsOf(topic)) if (table.get(one) === undefined) return false
    return strangers(topic).length === 0
  }

  /** Lets the brokers know this client. What goes wrong here is the send's to tell, or comes to nothing but a time-out. */
  const introduce = (topic: string, limitMillis: number) =>
    Effect.suspend(() =>
      isIntroduced(topic) ? Effect.void : Effect.ignore(Effect.timeoutOption(introduction(topic), limitMillis))
    )

  const greet = (address: string) =>
    heartbeat.sendHeartbeat(address).pipe(Effect.ignore, Effect.ensuring(Effect.sync(() => tried.add(address))))

  const introduction = Effect.fnUntraced(function* (topic: string) {
    yield* engine.fetchPublishMessageQueues(topic)
    yield* Effect.forEach(replyTopicsOf(topic), (one) => Effect.ignore(lookUp(one)), {
      concurrency: "unbounded",
      discard: true
    })
    yield* Effect.forEach(strangers(topic), greet, { concurrency: HEARTBEATS_AT_ONCE, discard: true })
  })

  const request: ReplyExchange["request"] = (message, timeout, options) =>
    Effect.suspend(() => {
      const { topic } = message
      const timeoutMillis = Millis.of(timeout)
      const usable = isTimeout(timeoutMillis)
      const correlationId = uuid()
      const deadline = now() + timeoutMillis
      const left = () => Math.max(0, deadline - now())
      const send = Effect.suspend(() =>
        engine.sendAs(
          message,
          (prepared) =>
            withProperties(prepared, {
              [MessageConst.CORRELATION_ID]: correlationId,
              [MessageConst.MESSAGE_REPLY_TO_CLIENT]: clientId,
              [MessageConst.MESSAGE_TTL]: String(Math.ceil(timeoutMillis))
            }),
          { ...options, timeoutMillis: usable ? Math.max(1, left()) : timeout }
        )
      )
      const silence = ({ msgId }: SendResult) =>
        Effect.suspend(() => Effect.sleep(left())).pipe(
          Effect.andThen(Effect.fail(new RequestReplyTimeout({ topic, correlationId, msgId, timeoutMillis })))
        )
      const end = Effect.andThen(Deferred.await(closed), Effect.fail(new RequestReplyClosed({ topic, correlationId })))
      const exchange = replies.expect(correlationId, (reply) =>
        // The reply may come before the answer to the send, or without it.
        Effect.raceFirst(reply, Effect.raceFirst(Effect.flatMap(send, silence), end))
      )
      const introduced = introduce(topic, Math.min(timeoutMillis, INTRODUCTION_MILLIS))
      return pending.track(usable ? Effect.andThen(introduced, exchange) : exchange)
    })

  const reply: ReplyExchange["reply"] = (to, input, options) =>
    Effect.suspend((): Effect.Effect<SendResult, SendError | NotARequest> => {
      const { properties, storeHost } = to
      const cluster = properties[MessageConst.CLUSTER]
      const missing = missingOf(to)
      if (cluster === undefined || missing.length > 0) return Effect.fail(notARequest(to, missing))
      const parts = typeof input === "string" || input instanceof Uint8Array ? { body: input } : input
      const message = Message.make({ ...parts, topic: replyTopic(cluster) })
      const marks: Record<string, string> = { [MessageConst.MESSAGE_TYPE]: "reply" }
      for (const name of [...ASKED.slice(1), MessageConst.MESSAGE_TTL]) {
        const value = properties[name]
        if (value !== undefined) marks[name] = value
      }
      const deadline = now() + timeoutOf(config, options)
      const send = (more: SendOptions) =>
        engine.sendAs(
          message,
          (prepared) => {
            const marked = withProperties(prepared, marks)
            return "form" in marked ? { ...marked, form: "REPLY_V2" } : marked
          },
          { ...options, ...more }
        )
      if (options?.queue !== undefined) return send({})
      // The broker that has the request is the one that surely knows the requester.
      return Effect.flatMap(engine.fetchPublishMessageQueues(message.topic), (queues) => {
        const queue = queues.find((one) => routes.findBrokerAddressInPublish(one.brokerName) === storeHost)
        if (queue === undefined) return send({})
        const elsewhere = (error: SendError) => {
          const left = deadline - now()
          return error.retryable && left >= 1 && queues.some((one) => one.brokerName !== queue.brokerName)
            ? send({ timeoutMillis: left })
            : Effect.fail(error)
        }
        return send({ queue }).pipe(Effect.catch(elsewhere))
      })
    })

  const self: ReplyExchange = {
    request,
    reply,
    drain: (timeoutMillis) =>
      Effect.flatMap(pending.drain(timeoutMillis), (left) => Effect.as(Deferred.succeed(closed, undefined), left))
  }
  return self
})
