import { Effect } from "effect"
import type { Scope } from "effect"
import * as ForeignText from "../../message/ForeignText.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"
import * as CheckTransactionState from "../../protocol/push/CheckTransactionState.ts"
import type { Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { Handlers, RequestHandler } from "../../transport/Handlers.ts"
import type { MQProducerInner } from "../ClientMembers.ts"
import * as LogLimit from "../LogLimit.ts"

/** Nobody gets to see it: the question is one-way, and its answer is an END_TRANSACTION. */
const taken: Response = { code: ResponseCode.SUCCESS }

/**
 * Takes a broker's question about a half message (39) and hands it to the producer of the message's group. A question for
 * a group that this client has no transactional producer of is dropped; the broker asks again, and another client of the
 * group next time.
 *
 * Source: RocketMQ `ClientRemotingProcessor.checkTransactionState`.
 */
const handler = (producers: ReadonlyMap<string, MQProducerInner>): RequestHandler => {
  const limit = LogLimit.make()
  return (address, request) =>
    Effect.suspend(() => {
      const decoded = CheckTransactionState.decodeRequest(request)
      if (decoded instanceof DecodeError) {
        return limit.warn(`dropped a transaction check of ${address}: ${ForeignText.clean(decoded.message)}`)
      }
      const { header, message } = decoded
      const group = message.properties[MessageConst.PRODUCER_GROUP]
      const check = group === undefined ? undefined : producers.get(group)?.checkTransactionState
      if (check === undefined) {
        return Effect.logDebug(
          `dropped a transaction check of ${address}: no transactional producer of group "${ForeignText.clean(group)}" here`
        )
      }
      return check(address, header, message)
    }).pipe(Effect.as(taken))
}

/** Hands the questions of brokers to the transactional producers in the table, for as long as the scope is open. */
export const register = (
  handlers: Pick<Handlers, "handle">,
  producers: ReadonlyMap<string, MQProducerInner>
): Effect.Effect<void, never, Scope.Scope> => handlers.handle(RequestCode.CHECK_TRANSACTION_STATE, handler(producers))
