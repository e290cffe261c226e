import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"
import type { TopicConfig } from "../TopicConfig.ts"

/**
 * UPDATE_AND_CREATE_TOPIC_LIST (18), client to broker: creates or changes several topics, since 5.2. Answer 0 (with the
 * remark "not set any response code", which means nothing), INVALID_PARAMETER (29), or 1 for attributes that there are
 * not. Nothing is changed by a list with a topic that is refused, nor, as brokers have it, by one with a topic that is
 * already as it says.
 *
 * ```text
 * body: {"topicConfigList":[{config}, ...]}; attributes are changes: {"+message.type":"DELAY","-reserve.time":""}
 * ```
 *
 * Source: RocketMQ `CreateTopicListRequestBody`, `AdminBrokerProcessor.updateAndCreateTopicList`.
 */
export interface CreateTopicListBody {
  /** The topics as they are to be; their attributes name changes, with `+` or `-` in front. */
  readonly topicConfigList: ReadonlyArray<TopicConfig>
}

/** What is left out is as Java's `TopicConfig` has it. */
const config: Body.RequiredBody<TopicConfig> = Body.struct({
  attributes: Body.withDefault(Body.textRecord, {}),
  order: Body.withDefault(Body.boolean, false),
  perm: Body.withDefault(Body.int, 6),
  readQueueNums: Body.withDefault(Body.int, 16),
  topicFilterType: Body.withDefault(Body.string, "SINGLE_TAG"),
  topicName: Body.withDefault(Body.string, ""),
  topicSysFlag: Body.withDefault(Body.int, 0),
  writeQueueNums: Body.withDefault(Body.int, 16)
})

const list: Body.RequiredBody<CreateTopicListBody> = Body.struct({ topicConfigList: Body.list(config) })

/** What a client sends. */
export const request = (value: CreateTopicListBody): Request => ({
  code: RequestCode.UPDATE_AND_CREATE_TOPIC_LIST,
  extFields: undefined,
  body: Body.encode(list, value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): CreateTopicListBody | DecodeError =>
  Body.decode(list, cmd.code, cmd.body)

/** What a broker answers, with the remark that a real one leaves in. */
export const response = (): Response => ({ code: ResponseCode.SUCCESS, remark: "not set any response code" })

/** An answer with code 0 says nothing more. */
export const decodeResponse = (_cmd: RemotingCommand): undefined => undefined
