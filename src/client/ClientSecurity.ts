import { Equal, Redacted } from "effect"
import type { TlsOptions } from "../transport/Tls.ts"
import * as TlsSocket from "../transport/TlsSocket.ts"
import { type Option, type Report, type Resolved, show, type TableOf } from "./options/Option.ts"
import * as Kinds from "./options/OptionKinds.ts"
import * as SessionCredentials from "./SessionCredentials.ts"
import type { Credentials, CredentialsSource } from "./SessionCredentials.ts"

/** The options that say who a client is and whom it trusts. */
export interface SecurityOptions {
  /**
   * Who the client is for servers with access control: the credentials, or a source of them. By default a
   * `SessionCredentials` service, if one is provided, and else nothing is signed (Java `AclClientRPCHook`).
   */
  readonly credentials?: CredentialsSource | undefined
  /** Speaks TLS with name servers and brokers; by default plain text (Java `useTLS`, `tls.enable`). */
  readonly tls?: TlsOptions | undefined
  /**
   * Prefix of all topics and groups on the wire, which users never see. By default the one that the name servers stand for
   * (`http://MQ_INST_1_x.ons.example:8080`), else none (Java `namespace`).
   */
  readonly namespace?: string | undefined
  /** Says with every request for which namespace it is; names stay as they are. By default none (Java `namespaceV2`). */
  readonly namespaceV2?: string | undefined
  /** Whether sends are marked as those of a unit; default false (Java `unitMode`). */
  readonly unitMode?: boolean | undefined
  /** Whether sends go to the brokers' second listener, at their port - 2; default false (Java `vipChannelEnabled`). */
  readonly vipChannelEnabled?: boolean | undefined
  /**
   * Which broker addresses may be dialled, after translation; by default all that a route names, but for link-local,
   * unspecified, multicast and broadcast ones. A name server that nobody guards could otherwise send the client, and its
   * signed requests, anywhere.
   */
  readonly allowAddress?: ((address: string) => boolean) | undefined
}

const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isSource = (value: unknown): value is CredentialsSource => isObject(value)

const isTls = (value: unknown): value is TlsOptions => isObject(value)

const secret = (name: string, java: string, at: string) =>
  Kinds.entry({ name, java, absent: "none" }, Kinds.readSecret, { at })

const credentials: Option<CredentialsSource | undefined, CredentialsSource> = {
  default: undefined,
  check: (given, report) => {
    const problem = isSource(given)
      ? SessionCredentials.problemOf(given)
      : `must be credentials or a source of them, is ${show(given)}`
    if (problem !== undefined) report(problem)
    return isSource(given) && problem === undefined ? given : undefined
  },
  ...Kinds.group(
    {
      accessKey: Kinds.entry(
        {
          name: "access-key",
          java: "`AclClientRPCHook`; see [security.md](security.md)",
          absent: "a `SessionCredentials` service, else nothing is signed"
        },
        Kinds.readText,
        { at: ".accessKey" }
      ),
      secretKey: secret("secret-key", "`SessionCredentials.secretKey`", ".secretKey"),
      securityToken: secret("security-token", "`SessionCredentials.securityToken`", ".securityToken")
    },
    // What is missing is left blank, which the check of the whole refuses.
    ({ accessKey = "", secretKey = Redacted.make(""), securityToken }): Credentials => ({
      accessKey,
      secretKey,
      securityToken
    })
  )
}

/** What each part of {@link TlsOptions} has to be; undefined counts as absent. */
const tlsParts: { readonly [K in keyof Required<TlsOptions>]: readonly [(value: unknown) => boolean, string] } = {
  ca: [(value) => [value].flat().every((one) => typeof one === "string"), "PEM text, or a list of such"],
  cert: [(value) => typeof value === "string", "PEM text"],
  key: [Redacted.isRedacted, "Redacted PEM text"],
  passphrase: [Redacted.isRedacted, "a Redacted text"],
  servername: [(value) => typeof value === "string", "a host name"],
  insecure: [(value) => typeof value === "boolean", "true or false"]
}

const checkTls = (given: unknown, report: Report): TlsOptions | undefined => {
  if (!isTls(given)) {
    report(`must be an object of TLS options, {} for all their defaults, is ${show(given)}`)
    return undefined
  }
  let usable = true
  for (const [name, [isRight, what]] of Object.entries(tlsParts)) {
    const value: unknown = Reflect.get(given, name)
    if (value === undefined || isRight(value)) continue
    usable = false
    // Not what it is: it could be a key.
    report(`must be ${what}`, `.${name}`)
  }
  const problem = usable ? TlsSocket.problemOf(given) : undefined
  if (problem !== undefined) report(problem)
  return usable && problem === undefined ? given : undefined
}

const pem = (name: string, java: string, at: string, absent: string) =>
  Kinds.entry({ name, java, absent }, Kinds.readText, { at, fileWords: [`${name}-file`] })

const tls: Option<TlsOptions | undefined, TlsOptions> = {
  default: undefined,
  check: checkTls,
  ...Kinds.group(
    {
      enable: Kinds.entry(
        {
          name: "tls-enable",
          also: ["useTLS"],
          java: "`useTLS`, `tls.enable`; here servers are verified",
          absent: "plain text"
        },
        Kinds.readBoolean
      ),
      ca: pem("tls-ca", "`tls.client.trustCertPath`", ".ca", "the authorities of Node"),
      cert: pem("tls-cert", "`tls.client.certPath`", ".cert", "none"),
      key: Kinds.entry({ name: "tls-key", java: "`tls.client.keyPath`", absent: "none" }, Kinds.readSecret, {
        at: ".key",
        fileWords: ["tls-key-file"]
      }),
      passphrase: secret("tls-passphrase", "`tls.client.keyPassword`", ".passphrase"),
      servername: Kinds.entry(
        { name: "tls-servername", java: "none", absent: "the host of the address" },
        Kinds.readText,
        { at: ".servername" }
      ),
      insecure: Kinds.entry(
        { name: "tls-insecure", java: "`tls.client.authServer`, off by default" },
        Kinds.readBoolean,
        {
          at: ".insecure",
          printed: "false"
        }
      )
    },
    // Whoever names a certificate means TLS; only a plain "no" keeps it off.
    ({ enable = true, ...options }): TlsOptions | undefined => (enable ? options : undefined)
  )
}

/** A namespace becomes part of names; `%` separates it from them. */
const validNamespace = /^[a-zA-Z0-9_-]{1,100}$/

const namespace = (name: string, absent: string) =>
  Kinds.text({
    name,
    java: "the same",
    absent,
    default: undefined,
    check: (value) => (validNamespace.test(value) ? undefined : `must be 1 to 100 letters, digits, "_" and "-"`)
  })

/** The table of {@link SecurityOptions}. */
export const table = {
  credentials,
  tls,
  namespace: namespace("namespace", "that of a `http://MQ_INST_…` name server, else none"),
  namespaceV2: namespace("namespace-v2", "none"),
  unitMode: Kinds.boolean({ name: "unit-mode", java: "the same", default: false }),
  vipChannelEnabled: Kinds.boolean({
    name: "vip-channel-enabled",
    java: "the same, `com.rocketmq.sendMessageWithVIPChannel`",
    default: false
  }),
  allowAddress: Kinds.callable<(address: string) => boolean>({
    java: "none",
    absent: "every address but link-local ones and the like"
  })
} satisfies TableOf<SecurityOptions>

/** {@link SecurityOptions} with a value for each of them. */
export interface SecurityConfig extends Resolved<typeof table> {}

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
