import type { MessageExt } from "../message/MessageExt.ts"
import { CLIENT_INNER_PRODUCER_GROUP } from "../message/MixAll.ts"
import * as Namespace from "../message/Namespace.ts"
import { DecodeError } from "../protocol/DecodeError.ts"
import * as HeartbeatData from "../protocol/HeartbeatData.ts"
import * as MessageCodec from "../protocol/MessageCodec.ts"
import * as MessageProperties from "../protocol/MessageProperties.ts"
import { MessageConst } from "../protocol/MessageProperties.ts"
import type { ExtFields, RemotingCommand, Request } from "../protocol/RemotingCommand.ts"
import * as CheckClientConfig from "../protocol/request/CheckClientConfig.ts"
import { RequestCode } from "../protocol/RequestCode.ts"
import * as LockBatch from "../protocol/request/LockBatch.ts"

/**
 * Namespaces at the edge of the wire. Inside the client every topic and group has the name that the user gave it; a
 * request gets the namespace when it leaves, and what a server asks loses it when it arrives.
 *
 * Source: RocketMQ `ClientConfig.withNamespace`, which changes the user's own objects, and `NamespaceRpcHook`.
 */

/** The fields of any request that hold a topic or a group. */
const NAMES = ["topic", "originTopic", "producerGroup", "consumerGroup", "group"]
/** Those of the sends whose fields have short names: group and topic. */
const SHORT_NAMES = ["a", "b"]

const shortNamed: ReadonlySet<number> = new Set<number>([
  RequestCode.SEND_MESSAGE_V2,
  RequestCode.SEND_BATCH_MESSAGE,
  RequestCode.SEND_REPLY_MESSAGE_V2
])
const longNamed: ReadonlySet<number> = new Set<number>([RequestCode.SEND_MESSAGE, RequestCode.SEND_REPLY_MESSAGE])

/** The field with a message's properties, of requests that have a message. */
const propertiesField = (code: number): string | undefined =>
  shortNamed.has(code)
    ? "i"
    : longNamed.has(code) || code === RequestCode.PUSH_REPLY_MESSAGE_TO_CLIENT
      ? "properties"
      : undefined

/** The group of the producer inside each instance is in no namespace, as in Java. */
const wrap = (namespace: string, name: string): string =>
  name === CLIENT_INNER_PRODUCER_GROUP ? name : Namespace.wrap(namespace, name)

const rename = (fields: ExtFields, names: ReadonlyArray<string>, to: (name: string) => string): ExtFields => {
  let renamed: Record<string, string> | undefined
  for (const name of names) {
    const before = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (before === undefined) continue
    const after = to(before)
    if (after === before) continue
    renamed ??= { ...fields }
    renamed[name] = after
  }
  return renamed ?? fields
}

/** A message's properties as they leave: with the namespace, and with the group in it if one is named. */
const wrapProperties = (namespace: string, text: string): string => {
  const marked =
    MessageProperties.valueIn(text, MessageConst.INSTANCE_ID) === undefined
      ? MessageProperties.append(text, MessageConst.INSTANCE_ID, namespace)
      : text
  const group = MessageProperties.valueIn(marked, MessageConst.PRODUCER_GROUP) ?? ""
  if (group === "") return marked
  const properties = MessageProperties.decode(marked)
  return MessageProperties.encode({ ...properties, [MessageConst.PRODUCER_GROUP]: wrap(namespace, group) })
}

/** A message as its reader knows it: topic, group and properties without the namespace. */
export const unwrapMessage = <M extends Pick<MessageExt, "topic" | "properties">>(
  namespace: string,
  message: M
): M => ({
  ...message,
  topic: Namespace.unwrap(namespace, message.topic),
  properties: rename(
    message.properties,
    [MessageConst.PRODUCER_GROUP, MessageConst.REAL_TOPIC, MessageConst.RETRY_TOPIC],
    (name) => Namespace.unwrap(namespace, name)
  )
})

