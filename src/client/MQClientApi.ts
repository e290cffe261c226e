import { Effect, Exit } from "effect"
import * as ForeignText from "../message/ForeignText.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import { DecodeError } from "../protocol/DecodeError.ts"
import type { HeartbeatData } from "../protocol/HeartbeatData.ts"
import type { RemotingCommand, Request } from "../protocol/RemotingCommand.ts"
import * as EndTransaction from "../protocol/request/EndTransaction.ts"
import * as GetRouteInfoByTopic from "../protocol/request/GetRouteInfoByTopic.ts"
import * as GetMaxOffset from "../protocol/request/GetMaxOffset.ts"
import * as HeartBeat from "../protocol/request/HeartBeat.ts"
import * as PopMessage from "../protocol/request/PopMessage.ts"
import * as PullMessage from "../protocol/request/PullMessage.ts"
import * as RecallMessage from "../protocol/request/RecallMessage.ts"
import * as SendMessage from "../protocol/request/SendMessage.ts"
import { makeSendMessageRequests, type SenderFields, type SentMessage } from "../protocol/request/SendMessageWriter.ts"
import * as UnregisterClient from "../protocol/request/UnregisterClient.ts"
import { requestCodeName } from "../protocol/RequestCode.ts"
import { ResponseCode, responseCodeName } from "../protocol/ResponseCode.ts"
import type { TopicRouteData } from "../protocol/TopicRouteData.ts"
import type { RemotingClient } from "../transport/RemotingClient.ts"
import type { RemotingError } from "../transport/RemotingError.ts"
import { invoke, invokeOneway } from "../transport/Requests.ts"
import type { CancelHandle, Resume } from "../transport/Requests.ts"
import { type AccessDenied, accessDenied } from "./AccessDenied.ts"
import {
  type ApiError,
  BrokerRejected,
  type NameServerUnavailable,
  type NoNameServer,
  UnreadableAnswer
} from "./ClientError.ts"
import type { NameServer } from "./NameServer.ts"
import * as PullOutcomes from "./PullOutcome.ts"

export { awaited, type CancelHandle } from "../transport/Requests.ts"

/** Reads the answer to a request; returns what is wrong with it where it cannot be read. */
export type DecodeAnswer<A> = (response: RemotingCommand) => A | DecodeError

/** The answer to a request: most of the time an `Exit`, so that nothing is left to run, else what there is to wait for. */
export type Answer<A, E> = Exit.Exit<A, E> | Effect.Effect<A, E>

/**
 * What follows an answer: at once, on the stack of whoever brings it, when it is there already; else when it comes, be it
 * by an interruption. `onExit` is given `c` and `d`, so that no closure has to be made for each request.
 */
export const conclude = <A, E, B, E2, C, D>(
  answer: Answer<A, E>,
  onExit: (exit: Exit.Exit<A, E>, c: C, d: D) => Answer<B, E2>,
  c: C,
  d: D
): Answer<B, E2> =>
  Exit.isExit(answer)
    ? onExit(answer, c, d)
    : Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(Effect.exit(restore(answer)), (exit) => restore(onExit(exit, c, d)))
      )

/** Sends messages in the dialect of `Requests`, and reads what brokers answer. */
export interface MessageSender {
  /**
   * Begins a send. "Stored, but" answers (FLUSH_DISK_TIMEOUT and so on) are successes; `status` tells them apart.
   * `bornTimestamp` is in milliseconds since the epoch.
   */
  readonly start: (
    address: string,
    message: SentMessage,
    queue: Pick<MessageQueue, "brokerName" | "queueId">,
    bornTimestamp: number,
    timeoutMillis: number,
    resume: Resume<SendMessage.StoredAnswer, ApiError>
  ) => CancelHandle | undefined
  /** Begins a send that nobody answers. */
  readonly startOneway: (
    address: string,
    message: SentMessage,
    queue: Pick<MessageQueue, "brokerName" | "queueId">,
    bornTimestamp: number,
    timeoutMillis: number,
    resume: Resume<void, ApiError>
  ) => CancelHandle | undefined
}

/** A request to a name server failed, or it answered with an error. */
export type NameServerApiError = NoNameServer | NameServerUnavailable | AccessDenied | BrokerRejected | UnreadableAnswer

/**
 * The requests of a client, each as one effect: an address and a header in, a typed answer or a typed error out.
 *
 * Source: RocketMQ `MQClientAPIImpl`.
 */
