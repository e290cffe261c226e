import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Logger, Queue, Scope } from "effect"
import type { RemotingCommand, Request } from "../../src/protocol/RemotingCommand.ts"
import * as RemotingClient from "../support/remoting.ts"
import { ClientClosed, ConnectFailed, ConnectionClosed } from "../../src/transport/RemotingError.ts"
import * as RemotingServer from "../../src/embedded/server/RemotingServer.ts"
import type { RpcHook } from "../../src/transport/RpcHook.ts"
import { answerFrame, makePeer, request, requestFrame, wires } from "./support.ts"

const forked = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })
const echo = (command: RemotingCommand) => Effect.succeed({ code: 0, remark: String(command.code), body: command.body })

describe.each(wires)("RemotingClient on $name", ({ layer }) => {
  it.live("each caller gets its own answer, whatever the order", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({})
      const fibers = yield* Effect.forEach([10, 11, 12], (code) =>
        forked(client.invoke(peer.address, request(code), 5000))
      )
      const connection = yield* peer.accept
      const received = yield* connection.take(3)
      assert.deepStrictEqual(
        received.map(({ code, flag, language, version }) => [code, flag, language, version]),
        [10, 11, 12].map((code) => [code, 0, "OTHER", 513])
      )
      yield* connection.write(
        ...received.toReversed().map(({ code, opaque }) => answerFrame(opaque, { code: 0, remark: `for ${code}` }))
      )
      const answers = yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(
        answers.map(({ remark }) => remark),
        ["for 10", "for 11", "for 12"]
      )
    }).pipe(Effect.provide(layer))
  )

  it.live("bodies of every size come back as they were", () =>
    Effect.gen(function* () {
      const server = yield* RemotingServer.listen({ address: "127.0.0.1:0", handler: echo })
      const client = yield* RemotingClient.make({})
      const sizes = [0, 1, 1024, 65_535, 65_536, 300_000, 4 * 1024 * 1024]
      yield* Effect.forEach(
        sizes,
        (size) =>
          Effect.gen(function* () {
            const body = Buffer.alloc(size, size % 251)
            const answer = yield* client.invoke(server.address, request(1, body), 10_000)
            assert.isTrue(Buffer.from(answer.body).equals(body))
          }),
        { concurrency: "unbounded" }
      )
    }).pipe(Effect.provide(layer))
  )

  it.live("both header forms are understood by both ends", () =>
    Effect.gen(function* () {
      const server = yield* RemotingServer.listen({ address: "127.0.0.1:0", handler: echo })
      const client = yield* RemotingClient.make({ serializeType: "ROCKETMQ", language: "GO", version: 401 })
      const answer = yield* client.invoke(server.address, request(77), 5000)
      assert.deepStrictEqual([answer.code, answer.remark, answer.serializeType], [0, "77", "JSON"])
    }).pipe(Effect.provide(layer))
  )

  it.live("a one-way request is marked, and succeeds without an answer", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({})
      yield* client.invokeOneway(peer.address, request(35), 5000)
      yield* client.invokeOneway(peer.address, request(36), 5000)
      const connection = yield* peer.accept
      const received = yield* connection.take(2)
      assert.deepStrictEqual(
        received.map(({ code, flag }) => [code, flag]),
        [
          [35, 2],
          [36, 2]
        ]
      )
      const [info] = client.connections()
      assert.deepStrictEqual([info?.inFlight, info?.inFlightBytes], [0, 0])
    }).pipe(Effect.provide(layer))
  )

  it.live("the end of a connection fails what is pending, and the next request dials anew", () =>
    Effect.gen(function* () {
      const closed = yield* Deferred.make<string>()
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({})
      yield* client.onClosed((address) => Deferred.succeed(closed, address))
      const pending = yield* forked(Effect.flip(client.invoke(peer.address, request(1), 5000)))
      const connection = yield* peer.accept
      yield* connection.next
      yield* connection.end
      const error = yield* Fiber.join(pending)
      assert.instanceOf(error, ConnectionClosed)
      assert.deepStrictEqual([error.sent, error.outcome, error.address], [true, "unknown", peer.address])
      assert.strictEqual(yield* Deferred.await(closed), peer.address)
      const again = yield* forked(client.invoke(peer.address, request(2), 5000))
      const second = yield* peer.accept
      yield* second.answer(yield* second.next)
      yield* Fiber.join(again)
      assert.strictEqual(client.connections()[0]?.connects, 2)
      assert.strictEqual(client.counters().reconnects, 1)
    }).pipe(Effect.provide(layer))
  )

  it.live("a caller that retries as soon as its connection ends lands on a new one", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({})
      const fiber = yield* forked(
        client
          .invoke(peer.address, request(1), 5000)
          .pipe(Effect.retry({ times: 1, while: (error) => error._tag === "ConnectionClosed" }))
      )
      const first = yield* peer.accept
      yield* first.next
      yield* first.end
      const second = yield* peer.accept
      yield* second.answer(yield* second.next, { code: 6 })
      assert.strictEqual((yield* Fiber.join(fiber)).code, 6)
    }).pipe(Effect.provide(layer))
  )

  it.live("C1, C2, C3, C5, C7: bytes that are no frame close the connection and nothing else", () =>
    Effect.gen(function* () {
      const garbage: ReadonlyArray<readonly [string, Buffer]> = [
        ["an HTTP answer", Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
        ["a negative length", Buffer.from([0xff, 0xff, 0xff, 0xff])],
        ["a length above the limit", Buffer.from([0x01, 0x00, 0x00, 0x01])],
        ["a length of 2^31-1", Buffer.from([0x7f, 0xff, 0xff, 0xff])],
        ["a header longer than the frame", Buffer.from([0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0, 0])],
        ["an unknown serialize type", Buffer.from([0, 0, 0, 8, 7, 0, 0, 4, 0x7b, 0x7d, 0, 0])],
        ["a broken JSON header", Buffer.from([0, 0, 0, 6, 0, 0, 0, 2, 0x7b, 0x7b])]
      ]
      const client = yield* RemotingClient.make({})
      for (const [what, bytes] of garbage) {
        const peer = yield* makePeer()
        const pending = yield* forked(Effect.flip(client.invoke(peer.address, request(1), 5000)))
        const connection = yield* peer.accept
        yield* connection.next
        yield* connection.write(bytes)
        const error = yield* Fiber.join(pending)
        assert.instanceOf(error, ConnectionClosed, what)
        assert.strictEqual(error.outcome, "unknown", what)
        assert.include(error.message, "no RocketMQ frame", what)
        yield* connection.ended
      }
      assert.strictEqual(client.counters().frameErrors, garbage.length)
    }).pipe(Effect.provide(layer))
  )

  it.live("answers that came before the garbage, in the same chunk, count", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({})
      const answered = yield* forked(client.invoke(peer.address, request(1), 5000))
      const pending = yield* forked(Effect.flip(client.invoke(peer.address, request(2), 5000)))
      const connection = yield* peer.accept
      const [first] = yield* connection.take(2)
      yield* connection.write(answerFrame(first?.opaque ?? -1, { code: 0 }), Buffer.from([0xff, 0xff, 0xff, 0xff]))
      yield* Fiber.join(answered)
      assert.instanceOf(yield* Fiber.join(pending), ConnectionClosed)
    }).pipe(Effect.provide(layer))
  )

  it.live("C4: an answer cut off by the end of the connection fails the call", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({})
      const pending = yield* forked(Effect.flip(client.invoke(peer.address, request(1), 5000)))
      const connection = yield* peer.accept
      const { opaque } = yield* connection.next
      yield* connection.write(answerFrame(opaque, { code: 0, remark: "only half of this" }).subarray(0, 40))
      yield* connection.end
      const error = yield* Fiber.join(pending)
      assert.instanceOf(error, ConnectionClosed)
      assert.deepStrictEqual([error.outcome, error.sent], ["unknown", true])
    }).pipe(Effect.provide(layer))
  )

  it.live("C9, C10: a second answer and one that nobody asked for are counted and dropped", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({})
      const first = yield* forked(client.invoke(peer.address, request(1), 5000))
      const connection = yield* peer.accept
      const command = yield* connection.next
      yield* connection.write(
        answerFrame(command.opaque, { code: 0 }),
        answerFrame(command.opaque, { code: 1 }),
        answerFrame(4711, { code: 1 })
      )
      assert.strictEqual((yield* Fiber.join(first)).code, 0)
      const second = yield* forked(client.invoke(peer.address, request(2), 5000))
      yield* connection.answer(yield* connection.next)
      yield* Fiber.join(second)
      const counters = client.counters()
      assert.deepStrictEqual([counters.duplicate, counters.unknownResponse, counters.late], [1, 1, 0])
    }).pipe(Effect.provide(layer))
  )

  it.live("C12: an answer with a live number on another connection is not taken", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* makePeer(), yield* makePeer()]
      const client = yield* RemotingClient.make({})
      const first = yield* forked(client.invoke(one.address, request(1), 5000))
      const connectionOne = yield* one.accept
      const commandOne = yield* connectionOne.next
      const greeting = yield* forked(client.invoke(two.address, request(2), 5000))
      const connectionTwo = yield* two.accept
      const commandTwo = yield* connectionTwo.next
      assert.strictEqual(commandOne.opaque, commandTwo.opaque)
      yield* connectionTwo.answer(commandTwo, { code: 22 })
      yield* connectionTwo.answer(commandTwo, { code: 22 })
      assert.strictEqual((yield* Fiber.join(greeting)).code, 22)
      const probe = yield* forked(client.invoke(two.address, request(3), 5000))
      yield* connectionTwo.answer(yield* connectionTwo.next)
      yield* Fiber.join(probe)
      assert.strictEqual(first.pollUnsafe(), undefined)
      assert.strictEqual(client.counters().duplicate, 1)
      yield* connectionOne.answer(commandOne, { code: 11 })
      assert.strictEqual((yield* Fiber.join(first)).code, 11)
    }).pipe(Effect.provide(layer))
  )

  it.live("C14: requests of the server are answered, unknown ones with code 3, and a dying handler with code 1", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const oneways = yield* Queue.unbounded<number>()
      const client = yield* RemotingClient.make({})
      yield* client.handle(40, (_, command) => Effect.as(Queue.offer(oneways, command.code), { code: 0 }))
      yield* client.handle(220, () => Effect.die(new Error("the handler has a bug")))
      yield* client.handle(221, () => {
        throw new Error("a handler that throws")
      })
      yield* client.handle(307, (address) => Effect.succeed({ code: 0, remark: address }))
      yield* client.invokeOneway(peer.address, request(1), 5000)
      const connection = yield* peer.accept
      yield* connection.next
      yield* connection.write(requestFrame(900, 307), requestFrame(901, 12_345), requestFrame(902, 220))
      yield* connection.write(requestFrame(903, 40, 2), requestFrame(904, 221), requestFrame(905, 54_321, 2))
      const answers = yield* connection.take(4)
      assert.deepStrictEqual(
        answers.map(({ code, flag, opaque, remark }) => ({ code, flag, opaque, remark })),
        [
          { code: 0, flag: 1, opaque: 900, remark: peer.address },
          { code: 3, flag: 1, opaque: 901, remark: " request type 12345 not supported" },
          { code: 1, flag: 1, opaque: 902, remark: "Error: the handler has a bug" },
          { code: 1, flag: 1, opaque: 904, remark: "Error: a handler that throws" }
        ]
      )
      assert.strictEqual(yield* Queue.take(oneways), 40)
      assert.strictEqual(client.counters().unsupportedRequest, 2)
      assert.strictEqual(yield* connection.unread, 0)
    }).pipe(Effect.provide(layer))
  )

  it.live("C14: a handler that waits holds up neither answers nor other requests", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const gate = yield* Deferred.make<void>()
      const client = yield* RemotingClient.make({})
      yield* client.handle(1, () => Effect.as(Deferred.await(gate), { code: 0 }))
      yield* client.handle(2, () => Effect.succeed({ code: 0 }))
      const call = yield* forked(client.invoke(peer.address, request(10), 5000))
      const connection = yield* peer.accept
      const command = yield* connection.next
      yield* connection.write(requestFrame(900, 1), requestFrame(901, 2), answerFrame(command.opaque, { code: 0 }))
      yield* Fiber.join(call)
      assert.strictEqual((yield* connection.next).opaque, 901)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* connection.next).opaque, 900)
    }).pipe(Effect.provide(layer))
  )

  it.live("B11: GO_AWAY: the request is replayed once on a new connection, and the old one drains", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({ maxInFlightRequests: 2 })
      const slow = yield* forked(client.invoke(peer.address, request(1), 5000))
      const moved = yield* forked(client.invoke(peer.address, request(2), 5000))
      const waiting = yield* forked(client.invoke(peer.address, request(3), 5000))
      const old = yield* peer.accept
      const [slowCommand, movedCommand] = yield* old.take(2)
      assert.isDefined(slowCommand)
      assert.isDefined(movedCommand)
      yield* old.answer(movedCommand, { code: 1500, remark: "please go away" })
      const fresh = yield* peer.accept
      const replayed = yield* fresh.take(2)
      assert.deepStrictEqual(new Set(replayed.map(({ code }) => code)), new Set([2, 3]))
      for (const command of replayed) yield* fresh.answer(command, { code: 0, remark: "fresh" })
      assert.strictEqual((yield* Fiber.join(moved)).remark, "fresh")
      assert.strictEqual((yield* Fiber.join(waiting)).remark, "fresh")
      yield* old.answer(slowCommand, { code: 0, remark: "old" })
      assert.strictEqual((yield* Fiber.join(slow)).remark, "old")
      yield* old.ended
      assert.strictEqual(client.connections()[0]?.connects, 2)
    }).pipe(Effect.provide(layer))
  )

  it.live("B11: a second GO_AWAY is handed to the caller", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({})
      const fiber = yield* forked(client.invoke(peer.address, request(1), 5000))
      for (let n = 0; n < 2; n++) {
        const connection = yield* peer.accept
        yield* connection.answer(yield* connection.next, { code: 1500 })
        yield* connection.ended
      }
      assert.strictEqual((yield* Fiber.join(fiber)).code, 1500)
    }).pipe(Effect.provide(layer))
  )

  it.live("B11: GO_AWAY of a server that takes no new connection: the call fails", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const server = yield* RemotingServer.listen({
        address: "127.0.0.1:0",
        handler: () => Effect.succeed({ code: 1500 }),
        intercept: { onAccept: () => (accepted++ === 0 ? "accept" : "refuse") }
      }).pipe(Scope.provide(scope))
      let accepted = 0
      const client = yield* RemotingClient.make({})
      const error = yield* Effect.flip(client.invoke(server.address, request(1), 5000))
      assert.instanceOf(error, ConnectionClosed)
      yield* Scope.close(scope, Exit.void)
    }).pipe(Effect.provide(layer))
  )

  it.live("closeAddress fails what is pending and closes the socket", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({})
      const pending = yield* forked(Effect.flip(client.invoke(peer.address, request(1), 5000)))
      const connection = yield* peer.accept
      yield* connection.next
      yield* client.closeAddress(peer.address)
      const error = yield* Fiber.join(pending)
      assert.instanceOf(error, ConnectionClosed)
      assert.strictEqual(error.outcome, "unknown")
      yield* connection.ended
      assert.deepStrictEqual(client.connections(), [])
      yield* client.closeAddress("unknown:1")
    }).pipe(Effect.provide(layer))
  )

  it.live("retain keeps what is named and closes the rest once it is answered", () =>
    Effect.gen(function* () {
      const [kept, dropped] = [yield* makePeer(), yield* makePeer()]
      const client = yield* RemotingClient.make({})
      const one = yield* forked(client.invoke(kept.address, request(1), 5000))
      const two = yield* forked(client.invoke(dropped.address, request(2), 5000))
      const keptConnection = yield* kept.accept
      const droppedConnection = yield* dropped.accept
      const [first, second] = [yield* keptConnection.next, yield* droppedConnection.next]
      yield* client.retain(new Set([kept.address]))
      assert.deepStrictEqual(
        client.connections().map(({ address }) => address),
        [kept.address]
      )
      yield* droppedConnection.answer(second)
      yield* Fiber.join(two)
      yield* droppedConnection.ended
      yield* keptConnection.answer(first)
      yield* Fiber.join(one)
    }).pipe(Effect.provide(layer))
  )

  it.live("interrupting a caller frees its place at once and harms nobody", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({ maxInFlightRequests: 1 })
      const first = yield* forked(client.invoke(peer.address, request(1), 5000))
      const connection = yield* peer.accept
      const command = yield* connection.next
      const second = yield* forked(client.invoke(peer.address, request(2), 5000))
      const third = yield* forked(client.invoke(peer.address, request(3), 5000))
      yield* Fiber.interrupt(second)
      yield* Fiber.interrupt(first)
      const next = yield* connection.next
      assert.strictEqual(next.code, 3)
      yield* connection.answer(command)
      yield* connection.answer(next, { code: 33 })
      assert.strictEqual((yield* Fiber.join(third)).code, 33)
      assert.strictEqual(client.counters().late, 1)
      const [info] = client.connections()
      assert.deepStrictEqual([info?.inFlight, info?.inFlightBytes, info?.waiting], [0, 0, 0])
    }).pipe(Effect.provide(layer))
  )

  it.live("closing the scope fails what is pending with ClientClosed and closes the connections", () =>
    Effect.gen(function* () {
      const peer = yield* makePeer()
      const scope = yield* Scope.make()
      let closedCalls = 0
      const client = yield* RemotingClient.make({ maxInFlightRequests: 1 }).pipe(Scope.provide(scope))
      yield* client.onClosed(() => Effect.sync(() => void closedCalls++))
      const pending = yield* forked(Effect.flip(client.invoke(peer.address, request(1), 5000)))
      const waiting = yield* forked(Effect.flip(client.invoke(peer.address, request(2), 5000)))
      const connection = yield* peer.accept
      yield* connection.next
      yield* Scope.close(scope, Exit.void)
      const [one, two] = [yield* Fiber.join(pending), yield* Fiber.join(waiting)]
      assert.instanceOf(one, ClientClosed)
      assert.instanceOf(two, ClientClosed)
      assert.deepStrictEqual([one.outcome, two.outcome], ["unknown", "not-sent"])
      yield* connection.ended
      assert.instanceOf(yield* Effect.flip(client.invoke(peer.address, request(3), 5000)), ClientClosed)
      assert.strictEqual(closedCalls, 0)
    }).pipe(Effect.provide(layer))
  )

  it.live("L11: a hook that throws at answers: they are the callers' all the same, and one line is logged", () =>
    Effect.gen(function* () {
      const lines: Array<unknown> = []
      const rpcHook: RpcHook = {
        doAfterResponse: () => {
          throw new Error("hook")
        }
      }
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({ rpcHook })
      const logger = Logger.make(({ message }) => void lines.push(message))
      const calls = yield* forked(
        Effect.all([client.invoke(peer.address, request(7), 5000), client.invoke(peer.address, request(8), 5000)], {
          concurrency: 2
        }).pipe(Effect.provide(Logger.layer([logger])))
      )
      const connection = yield* peer.accept
      for (const command of yield* connection.take(2)) yield* connection.answer(command, { code: command.code + 100 })
      const answers = yield* Fiber.join(calls)
      assert.deepStrictEqual(
        answers.map(({ code }) => code),
        [107, 108]
      )
      assert.strictEqual(lines.length, 1)
    }).pipe(Effect.provide(layer))
  )

  it.live("a listener that is not there refuses", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { address } = yield* makePeer().pipe(Scope.provide(scope))
      yield* Scope.close(scope, Exit.void)
      const client = yield* RemotingClient.make({})
      const error = yield* Effect.flip(client.invoke(address, request(1), 5000))
      assert.instanceOf(error, ConnectFailed)
      assert.deepStrictEqual([error.kind, error.outcome], ["refused", "not-sent"])
      const oneway = yield* Effect.flip(client.invokeOneway(address, request(1), 5000))
      assert.instanceOf(oneway, ConnectFailed)
    }).pipe(Effect.provide(layer))
  )

  it.live("the hook sees and changes requests, and sees answers", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const rpcHook: RpcHook = {
        doBeforeRequest: (address, { body, code, extFields }): Request => {
          seen.push(`before ${code} to ${address}`)
          return { code, body, extFields: { ...extFields, Signature: "s" } }
        },
        doAfterResponse: (address, sent, response) => {
          seen.push(`after ${sent.code}/${sent.extFields?.["Signature"]} from ${address}: ${response.code}`)
        }
      }
      const peer = yield* makePeer()
      const client = yield* RemotingClient.make({ rpcHook })
      yield* client.onConnected((_, invoke) => Effect.ignore(invoke(request(34), 5000)))
      const call = yield* forked(client.invoke(peer.address, { code: 7, extFields: { a: "b" } }, 5000))
      yield* forked(client.invokeOneway(peer.address, request(8), 5000))
      const connection = yield* peer.accept
      const received = yield* connection.take(3)
      assert.deepStrictEqual(
        received.map(({ code, extFields }) => [code, extFields]),
        [
          [34, { Signature: "s" }],
          [7, { a: "b", Signature: "s" }],
          [8, { Signature: "s" }]
        ]
      )
      for (const command of received.slice(0, 2)) yield* connection.answer(command, { code: command.code + 100 })
      yield* Fiber.join(call)
      assert.deepStrictEqual(seen.toSorted(), [
        `after 34/s from ${peer.address}: 134`,
        `after 7/s from ${peer.address}: 107`,
        `before 34 to ${peer.address}`,
        `before 7 to ${peer.address}`,
        `before 8 to ${peer.address}`
      ])
    }).pipe(Effect.provide(layer))
  )

  it.live("a request that cannot be encoded is its caller's defect and nobody else's", () =>
    Effect.gen(function* () {
      const server = yield* RemotingServer.listen({ address: "127.0.0.1:0", handler: echo })
      const client = yield* RemotingClient.make({})
      yield* client.invoke(server.address, request(1), 5000)
      const fields: Record<string, string> = {}
      Object.defineProperty(fields, "bad", {
        enumerable: true,
        get: () => {
          throw new Error("a getter that throws")
        }
      })
      const exit = yield* Effect.exit(client.invoke(server.address, { code: 2, extFields: fields }, 5000))
      assert.isTrue(Exit.isFailure(exit))
      assert.strictEqual((yield* client.invoke(server.address, request(3), 5000)).remark, "3")
      const [info] = client.connections()
      assert.deepStrictEqual([info?.inFlight, info?.inFlightBytes, info?.connects], [0, 0, 1])
    }).pipe(Effect.provide(layer))
  )

  it.live("connections and counters tell what happens", () =>
    Effect.gen(function* () {
      const server = yield* RemotingServer.listen({ address: "127.0.0.1:0", handler: echo })
      const client = yield* RemotingClient.make({})
      yield* client.invoke(server.address, request(1, new Uint8Array(100)), 5000)
      const [info] = client.connections()
      const [channel] = yield* server.channels
      assert.isDefined(info)
      assert.deepStrictEqual(
        [info.address, info.state, info.connects, info.lastFailure, info.localAddress],
        [server.address, "open", 1, undefined, channel?.remoteAddress]
      )
      assert.isNumber(info.rttMillis)
      const counters = client.counters()
      assert.deepStrictEqual([counters.framesOut, counters.framesIn, counters.writes], [1, 1, 1])
      assert.isAbove(counters.bytesOut, 100)
      assert.isAbove(counters.bytesIn, 100)
    }).pipe(Effect.provide(layer))
  )
})
