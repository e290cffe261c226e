import * as Body from "./BodyCodec.ts"

/** How often and when a server's table changed. Source: RocketMQ `DataVersion`. */
export interface DataVersion {
  /** The broker's epoch (controller mode); 0 without a controller. Compared before the counter. */
  readonly stateVersion: number
  /** Milliseconds since the epoch. */
  readonly timestamp: number
  /** Grows by one with every change. */
  readonly counter: number
}

/** A topic as one broker keeps it. Source: RocketMQ `TopicConfig`. */
export interface TopicConfig {
  /** The topic. */
  readonly topicName: string
  /** Queues that consumers see. */
  readonly readQueueNums: number
  /** Queues that producers see. */
  readonly writeQueueNums: number
  /** Bits of `PermName`. */
  readonly perm: number
  /** `SINGLE_TAG` or `MULTI_TAG`. */
  readonly topicFilterType: string
  /** Bit 0: the topic belongs to a unit; bit 1: it is subscribed to from other units. Usually 0. */
  readonly topicSysFlag: number
  /** Whether the topic was created as an ordered one, which `orderTopicConf` of its route then serves. */
  readonly order: boolean
  /** For instance `message.type`: `DELAY`. */
  readonly attributes: Readonly<Record<string, string>>
}

/** The codec of {@link TopicConfig}. */
export const topicConfig: Body.RequiredBody<TopicConfig> = Body.struct({
  attributes: Body.withDefault(Body.textRecord, {}),
  order: Body.withDefault(Body.boolean, false),
  perm: Body.int,
  readQueueNums: Body.int,
  topicFilterType: Body.withDefault(Body.string, "SINGLE_TAG"),
  topicName: Body.string,
  topicSysFlag: Body.withDefault(Body.int, 0),
  writeQueueNums: Body.int
})

/** The codec of {@link DataVersion}. */
export const dataVersion: Body.RequiredBody<DataVersion> = Body.struct({
  counter: Body.withDefault(Body.long, 0),
  stateVersion: Body.withDefault(Body.long, 0),
  timestamp: Body.withDefault(Body.long, 0)
})
