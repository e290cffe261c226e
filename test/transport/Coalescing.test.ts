import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as RemotingClient from "../support/remoting.ts"
import * as RemotingServer from "../../src/embedded/server/RemotingServer.ts"
import { answerFrame, makePeer, recordingLayer, request } from "./support.ts"
import type { Recording } from "./support.ts"

const codes = Array.from({ length: 256 }, (_, code) => code)
const opened = RemotingClient.make({ maxInFlightRequests: 100_000 })

describe("coalesced writes", () => {
  it.effect("256 concurrent requests leave in one write", () => {
    const recording: Recording = { writes: [] }
    return Effect.gen(function* () {
      const server = yield* RemotingServer.listen({
        address: "127.0.0.1:0",
        handler: (command) => Effect.succeed({ code: 0, remark: String(command.code) })
      })
      const client = yield* opened
      yield* client.invoke(server.address, request(1), 3000)
      recording.writes.length = 0
      const answers = yield* Effect.forEach(codes, (code) => client.invoke(server.address, request(code), 3000), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(
        answers.map((answer) => answer.remark),
        codes.map(String)
      )
      assert.deepStrictEqual(recording.writes, [256])
    }).pipe(Effect.provide(recordingLayer(recording)))
  })

  it.effect("a turn of many large frames leaves in one write as well", () => {
    const recording: Recording = { writes: [] }
    return Effect.gen(function* () {
      const server = yield* RemotingServer.listen({
        address: "127.0.0.1:0",
        handler: (command) => Effect.succeed({ code: 0, remark: String(command.body.length) })
      })
      const client = yield* opened
      yield* client.invoke(server.address, request(1), 3000)
      recording.writes.length = 0
      const sizes = codes.map((code) => code * 20)
      const answers = yield* Effect.forEach(
        sizes,
        (size) => client.invoke(server.address, request(1, new Uint8Array(size)), 3000),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        answers.map((answer) => answer.remark),
        sizes.map(String)
      )
      assert.deepStrictEqual(recording.writes, [256])
    }).pipe(Effect.provide(recordingLayer(recording)))
  })

  it.effect("large one-way requests of one turn all succeed", () => {
    const recording: Recording = { writes: [] }
    return Effect.gen(function* () {
      const peer = yield* makePeer()
      const client = yield* opened
      yield* client.invokeOneway(peer.address, request(0), 3000)
      yield* Effect.forEach(
        codes,
        (code) => client.invokeOneway(peer.address, request(code, new Uint8Array(100_000)), 3000),
        { concurrency: "unbounded", discard: true }
      )
      const connection = yield* peer.accept
      assert.strictEqual((yield* connection.take(257)).length, 257)
      const [info] = client.connections()
      assert.deepStrictEqual([info?.inFlight, info?.inFlightBytes, info?.waiting], [0, 0, 0])
    }).pipe(Effect.provide(recordingLayer(recording)))
  })

  it.effect("what waits for the dial leaves in one write too", () => {
    const recording: Recording = { writes: [] }
    return Effect.gen(function* () {
      const peer = yield* makePeer()
      const client = yield* opened
      const fibers = yield* Effect.forEach(codes, (code) =>
        Effect.forkChild(client.invoke(peer.address, request(code), 3000), { startImmediately: true })
      )
      const connection = yield* peer.accept
      const received = yield* connection.take(256)
      assert.deepStrictEqual(
        received.map((command) => command.code),
        codes
      )
      assert.deepStrictEqual(recording.writes, [256])
      yield* Effect.forEach(fibers, Fiber.interrupt)
    }).pipe(Effect.provide(recordingLayer(recording)))
  })

  it.effect("callers answered by one chunk send their next requests in one write", () => {
    const recording: Recording = { writes: [] }
    return Effect.gen(function* () {
      const peer = yield* makePeer()
      const client = yield* opened
      const twice = (code: number) =>
        Effect.flatMap(client.invoke(peer.address, request(code), 3000), () =>
          client.invoke(peer.address, request(1000 + code), 3000)
        )
      const fiber = yield* Effect.forkChild(Effect.forEach(codes, twice, { concurrency: "unbounded" }))
      const connection = yield* peer.accept
      for (let round = 0; round < 2; round++) {
        const received = yield* connection.take(256)
        yield* connection.write(...received.map((command) => answerFrame(command.opaque, { code: 0 })))
      }
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(recording.writes, [256, 256])
      const counters = client.counters()
      assert.deepStrictEqual([counters.writes, counters.framesOut, counters.framesIn], [2, 512, 512])
    }).pipe(Effect.provide(recordingLayer(recording)))
  })

  it.effect("frames that gather while a write is suspended leave in the next one", () => {
    const recording: Recording = { writes: [] }
    return Effect.gen(function* () {
      const peer = yield* makePeer({ reading: false })
      const client = yield* opened
      const big = request(1, new Uint8Array(300_000))
      const send = (code: number) =>
        Effect.forkChild(client.invoke(peer.address, request(code), 60_000), { startImmediately: true })
      const first = yield* Effect.forkChild(client.invoke(peer.address, big, 60_000))
      const connection = yield* peer.accept
      yield* Effect.yieldNow
      for (const code of codes.slice(0, 10)) {
        yield* send(code)
        yield* Effect.yieldNow
      }
      assert.deepStrictEqual(recording.writes, [1])
      yield* connection.stream.pull
      yield* Effect.yieldNow
      assert.deepStrictEqual(recording.writes, [1, 10])
      yield* Fiber.interrupt(first)
    }).pipe(Effect.provide(recordingLayer(recording)))
  })

  it.effect("answers of a server to one chunk leave in one chunk", () =>
    Effect.gen(function* () {
      const recording: Recording = { writes: [] }
      yield* Effect.gen(function* () {
        const server = yield* RemotingServer.listen({
          address: "127.0.0.1:0",
          handler: () => Effect.succeed({ code: 0 })
        })
        const client = yield* opened
        yield* client.invoke(server.address, request(1), 3000)
        const before = client.counters().bytesIn
        yield* Effect.forEach(codes, (code) => client.invoke(server.address, request(code), 3000), {
          concurrency: "unbounded",
          discard: true
        })
        const after = client.counters()
        assert.isAbove(after.bytesIn, before)
        assert.strictEqual(after.framesIn, 257)
      }).pipe(Effect.provide(recordingLayer(recording)))
    })
  )
})
