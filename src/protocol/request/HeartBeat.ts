import type { DecodeError } from "../DecodeError.ts"
import { boolean } from "../HeaderCodec.ts"
import * as HeartbeatData from "../HeartbeatData.ts"
import type { ExtFields, RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * HEART_BEAT (34), client to broker: which groups this client runs. The header is empty, the body is `HeartbeatData`.
 *
 * ```text
 * answer of 5.x: IS_SUPPORT_HEART_BEAT_V2 boolean | IS_SUB_CHANGE boolean; a broker of 4.x sends neither
 * ```
 *
 * The answer's `version` is the broker's release.
 *
 * Source: RocketMQ `HeartbeatRequestHeader`, `ClientManageProcessor`.
 */
export interface HeartBeatAnswer {
  /** Whether the broker understands heartbeats without subscriptions. */
  readonly isSupportHeartBeatV2: boolean
  /** Whether the broker wants the subscriptions again. */
  readonly isSubChange: boolean
}

/** What a client sends. */
export const request = (data: HeartbeatData.HeartbeatData): Request => ({
  code: RequestCode.HEART_BEAT,
  extFields: {},
  body: HeartbeatData.encode(data)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): HeartbeatData.HeartbeatData | DecodeError =>
  HeartbeatData.decode(cmd.body)

/** What a broker answers; without an answer as a broker of 4.x does. */
export const response = (answer?: HeartBeatAnswer): Response =>
  answer === undefined
    ? { code: ResponseCode.SUCCESS }
    : {
        code: ResponseCode.SUCCESS,
        extFields: {
          IS_SUPPORT_HEART_BEAT_V2: String(answer.isSupportHeartBeatV2),
          IS_SUB_CHANGE: String(answer.isSubChange)
        }
      }

/** What a client reads of an answer with code 0; both are false when the broker says nothing. */
export const decodeResponse = (cmd: RemotingCommand): HeartBeatAnswer | DecodeError => ({
  isSupportHeartBeatV2: flag(cmd.extFields, "IS_SUPPORT_HEART_BEAT_V2"),
  isSubChange: flag(cmd.extFields, "IS_SUB_CHANGE")
})

const flag = (fields: ExtFields | undefined, name: string): boolean => boolean.read(fields?.[name] ?? "") === true