export interface MQClientApi {
  /** Any request to a broker. An answer other than SUCCESS fails with `BrokerRejected`. */
  readonly call: <A>(
    address: string,
    request: Request,
    timeoutMillis: number,
    decode: DecodeAnswer<A>
  ) => Effect.Effect<A, ApiError>
  /**
   * The release of a server as its last answer to {@link MQClientApi.call} said, as in `MQVersion`; undefined while it has
   * answered nothing. Old servers leave requests unanswered that they do not know, so the release chooses the request.
   */
  readonly releaseOf: (address: string) => number | undefined
  /** Any request to a name server, whichever answers. */
  readonly callNameServer: <A>(
    request: Request,
    timeoutMillis: number,
    decode: DecodeAnswer<A>
  ) => Effect.Effect<A, NameServerApiError>
  /** The route of a topic; undefined when no name server knows the topic. */
  readonly getTopicRouteInfo: (
    topic: string,
    timeoutMillis: number
  ) => Effect.Effect<TopicRouteData | undefined, NameServerApiError>
  /** The sends of one producer; `fields` are those that all of them have. */
  readonly messageSender: (fields: SenderFields) => MessageSender
  /** Takes back a message that waits for its exact time; gives the message's unique id. */
  readonly recallMessage: (
    address: string,
    header: RecallMessage.RecallMessageHeader,
    timeoutMillis: number
  ) => Effect.Effect<string, ApiError>
  /** The offset that the next message of a queue will get. */
  readonly getMaxOffset: (
    address: string,
    header: GetMaxOffset.GetMaxOffsetHeader,
    timeoutMillis: number
  ) => Effect.Effect<number, ApiError>
  /** What became of a half message; nobody answers. The remark says why, where there is something to say. */
  readonly endTransactionOneway: (
    address: string,
    header: EndTransaction.EndTransactionHeader,
    remark: string | undefined,
    timeoutMillis: number
  ) => Effect.Effect<void, RemotingError>
  /** A pull; what was found is handed out as it is stored, and `PulledMessages` reads it. */
  readonly pullMessage: (
    address: string,
    header: PullMessage.PullMessageHeader,
    timeoutMillis: number
  ) => Effect.Effect<PullOutcomes.PullOutcome<PullOutcomes.StoredMessages>, ApiError>
  /** A pop; what was found is handed out as it is stored, and `PopCalls` reads it. */
  readonly popMessage: (
    address: string,
    header: PopMessage.PopMessageHeader,
    timeoutMillis: number
  ) => Effect.Effect<PopMessage.PopMessageAnswer, ApiError>
  /** A heartbeat; gives the broker's whole answer, whose `version` is the broker's release. */
  readonly sendHeartbeat: (
    address: string,
    data: HeartbeatData,
    timeoutMillis: number
  ) => Effect.Effect<RemotingCommand, ApiError>
  /** Tells a broker that a group of this client has left. */
  readonly unregisterClient: (
    address: string,
    header: UnregisterClient.UnregisterClientHeader,
    timeoutMillis: number
  ) => Effect.Effect<void, ApiError>
}

/** What an answer that is no success means. */
export const rejected = (
  address: string,
  requestCode: number,
  response: RemotingCommand
): AccessDenied | BrokerRejected => {
  const { code } = response
  const request = requestCodeName(requestCode)
  const remark = ForeignText.clean(response.remark)
  return (
    accessDenied(address, request, code, remark) ??
    new BrokerRejected({ address, request, code, codeName: responseCodeName(code), remark })
  )
}

const unreadable = (address: string, requestCode: number, error: DecodeError) =>
  new UnreadableAnswer({ address, request: requestCodeName(requestCode), detail: ForeignText.clean(error.message) })

const isDecodeError = (value: unknown): value is DecodeError => value instanceof DecodeError

/** What a broker answered to a send. */
const stored = (
  exit: Exit.Exit<RemotingCommand, RemotingError>,
  address: string,
  requestCode: number
): Exit.Exit<SendMessage.StoredAnswer, ApiError> => {
  if (Exit.isFailure(exit)) return Exit.failCause(exit.cause)
  const response = exit.value
  if (SendMessage.statusOf(response.code) === undefined) return Exit.fail(rejected(address, requestCode, response))
  const answer = SendMessage.decodeResponse(response)
  return isDecodeError(answer) ? Exit.fail(unreadable(address, requestCode, answer)) : Exit.succeed(answer)
}

const read = <A>(
  address: string,
  request: Request,
  response: RemotingCommand,
  decode: DecodeAnswer<A>
): Effect.Effect<A, AccessDenied | BrokerRejected | UnreadableAnswer> => {
  if (response.code !== ResponseCode.SUCCESS) return Effect.fail(rejected(address, request.code, response))
  const answer = decode(response)
  return isDecodeError(answer) ? Effect.fail(unreadable(address, request.code, answer)) : Effect.succeed(answer)
}

