import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { encode } from "../../src/protocol/Frame.ts"
import { emptyBody, type RemotingCommand } from "../../src/protocol/RemotingCommand.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import * as RemotingClient from "../support/remoting.ts"
import { ConnectionClosed, type RemotingError, RequestTimeout } from "../../src/transport/RemotingError.ts"
import { advance, onMemory, settle, startProducer, text, timed, valueOf } from "../support/rig.ts"
import { answerFrame, makePeer, type PeerConnection, request, requestFrame } from "../transport/support.ts"
import { row } from "./row.ts"
import { leavesNoConnection, leavesNothing, sentIn, watchLog } from "./watch.ts"

const forked = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

/** A client with a call under way to a peer that misbehaves, and one to a peer that does not. */
const besideSibling = <A, E, R>(
  body: (given: {
    readonly client: RemotingClient.RemotingClient
    readonly address: string
    readonly connection: PeerConnection
    readonly pending: Fiber.Fiber<RemotingError, RemotingCommand>
    readonly opaque: number
  }) => Effect.Effect<A, E, R>,
  settings: Partial<RemotingClient.RemotingClientConfig> = {}
) =>
  leavesNoConnection(
    Effect.gen(function* () {
      const [bad, good] = [yield* makePeer(), yield* makePeer()]
      const client = yield* RemotingClient.make(settings)
      const pending = yield* forked(Effect.flip(client.invoke(bad.address, request(1), 5_000)))
      const connection = yield* bad.accept
      const { opaque } = yield* connection.next
      const sibling = yield* forked(client.invoke(good.address, request(2), 60_000))
      const calm = yield* good.accept
      const asked = yield* calm.next
      yield* body({ client, address: bad.address, connection, pending, opaque })
      yield* calm.answer(asked, { code: 0, remark: "calm" })
      assert.strictEqual((yield* Fiber.join(sibling)).remark, "calm")
      const again = yield* forked(client.invoke(bad.address, request(3), 5_000))
      const fresh = yield* bad.accept
      yield* fresh.answer(yield* fresh.next, { code: 0, remark: "fresh" })
      assert.strictEqual((yield* Fiber.join(again)).remark, "fresh")
    })
  )

const word = (...ints: ReadonlyArray<number>) => {
  const out = Buffer.alloc(4 * ints.length)
  for (const [i, int] of ints.entries()) out.writeInt32BE(int, 4 * i)
  return out
}

