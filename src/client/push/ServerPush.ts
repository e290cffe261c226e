import { Effect } from "effect"
import type { RemotingCommand, Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { ClientMembers } from "../ClientMembers.ts"
import type { RebalanceService } from "../RebalanceService.ts"
import * as ReplyPush from "./ReplyPush.ts"
import type { ReplyTable } from "./ReplyTable.ts"
import * as TransactionCheckPush from "./TransactionCheckPush.ts"

/** Handles one request that a server sent; `address` is that server's. The answer to a one-way request is dropped. */
export type PushHandler = (address: string, request: RemotingCommand) => Effect.Effect<Response>

/** What the handlers work with. */
export interface PushTargets {
  readonly rebalance: () => RebalanceService | undefined
  readonly members: ClientMembers
  readonly replies: ReplyTable
  /** Milliseconds since the epoch. */
  readonly nowMillis: () => number
}

/**
 * Which handler takes which push. The transport runs it outside its read loop, and answers every code that is not here
 * with REQUEST_CODE_NOT_SUPPORTED.
 *
 * Source: RocketMQ `ClientRemotingProcessor`.
 */
export const make = ({ members, nowMillis, rebalance, replies }: PushTargets): ReadonlyMap<number, PushHandler> =>
  new Map<number, PushHandler>([
    [
      RequestCode.NOTIFY_CONSUMER_IDS_CHANGED,
      () => Effect.as(rebalance()?.wakeup ?? Effect.void, { code: ResponseCode.SUCCESS })
    ],
    [RequestCode.CHECK_TRANSACTION_STATE, TransactionCheckPush.handler(members.producerTable)],
    [RequestCode.PUSH_REPLY_MESSAGE_TO_CLIENT, ReplyPush.handler(replies, nowMillis)]
  ])
