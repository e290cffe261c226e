import { Effect } from "effect"
import { RETRY_GROUP_TOPIC_PREFIX } from "../message/MixAll.ts"
import { absentOn } from "../client/MQClientApi.ts"
import * as MessageQueues from "../message/MessageQueue.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import type { SubscriptionData } from "../protocol/HeartbeatData.ts"
import * as GetConsumerConnectionList from "../protocol/request/GetConsumerConnectionList.ts"
import * as GetConsumeStats from "../protocol/request/GetConsumeStats.ts"
import type { Connection } from "../protocol/request/GetProducerConnectionList.ts"
import * as GetProducerConnectionList from "../protocol/request/GetProducerConnectionList.ts"
import { ResponseCode } from "../protocol/ResponseCode.ts"
import { type AdminContext, failing } from "./AdminContext.ts"
import type { AdminError } from "./AdminError.ts"
import { type Counted, gather } from "./Gather.ts"

/** A client of a group, and the brokers that it is connected to. */
export interface ClientConnection extends Connection {
  /** Their names, sorted. */
  readonly brokers: ReadonlyArray<string>
}

/** The clients of a consumer group at present; none when nobody is online. Source: RocketMQ `ConsumerConnection`. */
export interface ConsumerConnections {
  /** The consumer group, as it was asked for. */
  readonly group: string
  /** The members that are online, each once. */
  readonly connections: ReadonlyArray<ClientConnection>
  /** `CONSUME_PASSIVELY` (push), `CONSUME_ACTIVELY` (pull) or `CONSUME_POP`; undefined when nobody is online. */
  readonly consumeType: string | undefined
  /** `CLUSTERING` (each message to one member) or `BROADCASTING` (to every member); undefined when nobody is online. */
  readonly messageModel: string | undefined
  /**
   * Where the group begins a queue that it has no offset of, `CONSUME_FROM_LAST_OFFSET` for instance; undefined when
   * nobody is online.
   */
  readonly consumeFromWhere: string | undefined
  /** Sorted by topic. */
  readonly subscriptions: ReadonlyArray<SubscriptionData>
}

/** How far a group has read a queue. */
export interface QueueProgress {
  /** The queue. */
  readonly queue: MessageQueue
  /** The offset that the queue's next message gets. */
  readonly brokerOffset: number
  /** The offset that the group reads next: whatever its clients committed, a bigint where a number would not hold it. */
  readonly consumerOffset: number | bigint
  /** The offset up to which members have pulled, processed or not; 0 where the broker does not tell it. */
  readonly pullOffset: number | bigint
  /** `brokerOffset - consumerOffset`: messages that are still to be processed; rounded above 2^53. */
  readonly lag: number
  /** When the last processed message was stored, in milliseconds since the epoch; 0 when none was. */
  readonly lastTimestamp: number
}

/** How far a group has read. Source: RocketMQ `ConsumeStats`. */
export interface ConsumeProgress {
  /** The consumer group, as it was asked for. */
  readonly group: string
  /** Every queue that the group has an offset of, retries included. */
  readonly queues: ReadonlyArray<QueueProgress>
  /** The sum of the queues' lags; retries are told apart by their topic, `%RETRY%<group>`. */
  readonly lag: number
  /** Messages per second, over all brokers. */
  readonly consumeTps: number
}

/** The calls about the clients of groups; the names are those of Java's `DefaultMQAdminExt`. */
export interface Clients {
  /** The consumers of a group that are online. */
  readonly examineConsumerConnectionInfo: (group: string) => Effect.Effect<ConsumerConnections, AdminError>
  /** The producers of a group that are online. */
  readonly examineProducerConnectionInfo: (group: string) => Effect.Effect<ReadonlyArray<ClientConnection>, AdminError>
  /** How far a group has read its topics, or one of them. An unknown group has read nothing. */
  readonly examineConsumeStats: (group: string, topic?: string) => Effect.Effect<ConsumeProgress, AdminError>
}

/** Each client once, with all the brokers that it is connected to. */
const connections = (
  answers: ReadonlyArray<{
    readonly brokerName: string
    readonly answer: { readonly connectionSet: ReadonlyArray<Connection> }
  }>
): ReadonlyArray<ClientConnection> => {
  const clients = new Map<string, Connection & { brokers: Array<string> }>()
  for (const { answer, brokerName } of answers) {
    for (const connection of answer.connectionSet) {
      const known = clients.get(connection.clientId)
      if (known === undefined) clients.set(connection.clientId, { ...connection, brokers: [brokerName] })
      else known.brokers.push(brokerName)
    }
  }
  return [...clients.values()].toSorted((a, b) => (a.clientId < b.clientId ? -1 : 1))
}

