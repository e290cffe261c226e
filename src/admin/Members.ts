import { Effect } from "effect"
import { absentOn } from "../client/MQClientApi.ts"
import * as MessageQueues from "../message/MessageQueue.ts"
import * as ConsumeMessageDirectly from "../protocol/push/ConsumeMessageDirectly.ts"
import type { ConsumerRunningInfo } from "../protocol/push/ConsumerRunningInfo.ts"
import * as GetConsumerRunningInfo from "../protocol/push/GetConsumerRunningInfo.ts"
import * as GetConsumerStatus from "../protocol/request/GetConsumerStatus.ts"
import { ResponseCode } from "../protocol/ResponseCode.ts"
import { type AdminContext, failing } from "./AdminContext.ts"
import { type AdminError, ConsumerNotOnline } from "./AdminError.ts"
import type { ClientConnection, Clients } from "./Clients.ts"
import { type Counted, gatherEach } from "./Gather.ts"
import type { ResetQueue } from "./Offsets.ts"
import type { Queries } from "./Queries.ts"

/** Which message is to be processed, and by whom. */
export interface ConsumeDirectlyOptions {
  /** The topic that the message lies in, or is found by: for one that comes again `%RETRY%<group>`. */
  readonly topic: string
  /** The sender's id, or the offset message id. */
  readonly msgId: string
  /** The consumer group. */
  readonly group: string
  /** The member; by default the first by client id that is online. */
  readonly clientId?: string | undefined
}

/** What a member made of the message. Source: RocketMQ `ConsumeMessageDirectlyResult`. */
export interface DirectConsumption extends ConsumeMessageDirectly.ConsumeMessageDirectlyResult {
  /** The member that processed it. */
  readonly clientId: string
}

/** How far one member of a group has processed a topic, as it says itself. */
export interface MemberStatus {
  /** The member. */
  readonly clientId: string
  /** The queues that it reads, sorted, and its position in each: what it has committed, or is about to. */
  readonly queues: ReadonlyArray<ResetQueue>
}

/** What one member of a group says of itself; `info` is undefined for one that does not answer. */
export interface MemberInfo {
  /** The member, with the brokers that it is connected to. */
  readonly client: ClientConnection
  /** Its settings, its subscriptions, the state of its queues, and how fast it is. */
  readonly info: ConsumerRunningInfo | undefined
}

/** The calls that members of a consumer group answer, through a broker; the names are those of Java's `DefaultMQAdminExt`. */
export interface Members {
  /**
   * Has a member of a group process one message now, and gives what it made of it. No offset moves, and the message is not
   * given back: what comes of it counts for nothing. A broker waits ten seconds for the member. Fails with
   * `ConsumerNotOnline` where nobody of the group is online.
   */
  readonly consumeMessageDirectly: (options: ConsumeDirectlyOptions) => Effect.Effect<DirectConsumption, AdminError>
  /** How far each member of a group that is online has processed a topic, or the one that is named; none is no failure. */
  readonly getConsumeStatus: (
    topic: string,
    group: string,
    clientId?: string
  ) => Effect.Effect<ReadonlyArray<MemberStatus>, AdminError>
  /**
   * What the members of a group that are online say of themselves, at most 64 of them, or the one that is named. With
   * `jstack` a member in Java adds the stacks of its threads; one of this package has fibers, and says so. Fails with
   * `ConsumerNotOnline` where nobody of the group, or not the member that is named, is online.
   */
  readonly getConsumerRunningInfo: (
    group: string,
    options?: { readonly clientId?: string | undefined; readonly jstack?: boolean | undefined }
  ) => Effect.Effect<ReadonlyArray<MemberInfo>, AdminError>
}

/** A broker waits ten seconds for the member, and each other part of the call takes a moment. */
const LEAST_DIRECT_MILLIS = 12_000
/** Members that are asked what they do; of a larger group the first ones by client id. */
const MAX_MEMBERS = 64
/** How many members are asked at once: the answer of one may be megabytes. */
const MEMBERS_AT_ONCE = 4
/** Brokers over which a member is asked, one after the other. */
const BROKERS_A_MEMBER = 2
/** A broker waits five seconds for each member. */
const LEAST_STATUS_MILLIS = 6_000

/** What a broker says where nobody of the group is online: Java throws there, and some say so. */
const isNobody = (remark: string): boolean => /NullPointerException|No Any Consumer online/.test(remark)

