import * as Body from "../BodyCodec.ts"
import { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import { type JsonValue, parse, stringify } from "../LenientJson.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"
import { type DataVersion, dataVersion } from "../TopicConfig.ts"

/**
 * Consumer groups of a broker, client to broker.
 *
 * ```text
 * 200 UPDATE_AND_CREATE_SUBSCRIPTIONGROUP        body: config, whose attributes are changes: {"+name":"value","-name":""}
 * 201 GET_ALL_SUBSCRIPTIONGROUP_CONFIG           answer body: {"dataVersion":{},"subscriptionGroupTable":{"g":{config}}}
 * 207 DELETE_SUBSCRIPTIONGROUP                   groupName string, cleanOffset boolean (optional)
 * 225 UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST   body: {"groupConfigList":[{config}, ...]}; since 5.2
 * 352 GET_SUBSCRIPTIONGROUP_CONFIG               group string; answer body: config
 * ```
 *
 * Source: RocketMQ `SubscriptionGroupConfig`, `DeleteSubscriptionGroupRequestHeader`,
 * `GetSubscriptionGroupConfigRequestHeader`.
 */
export type SubscriptionGroupHeader =
  /** Creates the group, or gives it another configuration. */
  | { readonly operation: "update"; readonly config: SubscriptionGroupConfig }
  /** The same for several groups, none of which is changed when one is refused. */
  | { readonly operation: "updateAll"; readonly configs: ReadonlyArray<SubscriptionGroupConfig> }
  /** Asks for every group of the broker. */
  | { readonly operation: "list" }
  /** Removes a group, with `cleanOffset` its positions too; one that is not there is removed successfully. */
  | { readonly operation: "delete"; readonly groupName: string; readonly cleanOffset: boolean }
  /** Asks for one group; a broker that may create groups creates it. */
  | { readonly operation: "get"; readonly group: string }

/** A consumer group as a broker keeps it. Defaults are those a broker fills in. */
export interface SubscriptionGroupConfig {
  /** The consumer group. */
  readonly groupName: string
  /** Whether the group may consume; pulls are refused with NO_PERMISSION otherwise. Default true. */
  readonly consumeEnable: boolean
  /** Whether a group without a position may begin at the oldest message. Default true; brokers do not look at it. */
  readonly consumeFromMinEnable: boolean
  /** Whether members may broadcast. Default true. */
  readonly consumeBroadcastEnable: boolean
  /** Whether proxies treat the group as an orderly one; brokers do not look at it. Default false. */
  readonly consumeMessageOrderly: boolean
  /** Queues of the group's retry topic; default 1. */
  readonly retryQueueNums: number
  /** Default 16. */
  readonly retryMaxTimes: number
  /** 0 is the master. */
  readonly brokerId: number
  /**
   * The id of the broker that a group is sent to for old messages, where slaves serve reads. Default 1, the first
   * slave.
   */
  readonly whichBrokerWhenConsumeSlowly: number
  /** Whether members are told when others come and go. Default true. */
  readonly notifyConsumerIdsChangedEnable: boolean
  /** Unit flags of the group. Default 0. */
  readonly groupSysFlag: number
  /** Minutes; default 15. */
  readonly consumeTimeoutMinute: number
  /** Further settings of newer brokers, by name; empty by default. */
  readonly attributes: Readonly<Record<string, string>>
}

/** The groups of a broker by name. */
export interface SubscriptionGroupList {
  /** The version of the table; brokers of some versions leave it out. */
  readonly dataVersion?: DataVersion | undefined
  /** The groups by name. */
  readonly subscriptionGroupTable: ReadonlyMap<string, SubscriptionGroupConfig>
}

const encoder = new TextEncoder()

const configWith = (groupName: Body.RequiredBody<string>): Body.RequiredBody<SubscriptionGroupConfig> =>
  Body.struct({
    attributes: Body.withDefault(Body.textRecord, {}),
    brokerId: Body.withDefault(Body.long, 0),
    consumeBroadcastEnable: Body.withDefault(Body.boolean, true),
    consumeEnable: Body.withDefault(Body.boolean, true),
    consumeFromMinEnable: Body.withDefault(Body.boolean, true),
    consumeMessageOrderly: Body.withDefault(Body.boolean, false),
    consumeTimeoutMinute: Body.withDefault(Body.int, 15),
    groupName,
    groupSysFlag: Body.withDefault(Body.int, 0),
    notifyConsumerIdsChangedEnable: Body.withDefault(Body.boolean, true),
    retryMaxTimes: Body.withDefault(Body.int, 16),
    retryQueueNums: Body.withDefault(Body.int, 1),
    whichBrokerWhenConsumeSlowly: Body.withDefault(Body.long, 1)
  })

const config = configWith(Body.string)

/** What an administrator sends; a broker finds out itself that there is no name. */
const wanted = configWith(Body.withDefault(Body.string, ""))

const wantedList = Body.struct({ groupConfigList: Body.list(wanted) })

const list: Body.RequiredBody<SubscriptionGroupList> = Body.struct({
  dataVersion: Body.optional(dataVersion),
  subscriptionGroupTable: Body.withDefault(Body.map(config), new Map())
})

const deleteHeader = HeaderCodec.struct({
  groupName: HeaderCodec.string,
  cleanOffset: HeaderCodec.optional(HeaderCodec.boolean)
})

const getHeader = HeaderCodec.struct({ group: HeaderCodec.string })

/** A group's configuration with RocketMQ's defaults for what is left out. */
export const makeConfig = (
  value: Pick<SubscriptionGroupConfig, "groupName"> & Partial<SubscriptionGroupConfig>
): SubscriptionGroupConfig => ({
  attributes: {},
  brokerId: 0,
  consumeBroadcastEnable: true,
  consumeEnable: true,
  consumeFromMinEnable: true,
  consumeMessageOrderly: false,
  consumeTimeoutMinute: 15,
  groupSysFlag: 0,
  notifyConsumerIdsChangedEnable: true,
  retryMaxTimes: 16,
  retryQueueNums: 1,
  whichBrokerWhenConsumeSlowly: 1,
  ...value
})

/** What a client sends. */
export const request = (value: SubscriptionGroupHeader): Request => {
  switch (value.operation) {
    case "update":
      return {
        code: RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
        extFields: undefined,
        body: Body.encode(wanted, value.config)
      }
    case "updateAll":
      return {
        code: RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST,
        extFields: undefined,
        body: Body.encode(wantedList, { groupConfigList: value.configs })
      }
    case "list":
      return { code: RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG, extFields: {} }
    case "delete":
      return { code: RequestCode.DELETE_SUBSCRIPTIONGROUP, extFields: deleteHeader.encode(value) }
    default:
      return { code: RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG, extFields: getHeader.encode(value) }
  }
}

/** What a broker reads, for the five codes. */
export const decodeRequest = (cmd: RemotingCommand): SubscriptionGroupHeader | DecodeError => {
  const { code, extFields } = cmd
  switch (code) {
    case RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP: {
      const value = Body.decode(wanted, code, cmd.body)
      return value instanceof DecodeError ? value : { operation: "update", config: value }
    }
    case RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST: {
      const value = Body.decode(wantedList, code, cmd.body)
      return value instanceof DecodeError ? value : { operation: "updateAll", configs: value.groupConfigList }
    }
    case RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG:
      return { operation: "list" }
    case RequestCode.DELETE_SUBSCRIPTIONGROUP: {
      const value = deleteHeader.decode(code, extFields)
      return value instanceof DecodeError
        ? value
        : { operation: "delete", groupName: value.groupName, cleanOffset: value.cleanOffset ?? false }
    }
    default: {
      const value = getHeader.decode(code, extFields)
      return value instanceof DecodeError ? value : { operation: "get", group: value.group }
    }
  }
}

/** What a broker answers: a group to `get`, all groups to `list`, nothing to the rest. */
export const response = (value?: SubscriptionGroupConfig | SubscriptionGroupList): Response => {
  if (value === undefined) return { code: ResponseCode.SUCCESS }
  if ("groupName" in value) return { code: ResponseCode.SUCCESS, body: Body.encode(config, value) }
  return {
    code: ResponseCode.SUCCESS,
    extFields: { totalGroupNum: String(value.subscriptionGroupTable.size) },
    body: Body.encode(list, value)
  }
}

/** The groups of a broker by name, each as the broker wrote it. */
export type StoredGroups = ReadonlyMap<string, ReadonlyMap<string, JsonValue>>

const isObject = (value: JsonValue | undefined): value is ReadonlyMap<string, JsonValue> => value instanceof Map

/** What a client reads of an answer with code 0 to `list`, with the settings that this client does not know as well. */
export const decodeStoredResponse = (cmd: RemotingCommand): StoredGroups | DecodeError => {
  const code = RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG
  const body = parse(cmd.body, code)
  if (body instanceof DecodeError) return body
  const table = isObject(body) ? body.get("subscriptionGroupTable") : undefined
  if (!isObject(table))
    return new DecodeError({ code, field: "body.subscriptionGroupTable", detail: "expected an object" })
  return new Map([...table].flatMap(([name, stored]) => (isObject(stored) ? [[name, stored] as const] : [])))
}

/**
 * What a client sends to change some settings of a group: all of them as the broker has them, but for the changes. A broker
 * puts the defaults in the place of what is left out, of attributes alone it takes the changes.
 */
export const changeRequest = (
  stored: ReadonlyMap<string, JsonValue>,
  changes: Partial<Omit<SubscriptionGroupConfig, "groupName">>
): Request => {
  const changed = new Map<string, JsonValue>([
    ...stored,
    ["attributes", new Map(Object.entries(changes.attributes ?? {}))]
  ])
  for (const [name, value] of Object.entries(changes)) {
    if (typeof value === "number" || typeof value === "boolean") changed.set(name, value)
  }
  return {
    code: RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
    extFields: undefined,
    body: encoder.encode(stringify(changed))
  }
}

/** What a client reads of an answer with code 0 to `get`. */
export const decodeResponse = (cmd: RemotingCommand): SubscriptionGroupConfig | DecodeError =>
  Body.decode(config, RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG, cmd.body)

/** What a client reads of an answer with code 0 to `list`. */
export const decodeListResponse = (cmd: RemotingCommand): SubscriptionGroupList | DecodeError =>
  Body.decode(list, RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG, cmd.body)
