/** A client of its own that looks at the target's servers, so that what a producer says can be compared with what they have. */
import { Context, Data, Effect, Layer } from "effect"
import type { MessageExt } from "../../src/message/MessageExt.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import { PermName } from "../../src/message/MixAll.ts"
import { DecodeError } from "../../src/protocol/DecodeError.ts"
import * as MessageCodec from "../../src/protocol/MessageCodec.ts"
import type { RemotingCommand, Request } from "../../src/protocol/RemotingCommand.ts"
import * as CreateTopic from "../../src/protocol/request/CreateTopic.ts"
import * as DeleteTopic from "../../src/protocol/request/DeleteTopic.ts"
import * as GetConsumerListByGroup from "../../src/protocol/request/GetConsumerListByGroup.ts"
import * as GetMaxOffset from "../../src/protocol/request/GetMaxOffset.ts"
import * as GetProducerConnectionList from "../../src/protocol/request/GetProducerConnectionList.ts"
import * as GetRouteInfoByTopic from "../../src/protocol/request/GetRouteInfoByTopic.ts"
import * as PullMessage from "../../src/protocol/request/PullMessage.ts"
import * as QueryConsumerOffset from "../../src/protocol/request/QueryConsumerOffset.ts"
import * as ViewMessageById from "../../src/protocol/request/ViewMessageById.ts"
import { ResponseCode } from "../../src/protocol/ResponseCode.ts"
import type { TopicRouteData } from "../../src/protocol/TopicRouteData.ts"
import * as RemotingClient from "../support/remoting.ts"
import type { RemotingError } from "../../src/transport/RemotingError.ts"
import type { Wire } from "../../src/transport/Wire.ts"

/** An answer that the observer did not expect. */
export class UnexpectedAnswer extends Data.TaggedError("UnexpectedAnswer")<{
  readonly address: string
  readonly request: number
  readonly detail: string
}> {
  override get message() {
    return `${this.address} answered request ${this.request} with ${this.detail}`
  }
}

type Failure = RemotingError | UnexpectedAnswer

/** How a topic is created; what is left out is 4 queues, readable and writable. */
export interface TopicShape {
  readonly queues?: number
  readonly perm?: number
}

/** What can be looked at. */
export interface ObserverShape {
  /** The clients that a broker knows under a producer group; none when it does not know the group. */
  readonly producers: (
    brokerAddress: string,
    group: string
  ) => Effect.Effect<ReadonlyArray<GetProducerConnectionList.Connection>, Failure>
  /** The clients that a broker knows under a consumer group; none when it knows none. */
  readonly members: (
    brokerAddress: string,
    group: string
  ) => Effect.Effect<GetConsumerListByGroup.GetConsumerListByGroupAnswer, Failure>
  /** Up to where a group has read a queue, as its broker has it; undefined when it has nothing. */
  readonly committed: (queue: MessageQueue.MessageQueue, group: string) => Effect.Effect<number | undefined, Failure>
  /** Creates or changes a topic on one broker. */
  readonly createTopic: (brokerAddress: string, topic: string, shape?: TopicShape) => Effect.Effect<void, Failure>
  /** Takes a topic from one broker; name servers are not told. */
  readonly deleteTopic: (brokerAddress: string, topic: string) => Effect.Effect<void, Failure>
  /** Takes a topic from the name server; brokers that have it are not told. */
  readonly forgetRoute: (topic: string) => Effect.Effect<void, Failure>
  /** The route that the first name server has of a topic. */
  readonly route: (topic: string) => Effect.Effect<TopicRouteData | undefined, Failure>
  /** Everything a queue holds, in order. */
  readonly readQueue: (queue: MessageQueue.MessageQueue) => Effect.Effect<ReadonlyArray<MessageExt>, Failure>
  /** Everything the topic's queues hold, by the key of the queue. */
  readonly readTopic: (topic: string) => Effect.Effect<ReadonlyMap<string, ReadonlyArray<MessageExt>>, Failure>
  /** The message at one place. */
  readonly messageAt: (queue: MessageQueue.MessageQueue, offset: number) => Effect.Effect<MessageExt, Failure>
  /** The message at a place of a broker's commit log. */
  readonly messageById: (brokerAddress: string, commitLogOffset: number) => Effect.Effect<MessageExt, Failure>
}

