import { Effect } from "effect"
import { DecodeError } from "../../protocol/DecodeError.ts"
import * as Long from "../../protocol/Long.ts"
import * as PopHandle from "../../protocol/PopHandle.ts"
import type { RemotingCommand, Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { PopMessageHeader, PopStatus } from "../../protocol/request/PopMessage.ts"
import * as PopMessage from "../../protocol/request/PopMessage.ts"
import type { Handlers } from "../server/Handler.ts"
import { counters } from "../server/LiveCounters.ts"
import * as Reply from "../server/Reply.ts"
import type { Channel } from "../server/RemotingServer.ts"
import type { Broker } from "./Broker.ts"
import * as MessageFilter from "./MessageFilter.ts"
import * as PopChecks from "./PopChecks.ts"
import type { Popped } from "./PopQueues.ts"
import * as PopQueues from "./PopQueues.ts"

/** Messages of one pop at most. */
const MAX_MESSAGES = 32

/** Milliseconds that a request may be late. Source: RocketMQ `PopMessageRequestHeader.isTimeoutTooMuch`. */
const LATE_MILLIS = 500

/** Queues of the revive topic, one checkpoint after the other in turn (Java `reviveQueueNum`). */
export const REVIVE_QUEUES = 8

const zeros = { popTime: "0", invisibleTime: "0", reviveQid: "0", restNum: "0" }

const respond = (header: PopMessageHeader, popped: Popped, status: PopStatus): Response =>
  PopMessage.response(
    {
      popTime: popped.popTime,
      invisibleTime: header.invisibleTime,
      reviveQid: popped.reviveQid,
      restNum: popped.rest,
      startOffsets: popped.startOffsets,
      messageOffsets: popped.messageOffsets,
      orderCounts: header.order === true ? popped.orderCounts : undefined,
      status,
      body: status === "FOUND" ? Buffer.concat(popped.bodies) : undefined
    },
    status === "FOUND" ? "FOUND" : "NO_MESSAGE_IN_QUEUE"
  )

/**
 * Pops (200050): messages of a topic and of what comes again of it, hidden for a while; a wait when there are none.
 *
 * Source: RocketMQ `PopMessageProcessor`.
 */
export const handlers = (broker: Broker): Handlers => {
  const { config, state } = broker
  let pops = 0

  /** What a pop is refused for before the topic is looked at. */
  const early = (header: PopMessageHeader): Response | undefined => {
    const host = broker.address().replace(/:\d+$/, "")
    const ends = Long.add(header.bornTime, header.pollTime)
    if (Long.subtract(broker.now(), ends) > LATE_MILLIS) {
      return Reply.refuse(ResponseCode.POLLING_TIMEOUT, `the broker[${host}] pop message is timeout too much`)
    }
    const forbidden = PopChecks.forbidden(broker, "pop message")
    if (forbidden !== undefined) return forbidden
    if (header.maxMsgNums > MAX_MESSAGES) {
      return Reply.refuse(
        ResponseCode.INVALID_PARAMETER,
        `the broker[${host}] pop message's num is greater than ${MAX_MESSAGES}`
      )
    }
    return config.timerWheelEnable
      ? undefined
      : Reply.refuse(
          ResponseCode.SYSTEM_ERROR,
          `the broker[${host}] pop message is forbidden because timerWheelEnable is false`
        )
  }

  const check = (header: PopMessageHeader, channel: Channel): Response | MessageFilter.MessageFilter => {
    const refused = early(header) ?? PopChecks.refusal(broker, header, channel)
    if (refused !== undefined) return refused
    const filter = PopChecks.filterOf(broker, header)
    if (!MessageFilter.isMessageFilter(filter)) return filter
    return header.maxMsgNums < 0
      ? Reply.refuse(
          ResponseCode.SYSTEM_ERROR,
          `java.lang.IllegalArgumentException: Illegal Capacity: ${header.maxMsgNums}`
        )
      : filter
  }

  const pop = (header: PopMessageHeader, filter: MessageFilter.MessageFilter): Popped => {
    const { consumerGroup, topic } = header
    const isOrder = header.order === true
    const draw = Math.floor(broker.draw() * 100)
    const popped: Popped = {
      popTime: broker.now(),
      reviveQid: isOrder ? PopHandle.ORDER_REVIVE_QUEUE : pops++ % REVIVE_QUEUES,
      bodies: [],
      startOffsets: [],
      messageOffsets: [],
      orderCounts: [],
      rest: 0,
      passed: false
    }
    const takeFrom = (name: string, retryFlag: PopHandle.RetryFlag): void => {
      const queues = state.topics.get(name)?.readQueueNums ?? 0
      for (let at = 0; at < queues; at++) {
        const source = { topic: name, retryFlag, queueId: (draw + at) % queues }
        PopQueues.take(broker, header, source, filter, popped)
      }
    }
    const takeRetries = (): void => {
      // With both kinds of retry topics one request looks at one of them.
      const retryFlag = config.enableRetryTopicV2 && draw % 2 !== 0 ? "2" : "1"
      takeFrom(PopHandle.popRetryTopic(consumerGroup, topic, retryFlag), retryFlag)
    }
    const retriesFirst = draw < config.popFromRetryProbability
    if (retriesFirst && !isOrder) takeRetries()
    if (header.queueId < 0) takeFrom(topic, "0")
    else PopQueues.take(broker, header, { topic, retryFlag: "0", queueId: header.queueId }, filter, popped)
    if (!retriesFirst && popped.bodies.length < header.maxMsgNums && !isOrder) takeRetries()
    return popped
  }

  /** When a queue that is popped in order gives something again by itself. */
  const freeAt = ({ consumerGroup, order, queueId, topic }: PopMessageHeader): number => {
    if (order !== true) return Infinity
    const queues = state.topics.get(topic)?.readQueueNums ?? 0
    const ids = queueId < 0 ? Array.from({ length: queues }, (_, id) => id) : [queueId]
    return ids.reduce((first, id) => {
      const at = state.ordered.freeAt({ group: consumerGroup, topic, queueId: id })
      return Math.min(first, at ?? Infinity)
    }, Infinity)
  }

  /** Waits, and then begins again, checks included. */
  const hold = (
    request: RemotingCommand,
    header: PopMessageHeader,
    filter: MessageFilter.MessageFilter,
    channel: Channel,
    popped: Popped,
    since: number
  ): Effect.Effect<Response> =>
    Effect.suspend(() => {
      const ends = Number(header.bornTime) + Number(header.pollTime)
      if (header.pollTime <= 0 || ends <= broker.now()) {
        return Effect.succeed(respond(header, popped, "POLLING_NOT_FOUND"))
      }
      counters.heldPulls += 1
      return broker.pops
        .hold({
          owner: channel.id,
          topic: header.topic,
          group: header.consumerGroup,
          queueId: header.queueId,
          matches: filter.matches,
          millis: Math.min(ends, freeAt(header)) - broker.now(),
          since
        })
        .pipe(
          Effect.ensuring(
            Effect.sync(() => {
              counters.heldPulls -= 1
            })
          ),
          Effect.flatMap((how) =>
            how === undefined
              ? Effect.succeed(respond(header, popped, "POLLING_FULL"))
              : Effect.andThen(channel.writable, answer(request, header, channel))
          )
        )
    })

  const answer = (request: RemotingCommand, header: PopMessageHeader, channel: Channel): Effect.Effect<Response> =>
    Effect.suspend(() => {
      const filter = check(header, channel)
      if (!MessageFilter.isMessageFilter(filter)) return Effect.succeed(PopChecks.withFields(filter, zeros))
      const since = broker.pops.signals()
      const popped = pop(header, filter)
      if (popped.bodies.length === 0) {
        // A look goes over so many messages that do not match, and not over more.
        return popped.passed && popped.rest > 0
          ? answer(request, header, channel)
          : hold(request, header, filter, channel, popped, since)
      }
      // Of those that wait for the same, one more has something to find.
      if (popped.rest > 0) broker.pops.wake(header.topic, header.consumerGroup, header.queueId)
      return Effect.succeed(respond(header, popped, "FOUND"))
    })

  const handler = (request: RemotingCommand, channel: Channel): Effect.Effect<Response> =>
    Effect.suspend(() => {
      const header = PopMessage.decodeRequest(PopChecks.withNumbers(request, broker.now()))
      return header instanceof DecodeError ? Effect.succeed(Reply.malformed(header)) : answer(request, header, channel)
    })

  return new Map([[RequestCode.POP_MESSAGE, handler]])
}
