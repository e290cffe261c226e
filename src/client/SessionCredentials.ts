import { Context, Effect, Layer, Redacted, Schema } from "effect"
import { ILL_FORMED } from "../message/WellFormed.ts"
import * as AclSignature from "../protocol/AclSignature.ts"
import type { Request } from "../protocol/RemotingCommand.ts"

/** Who a client is for servers with access control. Source: RocketMQ `SessionCredentials`. */
export interface Credentials {
  /** The user's name. It goes out with every request. */
  readonly accessKey: string
  /** The user's password. It never leaves the process: requests are signed with it. */
  readonly secretKey: Redacted.Redacted
  /** The token of temporary credentials. It goes out with every request. */
  readonly securityToken?: Redacted.Redacted | undefined
}

/** The credentials cannot be had at present; a request that needs them is not sent. */
export class CredentialsUnavailable extends Schema.TaggedError<CredentialsUnavailable>()("CredentialsUnavailable", {
  /** Where they were looked for, and what was found there; without the credentials themselves. */
  detail: Schema.String
}) {
  override get message() {
    return `The credentials are not available: ${this.detail}.`
  }
}

/**
 * Where a client's credentials come from. It is asked for every request, so new credentials are in force with the next
 * request and nothing needs to be restarted; whatever takes long belongs into a cache of the service itself.
 *
 * @example
 * ```ts
 * import { Effect, Redacted, Ref } from "effect"
 * import { SessionCredentials } from "effect-rocketmq"
 *
 * export const rotating = Effect.gen(function* () {
 *   const current = yield* Ref.make({ accessKey: "orders", secretKey: Redacted.make("first") })
 *   return { layer: SessionCredentials.layer(Ref.get(current)), rotate: (secretKey: Redacted.Redacted) =>
 *     Ref.update(current, (before) => ({ ...before, secretKey })) }
 * })
 * ```
 */
export class SessionCredentials extends Context.Service<
  SessionCredentials,
  {
    /** The credentials to sign the next request with. */
    readonly get: Effect.Effect<Credentials, CredentialsUnavailable>
  }
>()("effect-rocketmq/client/SessionCredentials") {
  /** Credentials from an effect that is run for every request. */
  static readonly layer = (get: Effect.Effect<Credentials, CredentialsUnavailable>): Layer.Layer<SessionCredentials> =>
    Layer.succeed(SessionCredentials, { get })
}

/** What a client's option `credentials` takes: the credentials, or where they come from. */
export type CredentialsSource = Credentials | SessionCredentials["Service"]

/** Whether the credentials are given and not asked for. */
export const isFixed = (source: CredentialsSource): source is Credentials => !("get" in source)

/** What is wrong with given credentials, in words that hold none of them. */
export const problemOf = (source: CredentialsSource): string | undefined => {
  if (!isFixed(source)) return Effect.isEffect(source.get) ? undefined : "get is no effect"
  if (typeof source.accessKey !== "string" || source.accessKey.trim() === "") return "accessKey is blank"
  if (!source.accessKey.isWellFormed()) return `accessKey ${ILL_FORMED}`
  if (!Redacted.isRedacted(source.secretKey)) return "secretKey is not Redacted"
  if (Redacted.value(source.secretKey) === "") return "secretKey is empty"
  if (!Redacted.value(source.secretKey).isWellFormed()) return `secretKey ${ILL_FORMED}`
  if (source.securityToken !== undefined && !Redacted.isRedacted(source.securityToken)) {
    return "securityToken is not Redacted"
  }
  if (source.securityToken !== undefined && !Redacted.value(source.securityToken).isWellFormed()) {
    return `securityToken ${ILL_FORMED}`
  }
  return undefined
}

const signWith = ({ accessKey, secretKey, securityToken }: Credentials, request: Request): Request =>
  AclSignature.sign(
    {
      accessKey,
      secretKey: Redacted.value(secretKey),
      securityToken: securityToken === undefined ? undefined : Redacted.value(securityToken)
    },
    request
  )

/**
 * Signs requests. Given credentials sign at once; a source is asked for each request. It has to be the last thing that
 * changes a request.
 *
 * Source: RocketMQ `AclClientRPCHook`.
 */
export const signer = (
  source: CredentialsSource
): ((request: Request) => Request | Effect.Effect<Request, CredentialsUnavailable>) =>
  isFixed(source)
    ? (request) => signWith(source, request)
    : (request) => Effect.map(source.get, (credentials) => signWith(credentials, request))
