import { Context, Effect } from "effect"

/** A broker as a route names it. */
export interface BrokerEndpoint {
  /** The name that a master and its slaves share. */
  readonly brokerName: string
  /** 0 is the master. */
  readonly brokerId: number
  /** `host:port` as the broker announced it. */
  readonly address: string
}

/**
 * Turns the address that a broker announces into the one that this client can reach: for brokers behind NAT, in
 * containers or at the end of a tunnel, which announce an inner address. The default leaves addresses as they are.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { AddressTranslator } from "effect-rocketmq"
 *
 * const published = Layer.succeed(AddressTranslator, {
 *   translate: ({ address }) => Effect.succeed(address.replace(/^172\.17\.\d+\.\d+:/, "127.0.0.1:"))
 * })
 * ```
 */
export const AddressTranslator: Context.Reference<{
  readonly translate: (endpoint: BrokerEndpoint) => Effect.Effect<string>
}> = Context.Reference("effect-rocketmq/client/AddressTranslator", {
  defaultValue: () => ({ translate: ({ address }) => Effect.succeed(address) })
})
