import { Effect } from "effect"
import type { RemotingCommand, Response } from "../protocol/RemotingCommand.ts"
import { RequestCode } from "../protocol/RequestCode.ts"
import { ResponseCode } from "../protocol/ResponseCode.ts"
import type { RebalanceService } from "./RebalanceService.ts"

/** Handles one request that a server sent; `address` is that server's. The answer to a one-way request is dropped. */
export type PushHandler = (address: string, request: RemotingCommand) => Effect.Effect<Response>

/**
 * Which handler takes which push. The transport runs it outside its read loop, and answers every code that is not here
 * with REQUEST_CODE_NOT_SUPPORTED.
 *
 * Source: RocketMQ `ClientRemotingProcessor`.
 */
export const make = (rebalance: () => RebalanceService | undefined): ReadonlyMap<number, PushHandler> =>
  new Map<number, PushHandler>([
    [
      RequestCode.NOTIFY_CONSUMER_IDS_CHANGED,
      () => Effect.as(rebalance()?.wakeup ?? Effect.void, { code: ResponseCode.SUCCESS })
    ]
  ])
