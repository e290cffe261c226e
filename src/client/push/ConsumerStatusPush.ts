import { Effect } from "effect"
import type { Scope } from "effect"
import * as Namespace from "../../message/Namespace.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import type { ConsumerRunningInfo } from "../../protocol/push/ConsumerRunningInfo.ts"
import * as GetConsumerStatusFromClient from "../../protocol/push/GetConsumerStatusFromClient.ts"
import * as GetConsumerRunningInfo from "../../protocol/push/GetConsumerRunningInfo.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import type { Handlers } from "../../transport/Handlers.ts"
import type { MQConsumerInner } from "../ClientMembers.ts"
import { notHere, refused } from "./Refusal.ts"

/** What a consumer says of itself, as brokers and tools know its topics. */
const wrapped = (namespace: string, info: ConsumerRunningInfo): ConsumerRunningInfo => {
  const wrap = (name: string) => Namespace.wrap(namespace, name)
  return {
    ...info,
    subscriptionSet: info.subscriptionSet.map((one) => ({ ...one, topic: wrap(one.topic) })),
    mqTable: info.mqTable.map(([queue, state]) => [{ ...queue, topic: wrap(queue.topic) }, state]),
    mqPopTable: info.mqPopTable.map(([queue, state]) => [{ ...queue, topic: wrap(queue.topic) }, state]),
    statusTable: new Map([...info.statusTable].map(([topic, status]) => [wrap(topic), status]))
  }
}

/**
 * Answers what a tool asks of a consumer through a broker, for as long as the scope is open: what it does (307), and how far
 * it has processed a topic (221). For a group that this client does not run the answers are Java's: a refusal, and nothing.
 *
 * Source: RocketMQ `ClientRemotingProcessor.getConsumerRunningInfo` and `getConsumeStatus`.
 */
export const register = (
  handlers: Pick<Handlers, "handle">,
  options: {
    readonly consumers: ReadonlyMap<string, MQConsumerInner>
    readonly nameServers: Effect.Effect<ReadonlyArray<string>>
    readonly namespace: string | undefined
  }
): Effect.Effect<void, never, Scope.Scope> => {
  const { consumers, nameServers, namespace } = options
  const status = handlers.handle(RequestCode.GET_CONSUMER_STATUS_FROM_CLIENT, (_, request) =>
    Effect.sync(() => {
      const header = GetConsumerStatusFromClient.decodeRequest(request)
      if (header instanceof DecodeError) return refused(header.message)
      const offsets = consumers.get(header.group)?.consumerStatus(header.topic) ?? []
      return GetConsumerStatusFromClient.response({
        messageQueueTable: offsets.map(([queue, offset]) => [
          namespace === undefined ? queue : { ...queue, topic: Namespace.wrap(namespace, queue.topic) },
          offset
        ])
      })
    })
  )
  const runningInfo = handlers.handle(
    RequestCode.GET_CONSUMER_RUNNING_INFO,
    Effect.fnUntraced(function* (_, request) {
      const header = GetConsumerRunningInfo.decodeRequest(request)
      if (header instanceof DecodeError) return refused(header.message)
      const { consumerGroup, jstackEnable = false } = header
      const consumer = consumers.get(consumerGroup)
      if (consumer === undefined) {
        return notHere(namespace, consumerGroup)
      }
      const info = consumer.consumerRunningInfo(jstackEnable)
      const whole: ConsumerRunningInfo = {
        ...info,
        properties: new Map([
          ...info.properties,
          ["PROP_NAMESERVER_ADDR", (yield* nameServers).map((address) => `${address};`).join("")],
          ["PROP_CONSUME_TYPE", consumer.heartbeatData().consumeType],
          ["PROP_CLIENT_VERSION", "V5_5_0"]
        ])
      }
      return GetConsumerRunningInfo.response(namespace === undefined ? whole : wrapped(namespace, whole))
    })
  )
  return Effect.andThen(status, runningInfo)
}
