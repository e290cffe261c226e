import { Effect } from "effect"
import type { Scope } from "effect"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { Handlers } from "../../transport/Handlers.ts"

/**
 * Has `changed` run whenever a broker says that a member of a consumer group came or went (40), for as long as the scope
 * is open. Whose group it is does not matter: a round of rebalance is for all consumers of the instance.
 *
 * Source: RocketMQ `ClientRemotingProcessor.notifyConsumerIdsChanged`.
 */
export const register = (
  handlers: Pick<Handlers, "handle">,
  changed: Effect.Effect<void>
): Effect.Effect<void, never, Scope.Scope> =>
  handlers.handle(RequestCode.NOTIFY_CONSUMER_IDS_CHANGED, () => Effect.as(changed, { code: ResponseCode.SUCCESS }))