describe("bytes that are no frame", () => {
  it.effect.each([
    ["C1", "a length above the limit, and not a byte more", word(16_777_213), "length"],
    ["C1", "the largest int as length", word(0x7fff_ffff), "length"],
    ["C2", "a negative length", word(-1), "length"],
    ["C2", "a length of 3", word(3), "length"],
    ["C3", "a header longer than its frame", word(8, 5, 0), "headerLength"],
    ["C5", "a serialize type that does not exist", word(8, 0x0700_0004, 0), "serializeType"],
    [
      "C6",
      "a binary header with a remark of -1 bytes",
      Buffer.concat([word(25, 0x0100_0015), Buffer.alloc(13), word(-1, 0)]),
      "header"
    ],
    ["C7", "a header that is no JSON", Buffer.concat([word(6, 2), Buffer.from("{{")]), "header"]
  ] as const)("%s: %s: FrameError at once, the connection closes, others notice nothing", ([, , bytes, kind]) =>
    besideSibling(({ client, connection, pending }) =>
      Effect.gen(function* () {
        yield* connection.write(bytes)
        const { exit, millis } = yield* timed(Fiber.join(pending))
        const error = valueOf(exit)
        if (!(error instanceof ConnectionClosed)) throw new Error(error._tag)
        assert.deepInclude(error.cause, { _tag: "FrameError", kind })
        assert.deepStrictEqual([error.outcome, millis], ["unknown", 0])
        yield* connection.ended
        assert.strictEqual(client.counters().frameErrors, 1)
      })
    )
  )

  it.effect("C1: the limit is the client's own setting, and a frame of just that length is read", () =>
    leavesNoConnection(
      Effect.gen(function* () {
        const peer = yield* makePeer()
        const limit = answerFrame(0, { code: 0, body: new Uint8Array(100) }).length
        const client = yield* RemotingClient.make({ maxFrameLength: limit })
        const calls = yield* Effect.forEach([1, 2], (code) =>
          forked(Effect.result(client.invoke(peer.address, request(code), 5_000)))
        )
        const connection = yield* peer.accept
        yield* connection.take(2)
        yield* connection.write(answerFrame(0, { code: 0, body: new Uint8Array(100) }))
        yield* connection.write(answerFrame(1, { code: 0, body: new Uint8Array(101) }))
        const [one, two] = yield* Effect.forEach(calls, Fiber.join)
        assert.deepStrictEqual([one?._tag, two?._tag], ["Success", "Failure"])
      })
    )
  )

  it.effect("C4: an answer that ends anywhere in its header, and then the stream: unknown for all that were sent", () =>
    leavesNoConnection(
      Effect.gen(function* () {
        const peer = yield* makePeer()
        const client = yield* RemotingClient.make({ maxInFlightRequests: 2 })
        const whole = answerFrame(0, { code: 0, remark: "cut off" })
        for (let length = 1; length < whole.length; length++) {
          const calls = yield* Effect.forEach([1, 2, 3], (code) =>
            forked(Effect.flip(client.invoke(peer.address, request(code), 5_000)))
          )
          const connection = yield* peer.accept
          yield* connection.take(2)
          yield* connection.write(whole.subarray(0, length))
          yield* connection.end
          const { exit, millis } = yield* timed(Effect.forEach(calls, Fiber.join))
          // The third was waiting for a place and was never sent.
          assert.deepStrictEqual(
            valueOf(exit).map((error) => [error._tag, error.outcome]),
            ["unknown", "unknown", "not-sent"].map((outcome) => ["ConnectionClosed", outcome])
          )
          assert.strictEqual(millis, 0)
          // Peers that only end connections are dialled after a pause.
          yield* TestClock.adjust(3_000)
        }
        assert.strictEqual(client.counters().frameErrors, 0)
      })
    )
  )
})

