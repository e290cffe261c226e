import * as MixAll from "../../message/MixAll.ts"
import * as AclSignature from "../../protocol/AclSignature.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import * as HeartbeatData from "../../protocol/HeartbeatData.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import type { RemotingCommand, Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"

/** What a user may do with a topic or a group. */
export type Action = "Pub" | "Sub"

/** A user of an embedded cluster. */
export interface AclUser {
  /** The user's name. */
  readonly accessKey: string
  /** Plain, because it is a test's. */
  readonly secretKey: string
  /**
   * What the user may do, by resource in RocketMQ's words: `Topic:orders`, `Topic:orders-*`, `Group:*`. What is not named
   * is refused, and so is everything that administers. Without it the user may do everything.
   */
  readonly permissions?: Readonly<Record<string, ReadonlyArray<Action>>> | undefined
}

/** Access control of an embedded cluster. */
export interface AclOptions {
  /** The users that there are; nobody else may do anything. */
  readonly users: ReadonlyArray<AclUser>
  /** Whether the name servers check too; default false, as in RocketMQ. */
  readonly nameServer?: boolean | undefined
}

/** Checks a request; the refusal, or undefined when it may be handled. */
export type AccessControl = (request: RemotingCommand, remoteAddress: string) => Response | undefined

interface Need {
  readonly resource: string
  readonly action: Action
}

const topic = (name: string, action: Action): Need =>
  MixAll.isRetryTopic(name)
    ? group(name.slice(MixAll.RETRY_GROUP_TOPIC_PREFIX.length))
    : { resource: `Topic:${name}`, action }

const group = (name: string): Need => ({ resource: `Group:${name}`, action: "Sub" })

const sub = (name: string): Need => topic(name, "Sub")

const pub = (name: string): Need => topic(name, "Pub")

const ofHeartbeat = (body: Uint8Array): ReadonlyArray<Need> => {
  const data = HeartbeatData.decode(body)
  if (data instanceof DecodeError) return []
  return data.consumerDataSet.flatMap((consumer) => [
    group(consumer.groupName),
    ...consumer.subscriptionDataSet.map((subscription) => topic(subscription.topic, "Sub"))
  ])
}

/**
 * What a request needs; undefined when it administers, which only a user without restrictions may.
 *
 * Source: RocketMQ `DefaultAuthorizationContextBuilder`.
 */
const needsOf = (request: RemotingCommand): ReadonlyArray<Need> | undefined => {
  const { body, code, extFields = {} } = request
  const named = (field: string, need: (name: string) => Need): ReadonlyArray<Need> => {
    const name = extFields[field]
    return name === undefined || name === "" ? [] : [need(name)]
  }
  switch (code) {
    case RequestCode.SEND_MESSAGE:
    case RequestCode.SEND_REPLY_MESSAGE:
    case RequestCode.END_TRANSACTION:
    case RequestCode.RECALL_MESSAGE:
      return named("topic", pub)
    case RequestCode.SEND_MESSAGE_V2:
    case RequestCode.SEND_BATCH_MESSAGE:
    case RequestCode.SEND_REPLY_MESSAGE_V2:
      return named("b", pub)
    case RequestCode.CONSUMER_SEND_MSG_BACK:
      return named("group", group)
    case RequestCode.PULL_MESSAGE:
    case RequestCode.LITE_PULL_MESSAGE:
    case RequestCode.QUERY_CONSUMER_OFFSET:
    case RequestCode.UPDATE_CONSUMER_OFFSET:
      return [...named("topic", sub), ...named("consumerGroup", group)]
    case RequestCode.POP_MESSAGE:
    case RequestCode.ACK_MESSAGE:
    case RequestCode.CHANGE_MESSAGE_INVISIBLETIME:
    case RequestCode.NOTIFICATION:
      return [...named("consumerGroup", group), ...named("topic", sub)]
    case RequestCode.QUERY_MESSAGE:
    case RequestCode.GET_MAX_OFFSET:
    case RequestCode.GET_MIN_OFFSET:
    case RequestCode.SEARCH_OFFSET_BY_TIMESTAMP:
    case RequestCode.GET_EARLIEST_MSG_STORETIME:
      return named("topic", sub)
    case RequestCode.GET_CONSUMER_LIST_BY_GROUP:
    case RequestCode.UNREGISTER_CLIENT:
      return named("consumerGroup", group)
    case RequestCode.HEART_BEAT:
      return ofHeartbeat(body)
    case RequestCode.LOCK_BATCH_MQ:
    case RequestCode.UNLOCK_BATCH_MQ:
    case RequestCode.CHECK_CLIENT_CONFIG:
    case RequestCode.QUERY_ASSIGNMENT:
    case RequestCode.SET_MESSAGE_REQUEST_MODE:
    case RequestCode.BATCH_ACK_MESSAGE:
    case RequestCode.VIEW_MESSAGE_BY_ID:
    case RequestCode.GET_ROUTEINFO_BY_TOPIC:
      return []
    default:
      return undefined
  }
}

const covers = (pattern: string, resource: string): boolean =>
  pattern.endsWith("*") ? resource.startsWith(pattern.slice(0, -1)) : pattern === resource

const allowed = (user: AclUser, { action, resource }: Need): boolean =>
  Object.entries(user.permissions ?? {}).some(
    ([pattern, actions]) => covers(pattern, resource) && actions.includes(action)
  )

const denied = (remark: string): Response => ({ code: ResponseCode.NO_PERMISSION, remark })

/** A broker of 4.x answers with the text of the exception, and the line that threw it. */
const thrown = (words: string, where: string): Response => ({
  code: ResponseCode.SYSTEM_ERROR,
  remark: `org.apache.rocketmq.acl.common.AclException: ${words}, org.apache.rocketmq.acl.plain.PlainPermissionManager.${where}`
})

const hostOf = (address: string): string => address.slice(0, address.lastIndexOf(":"))

/**
 * Makes the check of a server that speaks as the given release: 5.x answers with code 16, 4.x with code 1.
 *
 * Source: RocketMQ `DefaultAuthenticationHandler`, `AclAuthorizationHandler`, `PlainPermissionManager`.
 */
export const make = (options: AclOptions, clusterName: string, version: number): AccessControl => {
  const users = new Map(options.users.map((user) => [user.accessKey, user]))
  const old = version < MQVersion.V5_0_0
  return (request, remoteAddress) => {
    const accessKey = AclSignature.accessKeyOf(request)
    if (accessKey === undefined) {
      return old
        ? thrown("No accessKey is configured", "validate(PlainPermissionManager.java:663)")
        : denied("username cannot be null.")
    }
    const user = users.get(accessKey)
    if (user === undefined) {
      return old
        ? thrown(`No acl config for ${accessKey}`, "validate(PlainPermissionManager.java:667)")
        : denied(`User:${accessKey} is not found.`)
    }
    if (!AclSignature.verify(user.secretKey, request, version)) {
      return old
        ? thrown(`Check signature failed for accessKey=${accessKey}`, "validate(PlainPermissionManager.java:683)")
        : denied("check signature failed.")
    }
    if (user.permissions === undefined) return undefined
    const needs = needsOf(request)
    const missing =
      needs === undefined ? `Cluster:${clusterName}` : needs.find((need) => !allowed(user, need))?.resource
    if (missing === undefined) return undefined
    if (!old) {
      return denied(
        `User:${accessKey} has no permission to access ${missing} from ${hostOf(remoteAddress)}, no matched policies.`
      )
    }
    return needs === undefined
      ? thrown(
          `Need admin permission for request code=${request.code}, but accessKey=${accessKey} is not`,
          "checkPerm(PlainPermissionManager.java:580)"
        )
      : thrown(
          `No default permission for ${missing.replace(/^Topic/, "topic").replace(/^Group/, "group")}`,
          "checkPerm(PlainPermissionManager.java:605)"
        )
  }
}