/** Makes the calls about members. Source: RocketMQ `DefaultMQAdminExtImpl`. */
export const make = (
  context: AdminContext,
  { examineConsumerConnectionInfo }: Pick<Clients, "examineConsumerConnectionInfo">,
  { queryMessageById }: Pick<Queries, "queryMessageById">
): Members => {
  const { addressOf, allMasters, instance, mastersOf, timeoutMillis, unwrap, unwrapQueue } = context
  const { api } = instance

  const consume = Effect.fnUntraced(function* ({ clientId, group, msgId, topic }: ConsumeDirectlyOptions) {
    const message = yield* queryMessageById(topic, msgId)
    const { brokerName, offsetMsgId, queueId } = message
    const operation = `have group ${group} process message ${msgId} of topic ${topic}`
    const online = clientId ?? (yield* examineConsumerConnectionInfo(group)).connections[0]?.clientId
    if (online === undefined) return yield* failing(operation)(Effect.fail(new ConsumerNotOnline({ group })))
    const address = yield* addressOf({ topic: message.topic, brokerName, queueId }).pipe(failing(operation))
    const result = yield* api
      .call(
        address,
        ConsumeMessageDirectly.request({
          consumerGroup: group,
          clientId: online,
          msgId: offsetMsgId,
          brokerName,
          topic: message.topic
        }),
        Math.max(timeoutMillis, LEAST_DIRECT_MILLIS),
        ConsumeMessageDirectly.decodeResponse
      )
      .pipe(failing(operation))
    return { ...result, clientId: online } satisfies DirectConsumption
  })

  const status = Effect.fnUntraced(function* (topic: string, group: string, clientId: string | undefined) {
    for (const { address } of yield* mastersOf(topic)) {
      const answer = yield* api
        .call(
          address,
          GetConsumerStatus.request({ topic, group, clientAddr: clientId }),
          Math.max(timeoutMillis, LEAST_STATUS_MILLIS),
          GetConsumerStatus.decodeResponse
        )
        .pipe(
          absentOn(ResponseCode.CONSUMER_NOT_ONLINE),
          Effect.catchIf(
            (error) =>
              error._tag === "BrokerRejected" && error.code === ResponseCode.SYSTEM_ERROR && isNobody(error.remark),
            () => Effect.succeed(undefined)
          )
        )
      // Every broker of the topic asks the same members.
      if (answer !== undefined) {
        return [...answer.consumerTable]
          .map(([member, queues]): MemberStatus => ({
            clientId: member,
            queues: queues
              .map(([queue, offset]) => ({ queue: unwrapQueue(queue), offset }))
              .toSorted((a, b) => MessageQueues.compare(a.queue, b.queue))
          }))
          .toSorted((a, b) => (a.clientId < b.clientId ? -1 : 1))
      }
    }
    return []
  })

  /** Asks one member over the brokers that it is connected to, until one brings an answer. */
  const infoOf = Effect.fnUntraced(function* (
    group: string,
    client: ClientConnection,
    jstack: boolean,
    counted: Counted,
    addresses: ReadonlyMap<string, string>
  ) {
    const { clientId } = client
    for (const brokerName of client.brokers.slice(0, BROKERS_A_MEMBER)) {
      const address = addresses.get(brokerName)
      if (address === undefined) continue
      const info = yield* Effect.option(
        api.call(
          address,
          GetConsumerRunningInfo.request({ consumerGroup: group, clientId, jstackEnable: jstack }),
          Math.max(timeoutMillis, LEAST_DIRECT_MILLIS),
          counted(GetConsumerRunningInfo.decodeResponse)
        )
      )
      if (info._tag === "Some") return { client, info: localInfo(info.value) } satisfies MemberInfo
    }
    return { client, info: undefined } satisfies MemberInfo
  })

  const localInfo = (info: ConsumerRunningInfo): ConsumerRunningInfo => ({
    ...info,
    subscriptionSet: info.subscriptionSet.map((one) => ({ ...one, topic: unwrap(one.topic) })),
    mqTable: info.mqTable
      .map(([queue, state]) => [unwrapQueue(queue), state] as const)
      .toSorted(([a], [b]) => MessageQueues.compare(a, b)),
    statusTable: new Map([...info.statusTable].map(([topic, one]) => [unwrap(topic), one]))
  })

  const runningInfo = Effect.fnUntraced(function* (group: string, wanted: string | undefined, jstack: boolean) {
    const operation = `ask the members of group ${group} what they do`
    const { connections } = yield* examineConsumerConnectionInfo(group)
    const asked = connections.filter(({ clientId }) => wanted === undefined || clientId === wanted)
    if (asked.length === 0) return yield* failing(operation)(Effect.fail(new ConsumerNotOnline({ group })))
    const addresses = new Map(
      (yield* allMasters.pipe(failing(operation))).map(({ address, brokerName }) => [brokerName, address])
    )
    return yield* gatherEach(
      `the members of group ${group}`,
      asked.slice(0, MAX_MEMBERS),
      (client, counted) => infoOf(group, client, jstack, counted, addresses),
      { concurrency: MEMBERS_AT_ONCE }
    ).pipe(failing(operation))
  })

  return {
    getConsumerRunningInfo: (group, { clientId, jstack = false } = {}) => runningInfo(group, clientId, jstack),
    consumeMessageDirectly: consume,
    getConsumeStatus: (topic, group, clientId) =>
      status(topic, group, clientId).pipe(
        failing(`ask the members of group ${group} how far they are in topic ${topic}`)
      )
  }
}
