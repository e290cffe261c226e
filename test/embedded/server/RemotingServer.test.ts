import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Queue, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { RemotingCommand } from "../../../src/protocol/RemotingCommand.ts"
import * as RemotingClient from "../../support/remoting.ts"
import { ConnectionClosed, RequestTimeout } from "../../../src/transport/RemotingError.ts"
import * as RemotingServer from "../../../src/embedded/server/RemotingServer.ts"
import type { Channel, FaultAction } from "../../../src/embedded/server/RemotingServer.ts"
import { Wire } from "../../../src/transport/Wire.ts"
import { request, requestFrame, wires } from "../../transport/support.ts"

const forked = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })
const echo = (command: RemotingCommand) => Effect.succeed({ code: 0, remark: String(command.code) })
const address = "127.0.0.1:0"

describe.each(wires)("RemotingServer on $name", ({ layer }) => {
  it.live("starts the requests of a connection in order; one that is held holds up no other", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const started: Array<number> = []
      const server = yield* RemotingServer.listen({
        address,
        handler: (command) =>
          Effect.suspend(() => {
            started.push(command.code)
            const answer = echo(command)
            return command.code === 0 ? Effect.andThen(Deferred.await(gate), answer) : answer
          })
      })
      const client = yield* RemotingClient.make({})
      const held = yield* forked(client.invoke(server.address, request(0), 5000))
      const codes = Array.from({ length: 50 }, (_, n) => n + 1)
      yield* Effect.forEach(codes, (code) => client.invoke(server.address, request(code), 5000), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(started, [0, ...codes])
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Fiber.join(held)).remark, "0")
    }).pipe(Effect.provide(layer))
  )

  it.live("a client that asks without end and does not read is not read either, until it reads", () =>
    Effect.gen(function* () {
      const wire = yield* Wire
      const count = { handled: 0 }
      const server = yield* RemotingServer.listen({
        address,
        handler: () =>
          Effect.sync(() => {
            count.handled++
            return { code: 0, body: new Uint8Array(1_000) }
          })
      })
      const stream = yield* wire.connect(server.address, { connectTimeoutMillis: 5_000 })
      const flood = Buffer.concat(Array.from({ length: 1_000 }, (_, n) => requestFrame(n, 1)))
      let asked = 0
      const asking = yield* forked(
        Effect.forever(Effect.tap(stream.write([flood]), () => Effect.sync(() => (asked += 1_000))))
      )
      // 8 MiB of answers of 1.1 KB, and then no more: were the requests read on, the second loop would not end.
      while (count.handled < 7_000) yield* Effect.sleep(5)
      for (let before = -1; before !== count.handled; yield* Effect.sleep(200)) before = count.handled
      assert.isBelow(count.handled, 40_000)
      yield* Fiber.interrupt(asking)
      const { handled } = count
      yield* Effect.forkChild(Effect.ignore(Effect.forever(stream.pull)))
      while (count.handled === handled) yield* Effect.sleep(5)
      assert.isAbove(asked, handled - 2_000)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.live("no answer for undefined and for one-way requests; code 1 for a handler that dies", () =>
    Effect.gen(function* () {
      const seen = yield* Queue.unbounded<number>()
      const server = yield* RemotingServer.listen({
        address,
        handler: (command) => {
          Queue.offerUnsafe(seen, command.code)
          if (command.code === 1) return Effect.succeed(undefined)
          if (command.code === 2) return Effect.die(new TypeError("bug"))
          if (command.code === 3) throw new Error("thrown")
          return echo(command)
        }
      })
      const client = yield* RemotingClient.make({})
      yield* client.invokeOneway(server.address, request(4), 5000)
      assert.strictEqual(yield* Queue.take(seen), 4)
      const unanswered = yield* forked(client.invoke(server.address, request(1), 5000))
      const died = yield* client.invoke(server.address, request(2), 5000)
      assert.deepStrictEqual([died.code, died.remark], [1, "TypeError: bug"])
      const threw = yield* client.invoke(server.address, request(3), 5000)
      assert.deepStrictEqual([threw.code, threw.remark], [1, "Error: thrown"])
      assert.strictEqual(unanswered.pollUnsafe(), undefined)
      assert.strictEqual(client.counters().framesIn, 2)
      yield* Fiber.interrupt(unanswered)
    }).pipe(Effect.provide(layer))
  )

  it.live("talks to its clients: requests with and without answer", () =>
    Effect.gen(function* () {
      const opened = yield* Queue.unbounded<Channel>()
      const pushed = yield* Queue.unbounded<number>()
      const server = yield* RemotingServer.listen({
        address,
        handler: echo,
        onOpen: (channel) => Effect.asVoid(Queue.offer(opened, channel))
      })
      const client = yield* RemotingClient.make({})
      yield* RemotingClient.handleAll(client, (_, command) =>
        Effect.as(Queue.offer(pushed, command.code), { code: 0, remark: `client got ${command.code}` })
      )
      yield* client.invoke(server.address, request(1), 5000)
      const channel = yield* Queue.take(opened)
      assert.strictEqual((yield* channel.invoke(request(307), 5000)).remark, "client got 307")
      yield* channel.send(request(40), { oneway: true })
      assert.deepStrictEqual([yield* Queue.take(pushed), yield* Queue.take(pushed)], [307, 40])
      assert.deepStrictEqual(
        (yield* server.channels).map(({ id }) => id),
        [channel.id]
      )
    }).pipe(Effect.provide(layer))
  )

  it.live("a channel has its own number, and its end runs onClose once", () =>
    Effect.gen(function* () {
      const closed = yield* Queue.unbounded<number>()
      const server = yield* RemotingServer.listen({
        address,
        handler: echo,
        onClose: ({ id }) => Effect.asVoid(Queue.offer(closed, id))
      })
      const scope = yield* Scope.make()
      const one = yield* Scope.provide(RemotingClient.make({}), scope)
      const two = yield* RemotingClient.make({})
      yield* one.invoke(server.address, request(1), 5000)
      yield* two.invoke(server.address, request(1), 5000)
      const [first, second] = yield* server.channels
      assert.notStrictEqual(first?.id, second?.id)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* Queue.take(closed), first?.id)
      const pending = yield* forked(Effect.flip(second?.invoke(request(9), 5000) ?? Effect.die("no channel")))
      yield* second?.close ?? Effect.void
      assert.instanceOf(yield* Fiber.join(pending), ConnectionClosed)
      assert.strictEqual(yield* Queue.take(closed), second?.id)
      assert.deepStrictEqual(yield* server.channels, [])
      // Nothing happens any more, and nothing fails.
      yield* second?.send(request(1), { oneway: true }) ?? Effect.void
      yield* second?.close ?? Effect.void
      assert.strictEqual(yield* Queue.size(closed), 0)
    }).pipe(Effect.provide(layer))
  )

  it.live("closing the server's scope closes its channels and its listener", () =>
    Effect.gen(function* () {
      const closed: Array<number> = []
      const scope = yield* Scope.make()
      const server = yield* RemotingServer.listen({
        address,
        handler: () => Effect.never,
        onClose: ({ id }) => Effect.sync(() => void closed.push(id))
      }).pipe(Scope.provide(scope))
      const client = yield* RemotingClient.make({})
      const pending = yield* forked(Effect.flip(client.invoke(server.address, request(1), 5000)))
      while ((yield* server.channels).length === 0) yield* Effect.yieldNow
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(closed, [1])
      assert.strictEqual((yield* Fiber.join(pending))._tag, "ConnectionClosed")
      const refused = yield* Effect.flip(client.invoke(server.address, request(1), 5000))
      assert.strictEqual(refused._tag, "ConnectFailed")
      yield* RemotingServer.listen({ address: server.address, handler: echo })
    }).pipe(Effect.provide(layer))
  )

  it.live("a client that sends garbage loses its channel; the others do not notice", () =>
    Effect.gen(function* () {
      const server = yield* RemotingServer.listen({ address, handler: echo })
      const client = yield* RemotingClient.make({})
      yield* client.invoke(server.address, request(1), 5000)
      const wire = yield* Wire
      const stream = yield* wire.connect(server.address, { connectTimeoutMillis: 1000 })
      yield* stream.write([Buffer.from("GET / HTTP/1.1\r\n\r\n")])
      const error = yield* Effect.flip(stream.pull)
      assert.include(["closed", "reset"], error.kind)
      assert.strictEqual((yield* client.invoke(server.address, request(2), 5000)).remark, "2")
    }).pipe(Effect.provide(layer))
  )

  it.live("frames cut anywhere are put together", () =>
    Effect.gen(function* () {
      const seen = yield* Queue.unbounded<number>()
      const server = yield* RemotingServer.listen({
        address,
        handler: (command) => Effect.as(Queue.offer(seen, command.code), undefined)
      })
      const wire = yield* Wire
      const stream = yield* wire.connect(server.address, { connectTimeoutMillis: 1000 })
      const bytes = Buffer.concat([requestFrame(1, 11), requestFrame(2, 22), requestFrame(3, 33)])
      for (let at = 0; at < bytes.length; at += 7) yield* stream.write([bytes.subarray(at, at + 7)])
      assert.deepStrictEqual([yield* Queue.take(seen), yield* Queue.take(seen), yield* Queue.take(seen)], [11, 22, 33])
    }).pipe(Effect.provide(layer))
  )
})

