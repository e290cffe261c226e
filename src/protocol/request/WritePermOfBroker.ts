import { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * WIPE_WRITE_PERM_OF_BROKER (205) and ADD_WRITE_PERM_OF_BROKER (327), client to name server: takes the write permission
 * of all topics of a broker out of the routes, or puts it back. The broker is not asked.
 *
 * ```text
 * brokerName   string
 * answer: wipeTopicCount int (205), addTopicCount int (327)
 * ```
 *
 * Source: RocketMQ `WipeWritePermOfBrokerRequestHeader`, `AddWritePermOfBrokerRequestHeader`.
 */
export interface WritePermOfBrokerHeader {
  /** The broker whose topics shall no more, or again, be written. */
  readonly brokerName: string
  /** Whether the broker's topics shall be writable. */
  readonly writable: boolean
}

/** How many topics were touched. */
export interface WritePermOfBrokerAnswer {
  /** How many topics were changed. */
  readonly topicCount: number
}

// The field is called brokerName on the wire as well, not bname as in other headers.
const header = HeaderCodec.struct({ brokerName: HeaderCodec.string })
const wiped = HeaderCodec.struct({ topicCount: HeaderCodec.named("wipeTopicCount", HeaderCodec.int) })
const added = HeaderCodec.struct({ topicCount: HeaderCodec.named("addTopicCount", HeaderCodec.int) })

/** What a client sends. */
export const request = ({ brokerName, writable }: WritePermOfBrokerHeader): Request => ({
  code: writable ? RequestCode.ADD_WRITE_PERM_OF_BROKER : RequestCode.WIPE_WRITE_PERM_OF_BROKER,
  extFields: header.encode({ brokerName })
})

/** What a name server reads, for both codes. */
export const decodeRequest = (cmd: RemotingCommand): WritePermOfBrokerHeader | DecodeError => {
  const value = header.decode(cmd.code, cmd.extFields)
  return value instanceof DecodeError
    ? value
    : { brokerName: value.brokerName, writable: cmd.code === RequestCode.ADD_WRITE_PERM_OF_BROKER }
}

/** What a name server answers. */
export const response = (value: WritePermOfBrokerAnswer, writable: boolean): Response => ({
  code: ResponseCode.SUCCESS,
  extFields: (writable ? added : wiped).encode(value)
})

/** What a client reads of an answer with code 0 to either. */
export const decodeResponse = (cmd: RemotingCommand): WritePermOfBrokerAnswer | DecodeError => {
  const answer = wiped.decode(RequestCode.WIPE_WRITE_PERM_OF_BROKER, cmd.extFields)
  return answer instanceof DecodeError ? added.decode(RequestCode.ADD_WRITE_PERM_OF_BROKER, cmd.extFields) : answer
}
