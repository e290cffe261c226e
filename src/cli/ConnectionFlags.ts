import { Config, type Option, Redacted } from "effect"
import { Flag } from "effect/cli"
import { firstOf, type Names, variables } from "./Variables.ts"

/** `--namesrv`, else the variables that `layerConfig` reads, through `Config`. */
export const namesrv: Flag.Flag<string> = Flag.String("namesrv").pipe(
  Flag.withAlias("n"),
  Flag.withMetavar("host:port;..."),
  Flag.withDescription("Name servers; default: the variable ROCKETMQ_NAME_SERVER or NAMESRV_ADDR"),
  Flag.withFallbackConfig(firstOf(variables.namesrv))
)

/**
 * How a command reaches the cluster, apart from its name servers. Of TLS only what the flags say: the variables are read
 * together with all other options of a client.
 */
export interface Access {
  readonly accessKey: Option.Option<string>
  readonly secretKey: Option.Option<Redacted.Redacted>
  readonly securityToken: Option.Option<Redacted.Redacted>
  readonly tls: Option.Option<boolean>
  readonly tlsCa: Option.Option<string>
  readonly tlsCert: Option.Option<string>
  readonly tlsKey: Option.Option<string>
  readonly tlsServername: Option.Option<string>
  readonly tlsInsecure: Option.Option<boolean>
  readonly namespace: Option.Option<string>
}

const text = (name: string, variable: string, metavar: string, what: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar(metavar),
    Flag.withDescription(`${what}; default: ${variable}`),
    Flag.optional
  )

const withVariable = (name: string, names: Names, what: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar("name"),
    Flag.withDescription(`${what}; default: ${names[0]}`),
    Flag.withFallbackConfig(firstOf(names)),
    Flag.optional
  )

const secret = (name: string, names: Names, what: string) =>
  Flag.Redacted(name).pipe(
    Flag.withDescription(`${what}; default: ${names[0]}, which other users of this machine do not see`),
    Flag.withFallbackConfig(Config.map(firstOf(names), (value) => Redacted.make(value))),
    Flag.optional
  )

const yes = (name: string, variable: string, what: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(`${what}; default: ${variable}`), Flag.optional)

/** Who asks, how the connections are protected, and for which namespace: the flags of every command that has `--namesrv`. */
export const access = {
  accessKey: withVariable("access-key", variables.accessKey, "The user, for servers with access control"),
  secretKey: secret("secret-key", variables.secretKey, "The user's secret, with which requests are signed"),
  securityToken: secret("security-token", variables.securityToken, "The token of temporary credentials"),
  tls: yes("tls", "ROCKETMQ_TLS_ENABLE", "Speak TLS; any other --tls flag means it too"),
  tlsCa: text("tls-ca", "ROCKETMQ_TLS_CA_FILE", "file", "PEM file of the authorities to trust"),
  tlsCert: text("tls-cert", "ROCKETMQ_TLS_CERT_FILE", "file", "PEM file of this client's certificate"),
  tlsKey: text("tls-key", "ROCKETMQ_TLS_KEY_FILE", "file", "PEM file of its key"),
  tlsServername: text("tls-servername", "ROCKETMQ_TLS_SERVERNAME", "name", "The name to find in the certificate"),
  tlsInsecure: yes("tls-insecure", "ROCKETMQ_TLS_INSECURE", "Take any certificate of any host; for tests"),
  namespace: withVariable("namespace", variables.namespace, "Prefix of all topics and groups")
} as const

/** The flags of every command that talks to a cluster. */
export const connection = { namesrv, access } as const

/** Their names, which help puts behind a command's own. */
export const connectionFlags: ReadonlySet<string> = new Set([
  "namesrv",
  "access-key",
  "secret-key",
  "security-token",
  "tls",
  "tls-ca",
  "tls-cert",
  "tls-key",
  "tls-servername",
  "tls-insecure",
  "namespace"
])