const wrapHeartbeat = (namespace: string, body: Uint8Array): Uint8Array => {
  const data = HeartbeatData.decode(body)
  if (data instanceof DecodeError) return body
  return HeartbeatData.encode({
    ...data,
    producerDataSet: data.producerDataSet.map(({ groupName }) => ({ groupName: wrap(namespace, groupName) })),
    consumerDataSet: data.consumerDataSet.map((consumer) => ({
      ...consumer,
      groupName: wrap(namespace, consumer.groupName),
      subscriptionDataSet: consumer.subscriptionDataSet.map((subscription) => ({
        ...subscription,
        topic: wrap(namespace, subscription.topic)
      }))
    }))
  })
}

const wrapLocks = (namespace: string, request: Request & { readonly body: Uint8Array }): Request => {
  const data = LockBatch.decodeBody(request.code, request.body)
  if (data instanceof DecodeError) return request
  return LockBatch.request(
    {
      ...data,
      consumerGroup: wrap(namespace, data.consumerGroup),
      mqSet: data.mqSet.map((queue) => ({ ...queue, topic: wrap(namespace, queue.topic) }))
    },
    request.code === RequestCode.LOCK_BATCH_MQ ? "lock" : "unlock"
  )
}

const wrapCheck = (namespace: string, body: Uint8Array): Uint8Array => {
  const asked = CheckClientConfig.decodeBody(body)
  if (asked instanceof DecodeError) return body
  const { group, subscriptionData } = asked
  return CheckClientConfig.encodeBody({
    ...asked,
    group: group === undefined ? undefined : wrap(namespace, group),
    subscriptionData:
      subscriptionData === undefined
        ? undefined
        : { ...subscriptionData, topic: wrap(namespace, subscriptionData.topic) }
  })
}

/**
 * A request as it leaves: topics and groups with the namespace; what has it already stays as it is. The template topic is
 * looked up as it is: a send that creates a topic names it without a namespace too.
 */
export const wrapRequest = (namespace: string, request: Request, createTopicKey?: string): Request => {
  const { body, code, extFields } = request
  if (code === RequestCode.GET_ROUTEINFO_BY_TOPIC && extFields?.["topic"] === createTopicKey) return request
  if (code === RequestCode.HEART_BEAT && body !== undefined) {
    return { ...request, body: wrapHeartbeat(namespace, body) }
  }
  if ((code === RequestCode.LOCK_BATCH_MQ || code === RequestCode.UNLOCK_BATCH_MQ) && body !== undefined) {
    return wrapLocks(namespace, { ...request, body })
  }
  if (code === RequestCode.CHECK_CLIENT_CONFIG && body !== undefined) {
    return { ...request, body: wrapCheck(namespace, body) }
  }
  if (extFields === undefined) return request
  const names = shortNamed.has(code) ? SHORT_NAMES : NAMES
  let fields = rename(extFields, names, (name) => wrap(namespace, name))
  const properties = propertiesField(code)
  if (properties !== undefined) {
    fields = { ...fields, [properties]: wrapProperties(namespace, fields[properties] ?? "") }
  }
  return fields === extFields ? request : { ...request, extFields: fields }
}

const unwrapStored = (namespace: string, body: Uint8Array): Uint8Array => {
  const { error, messages } = MessageCodec.decodeAll(body)
  if (error !== undefined) return body
  return Buffer.concat(messages.map((message) => MessageCodec.encode(unwrapMessage(namespace, message))))
}

/** What a server asks as the client knows it: topics and groups without the namespace. */
export const unwrapPush = (namespace: string, command: RemotingCommand): RemotingCommand => {
  const extFields =
    command.extFields === undefined
      ? undefined
      : rename(command.extFields, NAMES, (name) => Namespace.unwrap(namespace, name))
  const body =
    command.code === RequestCode.CHECK_TRANSACTION_STATE ? unwrapStored(namespace, command.body) : command.body
  return { ...command, extFields, body }
}

/** A server's remark without the namespace, so that an error names topics and groups as the user does. */
export const unwrapRemark = (namespace: string, response: RemotingCommand): RemotingCommand =>
  response.remark?.includes(`${namespace}%`) === true
    ? { ...response, remark: response.remark.replaceAll(`${namespace}%`, "") }
    : response

/** A request that says for which namespace of the second kind it is; names stay as they are. */
export const markRequest = (namespaceV2: string, request: Request): Request => ({
  ...request,
  extFields: { ...request.extFields, nsd: "true", ns: namespaceV2 }
})
