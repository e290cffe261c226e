import * as Body from "./BodyCodec.ts"
import type { DecodeError } from "./DecodeError.ts"
import type { Long } from "./Long.ts"
import { RequestCode } from "./RequestCode.ts"

/** What a consumer group wants of one topic. Source: RocketMQ `SubscriptionData`. */
export interface SubscriptionData {
  /** The topic that is subscribed to. */
  readonly topic: string
  /** The filter as the user wrote it; `*` for all. */
  readonly subString: string
  /** The tags of a tag filter; empty for all. */
  readonly tagsSet: ReadonlyArray<string>
  /** Java hash codes of the tags. */
  readonly codeSet: ReadonlyArray<number>
  /** The larger one wins: milliseconds since the epoch of the last change, nanoseconds with the Go client. */
  readonly subVersion: Long
  /** `TAG` or `SQL92`. */
  readonly expressionType: string
  /** Whether a Java class filtered the messages: a mode of RocketMQ 3 that no server has any more; always false. */
  readonly classFilterMode: boolean
}

/** A producer group of a client. Source: RocketMQ `ProducerData`. */
export interface ProducerData {
  /** The producer group. */
  readonly groupName: string
}

/** A consumer group of a client. Source: RocketMQ `ConsumerData`. */
export interface ConsumerData {
  /** The consumer group. */
  readonly groupName: string
  /** `CONSUME_ACTIVELY`, `CONSUME_PASSIVELY` or `CONSUME_POP`. */
  readonly consumeType: string
  /** `CLUSTERING` or `BROADCASTING`. */
  readonly messageModel: string
  /** For instance `CONSUME_FROM_LAST_OFFSET`. */
  readonly consumeFromWhere: string
  /** Whether the client belongs to a unit of a deployment over several regions; false with everyone else. */
  readonly unitMode: boolean
  /** Every topic of the group, in clustering mode its retry topic too. The broker drops those that are not listed. */
  readonly subscriptionDataSet: ReadonlyArray<SubscriptionData>
}

/** The body of a heartbeat: everything that a client runs. Source: RocketMQ `HeartbeatData`. */
export interface HeartbeatData {
  /** The client's id, unique in the cluster: `ip@instanceName`. */
  readonly clientID: string
  /** Every producer group of the client, that of its inner producer too. */
  readonly producerDataSet: ReadonlyArray<ProducerData>
  /** Every consumer group of the client; empty where there is none. */
  readonly consumerDataSet: ReadonlyArray<ConsumerData>
  /** A hash of the data; 0 for a heartbeat of the first version. */
  readonly heartbeatFingerprint: number
  /** Whether the subscriptions are left out because the broker has them. */
  readonly withoutSub: boolean
}

/** The codec of {@link SubscriptionData}. */
export const subscriptionData: Body.RequiredBody<SubscriptionData> = Body.struct({
  classFilterMode: Body.withDefault(Body.boolean, false),
  codeSet: Body.withDefault(Body.list(Body.int), []),
  expressionType: Body.withDefault(Body.string, "TAG"),
  subString: Body.withDefault(Body.string, "*"),
  subVersion: Body.withDefault(Body.int64, 0),
  tagsSet: Body.withDefault(Body.list(Body.string), []),
  topic: Body.string
})

const heartbeatData: Body.RequiredBody<HeartbeatData> = Body.struct({
  clientID: Body.withDefault(Body.string, ""),
  consumerDataSet: Body.withDefault(
    Body.list(
      Body.struct({
        consumeFromWhere: Body.withDefault(Body.string, "CONSUME_FROM_LAST_OFFSET"),
        consumeType: Body.withDefault(Body.string, "CONSUME_PASSIVELY"),
        groupName: Body.string,
        messageModel: Body.withDefault(Body.string, "CLUSTERING"),
        subscriptionDataSet: Body.withDefault(Body.list(subscriptionData), []),
        unitMode: Body.withDefault(Body.boolean, false)
      })
    ),
    []
  ),
  heartbeatFingerprint: Body.withDefault(Body.int, 0),
  producerDataSet: Body.withDefault(Body.list(Body.struct({ groupName: Body.string })), []),
  withoutSub: Body.withDefault(Body.boolean, false)
})

/** Writes the body of a heartbeat. */
export const encode = (data: HeartbeatData): Uint8Array => Body.encode(heartbeatData, data)

/** Reads the body of a heartbeat. */
export const decode = (body: Uint8Array): HeartbeatData | DecodeError =>
  Body.decode(heartbeatData, RequestCode.HEART_BEAT, body)
