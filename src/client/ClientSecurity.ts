import { Equal } from "effect"
import type { TlsOptions } from "../transport/Tls.ts"
import * as TlsSocket from "../transport/TlsSocket.ts"
import { ConfigProblem } from "./ClientError.ts"
import * as SessionCredentials from "./SessionCredentials.ts"
import type { CredentialsSource } from "./SessionCredentials.ts"

/** The options that say who the client is and whom it trusts. */
export interface SecurityConfig {
  /**
   * Who the client is for servers with access control: the credentials, or a source of them. By default a
   * `SessionCredentials` service, if one is provided, and else nothing is signed (Java `AclClientRPCHook`).
   */
  readonly credentials: CredentialsSource | undefined
  /** Speaks TLS with name servers and brokers; default plain text (Java `useTLS`, `tls.enable`). */
  readonly tls: TlsOptions | undefined
  /** Prefix of all topics and groups on the wire; users never see it (Java `namespace`). */
  readonly namespace: string | undefined
  /** Says with every request for which namespace it is; names stay as they are (Java `namespaceV2`). */
  readonly namespaceV2: string | undefined
  /** Whether sends are marked as those of a unit; default false (Java `unitMode`). */
  readonly unitMode: boolean
  /** Whether sends go to the brokers' second listener, at their port - 2; default false (Java `vipChannelEnabled`). */
  readonly vipChannelEnabled: boolean
  /**
   * Which broker addresses may be dialled, after translation; by default all that a route names. A name server that
   * nobody guards could otherwise send the client, and its signed requests, anywhere.
   */
  readonly allowAddress: ((address: string) => boolean) | undefined
}

/** The defaults of {@link SecurityConfig}. */
export const defaults: SecurityConfig = {
  credentials: undefined,
  tls: undefined,
  namespace: undefined,
  namespaceV2: undefined,
  unitMode: false,
  vipChannelEnabled: false,
  allowAddress: undefined
}

/** A namespace becomes part of names; `%` separates it from them. */
const validNamespace = /^[a-zA-Z0-9_-]{1,100}$/

/** Every problem of the security options, in words that hold no secret. */
export const problems = (config: SecurityConfig): ReadonlyArray<ConfigProblem> => {
  const found: Array<ConfigProblem> = []
  const report = (path: string, problem: string | undefined) => {
    if (problem !== undefined) found.push(new ConfigProblem({ path, problem }))
  }
  if (config.credentials !== undefined) report("credentials", SessionCredentials.problemOf(config.credentials))
  if (config.tls !== undefined) report("tls", TlsSocket.problemOf(config.tls))
  for (const path of ["namespace", "namespaceV2"] as const) {
    const namespace = config[path]
    if (namespace !== undefined && !validNamespace.test(namespace)) {
      report(path, `must be 1 to 100 letters, digits, "_" and "-"`)
    }
  }
  if (config.allowAddress !== undefined && typeof config.allowAddress !== "function") {
    report("allowAddress", "is no function")
  }
  return found
}

/** What of it makes two instances different and may stand in a key that is shown: the user, but no secret. */
export const sharingKey = (config: SecurityConfig): ReadonlyArray<string | boolean | null> => [
  config.credentials !== undefined && SessionCredentials.isFixed(config.credentials)
    ? config.credentials.accessKey
    : null,
  config.tls !== undefined,
  config.namespace ?? null,
  config.namespaceV2 ?? null,
  config.unitMode,
  config.vipChannelEnabled
]

/**
 * Whether two configurations of one sharing key have the same secrets, certificates and rules too. Given values are
 * compared by what is in them, a source of credentials and a rule by identity.
 */
export const isSame = (a: SecurityConfig, b: SecurityConfig): boolean =>
  a.allowAddress === b.allowAddress && sameCredentials(a.credentials, b.credentials) && sameTls(a.tls, b.tls)

const sameCredentials = (a: SecurityConfig["credentials"], b: SecurityConfig["credentials"]): boolean =>
  a === b ||
  (a !== undefined &&
    b !== undefined &&
    SessionCredentials.isFixed(a) &&
    SessionCredentials.isFixed(b) &&
    a.accessKey === b.accessKey &&
    Equal.equals(a.secretKey, b.secretKey) &&
    Equal.equals(a.securityToken, b.securityToken))

const sameTls = (a: SecurityConfig["tls"], b: SecurityConfig["tls"]): boolean =>
  a === b ||
  (a !== undefined &&
    b !== undefined &&
    Equal.equals([a.ca ?? []].flat(), [b.ca ?? []].flat()) &&
    a.cert === b.cert &&
    Equal.equals(a.key, b.key) &&
    Equal.equals(a.passphrase, b.passphrase) &&
    a.servername === b.servername &&
    (a.insecure ?? false) === (b.insecure ?? false))
