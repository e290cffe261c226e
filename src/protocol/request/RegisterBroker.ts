import { crc32 } from "node:zlib"
import * as Body from "../BodyCodec.ts"
import { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"
import { type DataVersion, dataVersion, type TopicConfig, topicConfig } from "../TopicConfig.ts"
import { type KVTable, kvTable } from "./KVConfig.ts"

/**
 * REGISTER_BROKER (103), broker to name server, every 30 s: this broker lives and has these topics.
 *
 * ```text
 * brokerName               string
 * brokerAddr               string
 * clusterName              string
 * haServerAddr             string
 * brokerId                 long
 * heartbeatTimeoutMillis   long      optional
 * enableActingMaster       boolean   optional
 * compressed               boolean
 * bodyCrc32                int       CRC-32 of the body; 0: unchecked
 * body: {"filterServerList":[],"topicConfigSerializeWrapper":{"dataVersion":{},"topicConfigTable":{"t":{}},...}}
 * answer: haServerAddr?, masterAddr? for slaves; body: a KVTable or none
 * ```
 *
 * Source: RocketMQ `RegisterBrokerRequestHeader`, `RegisterBrokerBody`, `RegisterBrokerResponseHeader`.
 */
export interface RegisterBrokerHeader {
  /** The name that a master and its slaves share. */
  readonly brokerName: string
  /** `host:port`. */
  readonly brokerAddr: string
  /** The broker's cluster. */
  readonly clusterName: string
  /** Where slaves copy the commit log from, as `ip:port`. */
  readonly haServerAddr: string
  /** 0 is the master. */
  readonly brokerId: number
  /** Milliseconds of silence after which the name server drops the broker. */
  readonly heartbeatTimeoutMillis?: number | undefined
  /** Whether a slave may stand in for a master that is down; false when absent. */
  readonly enableActingMaster?: boolean | undefined
}

/** The topics of a broker that registers. */
export interface RegisterBrokerBody {
  /** Filter servers, which RocketMQ 3 had; empty. */
  readonly filterServerList: ReadonlyArray<string>
  /** The broker's topics, and the version of that table: a name server skips a version that it has. */
  readonly topicConfigSerializeWrapper: {
    readonly dataVersion: DataVersion
    readonly topicConfigTable: ReadonlyMap<string, TopicConfig>
  }
}

/** What a name server tells a broker that registered. */
export interface RegisterBrokerAnswer {
  /** Where a slave copies the commit log from; absent for a master. */
  readonly haServerAddr?: string | undefined
  /** The master's address, for slaves. */
  readonly masterAddr?: string | undefined
  /** The `ORDER_TOPIC_CONFIG` texts. */
  readonly kvTable?: KVTable | undefined
}

const header = HeaderCodec.struct({
  brokerName: HeaderCodec.string,
  brokerAddr: HeaderCodec.string,
  clusterName: HeaderCodec.string,
  haServerAddr: HeaderCodec.string,
  brokerId: HeaderCodec.long,
  heartbeatTimeoutMillis: HeaderCodec.optional(HeaderCodec.long),
  enableActingMaster: HeaderCodec.optional(HeaderCodec.boolean),
  compressed: HeaderCodec.optional(HeaderCodec.boolean),
  bodyCrc32: HeaderCodec.optional(HeaderCodec.int)
})

const registerBody: Body.RequiredBody<RegisterBrokerBody> = Body.struct({
  filterServerList: Body.withDefault(Body.list(Body.string), []),
  topicConfigSerializeWrapper: Body.struct({
    dataVersion: Body.withDefault(dataVersion, { counter: 0, stateVersion: 0, timestamp: 0 }),
    topicConfigTable: Body.withDefault(Body.map(topicConfig), new Map())
  })
})

const answerHeader = HeaderCodec.struct({
  haServerAddr: HeaderCodec.optional(HeaderCodec.string),
  masterAddr: HeaderCodec.optional(HeaderCodec.string)
})

/** CRC-32 as a Java int with the top bit cleared. */
const bodyCrc32 = (body: Uint8Array): number => crc32(body) & 0x7fff_ffff

/** What a broker sends, uncompressed. */
export const request = (value: RegisterBrokerHeader, body: RegisterBrokerBody): Request => {
  const bytes = Body.encode(registerBody, body)
  return {
    code: RequestCode.REGISTER_BROKER,
    extFields: header.encode({ ...value, compressed: false, bodyCrc32: bodyCrc32(bytes) }),
    body: bytes
  }
}

/** What a name server reads. A compressed body (Java `compressedRegister`, default false) is a DecodeError. */
export const decodeRequest = (
  cmd: RemotingCommand
): { readonly header: RegisterBrokerHeader; readonly body: RegisterBrokerBody } | DecodeError => {
  const read = header.decode(cmd.code, cmd.extFields)
  if (read instanceof DecodeError) return read
  const { bodyCrc32: crc, compressed, ...value } = read
  if (compressed === true) {
    return new DecodeError({ code: cmd.code, field: "compressed", detail: "compressed registrations are not read" })
  }
  if (crc !== undefined && crc !== 0 && crc !== bodyCrc32(cmd.body)) {
    return new DecodeError({ code: cmd.code, field: "bodyCrc32", detail: "the body has another checksum" })
  }
  const body = Body.decode(registerBody, cmd.code, cmd.body)
  return body instanceof DecodeError ? body : { header: value, body }
}

/** What a name server answers. */
export const response = (value: RegisterBrokerAnswer = {}): Response => ({
  code: ResponseCode.SUCCESS,
  extFields: answerHeader.encode(value),
  body: value.kvTable === undefined ? undefined : Body.encode(kvTable, value.kvTable)
})

/** What a broker reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): RegisterBrokerAnswer | DecodeError => {
  const value = answerHeader.decode(RequestCode.REGISTER_BROKER, cmd.extFields)
  if (value instanceof DecodeError || cmd.body.length === 0) return value
  const table = Body.decode(kvTable, RequestCode.REGISTER_BROKER, cmd.body)
  return table instanceof DecodeError ? table : { ...value, kvTable: table }
}