describe("answers that nobody waits for", () => {
  it.effect("C9: of a number that was never sent: counted, logged for debugging, dropped", () => {
    const log = watchLog()
    return besideSibling(({ client, address, connection, pending, opaque }) =>
      Effect.gen(function* () {
        const strangers = [opaque + 1, 4_711, -1, 0x7fff_ffff, -0x8000_0000]
        for (const stranger of strangers) yield* connection.write(answerFrame(stranger, { code: 1, remark: "secret" }))
        yield* settle
        assert.strictEqual(pending.pollUnsafe(), undefined)
        const { duplicate, late, unknownResponse } = client.counters()
        assert.deepStrictEqual([unknownResponse, duplicate, late], [strangers.length, 0, 0])
        const lines = log.of("Debug", /nobody waits/)
        assert.strictEqual(lines.length, strangers.length)
        for (const [i, line] of lines.entries()) {
          assert.include(line, address)
          assert.include(line, String(strangers[i]))
          assert.notInclude(line, "secret")
        }
        assert.deepStrictEqual([...log.of("Info", /./), ...log.of("Warn", /./)], [])
        assert.strictEqual(client.connections()[0]?.state, "open")
        yield* connection.end
        assert.strictEqual((yield* Fiber.join(pending))._tag, "ConnectionClosed")
      })
    ).pipe(log.provide)
  })

  it.effect(
    "C10: the first of two answers counts: one result for each send, one message stored, the second counted",
    () =>
      row({}, (producer) =>
        Effect.gen(function* () {
          const { faults, messages } = yield* EmbeddedCluster
          yield* faults.add({
            match: { code: RequestCode.SEND_MESSAGE_V2, topic: "orders" },
            actions: [FaultScript.duplicateResponse]
          })
          const { exit, millis } = yield* timed(
            Effect.forEach(Array.from({ length: 50 }), () => producer.send(text("orders")), { concurrency: 10 })
          )
          assert.strictEqual(millis, 0)
          assert.strictEqual(new Set(valueOf(exit).map(({ msgId }) => msgId)).size, 50)
          assert.isTrue(valueOf(exit).every(({ attempts, status }) => attempts === 1 && status === "SEND_OK"))
          yield* settle
          assert.strictEqual((yield* messages("orders")).length, 50)
          const instance = (yield* producer.state).instance
          assert.deepInclude(instance?.counters, { duplicate: 50, late: 0, unknownResponse: 0 })
        })
      )
  )

  it.effect("C11: after the timeout: counted and dropped, and nothing stays in the table", () =>
    besideSibling(({ client, connection, pending, opaque }) =>
      Effect.gen(function* () {
        const { exit, millis } = yield* timed(Fiber.join(pending))
        assert.instanceOf(valueOf(exit), RequestTimeout)
        assert.strictEqual(millis, 5_000)
        const places = Effect.sync(
          () => client.connections().map((info) => [info.inFlight, info.inFlightBytes, info.waiting])[0]
        )
        assert.deepStrictEqual(yield* places, [0, 0, 0])
        yield* connection.write(answerFrame(opaque, { code: 0 }), answerFrame(opaque, { code: 0 }))
        yield* settle
        const { duplicate, late, unknownResponse } = client.counters()
        assert.deepStrictEqual([late, duplicate, unknownResponse], [1, 1, 0])
        assert.deepStrictEqual(yield* places, [0, 0, 0])
        yield* connection.end
        yield* settle
      })
    )
  )

  it.effect("C12: on another connection, with the number of a pending request: not taken, whoever it was sent to", () =>
    leavesNoConnection(
      Effect.gen(function* () {
        const [one, two] = [yield* makePeer(), yield* makePeer()]
        const client = yield* RemotingClient.make({})
        const first = yield* forked(client.invoke(one.address, request(1), 5_000))
        const second = yield* forked(
          Effect.all(
            [4, 5].map((code) => client.invoke(one.address, request(code), 5_000)),
            { concurrency: 2 }
          )
        )
        const connectionOne = yield* one.accept
        const asked = yield* connectionOne.take(3)
        const other = yield* forked(client.invoke(two.address, request(2), 5_000))
        const connectionTwo = yield* two.accept
        const [askedTwo] = yield* connectionTwo.take(1)
        assert.isDefined(askedTwo)
        // Live on the first connection, and on the second one: never given out.
        const foreign = asked.map(({ opaque }) => opaque).filter((opaque) => opaque !== askedTwo.opaque)
        assert.strictEqual(foreign.length, 2)
        for (const opaque of foreign) yield* connectionTwo.write(answerFrame(opaque, { code: 0, remark: "forged" }))
        yield* settle
        assert.deepStrictEqual(
          [first, second, other].map((fiber) => fiber.pollUnsafe()),
          [undefined, undefined, undefined]
        )
        assert.strictEqual(client.counters().unknownResponse, 2)
        yield* connectionTwo.answer(askedTwo, { code: 0, remark: "two" })
        assert.strictEqual((yield* Fiber.join(other)).remark, "two")
        assert.strictEqual(first.pollUnsafe(), undefined)
        for (const each of asked) yield* connectionOne.answer(each, { code: 0, remark: `one ${each.code}` })
        assert.strictEqual((yield* Fiber.join(first)).remark, "one 1")
        assert.deepStrictEqual(
          (yield* Fiber.join(second)).map(({ remark }) => remark),
          ["one 4", "one 5"]
        )
      })
    )
  )

  it.effect("C12: nor does a new connection to the same server take answers to the old one's requests", () =>
    leavesNoConnection(
      Effect.gen(function* () {
        const peer = yield* makePeer()
        const client = yield* RemotingClient.make({})
        const lost = yield* forked(
          Effect.flip(
            Effect.all(
              [1, 2].map((code) => client.invoke(peer.address, request(code), 5_000)),
              { concurrency: 2 }
            )
          )
        )
        const old = yield* peer.accept
        const asked = yield* old.take(2)
        yield* old.end
        assert.strictEqual((yield* Fiber.join(lost))._tag, "ConnectionClosed")
        const next = yield* forked(client.invoke(peer.address, request(3), 5_000))
        const fresh = yield* peer.accept
        const command = yield* fresh.next
        for (const one of asked) {
          if (one.opaque !== command.opaque) yield* fresh.answer(one, { code: 0, remark: "for the old one" })
        }
        yield* settle
        assert.strictEqual(next.pollUnsafe(), undefined)
        yield* fresh.answer(command, { code: 0, remark: "for the new one" })
        assert.strictEqual((yield* Fiber.join(next)).remark, "for the new one")
      })
    )
  )
})

