import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Exit, Fiber, Schema, Scope } from "effect"
import type { RemotingCommand } from "../../src/protocol/RemotingCommand.ts"
import * as MemoryWire from "../../src/transport/MemoryWire.ts"
import * as RemotingClient from "../support/remoting.ts"
import { makeInFlightLimit } from "../../src/transport/InFlightLimit.ts"
import { makePeer, request } from "./support.ts"
import type { PeerConnection } from "./support.ts"

const forked = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

const pick = <A>(from: Array<A>, which: number): A | undefined => from[which % Math.max(1, from.length)]

const Step = Schema.Union([
  Schema.Struct({ do: Schema.Literals(["invoke", "oneway"]), size: Schema.Literals([0, 100, 4000]) }),
  Schema.Struct({
    do: Schema.Literals(["answer", "answerTwice", "interrupt", "end", "cut", "closeAddress", "turn"]),
    which: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))
  })
])

describe("what is under way", () => {
  it.effect.prop(
    "any interleaving of requests, answers, interruptions and closes ends each request once and frees all",
    { steps: Arbitrary.array(Arbitrary.schema(Step), { minLength: 1, maxLength: 60 }) },
    ({ steps }) =>
      Effect.gen(function* () {
        const network = yield* MemoryWire.MemoryNetwork
        const peer = yield* makePeer()
        const scope = yield* Scope.make()
        const client = yield* RemotingClient.make({ maxInFlightRequests: 3, maxInFlightBytes: 5000 }).pipe(
          Scope.provide(scope)
        )
        const ends: Array<number> = []
        const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
        const connections: Array<PeerConnection> = []
        const unanswered: Array<{ readonly connection: PeerConnection; readonly command: RemotingCommand }> = []

        /** Lets everything settle, and notes what the peer got. */
        const settle = Effect.gen(function* () {
          yield* Effect.yieldNow
          yield* Effect.yieldNow
          while ((yield* peer.unaccepted) > 0) connections.push(yield* peer.accept)
          for (const connection of connections) {
            while ((yield* connection.unread) > 0) {
              const command = yield* connection.next
              if (command.flag === 0) unanswered.push({ connection, command })
            }
          }
        })

        for (const step of steps) {
          switch (step.do) {
            case "invoke":
            case "oneway": {
              const id = ends.length
              ends.push(0)
              const send = step.do === "invoke" ? client.invoke : client.invokeOneway
              const call: Effect.Effect<unknown, unknown> = send(
                peer.address,
                request(id, new Uint8Array(step.size)),
                60_000
              )
              const ended = Effect.sync(() => {
                ends[id] = (ends[id] ?? 0) + 1
              })
              fibers.push(yield* forked(Effect.onExit(call, () => ended)))
              break
            }
            case "answer":
            case "answerTwice": {
              const target = pick(unanswered, step.which)
              if (target === undefined) break
              unanswered.splice(unanswered.indexOf(target), 1)
              yield* Effect.ignore(target.connection.answer(target.command))
              if (step.do === "answerTwice") yield* Effect.ignore(target.connection.answer(target.command))
              break
            }
            case "interrupt": {
              const fiber = pick(fibers, step.which)
              if (fiber !== undefined) yield* Fiber.interrupt(fiber)
              break
            }
            case "end":
              yield* pick(connections, step.which)?.end ?? Effect.void
              break
            case "cut":
              yield* network.cutAll(peer.address)
              break
            case "closeAddress":
              yield* client.closeAddress(peer.address)
              break
            case "turn":
              yield* settle
              break
          }
          for (const info of client.connections()) {
            assert.isAtMost(info.inFlight, 3)
            assert.isAtMost(info.inFlightBytes, 5000)
          }
        }
        yield* settle
        for (const { command, connection } of unanswered.splice(0)) yield* Effect.ignore(connection.answer(command))
        for (const fiber of fibers.slice(0, fibers.length >> 1)) yield* Fiber.interrupt(fiber)
        yield* settle
        for (let n = 0; n < ends.length; n++) {
          for (const { command, connection } of unanswered.splice(0)) yield* Effect.ignore(connection.answer(command))
          yield* settle
        }
        for (const info of client.connections()) {
          assert.deepStrictEqual([info.inFlight, info.inFlightBytes, info.waiting], [0, 0, 0])
        }
        yield* Scope.close(scope, Exit.void)
        for (const fiber of fibers) yield* Fiber.await(fiber)
        assert.deepStrictEqual(
          ends,
          ends.map(() => 1)
        )
      }).pipe(Effect.scoped, Effect.provide(MemoryWire.layer, { local: true })),
    { arbitrary: { runs: 150 } }
  )

  it.prop(
    "B15: the limit admits in order, never passes its caps, and never leaves anybody who fits",
    {
      sizes: Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 12 }))), {
        minLength: 1,
        maxLength: 40
      }),
      leaves: Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100 }))), {
        minLength: 0,
        maxLength: 80
      })
    },
    ({ leaves, sizes }) => {
      const inside: Array<{ readonly n: number; readonly size: number }> = []
      const order: Array<number> = []
      const enter = (entering: { readonly n: number; readonly size: number }) => {
        inside.push(entering)
        order.push(entering.n)
      }
      const limit = makeInFlightLimit<{ readonly n: number; readonly size: number }>({
        maxRequests: 4,
        maxBytes: 20,
        unwritten: () => 0,
        admit: enter
      })
      const check = () => {
        assert.isAtMost(limit.count(), 4)
        assert.isAtMost(limit.bytes(), 20)
        assert.strictEqual(
          limit.bytes(),
          inside.reduce((sum, { size }) => sum + size, 0)
        )
        const [first] = limit.waiting()
        if (first !== undefined) assert.isTrue(limit.count() === 4 || limit.bytes() + first.size > 20)
      }
      sizes.forEach((size, n) => {
        const each = { n, size }
        if (limit.enter(each)) enter(each)
        check()
      })
      for (const which of [...leaves, ...sizes.map(() => 0)]) {
        const [leaving] = inside.splice(which % Math.max(1, inside.length), 1)
        if (leaving !== undefined) limit.leave(leaving)
        check()
      }
      assert.deepStrictEqual(
        order,
        sizes.map((_, n) => n)
      )
    }
  )
})

describe("requests that take no place", () => {
  it("pass when everything is taken, leave nothing behind, and let nobody in", () => {
    const admitted: Array<string> = []
    const limit = makeInFlightLimit<{ readonly name: string; readonly size: number }>({
      maxRequests: 1,
      maxBytes: 100,
      unwritten: () => 0,
      admit: ({ name }) => void admitted.push(name),
      isFree: ({ name }) => name.startsWith("pull")
    })
    const [send, next, pull] = [
      { name: "send", size: 10 },
      { name: "next", size: 10 },
      { name: "pull", size: 10 }
    ] as const
    assert.isTrue(limit.enter(send))
    assert.isFalse(limit.enter(next))
    assert.isTrue(limit.enter(pull))
    assert.deepStrictEqual([limit.count(), limit.bytes()], [1, 10])
    limit.leave(pull)
    assert.deepStrictEqual([limit.count(), limit.bytes(), admitted.length], [1, 10, 0])
    limit.leave(send)
    assert.deepStrictEqual(admitted, ["next"])
  })
})
