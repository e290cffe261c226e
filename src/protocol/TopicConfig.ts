import * as Body from "./BodyCodec.ts"

/** How often and when a server's table changed. Source: RocketMQ `DataVersion`. */
export interface DataVersion {
  readonly stateVersion: number
  /** Milliseconds since the epoch. */
  readonly timestamp: number
  readonly counter: number
}

/** A topic as one broker keeps it. Source: RocketMQ `TopicConfig`. */
export interface TopicConfig {
  readonly topicName: string
  readonly readQueueNums: number
  readonly writeQueueNums: number
  /** Bits of `PermName`. */
  readonly perm: number
  /** `SINGLE_TAG` or `MULTI_TAG`. */
  readonly topicFilterType: string
  readonly topicSysFlag: number
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
