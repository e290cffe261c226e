import type { MessageQueue } from "../../message/MessageQueue.ts"
import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * QUERY_ASSIGNMENT (400), client to broker: which queues of a topic a consumer shall read, for clients that leave the
 * sharing to brokers (Java `clientRebalance` false). Any broker of the topic answers for all of them, with 0; brokers
 * before 5.0 do not know the code.
 *
 * ```text
 * no header
 * body: {"clientId":"...","consumerGroup":"...","messageModel":"CLUSTERING","strategyName":"AVG","topic":"..."}
 * answer body: {"messageQueueAssignments":[{"messageQueue":{queue},"mode":"PULL"}]}
 * ```
 *
 * Source: RocketMQ `QueryAssignmentRequestBody`, `QueryAssignmentResponseBody`.
 */
export interface QueryAssignmentBody {
  /** The consumer that asks, by its client id. */
  readonly clientId: string
  /** Its consumer group. */
  readonly consumerGroup: string
  /** `CLUSTERING` shares the queues out; `BROADCASTING` gives them all to everybody. */
  readonly messageModel: string
  /** How queues are shared: `AVG` or `AVG_BY_CIRCLE`. Brokers know no other. */
  readonly strategyName: string
  /** The topic. */
  readonly topic: string
}

/** One queue that a consumer shall read. Source: RocketMQ `MessageQueueAssignment`. */
export interface MessageQueueAssignment {
  /** The queue; in mode POP its number may be -1, which is every queue of the topic on that broker. */
  readonly messageQueue: MessageQueue
  /** `PULL`, or `POP` where an administrator chose it for the group and the topic. */
  readonly mode: string
}

/** What the consumer shall read from now on. */
export interface QueryAssignmentAnswer {
  /** Absent when the broker cannot tell: the consumer keeps what it has. An empty list takes everything away. */
  readonly messageQueueAssignments?: ReadonlyArray<MessageQueueAssignment> | undefined
}

const body: Body.RequiredBody<QueryAssignmentBody> = Body.struct({
  clientId: Body.withDefault(Body.string, ""),
  consumerGroup: Body.string,
  messageModel: Body.string,
  strategyName: Body.withDefault(Body.string, ""),
  topic: Body.string
})

const answer: Body.RequiredBody<QueryAssignmentAnswer> = Body.struct({
  messageQueueAssignments: Body.optional(
    Body.list(Body.struct({ messageQueue: Body.messageQueue, mode: Body.withDefault(Body.string, "PULL") }))
  )
})

/** What a client sends. */
export const request = (value: QueryAssignmentBody): Request => ({
  code: RequestCode.QUERY_ASSIGNMENT,
  extFields: undefined,
  body: Body.encode(body, value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): QueryAssignmentBody | DecodeError =>
  Body.decode(body, cmd.code, cmd.body)

/** What a broker answers. */
export const response = (value: QueryAssignmentAnswer): Response => ({
  code: ResponseCode.SUCCESS,
  body: Body.encode(answer, value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): QueryAssignmentAnswer | DecodeError =>
  Body.decode(answer, RequestCode.QUERY_ASSIGNMENT, cmd.body)
