import * as Body from "./BodyCodec.ts"
import type { DecodeError } from "./DecodeError.ts"
import { RequestCode } from "./RequestCode.ts"

/** What a consumer group wants of one topic. Source: RocketMQ `SubscriptionData`. */
export interface SubscriptionData {
  readonly topic: string
  /** The filter as the user wrote it; `*` for all. */
  readonly subString: string
  /** The tags of a tag filter; empty for all. */
  readonly tagsSet: ReadonlyArray<string>
  /** Java hash codes of the tags. */
  readonly codeSet: ReadonlyArray<number>
  /** Milliseconds since the epoch of the last change; the newer one wins. */
  readonly subVersion: number
  /** `TAG` or `SQL92`. */
  readonly expressionType: string
  readonly classFilterMode: boolean
}

/** A producer group of a client. Source: RocketMQ `ProducerData`. */
export interface ProducerData {
  readonly groupName: string
}

/** A consumer group of a client. Source: RocketMQ `ConsumerData`. */
export interface ConsumerData {
  readonly groupName: string
  /** `CONSUME_ACTIVELY`, `CONSUME_PASSIVELY` or `CONSUME_POP`. */
  readonly consumeType: string
  /** `CLUSTERING` or `BROADCASTING`. */
  readonly messageModel: string
  /** For instance `CONSUME_FROM_LAST_OFFSET`. */
  readonly consumeFromWhere: string
  readonly unitMode: boolean
  readonly subscriptionDataSet: ReadonlyArray<SubscriptionData>
}

/** The body of a heartbeat: everything that a client runs. Source: RocketMQ `HeartbeatData`. */
export interface HeartbeatData {
  readonly clientID: string
  readonly producerDataSet: ReadonlyArray<ProducerData>
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
  subVersion: Body.withDefault(Body.long, 0),
  tagsSet: Body.withDefault(Body.list(Body.string), []),
  topic: Body.string
})

const heartbeatData: Body.RequiredBody<HeartbeatData> = Body.struct({
  clientID: Body.string,
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
