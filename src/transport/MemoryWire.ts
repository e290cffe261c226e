import { Context, Effect, Layer } from "effect"
import { Wire } from "./Wire.ts"

/** What becomes of dials to an address, and of the bytes on its open connections. */
export type Reachability = "open" | "refuse" | "blackhole"

/** The virtual network behind `MemoryWire.layer`, for tests: it counts, cuts and hides. */
export class MemoryNetwork extends Context.Service<
  MemoryNetwork,
  {
    readonly setReachable: (address: string, reachability: Reachability) => Effect.Effect<void>
    readonly setLatency: (millis: number) => Effect.Effect<void>
    readonly cutAll: (address: string) => Effect.Effect<void>
    readonly connections: () => Effect.Effect<number>
    readonly dials: (address: string) => Effect.Effect<number>
  }
>()("effect-rocketmq/transport/MemoryNetwork") {}

/** The wire in memory. */
export const layer: Layer.Layer<Wire | MemoryNetwork> = Layer.merge(
  Layer.succeed(Wire, {
    connect: () => Effect.die("not there yet"),
    listen: () => Effect.die("not there yet")
  }),
  Layer.succeed(MemoryNetwork, {
    setReachable: () => Effect.void,
    setLatency: () => Effect.void,
    cutAll: () => Effect.void,
    connections: () => Effect.succeed(0),
    dials: () => Effect.succeed(0)
  })
)
