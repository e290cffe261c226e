import { Effect, Layer } from "effect"
import { EmbeddedCluster, type EmbeddedClusterOptions } from "../../src/testing/index.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as MemoryWire from "../../src/transport/MemoryWire.ts"
import { Wire, WireError, type WireErrorKind } from "../../src/transport/Wire.ts"

/** What a platform reports for a kind. */
const reported: { readonly [K in WireErrorKind]?: string } = {
  dns: "getaddrinfo ENOTFOUND",
  exhausted: "connect EMFILE"
}

/** The wire in memory, on which the dials fail for which `fails` gives a kind. */
export const failingDials = (fails: (address: string) => WireErrorKind | undefined) =>
  Layer.effect(
    Wire,
    Effect.map(Wire, (wire): Wire["Service"] => ({
      ...wire,
      connect: (address, options) =>
        Effect.suspend(() => {
          const kind = fails(address)
          if (kind === undefined) return wire.connect(address, options)
          return Effect.fail(
            new WireError({ address, operation: "connect", kind, cause: new Error(reported[kind] ?? kind) })
          )
        })
    }))
  ).pipe(Layer.provideMerge(MemoryWire.layer))

/** Runs a test on a cluster in memory, for whose clients some dials fail. */
export const onFailingDials = (
  fails: (address: string) => WireErrorKind | undefined,
  options: EmbeddedClusterOptions = {}
) =>
  Effect.provide(
    MQClientManager.layer.pipe(
      Layer.provideMerge(EmbeddedCluster.layer({ seed: 1, ...options })),
      Layer.provideMerge(failingDials(fails))
    )
  )
