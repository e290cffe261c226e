import { Effect } from "effect"
import * as ForeignText from "../message/ForeignText.ts"
import { DecodeError } from "../protocol/DecodeError.ts"
import type { HeartbeatData } from "../protocol/HeartbeatData.ts"
import type { RemotingCommand, Request } from "../protocol/RemotingCommand.ts"
import * as EndTransaction from "../protocol/request/EndTransaction.ts"
import * as GetRouteInfoByTopic from "../protocol/request/GetRouteInfoByTopic.ts"
import * as HeartBeat from "../protocol/request/HeartBeat.ts"
import * as PullMessage from "../protocol/request/PullMessage.ts"
import * as SendMessage from "../protocol/request/SendMessage.ts"
import * as UnregisterClient from "../protocol/request/UnregisterClient.ts"
import { requestCodeName } from "../protocol/RequestCode.ts"
import { ResponseCode, responseCodeName } from "../protocol/ResponseCode.ts"
import type { TopicRouteData } from "../protocol/TopicRouteData.ts"
import type { RemotingClient } from "../transport/RemotingClient.ts"
import type { RemotingError } from "../transport/RemotingError.ts"
import { invoke, invokeOneway } from "../transport/Requests.ts"
import type { Requests } from "../transport/Requests.ts"
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

/** Reads the answer to a request; returns what is wrong with it where it cannot be read. */
export type DecodeAnswer<A> = (response: RemotingCommand) => A | DecodeError

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
  /** Begins a send; what the answer says, {@link MQClientApi.readStored} tells. */
  readonly startSendMessage: Requests["start"]
  /**
   * Reads the answer to a send. "Stored, but" answers (FLUSH_DISK_TIMEOUT and so on) are successes; the answer's `code`
   * tells them apart.
   */
  readonly readStored: (
    address: string,
    request: Request,
    response: RemotingCommand
  ) => SendMessage.SendMessageAnswer | AccessDenied | BrokerRejected | UnreadableAnswer
  /** Begins a send that nobody answers. */
  readonly startSendMessageOneway: Requests["startOneway"]
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

const isStored = (code: number) =>
  code === ResponseCode.SUCCESS ||
  code === ResponseCode.FLUSH_DISK_TIMEOUT ||
  code === ResponseCode.SLAVE_NOT_AVAILABLE ||
  code === ResponseCode.FLUSH_SLAVE_TIMEOUT

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
    startSendMessage: remoting.start,
    readStored: (address, request, response) => {
      if (!isStored(response.code)) return rejected(address, request.code, response)
      const answer = SendMessage.decodeResponse(response)
      return isDecodeError(answer) ? unreadable(address, request.code, answer) : answer
    },
    startSendMessageOneway: remoting.startOneway,
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
    sendHeartbeat: (address, data, timeoutMillis) =>
      call(address, HeartBeat.request(data), timeoutMillis, (response) => response),
    unregisterClient: (address, header, timeoutMillis) =>
      Effect.asVoid(call(address, UnregisterClient.request(header), timeoutMillis, UnregisterClient.decodeResponse))
  }
}
