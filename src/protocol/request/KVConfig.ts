import * as Body from "../BodyCodec.ts"
import { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * Small texts that a name server keeps, client to name server. QUERY_NOT_FOUND (22) when there is none.
 *
 * ```text
 * 100 PUT_KV_CONFIG             namespace, key, value
 * 101 GET_KV_CONFIG             namespace, key; answer: value
 * 102 DELETE_KV_CONFIG          namespace, key
 * 219 GET_KVLIST_BY_NAMESPACE   namespace; answer body {"table":{"k":"v"}}
 * ```
 *
 * Source: RocketMQ `PutKVConfigRequestHeader`, `GetKVConfigRequestHeader`, `KVTable`.
 */
export type KVConfigHeader =
  /** Stores a value under a key of a namespace, in place of the one that is there. */
  | { readonly operation: "put"; readonly namespace: string; readonly key: string; readonly value: string }
  /** Asks for the value of a key. */
  | { readonly operation: "get"; readonly namespace: string; readonly key: string }
  /** Removes a key; one that is not there is removed successfully. */
  | { readonly operation: "delete"; readonly namespace: string; readonly key: string }
  /** Asks for every key of a namespace. */
  | { readonly operation: "list"; readonly namespace: string }

/** All keys of a namespace with their texts; also the body of other answers. */
export interface KVTable {
  /** The values of the namespace by their keys. */
  readonly table: ReadonlyMap<string, string>
}

const entry = HeaderCodec.struct({ namespace: HeaderCodec.string, key: HeaderCodec.string })
const entryWithValue = HeaderCodec.struct({
  namespace: HeaderCodec.string,
  key: HeaderCodec.string,
  value: HeaderCodec.string
})
const namespaceOnly = HeaderCodec.struct({ namespace: HeaderCodec.string })
const valueOnly = HeaderCodec.struct({ value: HeaderCodec.string })

/** The codec of {@link KVTable}. */
export const kvTable: Body.RequiredBody<KVTable> = Body.struct({
  table: Body.withDefault(Body.map(Body.string), new Map())
})

/** What a client sends. */
export const request = (value: KVConfigHeader): Request => {
  switch (value.operation) {
    case "put":
      return { code: RequestCode.PUT_KV_CONFIG, extFields: entryWithValue.encode(value) }
    case "get":
      return { code: RequestCode.GET_KV_CONFIG, extFields: entry.encode(value) }
    case "delete":
      return { code: RequestCode.DELETE_KV_CONFIG, extFields: entry.encode(value) }
    default:
      return { code: RequestCode.GET_KVLIST_BY_NAMESPACE, extFields: namespaceOnly.encode(value) }
  }
}

/** What a name server reads, for the four codes. */
export const decodeRequest = (cmd: RemotingCommand): KVConfigHeader | DecodeError => {
  const { code, extFields } = cmd
  if (code === RequestCode.GET_KVLIST_BY_NAMESPACE) {
    const value = namespaceOnly.decode(code, extFields)
    return value instanceof DecodeError ? value : { operation: "list", ...value }
  }
  if (code === RequestCode.PUT_KV_CONFIG) {
    const value = entryWithValue.decode(code, extFields)
    return value instanceof DecodeError ? value : { operation: "put", ...value }
  }
  const value = entry.decode(code, extFields)
  if (value instanceof DecodeError) return value
  return { operation: code === RequestCode.GET_KV_CONFIG ? "get" : "delete", ...value }
}

/** What a name server answers: the text to `get`, the table to `list`, nothing to the rest. */
export const response = (value?: string | KVTable): Response => {
  if (value === undefined) return { code: ResponseCode.SUCCESS }
  return typeof value === "string"
    ? { code: ResponseCode.SUCCESS, extFields: valueOnly.encode({ value }) }
    : { code: ResponseCode.SUCCESS, body: Body.encode(kvTable, value) }
}

/** What a client reads of an answer with code 0 to `get`. */
export const decodeResponse = (cmd: RemotingCommand): string | DecodeError => {
  const answer = valueOnly.decode(RequestCode.GET_KV_CONFIG, cmd.extFields)
  return answer instanceof DecodeError ? answer : answer.value
}

/** What a client reads of an answer with code 0 to `list`. */
export const decodeListResponse = (cmd: RemotingCommand): KVTable | DecodeError =>
  Body.decode(kvTable, RequestCode.GET_KVLIST_BY_NAMESPACE, cmd.body)
