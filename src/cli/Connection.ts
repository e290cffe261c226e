import { Console, Effect, Layer, Option, Redacted } from "effect"
import { readFile } from "node:fs/promises"
import * as ForeignText from "../message/ForeignText.ts"
import { MQAdmin } from "../admin/MQAdmin.ts"
import type { ClientOptions } from "../client/ClientConfig.ts"
import type { StartError } from "../client/ClientError.ts"
import { MQClientManager } from "../client/MQClientManager.ts"
import type { TlsOptions } from "../transport/Tls.ts"
import type { Wire } from "../transport/Wire.ts"
import type { Access } from "./Flags.ts"
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

const tlsOf = Effect.fnUntraced(function* (access: Access): Effect.fn.Return<TlsOptions | undefined, UsageError> {
  const ca = yield* read("tls-ca", access.tlsCa)
  const cert = yield* read("tls-cert", access.tlsCert)
  const key = yield* read("tls-key", access.tlsKey)
  const servername = Option.getOrUndefined(access.tlsServername)
  const wanted = access.tls || access.tlsInsecure || [ca, cert, key, servername].some((value) => value !== undefined)
  if (!wanted) return undefined
  if (access.tlsInsecure) {
    const colors = palette((yield* Screen).stderr)
    yield* Console.error(
      `${colors.warn("warning:")} with --tls-insecure whoever answers at a server's address is trusted`
    )
  }
  return {
    ca,
    cert,
    key: key === undefined ? undefined : Redacted.make(key),
    servername,
    insecure: access.tlsInsecure
  }
})

/** The options of a client that the flags of {@link Access} stand for. */
export type AccessOptions = Pick<ClientOptions, "credentials" | "tls" | "namespace">

/** What the flags say about credentials, TLS and namespace, as a client's options. */
export const accessOptions = Effect.fnUntraced(function* (access: Access): Effect.fn.Return<AccessOptions, UsageError> {
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
  return {
    credentials:
      accessKey === undefined || secretKey === undefined
        ? undefined
        : { accessKey, secretKey, securityToken: Option.getOrUndefined(access.securityToken) },
    tls: yield* tlsOf(access),
    namespace: Option.getOrUndefined(access.namespace)
  }
})

/** The options of a client for a command. */
export const clientOptions = ({ access, namesrv }: Connection) =>
  Effect.map(accessOptions(access), (options) => ({ ...options, namesrvAddr: namesrv }))

/** The administrator that the commands read a cluster with. */
export const adminLayer = (connection: Connection): Layer.Layer<MQAdmin, StartError | UsageError, Wire> =>
  Layer.unwrap(Effect.map(clientOptions(connection), (options) => MQAdmin.layer(options))).pipe(
    Layer.provide(MQClientManager.layer)
  )