/** Generous: the machine may be busy with other work. */
const TIMEOUT_MILLIS = 30_000

/** Pulls that find nothing where there must be something, before that counts as a failure. */
const EMPTY_PULLS = 200

/** Looks at a cluster by its name servers; the addresses of brokers come from the routes. */
export class Observer extends Context.Service<Observer, ObserverShape>()("effect-rocketmq/test/conformance/Observer") {
  static readonly layer = (namesrvAddr: string): Layer.Layer<Observer, never, Wire> =>
    Layer.effect(Observer, make(namesrvAddr))
}

/** Reads an answer whose code was expected. */
const read = <A>(
  address: string,
  request: Request,
  response: RemotingCommand,
  decode: (response: RemotingCommand) => A | DecodeError
): Effect.Effect<A, UnexpectedAnswer> => {
  const value = decode(response)
  return value instanceof DecodeError
    ? Effect.fail(new UnexpectedAnswer({ address, request: request.code, detail: value.message }))
    : Effect.succeed(value)
}

/** Makes an observer that lives in the scope. */
export const make = Effect.fnUntraced(function* (namesrvAddr: string) {
  const client = yield* RemotingClient.make({})
  const nameServer = namesrvAddr.split(";")[0] ?? ""

  const call = <A>(address: string, request: Request, decode: (response: RemotingCommand) => A | DecodeError) =>
    Effect.flatMap(client.invoke(address, request, TIMEOUT_MILLIS), (response) =>
      response.code === ResponseCode.SUCCESS
        ? read(address, request, response, decode)
        : Effect.fail(
            new UnexpectedAnswer({
              address,
              request: request.code,
              detail: `${response.code} ${response.remark ?? ""}`
            })
          )
    )

  const route: ObserverShape["route"] = (topic) => {
    const request = GetRouteInfoByTopic.request({ topic, acceptStandardJsonOnly: true })
    return Effect.flatMap(
      client.invoke(nameServer, request, TIMEOUT_MILLIS),
      (response): Effect.Effect<TopicRouteData | undefined, UnexpectedAnswer> =>
        response.code === ResponseCode.TOPIC_NOT_EXIST
          ? Effect.succeed(undefined)
          : read(nameServer, request, response, GetRouteInfoByTopic.decodeResponse)
    )
  }

  const masterOf = Effect.fnUntraced(function* (queue: MessageQueue.MessageQueue) {
    const data = yield* route(queue.topic)
    const address = data?.brokerDatas.find((broker) => broker.brokerName === queue.brokerName)?.brokerAddrs.get(0)
    return (
      address ??
      (yield* new UnexpectedAnswer({
        address: nameServer,
        request: 105,
        detail: `no master of ${queue.brokerName} in the route of ${queue.topic}`
      }))
    )
  })

  /** The messages from an offset on, at least one. */
  const pull = Effect.fnUntraced(function* (address: string, queue: MessageQueue.MessageQueue, offset: number) {
    const request = PullMessage.request({
      consumerGroup: "conformance-observer",
      topic: queue.topic,
      queueId: queue.queueId,
      queueOffset: offset,
      maxMsgNums: 32,
      sysFlag: PullMessage.PullSysFlag.SUBSCRIPTION,
      commitOffset: 0,
      suspendTimeoutMillis: 0,
      subscription: "*",
      subVersion: 0,
      expressionType: "TAG"
    })
    for (let i = 0; i < EMPTY_PULLS; i++) {
      const response = yield* client.invoke(address, request, TIMEOUT_MILLIS)
      const answer = yield* read(address, request, response, PullMessage.decodeResponse)
      if (answer.status === "FOUND") {
        const { error, messages } = MessageCodec.decodeAll(answer.body)
        if (error === undefined && messages.length > 0) return messages
        yield* new UnexpectedAnswer({ address, request: request.code, detail: error?.message ?? "no message" })
      }
      // A broker that has just started indexes its log a moment later.
      yield* Effect.sleep(25)
    }
    return yield* new UnexpectedAnswer({
      address,
      request: request.code,
      detail: `no message at ${MessageQueue.key(queue)} offset ${offset}`
    })
  })

  const readQueue: ObserverShape["readQueue"] = Effect.fnUntraced(function* (queue) {
    const address = yield* masterOf(queue)
    const place = { topic: queue.topic, queueId: queue.queueId }
    const { offset: end } = yield* call(address, GetMaxOffset.request(place), GetMaxOffset.decodeResponse)
    const found: Array<MessageExt> = []
    while (found.length < end) {
      const messages = yield* pull(address, queue, found.length)
      for (const message of messages) {
        if (message.queueOffset !== found.length) {
          yield* new UnexpectedAnswer({
            address,
            request: 11,
            detail: `offset ${message.queueOffset} where ${found.length} was asked for`
          })
        }
        found.push(message)
      }
    }
    return found
  })

  const readTopic: ObserverShape["readTopic"] = Effect.fnUntraced(function* (topic) {
    const data = yield* route(topic)
    const queues = (data?.queueDatas ?? []).flatMap((q) =>
      Array.from({ length: Math.max(q.readQueueNums, q.writeQueueNums) }, (_, id) =>
        MessageQueue.make(topic, q.brokerName, id)
      )
    )
    const contents = yield* Effect.forEach(
      queues,
      (queue) => Effect.map(readQueue(queue), (messages) => [MessageQueue.key(queue), messages] as const),
      { concurrency: 8 }
    )
    return new Map(contents)
  })

  return Observer.of({
    producers: (address, group) => {
      const request = GetProducerConnectionList.request({ producerGroup: group })
      return Effect.flatMap(
        client.invoke(address, request, TIMEOUT_MILLIS),
        (response): Effect.Effect<ReadonlyArray<GetProducerConnectionList.Connection>, UnexpectedAnswer> =>
          response.code === ResponseCode.SYSTEM_ERROR && response.remark?.includes("not exist") === true
            ? Effect.succeed([])
            : Effect.map(
                read(address, request, response, GetProducerConnectionList.decodeResponse),
                (answer) => answer.connectionSet
              )
      )
    },
    members: (address, consumerGroup) => {
      const request = GetConsumerListByGroup.request({ consumerGroup })
      return Effect.flatMap(
        client.invoke(address, request, TIMEOUT_MILLIS),
        (response): Effect.Effect<GetConsumerListByGroup.GetConsumerListByGroupAnswer, UnexpectedAnswer> =>
          response.code === ResponseCode.SYSTEM_ERROR &&
          response.remark?.includes("no consumer for this group") === true
            ? Effect.succeed({ consumerIdList: [] })
            : read(address, request, response, GetConsumerListByGroup.decodeResponse)
      )
    },
    committed: Effect.fnUntraced(function* (queue, consumerGroup) {
      const address = yield* masterOf(queue)
      const { queueId, topic } = queue
      const request = QueryConsumerOffset.request({ consumerGroup, topic, queueId, setZeroIfNotFound: false })
      const response = yield* client.invoke(address, request, TIMEOUT_MILLIS)
      if (response.code === ResponseCode.QUERY_NOT_FOUND) return undefined
      return Number((yield* read(address, request, response, QueryConsumerOffset.decodeResponse)).offset)
    }),
    createTopic: (address, topic, { perm = PermName.READ | PermName.WRITE, queues = 4 } = {}) =>
      call(
        address,
        CreateTopic.request({
          topic,
          defaultTopic: "TBW102",
          readQueueNums: queues,
          writeQueueNums: queues,
          perm,
          topicFilterType: "SINGLE_TAG",
          topicSysFlag: 0,
          order: false
        }),
        CreateTopic.decodeResponse
      ),
    deleteTopic: (address, topic) =>
      call(address, DeleteTopic.request({ topic }, "broker"), DeleteTopic.decodeResponse),
    forgetRoute: (topic) => call(nameServer, DeleteTopic.request({ topic }, "namesrv"), DeleteTopic.decodeResponse),
    route,
    readQueue,
    readTopic,
    messageAt: Effect.fnUntraced(function* (queue, offset) {
      const address = yield* masterOf(queue)
      const [message] = yield* pull(address, queue, offset)
      return (
        message ??
        (yield* new UnexpectedAnswer({ address, request: 11, detail: `no message at ${MessageQueue.key(queue)}` }))
      )
    }),
    messageById: (address, commitLogOffset) =>
      call(address, ViewMessageById.request({ offset: commitLogOffset }), ViewMessageById.decodeResponse)
  })
})
