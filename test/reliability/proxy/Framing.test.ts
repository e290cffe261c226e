import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { encode, FrameError } from "../../../src/protocol/Frame.ts"
import type { DefaultMQProducerShape } from "../../../src/producer/DefaultMQProducer.ts"
import { isResponse } from "../../../src/protocol/RemotingCommand.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultProxy } from "../../../src/testing/index.ts"
import { text } from "../../support/rig.ts"
import { requestFrame } from "../../transport/support.ts"
import { answersOfSends, isSend, state } from "./client.ts"
import { eventually, type ProxiedOptions, proxiedRow, Proxies } from "./rig.ts"

/** One attempt, and time enough for it. */
const once: ProxiedOptions = { producer: { retryTimesWhenSendFailed: 0, sendMsgTimeout: 15_000 } }

const int = (...words: ReadonlyArray<number>) => {
  const bytes = Buffer.alloc(words.length * 4)
  words.forEach((word, index) => bytes.writeInt32BE(word | 0, index * 4))
  return bytes
}

const MIB = 1024 * 1024
const header = Buffer.from('{"code":0,')

/** Waits until nothing is under way; heartbeats come when they come. */
const nothingInFlight = (producer: DefaultMQProducerShape) =>
  eventually(
    "nothing is in flight",
    Effect.map(
      state(producer),
      ({ inFlight, sockets }) => inFlight + sockets.reduce((n, s) => n + s.inFlightBytes, 0) === 0
    )
  )

/** What comes in place of a frame, by row. */
const broken = [
  ["C1", "one byte more than the limit", int(16 * MIB + 1, 0x0000_0010), "length"],
  ["C1", "the largest length there is", int(0x7fff_ffff, 0x0000_0010), "length"],
  ["C2", "length -1", int(-1, 0), "length"],
  ["C2", "length 0", int(0, 0, 0), "length"],
  ["C2", "length 3", int(3, 0, 0), "length"],
  ["C3", "a header longer than its frame", int(12, 0x0000_ffff, 0, 0), "headerLength"],
  ["C5", "serialize type 127", int(12, 0x7f00_0008, 0, 0), "serializeType"],
  ["C7", "a header that is cut-off JSON", Buffer.concat([int(4 + header.length, header.length), header]), "header"]
] as const

