import { Effect } from "effect"
import type { Scope } from "effect"
import * as ForeignText from "../../message/ForeignText.ts"
import type { MessageExt } from "../../message/MessageExt.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import * as ConsumeMessageDirectly from "../../protocol/push/ConsumeMessageDirectly.ts"
import type { Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { Handlers } from "../../transport/Handlers.ts"
import type { MQConsumerInner } from "../ClientMembers.ts"
import { unwrapMessage } from "../NamespaceRpcHook.ts"
import type { PulledMessages } from "../PulledMessages.ts"
import { notHere, refused } from "./Refusal.ts"

/** Messages that one client instance handles at once because a tool says so. */
const MAX_AT_ONCE = 4

/**
 * Lets a consumer process the one message that a tool sends through a broker (309), for as long as the scope is open, and
 * answers what its listener made of it. So few at once that no tool decides what a client holds.
 *
 * Source: RocketMQ `ClientRemotingProcessor.consumeMessageDirectly`, `MQClientInstance.consumeMessageDirectly`.
 */
export const register = (
  handlers: Pick<Handlers, "handle">,
  options: {
    readonly consumers: ReadonlyMap<string, MQConsumerInner>
    readonly pulled: Pick<PulledMessages, "unpack">
    readonly namespace: string | undefined
  }
): Effect.Effect<void, never, Scope.Scope> => {
  const { consumers, namespace, pulled } = options
  let underWay = 0

  const consume = Effect.fnUntraced(function* (
    handOver: NonNullable<MQConsumerInner["consumeMessageDirectly"]>,
    message: MessageExt,
    brokerName: string
  ): Effect.fn.Return<Response> {
    // The read loop of the connection does not wait for a handler.
    yield* Effect.yieldNow
    const unpacked = yield* Effect.result(
      pulled.unpack(namespace === undefined ? message : unwrapMessage(namespace, message))
    )
    return unpacked._tag === "Failure"
      ? refused(`the message cannot be unpacked: ${unpacked.failure.message}`)
      : ConsumeMessageDirectly.response(yield* handOver(unpacked.success, brokerName))
  })

  return handlers.handle(RequestCode.CONSUME_MESSAGE_DIRECTLY, (_, request) =>
    Effect.suspend(() => {
      const decoded = ConsumeMessageDirectly.decodeRequest(request)
      if (decoded instanceof DecodeError) return Effect.succeed(refused(decoded.message))
      const { header, message } = decoded
      const consumer = consumers.get(header.consumerGroup)
      if (consumer === undefined) return Effect.succeed(notHere(namespace, header.consumerGroup))
      const { consumeMessageDirectly, consumerGroup } = consumer
      if (consumeMessageDirectly === undefined) {
        return Effect.succeed(refused(`group ${consumerGroup} has no listener here: its messages are read one by one`))
      }
      if (message === undefined) return Effect.succeed(refused("the request holds no message"))
      if (underWay === MAX_AT_ONCE) {
        const remark = `${underWay} messages of tools are being processed here already; try again later`
        return Effect.succeed({ code: ResponseCode.SYSTEM_BUSY, remark })
      }
      underWay++
      return Effect.ensuring(
        consume(consumeMessageDirectly, message, ForeignText.clean(header.brokerName)),
        Effect.sync(() => {
          underWay--
        })
      )
    })
  )
}
