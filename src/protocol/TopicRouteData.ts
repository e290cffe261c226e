import * as Body from "./BodyCodec.ts"
import type { DecodeError } from "./DecodeError.ts"
import { RequestCode } from "./RequestCode.ts"

/** The queues of a topic on one broker. Source: RocketMQ `QueueData`. */
export interface QueueData {
  /** The broker whose queues these are; its addresses are in {@link TopicRouteData.brokerDatas}. */
  readonly brokerName: string
  /** Queues that consumers see: the ids from 0 on. */
  readonly readQueueNums: number
  /** Queues that producers see: the ids from 0 on. */
  readonly writeQueueNums: number
  /** Bits of `PermName`. */
  readonly perm: number
  /** Bit 0: unit topic, bit 1: unit subscription. */
  readonly topicSysFlag: number
}

/** The addresses of one broker. Source: RocketMQ `BrokerData`. */
export interface BrokerData {
  /** The cluster that the broker belongs to. */
  readonly cluster: string
  /** The name that a master and its slaves share. */
  readonly brokerName: string
  /** Broker id to `host:port`; 0 is the master. */
  readonly brokerAddrs: ReadonlyMap<number, string>
  /** Whether a slave may stand in for a master that is down; false when absent. */
  readonly enableActingMaster?: boolean | undefined
  /** The zone that the broker was placed in; absent without zones. */
  readonly zoneName?: string | undefined
}

/** The queues of a static topic on one broker. Source: RocketMQ `TopicQueueMappingInfo`. */
export interface TopicQueueMappingInfo {
  /** The static topic. */
  readonly topic?: string | undefined
  /** The scope of the mapping; `__global__` when absent. */
  readonly scope?: string | undefined
  /** Logical queues of the topic, on all brokers together. */
  readonly totalQueues: number
  /** The broker that holds the queues of this mapping. */
  readonly bname?: string | undefined
  /** When the mapping was made: where two claim a logical queue, the larger one has it. */
  readonly epoch: number
  /** Whether the mapping is being changed at present; false when absent. */
  readonly dirty?: boolean | undefined
  /** Logical queue id to the queue id on this broker. */
  readonly currIdMap?: ReadonlyMap<number, number> | undefined
}

/** Where a topic lives: the answer to GET_ROUTEINFO_BY_TOPIC. Source: RocketMQ `TopicRouteData`. */
export interface TopicRouteData {
  /** `brokerA:4;brokerB:2` for topics with a fixed queue order. */
  readonly orderTopicConf?: string | undefined
  /** How many queues each broker has of the topic, and what may be done with them; one entry a broker. */
  readonly queueDatas: ReadonlyArray<QueueData>
  /** Where those brokers are. */
  readonly brokerDatas: ReadonlyArray<BrokerData>
  /** Broker address to filter server addresses; empty in practice. */
  readonly filterServerTable: ReadonlyMap<string, ReadonlyArray<string>>
  /** For static topics only: broker name to its mapping. */
  readonly topicQueueMappingByBroker?: ReadonlyMap<string, TopicQueueMappingInfo> | undefined
}

const queueData: Body.RequiredBody<QueueData> = Body.struct({
  brokerName: Body.string,
  perm: Body.int,
  readQueueNums: Body.int,
  // Older senders spell it topicSynFlag.
  topicSysFlag: Body.withDefault(Body.int, 0),
  writeQueueNums: Body.int
})

/** The codec of {@link BrokerData}; `bare` writes broker ids without quotes. */
export const brokerData = (bare: boolean): Body.RequiredBody<BrokerData> =>
  Body.struct({
    brokerAddrs: Body.intMap(Body.string, { bare }),
    brokerName: Body.string,
    cluster: Body.withDefault(Body.string, ""),
    enableActingMaster: Body.optional(Body.boolean),
    zoneName: Body.optional(Body.string)
  })

const topicRouteData = (bare: boolean): Body.RequiredBody<TopicRouteData> =>
  Body.struct({
    brokerDatas: Body.withDefault(Body.list(brokerData(bare)), []),
    filterServerTable: Body.withDefault(Body.map(Body.list(Body.string)), new Map()),
    orderTopicConf: Body.optional(Body.string),
    queueDatas: Body.withDefault(Body.list(queueData), []),
    topicQueueMappingByBroker: Body.optional(
      Body.map(
        Body.struct({
          bname: Body.optional(Body.string),
          currIdMap: Body.optional(Body.intMap(Body.int, { bare })),
          dirty: Body.optional(Body.boolean),
          epoch: Body.withDefault(Body.long, 0),
          scope: Body.optional(Body.string),
          topic: Body.optional(Body.string),
          totalQueues: Body.withDefault(Body.int, 0)
        })
      )
    )
  })

const standard = topicRouteData(false)
const fastjson = topicRouteData(true)

/** Writes a route; without `standardJson` broker ids are bare numbers, as clients below version 401 get them. */
export const encode = (route: TopicRouteData, options: { readonly standardJson: boolean }): Uint8Array =>
  Body.encode(options.standardJson ? standard : fastjson, route)

/** Reads a route in either form. */
export const decode = (body: Uint8Array): TopicRouteData | DecodeError =>
  Body.decode(standard, RequestCode.GET_ROUTEINFO_BY_TOPIC, body)
