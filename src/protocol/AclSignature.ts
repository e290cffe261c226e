import { createHmac, timingSafeEqual } from "node:crypto"
import { type ExtFields, setField } from "./ExtFields.ts"
import { MQVersion } from "./MQVersion.ts"
import type { RemotingCommand, Request } from "./RemotingCommand.ts"

/**
 * Signatures of requests.
 *
 * ```text
 * AccessKey       who signs
 * SecurityToken   optional; signed like any other field
 * Signature       base64(HMAC-SHA1(secret, content))
 *
 * content = values of all fields but Signature, in the order of their names (UTF-16 code units), nothing between them,
 *           as UTF-8; then the body
 * ```
 *
 * Names are not signed, nor are code, flag, opaque and remark. A field that is added afterwards breaks the signature, so
 * signing is the last thing before a request is sent, once per attempt.
 *
 * Source: RocketMQ `AclClientRPCHook`, `AclUtils`, `AclSigner`.
 */

/** Name of the field that says who signed. */
export const ACCESS_KEY = "AccessKey"
/** Name of the field with the session token of temporary credentials. */
export const SECURITY_TOKEN = "SecurityToken"
/** Name of the field with the signature. */
export const SIGNATURE = "Signature"

/**
 * Clients up to 4.9.3 added this field after they had signed. Servers of 4.x leave it out of what is signed for every
 * client, those of 5.x for clients that old.
 */
const UNSIGNED_FIELD_OF_OLD_CLIENTS = "_UNIQUE_KEY_QUERY"

/** By whom a request is signed. The texts are used as they are: trim what was read from a file. */
export interface Credentials {
  /** The user's name. */
  readonly accessKey: string
  /** The user's password, unwrapped: keep it `Redacted` until here. */
  readonly secretKey: string
  /** Of temporary credentials. */
  readonly securityToken?: string | undefined
}

const signatureOf = (
  secretKey: string,
  fields: ExtFields,
  body: Uint8Array | undefined,
  omitted: string | undefined
): Buffer => {
  let content = ""
  for (const name of Object.keys(fields).toSorted()) {
    if (name !== SIGNATURE && name !== omitted) content += fields[name] ?? ""
  }
  const hmac = createHmac("sha1", secretKey).update(content, "utf8")
  return (body === undefined || body.length === 0 ? hmac : hmac.update(body)).digest()
}

/**
 * The request with the fields that prove who sends it. The request itself is left as it is; what an earlier signature
 * left in its fields is replaced.
 */
export const sign = (credentials: Credentials, request: Request): Request => {
  const fields: Record<string, string> = { [ACCESS_KEY]: credentials.accessKey }
  const { extFields = {} } = request
  for (const name of Object.keys(extFields)) {
    if (name === ACCESS_KEY || name === SECURITY_TOKEN || name === SIGNATURE) continue
    setField(fields, name, extFields[name] ?? "")
  }
  if (credentials.securityToken !== undefined) fields[SECURITY_TOKEN] = credentials.securityToken
  fields[SIGNATURE] = signatureOf(credentials.secretKey, fields, request.body, undefined).toString("base64")
  return { ...request, extFields: fields }
}

const own = (fields: ExtFields | undefined, name: string): string | undefined =>
  fields !== undefined && Object.hasOwn(fields, name) ? fields[name] : undefined

/** Who says to have signed a request; undefined when nobody does. */
export const accessKeyOf = (request: Pick<RemotingCommand, "extFields">): string | undefined =>
  own(request.extFields, ACCESS_KEY)

/**
 * Whether a request that was received is signed with this secret, as a server of the given release sees it (an ordinal of
 * `MQVersion`). The time it takes does not tell how much of a wrong signature is right.
 *
 * Source: RocketMQ `DefaultAuthenticationContextBuilder`, `DefaultAuthenticationHandler`; of 4.x `PlainAccessValidator`.
 */
export const verify = (
  secretKey: string,
  request: Pick<RemotingCommand, "extFields" | "body" | "version">,
  release: number = MQVersion.CURRENT
): boolean => {
  const { extFields } = request
  const signature = own(extFields, SIGNATURE)
  if (extFields === undefined || signature === undefined || accessKeyOf(request) === undefined) return false
  const isUnsigned = release < MQVersion.V5_0_0 || request.version <= MQVersion.V4_9_3
  const omitted = isUnsigned ? UNSIGNED_FIELD_OF_OLD_CLIENTS : undefined
  const expected = Buffer.from(signatureOf(secretKey, extFields, request.body, omitted).toString("base64"))
  const actual = Buffer.from(signature)
  return actual.length === expected.length && timingSafeEqual(actual, expected)
}