describe("requests of a server", () => {
  const pushes = [
    RequestCode.CHECK_TRANSACTION_STATE,
    RequestCode.NOTIFY_CONSUMER_IDS_CHANGED,
    RequestCode.RESET_CONSUMER_CLIENT_OFFSET,
    RequestCode.GET_CONSUMER_STATUS_FROM_CLIENT,
    RequestCode.GET_CONSUMER_RUNNING_INFO,
    RequestCode.CONSUME_MESSAGE_DIRECTLY,
    RequestCode.PUSH_REPLY_MESSAGE_TO_CLIENT,
    RequestCode.NOTIFY_UNSUBSCRIBE_LITE,
    RequestCode.SEND_MESSAGE_V2,
    0,
    -1,
    12_345,
    0x7fff_ffff
  ]

  it.effect("C14: every push, expected or not, and every unknown code is handled or answered, one-way ones never", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { namesrvAddr } = yield* EmbeddedCluster
        const peer = yield* makePeer({ address: "127.0.0.1:19876" })
        const producer = yield* startProducer({ readiness: "lazy", namesrvAddr: peer.address })
        const lookup = yield* forked(Effect.exit(producer.send(text("orders"))))
        const connection = yield* peer.accept
        yield* connection.next
        const bodies = [emptyBody, Buffer.from("{"), Buffer.from('{"__proto__":1}'), Buffer.alloc(300, 0xff)]
        const sent: Array<number> = []
        for (const [i, code] of pushes.entries()) {
          for (const [j, body] of bodies.entries()) {
            const opaque = 1_000 + 10 * i + j
            const frame = (flag: number) =>
              encode({
                code,
                language: "JAVA",
                version: 513,
                opaque,
                flag,
                remark: undefined,
                extFields: j === 0 ? undefined : { consumerGroup: "cg", msgId: "\u0000", topic: "t" },
                body,
                serializeType: "JSON"
              })
            sent.push(opaque)
            yield* connection.write(frame(0), frame(2), requestFrame(opaque, code, 2))
          }
        }
        const { exit } = yield* timed(Effect.forEach(sent, () => connection.next))
        // The producer's own poll may be among them.
        yield* settle
        const rest = yield* connection.unread
        const frames = [...valueOf(exit), ...(yield* connection.take(rest))]
        const answers = frames.filter(({ flag }) => (flag & 1) !== 0)
        assert.deepStrictEqual(new Set(answers.map(({ opaque }) => opaque)), new Set(sent))
        assert.strictEqual(answers.length, sent.length)
        for (const answer of answers) {
          const code = pushes[Math.floor((answer.opaque - 1_000) / 10)] ?? 0
          // There is no consumer that they could ask.
          if ([221, 307, 309].includes(code)) assert.strictEqual(answer.code, 1, String(code))
          else if (![39, 40, 220, 326].includes(code)) assert.strictEqual(answer.code, 3, String(code))
        }
        // Nothing of that was noticed by anybody else.
        yield* advance(3_100, 100)
        yield* Fiber.join(lookup)
        const calm = yield* startProducer({ namesrvAddr, instanceName: "calm", producerGroup: "calm" })
        assert.strictEqual(yield* sentIn(calm), 0)
        assert.strictEqual((yield* producer.state).serviceState, "RUNNING")
      })
    ).pipe(onMemory({ topics: { orders: {} } }))
  )
})
