import { Context, Effect, Layer } from "effect"
import type { NameServerResolveError } from "./ClientError.ts"

/**
 * Your own source of name server addresses (a service registry, a Kubernetes lookup, ...). It is asked at start when
 * neither `namesrvAddr` nor `NAMESRV_ADDR` is set, and every 2 minutes afterwards. When it fails later on, the last good
 * list stays in use.
 */
export class NameServerResolver extends Context.Service<
  NameServerResolver,
  {
    /** For messages: where the addresses come from. */
    readonly name: string
    /** The addresses, each `host:port`. */
    readonly resolve: Effect.Effect<ReadonlyArray<string>, NameServerResolveError>
  }
>()("effect-rocketmq/client/NameServerResolver") {
  /** A resolver from an effect. */
  static readonly layer = (
    name: string,
    resolve: Effect.Effect<ReadonlyArray<string>, NameServerResolveError>
  ): Layer.Layer<NameServerResolver> => Layer.succeed(NameServerResolver, { name, resolve })
}
