import { Effect } from "effect"
import type { Scope } from "effect"
import * as ForeignText from "../../message/ForeignText.ts"
import * as Namespace from "../../message/Namespace.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import type { ConsumerRunningInfo } from "../../protocol/push/ConsumerRunningInfo.ts"
import * as GetConsumerRunningInfo from "../../protocol/push/GetConsumerRunningInfo.ts"
import type { Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { Handlers } from "../../transport/Handlers.ts"
import type { MQConsumerInner } from "../ClientMembers.ts"

const refused = (remark: string): Response => ({ code: ResponseCode.SYSTEM_ERROR, remark })

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
 * Answers what a tool asks of a consumer through a broker (307), for as long as the scope is open. For a group that this
 * client does not run the answer is Java's.
 *
 * Source: RocketMQ `ClientRemotingProcessor.getConsumerRunningInfo`, `MQClientInstance.consumerRunningInfo`.
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
  return handlers.handle(
    RequestCode.GET_CONSUMER_RUNNING_INFO,
    Effect.fnUntraced(function* (_, request) {
      const header = GetConsumerRunningInfo.decodeRequest(request)
      if (header instanceof DecodeError) return refused(ForeignText.clean(header.message))
      const { consumerGroup, jstackEnable = false } = header
      const consumer = consumers.get(consumerGroup)
      if (consumer === undefined) {
        const group = namespace === undefined ? consumerGroup : Namespace.wrap(namespace, consumerGroup)
        return refused(`The Consumer Group <${group}> not exist in this consumer`)
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
}
