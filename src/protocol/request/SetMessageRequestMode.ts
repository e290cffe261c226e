import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * SET_MESSAGE_REQUEST_MODE (401), tool to broker: whether a group pulls or pops a topic, for consumers that leave the sharing
 * to brokers.
 *
 * ```text
 * no header
 * body: {"consumerGroup":"...","mode":"POP","popShareQueueNum":8,"topic":"..."}
 * answer: none
 * ```
 *
 * Source: RocketMQ `SetMessageRequestModeRequestBody`.
 */
export interface MessageRequestMode {
  /** The consumer group. */
  readonly consumerGroup: string
  /** The topic. */
  readonly topic: string
  /** `PULL` or `POP`. */
  readonly mode: string
  /** In mode POP, of how many more consumers each pops the queues; 0 or less: every consumer pops all queues. */
  readonly popShareQueueNum: number
}

const body: Body.RequiredBody<MessageRequestMode> = Body.struct({
  consumerGroup: Body.string,
  mode: Body.withDefault(Body.string, "PULL"),
  popShareQueueNum: Body.withDefault(Body.int, 0),
  topic: Body.string
})

/** What a tool sends. */
export const request = (value: MessageRequestMode): Request => ({
  code: RequestCode.SET_MESSAGE_REQUEST_MODE,
  extFields: undefined,
  body: Body.encode(body, value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): MessageRequestMode | DecodeError =>
  Body.decode(body, cmd.code, cmd.body)

/** What a broker answers. */
export const response = (): Response => ({ code: ResponseCode.SUCCESS })
