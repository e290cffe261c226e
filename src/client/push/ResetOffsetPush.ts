import { Effect } from "effect"
import type { Scope } from "effect"
import * as ForeignText from "../../message/ForeignText.ts"
import * as Namespace from "../../message/Namespace.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import * as ResetConsumerClientOffset from "../../protocol/push/ResetConsumerClientOffset.ts"
import type { Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { Handlers } from "../../transport/Handlers.ts"
import type { MQConsumerInner } from "../ClientMembers.ts"
import * as LogLimit from "../LogLimit.ts"
import { refused } from "./Refusal.ts"

/** Nobody gets to see it: the request is one-way. */
const taken: Response = { code: ResponseCode.SUCCESS }

/**
 * Takes a reset that a broker tells (220) and hands it to the consumer of the group, for as long as the scope is open. A
 * broker of 5.x tells it in the answer to a pull instead, unless it is set otherwise.
 *
 * Source: RocketMQ `ClientRemotingProcessor.resetOffset`, `MQClientInstance.resetOffset`.
 */
export const register = (
  handlers: Pick<Handlers, "handle">,
  options: { readonly consumers: ReadonlyMap<string, MQConsumerInner>; readonly namespace: string | undefined }
): Effect.Effect<void, never, Scope.Scope> => {
  const { consumers, namespace } = options
  const limit = LogLimit.make()
  return handlers.handle(RequestCode.RESET_CONSUMER_CLIENT_OFFSET, (address, request) =>
    Effect.suspend((): Effect.Effect<Response> => {
      const decoded = ResetConsumerClientOffset.decodeRequest(request)
      if (decoded instanceof DecodeError) {
        const problem = ForeignText.clean(decoded.message)
        return Effect.as(limit.warn(`dropped a reset that ${address} told: ${problem}`), refused(problem))
      }
      const { body, header } = decoded
      const consumer = consumers.get(header.group)
      if (consumer === undefined) {
        return Effect.as(
          Effect.logDebug(
            `dropped a reset of ${address}: no consumer of group "${ForeignText.clean(header.group)}" here`
          ),
          taken
        )
      }
      const offsets = body.offsetTable.flatMap(([queue, offset]): ReadonlyArray<readonly [typeof queue, number]> =>
        // No queue is as long as that, and below 0 there is nothing to read on at.
        typeof offset === "bigint" || offset < 0
          ? []
          : [[namespace === undefined ? queue : { ...queue, topic: Namespace.unwrap(namespace, queue.topic) }, offset]]
      )
      return Effect.as(consumer.resetOffset(header.topic, offsets), taken)
    })
  )
}
