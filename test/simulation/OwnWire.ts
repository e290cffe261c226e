import { Effect, Exit, Scope } from "effect"
import { Wire, WireError } from "../../src/transport/Wire.ts"

/** What one process has of the network: it can be taken from it, while the others keep theirs. */
export interface OwnWire {
  readonly wire: Wire["Service"]
  /** Ends all connections, and lets no others begin: the process is cut off, or has died. */
  readonly cut: Effect.Effect<void>
  /** Lets connections begin again. */
  readonly mend: Effect.Effect<void>
}

/** A wire over the present one. */
export const make: Effect.Effect<OwnWire, never, Wire> = Effect.gen(function* () {
  const wire = yield* Wire
  const open = new Set<Scope.Closeable>()
  let isCut = false
  const own = Wire.of({
    ...wire,
    connect: (address, options) =>
      Effect.gen(function* () {
        if (isCut) {
          return yield* new WireError({ address, operation: "connect", kind: "refused", cause: new Error("cut off") })
        }
        const scope = yield* Scope.fork(yield* Effect.scope)
        open.add(scope)
        return yield* Scope.provide(wire.connect(address, options), scope)
      })
  })
  return {
    wire: own,
    cut: Effect.suspend(() => {
      isCut = true
      const all = [...open]
      open.clear()
      return Effect.forEach(all, (scope) => Scope.close(scope, Exit.void), { discard: true })
    }),
    mend: Effect.sync(() => {
      isCut = false
    })
  }
})
