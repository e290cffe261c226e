import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Latch } from "effect"
import * as MemoryWire from "../../src/transport/MemoryWire.ts"
import { ownScope, settle } from "../support/rig.ts"
import * as RemotingClient from "../support/remoting.ts"
import { makePeer, request, requestFrame } from "./support.ts"

const forked = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

/** A client with an open connection to a peer; what is given is registered before. */
const connected = Effect.fnUntraced(function* (client: RemotingClient.RemotingClient) {
  const peer = yield* makePeer()
  const call = yield* forked(client.invoke(peer.address, request(1), 5_000))
  const connection = yield* peer.accept
  return { address: peer.address, call, connection }
})

describe("handlers", () => {
  it.effect("take the requests of servers for as long as their scope is open, and others after them", () =>
    Effect.gen(function* () {
      const client = yield* RemotingClient.make({})
      const { connection } = yield* connected(client)
      yield* connection.next
      const ask = Effect.fnUntraced(function* (opaque: number) {
        yield* connection.write(requestFrame(opaque, 307))
        const { code, remark } = yield* connection.next
        return [code, remark]
      })
      const answering = (remark: string) => client.handle(307, () => Effect.succeed({ code: 0, remark }))
      assert.deepStrictEqual(yield* ask(1), [3, " request type 307 not supported"])
      const first = yield* ownScope(answering("first"))
      assert.deepStrictEqual(yield* ask(2), [0, "first"])
      yield* first.close
      assert.deepStrictEqual(yield* ask(3), [3, " request type 307 not supported"])
      yield* answering("second")
      assert.deepStrictEqual(yield* ask(4), [0, "second"])
      assert.strictEqual(client.counters().unsupportedRequest, 2)
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("a second handler for a code is a mistake, and the first one stays", () =>
    Effect.gen(function* () {
      const client = yield* RemotingClient.make({})
      yield* client.handle(40, () => Effect.succeed({ code: 0, remark: "first" }))
      const exit = yield* Effect.exit(Effect.scoped(client.handle(40, () => Effect.succeed({ code: 0 }))))
      assert.isTrue(Exit.isFailure(exit))
      if (Exit.isFailure(exit)) assert.include(String(Cause.squash(exit.cause)), "code 40")
      const { connection } = yield* connected(client)
      yield* connection.next
      yield* connection.write(requestFrame(1, 40))
      assert.strictEqual((yield* connection.next).remark, "first")
    }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect(
    "greetings come one after the other, before everybody else; listeners hear when it is open and when it ends",
    () =>
      Effect.gen(function* () {
        const heard: Array<string> = []
        const hear = (what: string) => Effect.sync(() => void heard.push(what))
        const gate = yield* Latch.make(false)
        const client = yield* RemotingClient.make({})
        yield* client.onConnected(() => Effect.die(new Error("a greeting with a bug")))
        yield* client.onConnected(() => Effect.andThen(hear("first greeting"), gate.await))
        yield* client.onConnected((_, invoke) =>
          Effect.andThen(hear("second"), Effect.ignore(invoke(request(34), 5_000)))
        )
        const gone = yield* ownScope(client.onConnected(() => hear("gone")))
        yield* gone.close
        yield* client.onOpened(() => {
          throw new Error("a listener with a bug")
        })
        yield* client.onOpened((at) => hear(`${client.connections()[0]?.state} ${at}`))
        yield* client.onClosed((at) => hear(`closed ${at}`))
        const { address, call, connection } = yield* connected(client)
        yield* settle
        assert.deepStrictEqual(heard, ["first greeting"])
        assert.strictEqual(client.connections()[0]?.state, "connecting")
        assert.strictEqual(yield* connection.unread, 0)
        yield* gate.open
        const commands = yield* connection.take(2)
        assert.deepStrictEqual(
          commands.map(({ code }) => code),
          [34, 1]
        )
        for (const command of commands) yield* connection.answer(command)
        yield* Fiber.join(call)
        yield* connection.end
        yield* settle
        assert.deepStrictEqual(heard, ["first greeting", "second", `open ${address}`, `closed ${address}`])
      }).pipe(Effect.provide(MemoryWire.layer))
  )

  it.effect("nobody hears that a connection is open which has ended before", () =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      const gate = yield* Latch.make(false)
      const client = yield* RemotingClient.make({})
      yield* client.onConnected(() => gate.await)
      yield* client.onOpened(() => Effect.sync(() => void heard.push("open")))
      yield* client.onClosed(() => Effect.sync(() => void heard.push("closed")))
      const { call, connection } = yield* connected(client)
      yield* connection.end
      assert.isTrue(Exit.isFailure(yield* Fiber.await(call)))
      yield* gate.open
      yield* settle
      assert.deepStrictEqual(heard, ["closed"])
    }).pipe(Effect.provide(MemoryWire.layer))
  )
})
