import { Effect, Layer } from "effect"
import type { LookupFunction } from "node:net"
import { Wire } from "./Wire.ts"

/** Options of {@link layerWith}. */
export interface TcpWireOptions {
  /** Resolves host names instead of `node:dns`; for tests. */
  readonly lookup?: LookupFunction | undefined
}

/** {@link layer} with options. */
export const layerWith = (_options: TcpWireOptions): Layer.Layer<Wire> =>
  Layer.succeed(Wire, {
    connect: () => Effect.die("not there yet"),
    listen: () => Effect.die("not there yet")
  })

/** The wire over TCP. */
export const layer: Layer.Layer<Wire> = layerWith({})