describe("frames through a proxy", () => {
  for (const [row, what, bytes, kind] of broken) {
    it.live(`${row}: an answer with ${what} ends the connection at once, and the outcome is unknown`, () =>
      proxiedRow(once, (producer) =>
        Effect.gen(function* () {
          const { broker } = yield* Proxies
          const { messages } = yield* EmbeddedCluster
          const proxy = broker("broker-a")
          const { install } = answersOfSends(() => [bytes])
          const toxic = yield* install(proxy)
          const memory = process.memoryUsage().arrayBuffers
          const { outcome, reason } = yield* Effect.flip(producer.send(text("orders")))
          assert.isBelow(process.memoryUsage().arrayBuffers - memory, 8 * MIB, "nothing is kept ready for it")
          assert.strictEqual(outcome, "unknown")
          if (reason._tag !== "ConnectionClosed") throw new Error(reason._tag)
          const { cause } = reason
          if (!(cause instanceof FrameError)) throw new Error(String(cause))
          assert.strictEqual(cause.kind, kind)
          assert.strictEqual((yield* state(producer)).counters.frameErrors, 1)
          yield* toxic.remove
          assert.strictEqual((yield* producer.send(text("orders"))).attempts, 1)
          assert.strictEqual((yield* messages("orders")).length, 2)
          yield* proxy.until(({ dials, open }) => dials === 2 && open === 1)
        })
      )
    )
  }

  for (const end of ["close", "reset"] as const) {
    it.live(`C4: half a header and then the end (${end}): what was pending fails, outcome unknown`, () =>
      proxiedRow(once, (producer) =>
        Effect.gen(function* () {
          const { broker } = yield* Proxies
          const proxy = broker("broker-a")
          const cut = yield* proxy.add(FaultProxy.limit(20, end), "downstream")
          const exits = yield* Effect.forEach([1, 2, 3], () => Effect.flip(producer.send(text("orders"))), {
            concurrency: "unbounded"
          })
          for (const { outcome, reason } of exits) {
            assert.deepStrictEqual([reason._tag, outcome], ["ConnectionClosed", "unknown"])
          }
          yield* cut.remove
          assert.strictEqual((yield* producer.send(text("orders"))).attempts, 1)
        })
      )
    )
  }

  for (const [what, body] of [
    ["a hundred thousand brackets", "[".repeat(100_000)],
    ["values of other types", '{"brokerDatas":{"a":1},"queueDatas":"none"}']
  ] as const) {
    it.live(`C7: a route of ${what} is a typed error, and the connection goes on`, () =>
      proxiedRow(once, (producer) =>
        Effect.gen(function* () {
          const { createTopic } = yield* EmbeddedCluster
          const { nameServers } = yield* Proxies
          yield* createTopic("new", { broker: "broker-a" })
          const [proxy] = nameServers
          if (proxy === undefined) throw new Error("no name server")
          const { dials } = yield* proxy.counters
          const toxic = yield* proxy.add(
            FaultProxy.frames(({ bytes, command }) =>
              command === undefined ? [bytes] : [encode({ ...command, body: Buffer.from(body) })]
            ),
            "downstream"
          )
          const { outcome, reason } = yield* Effect.flip(producer.send(text("new")))
          assert.deepStrictEqual([reason._tag, outcome], ["RouteUnavailable", "not-sent"])
          assert.include(reason.message, "cannot be read")
          yield* toxic.remove
          assert.strictEqual((yield* producer.send(text("new"))).status, "SEND_OK")
          assert.strictEqual((yield* proxy.counters).dials, dials)
        })
      )
    )
  }

  for (const [size, count] of [
    [1, 12],
    [3, 40],
    [1000, 200]
  ] as const) {
    it.live(`C8: ${count} sends at once, sliced into pieces of ${size} bytes, end as they would whole`, () =>
      proxiedRow({ producer: { sendMsgTimeout: 20_000 } }, (producer) =>
        Effect.gen(function* () {
          const { messages } = yield* EmbeddedCluster
          const { broker } = yield* Proxies
          yield* broker("broker-a").add(FaultProxy.slicer(size))
          const bodies = Array.from({ length: count }, (_, index) => `${index} ${"x".repeat((index * 37) % 900)}`)
          const results = yield* Effect.forEach(bodies, (body) => producer.send(text("orders", body)), {
            concurrency: "unbounded"
          })
          const stored = new Map(
            (yield* messages("orders")).map((message) => [message.queueOffset, Buffer.from(message.body).toString()])
          )
          assert.deepStrictEqual(
            results.map(({ queueOffset }) => stored.get(queueOffset)),
            bodies
          )
          assert.strictEqual((yield* state(producer)).counters.frameErrors, 0)
        })
      )
    )
  }

  it.live("C8: a hundred answers that come in one go reach their senders", () =>
    proxiedRow({ producer: { sendMsgTimeout: 20_000 } }, (producer) =>
      Effect.gen(function* () {
        const { messages, traffic } = yield* EmbeddedCluster
        const { broker } = yield* Proxies
        const held = yield* broker("broker-a").add(FaultProxy.halfOpen, "downstream")
        const sends = yield* Effect.forkChild(
          Effect.forEach(
            Array.from({ length: 100 }, (_, index) => `${index}`),
            (body) => Effect.map(producer.send(text("orders", body)), ({ queueOffset }) => ({ body, queueOffset })),
            { concurrency: "unbounded" }
          )
        )
        yield* traffic.awaitMatching({ topic: "orders", code: RequestCode.SEND_MESSAGE_V2 }, 100)
        yield* held.remove
        const results = yield* Fiber.join(sends)
        const stored = yield* messages("orders")
        for (const { body, queueOffset } of results) {
          const message = stored.find((one) => one.queueOffset === queueOffset)
          assert.strictEqual(Buffer.from(message?.body ?? []).toString(), body)
        }
      })
    )
  )

  it.live("C9: an answer to nobody is counted and dropped", () =>
    proxiedRow(once, (producer) =>
      Effect.gen(function* () {
        const { broker } = yield* Proxies
        const { install } = answersOfSends(({ bytes, command }) => [encode({ ...command, opaque: 2 ** 31 - 7 }), bytes])
        yield* install(broker("broker-a"))
        assert.strictEqual((yield* producer.send(text("orders"))).attempts, 1)
        assert.strictEqual((yield* state(producer)).counters.unknownResponse, 1)
        yield* nothingInFlight(producer)
        yield* broker("broker-a").until(({ dials, open }) => dials === 1 && open === 1)
      })
    )
  )

  it.live("C10: of two answers the first counts, the second is counted and dropped", () =>
    proxiedRow(once, (producer) =>
      Effect.gen(function* () {
        const { broker } = yield* Proxies
        const { install } = answersOfSends(({ bytes, command }) => [bytes, encode({ ...command, code: 1 })])
        const toxic = yield* install(broker("broker-a"))
        const { status } = yield* producer.send(text("orders"))
        assert.strictEqual(status, "SEND_OK")
        yield* toxic.remove
        assert.strictEqual((yield* producer.send(text("orders"))).status, "SEND_OK")
        assert.strictEqual((yield* state(producer)).counters.duplicate, 1)
        yield* nothingInFlight(producer)
      })
    )
  )

  it.live("C11: an answer after its timeout is counted and dropped, and nothing stays behind", () =>
    proxiedRow(once, (producer) =>
      Effect.gen(function* () {
        const { messages } = yield* EmbeddedCluster
        const { broker } = yield* Proxies
        const late: Array<Uint8Array> = []
        const { install } = answersOfSends(({ bytes }) => {
          if (late.length > 0) return [...late, bytes]
          late.push(bytes)
          return []
        })
        yield* install(broker("broker-a"))
        const { outcome, reason } = yield* Effect.flip(producer.send(text("orders"), { timeoutMillis: 150 }))
        assert.deepStrictEqual([reason._tag, outcome], ["RequestTimeout", "unknown"])
        yield* nothingInFlight(producer)
        assert.strictEqual((yield* producer.send(text("orders"))).attempts, 1)
        assert.strictEqual((yield* state(producer)).counters.late, 1)
        assert.strictEqual((yield* messages("orders")).length, 2)
        yield* nothingInFlight(producer)
      })
    )
  )

  it.live("C12: an answer on another connection is not taken, whatever its number", () =>
    proxiedRow({ ...once, brokers: ["broker-a", "broker-b"] }, (producer) =>
      Effect.gen(function* () {
        const { broker } = yield* Proxies
        const [queueA, queueB] = (yield* producer.fetchPublishMessageQueues("orders")).toSorted((x, y) =>
          x.brokerName < y.brokerName ? -1 : 1
        )
        // Each connection counts from its own beginning; the number has to be one that B's has not come to.
        for (let i = 0; i < 50; i++) yield* producer.send(text("orders"), { queue: queueA })
        const held = yield* broker("broker-a").add(FaultProxy.halfOpen, "downstream")
        let opaque: number | undefined
        const watch = FaultProxy.frames(({ bytes, command }) => {
          if (isSend(command)) opaque = command?.opaque
          return [bytes]
        })
        yield* broker("broker-a").add(watch, "upstream")
        const pending = yield* Effect.forkChild(producer.send(text("orders", "a"), { queue: queueA }))
        yield* eventually(
          "the request to broker-a is under way",
          Effect.sync(() => opaque !== undefined)
        )
        // Broker B answers its own request, and that of A with a failure.
        const { install } = answersOfSends(({ bytes, command }) => [
          encode({ ...command, code: 13, opaque: opaque ?? 0 }),
          bytes
        ])
        yield* install(broker("broker-b"))
        yield* producer.send(text("orders", "b"), { queue: queueB })
        assert.isUndefined(pending.pollUnsafe())
        yield* held.remove
        assert.strictEqual((yield* Fiber.join(pending)).queue.brokerName, "broker-a")
        const { counters } = yield* state(producer)
        assert.strictEqual(counters.unknownResponse + counters.duplicate + counters.late, 1)
      })
    )
  )

  it.live("C14: requests of the server are handled, or answered with code 3", () =>
    proxiedRow(once, (producer) =>
      Effect.gen(function* () {
        const { broker } = yield* Proxies
        const proxy = broker("broker-a")
        const answers: Array<readonly [opaque: number, code: number]> = []
        yield* proxy.add(
          FaultProxy.frames(({ bytes, command }) => {
            if (command !== undefined && isResponse(command)) answers.push([command.opaque, command.code])
            return command !== undefined && isResponse(command) ? [] : [bytes]
          }),
          "upstream"
        )
        // Nobody knows 9999; 220 asks a consumer, and there is none; 40 says that consumers came or went.
        const unsolicited = [requestFrame(701, 9999), requestFrame(702, 220), requestFrame(703, 40, 2)]
        const { install } = answersOfSends(({ bytes }) => [...unsolicited, bytes])
        const toxic = yield* install(proxy)
        assert.strictEqual((yield* producer.send(text("orders"))).attempts, 1)
        yield* eventually(
          "the unknown one is answered",
          Effect.sync(() => answers.some(([opaque]) => opaque === 701))
        )
        assert.deepInclude(answers, [701, 3])
        assert.notInclude(
          answers.map(([opaque]) => opaque),
          703
        )
        yield* toxic.remove
        assert.strictEqual((yield* producer.send(text("orders"))).attempts, 1)
        assert.strictEqual((yield* proxy.counters).dials, 1)
      })
    )
  )
})
