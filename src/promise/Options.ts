import { Effect, Layer, Redacted } from "effect"
import * as ForeignText from "../message/ForeignText.ts"
import { MQClientManager } from "../client/MQClientManager.ts"
import { type Credentials, CredentialsUnavailable, type CredentialsSource } from "../client/SessionCredentials.ts"
import type { ProducerConfig, ProducerOptions } from "../producer/ProducerConfig.ts"
import type { TlsOptions } from "../transport/Tls.ts"

/** A secret as text, or redacted already. It is redacted at once and appears nowhere. */
export type Secret = string | Redacted.Redacted

/** {@link Credentials} whose secrets may be text. */
export interface PlainCredentials {
  /** The user's name. It goes out with every request. */
  readonly accessKey: string
  /** The user's password. It never leaves the process: requests are signed with it. */
  readonly secretKey: Secret
  /** Of temporary credentials; none when absent. It goes out with every request. */
  readonly securityToken?: Secret | undefined
}

/** {@link TlsOptions} whose secrets may be text. */
export interface PlainTlsOptions extends Omit<TlsOptions, "key" | "passphrase"> {
  /** The client's private key as PEM, for mutual TLS; none when absent. */
  readonly key?: Secret | undefined
  /** What the private key is encrypted with; none when absent. */
  readonly passphrase?: Secret | undefined
}

/** What stands for Effect's own types in the options of every kind of client. */
export interface PlainParts {
  /** The credentials, or a function that is asked for every request, so that they can be changed without a restart. */
  readonly credentials?: PlainCredentials | (() => PlainCredentials | Promise<PlainCredentials>) | undefined
  /** TLS to name servers and brokers; plain text when absent. */
  readonly tls?: PlainTlsOptions | undefined
  /**
   * Effect services for the client: a logger, a tracer, hooks, an `AddressTranslator`, a `NameServerResolver`. What has
   * services of its own shares no client instance with others.
   */
  readonly services?: Layer.Layer<never> | undefined
}

/** The options of a producer for code without Effect: those of the other face, with plain secrets. */
export interface PlainOptions extends Omit<ProducerOptions, "credentials" | "tls">, PlainParts {}

const redacted = (secret: Secret): Redacted.Redacted => (Redacted.isRedacted(secret) ? secret : Redacted.make(secret))

const optional = (secret: Secret | undefined) => (secret === undefined ? undefined : redacted(secret))

const credentials = ({ accessKey, secretKey, securityToken }: PlainCredentials): Credentials => ({
  accessKey,
  secretKey: redacted(secretKey),
  securityToken: optional(securityToken)
})

const source = (given: NonNullable<PlainParts["credentials"]>): CredentialsSource =>
  typeof given !== "function"
    ? credentials(given)
    : {
        get: Effect.tryPromise({
          try: async () => credentials(await given()),
          catch: (error) =>
            new CredentialsUnavailable({
              detail: `the function of the option credentials failed: ${ForeignText.ofThrown(error, 200)}`
            })
        })
      }

/** The options with their secrets redacted. */
export const redact = <O extends PlainParts>(
  options: O
): Omit<O, "credentials" | "services" | "tls"> & Partial<Pick<ProducerConfig, "credentials" | "tls">> => {
  const { credentials: given, services: _, tls, ...rest } = options
  return {
    ...rest,
    credentials: given === undefined ? undefined : source(given),
    tls: tls === undefined ? undefined : { ...tls, key: optional(tls.key), passphrase: optional(tls.passphrase) }
  }
}

/** The client instances over TCP, with or without services of the caller's. */
export const managerLayer = (services: Layer.Layer<never> | undefined): Layer.Layer<MQClientManager> =>
  services === undefined
    ? MQClientManager.layerTcp
    : Layer.provideMerge(Layer.fresh(MQClientManager.layerTcp), services)