// What is retried comes last.
const rank = ({ queue }: QueueProgress) => (queue.topic.startsWith(RETRY_GROUP_TOPIC_PREFIX) ? 1 : 0)

/** Makes the calls about clients. Source: RocketMQ `DefaultMQAdminExtImpl`. */
export const make = (context: AdminContext): Clients => {
  const { allMasters, instance, timeoutMillis, unwrap, unwrapQueue } = context
  const { api } = instance

  /** Asks every master; those on which there is nobody give nothing. */
  const everywhere = <A, E>(
    subject: string,
    ask: (address: string, counted: Counted) => Effect.Effect<A | undefined, E>
  ) =>
    Effect.flatMap(allMasters, (brokers) =>
      Effect.map(
        gather(subject, brokers, ({ address }, counted) => ask(address, counted)),
        (answers) =>
          brokers.flatMap(({ brokerName }, index) => {
            const answer = answers[index]
            return answer === undefined ? [] : [{ brokerName, answer }]
          })
      )
    )

  const consumers = Effect.fnUntraced(function* (group: string) {
    const request = GetConsumerConnectionList.request({ consumerGroup: group })
    const answers = yield* everywhere(`the consumers of group ${group}`, (address, counted) =>
      api
        .call(address, request, timeoutMillis, counted(GetConsumerConnectionList.decodeResponse))
        .pipe(absentOn(ResponseCode.CONSUMER_NOT_ONLINE))
    )
    const first = answers[0]?.answer
    const subscriptions = new Map(
      answers.flatMap(({ answer }) => [...answer.subscriptionTable.values()]).map((one) => [one.topic, one])
    )
    const result: ConsumerConnections = {
      group,
      connections: connections(answers),
      consumeType: first?.consumeType,
      messageModel: first?.messageModel,
      consumeFromWhere: first?.consumeFromWhere,
      subscriptions: [...subscriptions.values()]
        .map((one) => ({ ...one, topic: unwrap(one.topic) }))
        .toSorted((a, b) => (a.topic < b.topic ? -1 : 1))
    }
    return result
  })

  const producers = (group: string) => {
    const request = GetProducerConnectionList.request({ producerGroup: group })
    return Effect.map(
      everywhere(`the producers of group ${group}`, (address, counted) =>
        api
          .call(address, request, timeoutMillis, counted(GetProducerConnectionList.decodeResponse))
          // Brokers have no code of its own for a group without producers.
          .pipe(
            Effect.catchIf(
              (error) =>
                error._tag === "BrokerRejected" &&
                error.code === ResponseCode.SYSTEM_ERROR &&
                error.remark.includes("not exist"),
              () => Effect.succeed(undefined)
            )
          )
      ),
      connections
    )
  }

  const progress = Effect.fnUntraced(function* (group: string, topic: string | undefined) {
    const request = GetConsumeStats.request({ consumerGroup: group, topic })
    const answers = yield* everywhere(`the progress of group ${group}`, (address, counted) =>
      api.call(address, request, timeoutMillis, counted(GetConsumeStats.decodeResponse))
    )
    const queues = answers
      .flatMap(({ answer }) => answer.offsetTable)
      .map(([queue, offset]): QueueProgress => ({
        queue: unwrapQueue(queue),
        ...offset,
        lag: offset.brokerOffset - Number(offset.consumerOffset)
      }))
      .toSorted((a, b) => rank(a) - rank(b) || MessageQueues.compare(a.queue, b.queue))
    const result: ConsumeProgress = {
      group,
      queues,
      lag: queues.reduce((sum, { lag }) => sum + lag, 0),
      consumeTps: answers.reduce((sum, { answer }) => sum + answer.consumeTps, 0)
    }
    return result
  })

  return {
    examineConsumerConnectionInfo: (group) => consumers(group).pipe(failing(`list the consumers of group ${group}`)),
    examineProducerConnectionInfo: (group) => producers(group).pipe(failing(`list the producers of group ${group}`)),
    examineConsumeStats: (group, topic) => progress(group, topic).pipe(failing(`read the progress of group ${group}`))
  }
}
