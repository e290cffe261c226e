import { Effect } from "effect"
import * as MixAll from "../../message/MixAll.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import type { RemotingCommand, Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { TopicConfig } from "../../protocol/TopicConfig.ts"
import * as RegisterBroker from "../../protocol/request/RegisterBroker.ts"
import * as UnregisterBroker from "../../protocol/request/UnregisterBroker.ts"
import type { Channel } from "../server/RemotingServer.ts"
import type { Handlers } from "../server/Handler.ts"
import type { NameServer } from "./NameServer.ts"
import { MAX_BROKERS, MAX_NAME_LENGTH, MAX_QUEUES, MAX_REGISTRATION_MILLIS, MAX_TOPICS } from "../server/Limits.ts"
import * as Remarks from "../server/Remarks.ts"
import * as Reply from "../server/Reply.ts"

/** Brokers of other processes, which register over the wire (103) and say goodbye (104). The embedded ones need neither. */
export interface ForeignBrokers {
  readonly handlers: Handlers
  /** A connection ended: the broker that registered over it is gone. */
  readonly onClose: (channel: Channel) => Effect.Effect<void>
}

interface Registration {
  readonly brokerName: string
  readonly brokerId: number
  readonly address: string
  readonly channel: number
  /** Milliseconds since the epoch at which it expires unless it registers again. */
  readonly expiry: number
}

/** Milliseconds of silence after which a broker that names no other time is dropped. */
const DEFAULT_EXPIRY_MILLIS = 120_000

/** Source: RocketMQ `DefaultRequestProcessor`, `BrokerHousekeepingService`, `RouteInfoManager.scanNotActiveBroker`. */
export const make = ({ fork, kv, now, routes }: NameServer): ForeignBrokers => {
  const table = new Map<string, Registration>()
  let watching = false

  const drop = (registration: Registration): void => {
    table.delete(registration.address)
    routes.unregister(registration.brokerName, registration.brokerId, registration.address)
  }

  const dropWhere = (match: (registration: Registration) => boolean): void => {
    for (const registration of table.values()) if (match(registration)) drop(registration)
  }

  /** Sleeps from one expiry to the next for as long as there are registrations. */
  const expire: Effect.Effect<void> = Effect.suspend(() => {
    if (table.size === 0) {
      watching = false
      return Effect.void
    }
    let due = Infinity
    for (const { expiry } of table.values()) due = Math.min(due, expiry)
    return Effect.sleep(Math.max(0, due - now())).pipe(
      Effect.andThen(Effect.sync(() => dropWhere((registration) => registration.expiry <= now()))),
      Effect.andThen(expire)
    )
  })

  const watch = Effect.suspend(() => {
    if (watching) return Effect.void
    watching = true
    return fork(expire)
  })

  /** Why an embedded name server does not keep what a real one would. */
  const overLimit = (
    { brokerAddr, brokerName, clusterName }: RegisterBroker.RegisterBrokerHeader,
    topics: ReadonlyArray<TopicConfig>
  ): string | undefined => {
    const names = [brokerAddr, brokerName, clusterName, ...topics.map(({ topicName }) => topicName)]
    const length = names.reduce((longest, name) => Math.max(longest, name.length), 0)
    if (length > MAX_NAME_LENGTH) return Remarks.tooMany("characters of a name", length, MAX_NAME_LENGTH)
    if (!table.has(brokerAddr) && table.size >= MAX_BROKERS) {
      return Remarks.tooMany("brokers", table.size + 1, MAX_BROKERS)
    }
    const queues = topics.reduce((most, one) => Math.max(most, one.readQueueNums, one.writeQueueNums), 0)
    if (queues > MAX_QUEUES) return Remarks.tooMany("queues of a topic", queues, MAX_QUEUES)
    const known = new Set(routes.topics())
    const count = topics.reduce((sum, { topicName }) => (known.has(topicName) ? sum : sum + 1), known.size)
    return count > MAX_TOPICS ? Remarks.tooMany("topics", count, MAX_TOPICS) : undefined
  }

  const register = (request: RemotingCommand, channel: Channel): Effect.Effect<Response> =>
    Effect.suspend(() => {
      const decoded = RegisterBroker.decodeRequest(request)
      if (decoded instanceof DecodeError) return Effect.succeed(Reply.malformed(decoded))
      const { body, header } = decoded
      const topics = [...body.topicConfigSerializeWrapper.topicConfigTable.values()]
      const refused = overLimit(header, topics)
      if (refused !== undefined) return Effect.succeed(Reply.refuse(ResponseCode.SYSTEM_ERROR, refused))
      routes.register(
        {
          clusterName: header.clusterName,
          brokerName: header.brokerName,
          brokerId: header.brokerId,
          address: header.brokerAddr,
          enableActingMaster: header.enableActingMaster
        },
        topics
      )
      table.set(header.brokerAddr, {
        brokerName: header.brokerName,
        brokerId: header.brokerId,
        address: header.brokerAddr,
        channel: channel.id,
        expiry: now() + Math.min(header.heartbeatTimeoutMillis ?? DEFAULT_EXPIRY_MILLIS, MAX_REGISTRATION_MILLIS)
      })
      const orderTopics = kv.list("ORDER_TOPIC_CONFIG")
      const master = routes.broker(header.brokerName)?.brokerAddrs.get(MixAll.MASTER_ID)
      const answer = RegisterBroker.response({
        ...(header.brokerId === MixAll.MASTER_ID || master === undefined
          ? {}
          : { haServerAddr: master, masterAddr: master }),
        ...(orderTopics === undefined ? {} : { kvTable: { table: orderTopics } })
      })
      return Effect.as(watch, answer)
    })

  const unregister = Reply.sync((request) => {
    const header = UnregisterBroker.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    table.delete(header.brokerAddr)
    routes.unregister(header.brokerName, header.brokerId, header.brokerAddr)
    return UnregisterBroker.response()
  })

  return {
    handlers: new Map([
      [RequestCode.REGISTER_BROKER, register],
      [RequestCode.UNREGISTER_BROKER, unregister]
    ]),
    onClose: (channel) => Effect.sync(() => dropWhere((registration) => registration.channel === channel.id))
  }
}
