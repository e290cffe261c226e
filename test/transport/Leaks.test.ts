import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import * as RemotingClient from "../support/remoting.ts"
import * as RemotingServer from "../../src/embedded/server/RemotingServer.ts"
import * as TcpWire from "../../src/transport/TcpWire.ts"
import { Wire } from "../../src/transport/Wire.ts"
import { request } from "./support.ts"

const forked = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

/** How many resources of each kind keep this process alive. */
const handles = (): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {}
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}

const sum = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((a, b) => a + b, 0)

/** Node forgets a closed handle some turns after its end. */
const turns = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })

/** Runs the effect, and checks that the process holds what it held before: no socket, no timer, no look-up. */
const leavesNothing = <E, R>(effect: Effect.Effect<void, E, R>) =>
  Effect.gen(function* () {
    yield* turns
    const before = handles()
    yield* effect
    yield* turns
    // Fewer timers may be left than before: the test runner has some of its own.
    for (const [kind, count] of Object.entries(handles())) assert.isAtMost(count, before[kind] ?? 0, kind)
  })

const world = Effect.gen(function* () {
  const server = yield* RemotingServer.listen({
    address: "127.0.0.1:0",
    handler: (command) => (command.code === 1 ? Effect.never : Effect.succeed({ code: 0 }))
  })
  for (let n = 0; n < 5; n++) {
    const client = yield* RemotingClient.make({})
    yield* forked(Effect.exit(client.invoke(server.address, request(1), 60_000)))
    yield* client.invoke(server.address, request(2), 60_000)
    yield* Effect.flip(client.invoke("127.0.0.1:1", request(2), 60_000))
  }
})

describe("what is left on real sockets", () => {
  it.live("nothing, after requests, held requests and refused dials", () =>
    leavesNothing(
      Effect.gen(function* () {
        const before = handles()
        yield* world
        assert.isAbove(sum(handles()), sum(before) + 10)
      }).pipe(Effect.scoped)
    ).pipe(Effect.provide(TcpWire.layer))
  )

  it.live("nothing, after a hundred clients came and went", () =>
    leavesNothing(
      Effect.scoped(
        Effect.gen(function* () {
          const server = yield* RemotingServer.listen({
            address: "127.0.0.1:0",
            handler: () => Effect.succeed({ code: 0 })
          })
          for (let n = 0; n < 100; n++) {
            const scope = yield* Scope.make()
            const client = yield* Scope.provide(RemotingClient.make({}), scope)
            yield* client.invoke(server.address, request(2), 60_000)
            yield* Scope.close(scope, Exit.void)
          }
        })
      )
    ).pipe(Effect.provide(TcpWire.layer))
  )

  it.live("L13: nothing, after dials that were interrupted or timed out", () =>
    leavesNothing(
      Effect.gen(function* () {
        const wire = yield* Wire
        const dial = (connectTimeoutMillis: number) =>
          Effect.scoped(Effect.flip(wire.connect("black.hole.test:1", { connectTimeoutMillis })))
        // The resolver of this test never answers.
        assert.strictEqual((yield* dial(10)).kind, "dns")
        const dialling = yield* forked(dial(60_000))
        yield* Fiber.interrupt(dialling)
        const scope = yield* Scope.make()
        const client = yield* Scope.provide(RemotingClient.make({}), scope)
        const call = yield* forked(Effect.flip(client.invoke("black.hole.test:1", request(1), 60_000)))
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual((yield* Fiber.join(call))._tag, "ClientClosed")
      })
    ).pipe(Effect.provide(TcpWire.layerWith({ lookup: () => {} })))
  )
})
