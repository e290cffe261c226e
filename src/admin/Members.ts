import { Effect } from "effect"
import { absentOn } from "../client/MQClientApi.ts"
import * as MessageQueues from "../message/MessageQueue.ts"
import * as ConsumeMessageDirectly from "../protocol/push/ConsumeMessageDirectly.ts"
import * as GetConsumerStatus from "../protocol/request/GetConsumerStatus.ts"
import { ResponseCode } from "../protocol/ResponseCode.ts"
import { type AdminContext, failing } from "./AdminContext.ts"
import { type AdminError, ConsumerNotOnline } from "./AdminError.ts"
import type { Clients } from "./Clients.ts"
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
}

/** A broker waits ten seconds for the member, and each other part of the call takes a moment. */
const LEAST_DIRECT_MILLIS = 12_000
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
  const { addressOf, instance, mastersOf, timeoutMillis, unwrapQueue } = context
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

  return {
    consumeMessageDirectly: consume,
    getConsumeStatus: (topic, group, clientId) =>
      status(topic, group, clientId).pipe(
        failing(`ask the members of group ${group} how far they are in topic ${topic}`)
      )
  }
}