/** Undefined in place of an answer that says the asked thing is not there. */
export const absentOn =
  (...codes: ReadonlyArray<number>) =>
  <A, R>(self: Effect.Effect<A, ApiError, R>): Effect.Effect<A | undefined, ApiError, R> =>
    Effect.catchIf(
      self,
      (error) => error._tag === "BrokerRejected" && codes.includes(error.code),
      () => Effect.succeed(undefined)
    )

/** How many servers' releases are kept. */
const MAX_RELEASES = 4_096

/** Makes the requests over a remoting client. */
export const make = (remoting: RemotingClient, nameServer: NameServer): MQClientApi => {
  const releases = new Map<string, number>()
  const call: MQClientApi["call"] = (address, request, timeoutMillis, decode) =>
    Effect.flatMap(invoke(remoting, address, request, timeoutMillis), (response) => {
      if (releases.size < MAX_RELEASES || releases.has(address)) releases.set(address, response.version)
      return read(address, request, response, decode)
    })

  const callNameServer: MQClientApi["callNameServer"] = (request, timeoutMillis, decode) =>
    Effect.flatMap(nameServer.invoke(request, timeoutMillis), ({ address, response }) =>
      read(address, request, response, decode)
    )

  return {
    call,
    callNameServer,
    releaseOf: (address) => releases.get(address),
    getTopicRouteInfo: (topic, timeoutMillis) =>
      callNameServer(
        GetRouteInfoByTopic.request({ topic, acceptStandardJsonOnly: true }),
        timeoutMillis,
        GetRouteInfoByTopic.decodeResponse
      ).pipe(
        Effect.catchIf(
          (error) => error._tag === "BrokerRejected" && error.code === ResponseCode.TOPIC_NOT_EXIST,
          () => Effect.succeed(undefined)
        )
      ),
    messageSender: (fields) => {
      const requestOf = makeSendMessageRequests(fields)
      return {
        start: (address, message, queue, bornTimestamp, timeoutMillis, resume) => {
          const request = requestOf(message, queue, bornTimestamp)
          return remoting.start(address, request, timeoutMillis, (answer) =>
            resume(conclude(answer, stored, address, request.code))
          )
        },
        startOneway: (address, message, queue, bornTimestamp, timeoutMillis, resume) =>
          remoting.startOneway(address, requestOf(message, queue, bornTimestamp), timeoutMillis, resume)
      }
    },
    recallMessage: (address, header, timeoutMillis) =>
      Effect.map(
        call(address, RecallMessage.request(header), timeoutMillis, RecallMessage.decodeResponse),
        ({ msgId }) => msgId
      ),
    getMaxOffset: (address, header, timeoutMillis) =>
      Effect.map(
        call(address, GetMaxOffset.request(header), timeoutMillis, GetMaxOffset.decodeResponse),
        ({ offset }) => offset
      ),
    endTransactionOneway: (address, header, remark, timeoutMillis) =>
      invokeOneway(remoting, address, { ...EndTransaction.request(header), remark }, timeoutMillis),
    pullMessage: (address, header, timeoutMillis) => {
      const request = PullMessage.request(header)
      return Effect.flatMap(
        invoke(remoting, address, request, timeoutMillis),
        (response): ReturnType<MQClientApi["pullMessage"]> => {
          if (PullMessage.statusOf(response.code) === undefined) {
            return Effect.fail(rejected(address, request.code, response))
          }
          const answer = PullMessage.decodeResponse(response)
          return isDecodeError(answer)
            ? Effect.fail(unreadable(address, request.code, answer))
            : Effect.succeed(PullOutcomes.ofAnswer(answer))
        }
      )
    },
    popMessage: (address, header, timeoutMillis) => {
      const request = PopMessage.request(header)
      return Effect.flatMap(
        invoke(remoting, address, request, timeoutMillis),
        (response): ReturnType<MQClientApi["popMessage"]> => {
          if (PopMessage.statusOf(response.code) === undefined) {
            return Effect.fail(rejected(address, request.code, response))
          }
          const answer = PopMessage.decodeResponse(response)
          return isDecodeError(answer) ? Effect.fail(unreadable(address, request.code, answer)) : Effect.succeed(answer)
        }
      )
    },
    sendHeartbeat: (address, data, timeoutMillis) =>
      call(address, HeartBeat.request(data), timeoutMillis, (response) => response),
    unregisterClient: (address, header, timeoutMillis) =>
      Effect.asVoid(call(address, UnregisterClient.request(header), timeoutMillis, UnregisterClient.decodeResponse))
  }
}
