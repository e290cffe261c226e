import { Console, Effect, Layer, Option, Redacted } from "effect"
import { readFile } from "node:fs/promises"
import * as ForeignText from "../message/ForeignText.ts"
import { MQAdmin } from "../admin/MQAdmin.ts"
import * as ClientConfig from "../client/ClientConfig.ts"
import type { ClientOptions } from "../client/ClientConfig.ts"
import { InvalidConfig, type StartError } from "../client/ClientError.ts"
import { MQClientManager } from "../client/MQClientManager.ts"
import { COMMON_PREFIX } from "../client/options/ConfigNames.ts"
import * as ReadOptions from "../client/options/ReadOptions.ts"
import type { TlsOptions } from "../transport/Tls.ts"
import type { Wire } from "../transport/Wire.ts"
import type { Access } from "./ConnectionFlags.ts"
import { UsageError } from "./Failure.ts"
import { palette, Screen } from "./Screen.ts"

/** Which cluster a command talks to, and as whom. */
export interface Connection {
  readonly namesrv: string
  readonly access: Access
}

const read = (flag: string, path: Option.Option<string>) =>
  Option.match(path, {
    onNone: () => Effect.succeed(undefined),
    onSome: (file) =>
      Effect.tryPromise({
        try: () => readFile(file, "utf8"),
        catch: (error) =>
          new UsageError({
            problem: `--${flag} ${file} cannot be read: ${ForeignText.ofThrown(error)}`,
            remedy: "Name a PEM file that you may read."
          })
      })
  })

/** The TLS options that the flags of a command say, put over those of the variables; undefined for plain text. */
const tlsOf = Effect.fnUntraced(function* (
  access: Access,
  known: TlsOptions | undefined
): Effect.fn.Return<TlsOptions | undefined, UsageError> {
  if (Option.getOrUndefined(access.tls) === false) return undefined
  const ca = yield* read("tls-ca", access.tlsCa)
  const cert = yield* read("tls-cert", access.tlsCert)
  const key = yield* read("tls-key", access.tlsKey)
  const servername = Option.getOrUndefined(access.tlsServername)
  const insecure = Option.getOrUndefined(access.tlsInsecure)
  const wanted = [ca, cert, key, servername].some((value) => value !== undefined) || insecure === true
  if (!wanted && known === undefined && Option.isNone(access.tls)) return undefined
  const options: TlsOptions = {
    ca: ca ?? known?.ca,
    cert: cert ?? known?.cert,
    key: key === undefined ? known?.key : Redacted.make(key),
    passphrase: known?.passphrase,
    servername: servername ?? known?.servername,
    insecure: insecure ?? known?.insecure
  }
  if (options.insecure === true) {
    const colors = palette((yield* Screen).stderr)
    yield* Console.error(
      `${colors.warn("warning:")} with --tls-insecure whoever answers at a server's address is trusted`
    )
  }
  return options
})

const { namesrvAddr, ...others } = ClientConfig.table

/** What a client's options are in the environment, but for the name servers: those are a flag of every command. */
const fromEnvironment = (given: ClientOptions) =>
  ReadOptions.read<ClientOptions, ClientConfig.ClientConfig>(
    {
      prefix: undefined,
      parts: [{ table: others, prefixes: [COMMON_PREFIX] }],
      more: { table: { namesrvAddr }, prefixes: [COMMON_PREFIX] },
      resolve: ClientConfig.resolve
    },
    given
  )

/** The options of a client as flags and variables say them, but for the name servers. */
export const accessOptions = Effect.fnUntraced(function* (access: Access): Effect.fn.Return<ClientOptions, UsageError> {
  const accessKey = Option.getOrUndefined(access.accessKey)
  const secretKey = Option.getOrUndefined(access.secretKey)
  if ((accessKey === undefined) !== (secretKey === undefined)) {
    return yield* new UsageError({
      problem:
        accessKey === undefined
          ? "A secret key was given, and no access key."
          : "An access key was given, and no secret key.",
      remedy: "Set both ROCKETMQ_ACCESS_KEY and ROCKETMQ_SECRET_KEY, or pass --access-key and --secret-key."
    })
  }
  const credentials =
    accessKey === undefined || secretKey === undefined
      ? undefined
      : { accessKey, secretKey, securityToken: Option.getOrUndefined(access.securityToken) }
  const { options, problems } = yield* fromEnvironment({
    credentials,
    namespace: Option.getOrUndefined(access.namespace)
  })
  if (problems.length > 0) {
    const { message } = new InvalidConfig({ problems })
    return yield* new UsageError({ problem: message, remedy: "Set the variables right, or pass the flags instead." })
  }
  return { ...options, tls: yield* tlsOf(access, options.tls) }
})

/** The options of a client for a command. */
export const clientOptions = ({ access, namesrv }: Connection) =>
  Effect.map(accessOptions(access), (options) => ({ ...options, namesrvAddr: namesrv }))

/** The administrator that the commands read a cluster with. */
export const adminLayer = (connection: Connection): Layer.Layer<MQAdmin, StartError | UsageError, Wire> =>
  Layer.unwrap(Effect.map(clientOptions(connection), (options) => MQAdmin.layer(options))).pipe(
    Layer.provide(MQClientManager.layer)
  )
