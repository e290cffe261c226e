import { Effect } from "effect"
import type { Scope } from "effect"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { DecodeError } from "../../src/protocol/DecodeError.ts"
import * as MessageCodec from "../../src/protocol/MessageCodec.ts"
import * as MessageProperties from "../../src/protocol/MessageProperties.ts"
import type { RemotingCommand, Request } from "../../src/protocol/RemotingCommand.ts"
import * as HeartBeat from "../../src/protocol/request/HeartBeat.ts"
import type { PullMessageHeader } from "../../src/protocol/request/PullMessage.ts"
import * as PullMessage from "../../src/protocol/request/PullMessage.ts"
import type { SendMessageHeader } from "../../src/protocol/request/SendMessage.ts"
import * as SendMessage from "../../src/protocol/request/SendMessage.ts"
import * as RemotingClient from "../support/remoting.ts"
import type { RemotingError } from "../../src/transport/RemotingError.ts"
import type { Wire } from "../../src/transport/Wire.ts"

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
export const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** Throws what a codec could not read, so that a test shows it. */
export const orThrow = <A>(value: A | DecodeError): A => {
  if (value instanceof DecodeError) throw value
  return value
}

/** A bare client of the protocol, which speaks to any address and collects what servers push. */
export interface RawClient {
  readonly call: (
    address: string,
    request: Request,
    timeoutMillis?: number
  ) => Effect.Effect<RemotingCommand, RemotingError>
  readonly oneway: (address: string, request: Request) => Effect.Effect<void, RemotingError>
  readonly close: (address: string) => Effect.Effect<void>
  readonly pushes: Array<RemotingCommand>
}

export const rawClient = (version?: number): Effect.Effect<RawClient, never, Wire | Scope.Scope> =>
  Effect.gen(function* () {
    const pushes: Array<RemotingCommand> = []
    const client = yield* RemotingClient.make(version === undefined ? {} : { version })
    yield* RemotingClient.handleAll(client, (_, request) =>
      Effect.sync(() => {
        pushes.push(request)
        return { code: 0 }
      })
    )
    return {
      call: (address, request, timeoutMillis = 3_000) => client.invoke(address, request, timeoutMillis),
      oneway: (address, request) => client.invokeOneway(address, request, 3_000),
      close: client.closeAddress,
      pushes
    }
  })

/** The address of a broker of the cluster. */
export const brokerAddress = Effect.fnUntraced(function* (name = "broker-a") {
  const cluster = yield* EmbeddedCluster
  const broker = cluster.brokers.find((candidate) => candidate.name === name)
  if (broker === undefined) throw new Error(`no broker ${name}`)
  return broker.address
})

/** The address of the first name server of the cluster. */
export const namesrvAddress = Effect.map(EmbeddedCluster, (cluster) => cluster.namesrvAddr.split(";")[0] ?? "")

export const sendHeader = (over: Partial<SendMessageHeader> = {}): SendMessageHeader => ({
  producerGroup: "pg",
  topic: "orders",
  defaultTopic: "TBW102",
  defaultTopicQueueNums: 4,
  queueId: 0,
  sysFlag: 0,
  bornTimestamp: 1_700_000_000_000,
  flag: 0,
  properties: MessageProperties.encode({ UNIQ_KEY: "7F00000100002A9F0000000000000001", WAIT: "true" }),
  reconsumeTimes: 0,
  unitMode: false,
  ...over
})

export const sendRequest = (
  over: Partial<SendMessageHeader> = {},
  body: Uint8Array = utf8("hello"),
  form: "V2" | "V1" = "V2"
): Request => SendMessage.request(sendHeader(over), body, form)

export const pullHeader = (over: Partial<PullMessageHeader> = {}): PullMessageHeader => ({
  consumerGroup: "cg",
  topic: "orders",
  queueId: 0,
  queueOffset: 0,
  maxMsgNums: 32,
  sysFlag: PullMessage.PullSysFlag.SUBSCRIPTION,
  commitOffset: 0,
  suspendTimeoutMillis: 0,
  subscription: "*",
  subVersion: 0,
  ...over
})

export const pullRequest = (over: Partial<PullMessageHeader> = {}): Request => PullMessage.request(pullHeader(over))

/** The messages in the body of an answer. */
export const messagesOf = (answer: RemotingCommand) => {
  const { error, messages } = MessageCodec.decodeAll(answer.body)
  if (error !== undefined) throw error
  return messages
}

/** The heartbeat of one consumer, whose subscriptions have version 7 unless told otherwise. */
export const consumerHeartbeat = (
  clientID: string,
  groupName: string,
  topics: ReadonlyArray<string>,
  tag?: string,
  over: {
    readonly messageModel?: string
    readonly heartbeatFingerprint?: number
    readonly withoutSub?: boolean
    readonly sql?: string
    readonly subVersion?: number
  } = {}
): Request =>
  HeartBeat.request({
    clientID,
    producerDataSet: [],
    consumerDataSet: [
      {
        groupName,
        consumeType: "CONSUME_PASSIVELY",
        messageModel: over.messageModel ?? "CLUSTERING",
        consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
        unitMode: false,
        subscriptionDataSet: topics.map((topic) => ({
          topic,
          subString: over.sql ?? tag ?? "*",
          tagsSet: tag === undefined ? [] : [tag],
          codeSet: tag === undefined ? [] : [MessageCodec.javaHashCode(tag)],
          subVersion: over.subVersion ?? 7,
          expressionType: over.sql === undefined ? "TAG" : "SQL92",
          classFilterMode: false
        }))
      }
    ],
    heartbeatFingerprint: over.heartbeatFingerprint ?? 0,
    withoutSub: over.withoutSub ?? false
  })

/** The heartbeat of one producer. */
export const producerHeartbeat = (clientID: string, groupName: string): Request =>
  HeartBeat.request({
    clientID,
    producerDataSet: [{ groupName }],
    consumerDataSet: [],
    heartbeatFingerprint: 0,
    withoutSub: false
  })