/** A server that does this to requests of code 13, and a client. */
const withActions = (...actions: ReadonlyArray<FaultAction>) =>
  Effect.gen(function* () {
    const handled: Array<number> = []
    const server = yield* RemotingServer.listen({
      address,
      handler: (command) =>
        Effect.andThen(
          Effect.sync(() => void handled.push(command.code)),
          echo(command)
        ),
      intercept: { onRequest: (command) => (command.code === 13 ? actions : []) }
    })
    const client = yield* RemotingClient.make({})
    return { handled, client, call: client.invoke(server.address, request(13), 60), server }
  })

describe.each(wires)("faults on $name", ({ layer }) => {
  it.live("Answer answers instead of the handler", () =>
    Effect.gen(function* () {
      const { call, handled } = yield* withActions({ _tag: "Answer", response: { code: 2, remark: "busy" } })
      const answer = yield* call
      assert.deepStrictEqual([answer.code, answer.remark, handled], [2, "busy", []])
    }).pipe(Effect.provide(layer))
  )

  it.live("DropRequest neither handles nor answers, DropResponse only handles", () =>
    Effect.gen(function* () {
      const dropped = yield* withActions({ _tag: "DropRequest" })
      assert.instanceOf(yield* Effect.flip(dropped.call), RequestTimeout)
      assert.deepStrictEqual(dropped.handled, [])
      const silent = yield* withActions({ _tag: "DropResponse" })
      assert.instanceOf(yield* Effect.flip(silent.call), RequestTimeout)
      assert.deepStrictEqual(silent.handled, [13])
    }).pipe(Effect.provide(layer))
  )

  it.live("DuplicateResponse answers twice", () =>
    Effect.gen(function* () {
      const { call, client, server } = yield* withActions({ _tag: "DuplicateResponse" })
      assert.strictEqual((yield* call).code, 0)
      yield* client.invoke(server.address, request(1), 5000)
      assert.strictEqual(client.counters().duplicate, 1)
    }).pipe(Effect.provide(layer))
  )

  it.live("CorruptResponse closes the connection at the reader", () =>
    Effect.gen(function* () {
      const { call, client, handled } = yield* withActions({ _tag: "CorruptResponse" })
      assert.instanceOf(yield* Effect.flip(call), ConnectionClosed)
      assert.strictEqual(client.counters().frameErrors, 1)
      assert.deepStrictEqual(handled, [13])
    }).pipe(Effect.provide(layer))
  )

  it.live("Cut ends the connection before or after handling", () =>
    Effect.gen(function* () {
      const before = yield* withActions({ _tag: "Cut", when: "before" })
      assert.instanceOf(yield* Effect.flip(before.call), ConnectionClosed)
      assert.deepStrictEqual(before.handled, [])
      const after = yield* withActions({ _tag: "Cut", when: "after" })
      assert.instanceOf(yield* Effect.flip(after.call), ConnectionClosed)
      assert.deepStrictEqual(after.handled, [13])
      assert.strictEqual((yield* after.client.invoke(after.server.address, request(1), 5000)).code, 0)
    }).pipe(Effect.provide(layer))
  )

  it.effect("Delay waits, and can be combined", () =>
    Effect.gen(function* () {
      const { call, client, server } = yield* withActions(
        { _tag: "Delay", millis: 20 },
        { _tag: "Answer", response: { code: 14 } }
      )
      const delayed = yield* forked(call)
      // On the same connection behind it: when this one is answered, the other one waits.
      assert.strictEqual((yield* client.invoke(server.address, request(1), 5000)).code, 0)
      yield* TestClock.adjust(19)
      assert.strictEqual((yield* client.invoke(server.address, request(1), 5000)).code, 0)
      assert.strictEqual(delayed.pollUnsafe(), undefined)
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* Fiber.join(delayed)).code, 14)
    }).pipe(Effect.provide(layer))
  )

  it.live("a new connection can be refused or ignored", () =>
    Effect.gen(function* () {
      const decisions: Array<"refuse" | "ignore"> = ["refuse", "ignore"]
      const server = yield* RemotingServer.listen({
        address,
        handler: echo,
        intercept: { onAccept: () => decisions.shift() ?? "accept" }
      })
      const client = yield* RemotingClient.make({ silentTimeoutsBeforeClose: 1 })
      assert.instanceOf(yield* Effect.flip(client.invoke(server.address, request(1), 5000)), ConnectionClosed)
      // On a busy machine the dial alone can take the 50 ms.
      const ignored = client
        .invoke(server.address, request(2), 50)
        .pipe(Effect.flip, Effect.repeat({ until: (error) => error.outcome === "unknown" }))
      assert.instanceOf(yield* ignored, RequestTimeout)
      assert.strictEqual((yield* client.invoke(server.address, request(3), 5000)).remark, "3")
    }).pipe(Effect.provide(layer))
  )
})
